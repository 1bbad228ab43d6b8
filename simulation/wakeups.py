"""What the processes of a world tell each other: late, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextvars import Context, copy_context
from random import Random

from alir.ids import MessageId, SenderName
from alir.wakeups import News
from simulation.plan import Rumours


class Hearsay:
    """Between the processes: hands on to all of them what one tells."""

    def __init__(self, rumours: Rumours, chance: Random, loop: asyncio.AbstractEventLoop) -> None:
        self.rumours = rumours
        self._chance = chance
        self._loop = loop
        self._listeners: list[SimulatedWakeups] = []

    def join(self) -> SimulatedWakeups:
        """What a new process tells and hears by."""
        mine = SimulatedWakeups(self)
        self._listeners.append(mine)
        return mine

    def leave(self, one: SimulatedWakeups) -> None:
        """It tells and hears nothing more."""
        if one in self._listeners:
            self._listeners.remove(one)

    def tell(self, teller: SimulatedWakeups, news: News) -> None:
        """Have the others hear it, unless it gets lost on its way."""
        for one in self._listeners:
            if one is teller or self._chance.random() < self.rumours.lost:
                continue
            for hear, context in one.hearing():
                late = self._chance.uniform(0.0, self.rumours.late)
                self._loop.call_later(late, hear, news, context=context)


class SimulatedWakeups:
    """Of one process; see `Wakeups`."""

    def __init__(self, hearsay: Hearsay) -> None:
        self._hearsay = hearsay
        self._hearing: list[tuple[Callable[[News], None], Context]] = []

    def hearing(self) -> Iterator[tuple[Callable[[News], None], Context]]:
        """Who is to be called, and as whose step."""
        return iter(self._hearing)

    def queued(self, sender: SenderName) -> None:
        """See `Wakeups`."""
        self._tell(News(queued=(sender,)))

    def settled(self, message_id: MessageId) -> None:
        """See `Wakeups`."""
        self._tell(News(settled=(message_id,)))

    def callback_kept(self) -> None:
        """See `Wakeups`."""
        self._tell(News(callbacks=True))

    def lease_changed(self) -> None:
        """See `Wakeups`."""
        self._tell(News(leases=True))

    def pause_changed(self, sender: SenderName) -> None:
        """See `Wakeups`."""
        self._tell(News(pauses=(sender,)))

    def heard(self, sender: SenderName) -> None:
        """See `Wakeups`."""
        self._tell(News(heard={sender: 1}))

    def evidence_missed(self) -> None:
        """See `Wakeups`."""
        self._tell(News(evidence_missed=True))

    def listen(self, hear: Callable[[News], None]) -> None:
        """See `Wakeups`."""
        self._hearing.append((hear, copy_context()))

    async def run(self) -> None:
        """See `Wakeups`: it is told as it happens."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """See `Wakeups`."""
        self._hearsay.leave(self)

    def _tell(self, news: News) -> None:
        self._hearsay.tell(self, news)
