"""A message read whole: its row, its attempts and its receipts. Inside any transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import itemgetter

from sqlalchemy import bindparam, select, union

from alir.errors import NotFound
from alir.ids import MessageId
from alir.messages.model import Message
from alir.store import rows, tables
from alir.store.sql import Connection, Statement, is_among, texts_of

_m, _a, _r = tables.message.c, tables.attempt.c, tables.receipt.c

#: Of a message: any of `ids` names it, alir's own or one that a provider or WhatsApp gave.
IS_NAMED = _m.id.in_(
    union(
        texts_of("ids"),
        select(_a.message_id).where(is_among(_a.provider_id, "ids"), _a.provider_id.is_not(None)),
        select(_a.message_id).where(is_among(_a.wamid, "ids"), _a.wamid.is_not(None)),
    )
)

_GET = Statement(select(*rows.MESSAGE_COLUMNS).where(_m.id == bindparam("id")))
_ATTEMPTS = Statement(
    select(*rows.ATTEMPT_COLUMNS).where(_a.message_id == bindparam("id")).order_by(_a.number)
)
_RECEIPTS = Statement(
    select(*rows.RECEIPT_COLUMNS).where(_r.message_id == bindparam("id")).order_by(_r.position)
)
_VERSIONS = Statement(select(_m.id, _m.version).where(is_among(_m.id, "ids")))
_THESE = Statement(select(*rows.MESSAGE_COLUMNS).where(is_among(_m.id, "ids")))
_NAMED = Statement(select(*rows.MESSAGE_COLUMNS).where(IS_NAMED))
_THEIR_ATTEMPTS = Statement(
    select(_a.message_id, *rows.ATTEMPT_COLUMNS).where(is_among(_a.message_id, "ids"))
)
_THEIR_RECEIPTS = Statement(
    select(_r.message_id, _r.position, *rows.RECEIPT_COLUMNS).where(is_among(_r.message_id, "ids"))
)
_OWNER = select(_a.message_id, _a.number, _m.sender).join_from(
    tables.attempt, tables.message, _m.id == _a.message_id
)
_BY_PROVIDER_ID = Statement(
    _OWNER.where(_a.provider_id == bindparam("provider_id"), _a.provider_id.is_not(None))
)
_BY_WAMID = Statement(_OWNER.where(_a.wamid == bindparam("wamid"), _a.wamid.is_not(None)))


def load(connection: Connection, message_id: str) -> Message:
    """The message as it stands.

    Raises:
        NotFound: there is none with this id.
    """
    row = _GET.run(connection, {"id": message_id}).fetchone()
    if row is None:
        raise NotFound("no message has this id")
    return with_rest(connection, row)


def by_provider_id(connection: Connection, provider_id: str) -> tuple[str, int, str] | None:
    """Message id, attempt number and sender of the attempt that has this id.

    It may be the provider's own id or WhatsApp's, where that is another.
    """
    row = _BY_PROVIDER_ID.run(connection, {"provider_id": provider_id}).fetchone()
    if row is None:
        row = _BY_WAMID.run(connection, {"wamid": provider_id}).fetchone()
    return None if row is None else (row[0], row[1], row[2])


def with_rest(connection: Connection, row: rows.Row) -> Message:
    """The message of a row, with its attempts and receipts."""
    if row[rows.ATTEMPTS_POSITION] == 0:
        return rows.message_of(row)
    key = {"id": row[0]}
    return rows.message_of(
        row,
        tuple(rows.attempt_of(r) for r in _ATTEMPTS.run(connection, key)),
        tuple(rows.receipt_of(r) for r in _RECEIPTS.run(connection, key)),
    )


def these(connection: Connection, ids: Sequence[str]) -> dict[str, Message]:
    """The messages of these ids as they stand; those that are there."""
    found = _THESE.run(connection, {"ids": rows.text(ids)}).fetchall()
    return {message.id: message for message in _with_rest_of_all(connection, found)}


def moved(connection: Connection, known: Mapping[MessageId, int]) -> list[Message]:
    """Those messages that stand at a later version than is known of them, as they stand now."""
    versions = _VERSIONS.run(connection, {"ids": rows.text(list(known))})
    ids = [id_ for id_, version in versions if version > known[id_]]
    return list(these(connection, ids).values()) if ids else []


def named(connection: Connection, ids: Sequence[str]) -> list[Message]:
    """The messages that any of these ids names, alir's own or a provider's or WhatsApp's."""
    return _with_rest_of_all(connection, _NAMED.run(connection, {"ids": rows.text(ids)}).fetchall())


def _with_rest_of_all(connection: Connection, found: Sequence[rows.Row]) -> list[Message]:
    tried = [row[0] for row in found if row[rows.ATTEMPTS_POSITION]]
    if not tried:
        return [rows.message_of(row) for row in found]
    among = {"ids": rows.text(tried)}
    attempts, receipts = defaultdict(list), defaultdict(list)
    # Sorted here: a database would sort by the message too.
    for of, *row in sorted(_THEIR_ATTEMPTS.run(connection, among), key=itemgetter(1)):
        attempts[of].append(rows.attempt_of(row))
    for of, _, *row in sorted(_THEIR_RECEIPTS.run(connection, among), key=itemgetter(1)):
        receipts[of].append(rows.receipt_of(row))
    return [rows.message_of(row, tuple(attempts[row[0]]), tuple(receipts[row[0]])) for row in found]
