"""Messages locked before they are changed, where several processes write to one database."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from alir.store import rows, tables
from alir.store.reading import IS_NAMED
from alir.store.sql import Connection, Statement

_m = tables.message.c

# By their order, in which all processes lock them, none waits for another in a circle.
_LOCK = Statement(
    select(_m.id)
    .where(IS_NAMED)
    .order_by(_m.id)
    .with_for_update(key_share=True)  # as an update does
)


def lock(connection: Connection, ids: Sequence[str]) -> None:
    """Let no other process change the messages of these ids until the transaction ends.

    Args:
        ids: alir's own, or those that a provider or WhatsApp gave; unknown ones are passed by.
    """
    _LOCK.run(connection, {"ids": rows.text(ids)}).fetchall()
