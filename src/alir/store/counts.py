"""How many messages are queued: counted by the writes that change it. Inside any transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, delete, func, insert, select, text, union_all

from alir.ids import SenderName
from alir.store import tables
from alir.store.sql import Connection, Statement, ThisSession, run, upsert

_m, _q = tables.message.c, tables.queue_count.c

_COUNT = Statement(upsert(tables.queue_count, added=("queued",), values={"session": ThisSession()}))
_QUEUED = select(_q.sender, func.sum(_q.queued)).group_by(_q.sender)


def count(connection: Connection, queued: Mapping[SenderName, int]) -> None:
    """Count that so many more messages of each sender are queued now, or fewer."""
    for sender, more in queued.items():
        _COUNT.run(connection, {"sender": sender, "queued": more})


def counted(connection: Connection) -> dict[SenderName, int]:
    """How many messages of each sender are queued; of one that never had any, nothing is said."""
    return {sender: int(queued) for sender, queued in run(connection, _QUEUED)}


def recount(connection: Connection) -> None:
    """Count all that is queued, which takes the longer the more that is. Nobody else may write."""
    run(connection, delete(tables.queue_count))
    run(connection, _RECOUNT)


def _counted(condition: str) -> Select[Any]:
    return (
        select(_m.sender, func.count().label("queued"))
        .where(text(f"status = 'queued' AND {condition}"))
        .group_by(_m.sender)
    )


# In two halves, as the indexes are, so that neither is sorted: 0.2 s for a million.
_halves = union_all(_counted("parked IS NULL"), _counted("parked IS NOT NULL")).subquery().c
_RECOUNT = insert(tables.queue_count).from_select(
    ["sender", "session", "queued"],
    select(_halves.sender, ThisSession(), func.sum(_halves.queued)).group_by(_halves.sender),
)
