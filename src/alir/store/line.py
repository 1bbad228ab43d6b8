"""What stands in line at one sender: the head of each class that waits. Inside a transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    TextClause,
    bindparam,
    literal_column,
    select,
    text,
    union_all,
)

from alir.clock import from_milliseconds, to_milliseconds
from alir.dispatch.gate import Turn
from alir.dispatch.ports import Served
from alir.ids import SenderName
from alir.messages.model import QueueClass
from alir.store import tables
from alir.store.sql import Connection, Cursor, Statement

_m = tables.message.c

#: How many due messages one begin parks, whose recipient or Flow must wait.
MOST_PARKED: Final = 50

# The partial indexes are used only where their conditions stand in the query as constants.
IN_LINE: Final = text("message.status = 'queued' AND message.parked IS NULL")
PARKED: Final = text("message.status = 'queued' AND message.parked IS NOT NULL")


def of_class(queue_class: QueueClass) -> TextClause:
    """The condition that a message is in this class, as a constant."""
    return text(f"message.queue_class = '{queue_class.value}'")


def _longest_first(*conditions: Any) -> Select[Any]:
    return (
        select(_m.id, _m.version, _m.due_at, _m.queue_class)
        .where(_m.sender == bindparam("sender"), *conditions)
        .order_by(_m.due_at, _m.seq)
    )


def _in_turn(*searches: Select[Any]) -> Statement:
    """What several searches find, each by its own way through the index."""
    return Statement(union_all(*(select(search.subquery()) for search in searches)))


_ONE: Final[ColumnElement[int]] = literal_column("1")
_TWO: Final[ColumnElement[int]] = literal_column("2")
_LIMIT: Final = bindparam("limit", type_=BigInteger)
_NOW: Final = bindparam("now", type_=BigInteger)
_IN_CLASS: Final = _m.queue_class == bindparam("queue_class")


def _since(name: str) -> ColumnElement[bool]:
    return _m.due_at >= bindparam(name, type_=BigInteger)


#: The head of each class, due or not, and the next, so that it is known whether there are more.
_HEADS = _in_turn(
    *(
        _longest_first(IN_LINE, of_class(one), _since(f"{one.value}_since")).limit(_TWO)
        for one in QueueClass
    )
)
#: Of one class, those that are due, its head among them; then the first that is due later.
_LINE = _in_turn(
    _longest_first(IN_LINE, _IN_CLASS, _since("since"), _m.due_at <= _NOW).limit(_LIMIT),
    _longest_first(IN_LINE, _IN_CLASS, _m.due_at > _NOW).limit(_ONE),
)
#: The first few of each class at a place.
_AT_PLACE = _in_turn(
    *(
        _longest_first(PARKED, of_class(one), _m.parked == bindparam("place")).limit(_LIMIT)
        for one in QueueClass
    )
)


class Head(NamedTuple):
    """A message that is the next of its class.

    Attributes:
        place: where it waited longest and has its turn; none: it is due.
    """

    id: str
    version: int
    due_at: int
    place: str | None = None


class Line:
    """What may be begun next. In each class first those whose turn it is at their places.

    Nothing of it is read before it is asked for.

    Args:
        starts: since when who stands in each class can be due; see `Starts`.

    Attributes:
        gone: how many went.
        heads_due: when the first of each class in line is due, in milliseconds; none: left out.
    """

    def __init__(
        self,
        connection: Connection,
        sender: SenderName,
        turns: Sequence[Turn],
        starts: Mapping[QueueClass, int],
        *,
        limit: int,
        now: datetime,
    ) -> None:
        self.gone = 0
        self.heads_due: dict[QueueClass, int] = {}
        self._connection = connection
        self._sender = sender
        self._starts = starts
        self._now = to_milliseconds(now)
        self._most_looked_at = limit + MOST_PARKED
        self._looked_at = 0
        # How many each place may still let go, how many it did, and where nobody waits.
        self._may_go = {turn.place: min(turn.most, limit) for turn in turns}
        self._went = dict.fromkeys(self._may_go, 0)
        self._empty: set[str] = set()
        # When those are due that stay in line.
        self._later: list[int] = []
        self._reading: list[Cursor] = []
        self._heads: dict[QueueClass, Head] = {}
        self._behind: dict[QueueClass, Iterator[Head]] = {}
        # The class whose next head has yet to be looked for.
        self._taken: QueueClass | None = None
        self._find()

    def waiting(self) -> Collection[QueueClass]:
        """The classes of which any may be begun; none where it is too long to look further."""
        if self._looked_at >= self._most_looked_at:
            return ()
        if self._taken is not None:
            self._advance(self._taken)
            self._taken = None
            if self._may_go:
                self._skip_where_turns_are_over()
        return self._heads

    def take(self, of: QueueClass) -> Head:
        """The head of a class that waits."""
        head = self._heads[of]
        self._taken = of
        if head.place is None:
            self._looked_at += 1
        else:
            self._may_go[head.place] -= 1
        return head

    def behind(self, of: QueueClass, most: int) -> Sequence[Head]:
        """The next `most` behind the one that was taken of this class; they are not taken."""
        some = list(islice(self._behind[of], most))
        self._behind[of] = chain(some, self._behind[of])
        return some

    def went(self, head: Head) -> None:
        """It is begun."""
        self.gone += 1
        if head.place is not None:
            self._went[head.place] += 1

    def stays(self, head: Head) -> None:
        """It is left as it was."""
        if head.place is None:
            self._later.append(head.due_at)

    @property
    def is_too_long(self) -> bool:
        """Whether as many were looked at as one begin may: more may be due."""
        return self._looked_at >= self._most_looked_at

    def close(self) -> None:
        """Read no further."""
        for cursor in self._reading:
            cursor.close()

    @property
    def next_due(self) -> datetime | None:
        """When the next one of those is due that stay, once all that is due was taken."""
        return from_milliseconds(min(self._later)) if self._later else None

    def served(self) -> tuple[Served, ...]:
        """What became of each turn."""
        return tuple(
            Served(place, gone, is_empty=place in self._empty) for place, gone in self._went.items()
        )

    def _advance(self, of: QueueClass) -> None:
        for head in self._behind[of]:
            if head.place is None or self._may_go[head.place]:
                self._heads[of] = head
                return
        del self._heads[of]

    def _skip_where_turns_are_over(self) -> None:
        for one, head in tuple(self._heads.items()):
            if head.place is not None and not self._may_go[head.place]:
                self._advance(one)

    def _find(self) -> None:
        """Look who stands in line in each class."""
        values = {f"{one.value}_since": since for one, since in self._starts.items()}
        for id_, version, due_at, of in _HEADS.run(
            self._connection, {"sender": self._sender, **values}
        ):
            one = QueueClass(of)
            self.heads_due.setdefault(one, due_at)
            if due_at > self._now:
                self._later.append(due_at)
            elif one not in self._heads:
                self._heads[one] = Head(id_, version, due_at)
                self._behind[one] = iter(())
            else:
                self._behind[one] = self._due(one, self._heads[one])
        for one, (first, *others) in self._at_places().items():
            in_line = chain([self._heads[one]], self._behind[one]) if one in self._heads else ()
            self._heads[one], self._behind[one] = first, chain(others, in_line)

    def _due(self, of: QueueClass, first: Head) -> Iterator[Head]:
        """Those of a class that are due, but the first; what another process took is not missed."""
        values = {
            "sender": self._sender,
            "queue_class": of.value,
            "since": self._starts[of],
            "now": self._now,
            "limit": self._most_looked_at,
        }
        line = _LINE.run(self._connection, values)
        self._reading.append(line)
        for id_, version, due_at, _ in line:
            if due_at > self._now:
                self._later.append(due_at)
                return
            if id_ != first.id:
                yield Head(id_, version, due_at)

    def _at_places(self) -> Mapping[QueueClass, list[Head]]:
        """Those of each class whose turn it is, in the order of their places."""
        found: dict[QueueClass, list[Head]] = {}
        for place, most in self._may_go.items():
            values = {"sender": self._sender, "place": place, "limit": most}
            rows = _AT_PLACE.run(self._connection, values).fetchall()
            if not rows:
                self._empty.add(place)
            for id_, version, due_at, of in rows:
                found.setdefault(QueueClass(of), []).append(Head(id_, version, due_at, place))
        return found
