"""Messages as lists show them, and as filters select them. Inside any transaction."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, func, select

from alir.clock import to_milliseconds
from alir.intake.ports import Filters, Selected
from alir.messages.model import Message, Status
from alir.store import rows, tables
from alir.store.reading import with_rest
from alir.store.sql import Connection, run

_m = tables.message.c


def page_of(
    connection: Connection, filters: Filters, *, limit: int, before: int | None
) -> tuple[list[Message], int | None]:
    """Up to `limit` messages, newest first, from before a place; and the next such place."""
    query = select(_m.seq, *rows.MESSAGE_COLUMNS).where(*_conditions(filters))
    if before is not None:
        query = query.where(_m.seq < before)
    found = run(connection, query.order_by(_m.seq.desc()).limit(limit + 1)).fetchall()
    page = [(row[0], with_rest(connection, row[1:])) for row in found[:limit]]
    more = page[-1][0] if len(found) > limit else None
    return [message for _, message in page], more


def newest(connection: Connection) -> int:
    """The place of the newest message; 0: there is none."""
    [place] = run(connection, select(func.max(_m.seq))).fetchone()
    return place or 0


def selected_of(connection: Connection, filters: Filters, *, after: int, to: int) -> list[Selected]:
    """The messages of the places after `after` up to `to` that filters select, oldest first."""
    query = (
        select(_m.id, _m.status)
        .where(_m.seq > after, _m.seq <= to, *_conditions(filters))
        .order_by(_m.seq)
    )
    return [Selected(id_, Status(status)) for id_, status in run(connection, query)]


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    equal: tuple[tuple[Any, str | None], ...] = (
        (_m.status, filters.status),
        (_m.to, filters.to),
        (_m.flow_id, filters.flow_id),
        (_m.flow_token, filters.flow_token),
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
