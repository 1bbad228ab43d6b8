"""Where an attempt stands, by its outcome and its receipts, and where that puts its message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from alir.messages.model import Attempt, Message, Outcome, ReceiptStatus, Status

#: How far an attempt can come; a message stands where its furthest attempt stands.
_RANK: Final = {
    Status.FAILED: 0,
    Status.UNKNOWN: 1,
    Status.ACCEPTED: 2,
    Status.SENT: 3,
    Status.DELIVERED: 4,
    Status.READ: 5,
}
#: An attempt that stands here was taken by WhatsApp.
ARRIVED: Final = frozenset({Status.ACCEPTED, Status.SENT, Status.DELIVERED, Status.READ})
#: Where an attempt stands that nobody has seen arrive on a phone.
NOT_YET_ARRIVED: Final = frozenset({None, Status.UNKNOWN, Status.ACCEPTED, Status.SENT})

#: Only an arrival moves a message on from here.
_NOTHING_UNDER_WAY: Final = frozenset(
    {Status.QUEUED, Status.FAILED, Status.CANCELLED, Status.EXPIRED}
)
_BY_OUTCOME: Final = {
    Outcome.ACCEPTED: Status.ACCEPTED,
    Outcome.UNKNOWN: Status.UNKNOWN,
    Outcome.REFUSED: Status.FAILED,
}
#: Which receipt decides where an attempt stands: the first of these that it has.
_BY_RECEIPT: Final = (
    (ReceiptStatus.READ, Status.READ),
    (ReceiptStatus.DELIVERED, Status.DELIVERED),
    (ReceiptStatus.FAILED, Status.FAILED),
    (ReceiptStatus.SENT, Status.SENT),
)


def standing(message: Message, attempt: Attempt) -> Status | None:
    """How far an attempt came; None while it is under way, or where the provider was busy."""
    if message.receipts:
        told = {r.status for r in message.receipts if r.attempt == attempt.number}
        for receipt_status, status in _BY_RECEIPT:
            if receipt_status in told:
                return status
    return None if attempt.outcome is None else _BY_OUTCOME.get(attempt.outcome)


def has_unknown(message: Message) -> bool:
    """Whether any of its attempts is unknown."""
    return any(standing(message, attempt) is Status.UNKNOWN for attempt in message.attempts)


def status_of(before: Message, after: Message, stands: Sequence[Status | None]) -> Status:
    """Where `after` stands: with its furthest attempt, unless more of it is still to come.

    Args:
        before: the message until now.
        stands: where each attempt of `after` stands.
    """
    furthest = Status.FAILED  # where every provider was busy, and nothing is to come
    for stood in stands:
        if stood is not None and _RANK[stood] > _RANK[furthest]:
            furthest = stood
    if furthest in ARRIVED:
        return furthest
    if after.attempts[-1].outcome is None:
        return Status.SENDING
    return before.status if before.status in _NOTHING_UNDER_WAY else furthest
