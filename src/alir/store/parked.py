"""Parked receipts: told before anybody knew which attempt they are about."""

from __future__ import annotations

from datetime import datetime

import orjson
from sqlalchemy import bindparam, delete, select

from alir.clock import from_milliseconds, to_milliseconds
from alir.ids import ProviderId, SenderName
from alir.messages.model import ReceiptStatus
from alir.receipts.model import Told
from alir.store import rows, tables
from alir.store.database import Connection, Statement, insert_or_ignore, run

_p, _a, _m = tables.parked_receipt.c, tables.attempt.c, tables.message.c
_COLUMNS = (_p.sender, _p.provider_id, _p.status, _p.at, _p.wa_id, _p.error, _p.wamid)

_PARK = Statement(insert_or_ignore(tables.parked_receipt))
_ANY = Statement(select(_p.seq).limit(1))
_OF_ID = Statement(
    select(*_COLUMNS)
    .where(_p.provider_id == bindparam("provider_id"), _p.sender == bindparam("sender"))
    .order_by(_p.seq)
)
_FORGET = Statement(
    delete(tables.parked_receipt).where(
        _p.provider_id == bindparam("provider_id"), _p.sender == bindparam("sender")
    )
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
        },
    )


def anything_parked(connection: Connection) -> bool:
    """Whether any receipt waits at all; where none does, nobody has to look for his own."""
    return _ANY.run(connection, {}).fetchone() is not None


def unpark(connection: Connection, sender: SenderName, provider_id: ProviderId) -> list[Told]:
    """Take out what was parked under the provider's id, in the order in which it was told."""
    key = {"sender": sender, "provider_id": provider_id}
    told = [_told(row) for row in _OF_ID.run(connection, key)]
    if told:
        _FORGET.run(connection, key)
    return told


def matched(connection: Connection) -> list[tuple[SenderName, ProviderId]]:
    """Under which ids something is parked whose attempt, of the same sender, is known by now.

    It looks at everything that is parked, so it is for a reading connection.
    """
    # Asked of each parked receipt: a join might walk through every attempt there ever was.
    attempt_is_known = (
        select(_a.number)
        .join_from(tables.attempt, tables.message, _m.id == _a.message_id)
        .where(_a.provider_id == _p.provider_id, _m.sender == _p.sender)
        .exists()
    )
    query = select(_p.sender, _p.provider_id).distinct().where(attempt_is_known)
    return [(sender, provider_id) for sender, provider_id in run(connection, query)]


def forget_older(connection: Connection, than: datetime) -> None:
    """Forget what was parked before `than`."""
    run(connection, delete(tables.parked_receipt).where(_p.parked_at < to_milliseconds(than)))


def _told(row: rows.Row) -> Told:
    sender, provider_id, status, at, wa_id, error, wamid = row
    return Told(
        sender=sender,
        provider_id=provider_id,
        status=ReceiptStatus(status),
        at=from_milliseconds(at),
        wa_id=wa_id,
        error=None if error is None else orjson.loads(error),
        wamid=wamid,
    )
