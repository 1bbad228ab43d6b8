"""Which attempt a receipt is about that names none: guessed only where there is one choice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from alir.ids import MessageId, ProviderId, SenderName
from alir.messages.model import ReceiptStatus

#: How long a receipt stays parked before it is guessed what it is about: the provider's own answer
#: comes within 20 s or not at all.
GUESS_AFTER = timedelta(seconds=30)

#: A failed receipt is no evidence: it may be of a message that somebody else sent.
_EVIDENCE = frozenset({ReceiptStatus.SENT, ReceiptStatus.DELIVERED, ReceiptStatus.READ})


class Candidate(NamedTuple):
    """A parked receipt without a mark, beside an attempt without an answer.

    Both are of the same sender and the same person.

    Attributes:
        came_at: when the receipt was parked.
    """

    sender: SenderName
    provider_id: ProviderId
    status: ReceiptStatus
    came_at: datetime
    message_id: MessageId
    attempt: int
    begun_at: datetime


class Guess(NamedTuple):
    """What is parked under `provider_id` is about this attempt."""

    sender: SenderName
    provider_id: ProviderId
    message_id: MessageId
    attempt: int


def guess(candidates: Iterable[Candidate], *, now: datetime) -> list[Guess]:
    """Tie ids to attempts where nothing else is possible; what came first is tied first.

    An id is tied where receipts under it came after the attempt was begun, all of them, where one
    that says that the message arrived has waited for `GUESS_AFTER`, and where no other attempt to
    that person is without an answer.
    """
    by_id: dict[tuple[SenderName, ProviderId], list[Candidate]] = {}
    for candidate in sorted(candidates, key=lambda c: c.came_at):
        by_id.setdefault((candidate.sender, candidate.provider_id), []).append(candidate)
    guesses: dict[tuple[MessageId, int], Guess] = {}
    for (sender, provider_id), told in by_id.items():
        attempts = {(one.message_id, one.attempt) for one in told}
        if len(attempts) == 1 and _is_evidence(told, now):
            [(message_id, attempt)] = attempts
            tied = Guess(sender, provider_id, message_id, attempt)
            guesses.setdefault((message_id, attempt), tied)
    return list(guesses.values())


def _is_evidence(told: Sequence[Candidate], now: datetime) -> bool:
    """Whether what is told of one id, earliest first, is evidence that its attempt arrived."""
    return told[0].came_at >= told[0].begun_at and any(
        one.status in _EVIDENCE and one.came_at + GUESS_AFTER <= now for one in told
    )
