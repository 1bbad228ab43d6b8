"""Messages locked before they are changed, where several processes write to one database."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, union

from alir.store import rows, tables
from alir.store.sql import Connection, Statement, is_among, texts_of

_m, _a = tables.message.c, tables.attempt.c

# Of the partial indexes.
_has_provider_id, _has_wamid = _a.provider_id.is_not(None), _a.wamid.is_not(None)
# By their order, in which all processes lock them, none waits for another in a circle.
_LOCK = Statement(
    select(_m.id)
    .where(
        _m.id.in_(
            union(
                texts_of("ids"),
                select(_a.message_id).where(is_among(_a.provider_id, "ids"), _has_provider_id),
                select(_a.message_id).where(is_among(_a.wamid, "ids"), _has_wamid),
            )
        )
    )
    .order_by(_m.id)
    .with_for_update(key_share=True)  # as an update does
)


def lock(connection: Connection, ids: Sequence[str]) -> None:
    """Let no other process change the messages of these ids until the transaction ends.

    Args:
        ids: alir's own, or those that a provider or WhatsApp gave; unknown ones are passed by.
    """
    _LOCK.run(connection, {"ids": rows.text(ids)}).fetchall()
