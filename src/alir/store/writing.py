"""Changes of messages, written with their attempts, receipts and events. Inside a transaction.

Each change was decided upon a version of its message, and is written only over that version.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, insert, null, update

from alir.clock import to_milliseconds
from alir.errors import AlirError
from alir.events.types import MESSAGE_EVENTS
from alir.ids import SenderName, event_id
from alir.messages import life
from alir.messages.model import Message, Status
from alir.store import rows, tables
from alir.store.counts import count
from alir.store.reading import load
from alir.store.sql import Connection, RowStatement, Statement, by_name

_m, _a, _r = tables.message.c, tables.attempt.c, tables.receipt.c

Decide = Callable[[Message], life.Change | None]

_CHANGING = (
    *("status", "due_at", "first_due_at", "attempts", "tries"),
    *("flags", "wa_id", "error", "request_id", "parked"),
)
_SETTLING = ("settled_at", "outcome", "provider_id", "error", "wamid")


def _values(columns: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """What `columns` are set to by rows that have values under these names."""
    return {column: bindparam(column) if column in names else null() for column in columns}


_INSERT_MESSAGE = RowStatement(lambda n: insert(tables.message).values(_values(n, n)))
_UPDATE_MESSAGE = RowStatement(
    lambda names: (
        update(tables.message)
        .where(_m.id == bindparam("id_"), _m.version == bindparam("decided_upon"))
        .values(_values(_CHANGING, names) | {"version": bindparam("version_")})
    )
)
_PUT_ATTEMPT = RowStatement(lambda n: insert(tables.attempt).values(_values(n, n)))
_CHANGE_ATTEMPT = RowStatement(
    lambda names: (
        update(tables.attempt)
        .where(_a.message_id == bindparam("message_id_"), _a.number == bindparam("number_"))
        .values(_values(_SETTLING, names))
    )
)
_PUT_RECEIPT = RowStatement(lambda n: insert(tables.receipt).values(_values(n, n)))
_PUT_EVENT = Statement(insert(tables.event).values(by_name(tables.event)))
_REMOVE_WHOLE = (
    Statement(delete(tables.message).where(_m.id == bindparam("id"))),
    Statement(delete(tables.attempt).where(_a.message_id == bindparam("id"))),
    Statement(delete(tables.receipt).where(_r.message_id == bindparam("id"))),
)


class NewMessage(NamedTuple):
    """A message to be stored, as it stands, and its rows."""

    message: Message
    values: Mapping[str, Any]
    event: Mapping[str, Any]


def insert_all(connection: Connection, new: Sequence[NewMessage]) -> None:
    _INSERT_MESSAGE.run_many(connection, [one.values for one in new])
    attempts = [
        rows.attempt_row(one.message.id, attempt) for one in new for attempt in one.message.attempts
    ]
    if attempts:
        _PUT_ATTEMPT.run_many(connection, attempts)
    _PUT_EVENT.run_many(connection, [one.event for one in new])
    queued = [message.sender for message, _, _ in new if message.status is Status.QUEUED]
    if queued:
        count(connection, Counter(queued))


def put_event(connection: Connection, event: Mapping[str, Any]) -> None:
    _PUT_EVENT.run(connection, event)


def remove_whole(connection: Connection, message_ids: Sequence[str]) -> None:
    """Remove messages with their attempts and receipts; nothing may have to be taken back of them.

    Who asked for them in this transaction asked `with_for_update`, so that none has changed since.
    """
    for statement in _REMOVE_WHOLE:
        statement.run_many(connection, [{"id": id_} for id_ in message_ids])


def change(
    connection: Connection, message: Message | str, decide: Decide, now: datetime
) -> tuple[Message, life.Change | None]:
    """Decide and write, inside a transaction; what was decided comes second, None: nothing."""
    if isinstance(message, Message):
        with suppress(AlirError):  # it may have changed since; then that is decided upon below
            decided = decide(message)
            if decided is not None and (after := save(connection, message, decided, now)):
                return after, decided
        message = message.id
    while True:
        current = load(connection, message)
        decided = decide(current)
        if decided is None:
            return current, None
        # Where several processes write, another one may change it between the two.
        after = save(connection, current, decided, now)
        if after is not None:
            return after, decided


def save(
    connection: Connection, before: Message, decided: life.Change, now: datetime
) -> Message | None:
    """Write a change that was decided upon `before`; None, and nothing, where that has changed."""
    saved = save_all(connection, [(before, decided)], now)
    return None if saved is None else saved[0]


def save_all(
    connection: Connection,
    changes: Sequence[tuple[Message, life.Change]],
    now: datetime,
) -> list[Message] | None:
    """Write changes, each decided upon its message; None, and nothing, where one has changed."""
    saved = [decided.message.but(version=before.version + 1) for before, decided in changes]
    if not _update_all(connection, [before.version for before, _ in changes], saved):
        return None
    new, changed, receipts, events = [], [], [], []
    queued: dict[SenderName, int] = defaultdict(int)
    for (before, decided), after in zip(changes, saved, strict=True):
        was_queued, is_queued = before.status is Status.QUEUED, after.status is Status.QUEUED
        if was_queued is not is_queued:
            queued[after.sender] += 1 if is_queued else -1
        for attempt in after.attempts:
            earlier = before.attempt(attempt.number)
            if earlier is None:
                new.append(rows.attempt_row(after.id, attempt))
            elif earlier != attempt:
                row = rows.attempt_row(after.id, attempt)
                changed.append(row | {"message_id_": after.id, "number_": attempt.number})
        known = len(before.receipts)
        for position, receipt in enumerate(after.receipts[known:], start=known):
            receipts.append(rows.receipt_row(after.id, receipt, position))
        for position, happened in enumerate(decided.events):
            events.append(event_row(*happened, after.version, position, now))
    for statement, values in (
        (_PUT_ATTEMPT, new),
        (_CHANGE_ATTEMPT, changed),
        (_PUT_RECEIPT, receipts),
        (_PUT_EVENT, events),
    ):
        if values:
            statement.run_many(connection, values)
    count(connection, queued)
    return saved


def _update_all(
    connection: Connection, versions: Sequence[int], messages: Sequence[Message]
) -> bool:
    """Write each message over its version of `versions`; False, and nothing, where one is gone."""
    values = []
    for version, message in zip(versions, messages, strict=True):
        row = rows.changing_columns(message)
        row["id_"], row["decided_upon"] = message.id, version
        row["version_"] = message.version
        values.append(row)
    if len(values) == 1:
        return _UPDATE_MESSAGE.run(connection, values[0]).rowcount == 1
    return _UPDATE_MESSAGE.change_all(connection, values)


def event_row(
    name: str, message: Message, version: int, position: int, now: datetime
) -> dict[str, Any]:
    """What users are told: `message.{name}`, with the message as it stood then."""
    return {
        "id": event_id(message.id, version, position),
        "type": MESSAGE_EVENTS[name],
        "message_id": message.id,
        "at": to_milliseconds(now),
        "data": rows.text(message.as_json()),
    }
