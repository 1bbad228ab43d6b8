"""When each person last wrote to each sender: the window of 24 hours. Inside a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, select

from alir.clock import from_milliseconds, to_milliseconds
from alir.ids import SenderName
from alir.receipts.model import Heard
from alir.store import tables
from alir.store.database import Connection, Statement, upsert

_c, _a = tables.contact.c, tables.alias.c

_HEAR = Statement(upsert(tables.contact, raised=["heard_at"]))
_LEARN = Statement(upsert(tables.alias, replaced=["wa_id"]))
_HEARD_AT = Statement(
    select(_c.heard_at).where(_c.sender == bindparam("sender"), _c.wa_id == bindparam("wa_id"))
)
_ALIAS = Statement(
    select(_a.wa_id).where(_a.sender == bindparam("sender"), _a.number == bindparam("number"))
)


_ANY = Statement(select(_c.heard_at).limit(1))


def anybody_heard(connection: Connection) -> bool:
    """Whether anybody ever wrote; where nobody did, no window has to be looked at."""
    return _ANY.run(connection, {}).fetchone() is not None


def hear(connection: Connection, heard: Sequence[Heard]) -> None:
    """Note that these people wrote; what comes late never moves a window back."""
    rows = [
        {"sender": one.sender, "wa_id": name, "heard_at": to_milliseconds(one.at)}
        for one in heard
        for name in (one.wa_id, one.user_id)
        if name is not None
    ]
    if rows:
        _HEAR.run_many(connection, rows)


def learn(connection: Connection, sender: SenderName, to: str | None, wa_id: str) -> None:
    """Note that WhatsApp knows the number `to` by other digits."""
    number = (to or "").removeprefix("+")
    if number and number != wa_id:
        _LEARN.run(connection, {"sender": sender, "number": number, "wa_id": wa_id})


def heard_at(connection: Connection, sender: SenderName, person: str) -> datetime | None:
    """When `person` (a number or a user id) last wrote to `sender`, as far as alir knows."""
    name = person.removeprefix("+")
    row = _HEARD_AT.run(connection, {"sender": sender, "wa_id": name}).fetchone()
    if row is None:
        alias = _ALIAS.run(connection, {"sender": sender, "number": name}).fetchone()
        if alias is not None:
            row = _HEARD_AT.run(connection, {"sender": sender, "wa_id": alias[0]}).fetchone()
    return None if row is None else from_milliseconds(row[0])
