"""How the simulated WhatsApp behaves: when receipts come, and what goes wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from alir.messages.model import ReceiptStatus
from alir.simulator.codes import ErrorCode, error_codes

#: Between callbacks that are to arrive in a certain order, in seconds: they are sent concurrently.
GAP = 0.02
LONGEST_DELAY = 86_400_000  # milliseconds; a day
MOST_REPEATS = 100
LONGEST_TOKEN = 10 * 365 * 86_400  # seconds; tokens of years have been seen
LARGEST_BATCH = 1000  # statuses in one callback, as at Meta

#: What becomes of a message that arrives.
ARRIVES = (ReceiptStatus.SENT, ReceiptStatus.DELIVERED, ReceiptStatus.READ)
#: What becomes of one that WhatsApp takes and then cannot deliver.
FAILS = (ReceiptStatus.FAILED,)

Milliseconds = Annotated[float, Field(ge=0, le=LONGEST_DELAY)]
Probability = Annotated[float, Field(ge=0, le=1)]


class Comes(StrEnum):
    """How the error of a magic recipient comes."""

    AT_ONCE = "at_once"  #: As the answer to the request.
    BY_RECEIPT = "by_receipt"  #: The message is taken; a failed receipt follows.


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Delays(_Part):
    """How long after a message was taken each receipt comes, in milliseconds; null: never."""

    sent: Milliseconds | None = 50
    delivered: Milliseconds | None = 150
    read: Milliseconds | None = 400
    failed: Milliseconds | None = 50


class Repeat(_Part):
    """A receipt's callback comes, with this probability, `times` more than once."""

    probability: Probability = 0
    times: Annotated[int, Field(ge=1, le=MOST_REPEATS)] = 1


class Batch(_Part):
    """Up to `size` receipts share a callback; one that is not full leaves after `window_ms`."""

    size: Annotated[int, Field(ge=1, le=LARGEST_BATCH)] = 1
    window_ms: Milliseconds = 100


class Limits(_Part):
    """How fast messages are taken; null: no limit. `alir.simulator.limits` has the rules.

    Attributes:
        messages_per_second: of one sender in any second, what persons write to it included.
        pair_seconds: one message each so many seconds to one recipient; 6 at Meta.
        pair_burst: so many may come within `pair_seconds`, on credit.
    """

    messages_per_second: Annotated[int, Field(ge=1)] | None = None
    pair_seconds: Annotated[float, Field(gt=0, le=86_400)] | None = None
    pair_burst: Annotated[int, Field(ge=1)] = 45


class CanSend(StrEnum):
    """What Graph says of a number's health."""

    AVAILABLE = "AVAILABLE"
    LIMITED = "LIMITED"
    BLOCKED = "BLOCKED"


class Graph(_Part):
    """What the Graph API tells who asks.

    Attributes:
        subscribed: the account's callbacks go to the app.
        can_send: the number's health. It only is told: messages are taken all the same.
    """

    subscribed: bool = True
    can_send: CanSend = CanSend.AVAILABLE


class Envelope(StrEnum):
    """The form of Route Mobile's callbacks."""

    FLAT = "flat"  #: As documented.
    WRAPPED = "wrapped"  #: As documented for events of shops: the flat form as `data`.
    META = "meta"  #: The flat form within Meta's envelope, as was seen once.


class UnknownKeys(StrEnum):
    """What Route Mobile does with fields that are not documented for a message."""

    ACCEPT = "accept"
    REFUSE = "refuse"


class RouteMobile(_Part):
    """What is Route Mobile's own.

    Attributes:
        token_seconds: how long the token of a log-in is good; of those given from now on.
        wamid_in: receipts that tell WhatsApp's own id of the message.
    """

    token_seconds: Annotated[float, Field(gt=0, le=LONGEST_TOKEN)] = 3600
    envelope: Envelope = Envelope.FLAT
    unknown_keys: UnknownKeys = UnknownKeys.ACCEPT
    wamid_in: tuple[ReceiptStatus, ...] = (ReceiptStatus.SENT, ReceiptStatus.DELIVERED)


class Behaviour(_Part):
    """Everything that can be set.

    Attributes:
        jitter_ms: each callback comes up to so much later than its receipt.
        repeat: callbacks that come more than once.
        reorder: the probability that a message's callbacks come in a wrong order.
        drop: the probability that a receipt's callback never comes.
        before_answer: receipts whose callbacks come before the request itself is answered.
        codes: how magic codes come, where that is to differ from the table; `"131056"` as key.
        limits: how fast messages are taken.
        window: interactive messages are only for whom has written within 24 hours.
        graph: what the Graph API tells who asks.
        routemobile: what is Route Mobile's own.
        seed: where chance starts; the same seed and the same messages give the same callbacks.
    """

    delays_ms: Delays = Delays()
    jitter_ms: Milliseconds = 0
    repeat: Repeat = Repeat()
    reorder: Probability = 0
    batch: Batch = Batch()
    drop: Probability = 0
    before_answer: tuple[ReceiptStatus, ...] = ()
    codes: dict[str, Comes] = {}
    limits: Limits = Limits()
    window: bool = False
    graph: Graph = Graph()
    routemobile: RouteMobile = RouteMobile()
    seed: int | None = None

    @field_validator("codes")
    @classmethod
    def _are_in_the_table(cls, codes: dict[str, Comes]) -> dict[str, Comes]:
        unknown = sorted(key for key in codes if not _is_known(key))
        if unknown:
            raise ValueError(f"no such error code: {', '.join(unknown)}")
        return codes

    @property
    def certain(self) -> bool:
        """Whether nothing is left to chance, so that every message fares alike."""
        open_ones = {self.drop, self.repeat.probability} - {0, 1}
        return not (open_ones or self.jitter_ms or self.reorder)

    def comes(self, error: ErrorCode) -> Comes:
        """How an error comes."""
        default = Comes.BY_RECEIPT if error.by_receipt else Comes.AT_ONCE
        return self.codes.get(str(error.code), default)


def _is_known(key: str) -> bool:
    return key.isascii() and key.isdigit() and key == str(int(key)) and int(key) in error_codes()


@dataclass(frozen=True, slots=True)
class Planned:
    """A receipt to come.

    Attributes:
        after: seconds from the taking of the message to what the receipt tells of.
        calls: seconds from there to each callback about it; empty where none comes.
        before_answer: it happens before the request is answered, and the answer waits for it.
    """

    status: ReceiptStatus
    after: float
    calls: tuple[float, ...] = (0.0,)
    before_answer: bool = False


def plan(
    behaviour: Behaviour, statuses: Sequence[ReceiptStatus], chance: Random
) -> tuple[Planned, ...]:
    """What is to happen to one message, drawn from `chance`.

    >>> [(each.status.value, each.after) for each in plan(Behaviour(), ARRIVES, Random(1))]
    [('sent', 0.05), ('delivered', 0.15), ('read', 0.4)]
    """
    planned = [
        Planned(status, 0.0 if status in behaviour.before_answer else delay / 1000)
        for status in statuses
        if (delay := getattr(behaviour.delays_ms, status.value)) is not None
    ]
    first_calls = _first_calls(behaviour, planned, chance)
    return tuple(
        Planned(
            each.status,
            each.after,
            _calls(behaviour, moment - each.after, chance),
            each.status in behaviour.before_answer,
        )
        for each, moment in zip(planned, first_calls, strict=True)
    )


def _first_calls(behaviour: Behaviour, planned: Sequence[Planned], chance: Random) -> list[float]:
    """When each receipt is first told, in seconds from the taking of the message."""
    moments = [each.after for each in planned]
    movable = [i for i, each in enumerate(planned) if each.status not in behaviour.before_answer]
    for i in movable:
        moments[i] += chance.random() * behaviour.jitter_ms / 1000
    if len(movable) > 1 and chance.random() < behaviour.reorder:
        start = max(moments[i] for i in movable)
        for place, i in enumerate(_wrong_order(movable, chance)):
            moments[i] = start + place * GAP
    return moments


def _wrong_order(items: list[int], chance: Random) -> list[int]:
    wrong = list(items)
    while wrong == items:
        chance.shuffle(wrong)
    return wrong


def _calls(behaviour: Behaviour, first: float, chance: Random) -> tuple[float, ...]:
    if chance.random() < behaviour.drop:
        return ()
    repeated = chance.random() < behaviour.repeat.probability
    more = behaviour.repeat.times if repeated else 0
    return tuple(first + i * GAP for i in range(more + 1))
