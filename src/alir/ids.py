"""One type per identifier, and how each is made."""

from __future__ import annotations

from typing import NewType

from ulid import ULID

MessageId = NewType("MessageId", str)  #: `msg_` and a ULID
EventId = NewType("EventId", str)  #: `evt_`, the ULID of its message, and which change told it
ApiTokenId = NewType("ApiTokenId", str)  #: `tok_` and a ULID; names an API token, opens nothing
SenderName = NewType("SenderName", str)  #: the key under `[senders]`, such as `main`
ProviderId = NewType("ProviderId", str)  #: the provider's own id of a message (`wamid.…`)


def new_message_id() -> MessageId:
    """A new id; later ones sort after earlier ones, to the millisecond."""
    return MessageId(f"msg_{ULID()}")


def event_id(message: MessageId, version: int, position: int) -> EventId:
    """The id of event `position` of the change that made `version` of a message.

    >>> event_id(MessageId("msg_01JABCDEFGHJKMNPQRSTVWXYZ0"), 3, 0)
    'evt_01JABCDEFGHJKMNPQRSTVWXYZ0_3.0'
    """
    return EventId(f"evt_{message[4:]}_{version}.{position}")


def new_api_token_id() -> ApiTokenId:
    """A new id, kept when the API token is rotated."""
    return ApiTokenId(f"tok_{ULID()}")
