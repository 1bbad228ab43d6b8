"""The places at which a gateway is killed, named as the design's table of crashes names them.

Inside of the process they are methods of alir's own: the process kills itself before or after one
of them, the Nth time that it comes there. On the wire, whoever stands between it and its provider
sees the moment, and kills it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from types import MappingProxyType
from typing import Any, Final

from alir.dispatch.housekeeping import Housekeeper
from alir.dispatch.ports import Begun
from alir.intake.ports import Stored
from alir.messages.model import Status
from alir.outbound.http import PooledHttpClient
from alir.store.callbacks import CallbackStore
from alir.store.messages import MessageStore
from alir.store.postgresql import PostgresLink
from alir.store.receipts import ReceiptStore
from alir.store.sqlite import SQLiteLink


class Side(Enum):
    """On which side of a method."""

    BEFORE = auto()
    AFTER = auto()


@dataclass(frozen=True, slots=True)
class Point:
    """A place inside of the process.

    Attributes:
        says: what has happened there, and what has not.
        places: the methods, by class and name; of two databases, each has its own.
        most: the Nth time is drawn from 1 to this. So often a process comes there soon.
        counts: whether a call counts, given its arguments; after it, given what it returned.
    """

    says: str
    side: Side
    places: Sequence[tuple[type, str]]
    most: int
    counts: Callable[..., bool] = lambda *_args, **_named: True


def _is_message(_self: object, method: str, url: str, **_: object) -> bool:
    return method == "POST" and url.endswith("/messages")


def _is_queued(stored: Stored) -> bool:
    return stored.message.status is Status.QUEUED and not stored.replayed


def _has_begun(begun: Begun) -> bool:
    return bool(begun.messages)


_COMMIT: Final = [(SQLiteLink, "commit"), (PostgresLink, "commit")]
_CALL: Final = [(PooledHttpClient, "request")]


def _is_message_answered(_answer: object, _self: object, *given: Any, **named: Any) -> bool:
    return _is_message(_self, *given, **named)


INSIDE: Final[Mapping[str, Point]] = MappingProxyType(
    {
        "request_read": Point(
            "a request is read, and nothing of it stored",
            Side.BEFORE,
            [(MessageStore, "accept")],
            120,
        ),
        "committing": Point("a group is written, and not committed", Side.BEFORE, _COMMIT, 90),
        "committed": Point(
            "a group is on disk, its messages and events, and nobody is told",
            Side.AFTER,
            _COMMIT,
            90,
        ),
        "stored": Point(
            "a message is stored, and its caller not answered",
            Side.AFTER,
            [(MessageStore, "accept")],
            120,
        ),
        "queued": Point(
            "a message is stored, and not begun",
            Side.AFTER,
            [(MessageStore, "accept")],
            30,
            lambda stored, *_, **__: _is_queued(stored),
        ),
        "begun": Point(
            "messages of the queue are begun, and none is handed over",
            Side.AFTER,
            [(MessageStore, "begin")],
            30,
            lambda begun, *_, **__: _has_begun(begun),
        ),
        "handing_over": Point(
            "a message is begun, and not a byte of it has left",
            Side.BEFORE,
            _CALL,
            120,
            _is_message,
        ),
        "answer_read": Point(
            "the provider's answer is read, and not settled",
            Side.AFTER,
            _CALL,
            120,
            _is_message_answered,
        ),
        "settled": Point(
            "an attempt is settled, and its caller not answered",
            Side.AFTER,
            [(MessageStore, "settle")],
            120,
        ),
        "callback_read": Point(
            "a callback is read, and not stored", Side.BEFORE, [(CallbackStore, "keep")], 120
        ),
        "callback_kept": Point(
            "a callback is stored, and not answered", Side.AFTER, [(CallbackStore, "keep")], 120
        ),
        "callback_applying": Point(
            "a callback is stored, and not applied", Side.BEFORE, [(ReceiptStore, "apply")], 120
        ),
        "callback_applied": Point(
            "a callback is applied", Side.AFTER, [(ReceiptStore, "apply")], 120
        ),
        "taking_over": Point(
            "a start has found what was begun, and not called it unknown",
            Side.BEFORE,
            [(Housekeeper, "take_over")],
            1,
        ),
        "taken_over": Point(
            "a start has called unknown what was begun", Side.AFTER, [(Housekeeper, "take_over")], 1
        ),
        "decided": Point(
            "something is decided about an attempt without an answer",
            Side.AFTER,
            [(MessageStore, "change")],
            3,
        ),
    }
)


class Moment(StrEnum):
    """A moment of a call on the wire, between the gateway and its provider."""

    ON_THE_WIRE = "on_the_wire"  #: The request has left, and has not reached the provider.
    TAKEN = "taken"  #: The provider took it; its answer is on the way back.
    ANSWERING = "answering"  #: Half of the answer has come back.


#: On the wire a call is met at least so soon.
MOST_CALLS: Final = 120
#: Every name, inside and on the wire.
NAMES: Final = (*INSIDE, *Moment)
