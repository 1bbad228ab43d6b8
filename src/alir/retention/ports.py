"""What purging asks of the store."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple, Protocol

from alir.retention.model import Kind

#: Where a walk through the things of one kind has come to: the key of the last one.
Place = tuple[Any, ...]


class Stretch(NamedTuple):
    """Some things of one kind that lie one behind the other.

    Attributes:
        upto: the key of the last of them; none: there are none.
        old: how many of them may go.
        more: whether anything that may go can lie behind them.
    """

    upto: Place | None
    old: int
    more: bool


class Aged(Protocol):
    """Everything that grows old."""

    async def look(
        self, kind: Kind, *, before: datetime, after: Place | None, limit: int
    ) -> Stretch:
        """The next `limit` things of a kind behind `after` (none: from the beginning)."""
        ...

    async def remove(
        self, kind: Kind, *, before: datetime, after: Place | None, upto: Place
    ) -> int:
        """Remove what of this stretch may go, in one write; how many that were.

        Raises:
            StoreUnavailable: nothing was removed, or (`in_doubt`) nobody can say.
        """
        ...
