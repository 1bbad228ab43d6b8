"""Callbacks: kept raw before they are answered, applied afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from functools import partial

import orjson
from sqlalchemy import bindparam, insert, select, text, update

from alir.clock import Clock, to_milliseconds
from alir.ids import SenderName
from alir.receipts.ports import RawCallback
from alir.store import rows, tables
from alir.store.database import Database
from alir.store.sql import Connection, Statement

#: Bounds what is read of unapplied callbacks at once, and what is applied together. A callback
#: may have 4 MiB, and then comes alone.
LARGEST_PAGE = 50
LARGEST_PAGE_BYTES = 4 * 1024 * 1024

_c = tables.callback.c

_PUT = Statement(
    insert(tables.callback).values(
        {n: bindparam(n) for n in ("provider", "received_at", "senders", "body")}
    ),
)
_APPLIED = Statement(
    update(tables.callback)
    .where(_c.seq == bindparam("seq_"))
    .values({"applied_at": bindparam("applied_at")})
)
_UNAPPLIED = Statement(
    select(_c.seq, _c.provider, _c.senders, _c.body)
    .where(text("callback.applied_at IS NULL"), _c.seq > bindparam("after"))
    .order_by(_c.seq)
    .limit(bindparam("limit"))
)


class CallbackStore:
    """The callbacks of one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def keep(self, provider: str, senders: Sequence[SenderName], body: bytes) -> RawCallback:
        """Store a callback as it came in; once this returns it may be answered."""
        values = {
            "provider": provider,
            "received_at": to_milliseconds(self._clock.now()),
            "senders": rows.text(list(senders)),
            "body": body,
        }
        seq = await self._database.write(
            lambda connection: _PUT.insert(connection, values, number="seq")
        )
        return RawCallback(seq, provider, tuple(senders), body)

    async def unapplied(self) -> AsyncIterator[Sequence[RawCallback]]:
        """What a crash left unapplied, oldest first, in pages that memory has room for."""
        after = 0
        while page := await self._database.read(partial(_page, after=after)):
            yield page
            after = page[-1].seq


def _page(connection: Connection, *, after: int) -> Sequence[RawCallback]:
    page, size = [], 0
    values = {"after": after, "limit": LARGEST_PAGE}
    for seq, provider, senders, body in _UNAPPLIED.run(connection, values):
        page.append(RawCallback(seq, provider, tuple(orjson.loads(senders)), body))
        size += len(body)
        if size >= LARGEST_PAGE_BYTES:
            break
    return page


def mark_applied(connection: Connection, callback: int, now: datetime) -> None:
    """Mark it, inside the transaction that applied it."""
    _APPLIED.run(connection, {"seq_": callback, "applied_at": to_milliseconds(now)})
