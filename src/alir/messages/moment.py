"""Reading a moment as RFC 3339 writes it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from alir.errors import Fault, RequestInvalid

#: What `read_moment` takes, as a JSON schema can say it. Which days exist is beyond a pattern.
MOMENT_PATTERN: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})$"
)
#: RFC 3339, section 5.6. Without the last group it is a moment of nobody knows where.
_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(Z|[+-]\d\d:\d\d)?", re.ASCII | re.IGNORECASE
)


def read_moment(text: str, pointer: str) -> datetime:
    """The moment that `text` means, in UTC and cut to milliseconds, as the store keeps it.

    Raises:
        RequestInvalid: it means none; with a single fault, which says that it is at `pointer`.

    >>> read_moment("2030-01-31T10:00:00.1239+07:00", "#/send_at").isoformat()
    '2030-01-31T03:00:00.123000+00:00'
    """
    written = _MOMENT.fullmatch(text)
    if written is None:
        detail = "write it like 2030-01-31T09:00:00Z (RFC 3339)"
    elif written[1] is None:
        detail = "the offset is missing: add Z for UTC, or one such as +07:00"
    else:
        try:
            moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            detail = "there is no such day or time"
        else:
            return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    raise RequestInvalid([Fault(pointer, "invalid_time", detail)])
