"""Who wrote, and to whom a receipt belongs, by digits and by user id."""

from __future__ import annotations

from typing import Any

import pytest
from tests.clock import START
from tests.examples import MAIN

from alir.providers.whatsapp.codes import meanings
from alir.providers.whatsapp.told import told_in

DIGITS, USER_ID = "15551230001", "US.1234567890"
BOTH = {"wa_id": DIGITS, "user_id": USER_ID}


def names(contacts: object, *, message: Any = None, status: Any = None) -> list[Any]:
    """Digits and user id of whoever wrote, or got a message."""
    value = {
        "contacts": contacts,
        "messages": [] if message is None else [message],
        "statuses": [] if status is None else [{"id": "wamid.1", "status": "sent"} | status],
    }
    found = told_in(value, MAIN, START, meanings())
    return [(one.wa_id, one.user_id) for one in found]


@pytest.mark.parametrize(
    ("message", "contacts", "known"),
    [
        ({"from": DIGITS, "from_user_id": USER_ID}, [], (DIGITS, USER_ID)),
        ({"from": f"+{DIGITS}", "from_user_id": USER_ID}, None, (DIGITS, USER_ID)),
        ({"from": DIGITS}, [BOTH], (DIGITS, USER_ID)),
        ({"from": DIGITS}, [{"wa_id": f"+{DIGITS}", "user_id": USER_ID}], (DIGITS, USER_ID)),
        ({"from_user_id": USER_ID}, [BOTH], (DIGITS, USER_ID)),
        ({"from_user_id": USER_ID}, [{"user_id": USER_ID}], (None, USER_ID)),
        ({"from": DIGITS}, [{"wa_id": DIGITS}], (DIGITS, None)),
        ({"from": DIGITS}, [{"wa_id": "15551230002", "user_id": "US.2"}, BOTH], (DIGITS, USER_ID)),
        ({"from": DIGITS}, [{"wa_id": "15551230002", "user_id": USER_ID}], (DIGITS, None)),
    ],
)
def test_who_wrote_is_known_by_both_names_where_the_callback_has_both(
    message: dict[str, str], contacts: object, known: tuple[str | None, str | None]
) -> None:
    assert names(contacts, message=message) == [known]


@pytest.mark.parametrize(
    ("status", "contacts", "known"),
    [
        ({"recipient_id": DIGITS, "recipient_user_id": USER_ID}, [], (DIGITS, USER_ID)),
        ({"recipient_id": DIGITS}, [BOTH], (DIGITS, USER_ID)),
        ({"recipient_user_id": USER_ID}, [{"user_id": USER_ID}], (None, USER_ID)),
        ({"recipient_id": "GROUP-1"}, [BOTH], ("GROUP-1", None)),
        ({}, [BOTH], (None, None)),
    ],
)
def test_a_receipt_says_whose_it_is_by_both_names(
    status: dict[str, str], contacts: object, known: tuple[str | None, str | None]
) -> None:
    assert names(contacts, status=status) == [known]


@pytest.mark.parametrize(
    "contacts",
    [7, {}, "x", [None, 7, []], [{"wa_id": 7, "user_id": USER_ID}], [BOTH | {"user_id": []}]],
)
def test_contacts_of_another_form_say_nothing(contacts: object) -> None:
    assert names(contacts, message={"from": DIGITS}) == [(DIGITS, None)]
