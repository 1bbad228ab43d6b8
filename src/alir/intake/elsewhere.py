"""Callers who wait here for what another process does to their message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from alir.clock import Clock
from alir.errors import StoreUnavailable
from alir.ids import MessageId
from alir.intake.ports import Moves
from alir.intake.waiting import Waiting
from alir.observe import get_logger
from alir.wakeups import News

#: How often is looked what became of everything that somebody waits for: news may get lost.
#: Source: design section 8.
LOOK_SECONDS = 1.0
#: How many messages one read asks for, so that none takes long.
MOST_AT_ONCE = 500

_log = get_logger("waiting")


class Elsewhere:
    """Publishes to `Waiting` what other processes have written.

    It looks at once for the messages that news says are settled, and for what it is asked to look
    for, and every second for all that somebody waits for.

    Args:
        has_peers: whether another process may write; while none does, nothing is looked for.
    """

    def __init__(
        self, waiting: Waiting, messages: Moves, clock: Clock, *, has_peers: Callable[[], bool]
    ) -> None:
        self._waiting = waiting
        self._messages = messages
        self._clock = clock
        self._has_peers = has_peers
        self._told: set[MessageId] = set()
        self._is_told = asyncio.Event()

    def hear(self, news: News) -> None:
        """Another process told this."""
        told = self._waiting.waited_for(None if news.missed else news.settled)
        if told:
            self._told.update(told)
            self._is_told.set()

    def look(self, message_id: MessageId) -> None:
        """See soon whether the message, which somebody waits for, has moved."""
        self._told.add(message_id)
        self._is_told.set()

    async def run(self) -> None:
        """Look for what is waited for, for ever."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._look_when_told())
            both.create_task(self._look_every_second())

    async def _look_when_told(self) -> None:
        while True:
            await self._is_told.wait()
            self._is_told.clear()
            told, self._told = self._told, set()
            await self._look(self._waiting.waited_for(told))

    async def _look_every_second(self) -> None:
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            if self._has_peers():
                await self._look(self._waiting.waited_for())

    async def _look(self, known: Mapping[MessageId, int]) -> None:
        """Publish what has moved since; what cannot be read now is looked for within a second."""
        all_known = list(known.items())
        try:
            for at in range(0, len(all_known), MOST_AT_ONCE):
                some = dict(all_known[at : at + MOST_AT_ONCE])
                for message in await self._messages.moved(some):
                    self._waiting.publish(message)
        except StoreUnavailable as error:
            _log.warning("looking_failed", reason=str(error))
        except Exception as fault:
            # A fault of alir's own, for once; its text may hold a person's number.
            _log.error("looking_broke", fault=type(fault).__name__)
