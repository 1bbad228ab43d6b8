"""How long a token of Route Mobile's is good: read from the token itself."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime, timedelta
from typing import Final

from alir.providers import lenient

#: It is not used any more so long before it ends.
MARGIN: Final = timedelta(seconds=60)
#: Where it does not say: they are good for an hour by default. Source: Route Mobile, log-in.
WITHOUT_EXPIRY: Final = timedelta(minutes=55)
#: Longer than any that was met; also keeps the sum of dates within the calendar.
_LONGEST: Final = timedelta(days=365)
_PARTS: Final = 3


def used_for(token: str, now: datetime) -> timedelta:
    """For how long a token that came just now is used.

    Up to `MARGIN` before its `exp`; a token that is short-lived, for half of its life. One that by
    our clock is over already is taken for good: the clocks differ, and a 401 tells in time.

    Args:
        token: a JSON Web Token. Its signature is none of our business.
    """
    ends_at = _expiry(token)
    left = None if ends_at is None else ends_at - now.timestamp()
    if left is None or left <= 0:
        return WITHOUT_EXPIRY
    life = timedelta(seconds=min(left, _LONGEST.total_seconds()))
    return life - min(MARGIN, life / 2)


def _expiry(token: str) -> float | None:
    """Unix seconds, which may have a fraction; None where there are none."""
    parts = token.split(".")
    if len(parts) != _PARTS:
        return None
    try:
        claims = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
    except (binascii.Error, ValueError):
        return None  # not a JSON Web Token: it does not say
    match lenient.parse(claims):
        case {"exp": int() | float() as seconds} if not isinstance(seconds, bool):
            return float(seconds)
    return None
