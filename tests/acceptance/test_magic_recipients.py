"""The simulator's magic recipients through the gateway: what each does to a message."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import httpx
import pytest
from tests.acceptance.polling import eventually
from tests.acceptance.talk import (
    MESSAGES,
    SILENT,
    assert_problem,
    at_simulator,
    becomes,
    get,
    message,
    running,
    send,
    sent,
    simulator,
)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A gateway that gives a provider's call up after a second and a half."""
    config = """
    [dispatch]
    connect_timeout_seconds = 1
    call_timeout_seconds = 1.5
    busy_first_delay_seconds = 0.1
    busy_longest_delay_seconds = 0.2
    """
    with running(tmp_path_factory.mktemp("magic"), config) as (_, client):
        yield client


def magic(code: int) -> str:
    return f"+1 5550 {code:06}"


@pytest.mark.parametrize("code", [100, 131008, 131009, 131021, 131051, 132001, 135000])
def test_a_code_that_comes_at_once_and_is_for_good_refuses_the_message(
    api: httpx.Client, code: int
) -> None:
    said = assert_problem(send(api, message(magic(code))), 422, "refused")

    assert said["provider"]["code"] == str(code)
    failed = get(api, said["id"])
    assert failed["status"] == "failed"
    assert [attempt["outcome"] for attempt in failed["attempts"]] == ["refused"]
    assert at_simulator(api, magic(code)) == []


@pytest.mark.parametrize("code", [131026, 131047, 131049, 130472])
def test_a_code_that_comes_by_receipt_fails_a_message_that_was_accepted(
    api: httpx.Client, code: int
) -> None:
    answer = send(api, message(magic(code)))

    assert (answer.status_code, answer.json()["data"]["status"]) == (200, "accepted")
    failed = becomes(api, answer.json()["data"]["id"], "failed")
    assert failed["error"]["provider_code"] == str(code)
    [receipt] = failed["receipts"]
    assert (receipt["status"], receipt["error"]["provider_code"]) == ("failed", str(code))
    assert [attempt["outcome"] for attempt in failed["attempts"]] == ["accepted"]


@pytest.mark.parametrize("code", [131000, 131016, 133004])
def test_a_code_that_passes_keeps_the_message_queued(api: httpx.Client, code: int) -> None:
    found = sent(api, message(magic(code)), Prefer="respond-async")

    waiting = eventually(
        lambda: shown if len((shown := get(api, found))["attempts"]) > 1 else None, within=8
    )
    assert waiting["status"] in ("queued", "sending")
    assert waiting["attempts"][0]["outcome"] == "busy"
    assert waiting["attempts"][0]["error"]["provider_code"] == str(code)
    assert waiting["error"] is None
    eventually(lambda: api.post(f"{MESSAGES}/{found}/cancel").status_code == 200)


SENDERS = "/api/whatsapp/v1/senders"
PAUSES = {
    190: "account",
    4: "account",
    80007: "account",
    130429: "sender",
    131048: "sender",
    131056: "recipient",
    132068: "flow",
    132069: "flow",
}


@pytest.mark.parametrize("code", PAUSES)
def test_a_code_that_concerns_more_than_one_message_pauses_just_that(
    api: httpx.Client, code: int
) -> None:
    found = sent(api, message(magic(code)), Prefer="wait=0")
    try:
        waiting = eventually(
            lambda: (
                shown
                if (shown := get(api, found))["attempts"] and shown["attempts"][0]["outcome"]
                else None
            )
        )
        [sender] = api.get(f"{SENDERS}").json()["data"]
        scopes = {pause["scope"]: pause["code"] for pause in sender["pauses"]}
        assert waiting["attempts"][0]["outcome"] == "busy"
        if PAUSES[code] == "recipient":
            assert (scopes, sender["paused_recipients"]) == ({}, 1)
        else:
            assert scopes == {PAUSES[code]: str(code)}
        assert sender["paused"] == (PAUSES[code] in ("account", "sender"))
    finally:
        let_go(api, found)
    assert send(api).status_code == 200, "all is well again"


def let_go(api: httpx.Client, found: str) -> None:
    """Take the message back and let its sender go on, for the next test."""
    eventually(lambda: api.post(f"{MESSAGES}/{found}/cancel").status_code == 200)
    assert api.post(f"{SENDERS}/sandbox/resume").status_code == 200


def test_an_html_page_of_a_proxy_leaves_the_outcome_unknown(api: httpx.Client) -> None:
    found = sent(api, message(magic(502)), Prefer="respond-async")

    unknown = becomes(api, found, "unknown")

    assert [attempt["outcome"] for attempt in unknown["attempts"]] == ["unknown"]
    assert unknown["attempts"][0]["error"]["provider_code"] == "HTTP 502"


def test_a_message_that_is_never_answered_is_settled_by_its_receipts(api: httpx.Client) -> None:
    answer = send(api, message(magic(408)))

    assert (answer.status_code, answer.json()["data"]["status"]) == (200, "accepted")
    read = becomes(api, answer.json()["data"]["id"], "read")
    [attempt] = read["attempts"]
    assert attempt["outcome"] == "accepted"
    assert attempt["provider_id"] == at_simulator(api, magic(408))[-1]["wamid"]


def test_a_message_that_is_never_answered_is_unknown_until_a_late_receipt(
    api: httpx.Client,
) -> None:
    with simulator(api, delays_ms={**SILENT, "delivered": 3000}):
        found = sent(api, message(magic(408)), Prefer="wait=0")
        becomes(api, found, "unknown")

    delivered = becomes(api, found, "delivered")

    assert [attempt["outcome"] for attempt in delivered["attempts"]] == ["accepted"]
    assert delivered["flags"] == []


def test_a_connection_that_closes_without_a_word_leaves_the_outcome_unknown_and_held(
    api: httpx.Client,
) -> None:
    before = len(at_simulator(api, magic(409)))
    found = sent(api, message(magic(409)), Prefer="respond-async")

    unknown = becomes(api, found, "unknown")
    assert [attempt["outcome"] for attempt in unknown["attempts"]] == ["unknown"]
    assert len(at_simulator(api, magic(409))) == before + 1


def test_429_with_retry_after_is_obeyed(api: httpx.Client) -> None:
    found = sent(api, message(magic(429)), Prefer="wait=0")

    waiting = eventually(lambda: shown if len((shown := get(api, found))["attempts"]) > 1 else None)

    first, second = waiting["attempts"]
    assert (first["outcome"], first["error"]["provider_code"]) == ("busy", "HTTP 429")
    assert second["begun_at"] > first["settled_at"]
    waited = datetime.fromisoformat(second["begun_at"]) - datetime.fromisoformat(
        first["settled_at"]
    )
    assert 2 <= waited.total_seconds() < 3  # the simulator asks for 2 s
    let_go(api, found)


@pytest.mark.parametrize("number", ["+1 5550 999999", "+1 5550 000001 1", "+1 5551 131026"])
def test_any_other_number_is_an_ordinary_phone(api: httpx.Client, number: str) -> None:
    assert becomes(api, sent(api, message(number)), "read")["error"] is None


def test_a_busy_message_holds_no_other_up(api: httpx.Client) -> None:
    busy = sent(api, message(magic(131016)), Prefer="respond-async")

    for _ in range(5):
        assert send(api).status_code == 200

    eventually(lambda: api.post(f"{MESSAGES}/{busy}/cancel").status_code == 200)
