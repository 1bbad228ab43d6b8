"""Attempts that a receipt names and the store has lost, as with a backup that was restored."""

from __future__ import annotations

from typing import Final

from alir.messages.model import Attempt, Message, Outcome, Receipt, ReceiptStatus

#: A mark that names an attempt further on than this is nobody's: a message that a busy provider
#: does not take for 24 hours is tried 300 times; alir's own.
MOST_LOST: Final = 500

_LOST: Final = {
    "code": "record_lost",
    "provider_code": None,
    "title": "A receipt names this attempt or a later one, and its record is lost",
    "detail": None,
}


def shows_a_loss(message: Message, number: int, status: ReceiptStatus) -> bool:
    """Whether a receipt that names attempt `number` shows that its record is lost.

    Nothing is sent that is not on disk as begun: whoever sent it wrote to a disk that is gone.
    That cannot be while an attempt of this very message is under way here. Of an attempt that
    failed nothing need be known: it has not arrived.
    """
    last = message.attempts[-1] if message.attempts else None
    is_under_way = last is not None and last.outcome is None
    if is_under_way or status is ReceiptStatus.FAILED:
        return False
    return 0 < number - len(message.attempts) <= MOST_LOST


def with_lost(message: Message, receipt: Receipt) -> Message:
    """The message with the attempts up to the receipt's, where those are lost.

    What each of them came to, nobody knows; the receipt says it of its own.
    """
    if not shows_a_loss(message, receipt.attempt, receipt.status):
        return message
    lost = Attempt(0, receipt.at, settled_at=receipt.at, outcome=Outcome.UNKNOWN, error=_LOST)
    numbers = range(len(message.attempts) + 1, receipt.attempt + 1)
    return message.but(attempts=(*message.attempts, *(lost._replace(number=n) for n in numbers)))
