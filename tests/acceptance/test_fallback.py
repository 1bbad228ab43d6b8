"""The 24-hour window over HTTP: what is said of it, and the template that goes out in its place."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

import httpx
import pytest
from tests.acceptance.polling import eventually
from tests.acceptance.talk import (
    CALLBACKS,
    MESSAGES,
    SILENT,
    at_simulator,
    becomes,
    errors,
    get,
    message,
    running,
    send,
    simulator,
    somebody,
)

WINDOW_SHUT: Final = "+1 5550 131047"
FALLBACK: Final = {
    "name": "visit_form",
    "language": "id",
    "body": ["Ani"],
    "flow": {"token": "visit-1"},
}
HOUR: Final = 3600  # seconds
_wamids = count(1)


@pytest.fixture
def forgetful(api: httpx.Client) -> httpx.Client:
    """The gateway, whose simulator has forgotten what its phones got before."""
    api.delete("/simulator/api/messages").raise_for_status()
    return api


def wrote(api: httpx.Client, person: str, *, hours_ago: float) -> None:
    """The person wrote then: a signed callback tells it, and is applied when this returns."""
    with simulator(api, delays_ms=SILENT):
        known = send(api).json()["data"]["id"]
        wamid = get(api, known)["attempts"][0]["provider_id"]
        now = int(time.time())
        written = {
            "from": person.removeprefix("+"),
            "id": f"wamid.inbound-{next(_wamids)}",
            "timestamp": str(int(now - hours_ago * HOUR)),
            "type": "text",
            "text": {"body": "hello"},
        }
        receipt = {"id": wamid, "status": "read", "timestamp": str(now)}
        call_back(api, {"messages": [written], "statuses": [receipt]})
        becomes(api, known, "read")


def call_back(api: httpx.Client, value: dict[str, Any]) -> None:
    """A callback as the Cloud API sends and signs it."""
    metadata = {"display_phone_number": "15550001111", "phone_number_id": "1065000000"}
    change = {"field": "messages", "value": {"metadata": metadata} | value}
    body = json.dumps({"entry": [{"id": "1065000000000001", "changes": [change]}]}).encode()
    digest = hmac.digest(b"simulator", body, "sha256").hex()
    headers = {"x-hub-signature-256": f"sha256={digest}"}
    api.post(CALLBACKS, content=body, headers=headers).raise_for_status()


def codes(shown: dict[str, Any]) -> list[str]:
    return [warning["code"] for warning in shown.get("warnings", [])]


def types_at(api: httpx.Client, to: str) -> list[str]:
    """What kinds of message a phone got."""
    return [one["request"]["type"] for one in at_simulator(api, to)]


def outcomes(shown: dict[str, Any]) -> list[str]:
    return [attempt["outcome"] for attempt in shown["attempts"]]


# The window is found to be shut


def test_a_refusal_at_once_sends_the_fallback_once(forgetful: httpx.Client) -> None:
    api = forgetful
    with simulator(api, codes={"131047": "at_once"}):
        answer = send(api, message(WINDOW_SHUT, fallback=FALLBACK))

        assert answer.status_code == 200
        assert answer.json()["data"]["status"] == "accepted"
        shown = becomes(api, answer.json()["data"]["id"], "read")
    assert outcomes(shown) == ["refused", "accepted"]
    assert (shown["flags"], shown["error"]) == (["fallback"], None)
    [request] = [one["request"] for one in at_simulator(api, WINDOW_SHUT)]
    assert request["template"] == {
        "name": "visit_form",
        "language": {"code": "id"},
        "components": [
            {"type": "body", "parameters": [{"type": "text", "text": "Ani"}]},
            {
                "type": "button",
                "sub_type": "flow",
                "index": "0",
                "parameters": [{"type": "action", "action": {"flow_token": "visit-1"}}],
            },
        ],
    }


@pytest.mark.parametrize("more", [0, 3])
def test_a_refusal_by_receipt_sends_it_once_however_often_the_receipt_comes(
    forgetful: httpx.Client, more: int
) -> None:
    api = forgetful
    with simulator(api, repeat={"probability": 1, "times": more} if more else {}):
        answer = send(api, message(WINDOW_SHUT, fallback=FALLBACK))
        assert answer.status_code == 200
        found = answer.json()["data"]["id"]
        becomes(api, found, "read")
        eventually(lambda: every_receipt_came(api, 1 + more))
    wrote(api, somebody(), hours_ago=1)  # and so everything before it is applied

    shown = get(api, found)
    assert (shown["status"], outcomes(shown)) == ("read", ["accepted", "accepted"])
    assert (shown["flags"], shown["error"]) == (["fallback"], None)
    failed = [one for one in shown["receipts"] if one["status"] == "failed"]
    assert [one["error"]["provider_code"] for one in failed] == ["131047"]
    assert types_at(api, WINDOW_SHUT) == ["interactive", "template"]


def every_receipt_came(api: httpx.Client, times: int) -> bool:
    """Whether each receipt of this phone was told so often."""
    receipts = [one for taken in at_simulator(api, WINDOW_SHUT) for one in taken["receipts"]]
    calls = [one["callback"] for one in receipts]
    return all((call["state"], call["tries"]) == ("answered", times) for call in calls)


@pytest.mark.parametrize("comes", ["at_once", "by_receipt"])
def test_without_a_fallback_a_shut_window_fails_the_message(
    forgetful: httpx.Client, comes: str
) -> None:
    api = forgetful
    with simulator(api, codes={"131047": comes}):
        answer = send(api, message(WINDOW_SHUT))
        found = answer.json().get("id") or answer.json()["data"]["id"]
        failed = becomes(api, found, "failed")

    assert answer.status_code == (422 if comes == "at_once" else 200)
    assert (failed["error"]["provider_code"], failed["flags"]) == ("131047", [])
    assert "template" not in types_at(api, WINDOW_SHUT)


# The window is known to be shut


@pytest.mark.parametrize("hours_ago", [24, 25, 24 * 300])
def test_where_the_person_is_known_to_have_written_too_long_ago_only_the_fallback_goes_out(
    api: httpx.Client, hours_ago: float
) -> None:
    person = somebody()
    wrote(api, person, hours_ago=hours_ago)

    data = send(api, message(person, fallback=FALLBACK)).json()["data"]

    assert (data["status"], codes(data)) == ("accepted", ["window_shut"])
    shown = becomes(api, data["id"], "read")
    assert (outcomes(shown), shown["flags"]) == (["accepted"], ["fallback"])
    assert types_at(api, person) == ["template"]


def test_without_a_fallback_the_answer_and_the_message_warn(api: httpx.Client) -> None:
    person = somebody()
    wrote(api, person, hours_ago=25)

    data = send(api, message(person)).json()["data"]

    [warning] = data["warnings"]
    assert (warning["code"], warning["pointer"]) == ("window_shut", "#/to")
    assert warning["detail"]
    assert get(api, data["id"])["warnings"] == [warning]
    assert types_at(api, person) == ["interactive"]


@pytest.mark.parametrize("hours_ago", [None, 0, 23])
def test_where_the_window_is_open_or_nobody_knows_the_message_goes_out_as_it_is(
    api: httpx.Client, hours_ago: float | None
) -> None:
    person = somebody()
    if hours_ago is not None:
        wrote(api, person, hours_ago=25)
        wrote(api, person, hours_ago=hours_ago)
        wrote(api, person, hours_ago=26)  # it came late, and shuts nothing

    data = send(api, message(person, fallback=FALLBACK)).json()["data"]

    assert "warnings" not in data
    assert becomes(api, data["id"], "read")["flags"] == []
    assert types_at(api, person) == ["interactive"]


def test_what_waits_goes_out_as_its_fallback_if_the_window_shuts_meanwhile(
    api: httpx.Client,
) -> None:
    person = somebody()
    soon = 3  # seconds from now; the margin of 30 s before the end counts as shut
    wrote(api, person, hours_ago=24 - (30 + soon - 1) / HOUR)
    send_at = datetime.fromtimestamp(time.time() + soon, UTC).isoformat()

    data = send(api, message(person, fallback=FALLBACK, send_at=send_at)).json()["data"]

    shown = becomes(api, data["id"], "read", within=8)
    assert shown["flags"] == ["fallback"]
    assert types_at(api, person) == ["template"]


# The setting refuses


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A gateway whose senders refuse what goes to a shut window."""
    folder = tmp_path_factory.mktemp("strict")
    with running(folder, ALIR_CLOUD__CLOSED_WINDOW="refuse") as (_, api):
        yield api


def test_a_sender_that_refuses_stores_nothing(strict: httpx.Client) -> None:
    person = somebody()
    wrote(strict, person, hours_ago=25)

    answer = send(strict, message(person), Idempotency_Key="once")

    assert errors(answer) == {"#/to": "window_shut"}
    assert strict.get(MESSAGES, params={"to": person}).json()["data"] == []
    assert at_simulator(strict, person) == []
    wrote(strict, person, hours_ago=0)
    again = send(strict, message(person), Idempotency_Key="once")
    assert (again.status_code, "idempotency-replayed" in again.headers) == (200, False)


def test_a_sender_that_refuses_takes_what_goes_later_and_warns(strict: httpx.Client) -> None:
    person = somebody()
    wrote(strict, person, hours_ago=25)
    send_at = datetime.fromtimestamp(time.time() + HOUR, UTC).isoformat()

    data = send(strict, message(person, send_at=send_at)).json()["data"]

    [warning] = data["warnings"]
    assert (data["status"], warning["code"]) == ("queued", "window_shut")
    assert "unless the person writes again" in warning["detail"]


def test_a_sender_that_refuses_takes_templates_and_fallbacks(strict: httpx.Client) -> None:
    person = somebody()
    wrote(strict, person, hours_ago=25)

    with_fallback = send(strict, message(person, fallback=FALLBACK))
    template = send(strict, {"to": person, "type": "template", "template": FALLBACK})

    assert (with_fallback.status_code, template.status_code) == (200, 200)
    assert types_at(strict, person) == ["template", "template"]


def test_a_sender_that_refuses_takes_messages_to_whom_it_never_heard_of(
    strict: httpx.Client,
) -> None:
    assert send(strict).status_code == 200
