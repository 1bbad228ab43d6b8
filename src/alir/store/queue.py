"""The queue: what may be begun next, and what time does to what waits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import chain
from operator import itemgetter
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    text,
    union_all,
)

from alir.clock import Clock, from_milliseconds, to_milliseconds
from alir.dispatch.gate import Turn
from alir.dispatch.ports import Begun, Due, Judge
from alir.dispatch.slots import StoodBack, next_slot
from alir.ids import MessageId, SenderName
from alir.messages import life, window
from alir.messages.model import Flag, Message, OnUnknown, QueueClass, Status
from alir.store import rows, tables
from alir.store.contacts import heard_at
from alir.store.counts import counted
from alir.store.database import Database
from alir.store.lately import Lately
from alir.store.line import IN_LINE, PARKED, Head, Line, of_class
from alir.store.reading import these, with_rest
from alir.store.sql import Connection, Statement, is_among, run
from alir.store.starts import Starts
from alir.store.writing import save_all

#: Messages of a class that a begin reads in one go: all of a small one, and where two classes wait
#: about as many of the lower as a large one takes.
LOADED_AT_ONCE = 25

_m, _a = tables.message.c, tables.attempt.c

# The partial indexes are used only where their conditions stand in the query as constants.
_QUEUED = text("message.status = 'queued'")
_UNKNOWN = text("message.status = 'unknown'")
# Asked every second: compiling them each time took longer than the answer.
_LEFT = (
    select(_a.message_id, _a.number).where(text("attempt.outcome IS NULL")).order_by(_a.begun_at)
)
_LEFT_BEGUN = Statement(_LEFT)
_OVERDUE = Statement(_LEFT.where(_a.begun_at < bindparam("before")))
# Where processes share the database: of one sender, of some, or but for the senders of the others.
_WITH_SENDER = _LEFT.join_from(tables.attempt, tables.message, _m.id == _a.message_id)
_LEFT_BEGUN_OF = Statement(_WITH_SENDER.where(_m.sender == bindparam("of")))
_OURS: ColumnElement[bool] = is_among(_m.sender, "of")
_NOT_OTHERS: ColumnElement[bool] = ~is_among(_m.sender, "but")
_OVERDUE_BUT = Statement(_WITH_SENDER.where(_a.begun_at < bindparam("before"), _NOT_OTHERS))
_NEWEST_UNKNOWN = Statement(
    select(*rows.MESSAGE_COLUMNS)
    .where(_UNKNOWN, _m.on_unknown == bindparam("on_unknown"), _OURS)
    .order_by(_m.seq.desc())
    .limit(bindparam("limit"))
)
_TO_RETRY = Statement(
    select(*rows.MESSAGE_COLUMNS)
    .where(
        text("message.status = 'unknown' AND message.on_unknown = 'retry'"),
        _m.flags.not_like(bindparam("resent")),
        or_(_m.expires_at.is_(None), _m.expires_at > bindparam("now")),
        _OURS,
    )
    .order_by(_m.seq)
    .limit(bindparam("limit"))
)


def _counted(queue_class: QueueClass) -> Select[str, int, int | None]:
    waiting = (
        select(_m.due_at)
        .where(
            _m.sender == bindparam("sender"),
            IN_LINE,
            of_class(queue_class),
            _m.due_at <= bindparam("now"),
        )
        .order_by(_m.due_at, _m.seq)
        .limit(bindparam("at_most"))
        .subquery()
    )
    return select(
        literal_column(f"'{queue_class.value}'"), func.count(), func.min(waiting.c.due_at)
    )


_DUE = Statement(union_all(*map(_counted, QueueClass)))
_PARKED = Statement(
    select(_m.parked, func.count())
    .where(_m.sender == bindparam("sender"), PARKED)
    .group_by(_m.parked)
)
_EXPIRED = Statement(
    select(_m.id)
    .where(_QUEUED, _m.expires_at.is_not(None), _m.expires_at <= bindparam("now"), _NOT_OTHERS)
    .order_by(_m.expires_at)
    .limit(bindparam("limit"))
)


class Beginning(NamedTuple):
    """What is to be begun, of one sender; see `MessageStore.begin`."""

    sender: SenderName
    limit: int
    judge: Judge
    turns: Sequence[Turn]
    stood_back: StoodBack
    starts: Starts

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
        loaded: dict[str, Message] = {}
        stood_back = self.stood_back
        starts = self.starts.of(self.sender)
        line = Line(connection, self.sender, self.turns, starts, limit=self.limit, now=now)
        while line.gone < self.limit and (waiting := line.waiting()):
            slot = next_slot(waiting, stood_back)
            head = line.take(slot.of)
            message = loaded.get(head.id) or _fresh(head, fresh)
            if message is None:
                # Those behind it are not known either, and asking for each takes its time.
                most = min(self.limit - line.gone, LOADED_AT_ONCE)
                some = (head, *line.behind(slot.of, most - 1))
                ids = [one.id for one in some if _fresh(one, fresh) is None]
                loaded |= these(connection, ids)
                message = loaded.get(head.id)
            if message is None or message.status is not Status.QUEUED:
                continue  # another process took it back since it was found
            shut = _window_is_shut(connection, message, now)
            decided = self.judge(message, window_shut=shut, head_of=head.place)
            if decided is None:
                line.stays(head)
                continue
            changes.append((message, decided))
            if decided.message.status is Status.SENDING:
                line.went(head)
                stood_back = slot.then
        line.close()
        saved = save_all(connection, changes, now) if changes else []
        if saved is None:
            return None
        more = self.starts.looked(
            self.sender,
            line.heads_due,
            now,
            gone=line.gone,
            more=line.gone >= self.limit or line.is_too_long,
        )
        next_due = None if more else line.next_due
        sending = tuple(message for message in saved if message.status is Status.SENDING)
        others = [message for message in saved if message.status is not Status.SENDING]
        begun = Begun(sending, next_due, more, served=line.served(), stood_back=stood_back)
        return begun, others


class QueueReader:
    """What dispatch asks of the messages of one database without changing any."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lately = Lately(database)

    async def left_begun(
        self,
        *,
        before: datetime | None = None,
        of: SenderName | None = None,
        but: Sequence[SenderName] = (),
    ) -> list[tuple[MessageId, int]]:
        """Message and number of every attempt that is begun and not settled.

        Args:
            before: only those that were begun before then.
            of: all of this sender.
            but: none of these senders.
        """
        values: dict[str, object] = {}
        if of is not None:
            left, values["of"] = _LEFT_BEGUN_OF, of
        elif before is not None:
            left, values["before"] = _OVERDUE_BUT if but else _OVERDUE, to_milliseconds(before)
            values["but"] = rows.text(list(but))
        else:
            left = _LEFT_BEGUN
        return await self._database.read(
            lambda connection: [(row[0], row[1]) for row in left.run(connection, values)]
        )

    async def lately(self, sender: SenderName, *, since: datetime) -> list[tuple[str, datetime]]:
        """To whom attempts were begun since then, and when each was, in that order."""
        return await self._lately.of(sender, since=since)

    async def parked(self, sender: SenderName) -> list[tuple[str, int]]:
        """Where messages wait for their turn, and how many at each place."""
        return await self._database.read(
            lambda connection: [
                (place, count) for place, count in _PARKED.run(connection, {"sender": sender})
            ]
        )

    async def left_unknown(self, *, of: Collection[SenderName], limit: int) -> list[Message]:
        """Messages of these senders that are unknown, the newest `limit` of them; newest first."""
        values = {"limit": limit, "of": rows.text(list(of))}

        def work(connection: Connection) -> list[Message]:
            of_each = (  # for so the index is ordered
                _NEWEST_UNKNOWN.run(connection, {"on_unknown": on_unknown.value, **values})
                for on_unknown in OnUnknown
            )
            newest = sorted(chain.from_iterable(of_each), key=itemgetter(0), reverse=True)
            return [with_rest(connection, row) for row in newest[:limit]]

        return await self._database.read(work)

    async def unknown_to_retry(self, *, of: Collection[SenderName], limit: int) -> list[Message]:
        """Unknown messages of these senders that `life.may_retry_by_itself`; oldest first."""
        values = {
            "of": rows.text(list(of)),
            "resent": f'%"{Flag.RESENT}"%',
            "now": to_milliseconds(self._clock.now()),
            "limit": limit,
        }
        return await self._database.read(
            lambda connection: [
                with_rest(connection, row) for row in _TO_RETRY.run(connection, values).fetchall()
            ]
        )

    async def expired(self, *, limit: int, but: Sequence[SenderName] = ()) -> list[MessageId]:
        """Messages whose `expires_at` passed while they wait, longest ago first.

        None of the senders `but`.
        """
        values = {
            "but": rows.text(list(but)),
            "now": to_milliseconds(self._clock.now()),
            "limit": limit,
        }
        return await self._database.read(
            lambda connection: [row[0] for row in _EXPIRED.run(connection, values)]
        )

    async def unknown(self) -> dict[SenderName, int]:
        """How many messages of each sender are unknown; none of them: left out."""
        query = select(_m.sender, func.count()).where(_UNKNOWN).group_by(_m.sender)
        return await self._database.read(lambda connection: dict(run(connection, query).fetchall()))

    async def queued(self) -> dict[SenderName, int]:
        """How many messages of each sender are queued, due or not; never any: left out."""
        return await self._database.read(counted)

    async def due(self, sender: SenderName, *, at_most: int) -> Due:
        """What is due, up to `at_most` messages of each class counted."""
        now = to_milliseconds(self._clock.now())
        values = {"sender": sender, "now": now, "at_most": at_most}

        def work(connection: Connection) -> Due:
            found = _DUE.run(connection, values).fetchall()
            since = [oldest for _, _, oldest in found if oldest is not None]
            return Due(
                {QueueClass(name): count for name, count, _ in found},
                from_milliseconds(min(since)) if since else None,
            )

        return await self._database.read(work)


def _fresh(head: Head, fresh: Mapping[str, Message]) -> Message | None:
    """The message as it was stored, where it has not changed since."""
    message = fresh.get(head.id)
    return message if message is not None and message.version == head.version else None


def _window_is_shut(connection: Connection, message: Message, now: datetime) -> bool:
    """Whether it is known that only a template goes; asked of what has one only."""
    if message.fallback is None or message.as_template is not None:
        return False
    return window.is_shut(heard_at(connection, message.sender, message.person), now)
