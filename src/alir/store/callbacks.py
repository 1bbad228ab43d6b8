"""Callbacks: kept raw before they are answered, applied afterwards by who claims them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import orjson
from sqlalchemy import and_, bindparam, func, insert, null, or_, select, text, update

from alir.clock import Clock, to_milliseconds
from alir.ids import SenderName
from alir.receipts.ports import RawCallback
from alir.store import rows, tables
from alir.store.database import Database
from alir.store.sql import Connection, Statement, is_among

#: Bounds what is claimed at once, and applied together. A callback may have 4 MiB, and then comes
#: alone.
LARGEST_PAGE = 50
LARGEST_PAGE_BYTES = 4 * 1024 * 1024
#: How long a claim lasts, by the clock of the process that makes it, from before it is stored: the
#: longest that a write takes which is in doubt (twice `writer.PATIENCE_SECONDS`). What is applied
#: takes milliseconds. Clocks that differ do no harm: what is applied twice changes nothing.
CLAIM_SECONDS = 10

_CLAIM = CLAIM_SECONDS * 1000
_MILLISECOND: Final = timedelta(milliseconds=1)
#: In place of the end of a claim: no process could apply it, and none tries until one starts.
_LEFT: Final = 2**63 - 1

_c = tables.callback.c

_PUT = Statement(
    insert(tables.callback).values(
        {
            name: bindparam(name)
            for name in ("provider", "received_at", "senders", "body", "claimed_until")
        }
    ),
)
_UNAPPLIED = text("callback.applied_at IS NULL")
_FREE = or_(
    _c.claimed_until.is_(None),
    _c.claimed_until <= bindparam("now"),
    # It ends later than any claim can: the clock that made it was wrong, or was set back since.
    and_(_c.claimed_until > bindparam("too_late"), _c.claimed_until < _LEFT),
)
# Asked every second by every process, and nearly always there is none: that must not cost a write.
_ANY = Statement(select(_c.seq).where(_UNAPPLIED, _FREE).limit(1))
# One from long after now is no young one: the clock of the process that kept it is wrong.
_OLD = Statement(
    select(_c.seq)
    .where(
        _UNAPPLIED,
        or_(_c.claimed_until.is_(None), _c.claimed_until < _LEFT),
        or_(_c.received_at < bindparam("before"), _c.received_at > bindparam("after")),
    )
    .limit(1)
)
# Bodies are read once it is known how many there is room for. What another process is just
# claiming is passed by; SQLite has one writer at a time.
_FIND = Statement(
    select(_c.seq, func.length(_c.body))
    .where(_UNAPPLIED, _FREE)
    .order_by(_c.seq)
    .limit(LARGEST_PAGE)
    .with_for_update(skip_locked=True)
)
_TAKE = Statement(
    update(tables.callback)
    .where(is_among(_c.seq, "seqs"))
    .values({"claimed_until": bindparam("until")})
)
_READ = Statement(
    select(_c.seq, _c.provider, _c.senders, _c.body)
    .where(is_among(_c.seq, "seqs"))
    .order_by(_c.seq)
)
_LEAVE = Statement(
    update(tables.callback).where(_c.seq == bindparam("seq_")).values({"claimed_until": _LEFT})
)
_FREE_LEFT = Statement(
    update(tables.callback)
    .where(_UNAPPLIED, _c.claimed_until == _LEFT)
    .values({"claimed_until": null()})
)
_FREE_ALL = Statement(
    update(tables.callback)
    .where(_UNAPPLIED, _c.claimed_until.is_not(None))
    .values({"claimed_until": null()})
)
_APPLIED = Statement(
    update(tables.callback)
    .where(_c.seq == bindparam("seq_"))
    .values({"applied_at": bindparam("applied_at")})
)


class CallbackStore:
    """The callbacks of one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def keep(
        self, provider: str, senders: Sequence[SenderName], body: bytes, *, claim: bool = True
    ) -> RawCallback:
        """Store a callback as it came in; once this returns it may be answered.

        Args:
            claim: whether this process applies it; else any that does may claim it.
        """
        self._database.require_room()
        now = to_milliseconds(self._clock.now())
        values = {
            "provider": provider,
            "received_at": now,
            "senders": rows.text(list(senders)),
            "body": body,
            "claimed_until": now + _CLAIM if claim else None,
        }
        seq = await self._database.write(
            lambda connection: _PUT.insert(connection, values, number="seq")
        )
        return RawCallback(seq, provider, tuple(senders), body)

    async def claim(self) -> Sequence[RawCallback]:
        """Claim what nobody applies now, oldest first, as much as memory has room for.

        Of what is not applied, nobody applies what nobody claimed, and what was claimed
        `CLAIM_SECONDS` ago. Processes that claim at once get different callbacks.
        """
        if not await self._database.read(self._is_any_free):
            return ()
        return await self._database.write(self._claim)

    async def leave(self, callback: int) -> None:
        """Have nobody claim a callback that cannot be applied, until `free`."""
        await self._database.write(
            lambda connection: _LEAVE.run(connection, {"seq_": callback}).close()
        )

    async def free(self, *, claimed: bool) -> None:
        """Let what was left be claimed once more.

        Args:
            claimed: what is claimed, too: whoever claimed it is gone for sure.
        """
        statement = _FREE_ALL if claimed else _FREE_LEFT
        await self._database.write(lambda connection: statement.run(connection, {}).close())

    async def any_unapplied(self, *, longer_than: timedelta) -> bool:
        """Whether a callback was kept longer ago than that, and is still to be applied.

        Those that cannot be applied do not count. Nor does who has claimed it: that one may have
        been killed since.
        """
        age, now = longer_than // _MILLISECOND, self._now()
        values = {"before": now - age, "after": now + age}
        return await self._database.read(
            lambda connection: _OLD.run(connection, values).fetchone() is not None
        )

    def _is_any_free(self, connection: Connection) -> bool:
        return _ANY.run(connection, self._free_at(self._now())).fetchone() is not None

    def _claim(self, connection: Connection) -> Sequence[RawCallback]:
        now = self._now()
        found = _FIND.run(connection, self._free_at(now))
        seqs: list[int] = []
        size = 0
        for seq, length in found.fetchall():
            if seqs and size + length > LARGEST_PAGE_BYTES:
                break
            seqs.append(seq)
            size += length
        if not seqs:
            return ()
        page = {"seqs": rows.text(seqs), "until": now + _CLAIM}
        _TAKE.run(connection, page)
        return [
            RawCallback(seq, provider, tuple(orjson.loads(senders)), body)
            for seq, provider, senders, body in _READ.run(connection, page)
        ]

    def _now(self) -> int:
        return to_milliseconds(self._clock.now())

    @staticmethod
    def _free_at(now: int) -> dict[str, int]:
        return {"now": now, "too_late": now + 2 * _CLAIM}


def mark_applied(connection: Connection, callbacks: Sequence[int], now: datetime) -> None:
    """Mark them, inside the transaction that applied them."""
    at = to_milliseconds(now)
    _APPLIED.run_many(connection, [{"seq_": seq, "applied_at": at} for seq in callbacks])
