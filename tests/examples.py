"""Messages for tests: invented numbers, no rule broken."""

from __future__ import annotations

from typing import Any

from tests.clock import START

from alir.ids import ApiTokenId, SenderName, new_message_id
from alir.messages import life
from alir.messages.life import Change
from alir.messages.model import Message, OnUnknown

MAIN = SenderName("main")
OTHER = SenderName("other")
TOKEN = ApiTokenId("tok_01JABCDEFGHJKMNPQRSTVWXYZ0")

FLOW: dict[str, Any] = {
    "id": "987654321098765",
    "token": "visit-1",
    "text": "Choose a time",
    "action": "navigate",
    "screen": "START",
    "mode": "published",
    "param": {"body": "Pick a time that suits you."},
}

TEMPLATE: dict[str, Any] = {
    "name": "visit_form",
    "language": "en_US",
    "button_index": 0,
    "flow": {"token": "visit-1"},
}


def begin_due(message: Message, *, window_shut: bool, head_of: str | None = None) -> Change | None:
    """A judge that begins everything that is due, unless it has expired by then."""
    now = max(message.due_at, START)
    return life.expire(message, now=now) or life.begin(message, now=now, window_shut=window_shut)


def a_message(**changes: Any) -> Message:
    """A message that was accepted at `START`, with `changes`."""
    fields: dict[str, Any] = {
        "id": new_message_id(),
        "token_id": TOKEN,
        "sender": MAIN,
        "to": "+15551230001",
        "flow": FLOW,
        "on_unknown": OnUnknown.HOLD,
        "created_at": START,
        "due_at": START,
        "first_due_at": START,
    }
    return Message(**(fields | changes))
