"""Messages to business-scoped user ids over HTTP, behind each sender's switch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
from tests.acceptance.talk import (
    MESSAGES,
    at_simulator,
    becomes,
    errors,
    message,
    running,
    send,
)

USER_ID: Final = "US.13491208655302741918"


@pytest.fixture(scope="module")
def by_user_id(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A gateway whose senders write to user ids."""
    folder = tmp_path_factory.mktemp("user-ids")
    with running(folder, ALIR_CLOUD__RECIPIENTS_BY_USER_ID="true") as (_, api):
        yield api


def to_user(user_id: str = USER_ID, **changes: Any) -> dict[str, Any]:
    whole = message(recipient=user_id, **changes)
    del whole["to"]
    return whole


@pytest.mark.parametrize("user_id", [USER_ID, "ID.ENT.11815799212886844830"])
def test_a_message_to_a_user_id_goes_out_in_the_field_for_them_and_becomes_read(
    by_user_id: httpx.Client, user_id: str
) -> None:
    answer = send(by_user_id, to_user(user_id))

    assert answer.status_code == 200
    data = answer.json()["data"]
    assert data["status"] == "accepted"
    assert "warnings" not in data
    shown = becomes(by_user_id, data["id"], "read")
    assert (shown["recipient"], shown["to"], shown["flags"]) == (user_id, None, [])
    assert [one["outcome"] for one in shown["attempts"]] == ["accepted"]
    [seen] = at_simulator(by_user_id, user_id)
    assert seen["request"]["recipient"] == user_id
    assert "to" not in seen["request"]


def test_a_user_id_that_whatsapp_does_not_allow_here_is_refused(by_user_id: httpx.Client) -> None:
    answer = send(by_user_id, to_user("US.15550131062"))

    assert answer.status_code == 422
    assert answer.json()["provider"]["code"] == "131062"


def test_a_message_to_a_user_id_whose_window_is_shut_goes_out_as_its_fallback(
    by_user_id: httpx.Client,
) -> None:
    user_id = "US.15550131047"
    fallback = {"name": "visit", "language": "id", "flow": {}}
    data = send(by_user_id, to_user(user_id, fallback=fallback)).json()["data"]

    assert becomes(by_user_id, data["id"], "read")["flags"] == ["fallback"]
    kinds = [one["request"]["type"] for one in at_simulator(by_user_id, user_id)]
    assert kinds == ["interactive", "template"]


def test_to_and_recipient_together_are_a_fault(by_user_id: httpx.Client) -> None:
    assert errors(send(by_user_id, message(recipient=USER_ID)))


def test_a_sender_without_the_switch_refuses_user_ids_and_stores_nothing(
    api: httpx.Client,
) -> None:
    answer = send(api, to_user())

    assert set(errors(answer)) == {"#/recipient"}
    assert api.get(MESSAGES).json()["data"] == []
    assert at_simulator(api, USER_ID) == []
