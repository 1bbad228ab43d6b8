"""Receipts: applied to the attempt they are about, or parked until there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TypeVar

from alir.clock import Clock
from alir.errors import NotFound, StoreUnavailable
from alir.ids import MessageId, ProviderId, SenderName
from alir.messages.model import Decision, Message
from alir.receipts.guess import Guess, guess
from alir.receipts.model import Heard, Told
from alir.receipts.ports import Consequences
from alir.store.applying import Applied, Telling, apply_all, apply_together, named_by
from alir.store.database import Database
from alir.store.group import Work
from alir.store.parked import candidates, forget_older, park, unpark, waiting
from alir.store.reading import by_provider_id, load
from alir.store.sql import Connection
from alir.store.writing import change

T = TypeVar("T")

#: Bounds how long the event loop is busy with one piece of work.
LARGEST_PORTION = 50


class ReceiptStore:
    """What providers told, applied to messages.

    `changed` is told, on the event loop, of every message that changed, once that is on disk.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        changed: Callable[[Message], None],
        consequences: Consequences,
    ) -> None:
        self._database = database
        self._clock = clock
        self._changed = changed
        self._consequences = consequences
        # What a write in doubt may have changed; the next write tells of it as it stands then.
        self._doubted: set[MessageId] = set()

    async def apply(self, told: Sequence[Told | Heard], *, callback: int) -> None:
        """Apply everything that one callback tells and mark it applied. Twice changes nothing.

        In portions, so that nobody else has to wait for a callback of a thousand.
        """
        *portions, last = _portions(told) or [()]
        for portion in portions:
            await self._apply_some(portion)
        await self._apply_some(last, ends=callback)

    async def _apply_some(self, told: Sequence[Told | Heard], *, ends: int | None = None) -> None:
        """Apply these, and mark the callback applied that ends with them."""
        telling = Telling(told, ends)
        try:
            await self._database.write_among(self._apply_group, telling, about=telling.names)
        except StoreUnavailable as error:
            if error.in_doubt:
                self._doubted |= {message.id for message in telling.applied.changed}
            raise
        self._tell(telling.applied, telling.applied.changed)
        self._doubted -= {message.id for message in telling.applied.changed}
        if self._doubted:
            await self._write(lambda _: Applied())

    def _apply_group(self, connection: Connection, tellings: Sequence[Telling]) -> Sequence[None]:
        apply_together(connection, tellings, self._clock.now(), self._consequences)
        return [None] * len(tellings)

    async def sweep(self, *, keep: timedelta) -> None:
        """Try the parked receipts again, and forget those that are older than `keep`.

        Raises:
            StoreUnavailable: the database takes no writes, though there be nothing to write: then
                no callback can be kept either, and whoever waits for one waits anew.
        """
        await self._database.try_out()
        ids = await self._database.read(_known_by_now)
        for portion in _portions(ids):
            about = [id_ for _, id_ in portion]
            await self._write(partial(self._try_again, ids=portion), about=about)
        if self._doubted:
            await self._write(lambda _: Applied())
        than = self._clock.now() - keep
        forget = partial(forget_older, than=than, limit=LARGEST_PORTION)
        while await self._database.write(forget) == LARGEST_PORTION:
            pass

    async def guess(self, senders: Sequence[SenderName]) -> None:
        """Settle attempts of these senders by parked receipts that can be about no other."""
        found = await self._database.read(lambda connection: candidates(connection, senders))
        for portion in _portions(guess(found, now=self._clock.now())):
            about = [one.message_id for one in portion]
            await self._write(partial(self._settle_by, guesses=portion), about=about)

    def _settle_by(self, connection: Connection, guesses: Sequence[Guess]) -> Applied:
        # What was begun since the guess was made was begun after its receipts came.
        applied = Applied()
        for one in guesses:
            self._settle_by_guess(connection, one, applied)
        return applied

    def _settle_by_guess(self, connection: Connection, made: Guess, applied: Applied) -> None:
        """Settle an attempt, unless it has an answer by now or the id is known to be another's."""
        now = self._clock.now()
        try:
            message = load(connection, made.message_id)
        except NotFound:
            return  # purged since
        attempt = message.attempt(made.attempt)
        is_open = attempt is not None and attempt.is_open
        if not is_open or by_provider_id(connection, made.provider_id) is not None:
            return
        told = unpark(connection, made.sender, made.provider_id)
        if not told:
            return
        after, decided = change(connection, message, told[0].guessed_by(made.attempt, now), now)
        if decided is None:  # another process wrote its answer meanwhile
            for one in told:
                park(connection, one, now)
            return
        applied.note(after, decided)
        applied.changed.append(after)
        # The others are found by its id now.
        applied.add(apply_all(connection, told[1:], now, self._consequences))

    def _try_again(
        self, connection: Connection, ids: Sequence[tuple[SenderName, ProviderId]]
    ) -> Applied:
        told = [one for sender, id_ in ids for one in unpark(connection, sender, id_)]
        applied = apply_all(connection, told, self._clock.now(), self._consequences)
        applied.decisions = [(message, Decision.PARKED) for message, _ in applied.decisions]
        return applied

    async def _write(self, work: Work[Applied], *, about: Sequence[str] = ()) -> None:
        """Have `work` change messages, and tell of them, and of those left in doubt before."""
        doubted = self._doubted.copy()
        last = Applied()

        def with_doubted(connection: Connection) -> list[Message]:
            nonlocal last
            last = work(connection)
            known = {message.id for message in last.changed}
            return [*_those_left(connection, doubted - known), *last.changed]

        try:
            changed = await self._database.write(with_doubted, about=about)
        except StoreUnavailable as error:
            if error.in_doubt:
                self._doubted |= {message.id for message in last.changed}
            raise
        self._doubted -= doubted
        self._tell(last, changed)

    def _tell(self, applied: Applied, changed: Sequence[Message]) -> None:
        applied.tell(self._consequences)
        for message in changed:
            self._changed(message)


def _known_by_now(connection: Connection) -> Sequence[tuple[SenderName, ProviderId]]:
    """The ids under which something is parked whose attempt is known by now."""
    return [
        *dict.fromkeys(
            (one.sender, one.provider_id)
            for one in waiting(connection)
            if one.is_known
            or (one.mark and named_by(connection, one.sender, one.mark, one.status) is not None)
        )
    ]


def _those_left(connection: Connection, ids: Iterable[MessageId]) -> Iterator[Message]:
    """These messages as they stand, but for those that were purged meanwhile."""
    for id_ in ids:
        with suppress(NotFound):
            yield load(connection, id_)


def _portions(items: Sequence[T]) -> Sequence[Sequence[T]]:
    return [items[at : at + LARGEST_PORTION] for at in range(0, len(items), LARGEST_PORTION)]
