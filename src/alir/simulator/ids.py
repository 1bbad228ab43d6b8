"""Ids as WhatsApp and those in front of it make them up."""

from __future__ import annotations

import secrets
import uuid

#: Drawn once: ids of version 1 hold the number of the machine's network card otherwise.
_NODE = secrets.randbits(48)
_CLOCK_SEQUENCE = secrets.randbits(14)


def new_wamid() -> str:
    """A message id as WhatsApp's look, of letters, digits, `.`, `-` and `_` only."""
    return f"wamid.HBg{secrets.token_urlsafe(24)}"


def new_request_id() -> str:
    """An id as Route Mobile gives: a UUID of version 1, which tells the time."""
    return str(uuid.uuid1(_NODE, _CLOCK_SEQUENCE))
