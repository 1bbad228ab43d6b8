"""Receipts applied to the attempts they are about, or parked. Inside a transaction."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from alir.errors import NotFound
from alir.ids import MessageId, ProviderId, SenderName
from alir.messages import life
from alir.messages.lost import shows_a_loss
from alir.messages.model import Attempt, Decision, Message, ReceiptStatus
from alir.receipts.model import Heard, Mark, Told
from alir.receipts.ports import Consequences
from alir.store.callbacks import mark_applied
from alir.store.contacts import hear, learn, learnt_of
from alir.store.parked import park, unpark
from alir.store.reading import by_provider_id, load, named
from alir.store.sql import Connection
from alir.store.writing import Decide, change, save_all


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

    def add_receipt(
        self, told: Told, number: int, after: Message, decided: life.Change | None
    ) -> None:
        """Remember what a receipt of attempt `number` changed, if it did."""
        if decided is None:
            return
        self.note(after, decided)
        self.changed.append(after)
        if told.status is ReceiptStatus.FAILED:
            self.failed.append(Failed(after, number, told.error))
        else:
            self.arrived.append((after, number))

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


@dataclass(slots=True, eq=False)
class Telling:
    """What a callback tells, or a portion of it.

    Attributes:
        ends: the callback that ends with it, if one does.
        applied: what it changed, as of the last run.
    """

    told: Sequence[Told | Heard]
    ends: int | None
    applied: Applied = field(default_factory=Applied)

    @property
    def receipts(self) -> list[Told]:
        return [one for one in self.told if isinstance(one, Told)]

    @property
    def names(self) -> list[str]:
        """The ids by which its receipts name messages."""
        return [id_ for one in self.receipts for id_ in _names(one)]


def apply_together(
    connection: Connection, tellings: Sequence[Telling], now: datetime, consequences: Consequences
) -> None:
    """Apply all that callbacks tell, in their order, and mark those applied that end with it."""
    receipts: list[tuple[Told, Applied]] = []
    for telling in tellings:
        telling.applied = Applied()
        receipts += [(one, telling.applied) for one in telling.receipts]
    told = [one for telling in tellings for one in telling.told]
    learn(connection, learnt_of(one for one in told if isinstance(one, Heard | Told)))
    hear(connection, [one for one in told if isinstance(one, Heard)])
    if len(receipts) > 1:
        receipts = _apply_plain(connection, receipts, now, consequences)
    for one, applied in receipts:
        applied.add(apply_all(connection, [one], now, consequences))
    mark_applied(connection, [each.ends for each in tellings if each.ends is not None], now)


def _apply_plain(
    connection: Connection,
    receipts: Sequence[tuple[Told, Applied]],
    now: datetime,
    consequences: Consequences,
) -> list[tuple[Told, Applied]]:
    """Apply receipts of attempts that a provider is known to have taken, in few statements.

    Returns:
        Those that are left, in their order: all of a message of which one is not as plain.
    """
    stand: dict[str, Message] = {
        message.id: message
        for message in named(connection, [id_ for one, _ in receipts for id_ in _names(one)])
    }
    by_id: dict[str, tuple[MessageId, int]] = {}
    for message in stand.values():
        by_id |= {a.wamid: (message.id, a.number) for a in message.attempts if a.wamid}
    for message in stand.values():  # a provider's own id goes before
        by_id |= {a.provider_id: (message.id, a.number) for a in message.attempts if a.provider_id}
    found = [_place(stand, by_id, one) for one, _ in receipts]
    odd: set[str] = set()
    for (one, _), place in zip(receipts, found, strict=True):
        if place is not None and not _is_plain(stand[place[0]].attempt(place[1]), one):
            # Where its mark leads nowhere, its ids may yet lead to another message.
            named_too = (by_id[id_][0] for id_ in (one.provider_id, one.wamid) if id_ in by_id)
            odd |= {place[0], *named_too}
    left: list[tuple[Told, Applied]] = []
    changes: list[tuple[Message, life.Change]] = []
    of_changes: list[tuple[Told, int, Applied]] = []
    for (one, applied), place in zip(receipts, found, strict=True):
        if place is None or place[0] in odd:
            left.append((one, applied))
            continue
        message = stand[place[0]]
        decided = _decision(one, place[1], message, now, consequences)(message)
        if decided is not None:
            stand[message.id] = decided.message.but(version=message.version + 1)
            changes.append((message, decided))
            of_changes.append((one, place[1], applied))
    saved = save_all(connection, changes, now) if changes else []
    if saved is None:  # another process changed one of them meanwhile
        return list(receipts)
    for (one, number, applied), after, (_, decided) in zip(of_changes, saved, changes, strict=True):
        applied.add_receipt(one, number, after, decided)
    return left


def _place(
    stand: Mapping[str, Message], by_id: Mapping[str, tuple[MessageId, int]], told: Told
) -> tuple[MessageId, int] | None:
    """As `_attempt_of`, among messages that were read before."""
    if told.mark is not None:
        message = stand.get(told.mark.message_id)
        if message is not None and message.sender == told.sender:
            # One that it has no attempt for may have lost it.
            return message.id, told.mark.attempt
    for id_ in (told.provider_id, told.wamid):
        place = None if id_ is None else by_id.get(id_)
        if place is not None and stand[place[0]].sender == told.sender:
            return place
    return None


def _is_plain(attempt: Attempt | None, told: Told) -> bool:
    """Whether a receipt tells nothing of its attempt but how far it has come."""
    if attempt is None or attempt.is_open:
        return False
    known = (attempt.provider_id, attempt.wamid)
    return told.provider_id in known and (told.wamid is None or told.wamid in known)


def _names(told: Told) -> list[str]:
    """By what its message is looked for first: the mark, and else the ids."""
    if told.mark is not None:
        return [told.mark.message_id]
    return [id_ for id_ in (told.provider_id, told.wamid) if id_ is not None]


def _decision(
    told: Told, number: int, message: Message, now: datetime, consequences: Consequences
) -> Decide:
    """What becomes of a message by a receipt of its attempt `number`."""
    again = None
    if told.status is ReceiptStatus.FAILED:
        again = consequences.again(message, told.error)
    return told.received_by(number, now, again)


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
    decide = _decision(told, number, message, now, consequences)
    after, decided = change(connection, message, decide, now)
    applied.add_receipt(told, number, after, decided)
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
