"""Messages by the idempotency keys that they came with. Inside any transaction."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from alir.errors import IdempotencyConflict
from alir.ids import ApiTokenId
from alir.intake.ports import IdempotencyKey, Stored
from alir.messages.model import Message
from alir.store import tables
from alir.store.reading import load
from alir.store.sql import Connection, Statement

_m = tables.message.c

_BY_KEY = Statement(
    select(_m.id, _m.request_hash).where(
        _m.token_id == bindparam("token_id"),
        _m.idempotency_key == bindparam("idempotency_key"),
        _m.idempotency_key.is_not(None),
    )
)


def by_key(
    connection: Connection, token: ApiTokenId, key: IdempotencyKey
) -> Message | IdempotencyConflict | None:
    """The message of a key; the conflict is an answer, so that a group is not repeated for it."""
    found = _BY_KEY.run(connection, {"token_id": token, "idempotency_key": key.key}).fetchone()
    if found is None:
        return None
    if found[1] != key.request_hash:
        return IdempotencyConflict("the Idempotency-Key stands for another request")
    return load(connection, found[0])


def kept(
    connection: Connection, token: ApiTokenId, key: IdempotencyKey
) -> Stored | IdempotencyConflict | None:
    """What a request with this key is answered with where an earlier one had it."""
    found = by_key(connection, token, key)
    return Stored(found, replayed=True) if isinstance(found, Message) else found
