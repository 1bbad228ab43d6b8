"""To whom attempts were begun lately, which whoever takes a sender over must know."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from operator import itemgetter
from typing import Final

from sqlalchemy import bindparam, func, select

from alir.clock import from_milliseconds, to_milliseconds
from alir.errors import StoreUnavailable
from alir.ids import SenderName
from alir.store import rows, tables
from alir.store.database import Database
from alir.store.sql import Connection, Statement, is_among

#: How many attempts are looked at in one go: some 30 ms, a hundredth of what a statement may take,
#: however many were begun lately.
PIECE: Final = 10_000

_m, _a = tables.message.c, tables.attempt.c

# No sender's name has a blank in it.
_BLANK: Final = " "
# Of each attempt, not a join, which might walk through every message there is; and both in one
# text, as a look-up gives one value.
_WHOSE = (
    select(_m.sender + _BLANK + func.coalesce(_m.to, _m.recipient))
    .where(_m.id == _a.message_id, is_among(_m.sender, "senders"))
    .scalar_subquery()
)
_begun = (
    select(_WHOSE.label("whose"), _a.begun_at)
    .where(_a.begun_at >= bindparam("since"), _a.begun_at < bindparam("upto"))
    .order_by(_a.begun_at)
    .offset(0)  # which keeps it apart: else PostgreSQL looks each message up twice
    .subquery()
    .c
)
_BEGUN = Statement(select(_begun.whose, _begun.begun_at).where(_begun.whose.is_not(None)))
_UPTO = Statement(
    select(_a.begun_at)
    .where(_a.begun_at >= bindparam("since"))
    .order_by(_a.begun_at)
    .limit(1)
    .offset(bindparam("piece"))
)
#: Later than any attempt was begun.
_NEVER: Final = 2**62

_Found = dict[SenderName, list[tuple[str, int]]]


@dataclass(slots=True, eq=False)
class _Look:
    """One look at what was begun lately, for all who asked before it began.

    Attributes:
        since: of each sender that was asked for, in milliseconds.
        found: recipients, and when each attempt was begun; none: nobody has looked to the end.
    """

    since: dict[SenderName, int] = field(default_factory=dict)
    found: _Found | None = None
    error: StoreUnavailable | None = None


class Lately:
    """Looks at what was begun lately, once for all who ask meanwhile.

    An attempt does not say whose it is (an index that did would cost every message), so that those
    of one sender are found by looking at everybody's. A process that takes many senders over looks
    twice, not once for each of them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._looking = asyncio.Lock()
        self._next = _Look()

    async def of(self, sender: SenderName, *, since: datetime) -> list[tuple[str, datetime]]:
        """To whom attempts of this sender were begun since then, and when each was, in that order.

        Everything that was on disk when it was asked for is among them.

        Raises:
            StoreUnavailable: it cannot be read now.
        """
        # One that is under way may have passed what was stored since it began.
        look, first = self._next, to_milliseconds(since)
        look.since[sender] = min(first, look.since.get(sender, first))
        async with self._looking:
            if look is self._next:
                self._next = _Look()
            if look.error is not None:
                raise look.error
            if look.found is None:  # also where whoever began to look was cancelled
                try:
                    look.found = await self._look(look.since)
                except StoreUnavailable as error:
                    look.error = error
                    raise
        found = look.found.get(sender, ())
        return [(person, from_milliseconds(at)) for person, at in found if at >= first]

    async def _look(self, senders: Mapping[SenderName, int]) -> _Found:
        found: _Found = defaultdict(list)
        names = rows.text(list(senders))
        since: int | None = min(senders.values())
        while since is not None:
            work = partial(_piece, senders=names, since=since)
            begun, since = await self._database.read(work)
            for whose, at in begun:
                sender, _, person = whose.partition(_BLANK)
                found[SenderName(sender)].append((person, at))
        return found


def _piece(
    connection: Connection, *, senders: str, since: int
) -> tuple[list[tuple[str, int]], int | None]:
    """Whose attempts were begun from then on, the next some of them; from when on others were."""
    row = _UPTO.run(connection, {"since": since, "piece": PIECE}).fetchone()
    # More than a piece of one moment are looked at all the same.
    upto = None if row is None else max(row[0], since + 1)
    values = {"senders": senders, "since": since, "upto": _NEVER if upto is None else upto}
    begun = _BEGUN.run(connection, values).fetchall()
    return sorted(((whose, at) for whose, at in begun), key=itemgetter(1)), upto
