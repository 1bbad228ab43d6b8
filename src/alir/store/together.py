"""Messages that come together, such as those of a batch, stored in few statements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

from alir.errors import AlirError, StoreUnavailable
from alir.ids import MessageId
from alir.intake.ports import IdempotencyKey, New, Stored
from alir.messages.model import Message
from alir.observe import get_logger
from alir.store.keys import KeyName, kept_among, replayed
from alir.store.sql import Connection

#: How many are stored in one go, which takes some 3 ms; between two such pieces the event loop gets
#: to do other things.
LARGEST_PIECE: Final = 100

_log = get_logger("store")


class Keyed(Protocol):
    """A message to be stored, and the key that it came with."""

    @property
    def message(self) -> Message: ...

    @property
    def key(self) -> IdempotencyKey | None: ...


K = TypeVar("K", bound=Keyed)


def insert_each(
    connection: Connection,
    piece: Sequence[K],
    insert: Callable[[Connection, Sequence[K]], Sequence[Stored | AlirError]],
) -> list[Stored | AlirError]:
    """Store those whose keys stand for nothing yet; what became of each, in their order.

    Args:
        insert: stores messages whose keys are new.
    """
    names = {name for name in map(_name, piece) if name is not None}
    if not names:
        return list(insert(connection, piece))
    known = kept_among(connection, names)
    answers: dict[MessageId, Stored | AlirError] = {}
    together: list[K] = []
    seen: set[KeyName] = set()

    def insert_together() -> None:
        if not together:
            return
        became = insert(connection, together)
        answers.update(zip((one.message.id for one in together), became, strict=True))
        together.clear()

    for one in piece:
        name = _name(one)
        if one.key is not None and name is not None:
            if name in seen and name not in known:
                insert_together()  # a key that comes twice must find the first
                known |= kept_among(connection, {name})
            if name in known:
                answers[one.message.id] = replayed(connection, known[name], one.key)
                continue
            seen.add(name)
        together.append(one)
    insert_together()
    return [answers[one.message.id] for one in piece]


def _name(one: Keyed) -> KeyName | None:
    return None if one.key is None else (one.message.token_id, one.key.key)


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
