"""The leases of senders, and the processes that share a database."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta

import orjson
from sqlalchemy import bindparam, delete, null, or_, select, update

from alir.clock import Clock, to_milliseconds
from alir.dispatch.lease import LeaseRow, Part, View
from alir.dispatch.leases import CHANGE_OF_HANDS, Taken
from alir.ids import Fence, SenderName
from alir.store import rows, tables
from alir.store.database import Database
from alir.store.sql import Connection, DatabaseNow, Statement, insert_or_ignore, upsert

_l, _p = tables.sender_lease.c, tables.process.c
_MILLISECOND = timedelta(milliseconds=1)
#: A process that was not heard of for so long is forgotten.
_FORGOTTEN_AFTER = timedelta(hours=1)

#: What ends so many times later than it may last is from before the database's clock was set back.
#: Not once: while settings are changed, processes differ in how long that is.
_BEYOND = 4

_NOW = Statement(select(DatabaseNow()))
_ALIVE = Statement(
    select(_p.name, _p.senders, _p.takes_callbacks, _p.applies_callbacks).where(
        _p.alive_until > bindparam("now")
    )
)
_LEASES = Statement(select(_l.sender, _l.fence, _l.until, _l.holder))
_LIVES = Statement(
    upsert(
        tables.process, replaced=["senders", "alive_until", "takes_callbacks", "applies_callbacks"]
    )
)
_FORGET = Statement(delete(tables.process).where(_p.alive_until < bindparam("before")))
_CUT_PROCESSES = Statement(
    update(tables.process)
    .where(_p.alive_until > bindparam("beyond"))
    .values(alive_until=bindparam("until_"))
)
_RENEW = Statement(
    update(tables.sender_lease)
    .where(or_(_l.holder == bindparam("process"), _l.until > bindparam("beyond")))
    .values(until=bindparam("until_"))
)
_NEW = Statement(insert_or_ignore(tables.sender_lease))
# One of which something is just being begun is left for the next look: nobody waits for it.
_FREE = Statement(
    select(_l.fence, _l.until, _l.holder)
    .where(_l.sender == bindparam("sender"))
    .with_for_update(skip_locked=True)
)
_TAKE = Statement(
    update(tables.sender_lease)
    .where(_l.sender == bindparam("sender_"))
    .values(fence=bindparam("fence_"), until=bindparam("until_"), holder=bindparam("process"))
)
_RELEASE = Statement(
    update(tables.sender_lease)
    .where(_l.sender == bindparam("sender_"), _l.holder == bindparam("process"))
    .values(until=bindparam("until_"), holder=null())
)
_LEAVE = Statement(delete(tables.process).where(_p.name == bindparam("process")))
# Whoever takes the sender comes after what is begun under this number, or before it.
_STANDS = Statement(
    select(_l.fence)
    .where(
        _l.sender == bindparam("sender"),
        _l.fence == bindparam("fence"),
        _l.holder.is_not(None),
    )
    .with_for_update(read=True)
)


class LeaseStore:
    """The leases of one database.

    Args:
        clock: goes in place of the database's own, which is what counts between machines.
    """

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._now: Callable[[Connection], int] = _database_now
        if clock is not None:
            self._now = lambda _: to_milliseconds(clock.now())

    async def look(self) -> View:
        """How things stand. Long lists that are read meanwhile do not hold it up."""
        return await self._database.read(self._view, at_once=True)

    async def renew(self, process: str, part: Part, lasts: timedelta) -> View:
        """The process lives, and so do the leases that it holds, for so long from now.

        What ends later than it can is cut to the same time: the clock was set back. Who lives
        renews it before it is over; of who is gone it would go on for as much longer.
        """

        def work(connection: Connection) -> View:
            now = self._now(connection)
            until = now + lasts // _MILLISECOND
            beyond = now + _BEYOND * lasts // _MILLISECOND
            lives = {
                "name": process,
                "senders": rows.text(list(part.senders)),
                "alive_until": until,
                "takes_callbacks": int(part.takes_callbacks),
                "applies_callbacks": int(part.applies_callbacks),
            }
            _LIVES.run(connection, lives)
            _RENEW.run(connection, {"process": process, "until_": until, "beyond": beyond})
            _CUT_PROCESSES.run(connection, {"until_": until, "beyond": beyond})
            _FORGET.run(connection, {"before": now - _FORGOTTEN_AFTER // _MILLISECOND})
            return self._view(connection)

        return await self._database.write(work)

    async def take(self, sender: SenderName, process: str, lasts: timedelta) -> Taken | None:
        """Take the lease of a sender; None: another process holds it, or is about to."""

        def work(connection: Connection) -> Taken | None:
            _NEW.run(connection, {"sender": sender, "fence": 0, "until": 0, "holder": None})
            free = _FREE.run(connection, {"sender": sender}).fetchone()
            if free is None:
                return None
            number, until, holder = free
            now = self._now(connection)
            if holder not in (None, process) and until > now:
                return None
            values = {
                "sender_": sender,
                "fence_": number + 1,
                "until_": now + lasts // _MILLISECOND,
                "process": process,
            }
            _TAKE.run(connection, values)
            fence = Fence(sender, number + 1)
            if holder == process:
                return Taken(fence, timedelta(), was_left=False)
            lasted = min((until - now) * _MILLISECOND, lasts)
            wait = max(timedelta(), CHANGE_OF_HANDS + lasted)
            return Taken(fence, wait, was_left=holder is not None)

        return await self._database.write(work)

    async def release(self, sender: SenderName, process: str) -> None:
        """Let go of its lease, if the process holds it."""

        def work(connection: Connection) -> None:
            values = {"sender_": sender, "process": process, "until_": self._now(connection)}
            _RELEASE.run(connection, values)

        await self._database.write(work)

    async def leave(self, process: str) -> None:
        """The process ends."""
        await self._database.write(
            lambda connection: _LEAVE.run(connection, {"process": process}).close()
        )

    def _view(self, connection: Connection) -> View:
        now = self._now(connection)
        alive = _ALIVE.run(connection, {"now": now}).fetchall()
        return View(
            now,
            {name: tuple(map(SenderName, orjson.loads(senders))) for name, senders, _, _ in alive},
            {
                SenderName(sender): LeaseRow(fence, until, holder)
                for sender, fence, until, holder in _LEASES.run(connection, {})
            },
            callbacks_taken=any(takes for _, _, takes, _ in alive),
            callbacks_applied=any(applies for _, _, _, applies in alive),
        )


def stands(connection: Connection, fence: Fence) -> bool:
    """Whether the sender still is that of the process that names `fence`; so until the commit."""
    values = {"sender": fence.sender, "fence": fence.number}
    return _STANDS.run(connection, values).fetchone() is not None


def standing(connection: Connection, fences: Iterable[Fence | None]) -> set[Fence | None]:
    """Those of `fences` that stand, in an order in which nobody waits for another in a circle."""
    named = sorted({fence for fence in fences if fence is not None})
    return {None, *(fence for fence in named if stands(connection, fence))}


def _database_now(connection: Connection) -> int:
    [now] = _NOW.run(connection, {}).fetchone()
    return int(now)
