"""How long a provider asks to wait."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from alir.providers import lenient

#: Digits of a wait that is believed: seconds of some months, minutes of some years.
_DIGITS = 7
_USAGE_HEADER = "x-business-use-case-usage"
_REGAIN = "estimated_time_to_regain_access"


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """The wait that `Retry-After` asks for, in seconds or up to a date; None: it asks for none.

    Source: RFC 9110, section 10.2.3.

    >>> retry_after({"retry-after": "30"}, datetime(2026, 1, 1, tzinfo=UTC))
    datetime.timedelta(seconds=30)
    >>> date = "Thu, 01 Jan 2026 00:01:00 GMT"
    >>> retry_after({"retry-after": date}, datetime(2026, 1, 1, tzinfo=UTC))
    datetime.timedelta(seconds=60)
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return timedelta(seconds=int(value)) if len(value) <= _DIGITS else None
    try:
        until = parsedate_to_datetime(value)
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        return max(until - now, timedelta())
    except (ValueError, IndexError, OverflowError):
        return None  # neither of the two forms: nothing is asked for


def until_access_is_regained(headers: Mapping[str, str]) -> timedelta | None:
    """The longest wait that Meta's usage header estimates; None: it estimates none.

    Its value is JSON: business account to a list of uses, each with
    `estimated_time_to_regain_access` in minutes, 0 while nothing is used up.

    Source: Meta, "Rate limits", Business Use Case limits, read 2026-09-11.
    """
    content = lenient.parse(headers.get(_USAGE_HEADER, "").encode(errors="replace"))
    uses = [
        use
        for listed in (content.values() if isinstance(content, dict) else ())
        for use in (listed if isinstance(listed, list) else ())
    ]
    minutes = max((_minutes(use.get(_REGAIN)) for use in uses if isinstance(use, dict)), default=0)
    return timedelta(minutes=minutes) if minutes else None


def _minutes(value: object) -> int:
    match value:
        case int() if 0 < value < 10**_DIGITS and not isinstance(value, bool):
            return value
    return 0
