"""The types of events, as users see them: what `messages.life` says has happened, and its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_HAPPENS_TO_MESSAGES = (
    *("queued", "accepted", "sent", "delivered", "read"),
    *("failed", "unknown", "cancelled", "expired"),
    "duplicated",  # two attempts of one message arrived
)

#: Types of event that are about a sender.
SENDER_PAUSED: Final = "sender.paused"
SENDER_RESUMED: Final = "sender.resumed"

#: Type of event by what happened to a message.
MESSAGE_EVENTS: Final[Mapping[str, str]] = {
    name: f"message.{name}" for name in _HAPPENS_TO_MESSAGES
}
