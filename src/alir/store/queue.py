"""The queue: what may be begun next, and what time does to what waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, func, or_, select, text

from alir.clock import Clock, from_milliseconds, to_milliseconds
from alir.dispatch.gate import Turn
from alir.dispatch.ports import Begun, Judge, Served
from alir.ids import MessageId, SenderName
from alir.messages import life, window
from alir.messages.model import Flag, Message, Status
from alir.store import rows, tables
from alir.store.contacts import heard_at
from alir.store.counts import counted
from alir.store.database import Database
from alir.store.reading import load, with_rest
from alir.store.sql import Connection, Statement, run
from alir.store.writing import save_all

_m, _a = tables.message.c, tables.attempt.c

#: How many due messages one begin parks, whose recipient or Flow must wait.
MOST_PARKED = 50

# The partial index is used only where its condition stands in the query as a constant.
_QUEUED = text("message.status = 'queued'")
_IN_LINE = text("message.status = 'queued' AND message.parked IS NULL")
_PARKED = text("message.status = 'queued' AND message.parked IS NOT NULL")
_UNKNOWN = text("message.status = 'unknown'")
_DUE = Statement(
    select(_m.id, _m.version)
    .where(_m.sender == bindparam("sender"), _IN_LINE, _m.due_at <= bindparam("now"))
    .order_by(_m.due_at, _m.seq)
    .limit(bindparam("limit"))
)
_HEADS = Statement(
    select(_m.id, _m.version)
    .where(_m.sender == bindparam("sender"), _PARKED, _m.parked == bindparam("place"))
    .order_by(_m.due_at, _m.seq)
    .limit(bindparam("limit"))
)
_NEXT_DUE = Statement(select(func.min(_m.due_at)).where(_m.sender == bindparam("sender"), _IN_LINE))


class Beginning(NamedTuple):
    """What is to be begun, of one sender; see `MessageStore.begin`."""

    sender: SenderName
    limit: int
    judge: Judge
    turns: Sequence[Turn]

    def run(
        self, connection: Connection, fresh: Mapping[str, Message], now: datetime
    ) -> tuple[Begun, list[Message]]:
        """Begin, park and expire, inside a transaction; what was not begun comes second.

        Args:
            fresh: messages that were stored a moment ago; used where their version stands.
        """
        while True:
            done = self._run_once(connection, fresh, now)
            if done is not None:
                return done

    def _run_once(
        self, connection: Connection, fresh: Mapping[str, Message], now: datetime
    ) -> tuple[Begun, list[Message]] | None:
        """As `run`; None, and nothing, where another process changed one of them meanwhile."""
        changes: list[tuple[Message, life.Change]] = []
        begun = looked_at = 0

        def look(message_id: str, version: int, place: str | None) -> bool:
            """Judge one; whether it was begun."""
            message = fresh.get(message_id)
            if message is None or message.version != version:
                message = load(connection, message_id)
                if message.status is not Status.QUEUED:
                    return False  # another process took it back since it was found
            shut = _window_is_shut(connection, message, now)
            decided = self.judge(message, window_shut=shut, head_of=place)
            if decided is None:
                return False
            changes.append((message, decided))
            return decided.message.status is Status.SENDING

        served = []
        for turn in self.turns:
            most = min(turn.most, self.limit - begun)
            values = {"sender": self.sender, "place": turn.place, "limit": most}
            heads = _HEADS.run(connection, values).fetchall()
            gone = sum(look(id_, version, turn.place) for id_, version in heads)
            begun += gone
            served.append(Served(turn.place, gone, is_empty=not heads))
            if begun >= self.limit:
                break
        most_looked_at = self.limit - begun + MOST_PARKED
        if begun < self.limit:
            values = {"sender": self.sender, "now": to_milliseconds(now), "limit": most_looked_at}
            due = _DUE.run(connection, values)
            for message_id, version in due:
                looked_at += 1
                begun += look(message_id, version, None)
                if begun == self.limit:
                    break
            due.close()
        saved = save_all(connection, changes, now) if changes else []
        if saved is None:
            return None
        more = begun >= self.limit or looked_at == most_looked_at
        next_due = None if more else _next_due(connection, self.sender)
        sending = tuple(message for message in saved if message.status is Status.SENDING)
        others = [message for message in saved if message.status is not Status.SENDING]
        return Begun(sending, next_due, more, served=tuple(served)), others


class QueueReader:
    """What dispatch asks of the messages of one database without changing any."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def left_begun(self, *, before: datetime | None = None) -> list[tuple[MessageId, int]]:
        """Message and number of every attempt that is begun and not settled.

        Args:
            before: only those that were begun before then.
        """
        query = (
            select(_a.message_id, _a.number)
            .where(text("attempt.outcome IS NULL"))
            .order_by(_a.begun_at)
        )
        if before is not None:
            query = query.where(_a.begun_at < to_milliseconds(before))
        return await self._database.read(
            lambda connection: [(row[0], row[1]) for row in run(connection, query)]
        )

    async def lately(self, sender: SenderName, *, since: datetime) -> list[tuple[str, datetime]]:
        """To whom attempts were begun since then, and when each was, in that order."""
        query = (
            select(func.coalesce(_m.to, _m.recipient), _a.begun_at)
            .join_from(tables.attempt, tables.message, _m.id == _a.message_id)
            .where(_a.begun_at >= to_milliseconds(since), _m.sender == sender)
            .order_by(_a.begun_at)
        )
        return await self._database.read(
            lambda connection: [
                (person, from_milliseconds(at)) for person, at in run(connection, query)
            ]
        )

    async def parked(self, sender: SenderName) -> list[tuple[str, int]]:
        """Where messages wait for their turn, and how many at each place."""
        query = (
            select(_m.parked, func.count()).where(_m.sender == sender, _PARKED).group_by(_m.parked)
        )
        return await self._database.read(
            lambda connection: [(place, count) for place, count in run(connection, query)]
        )

    async def unknown_to_retry(self, *, limit: int) -> list[Message]:
        """Unknown messages that may be sent once more, as `life.may_retry_by_itself` says.

        Oldest first.
        """
        now = to_milliseconds(self._clock.now())
        query = (
            select(*rows.MESSAGE_COLUMNS)
            .where(
                text("message.status = 'unknown' AND message.on_unknown = 'retry'"),
                _m.flags.not_like(f'%"{Flag.RESENT}"%'),
                or_(_m.expires_at.is_(None), _m.expires_at > now),
            )
            .order_by(_m.seq)
            .limit(limit)
        )
        return await self._database.read(
            lambda connection: [with_rest(connection, row) for row in run(connection, query)]
        )

    async def expired(self, *, limit: int) -> list[MessageId]:
        """Messages whose `expires_at` passed while they wait, longest ago first."""
        query = (
            select(_m.id)
            .where(
                _QUEUED,
                _m.expires_at.is_not(None),
                _m.expires_at <= to_milliseconds(self._clock.now()),
            )
            .order_by(_m.expires_at)
            .limit(limit)
        )
        return await self._database.read(
            lambda connection: [row[0] for row in run(connection, query)]
        )

    async def unknown(self) -> dict[SenderName, int]:
        """How many messages of each sender are unknown; none of them: left out."""
        query = select(_m.sender, func.count()).where(_UNKNOWN).group_by(_m.sender)
        return await self._database.read(lambda connection: dict(run(connection, query).fetchall()))

    async def queued(self) -> dict[SenderName, int]:
        """How many messages of each sender are queued, due or not; never any: left out."""
        return await self._database.read(counted)

    async def due(self, sender: SenderName, *, at_most: int) -> tuple[int, datetime | None]:
        """How many messages are due (counted up to `at_most`), and since when the longest is."""
        waiting = (
            select(_m.due_at)
            .where(_m.sender == sender, _IN_LINE, _m.due_at <= to_milliseconds(self._clock.now()))
            .order_by(_m.due_at, _m.seq)
            .limit(at_most)
            .subquery()
        )
        query = select(func.count(), func.min(waiting.c.due_at))

        def work(connection: Connection) -> tuple[int, datetime | None]:
            [count, oldest] = run(connection, query).fetchone()
            return count, None if oldest is None else from_milliseconds(oldest)

        return await self._database.read(work)


def _window_is_shut(connection: Connection, message: Message, now: datetime) -> bool:
    """Whether it is known that only a template goes; asked of what has one only."""
    if message.fallback is None or message.as_template is not None:
        return False
    return window.is_shut(heard_at(connection, message.sender, message.person), now)


def _next_due(connection: Connection, sender: SenderName) -> datetime | None:
    [next_due] = _NEXT_DUE.run(connection, {"sender": sender}).fetchone()
    return None if next_due is None else from_milliseconds(next_due)
