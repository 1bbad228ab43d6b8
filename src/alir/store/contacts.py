"""When each person last wrote to each sender: the window of 24 hours. Inside a transaction.

A person may go by several names: the digits that callers write, those that WhatsApp knows the
number by, and a user id. From the first and the last an alias leads to the second; what is heard
under a name that has one is noted under both.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, func, select

from alir.clock import from_milliseconds, to_milliseconds
from alir.ids import SenderName
from alir.receipts.model import Heard, Told
from alir.store import tables
from alir.store.sql import Connection, Statement, upsert

_c, _a = tables.contact.c, tables.alias.c
_THE_ALIAS = (_a.sender == bindparam("sender"), _a.number == bindparam("number"))

_HEAR = Statement(upsert(tables.contact, raised=["heard_at"]))
_LEARN = Statement(upsert(tables.alias, replaced=["wa_id"]))
_FORGET = Statement(delete(tables.alias).where(*_THE_ALIAS))
_ALIAS = Statement(select(_a.wa_id).where(*_THE_ALIAS))
_HEARD_AT = Statement(
    select(func.max(_c.heard_at)).where(
        _c.sender == bindparam("sender"),
        _c.wa_id.in_([bindparam("number"), select(_a.wa_id).where(*_THE_ALIAS).scalar_subquery()]),
    )
)
_ANY = Statement(select(_c.heard_at).limit(1))


def anybody_heard(connection: Connection) -> bool:
    """Whether anybody ever wrote; where nobody did, no window has to be looked at."""
    return _ANY.run(connection, {}).fetchone() is not None


def hear(connection: Connection, heard: Sequence[Heard]) -> None:
    """Note that these people wrote; what comes late never moves a window back."""
    for one in heard:
        learn_user_id(connection, one)
    rows = [
        {"sender": one.sender, "wa_id": name, "heard_at": to_milliseconds(one.at)}
        for one in heard
        for name in _names(connection, one)
    ]
    if rows:
        _HEAR.run_many(connection, rows)


def learn(connection: Connection, sender: SenderName, person: str | None, wa_id: str) -> None:
    """Note by which digits WhatsApp knows `person`, a number or a user id."""
    number = (person or "").removeprefix("+")
    if not number:
        return
    name = {"sender": sender, "number": number}
    known = _ALIAS.run(connection, name).fetchone()
    if number == wa_id:
        if known is not None:  # it knows the number by itself again
            _FORGET.run(connection, name)
        return
    if known is not None and known[0] == wa_id:
        return
    _LEARN.run(connection, name | {"wa_id": wa_id})
    [heard] = _HEARD_AT.run(connection, name).fetchone()
    if heard is not None:
        _HEAR.run(connection, {"sender": sender, "wa_id": wa_id, "heard_at": heard})


def learn_user_id(connection: Connection, told: Heard | Told) -> None:
    """Note whose user id it is, where a callback tells it with the person's digits."""
    # A receipt from a group names the group.
    if told.user_id is not None and told.wa_id is not None and told.wa_id.isdigit():
        learn(connection, told.sender, told.user_id, told.wa_id)


def heard_at(connection: Connection, sender: SenderName, person: str) -> datetime | None:
    """When `person` (a number or a user id) last wrote to `sender`, as far as alir knows."""
    name = {"sender": sender, "number": person.removeprefix("+")}
    [heard] = _HEARD_AT.run(connection, name).fetchone()
    return None if heard is None else from_milliseconds(heard)


def _names(connection: Connection, heard: Heard) -> set[str]:
    """All that the person who wrote goes by, but for what callers write."""
    told = {name for name in (heard.wa_id, heard.user_id) if name is not None}
    names = ({"sender": heard.sender, "number": name} for name in told)
    aliases = [_ALIAS.run(connection, name).fetchone() for name in names]
    return told | {row[0] for row in aliases if row is not None}
