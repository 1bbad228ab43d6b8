"""`Idempotency-Key` over HTTP: one key stands for one message, for as long as that is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from tests.acceptance.gateway import API_TOKEN, RunningGateway
from tests.acceptance.graph_double import GraphDouble, taken
from tests.acceptance.polling import eventually
from tests.acceptance.raw_http import post_all, request
from tests.acceptance.talk import (
    MESSAGES,
    SILENT,
    assert_nothing_of_people,
    assert_problem,
    at_simulator,
    becomes,
    client,
    errors,
    flow_message,
    get,
    message,
    new_token,
    running,
    send,
    sent,
    simulator,
    somebody,
)

from alir.clock import rfc3339

REPLAYED = "idempotency-replayed"


@pytest.fixture(scope="module", autouse=True)
def _nothing_of_people_is_logged(gateway: RunningGateway) -> Iterator[None]:
    yield
    assert_nothing_of_people(gateway.output(), API_TOKEN)


def test_200_concurrent_requests_with_one_key_make_one_message(
    gateway: RunningGateway, api: httpx.Client
) -> None:
    number = somebody()
    raw = request(gateway, json.dumps(message(number)).encode(), {"idempotency-key": "rush"})

    answers = post_all(gateway, [raw] * 200, connections=200)

    assert {answer.status for answer in answers} == {200}
    assert len({answer.json()["data"]["id"] for answer in answers}) == 1
    firsts = [answer for answer in answers if answer.headers.get(REPLAYED) != "true"]
    assert len(firsts) == 1
    assert len(at_simulator(api, number)) == 1
    assert len(api.get(MESSAGES, params={"to": number}).json()["data"]) == 1


def test_200_concurrent_requests_with_a_key_each_make_200_messages(
    gateway: RunningGateway, api: httpx.Client
) -> None:
    number = somebody()
    body = json.dumps(message(number)).encode()
    raw = [request(gateway, body, {"idempotency-key": f"each-{n}"}) for n in range(100)]

    answers = post_all(gateway, raw * 2, connections=50)

    assert {answer.status for answer in answers} <= {200, 202}
    assert len({answer.json()["data"]["id"] for answer in answers}) == 100
    eventually(lambda: len(at_simulator(api, number)) == 100)


def test_the_same_key_and_body_is_answered_from_the_first_message(api: httpx.Client) -> None:
    body = message()
    first = send(api, body, Idempotency_Key="again")
    again = send(api, body, Idempotency_Key="again")

    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    assert again.json() == first.json()
    assert len(at_simulator(api, body["to"])) == 1


def test_a_body_is_the_same_however_it_is_written(api: httpx.Client) -> None:
    body = message()
    first = send(api, body, Idempotency_Key="spelling")
    spelled = json.dumps(dict(reversed(body.items())), indent=3, ensure_ascii=True)
    headers = {"content-type": "application/json", "idempotency-key": "spelling"}

    again = api.post(MESSAGES, content=spelled, headers=headers)

    assert again.headers[REPLAYED] == "true"
    assert again.json() == first.json()


def test_a_null_is_the_same_as_a_field_left_out(api: httpx.Client) -> None:
    body = flow_message(data={"a": 1, "b": None}, param={"body": "Hello"})
    spelled = body | {"callback_data": None}
    spelled["flow"] = body["flow"] | {"mode": None, "param": {"body": "Hello", "header": None}}

    first = send(api, body, Idempotency_Key="nulls")
    again = send(api, spelled, Idempotency_Key="nulls")

    assert again.headers[REPLAYED] == "true"
    assert again.json() == first.json()


def test_a_null_in_data_is_not_the_same_as_nothing(api: httpx.Client) -> None:
    body = flow_message(data={"a": 1, "b": None})
    sent(api, body, Idempotency_Key="a null in data")

    answer = send(
        api, body | {"flow": body["flow"] | {"data": {"a": 1}}}, Idempotency_Key="a null in data"
    )

    assert_problem(answer, 422, "idempotency_conflict")


def test_the_answer_to_a_repeat_carries_the_warnings_too(api: httpx.Client) -> None:
    body = message(somebody().removeprefix("+"))
    first = send(api, body, Idempotency_Key="warned")
    again = send(api, body, Idempotency_Key="warned")

    assert [w["code"] for w in again.json()["data"]["warnings"]] == ["number_without_plus"]
    assert again.json() == first.json()


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"callback_data": "x"}, id="a field more"),
        pytest.param({"to": "+62812 99 99 99 9"}, id="another recipient"),
        pytest.param({"priority": "single"}, id="a default spelled out"),
    ],
)
def test_the_same_key_with_another_body_is_refused(
    api: httpx.Client, changed: dict[str, object], request: pytest.FixtureRequest
) -> None:
    key = f"changed-{request.node.callspec.id.replace(' ', '-')}"
    body = message()
    first = sent(api, body, Idempotency_Key=key)

    assert_problem(send(api, body | changed, Idempotency_Key=key), 422, "idempotency_conflict")

    assert len(at_simulator(api, body["to"])) == 1
    assert send(api, body, Idempotency_Key=key).json()["data"]["id"] == first


def test_the_same_key_of_another_api_token_stands_for_another_message(
    gateway: RunningGateway, api: httpx.Client
) -> None:
    body = message()
    first = sent(api, body, Idempotency_Key="mine")

    with client(gateway, new_token(gateway, "somebody-else")) as other:
        answer = send(other, body, Idempotency_Key="mine")

    assert answer.status_code == 200
    assert REPLAYED not in answer.headers
    assert answer.json()["data"]["id"] != first
    assert len(at_simulator(api, body["to"])) == 2


def test_keys_differ_in_every_character(api: httpx.Client) -> None:
    number = somebody()
    keys = ("case", "CASE", "c" * 254, "c" * 255, "two words", "a;b", 'a"b', "~!@#$%^&*()")

    found = {sent(api, message(number), Idempotency_Key=key) for key in keys}

    assert len(found) == len(keys)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("", id="empty"),
        pytest.param("k" * 256, id="256 characters"),
        pytest.param("tab\tbed", id="a tab"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused(api: httpx.Client, key: str) -> None:
    number = somebody()

    assert errors(send(api, message(number), Idempotency_Key=key)) == {
        "#/Idempotency-Key": "invalid_idempotency_key"
    }
    assert api.get(MESSAGES, params={"to": number}).json()["data"] == []


def test_a_key_of_255_characters_is_used(api: httpx.Client) -> None:
    body = message()

    assert send(api, body, Idempotency_Key="k" * 255).status_code == 200
    assert send(api, body, Idempotency_Key="k" * 255).headers[REPLAYED] == "true"


# What a repeat is answered, by what the message has come to


def test_a_repeat_after_it_was_read_is_answered_accepted(api: httpx.Client) -> None:
    body = message()
    becomes(api, sent(api, body, Idempotency_Key="read"), "read")

    again = send(api, body, Idempotency_Key="read")

    assert (again.status_code, again.json()["data"]["status"]) == (200, "accepted")
    assert again.headers[REPLAYED] == "true"


def test_a_repeat_of_what_was_refused_is_answered_refused(api: httpx.Client) -> None:
    body = message("+1 5550 131009")
    first = assert_problem(send(api, body, Idempotency_Key="refused"), 422, "refused")
    before = len(at_simulator(api, body["to"]))

    again = send(api, body, Idempotency_Key="refused")

    assert assert_problem(again, 422, "refused") == first
    assert again.headers[REPLAYED] == "true"
    assert len(get(api, first["id"])["attempts"]) == 1
    assert len(at_simulator(api, body["to"])) == before


def test_a_repeat_of_what_waits_is_answered_where_it_stands(api: httpx.Client) -> None:
    body = message(send_at=rfc3339(datetime.now(UTC) + timedelta(hours=1)))
    first = send(api, body, Idempotency_Key="later")
    again = send(api, body, Idempotency_Key="later")

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert again.headers[REPLAYED] == "true"


def test_a_repeat_of_what_was_cancelled_is_answered_409(api: httpx.Client) -> None:
    body = message(send_at=rfc3339(datetime.now(UTC) + timedelta(hours=1)))
    found = sent(api, body, Idempotency_Key="cancelled")
    api.post(f"{MESSAGES}/{found}/cancel").raise_for_status()

    again = send(api, body, Idempotency_Key="cancelled")

    assert assert_problem(again, 409, "message_ended")["id"] == found
    assert again.headers[REPLAYED] == "true"


def test_a_repeat_after_the_message_expired_is_answered_like_the_first(api: httpx.Client) -> None:
    number = somebody()
    expires_at = rfc3339(datetime.now(UTC) + timedelta(seconds=1))
    body = message(number, expires_at=expires_at)
    first = send(api, body, Idempotency_Key="in-time")
    assert first.status_code == 200
    eventually(lambda: rfc3339(datetime.now(UTC)) > expires_at)

    again = send(api, body, Idempotency_Key="in-time")

    assert again.json() == first.json()
    assert_problem(send(api, body, Idempotency_Key="too-late"), 422, "invalid_request")


def test_a_repeat_waits_like_the_first(api: httpx.Client) -> None:
    body = message("+1 5550 000408")  # no answer comes, but a receipt
    with (
        simulator(api, delays_ms={**SILENT, "sent": 1000}),
        ThreadPoolExecutor(2) as pool,
    ):
        asked = [pool.submit(send, api, body, Idempotency_Key="patient") for _ in range(2)]
        answers = [each.result(20) for each in asked]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert sorted(answer.headers.get(REPLAYED, "") for answer in answers) == ["", "true"]


def test_a_repeat_waits_like_the_first_while_the_provider_is_busy(tmp_path: Path) -> None:
    def busy_at_first(_: object) -> tuple[int, bytes]:
        later = (500, b'{"error": {"code": 131016, "message": "later"}}')
        return later if len(graph.received) == 1 else taken("wamid.AT-LAST")

    with (
        GraphDouble(busy_at_first) as graph,
        running(tmp_path, graph.config) as (_, api),
    ):
        body = message()
        found = sent(api, body, Idempotency_Key="busy", Prefer="respond-async")
        eventually(lambda: [a for a in get(api, found)["attempts"] if a["outcome"] == "busy"])
        assert get(api, found)["status"] == "queued"

        again = send(api, body, Idempotency_Key="busy", Prefer="wait=20")

    assert (again.status_code, again.json()["data"]["status"]) == (200, "accepted")
    assert again.headers[REPLAYED] == "true"


def test_a_key_survives_a_restart(gateway: RunningGateway, api: httpx.Client) -> None:
    body = message()
    found = sent(api, body, Idempotency_Key="kept")

    gateway.restart()

    again = send(api, body, Idempotency_Key="kept")
    assert again.headers[REPLAYED] == "true"
    assert again.json()["data"]["id"] == found


SECOND_SENDER = """
[simulator]
enabled = true

[senders.main]
provider = "cloud"
phone_number_id = "106500000000000"
access_token = "nobody's"
app_secret = "nobody's"
"""


@pytest.mark.parametrize("named", [{}, {"from": "sandbox"}], ids=["unnamed", "named"])
@pytest.mark.parametrize(
    "settings",
    [SECOND_SENDER, SECOND_SENDER.replace("enabled = true", "enabled = false")],
    ids=["a second sender came", "the sender is gone"],
)
def test_a_repeat_is_answered_like_the_first_after_the_senders_changed(
    tmp_path: Path, named: dict[str, str], settings: str
) -> None:
    with RunningGateway(tmp_path) as gateway, client(gateway, gateway.token) as api:
        first = send(api, body := message(**named), Idempotency_Key="moved")
        (tmp_path / "alir.toml").write_text(settings)
        gateway.restart()

        again = send(api, body, Idempotency_Key="moved")

    assert (again.status_code, again.headers[REPLAYED]) == (200, "true")
    assert again.json() == first.json()
