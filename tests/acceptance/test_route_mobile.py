"""A Route Mobile sender over HTTP, on the simulator's Route Mobile, for callers and callbacks."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.acceptance.gateway import API_TOKEN, RunningGateway, free_port
from tests.acceptance.raw_http import post_all, request
from tests.acceptance.talk import (
    BEHAVIOUR,
    SILENT,
    assert_nothing_of_people,
    assert_problem,
    at_simulator,
    becomes,
    client,
    errors,
    get,
    message,
    send,
    simulator,
    somebody,
)

SECRET = "a-callback-secret-of-these-tests"
CALLBACK = f"/callbacks/routemobile/{SECRET}"
CONFIG = """
[simulator]
enabled = true

[senders.jakarta]
provider = "routemobile"
base_url = "http://127.0.0.1:{port}/simulator/routemobile"
username = "simulator"
password = "simulator"
callback_secret = "{secret}"
"""


def a_gateway(folder: Path) -> RunningGateway:
    """One with a sender at its own simulator's Route Mobile."""
    port = free_port()
    return RunningGateway(folder, config=CONFIG.format(port=port, secret=SECRET), port=port)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """The gateway of this module."""
    with a_gateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def _nothing_secret_is_logged(gateway: RunningGateway) -> Iterator[None]:
    yield
    assert_nothing_of_people(gateway.output(), API_TOKEN, SECRET)


def a_message(**changes: Any) -> dict[str, Any]:
    return message(**({"from": "jakarta"} | changes))


def a_status(request_id: str, **changes: Any) -> dict[str, Any]:
    return {"id": request_id, "status": "delivered", "timestamp": "1790000000"} | changes


def test_the_answer_is_the_seeds_envelope_with_route_mobiles_request_id(
    api: httpx.Client,
) -> None:
    to = somebody()
    answer = send(api, a_message(to=to))

    assert answer.status_code == 200
    data = answer.json()["data"]
    assert data["message"] == "Message Sent!"
    assert data["request_id"] != data["id"]
    found = get(api, data["request_id"])
    assert (found["id"], found["request_id"]) == (data["id"], data["request_id"])
    assert found["attempts"][0]["provider_id"] == data["request_id"]
    [seen] = at_simulator(api, to)
    assert seen["provider"] == "routemobile"


def test_route_mobile_gets_the_body_that_it_documents(api: httpx.Client) -> None:
    to = somebody()
    body = a_message(to=to)
    body["flow"] |= {"action": "nagivate", "data": {"name": "Ani"}}
    assert send(api, body).status_code == 200

    [seen] = at_simulator(api, to)
    assert seen["request"] == {
        "phone": to,
        "enable_acculync": False,
        "type": "flow",
        "header": {"text": "TEXT_HEADER"},
        "body": "TEXT_BODY",
        "footer": "TEXT_FOOTER",
        "flow": {
            "flow_mode": "published",
            "flow_token": body["flow"]["token"],
            "flow_id": "FLOW_ID",
            "flow_cta": "FLOW_BUTTON_TEXT",
            "flow_action": "navigate",
            "flow_action_payload": {"screen": "FLOW_SCREEN_NAME", "data": {"name": "Ani"}},
        },
    }


def test_it_becomes_read_and_is_found_by_whatsapps_own_id_too(api: httpx.Client) -> None:
    to = somebody()
    data = send(api, a_message(to=to)).json()["data"]

    read = becomes(api, data["request_id"], "read")
    [seen] = at_simulator(api, to)
    assert seen["wamid"].startswith("wamid")
    assert [get(api, any_id) for any_id in (data["id"], seen["wamid"])] == [read, read]
    assert {one["status"] for one in read["receipts"]} == {"sent", "delivered", "read"}
    assert read["flags"] == []


def test_a_token_that_expires_meanwhile_is_noticed_by_nobody(tmp_path: Path) -> None:
    token_seconds, many = 0.6, 200
    people = [somebody() for _ in range(many)]
    with a_gateway(tmp_path) as gateway, client(gateway, gateway.token) as api:
        # Before the first log-in: a token that was given stays good.
        api.put(BEHAVIOUR, json={"routemobile": {"token_seconds": token_seconds}})
        requests = [request(gateway, json.dumps(a_message(to=to)).encode()) for to in people]
        begun = time.monotonic()
        answers = post_all(gateway, requests, connections=8)
        took = time.monotonic() - begun

        assert took > 3 * token_seconds
        assert Counter(answer.status for answer in answers) == {200: many}
        for answer in answers:
            attempts = becomes(api, answer.json()["data"]["id"], "read")["attempts"]
            assert [one["outcome"] for one in attempts] == ["accepted"]
        received = api.get("/simulator/api/messages").json()["data"]
        assert Counter(one["request"]["phone"] for one in received) == Counter(people)
        assert_nothing_of_people(gateway.output(), API_TOKEN, SECRET)


def test_its_receipts_come_by_the_secret_path(api: httpx.Client) -> None:
    data = send(api, a_message()).json()["data"]

    message = becomes(api, data["id"], "delivered")

    assert "delivered" in [receipt["status"] for receipt in message["receipts"]]


@pytest.mark.parametrize("envelope", ["flat", "wrapped"])
def test_a_receipt_is_applied_in_every_envelope(api: httpx.Client, envelope: str) -> None:
    with simulator(api, delays_ms=SILENT):
        data = send(api, a_message()).json()["data"]
        told: dict[str, Any] = {"statuses": [None, a_status(data["request_id"])]}
        if envelope == "wrapped":
            told = {"contact_no": "0", "data": told, "source": "FROM_CALLBACK"}
        answer = api.post(CALLBACK, content=json.dumps(told))

        assert (answer.status_code, answer.content) == (200, b"")
        becomes(api, data["id"], "delivered")


@pytest.mark.parametrize("wrong", ["wrong", SECRET[:-1], f"{SECRET}x", "%C3%BC", f"{SECRET}/x", ""])
def test_a_wrong_secret_is_not_found_and_changes_nothing(api: httpx.Client, wrong: str) -> None:
    with simulator(api, delays_ms=SILENT):
        data = send(api, a_message()).json()["data"]
        told = {"statuses": [a_status(data["request_id"], status="read")]}
        answer = api.post(f"/callbacks/routemobile/{wrong}", content=json.dumps(told))

        assert_problem(answer, 404, "not_found")
        right = {"statuses": [a_status(data["request_id"])]}
        api.post(CALLBACK, content=json.dumps(right)).raise_for_status()
        becomes(api, data["id"], "delivered")
        assert [each["status"] for each in get(api, data["id"])["receipts"]] == ["delivered"]


@pytest.mark.parametrize("end", ["", "/", "/x"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE"])
def test_no_answer_repeats_the_secret_of_a_callback(
    api: httpx.Client, method: str, end: str
) -> None:
    answer = api.request(method, CALLBACK + end, content=b"{}")

    assert answer.status_code == (200 if (method, end) == ("POST", "") else 404)
    assert SECRET not in answer.text + str(answer.headers)


@pytest.mark.parametrize("body", [b"", b"null", b"{", b"<html>", b'{"statuses": 7}', b"[" * 9000])
def test_a_callback_with_anything_in_it_is_taken(api: httpx.Client, body: bytes) -> None:
    assert api.post(CALLBACK, content=body).status_code == 200


def test_a_callback_that_is_too_large_is_refused_without_its_secret_in_the_answer(
    api: httpx.Client,
) -> None:
    answer = api.post(CALLBACK, content=b"x" * (4 * 1024 * 1024 + 1))

    assert_problem(answer, 413, "payload_too_large")
    assert SECRET not in answer.text


def test_a_template_goes_out_with_its_flow_button(api: httpx.Client) -> None:
    to = somebody()
    template = {"name": "visit", "language": "id", "flow": {"token": "visit-1"}}
    body = {"to": to, "type": "template", "template": template, "from": "jakarta"}

    assert send(api, body).status_code == 200
    [seen] = at_simulator(api, to)
    assert seen["request"]["media"]["button"] == [{"button_no": "0", "flow": "visit-1"}]


@pytest.mark.parametrize(("code", "more"), [(470, 0), (131047, 0), (470, 3)])
def test_the_fallback_goes_out_once_however_often_the_receipt_of_a_shut_window_comes(
    api: httpx.Client, code: int, more: int
) -> None:
    to = f"+1 5550 {code:06}"
    api.delete("/simulator/api/messages").raise_for_status()
    fallback = {"name": "visit", "language": "id", "flow": {"token": "visit-1"}}
    with simulator(api, repeat={"probability": 1, "times": more} if more else {}):
        data = send(api, a_message(to=to, fallback=fallback)).json()["data"]

        shown = becomes(api, data["id"], "read")
        assert (shown["flags"], shown["error"]) == (["fallback"], None)
        assert [one["outcome"] for one in shown["attempts"]] == ["accepted", "accepted"]
        assert get(api, data["request_id"])["id"] == shown["id"]
        [first, template] = [one["request"] for one in at_simulator(api, to)]
        assert first["type"] == "flow"
        assert template["media"]["template_name"] == "visit"


def test_a_user_id_is_refused_before_anything_is_stored(api: httpx.Client) -> None:
    body = a_message(recipient="US.13491208655302741918")
    del body["to"]

    assert "#/recipient" in errors(send(api, body))
