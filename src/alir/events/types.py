"""An event: one thing that happened, in the one shape that every reader gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alir.ids import EventId

#: Every type of event that this version writes. `message.` and the status that the message moved
#: to, but for `duplicated`, which says that two attempts of one message arrived.
MESSAGE_EVENTS = (
    "message.queued",
    "message.accepted",
    "message.sent",
    "message.delivered",
    "message.read",
    "message.failed",
    "message.unknown",
    "message.cancelled",
    "message.expired",
    "message.duplicated",
)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        data: of a message event: the message as it stood at that event.
    """

    id: EventId
    type: str
    timestamp: datetime
    data: Mapping[str, Any]
