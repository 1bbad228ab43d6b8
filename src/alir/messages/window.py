"""The 24 hours in which a person who wrote can be sent anything; afterwards only templates go.

Source: Meta, "Send messages", section on customer service windows, read 2025-12.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

WINDOW: Final = timedelta(hours=24)
#: A message that leaves this shortly before the end may arrive after it; alir's own.
MARGIN: Final = timedelta(seconds=30)


def is_shut(heard_at: datetime | None, at: datetime) -> bool:
    """Whether the window is known to be shut at `at`, of a person who last wrote at `heard_at`.

    Of a person whom alir has never heard, nobody knows: perhaps that was before alir was there.

    >>> from datetime import UTC
    >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    >>> [is_shut(noon, noon + timedelta(hours=hours)) for hours in (1, 23, 24, 25)]
    [False, False, True, True]
    >>> is_shut(None, noon)
    False
    """
    return heard_at is not None and heard_at + WINDOW - MARGIN <= at
