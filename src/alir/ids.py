"""One type per identifier, and how each is made."""

from __future__ import annotations

import os
import random
import time
from functools import lru_cache
from typing import NamedTuple, NewType

MessageId = NewType("MessageId", str)  #: `msg_` and a ULID
EventId = NewType("EventId", str)  #: `evt_`, the ULID of its message, and which change told it
ApiTokenId = NewType("ApiTokenId", str)  #: `tok_` and a ULID; names an API token, opens nothing
SenderName = NewType("SenderName", str)  #: the key under `[senders]`, such as `main`
ProviderId = NewType("ProviderId", str)  #: the provider's own id of a message (`wamid.…`)


class Fence(NamedTuple):
    """Names a time in which a sender belongs to one process: a later one has a greater number."""

    sender: SenderName
    number: int


MESSAGE_ID_LENGTH = 30  #: `msg_` and the 26 digits of a ULID


def new_message_id() -> MessageId:
    """A new id; later ones sort after earlier ones, to the millisecond."""
    return MessageId(f"msg_{_ulid()}")


def event_id(message: MessageId, version: int, position: int) -> EventId:
    """The id of event `position` of the change that made `version` of a message.

    >>> event_id(MessageId("msg_01JABCDEFGHJKMNPQRSTVWXYZ0"), 3, 0)
    'evt_01JABCDEFGHJKMNPQRSTVWXYZ0_3.0'
    """
    return EventId(f"evt_{message[4:]}_{version}.{position}")


def new_event_id() -> EventId:
    """The id of an event that is about no message."""
    return EventId(f"evt_{_ulid()}")


def new_api_token_id() -> ApiTokenId:
    """A new id, kept when the API token is rotated."""
    return ApiTokenId(f"tok_{_ulid()}")


#: Crockford's base 32, and every pair of its digits: two are written at a time.
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [high + low for high in _DIGITS for low in _DIGITS]
_SHIFTS = range(70, -1, -10)
#: An id is no secret: it must be like no other, not hard to guess. The kernel is asked once.
_random = random.Random(os.urandom(32))  # noqa: S311 - no secret


def _ulid() -> str:
    return ulid(time.time_ns() // 1_000_000, _random.getrandbits(80))


def ulid(milliseconds: int, chance: int) -> str:
    """48 bits of milliseconds since 1970 and 80 random ones, as 26 digits that sort by time.

    Source:
        The ULID specification. The library that was used before takes twice as long, and an id
        is made for every message.
    """
    return _moment(milliseconds) + "".join([_PAIRS[chance >> shift & 1023] for shift in _SHIFTS])


@lru_cache(maxsize=1)
def _moment(milliseconds: int) -> str:
    return "".join([_DIGITS[milliseconds >> shift & 31] for shift in range(45, -1, -5)])
