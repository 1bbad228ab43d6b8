"""What is older than it is kept: looked for on a reading connection, removed in small writes.

No index is kept for this, as each message would pay for it: keys that are counted up grow with
time, so that what is old lies at their beginning. Contacts and aliases are few, a row a person,
and are walked through whole. Only messages to user ids pay for an index, by which an alias is kept.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    and_,
    bindparam,
    case,
    delete,
    exists,
    or_,
    select,
    tuple_,
)

from alir.clock import to_milliseconds
from alir.retention.model import STILL_TO_COME, Kind
from alir.retention.ports import Place, Stretch
from alir.store import tables
from alir.store.database import Database
from alir.store.sql import Connection, Statement, Values
from alir.store.writing import remove_whole

_m, _a = tables.message.c, tables.attempt.c
_event, _callback = tables.event.c, tables.callback.c
_contact, _alias = tables.contact.c, tables.alias.c
_BEFORE: ColumnElement[Any] = bindparam("before")

_ENDED = and_(*(_m.status != status.value for status in STILL_TO_COME))
#: One that is under way, whatever the message has come to, or that was begun not long ago: a
#: message may have waited for months before it went.
_LIVELY_ATTEMPT = exists().where(
    _a.message_id == _m.id, or_(_a.outcome.is_(None), _a.begun_at >= _BEFORE)
)
#: The person whom the alias names wrote, or was written to, and is remembered for it.
_REMEMBERED = or_(
    *(
        remembered
        for name in (_alias.number, _alias.wa_id)
        for remembered in (
            exists().where(_contact.sender == _alias.sender, _contact.wa_id == name),
            exists().where(_m.to == "+" + name),
            exists().where(_m.recipient == name),
        )
    ),
)


class _Walk:
    """How things of one kind are walked through in the order of their key, and removed.

    Args:
        key: the columns of the table's key.
        old: what may go.
        young: what is younger than all that may go; only where the key grows with time.
        message: the column with the id, where they are messages.
    """

    def __init__(
        self,
        *key: Column[Any],
        old: ColumnElement[bool],
        young: ColumnElement[bool] | None = None,
        message: Column[Any] | None = None,
    ) -> None:
        self.keys = len(key)
        self.grows_with_time = young is not None
        flags = [case((flag, 1), else_=0) for flag in (old, young) if flag is not None]
        behind, upto = _compared(key)
        self.look = Statement(
            select(*key, *flags).where(behind).order_by(*key).limit(bindparam("limit"))
        )
        may_go = (behind, upto, old)
        # In two steps, as an SQLite of before 3.35 does not say what it removes.
        self._find = (
            None if message is None else Statement(select(message).where(*may_go).with_for_update())
        )
        self._remove = Statement(delete(key[0].table).where(*may_go))

    def remove(self, connection: Connection, values: Values) -> int:
        """Remove what may go of a stretch; how many that were."""
        if self._find is None:
            return self._remove.run(connection, values).rowcount
        ids = [row[0] for row in self._find.run(connection, values)]
        remove_whole(connection, ids)
        return len(ids)


def _compared(key: tuple[Column[Any], ...]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """That a row lies behind the place `after`, and not behind the place `upto`."""
    if len(key) == 1:
        return key[0] > bindparam("after_0"), key[0] <= bindparam("upto_0")
    place = tuple_(*key)
    after, upto = (
        tuple_(*(bindparam(f"{end}_{at}") for at in range(len(key)))) for end in ("after", "upto")
    )
    return place > after, place <= upto


_WALKS = {
    Kind.MESSAGES: _Walk(
        _m.seq,
        # Receipts may still come to what has ended, but none that anybody waits for.
        old=and_(_ENDED, _m.created_at < _BEFORE, _m.due_at < _BEFORE, ~_LIVELY_ATTEMPT),
        young=_m.created_at >= _BEFORE,
        message=_m.id,
    ),
    Kind.EVENTS: _Walk(_event.number, old=_event.at < _BEFORE, young=_event.at >= _BEFORE),
    Kind.CALLBACKS: _Walk(
        _callback.seq,
        old=and_(_callback.applied_at.is_not(None), _callback.received_at < _BEFORE),
        young=_callback.received_at >= _BEFORE,
    ),
    Kind.CONTACTS: _Walk(_contact.sender, _contact.wa_id, old=_contact.heard_at < _BEFORE),
    Kind.ALIASES: _Walk(_alias.sender, _alias.number, old=~_REMEMBERED),
}
#: Before everything: numbers that are counted up begin with 1, and no name is empty.
_BEGINNING = {1: (0,), 2: ("", "")}


class AgedStore:
    """What grows old in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def look(
        self, kind: Kind, *, before: datetime, after: Place | None, limit: int
    ) -> Stretch:
        """The next `limit` things of a kind behind `after` (none: from the beginning)."""
        walk = _WALKS[kind]
        values = _values(walk, before, after=after) | {"limit": limit}
        rows = await self._database.read(lambda c: walk.look.run(c, values).fetchall())
        if not rows:
            return Stretch(None, old=0, more=False)
        # One that is young may lie before older ones, where a clock was wrong; so many do not.
        all_young = walk.grows_with_time and all(row[-1] for row in rows)
        return Stretch(
            upto=tuple(rows[-1][: walk.keys]),
            old=sum(row[walk.keys] for row in rows),
            more=len(rows) == limit and not all_young,
        )

    async def remove(
        self, kind: Kind, *, before: datetime, after: Place | None, upto: Place
    ) -> int:
        """Remove what of this stretch may go, in one write; how many that were.

        Raises:
            StoreUnavailable: nothing was removed, or (`in_doubt`) nobody can say.
        """
        walk = _WALKS[kind]
        values = _values(walk, before, after=after, upto=upto)
        return await self._database.write(lambda connection: walk.remove(connection, values))


def _values(
    walk: _Walk, before: datetime, *, after: Place | None, upto: Place = ()
) -> dict[str, Any]:
    ends = {"after": _BEGINNING[walk.keys] if after is None else after, "upto": upto}
    places = {f"{end}_{at}": value for end, key in ends.items() for at, value in enumerate(key)}
    return {"before": to_milliseconds(before), **places}
