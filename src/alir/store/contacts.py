"""When each person last wrote to each sender: the window of 24 hours. Inside a transaction.

A person may go by several names: the digits that callers write, those that WhatsApp knows the
number by, and a user id. From the first and the last an alias leads to the second; what is heard
under a name that has one is noted under both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, select

from alir.clock import from_milliseconds, to_milliseconds
from alir.ids import SenderName
from alir.receipts.model import Heard, Told
from alir.store import rows, tables
from alir.store.sql import Connection, Statement, is_among, upsert

_c, _a = tables.contact.c, tables.alias.c
_THE_ALIAS = (_a.sender == bindparam("sender"), _a.number == bindparam("number"))

_HEAR = Statement(upsert(tables.contact, raised=["heard_at"]))
_LEARN = Statement(upsert(tables.alias, replaced=["wa_id"]))
_FORGET = Statement(delete(tables.alias).where(*_THE_ALIAS))
_ALIASES = Statement(
    select(_a.number, _a.wa_id).where(
        _a.sender == bindparam("sender"), is_among(_a.number, "numbers")
    )
)
_HEARD_AT = Statement(
    select(func.max(_c.heard_at)).where(
        _c.sender == bindparam("sender"),
        _c.wa_id.in_([bindparam("number"), select(_a.wa_id).where(*_THE_ALIAS).scalar_subquery()]),
    )
)
_HEARD_AMONG = Statement(
    select(_c.wa_id, _c.heard_at).where(
        _c.sender == bindparam("sender"), is_among(_c.wa_id, "names")
    )
)
_ANY = Statement(select(_c.heard_at).limit(1))


class Learnt(NamedTuple):
    """By which digits WhatsApp knows a person to whom a sender writes.

    Attributes:
        person: as callers name them: a number or a user id; none: that says nothing.
    """

    sender: SenderName
    person: str | None
    wa_id: str


class _Name(NamedTuple):
    """What a person goes by at one sender: digits or a user id."""

    sender: SenderName
    number: str


def anybody_heard(connection: Connection) -> bool:
    """Whether anybody ever wrote; where nobody did, no window has to be looked at."""
    return _ANY.run(connection, {}).fetchone() is not None


def hear(connection: Connection, heard: Sequence[Heard]) -> None:
    """Note that these people wrote; what comes late never moves a window back.

    Whose user ids they are is learnt before.
    """
    told = [
        (one, _Name(one.sender, name))
        for one in heard
        for name in (one.wa_id, one.user_id)
        if name is not None
    ]
    aliases = _aliases(connection, {name for _, name in told})
    last: dict[_Name, int] = {}
    for one, name in told:
        for each in _goes_by(name, aliases):
            last[each] = max(to_milliseconds(one.at), last.get(each, 0))
    if last:
        _HEAR.run_many(
            connection,
            [
                {"sender": name.sender, "wa_id": name.number, "heard_at": at}
                for name, at in last.items()
            ],
        )


def learn(connection: Connection, learnt: Iterable[Learnt]) -> None:
    """Note by which digits WhatsApp knows people, one after the other."""
    named = [
        (_Name(one.sender, number), one.wa_id)
        for one in learnt
        if (number := (one.person or "").removeprefix("+"))
    ]
    aliases = _aliases(connection, {name for name, _ in named})
    for name, wa_id in named:
        known = aliases.get(name)
        if name.number == wa_id:
            if known is not None:  # it knows the number by itself again
                _FORGET.run(connection, name._asdict())
                del aliases[name]
        elif known != wa_id:
            aliases[name] = wa_id
            _LEARN.run(connection, name._asdict() | {"wa_id": wa_id})
            [heard] = _HEARD_AT.run(connection, name._asdict()).fetchone()
            if heard is not None:
                _HEAR.run(connection, {"sender": name.sender, "wa_id": wa_id, "heard_at": heard})


def learnt_of(told: Iterable[Heard | Told]) -> list[Learnt]:
    """Whose user ids these are, where callbacks tell them with the people's digits."""
    return [
        Learnt(one.sender, one.user_id, one.wa_id)
        for one in told
        # A receipt from a group names the group.
        if one.user_id is not None and one.wa_id is not None and one.wa_id.isdigit()
    ]


def heard_at(connection: Connection, sender: SenderName, person: str) -> datetime | None:
    """When `person` (a number or a user id) last wrote to `sender`, as far as alir knows."""
    name = {"sender": sender, "number": person.removeprefix("+")}
    [heard] = _HEARD_AT.run(connection, name).fetchone()
    return None if heard is None else from_milliseconds(heard)


def heard_among(
    connection: Connection, people: Collection[tuple[SenderName, str]]
) -> dict[tuple[SenderName, str], datetime]:
    """As `heard_at`, of several; who was never heard is left out. Of many by few queries."""
    if len(people) == 1:
        [one] = people
        heard = heard_at(connection, *one)
        return {} if heard is None else {one: heard}
    named = {one: _Name(one[0], one[1].removeprefix("+")) for one in people}
    aliases = _aliases(connection, set(named.values()))
    goes_by = {one: _goes_by(name, aliases) for one, name in named.items()}
    at: dict[_Name, int] = {}
    for sender, numbers in _by_sender(set().union(*goes_by.values())).items():
        values = {"sender": sender, "names": rows.text(numbers)}
        for number, moment in _HEARD_AMONG.run(connection, values):
            at[_Name(sender, number)] = moment
    last = {one: [at[name] for name in names if name in at] for one, names in goes_by.items()}
    return {one: from_milliseconds(max(moments)) for one, moments in last.items() if moments}


def _aliases(connection: Connection, names: Collection[_Name]) -> dict[_Name, str]:
    """The digits that aliases lead to from `names`. One query for each sender."""
    found: dict[_Name, str] = {}
    for sender, numbers in _by_sender(names).items():
        values = {"sender": sender, "numbers": rows.text(numbers)}
        for number, wa_id in _ALIASES.run(connection, values):
            found[_Name(sender, number)] = wa_id
    return found


def _goes_by(name: _Name, aliases: Mapping[_Name, str]) -> set[_Name]:
    """This name, and the digits that an alias leads to from it."""
    return {name, _Name(name.sender, aliases.get(name, name.number))}


def _by_sender(names: Iterable[_Name]) -> Mapping[SenderName, list[str]]:
    by_sender: dict[SenderName, list[str]] = defaultdict(list)
    for sender, number in names:
        by_sender[sender].append(number)
    return by_sender
