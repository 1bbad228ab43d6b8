"""Messages by the idempotency keys that they came with. Inside any transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from sqlalchemy import bindparam, select

from alir.errors import IdempotencyConflict
from alir.ids import ApiTokenId
from alir.intake.ports import IdempotencyKey, Stored
from alir.messages.model import Message
from alir.store import rows, tables
from alir.store.reading import load
from alir.store.sql import Connection, Row, Statement, is_among

_m = tables.message.c

#: An API token, and the text of a key that came with it.
KeyName = tuple[ApiTokenId, str]

_OF_TOKEN = (_m.token_id == bindparam("token_id"), _m.idempotency_key.is_not(None))
_BY_KEY = Statement(
    select(_m.idempotency_key, _m.id, _m.request_hash).where(
        *_OF_TOKEN, _m.idempotency_key == bindparam("idempotency_key")
    )
)
_BY_KEYS = Statement(
    select(_m.idempotency_key, _m.id, _m.request_hash).where(
        *_OF_TOKEN, is_among(_m.idempotency_key, "keys")
    )
)


def by_key(
    connection: Connection, token: ApiTokenId, key: IdempotencyKey
) -> Message | IdempotencyConflict | None:
    """The message of a key; the conflict is an answer, so that a group is not repeated for it."""
    values = {"token_id": token, "idempotency_key": key.key}
    found = _BY_KEY.run(connection, values).fetchone()
    return None if found is None else _as_of(connection, found, key)


def kept_among(connection: Connection, names: Collection[KeyName]) -> dict[KeyName, Row]:
    """What is known of those keys that stand for a message. One query for each API token."""
    by_token: dict[ApiTokenId, list[str]] = defaultdict(list)
    for token, key in names:
        by_token[token].append(key)
    found: dict[KeyName, Row] = {}
    for token, keys in by_token.items():
        if len(keys) == 1:
            known = _BY_KEY.run(connection, {"token_id": token, "idempotency_key": keys[0]})
        else:
            known = _BY_KEYS.run(connection, {"token_id": token, "keys": rows.text(keys)})
        found |= {(token, row[0]): row for row in known}
    return found


def replayed(
    connection: Connection, known: Row, key: IdempotencyKey
) -> Stored | IdempotencyConflict:
    """What a request is answered with whose key is known, as `kept_among` says."""
    found = _as_of(connection, known, key)
    return Stored(found, replayed=True) if isinstance(found, Message) else found


def _as_of(
    connection: Connection, known: Row, key: IdempotencyKey
) -> Message | IdempotencyConflict:
    _, id_, request_hash = known
    if request_hash != key.request_hash:
        return IdempotencyConflict("the Idempotency-Key stands for another request")
    return load(connection, id_)
