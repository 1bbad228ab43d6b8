"""Messages that come together, such as those of a batch, stored in few statements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from alir.errors import AlirError, StoreUnavailable
from alir.ids import MessageId
from alir.intake.ports import New, Stored
from alir.observe import get_logger
from alir.store.keys import kept
from alir.store.sql import Connection

#: How many are stored in one go, which takes some 3 ms; between two such pieces the event loop gets
#: to do other things.
LARGEST_PIECE: Final = 100

_log = get_logger("store")


def insert_each(
    connection: Connection,
    piece: Sequence[New],
    insert: Callable[[Connection, Sequence[New]], Sequence[Stored | AlirError]],
) -> list[Stored | AlirError]:
    """Store those whose keys stand for nothing yet; what became of each, in their order.

    Args:
        insert: stores messages whose keys are new.
    """
    answers: dict[MessageId, Stored | AlirError] = {}
    together: list[New] = []
    keys: set[str] = set()

    def insert_together() -> None:
        became = insert(connection, together)
        answers.update(zip((one.message.id for one in together), became, strict=True))
        together.clear()
        keys.clear()

    for one in piece:
        if one.key is not None:
            if one.key.key in keys:
                insert_together()  # a key that comes twice must find the first
            earlier = kept(connection, one.message.token_id, one.key)
            if earlier is not None:
                answers[one.message.id] = earlier
                continue
            keys.add(one.key.key)
        together.append(one)
    insert_together()
    return [answers[one.message.id] for one in piece]


def not_stored(piece: Sequence[New], error: Exception) -> list[AlirError]:
    """What each of a piece hears of what befell it."""
    if isinstance(error, StoreUnavailable):
        return [
            StoreUnavailable(
                str(error),
                in_doubt=error.in_doubt,
                message_id=one.message.id if error.in_doubt else None,
            )
            for one in piece
        ]
    _log.error("storing_broke", messages=len(piece), exc_info=error)
    return [AlirError("a fault of alir's own") for _ in piece]
