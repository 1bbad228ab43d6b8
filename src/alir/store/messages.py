"""Messages: the queue, their life, and how they are found.

Each change is decided by a pure function upon the message as it stands, and written in one
transaction with its attempts, receipts and events. A change decided upon a message that was read
earlier is written only where that version still stands, else decided anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from alir.clock import Clock
from alir.dispatch.gate import Turn
from alir.dispatch.ports import Begun, Judge
from alir.dispatch.slots import NOBODY, StoodBack
from alir.errors import (
    AlirError,
    IdempotencyConflict,
    LeaseLost,
    RequestInvalid,
    StoreUnavailable,
)
from alir.ids import ApiTokenId, Fence, MessageId, SenderName
from alir.intake.ports import Filters, IdempotencyKey, New, Selected, Stored
from alir.messages import life, order, window
from alir.messages.model import Message, Status
from alir.receipts.ports import Consequences
from alir.store import rows
from alir.store.applying import Applied, apply_one
from alir.store.contacts import Learnt, anybody_heard, heard_among, learn
from alir.store.database import Database
from alir.store.keys import by_key
from alir.store.leases import standing, stands
from alir.store.lists import newest, next_place, page_of, selected_of
from alir.store.parked import parked_among, unpark
from alir.store.queue import Beginning, QueueReader
from alir.store.reading import by_provider_id, load, moved
from alir.store.sql import Connection
from alir.store.starts import Starts
from alir.store.together import LARGEST_PIECE, insert_each, not_stored
from alir.store.writing import Decide, NewMessage, change, event_row, insert_all, save_all

#: Bounds the memory that messages in a long queue take: about 3 KB each.
MOST_FRESH = 1_000


class MessageStore(QueueReader):
    """The messages of one database.

    `changed` is told, on the event loop, of every message that this process changed, once that is
    on disk.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        changed: Callable[[Message], None],
        consequences: Consequences,
    ) -> None:
        super().__init__(database, clock)
        self._tell = changed
        self._consequences = consequences
        # Messages that this process stored a moment ago, so that beginning them does not read
        # and take apart what was just put together. Only one whose version stands is used.
        self._fresh: dict[str, Message] = {}
        self._starts = Starts(clock)

    async def accept(
        self,
        message: Message,
        key: IdempotencyKey | None,
        *,
        begin: bool = False,
        fence: Fence | None = None,
        refuse_shut: bool = False,
    ) -> Stored:
        """Store a new message, or find the one that `key` stands for already.

        Its class is decided now. A message that comes when the window is known to be shut carries
        a warning.

        Args:
            begin: begin its first attempt with the same write, unless it has expired by then.
            fence: where it does not stand any more, nothing is begun.
            refuse_shut: refuse it where the window is known to be shut and nothing else may go.

        Raises:
            IdempotencyConflict: the key stands for another request.
            RequestInvalid: the window is shut.
            StoreUnavailable: nothing was stored, or (`in_doubt`) nobody can say, nor what of it.
        """
        self._database.require_room()
        new = _New(message, key, begin, fence, refuse_shut)
        try:
            stored = await self._database.write_among(self._insert_each, new)
        except StoreUnavailable as error:
            if error.in_doubt and new.stands is not None:
                return Stored(new.stands, replayed=False, doubt=error)
            raise
        if isinstance(stored, AlirError):
            raise stored
        if not stored.replayed and stored.message.status is Status.QUEUED:
            self._changed(stored.message)
        return stored

    def _insert_each(
        self, connection: Connection, new: Sequence[_New]
    ) -> Sequence[Stored | AlirError]:
        for one in new:
            one.stands = None
        return insert_each(connection, new, self._insert_all)

    def _insert_all(
        self, connection: Connection, new: Sequence[_New]
    ) -> Sequence[Stored | AlirError]:
        """What became of each; a refusal is an answer, so that a group is not repeated for it."""
        now = self._clock.now()
        people = {(one.message.sender, one.message.person) for one in new}
        last_heard = heard_among(connection, people) if anybody_heard(connection) else {}
        stand = standing(connection, {one.fence for one in new if one.begin})
        prepared: list[NewMessage] = []
        answers: list[Stored | AlirError] = []
        for one in new:
            message = one.message
            heard = last_heard.get((message.sender, message.person))
            queue_class = order.class_of(message, heard, now)
            if queue_class is not message.queue_class:
                message = message.but(queue_class=queue_class)
            shut, ahead = _is_shut_when_due(message, heard, now) if heard else (False, False)
            if shut and not ahead and one.refuse_shut and message.fallback is None:
                answers.append(RequestInvalid([window.refusal(to_number=message.to is not None)]))
                continue
            if shut:
                warning = window.warning(
                    to_number=message.to is not None,
                    has_fallback=message.fallback is not None,
                    ahead=ahead,
                )
                message = message.but(warnings=(*message.warnings, warning))
            stands = message
            if one.begin and one.fence in stand and life.expire(message, now=now) is None:
                stands = life.begin(message, now=now, window_shut=shut).message
            one.stands = stands
            values = rows.message_row(stands)
            if one.key is not None:
                values["idempotency_key"] = one.key.key
                values["request_hash"] = one.key.request_hash
            event = event_row("queued", message, message.version, 0, message.created_at)
            prepared.append(NewMessage(stands, values, event))
            answers.append(Stored(stands, replayed=False))
        if prepared:
            insert_all(connection, prepared)
        return answers

    async def accept_all(self, new: Sequence[New]) -> list[Stored | AlirError]:
        """Store new messages together, in their order; what became of each.

        An error is what `accept` would have raised; of `StoreUnavailable` in doubt, with the id.
        All are handed in at once, so that they share a commit, and in pieces, between which the
        event loop gets to do other things.
        """
        pieces = [new[at : at + LARGEST_PIECE] for at in range(0, len(new), LARGEST_PIECE)]
        answers = await asyncio.gather(*map(self._insert_piece, pieces))
        return [answer for piece in answers for answer in piece]

    async def _insert_piece(self, piece: Sequence[New]) -> Sequence[Stored | AlirError]:
        waiting = [_New(message, key, False, None, shut) for message, key, shut in piece]
        try:
            self._database.require_room()
            answers = await self._database.write(
                lambda connection: self._insert_each(connection, waiting), weight=len(piece)
            )
        except Exception as error:  # each hears of it: the other pieces may have been stored
            return not_stored(piece, error)
        for stored in answers:
            if isinstance(stored, Stored) and not stored.replayed:
                self._changed(stored.message)
        return answers

    async def replayed(self, token: ApiTokenId, key: IdempotencyKey) -> Message | None:
        """The message that `key` stands for already, if any.

        Raises:
            IdempotencyConflict: the key stands for another request.
        """
        found = await self._database.read(lambda connection: by_key(connection, token, key))
        if isinstance(found, IdempotencyConflict):
            raise found
        return found

    async def begin(
        self,
        sender: SenderName,
        *,
        limit: int,
        judge: Judge,
        turns: Sequence[Turn] = (),
        stood_back: StoodBack = NOBODY,
        fence: Fence | None = None,
    ) -> Begun:
        """Begin an attempt of up to `limit` messages of `sender`, as `judge` decides.

        The classes take their slots as `next_slot` says. Within a class, first those whose turn it
        is at their places, then what is due, longest first. What has expired is marked so, what has
        to wait is parked; neither counts.

        Args:
            fence: of the sender's lease, where processes share the database.

        Raises:
            LeaseLost: the sender is another process's; nothing was begun.
            StoreUnavailable: nothing was begun.
        """
        last = Begun((), None, more=True)

        def work(connection: Connection) -> tuple[Begun, list[Message]] | None:
            nonlocal last
            if fence is not None and not stands(connection, fence):
                return None
            begin = Beginning(sender, limit, judge, turns, stood_back, self._starts)
            last, others = begin.run(connection, self._fresh, self._clock.now())
            return last, others

        try:
            done = await self._database.write(work)
        except StoreUnavailable as error:
            if error.in_doubt:
                return Begun(last.messages, None, more=True, in_doubt=True)
            raise
        if done is None:
            raise LeaseLost(sender)
        result, others = done
        for message in (*others, *result.messages):
            self._changed(message)
        return result

    async def change(
        self, message: Message | MessageId, decide: Decide, *, fence: Fence | None = None
    ) -> Message:
        """Decide upon a message as it stands, and write what became of it.

        Where a message is given, `decide` is asked about it first, and about the message as it
        stands only if that has changed since.

        Args:
            fence: where it does not stand any more, nothing is decided.

        Raises:
            NotFound: there is no such message.
            AlirError: whatever `decide` raised; nothing was written.
        """

        def work(connection: Connection) -> tuple[Message, life.Change | None] | AlirError:
            try:
                if fence is not None and not stands(connection, fence):
                    return change(connection, message, _nothing, self._clock.now())
                return change(connection, message, decide, self._clock.now())
            except AlirError as error:
                return error  # so that the other work of the group is not repeated

        about = (message.id if isinstance(message, Message) else message,)
        result = await self._database.write(work, about=about)
        if isinstance(result, AlirError):
            raise result
        after, decided = result
        if decided is not None:
            self._changed(after)
            if decided.decision is not None:
                self._consequences.decided(after, decided.decision)
        return after

    async def settle(
        self, message: Message, settlement: life.Settlement, *, number: int
    ) -> Message:
        """Record what attempt `number` came to, and apply the receipts that waited for its id."""
        answered = _Answered(message, settlement, number)
        after, applied = await self._database.write_among(
            self._settle_all, answered, about=(message.id,)
        )
        if applied is not None:
            applied.tell(self._consequences)
        # Told even where a repeat found it written already: nobody was told of it then.
        self._changed(after)
        return after

    def _settle_all(
        self, connection: Connection, answers: Sequence[_Answered]
    ) -> Sequence[_Settled]:
        now = self._clock.now()
        learn(
            connection,
            [
                Learnt(message.sender, message.person, settlement.wa_id)
                for message, settlement, _ in answers
                if settlement.wa_id is not None
            ],
        )
        ids = [
            (message.sender, settlement.provider_id)
            for message, settlement, _ in answers
            if settlement.provider_id is not None
        ]
        waited_for = parked_among(connection, ids)
        changes = []
        if not waited_for:
            for message, settlement, number in answers:
                decided = life.settle(message, number, settlement, now=now)
                if decided is not None:
                    changes.append((message, decided))
        if len(changes) == len(answers):
            saved = save_all(connection, changes, now)
            if saved is not None:
                return [
                    _Settled(after)
                    if decided.decision is None
                    else _Settled(after, Applied(decisions=[(after, decided.decision)]))
                    for after, (_, decided) in zip(saved, changes, strict=True)
                ]
        return [self._settle_one(connection, answered, now) for answered in answers]

    def _settle_one(self, connection: Connection, answered: _Answered, now: datetime) -> _Settled:
        message, settlement, number = answered
        applied = Applied()
        after, decided = change(
            connection, message, lambda m: life.settle(m, number, settlement, now=now), now
        )
        applied.note(after, decided)
        if settlement.provider_id is not None:
            for told in unpark(connection, message.sender, settlement.provider_id):
                after = apply_one(connection, after, number, told, now, self._consequences, applied)
        return _Settled(after, applied)

    def _changed(self, message: Message) -> None:
        if message.status is not Status.QUEUED:
            self._fresh.pop(message.id, None)
        elif (
            len(self._fresh) < MOST_FRESH
            and message.due_at <= message.created_at
            and message.parked is None
        ):
            self._fresh[message.id] = message
        self._tell(message)

    async def get(self, message_id: MessageId) -> Message:
        """The message as it stands.

        Raises:
            NotFound: there is none with this id.
        """
        return await self._database.read(lambda connection: load(connection, message_id))

    async def find(self, any_id: str) -> Message:
        """The message that any id ever given out names: alir's own or the provider's.

        Raises:
            NotFound: no message has it.
        """

        def work(connection: Connection) -> Message:
            found = by_provider_id(connection, any_id)
            return load(connection, found[0] if found else any_id)

        return await self._database.read(work)

    async def moved(self, known: Mapping[MessageId, int]) -> list[Message]:
        """Those messages that stand at a later version than is known of them, as they stand now.

        Raises:
            StoreUnavailable: it cannot be read now.
        """
        return await self._database.read(lambda connection: moved(connection, known))

    async def page(
        self, filters: Filters, *, limit: int, before: int | None
    ) -> tuple[list[Message], int | None]:
        """Up to `limit` messages, newest first, from before a place; and the next such place."""
        return await self._database.read(
            lambda connection: page_of(connection, filters, limit=limit, before=before),
            is_long=True,
        )

    async def newest(self) -> int:
        """The place of the newest message in the order of accepting; 0: there is none."""
        return await self._database.read(newest)

    async def next_place(self, after: int) -> int:
        """The first place after this one at which there is a message; 0: there is none."""
        return await self._database.read(lambda connection: next_place(connection, after))

    async def selected(self, filters: Filters, *, after: int, to: int) -> list[Selected]:
        """The messages of the places after `after` up to `to` that filters select, oldest first."""
        return await self._database.read(
            lambda connection: selected_of(connection, filters, after=after, to=to), is_long=True
        )


@dataclass(slots=True)
class _New:
    """A message to be stored; see `MessageStore.accept`.

    Attributes:
        stands: as it was written last, begun or not; none: it was not.
    """

    message: Message
    key: IdempotencyKey | None
    begin: bool
    fence: Fence | None
    refuse_shut: bool
    stands: Message | None = None


class _Settled(NamedTuple):
    """A message whose attempt was settled, and what receipts that had waited for it changed."""

    message: Message
    applied: Applied | None = None


class _Answered(NamedTuple):
    """What attempt `number` of a message came to."""

    message: Message
    settlement: life.Settlement
    number: int


def _nothing(_message: Message) -> None:
    """Decides nothing."""


def _is_shut_when_due(message: Message, heard: datetime, now: datetime) -> tuple[bool, bool]:
    """Whether a new message will meet a shut window, and whether that is still ahead.

    A template meets none.
    """
    if message.template is not None:
        return False, False
    is_shut = window.is_shut(heard, max(message.due_at, now))
    return is_shut, is_shut and window.is_ahead(heard, now, message.send_at)
