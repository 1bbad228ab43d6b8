"""All that names one person: found on a reading connection, removed in small writes.

Nothing here is hot: most tables are walked through whole, a stretch at a time, by a process of its
own. What is removed is named by its key, so that each write holds the database for a moment only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, TypeVar

import orjson
from sqlalchemy import (
    ClauseElement,
    Column,
    ColumnElement,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
)

from alir.clock import Clock
from alir.errors import NotFound, PauseScope, TooLate
from alir.ids import MessageId
from alir.messages import life
from alir.messages.model import Status
from alir.retention.person import Found, Person
from alir.retention.purger import PAUSE_SECONDS, STEP_MESSAGES, STEP_ROWS
from alir.store import rows, tables
from alir.store.callbacks import LARGEST_PAGE
from alir.store.database import Database
from alir.store.reading import load
from alir.store.sql import Connection, Statement, is_among, run
from alir.store.writing import remove_whole, save

T = TypeVar("T")
#: The key of a row, by the names of its columns.
Key = Mapping[str, Any]

_m, _a = tables.message.c, tables.attempt.c
_event, _callback, _parked = tables.event.c, tables.callback.c, tables.parked_receipt.c
_contact, _alias, _pause = tables.contact.c, tables.alias.c, tables.pause.c

#: Rows that one read walks through, so that none lasts: the database keeps what a reader may see.
STRETCH = 10_000

_ON_THE_WIRE = or_(
    _m.status == Status.SENDING.value,
    exists().where(_a.message_id == _m.id, _a.outcome.is_(None)),
)
_NOT_GONE_OUT = (Status.QUEUED.value, Status.UNKNOWN.value)


class _Message(NamedTuple):
    id: MessageId
    status: str
    is_on_the_wire: bool


class _Traces(NamedTuple):
    """Everything of a person but messages: the rows that may go, and the callbacks that wait."""

    keys: Mapping[Table, Sequence[Key]]
    unapplied: int


class PersonStore:
    """What one database knows of people."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def known_as(self, name: str) -> Person:
        """All that the person with this number (without plus sign) or user id goes by."""
        names, more = frozenset[str](), frozenset({name})
        while more != names:
            names = more
            query = select(_alias.number, _alias.wa_id).where(
                or_(_alias.number.in_(names), _alias.wa_id.in_(names))
            )
            more = names.union(*await self._read(query))
        return Person(names)

    async def find(self, person: Person) -> Found:
        """What there is of the person."""
        messages = await self._messages(person)
        gone = [message for message in messages if not message.is_on_the_wire]
        left = [message.id for message in messages if message.is_on_the_wire]
        return _found(gone, left, await self._traces(person, gone, left))

    async def forget(self, person: Person) -> Found:
        """Remove all that there is of the person; what that was, and what could not go yet.

        What is queued or unknown never goes out then, or again.

        Raises:
            StoreUnavailable: what was removed before stays so; another time goes on.
        """
        gone, left = [], []
        for some in _portions(await self._messages(person), STEP_MESSAGES):
            removed, on_the_wire = await self._remove_messages(some)
            gone += removed
            left += on_the_wire
        # Looked for now, as no more can come of what is gone.
        traces = await self._traces(person, gone, left)
        for table, keys in traces.keys.items():
            await self._remove(table, keys)
        return _found(gone, left, traces)

    async def _messages(self, person: Person) -> list[_Message]:
        names = sorted(person.names)
        is_to = or_(_m.to.in_(person.addresses), _m.recipient.in_(names), _m.wa_id.in_(names))
        found = []
        async for stretch in self._stretches(_m.seq):
            query = select(_m.id, _m.status, _ON_THE_WIRE).where(stretch, is_to).order_by(_m.seq)
            found += await self._read(query)
        return [_Message(id_, status, bool(wire)) for id_, status, wire in found]

    async def _remove_messages(
        self, messages: Sequence[_Message]
    ) -> tuple[list[_Message], list[MessageId]]:
        """Remove those that may go by now; those that were, and the ids of those that may not."""

        def work(connection: Connection) -> tuple[list[_Message], list[MessageId]]:
            for message in messages:
                _take_back(connection, message.id, self._clock.now())
            is_one = _m.id.in_([message.id for message in messages])
            may_go = and_(is_one, _m.status.not_in(_NOT_GONE_OUT), ~_ON_THE_WIRE)
            go = run(connection, select(_m.id).where(may_go).with_for_update())
            gone = {row[0] for row in go.fetchall()}
            remove_whole(connection, sorted(gone))
            left = [row[0] for row in run(connection, select(_m.id).where(is_one)).fetchall()]
            return [message for message in messages if message.id in gone], left

        done = await self._database.write(work)
        await self._clock.sleep(PAUSE_SECONDS)
        return done

    async def _traces(
        self, person: Person, gone: Sequence[_Message], left: Sequence[MessageId]
    ) -> _Traces:
        ids = [message.id for message in gone]
        names = sorted(person.names)
        of_contact = select(_contact.sender, _contact.wa_id).where(_contact.wa_id.in_(names))
        of_alias = select(_alias.sender, _alias.number).where(
            or_(_alias.number.in_(names), _alias.wa_id.in_(names))
        )
        of_pause = select(_pause.sender, _pause.scope, _pause.key).where(
            _pause.scope == PauseScope.RECIPIENT.value, _pause.key.in_(person.addresses)
        )
        applied, unapplied = await self._callbacks(person, ids)
        keys: dict[Table, Sequence[Key]] = {
            tables.event: await self._events(person, ids, left),
            tables.callback: [{"seq": seq} for seq in applied],
            tables.parked_receipt: await self._parked_receipts(person, ids),
        }
        for table, query in (
            (tables.contact, of_contact),
            (tables.alias, of_alias),
            (tables.pause, of_pause),
        ):
            names_of_key = [column.name for column in table.primary_key]
            keys[table] = [
                dict(zip(names_of_key, row, strict=True)) for row in await self._read(query)
            ]
        return _Traces(keys, len(unapplied))

    async def _events(
        self, person: Person, gone: Sequence[MessageId], left: Sequence[MessageId]
    ) -> list[Key]:
        """Events of these messages, and of earlier ones of the person."""
        ids, kept = set(gone), set(left)
        perhaps = or_(
            is_among(_event.message_id, "ids"),
            *(_event.data.contains(name, autoescape=True) for name in sorted(person.names)),
        )
        found: list[Key] = []
        async for stretch in self._stretches(_event.number):
            query = select(_event.number, _event.message_id, _event.data).where(stretch, perhaps)
            found += [
                {"number": number}
                for number, of, data in await self._read(query.params(ids=rows.text(gone)))
                if of not in kept and (of in ids or person.is_named_in(orjson.loads(data)))
            ]
        return found

    async def _callbacks(
        self, person: Person, gone: Sequence[MessageId]
    ) -> tuple[list[int], list[int]]:
        """Those that name the person or these messages: applied ones, then the others."""
        traces = person.traces(gone)
        applied: list[int] = []
        unapplied: list[int] = []

        def look(connection: Connection, query: ClauseElement) -> None:
            for seq, applied_at, body in run(connection, query):
                if traces.search(body):
                    (unapplied if applied_at is None else applied).append(seq)

        async for stretch in self._stretches(_callback.seq, size=LARGEST_PAGE):
            query = select(_callback.seq, _callback.applied_at, _callback.body).where(stretch)
            await self._database.read(partial(look, query=query))
        return applied, unapplied

    async def _parked_receipts(self, person: Person, gone: Sequence[MessageId]) -> list[Key]:
        ids = set(gone)
        query = select(_parked.seq, _parked.wa_id, _parked.mark)
        return [
            {"seq": seq}
            for seq, wa_id, mark in await self._read(query)
            if wa_id in person.names or (mark is not None and mark.split()[0] in ids)
        ]

    async def _remove(self, table: Table, keys: Sequence[Key]) -> None:
        of_key = [column == bindparam(column.name) for column in table.primary_key]
        removal = Statement(delete(table).where(*of_key))
        for some in _portions(keys, STEP_ROWS):
            await self._database.write(partial(removal.run_many, values=some))
            await self._clock.sleep(PAUSE_SECONDS)

    async def _stretches(
        self, key: Column[int], *, size: int = STRETCH
    ) -> AsyncIterator[ColumnElement[bool]]:
        """The conditions that divide a table into stretches of its counted key."""
        [(lowest, highest)] = await self._read(select(func.min(key), func.max(key)))
        if lowest is not None:
            for begin in range(lowest, highest + 1, size):
                yield and_(key >= begin, key < begin + size)

    async def _read(self, query: ClauseElement) -> list[Any]:
        return await self._database.read(lambda connection: run(connection, query).fetchall())


def _take_back(connection: Connection, message_id: MessageId, now: datetime) -> None:
    """Cancel what is queued or unknown, as anybody could: who counts what waits hears of it."""
    with suppress(NotFound, TooLate):  # purged meanwhile; ended, or on the wire
        message = load(connection, message_id)
        decided = life.cancel(message)
        if decided is not None:
            save(connection, message, decided, now)


def _found(gone: Sequence[_Message], left: Sequence[MessageId], traces: _Traces) -> Found:
    counts = {table.name: len(keys) for table, keys in traces.keys.items()}
    return Found(
        messages=len(gone),
        waiting=sum(message.status in _NOT_GONE_OUT for message in gone),
        under_way=left,
        events=counts["event"],
        callbacks=counts["callback"],
        unapplied=traces.unapplied,
        parked=counts["parked_receipt"],
        names=counts["contact"] + counts["alias"],
        pauses=counts["pause"],
    )


def _portions(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[at : at + size] for at in range(0, len(items), size))
