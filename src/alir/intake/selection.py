"""What is done to every message that filters select: step by step, each by a write of its own.

A call that a crash ended may simply be made again: what it had changed is past the point then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final, NamedTuple

from alir.clock import Clock
from alir.errors import NotFound, TooLate
from alir.ids import MessageId
from alir.intake.ports import Filters, Messages
from alir.messages import life
from alir.messages.model import Message, Status

#: How many places, in the order of accepting, are looked at by one read.
PLACES: Final = 5_000
#: How many messages are changed together: 5 ms of the event loop's.
TOGETHER: Final = 50


class Step(NamedTuple):
    """A step of the way: how many messages it changed, and how many it passed over.

    Attributes:
        skipped: selected, and past the point where it can be done.
    """

    changed: int
    skipped: int


class Selection:
    """Cancels and retries all that filters select. What is accepted after the call is left alone.

    Oldest first: what would go out next is cancelled first, and what is retried keeps its order.
    """

    def __init__(self, messages: Messages, clock: Clock) -> None:
        self._messages = messages
        self._clock = clock

    def cancel(self, filters: Filters) -> AsyncIterator[Step]:
        """Cancel them, as `life.cancel` says.

        Raises:
            StoreUnavailable: the store cannot take it now; what came before is done.
        """
        return self._change(filters, life.cancel, {Status.QUEUED, Status.UNKNOWN})

    def retry(self, filters: Filters) -> AsyncIterator[Step]:
        """Queue them once more, as `life.retry` says.

        Raises:
            StoreUnavailable: the store cannot take it now; what came before is done.
        """
        return self._change(
            filters,
            lambda message: life.retry(message, now=self._clock.now()),
            {Status.FAILED, Status.UNKNOWN},
        )

    async def _change(
        self, filters: Filters, deed: Callable[[Message], life.Change | None], may: set[Status]
    ) -> AsyncIterator[Step]:
        if filters.status is not None:
            may = may & {Status(filters.status)}

        def decide(message: Message) -> life.Change | None:
            if message.status not in may:  # it moved on, and would not be selected any more
                raise TooLate("moved on", message_id=message.id, status=message.status.value)
            return deed(message)

        newest = await self._messages.newest()
        to = 0
        # Years of places may be empty, as what was there is purged.
        while 0 < (first := await self._messages.next_place(to)) <= newest:
            after, to = first - 1, min(first - 1 + PLACES, newest)
            selected = await self._messages.selected(filters, after=after, to=to)
            ids = [one.id for one in selected if one.status in may]
            yield Step(0, len(selected) - len(ids))
            for at in range(0, len(ids), TOGETHER):
                some = ids[at : at + TOGETHER]
                changed = sum(await asyncio.gather(*(self._try(id_, decide) for id_ in some)))
                yield Step(changed, len(some) - changed)

    async def _try(
        self, message_id: MessageId, decide: Callable[[Message], life.Change | None]
    ) -> bool:
        try:
            await self._messages.change(message_id, decide)
        except (TooLate, NotFound):
            return False
        return True
