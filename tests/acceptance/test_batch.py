"""`POST /messages/batch` over HTTP: an answer for each, and much faster than one by one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from tests.acceptance.gateway import RunningGateway
from tests.acceptance.talk import (
    MESSAGES,
    PRIVATE,
    assert_nothing_of_people,
    assert_problem,
    at_simulator,
    becomes,
    client,
    errors,
    get,
    message,
    new_token,
    running,
    send,
    sent,
    somebody,
)
from tests.acceptance.test_store_down import held

BATCH: Final = f"{MESSAGES}/batch"
NDJSON: Final = "application/x-ndjson"
#: Nothing goes out, so that what is measured is the accepting.
HELD_BACK: Final = "[dispatch]\nenabled = false\n"

Item = dict[str, Any]


def batch(api: httpx.Client, *bodies: object, form: str = "application/json") -> list[Item]:
    """The items of a batch that is answered 200, which must be in the order of the messages."""
    if form.startswith(NDJSON):
        content = "\n".join(json.dumps(body) for body in bodies).encode()
    else:
        content = json.dumps(bodies).encode()
    return items(api.post(BATCH, content=content, headers={"content-type": form}, timeout=60))


def items(answer: httpx.Response) -> list[Item]:
    assert answer.status_code == 200, answer.text[:500]
    found: list[Item] = answer.json()["data"]
    assert [item["index"] for item in found] == list(range(len(found)))
    for item in found:
        assert set(item) == {"index", "status", "data" if item["status"] < 300 else "problem"}
        assert "problem" not in item or item["problem"]["status"] == item["status"]
    return found


def statuses(found: list[Item]) -> list[int]:
    return [item["status"] for item in found]


def kinds(found: list[Item]) -> list[str]:
    """The problem of each, or nothing."""
    return [item.get("problem", {}).get("type", "").removeprefix("/problems/") for item in found]


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a gateway that sends nothing, and lets five messages wait."""
    config = f"{HELD_BACK}queue_limit = 5\n"
    with running(tmp_path_factory.mktemp("quiet"), config) as (_, api):
        yield api


# What is taken


@pytest.mark.parametrize("form", ["application/json", NDJSON, f"{NDJSON}; charset=utf-8"])
def test_every_message_of_a_batch_reaches_its_person(api: httpx.Client, form: str) -> None:
    people = [somebody() for _ in range(20)]

    found = batch(api, *map(message, people), form=form)

    assert statuses(found) == [202] * 20
    for person, item in zip(people, found, strict=True):
        assert item["data"]["message"] == "Message Queued!"
        stands = becomes(api, item["data"]["id"], "read", within=10)
        assert (stands["to"], stands["priority"]) == (person, "bulk")
        assert len(at_simulator(api, person)) == 1


def test_a_message_may_say_that_it_is_single(api: httpx.Client) -> None:
    [found] = batch(api, message(priority="single"))

    assert get(api, found["data"]["id"])["priority"] == "single"


def test_a_bad_message_spoils_no_other_and_is_told_what_it_would_be_told_alone(
    api: httpx.Client,
) -> None:
    bodies: list[Any] = [
        message(),
        message("letters", extra=1),
        message(reply_message_id="msg_nobody"),
        7,
        message(**{"from": "nobody"}),
        message("12125550123"),
    ]

    found = batch(api, *bodies)

    assert statuses(found) == [202, 422, 422, 422, 422, 202]
    for body, item in zip(bodies, found, strict=True):
        alone = send(api, body, Prefer="respond-async")
        assert alone.status_code == item["status"]
        if "problem" in item:
            same = {"instance": BATCH}
            assert item["problem"] | same == alone.json() | same
    warnings = found[5]["data"]["warnings"]
    assert [warning["code"] for warning in warnings] == ["number_without_plus"]


def test_a_broken_line_is_told_where_in_the_body_it_is(api: httpx.Client) -> None:
    good = json.dumps(message())
    content = f'{good}\n\n{{"to" "+1"}}\n{good}\n'.encode()

    found = items(api.post(BATCH, content=content, headers={"content-type": NDJSON}))

    assert statuses(found) == [202, 400, 202]
    told = found[1]["problem"]
    assert (told["line"], told["column"]) == (3, 7)
    assert told["excerpt"] == '{"to" "+1"}'
    assert told["detail"].startswith("Line 3, column 7: ")


@pytest.mark.parametrize("form", ["application/json", NDJSON])
def test_a_message_that_is_too_large_spoils_no_other(api: httpx.Client, form: str) -> None:
    found = batch(api, message(), message(callback_data="x" * 70_000), message(), form=form)

    assert statuses(found) == [202, 413, 202]
    assert kinds(found) == ["", "payload_too_large", ""]


def test_a_key_makes_one_message_in_batches_and_by_itself(api: httpx.Client) -> None:
    body, other = message(), message()
    keyed = body | {"idempotency_key": "batch-1"}

    first, again, conflict = batch(api, keyed, keyed, other | {"idempotency_key": "batch-1"})
    later, keyless = batch(api, keyed, body)
    alone = send(api, body, Idempotency_Key="batch-1")

    assert (first["status"], conflict["status"]) == (202, 422)
    assert conflict["problem"]["type"] == "/problems/idempotency_conflict"
    made = first["data"]["id"]
    assert {again["data"]["id"], later["data"]["id"], alone.json()["data"]["id"]} == {made}
    assert alone.headers["idempotency-replayed"] == "true"
    assert keyless["data"]["id"] != made


def test_a_sender_that_the_token_may_not_use_is_told_of_in_its_item(
    gateway: RunningGateway, api: httpx.Client
) -> None:
    bound = new_token(gateway, "bound", "--scope", "send", "--sender", "main")
    with client(gateway, bound) as other:
        found = batch(other, message(**{"from": "sandbox"}))

    assert kinds(found) == ["sender_not_allowed"]


# What is no batch


def test_what_is_no_batch_is_refused_as_a_whole(api: httpx.Client, gateway: RunningGateway) -> None:
    json_form, lines = {"content-type": "application/json"}, {"content-type": NDJSON}
    one = json.dumps(message())

    def post(content: str, headers: dict[str, str]) -> httpx.Response:
        return api.post(BATCH, content=content.encode(), headers=headers, timeout=60)

    assert errors(post("[]", json_form)) == {"#": "too_short"}
    assert errors(post("\n \n", lines)) == {"#": "too_short"}
    assert errors(post(one, json_form)) == {"#": "wrong_type"}
    assert errors(post(f"[{','.join([one] * 1001)}]", json_form)) == {"#": "too_long"}
    assert errors(post("\n".join([one] * 1001), lines)) == {"#": "too_long"}
    assert errors(post(one, lines | {"idempotency-key": "k"})) == {
        "#/Idempotency-Key": "not_supported"
    }
    told = assert_problem(post(f"[{one},\n {{'to'}}]", json_form), 400, "invalid_json")
    assert (told["line"], told["column"]) == (2, 3)
    assert_problem(post("{", json_form), 400, "invalid_json")
    assert_problem(post(one, {"content-type": "text/csv"}), 415, "unsupported_media_type")
    assert_problem(post(" " * (16 * 1024 * 1024 + 1), lines), 413, "payload_too_large")
    with client(gateway, None) as nobody:
        assert_problem(nobody.post(BATCH, content=b"[]", headers=json_form), 401, "unauthorized")
    with client(gateway, new_token(gateway, "batch-reader", "--scope", "read")) as reader:
        assert_problem(reader.post(BATCH, content=b"[]", headers=json_form), 403, "scope_missing")


def test_of_a_broken_array_nothing_is_stored(api: httpx.Client) -> None:
    person = somebody()
    content = f"[{json.dumps(message(person))}, {{]".encode()

    answer = api.post(BATCH, content=content, headers={"content-type": "application/json"})

    assert_problem(answer, 400, "invalid_json")
    assert api.get(MESSAGES, params={"to": person}).json()["data"] == []


def test_a_body_of_the_largest_size_is_taken(api: httpx.Client) -> None:
    bodies = [message(flow=None, extra="x" * 16_000) for _ in range(1000)]

    found = batch(api, *bodies)

    assert statuses(found) == [422] * 1000


# A full queue


def test_where_the_queue_fills_up_the_rest_is_answered_429(quiet: httpx.Client) -> None:
    later = message(send_at="2999-01-01T00:00:00Z")

    found = batch(quiet, later, *(message() for _ in range(7)))

    assert statuses(found) == [202] * 5 + [429] * 3
    assert set(kinds(found[5:])) == {"queue_full"}

    alone = send(quiet)
    assert_problem(alone, 429, "queue_full")
    assert int(alone.headers["retry-after"]) > 0
    assert errors(send(quiet, {}))  # what is wrong with a request is told first
    assert len(quiet.get(MESSAGES).json()["data"]) == 5

    first = found[1]["data"]["id"]
    quiet.post(f"{MESSAGES}/{first}/cancel").raise_for_status()
    assert statuses(batch(quiet, message(), message())) == [202, 429]


def test_a_restart_knows_how_full_the_queue_is(tmp_path: Path) -> None:
    with running(tmp_path, f"{HELD_BACK}queue_limit = 3\n") as (gateway, api):
        assert statuses(batch(api, *(message() for _ in range(3)))) == [202] * 3
        gateway.kill()
        gateway.restart()

        assert_problem(send(api), 429, "queue_full")


# A store that takes nothing


def test_while_the_store_takes_nothing_each_is_told_so_and_none_is_stored(tmp_path: Path) -> None:
    bodies = [message() for _ in range(150)]
    with running(tmp_path) as (gateway, api), ThreadPoolExecutor(1) as aside:
        sent(api)
        with held(gateway):
            asked = aside.submit(batch, api, *bodies, message("letters"))
            found = asked.result(30)

        assert statuses(found) == [503] * 150 + [422]
        assert not any("id" in item["problem"] for item in found)
        assert statuses(batch(api, *bodies)) == [202] * 150
        assert len(api.get(MESSAGES, params={"limit": 200}).json()["data"]) == 151
        assert_nothing_of_people(gateway.output(), PRIVATE)


# How fast


def test_a_thousand_in_a_batch_are_accepted_at_least_5_times_faster_than_one_by_one(
    tmp_path: Path,
) -> None:
    bodies = [message() for _ in range(1000)]
    content = json.dumps(bodies).encode()
    headers = {"content-type": "application/json", "prefer": "respond-async"}
    with running(tmp_path, HELD_BACK) as (_, api):
        batch(api, message())  # the connection is open, and the API token known
        begun = time.perf_counter()
        for body in bodies:
            answer = api.post(MESSAGES, content=json.dumps(body).encode(), headers=headers)
            assert answer.status_code == 202
        one_by_one = time.perf_counter() - begun

        begun = time.perf_counter()
        found = items(api.post(BATCH, content=content, headers=headers, timeout=60))
        together = time.perf_counter() - begun

        assert statuses(found) == [202] * 1000
        assert together * 5 < one_by_one


def test_others_are_answered_while_batches_are_taken(tmp_path: Path) -> None:
    content = json.dumps([message() for _ in range(1000)]).encode()
    headers = {"content-type": "application/json"}
    with running(tmp_path, HELD_BACK) as (gateway, api), ThreadPoolExecutor(2) as aside:
        batches = [
            aside.submit(api.post, BATCH, content=content, headers=headers, timeout=60)
            for _ in range(6)
        ]
        longest = 0.0
        with client(gateway, None) as other:
            while not all(one.done() for one in batches):
                begun = time.perf_counter()
                assert other.get("/healthz").status_code == 200
                longest = max(longest, time.perf_counter() - begun)

        assert all(statuses(items(one.result())) == [202] * 1000 for one in batches)
        assert longest < 1
