"""Many messages that wait: one that alir stored itself, multiplied in its database."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from sqlalchemy import Table

from alir.store import tables
from bench.bodies import PRIME, STRIDE
from bench.contenders import SENDER, SLOW, Alir, database_of

#: In one transaction, so that the write-ahead log stays small.
_AT_ONCE = 50_000
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Shape(NamedTuple):
    """A kind of messages that wait.

    Attributes:
        sender: whose they are.
        asks: what the request for the first of them says besides.
        values: SQL of columns in which they differ, besides those in which all do; `n` counts them.
    """

    name: str
    title: str
    sender: str
    asks: Mapping[str, Any]
    values: Mapping[str, str] = _NOTHING

    @property
    def is_line(self) -> bool:
        """Whether they are carried themselves, at full speed."""
        return self.sender == SENDER and "send_at" not in self.asks


_TO = "'+1' || CAST(201 + n % 789 AS text) || '55501' || CAST(10 + n % 90 AS text)"

SHAPES: Final = (
    Shape("slow", "of a slow sender, due", SLOW, {"priority": "bulk"}),
    Shape("own", "of the same sender, due", SENDER, {"priority": "bulk"}),
    Shape(
        "ahead",
        "of the same sender, due in a month",
        SENDER,
        {"send_at": (datetime.now(UTC) + timedelta(days=30)).isoformat()},
    ),
    Shape(
        "parked",
        "of a slow sender, for 70,000 who must wait",
        SLOW,
        {},
        {"parked": f"'recipient ' || {_TO}"},
    ),
)

#: Four of them came in a millisecond, as many as alir takes; the last of them just now.
_MOMENT = "one.{} - ({messages} - n) / 4"
_MOMENTS = ("created_at", "due_at", "first_due_at", "send_at")
_MESSAGE: Final[Mapping[str, str]] = {
    "id": "'msg_' || '000000000000000000' || CAST(10000000 + n AS text)",
    "to": _TO,
    "flow_token": f"'visit-' || CAST(1000000 + n * {STRIDE} % {PRIME} AS text)",
}
_EVENT: Final[Mapping[str, str]] = {
    "id": "'evt_' || '000000000000000000' || CAST(10000000 + n AS text) || '_1.0'",
    "message_id": _MESSAGE["id"],
}


def fill(alir: Alir, folder: Path, shape: Shape, messages: int) -> None:
    """Multiply the one message of a store, and its event, until so many wait.

    Args:
        folder: of a store of which no gateway runs.
    """
    moments = {name: _MOMENT.format(name, messages=messages) for name in _MOMENTS}
    for start in range(1, messages, _AT_ONCE):
        end = min(start + _AT_ONCE, messages)
        _run(
            alir,
            folder,
            _multiplied(tables.message, {**_MESSAGE, **moments, **shape.values}, start, end),
            _multiplied(tables.event, _EVENT, start, end),
            f"UPDATE queue_count SET queued = queued + {end - start}",
        )
    if alir.on:  # as the server itself does in a while
        _run(alir, folder, "VACUUM ANALYZE", "CHECKPOINT")
    os.sync()  # else the disk is busy with it in the rounds


def _multiplied(table: Table, values: Mapping[str, str], start: int, end: int) -> str:
    """Insert the first row again for each `n` from `start` to before `end`, with other values."""
    [number] = table.primary_key
    columns = [column.name for column in table.c if column is not number]
    names = ", ".join(f'"{name}"' for name in columns)
    selected = ", ".join(values.get(name, f'one."{name}"') for name in columns)
    return f"""
        WITH RECURSIVE many (n) AS (
            SELECT CAST({start} AS bigint) UNION ALL SELECT n + 1 FROM many WHERE n < {end - 1}
        )
        INSERT INTO {table.name} ({names}) SELECT {selected} FROM {table.name} AS one, many
        WHERE one.{number.name} = (SELECT min({number.name}) FROM {table.name})
    """


def _run(alir: Alir, folder: Path, *statements: str) -> None:
    if alir.on:
        alir.on.run(folder, *statements)
        return
    with closing(sqlite3.connect(database_of(folder))) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")
        for statement in statements:
            connection.execute(statement)
