"""Parked receipts: told before anybody knew which attempt they are about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import orjson
from sqlalchemy import and_, bindparam, delete, func, or_, select, text

from alir.clock import from_milliseconds, to_milliseconds
from alir.ids import MESSAGE_ID_LENGTH, MessageId, ProviderId, SenderName
from alir.messages.model import ReceiptStatus
from alir.receipts.guess import Candidate
from alir.receipts.model import Mark, Told
from alir.store import rows, tables
from alir.store.sql import Connection, Statement, insert_or_ignore, is_among

_p, _a, _m = tables.parked_receipt.c, tables.attempt.c, tables.message.c
_alias = tables.alias.c
_COLUMNS = (_p.sender, _p.provider_id, _p.status, _p.at, _p.wa_id, _p.error, _p.wamid, _p.mark)
_CANDIDATE = (
    *(_p.sender, _p.provider_id, _p.status, _p.parked_at),
    *(_a.message_id, _a.number, _a.begun_at),
)

_PARK = Statement(insert_or_ignore(tables.parked_receipt))
_AMONG = Statement(
    select(_p.sender, _p.provider_id).where(is_among(_p.provider_id, "provider_ids"))
)
_OF_ID = Statement(
    select(*_COLUMNS, _p.seq)
    .where(_p.provider_id == bindparam("provider_id"), _p.sender == bindparam("sender"))
    .order_by(_p.seq)
)
# Of an id, another process may park one more at any moment: only what was read goes.
_FORGET = Statement(delete(tables.parked_receipt).where(is_among(_p.seq, "seqs")))
_FORGET_OLDER = Statement(
    delete(tables.parked_receipt).where(
        _p.seq.in_(
            select(_p.seq)
            .where(_p.parked_at < bindparam("than"))
            .order_by(_p.parked_at)
            .limit(bindparam("limit"))
        )
    )
)


def _waiting() -> Statement:
    # Asked of each parked receipt: a join, and on PostgreSQL `EXISTS` too, might walk through every
    # attempt there ever was.
    attempt_is_known = or_(
        *(
            select(_a.number)
            .join_from(tables.attempt, tables.message, _m.id == _a.message_id)
            .where(known == told, _m.sender == _p.sender)
            .limit(1)
            .scalar_subquery()
            .is_not(None)
            for told in (_p.provider_id, _p.wamid)
            for known in (_a.provider_id, _a.wamid)
        )
    )
    message_is_marked = (
        select(_m.id)
        .where(_m.id == func.substr(_p.mark, 1, MESSAGE_ID_LENGTH), _m.sender == _p.sender)
        .limit(1)
        .scalar_subquery()
        .is_not(None)
    )
    return Statement(
        select(
            *(_p.sender, _p.provider_id, _p.status, _p.mark),
            attempt_is_known.label("is_known"),
            message_is_marked.label("is_marked"),
        ).where(or_(attempt_is_known, message_is_marked))
    )


def _candidates(condition: str) -> Statement:
    digits = func.substr(_m.to, 2)
    same_person = and_(_p.sender == _m.sender, _p.wa_id.in_([digits, _m.wa_id, _alias.wa_id]))
    return Statement(
        select(*_CANDIDATE)
        .join_from(tables.attempt, tables.message, _m.id == _a.message_id)
        .outerjoin(tables.alias, and_(_alias.sender == _m.sender, _alias.number == digits))
        .join(tables.parked_receipt, same_person)
        .where(_a.provider_id.is_(None), is_among(_m.sender, "senders"), _p.mark.is_(None))
        .where(text(condition))
    )


_WAITING = _waiting()
# Asked one by one: each has an index of just those.
_CANDIDATES = (
    _candidates("attempt.outcome IS NULL"),
    _candidates("attempt.outcome = 'unknown'"),
)


def park(connection: Connection, told: Told, now: datetime) -> None:
    """Keep a receipt until its attempt is known; the same one twice is kept once."""
    _PARK.run(
        connection,
        {
            "sender": told.sender,
            "provider_id": told.provider_id,
            "status": told.status.value,
            "at": to_milliseconds(told.at),
            "parked_at": to_milliseconds(now),
            "wa_id": told.wa_id,
            "error": None if told.error is None else rows.text(told.error),
            "wamid": told.wamid,
            "mark": None if told.mark is None else f"{told.mark.message_id} {told.mark.attempt}",
        },
    )


def parked_among(
    connection: Connection, ids: Sequence[tuple[SenderName, ProviderId]]
) -> set[tuple[SenderName, ProviderId]]:
    """Those of `ids` under which a receipt waits. One query, however many there are."""
    if not ids:
        return set()
    found = _AMONG.run(connection, {"provider_ids": rows.text([id_ for _, id_ in ids])})
    return {(row[0], row[1]) for row in found}.intersection(ids)


def unpark(connection: Connection, sender: SenderName, provider_id: ProviderId) -> list[Told]:
    """Take out what was parked under the provider's id, in the order in which it was told."""
    found = _OF_ID.run(connection, {"sender": sender, "provider_id": provider_id}).fetchall()
    if found:
        _FORGET.run(connection, {"seqs": rows.text([seq for *_, seq in found])})
    return [_told(row) for *row, _ in found]


class Waiting(NamedTuple):
    """A parked receipt whose attempt may be known by now.

    Attributes:
        mark: names a message of the same sender; none: it does not, or there is no mark.
        is_known: whether an attempt of the same sender has one of its ids.
    """

    sender: SenderName
    provider_id: ProviderId
    status: ReceiptStatus
    mark: Mark | None
    is_known: bool


def waiting(connection: Connection) -> list[Waiting]:
    """The parked receipts whose attempts may be known by now.

    It looks at everything that is parked, so it is for a reading connection.
    """
    return [
        Waiting(
            sender,
            provider_id,
            ReceiptStatus(status),
            _mark(mark) if is_marked else None,
            bool(is_known),
        )
        for sender, provider_id, status, mark, is_known, is_marked in _WAITING.run(connection, {})
    ]


def candidates(connection: Connection, senders: Sequence[SenderName]) -> list[Candidate]:
    """What is parked without a mark beside the attempts without an answer that it may be about.

    It looks at every such attempt of `senders`, so it is for a reading connection.
    """
    values = {"senders": rows.text(senders)}
    return [_candidate(row) for each in _CANDIDATES for row in each.run(connection, values)]


def _candidate(row: rows.Row) -> Candidate:
    sender, provider_id, status, parked_at, message_id, number, begun_at = row
    return Candidate(
        sender=sender,
        provider_id=provider_id,
        status=ReceiptStatus(status),
        came_at=from_milliseconds(parked_at),
        message_id=message_id,
        attempt=number,
        begun_at=from_milliseconds(begun_at),
    )


def forget_older(connection: Connection, than: datetime, *, limit: int) -> int:
    """Forget what was parked before `than`, the oldest `limit` of it; how many that were."""
    values = {"than": to_milliseconds(than), "limit": limit}
    return _FORGET_OLDER.run(connection, values).rowcount


def _told(row: rows.Row) -> Told:
    sender, provider_id, status, at, wa_id, error, wamid, mark = row
    return Told(
        sender=sender,
        provider_id=provider_id,
        status=ReceiptStatus(status),
        at=from_milliseconds(at),
        wa_id=wa_id,
        error=None if error is None else orjson.loads(error),
        wamid=wamid,
        mark=None if mark is None else _mark(mark),
    )


def _mark(text: str) -> Mark:
    message_id, attempt = text.split()
    return Mark(MessageId(message_id), int(attempt))
