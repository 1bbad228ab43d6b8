"""`reply_message_id` over HTTP: what it takes, and which message is quoted at the provider."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from tests.acceptance.talk import (
    assert_problem,
    at_simulator,
    becomes,
    errors,
    get,
    message,
    send,
    sent,
    somebody,
)

from alir.clock import rfc3339


def quoted(api: httpx.Client, number: str) -> str | None:
    """The WhatsApp id that the last message to `number` quotes."""
    context = at_simulator(api, number)[-1]["request"].get("context")
    return None if context is None else context["message_id"]


def wamid_of(api: httpx.Client, message_id: str) -> str:
    return str(get(api, message_id)["attempts"][-1]["provider_id"])


@pytest.fixture
def earlier(api: httpx.Client) -> tuple[str, str]:
    """A message that was sent: its id, and its recipient."""
    number = somebody()
    return sent(api, message(number)), number


def test_an_id_of_alir_is_translated(api: httpx.Client, earlier: tuple[str, str]) -> None:
    message_id, number = earlier

    answer = send(api, message(number, reply_message_id=message_id))

    assert answer.status_code == 200
    assert "warnings" not in answer.json()["data"]
    assert quoted(api, number) == wamid_of(api, message_id)
    assert get(api, answer.json()["data"]["id"])["reply_message_id"] == message_id


def test_the_whatsapp_id_of_an_own_message_is_taken(
    api: httpx.Client, earlier: tuple[str, str]
) -> None:
    message_id, number = earlier
    wamid = wamid_of(api, message_id)

    assert send(api, message(number, reply_message_id=wamid)).status_code == 200

    assert quoted(api, number) == wamid


def test_any_other_whatsapp_id_is_passed_on(api: httpx.Client) -> None:
    number = somebody()

    assert send(api, message(number, reply_message_id="wamid.HBgLMTIzNDU=")).status_code == 200

    assert quoted(api, number) == "wamid.HBgLMTIzNDU="


def test_a_number_written_otherwise_is_the_same_recipient(
    api: httpx.Client, earlier: tuple[str, str]
) -> None:
    message_id, number = earlier
    spelled = f"{number[:3]} {number[3:6]}-{number[6:]}"

    assert send(api, message(spelled, reply_message_id=message_id)).status_code == 200

    assert quoted(api, number) == wamid_of(api, message_id)


def test_null_means_no_reply(api: httpx.Client) -> None:
    number = somebody()

    assert send(api, message(number, reply_message_id=None)).status_code == 200

    assert quoted(api, number) is None


@pytest.mark.parametrize("unknown", ["msg_01JDA3V8Q2Z7K4M9N6P5R1S0TX", "4711", "MSG", "wami.d"])
def test_an_id_that_alir_does_not_know_is_an_error(api: httpx.Client, unknown: str) -> None:
    answer = send(api, message(reply_message_id=unknown))

    assert errors(answer) == {"#/reply_message_id": "unknown_message"}
    assert "wamid" in assert_problem(answer, 422, "invalid_request")["errors"][0]["detail"]


def test_a_message_to_somebody_else_cannot_be_quoted(
    api: httpx.Client, earlier: tuple[str, str]
) -> None:
    message_id, _ = earlier

    for any_id in (message_id, wamid_of(api, message_id)):
        answer = send(api, message(reply_message_id=any_id))
        assert errors(answer) == {"#/reply_message_id": "other_conversation"}


def test_a_message_whose_whatsapp_id_is_not_known_yet_is_not_quoted_and_the_answer_warns(
    api: httpx.Client,
) -> None:
    number = somebody()
    send_at = rfc3339(datetime.now(UTC) + timedelta(hours=1))
    waiting = sent(api, message(number, send_at=send_at))

    answer = send(api, message(number, reply_message_id=waiting))

    assert answer.status_code == 200
    [warning] = answer.json()["data"]["warnings"]
    assert (warning["code"], warning["pointer"]) == ("reply_not_shown", "#/reply_message_id")
    assert quoted(api, number) is None


def test_a_wrong_reply_is_told_together_with_all_else_that_is_wrong(api: httpx.Client) -> None:
    body = message(
        "0812",
        reply_message_id="msg_unknown",
        expires_at="2020-01-01T00:00:00Z",
        **{"from": "nobody"},
    )

    assert errors(send(api, body, Idempotency_Key="k" * 256)) == {
        "#/to": "country_code_missing",
        "#/reply_message_id": "unknown_message",
        "#/expires_at": "in_the_past",
        "#/from": "unknown_sender",
        "#/Idempotency-Key": "invalid_idempotency_key",
    }


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("", "too_short"),
        ("w" * 513, "too_long"),
        ("wamid.\n", "control_character"),
        (7, "wrong_type"),
        ("{{ MESSAGE_ID }}", "placeholder"),
    ],
)
def test_what_can_be_no_id_is_refused(api: httpx.Client, given: object, code: str) -> None:
    assert errors(send(api, message(reply_message_id=given))) == {"#/reply_message_id": code}


def test_the_answer_of_a_person_can_be_quoted(api: httpx.Client) -> None:
    number = somebody()
    becomes(api, sent(api, message(number)), "read")
    written = api.post(f"/simulator/api/phones/{number}/messages", json={"text": "Hello?"})

    wamid = written.json()["data"]["wamid"]
    assert send(api, message(number, reply_message_id=wamid)).status_code == 200

    assert quoted(api, number) == wamid
