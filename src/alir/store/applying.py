"""Receipts applied to the attempts they are about, or parked. Inside a transaction."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from alir.errors import NotFound
from alir.ids import ProviderId, SenderName
from alir.messages import life
from alir.messages.lost import shows_a_loss
from alir.messages.model import Decision, Message, ReceiptStatus
from alir.receipts.model import Mark, Told
from alir.receipts.ports import Consequences
from alir.store.parked import park, unpark
from alir.store.reading import by_provider_id, load
from alir.store.sql import Connection
from alir.store.writing import Decide, change


class Failed(NamedTuple):
    """An attempt failed by receipt, as is on disk once the transaction is."""

    message: Message
    attempt: int
    error: Mapping[str, Any] | None


@dataclass(slots=True)
class Applied:
    """What receipts changed."""

    changed: list[Message] = field(default_factory=list)
    arrived: list[tuple[Message, int]] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    decisions: list[tuple[Message, Decision]] = field(default_factory=list)

    def note(self, after: Message, decided: life.Change | None) -> None:
        """Remember what a change decided about an attempt that was unknown, if it did."""
        if decided is not None and decided.decision is not None:
            self.decisions.append((after, decided.decision))

    def add(self, other: Applied) -> None:
        """Take in what further receipts changed."""
        self.changed += other.changed
        self.arrived += other.arrived
        self.failed += other.failed
        self.decisions += other.decisions

    def tell(self, consequences: Consequences) -> None:
        """Once it is on disk: let stand still what the failures say, before anything goes on."""
        for message, attempt in self.arrived:
            consequences.arrived(message, attempt)
        for failed in self.failed:
            consequences.failed(failed.message, failed.attempt, failed.error)
        for message, decision in self.decisions:
            consequences.decided(message, decision)


def apply_all(
    connection: Connection, told: Sequence[Told], now: datetime, consequences: Consequences
) -> Applied:
    """Apply each receipt to the attempt it is about, with all that was parked for its ids."""
    applied = Applied()
    left = deque(told)
    while left:
        one = left.popleft()
        found = _attempt_of(connection, one)
        if found is None:
            park(connection, one, now)
            continue
        message, number = found
        try:
            after = apply_one(connection, message, number, one, now, consequences, applied)
        except NotFound:  # another process has removed it since
            park(connection, one, now)
            continue
        known = _ids(message, number)
        for id_ in _ids(after, number):
            if id_ not in known:  # receipts may have waited for just this
                left.extendleft(reversed(unpark(connection, one.sender, id_)))
    return applied


def apply_one(  # noqa: PLR0917 - what is written, where, and to what
    connection: Connection,
    message: Message,
    number: int,
    told: Told,
    now: datetime,
    consequences: Consequences,
    applied: Applied,
) -> Message:
    """Apply a receipt that is about attempt `number` of `message`; the message as it stands."""
    again = None
    has_failed = told.status is ReceiptStatus.FAILED
    if has_failed:
        again = consequences.again(message, told.error)
    decide: Decide = told.received_by(number, now, again)
    after, decided = change(connection, message, decide, now)
    if decided is not None:
        applied.note(after, decided)
        applied.changed.append(after)
        if has_failed:
            applied.failed.append(Failed(after, number, told.error))
        else:
            applied.arrived.append((after, number))
    return after


def _ids(message: Message, number: int) -> list[ProviderId]:
    """The ids by which receipts may name an attempt."""
    attempt = message.attempt(number)
    return [id_ for id_ in (attempt.provider_id, attempt.wamid) if id_] if attempt else []


def _attempt_of(connection: Connection, told: Told) -> tuple[Message, int] | None:
    """The message and the attempt's number that a receipt is about; only its own sender's.

    The mark says so best; where it names nothing that alir knows, the ids do.
    """
    if told.mark is not None:
        named = named_by(connection, told.sender, told.mark, told.status)
        if named is not None:
            return named, told.mark.attempt
    for id_ in (told.provider_id, told.wamid):
        found = None if id_ is None else by_provider_id(connection, id_)
        if found is not None and found[2] == told.sender:
            return load(connection, found[0]), found[1]
    return None


def named_by(
    connection: Connection, sender: SenderName, mark: Mark, status: ReceiptStatus
) -> Message | None:
    """The message whose attempt a receipt's mark names: one that is there, or that is lost."""
    with suppress(NotFound):
        message = load(connection, mark.message_id)
        if message.sender == sender and (
            message.attempt(mark.attempt) is not None or shows_a_loss(message, mark.attempt, status)
        ):
            return message
    return None
