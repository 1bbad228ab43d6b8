"""Messages as lists show them, and as filters select them. Inside any transaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, func, select

from alir.clock import to_milliseconds
from alir.intake.ports import Filters, Selected
from alir.messages.model import Message, Status
from alir.store import rows, tables
from alir.store.reading import with_rest
from alir.store.sql import Connection, run

_m = tables.message.c
_newest = select(func.max(_m.seq))

#: So many times more stretches are looked through next, where one look did not find enough; up to
#: so many at a time, a million messages. A statement of SQLite's has room for 32,766 values.
_WIDER: Final = 4
_WIDEST: Final = 256


def page_of(
    connection: Connection, filters: Filters, *, limit: int, before: int | None
) -> tuple[list[Message], int | None]:
    """Up to `limit` messages, newest first, from before a place; and the next such place."""
    query = select(_m.seq, *rows.MESSAGE_COLUMNS).where(*_conditions(filters))
    if before is not None:
        query = query.where(_m.seq < before)
    query = query.order_by(_m.seq.desc())
    if filters.flow_token is None:
        found = run(connection, query.limit(limit + 1)).fetchall()
    else:
        found = _by_token(connection, query, filters.flow_token, most=limit + 1, before=before)
    page = [(row[0], with_rest(connection, row[1:])) for row in found[:limit]]
    more = page[-1][0] if len(found) > limit else None
    return [message for _, message in page], more


def _by_token(
    connection: Connection, query: Select[Any], flow_token: str, *, most: int, before: int | None
) -> list[Any]:
    """The first `most` rows with a flow token: in the newest stretch, then ever further back.

    Where the flow token is rare, that is a few queries; where all messages have the same, none
    looks at many more than are asked for.
    """
    ends = select(select(func.min(_m.seq)).scalar_subquery(), _newest.scalar_subquery())
    oldest, last = run(connection, ends).fetchone()
    if oldest is None:
        return []
    last = last if before is None else min(last, before - 1)
    found: list[Any] = []
    for some in _ever_wider(_stretch_of(oldest), _stretch_of(last)):
        within = _within(query, some, flow_token).limit(most - len(found))
        found += run(connection, within).fetchall()
        if len(found) == most:
            break
    return found


def _ever_wider(first: int, last: int) -> Iterator[range]:
    """All from the last to the first, in ranges that grow."""
    size = 1
    while last >= first:
        begin = max(first, last - size + 1)
        yield range(begin, last + 1)
        last, size = begin - 1, min(size * _WIDER, _WIDEST)


def _stretch_of(place: int) -> int:
    return place // tables.STRETCH_PLACES


def _within(query: Select[Any], stretches: range, flow_token: str) -> Select[Any]:
    """What of a query has this flow token and is in these stretches."""
    # SQLite would rather walk through all messages in their order than sort those few.
    places = select(_m.seq).where(tables.stretch.in_(stretches), _m.flow_token == flow_token)
    return query.where(_m.seq.in_(places))


def newest(connection: Connection) -> int:
    """The place of the newest message; 0: there is none."""
    [place] = run(connection, _newest).fetchone()
    return place or 0


def next_place(connection: Connection, after: int) -> int:
    """The first place after this one at which there is a message; 0: there is none."""
    [place] = run(connection, select(func.min(_m.seq)).where(_m.seq > after)).fetchone()
    return place or 0


def selected_of(connection: Connection, filters: Filters, *, after: int, to: int) -> list[Selected]:
    """The messages of the places after `after` up to `to` that filters select, oldest first."""
    query = (
        select(_m.id, _m.status)
        .where(_m.seq > after, _m.seq <= to, *_conditions(filters))
        .order_by(_m.seq)
    )
    if filters.flow_token is not None:
        stretches = range(_stretch_of(after + 1), _stretch_of(to) + 1)
        query = _within(query, stretches, filters.flow_token)
    return [Selected(id_, Status(status)) for id_, status in run(connection, query)]


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    equal: tuple[tuple[Any, str | None], ...] = (
        (_m.status, filters.status),
        (_m.to, filters.to),
        (_m.flow_id, filters.flow_id),
        (_m.sender, filters.sender),
    )
    conditions = [column == value for column, value in equal if value is not None]
    if filters.senders is not None:
        conditions.append(_m.sender.in_(filters.senders))
    if filters.since is not None:
        conditions.append(_m.created_at >= to_milliseconds(filters.since))
    if filters.until is not None:
        conditions.append(_m.created_at < to_milliseconds(filters.until))
    return conditions
