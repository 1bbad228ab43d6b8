"""The mark that travels with an attempt and comes back in its receipts."""

from __future__ import annotations

import re

from alir.ids import MessageId
from alir.receipts.model import Mark

#: `alir:` and a version, so that a later form is told from this one and from other software's.
_PREFIX = "alir1:"
_FORM = re.compile(rf"{_PREFIX}(msg_[0-9A-HJKMNP-TV-Z]{{26}}):([1-9][0-9]{{0,5}})")


def write(message_id: MessageId, attempt: int) -> str:
    """The mark of an attempt; 38 to 43 characters, nothing personal in it."""
    return f"{_PREFIX}{message_id}:{attempt}"


def read(text: object) -> Mark | None:
    """The attempt that a mark names; None where it is not one of alir's.

    >>> read(write(MessageId("msg_01JABCDEFGHJKMNPQRSTVWXYZ0"), 2))
    Mark(message_id='msg_01JABCDEFGHJKMNPQRSTVWXYZ0', attempt=2)
    >>> read("somebody else's") is None
    True
    """
    found = _FORM.fullmatch(text) if isinstance(text, str) else None
    return None if found is None else Mark(MessageId(found[1]), int(found[2]))
