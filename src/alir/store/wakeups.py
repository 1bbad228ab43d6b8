"""How processes of one PostgreSQL database wake one another: by LISTEN and NOTIFY.

Each has a session for it, beside those that it writes and reads in.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import asyncpg

from alir.errors import StoreUnavailable
from alir.ids import MessageId, SenderName
from alir.observe import get_logger
from alir.store.news import news_in, texts_of
from alir.store.postgresql_session import connect, is_trouble
from alir.wakeups import News

CHANNEL: Final = "alir"
#: How many settled messages are remembered while one notification is under way: some 35 KB. Of
#: more than that, who waits learns when it looks by itself.
MOST_SETTLED: Final = 1_000
#: Between the loss of a session and the next, and between two tries to get one.
AGAIN_SECONDS: Final = 1.0
#: How often a session that nothing was told in is tried, as a dead one may look like a quiet one.
LOOK_SECONDS: Final = 10.0
#: How long telling what is left may take in the end.
CLOSING_SECONDS: Final = 1.0

# A transaction of its own, not a part of the commit group whose news it brings: who notifies holds
# a lock of the whole server until its commit is on disk, so the processes would commit one after
# the other. What a crash loses between the two is found by those who look every second.
_TELL: Final = "SELECT pg_notify($1, told) FROM unnest($2::text[]) AS told"

_log = get_logger("wakeups")


class PostgresWakeups:
    """See `Wakeups`. What is told while no session is to be had is forgotten.

    Whatever is told within one turn of the event loop (all messages of a commit group are) goes out
    together; while that is under way, the next gathers.

    Args:
        name: of this process, which does not hear what it tells itself.
        has_peers: whether another process may live; while none does, nothing is told.
    """

    def __init__(self, url: str, name: str, *, has_peers: Callable[[], bool]) -> None:
        self._url = url
        self._name = name
        self._has_peers = has_peers
        self._hearers: list[Callable[[News], None]] = []
        self._told = _Told()
        self._woken = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._is_connected = False
        self._is_lost = False
        self._is_closing = False
        self._was_puzzled = False
        self._evidence_missed = False

    def queued(self, sender: SenderName) -> None:
        """See `Wakeups.queued`."""
        if (told := self._telling()) is not None:
            told.queued.add(sender)

    def settled(self, message_id: MessageId) -> None:
        """See `Wakeups.settled`."""
        if (told := self._telling()) is not None and len(told.settled) < MOST_SETTLED:
            told.settled.add(message_id)

    def callback_kept(self) -> None:
        """See `Wakeups.callback_kept`."""
        if (told := self._telling()) is not None:
            told.callbacks = True

    def lease_changed(self) -> None:
        """See `Wakeups.lease_changed`."""
        if (told := self._telling()) is not None:
            told.leases = True

    def pause_changed(self, sender: SenderName) -> None:
        """See `Wakeups.pause_changed`."""
        if (told := self._telling()) is not None:
            told.pauses.add(sender)

    def heard(self, sender: SenderName) -> None:
        """See `Wakeups.heard`."""
        if (told := self._telling()) is not None:
            told.heard[sender] += 1

    def evidence_missed(self) -> None:
        """See `Wakeups.evidence_missed`: what keeps alir from storing may cut the session, too."""
        self._evidence_missed = True
        if self._is_connected:
            self._woken.set()

    def listen(self, hear: Callable[[News], None]) -> None:
        """See `Wakeups.listen`."""
        self._hearers.append(hear)

    async def run(self) -> None:
        """See `Wakeups.run`. A session that is lost is followed by another."""
        self._ended.clear()
        try:
            while not self._is_closing:
                try:
                    await self._live()
                except Exception as error:  # `_note` tells a fault of alir's from a lost session
                    self._note(error)
                    self._woken.clear()
                    if not self._is_closing:
                        await self._wait(AGAIN_SECONDS)
        finally:
            self._ended.set()

    async def close(self) -> None:
        """See `Wakeups.close`. It takes a second at most; whoever runs `run` then cancels it."""
        self._is_closing = True
        self._woken.set()
        try:
            async with asyncio.timeout(CLOSING_SECONDS):
                await self._ended.wait()
        except TimeoutError:
            _log.warning("wakeups_not_closed")

    def _telling(self) -> _Told | None:
        """What there is to tell, about to be added to; none, where nobody would hear it."""
        if not self._is_connected or not self._has_peers():
            return None
        self._woken.set()
        return self._told

    async def _live(self) -> None:
        """Hear and tell in one session, until `close`; else what ended it is raised."""
        connection = await connect(self._url)
        session = connection.raw
        try:
            session.add_termination_listener(self._cut)
            await session.add_listener(CHANNEL, self._received)
            self._begin()
            while not self._is_closing or self._woken.is_set():
                await self._wait(LOOK_SECONDS)
                told, self._told = self._told, _Told()
                news = replace(told.news(), evidence_missed=self._evidence_missed)
                self._evidence_missed = False
                try:
                    # Where there is nothing to tell, it shows that the session lives.
                    await session.execute(_TELL, CHANNEL, texts_of(self._name, news))
                except BaseException:  # a cancellation too: it is yet to be told
                    self._evidence_missed |= news.evidence_missed
                    raise
            self._is_connected = False
            await connection.close()
        finally:
            self._is_connected = False
            self._told = _Told()
            session.remove_termination_listener(self._cut)
            session.terminate()

    def _cut(self, _session: asyncpg.Connection[Any]) -> None:
        self._woken.set()

    def _begin(self) -> None:
        if self._is_lost:
            self._is_lost = False
            _log.info("wakeups_back")
        self._is_connected = True
        if self._evidence_missed:
            self._woken.set()
        self._pass_on(News(missed=True))

    def _note(self, error: Exception) -> None:
        """The session is lost, or was not to be had; it is said once for each loss."""
        if self._is_lost:
            return
        self._is_lost = True
        if isinstance(error, StoreUnavailable) or is_trouble(error):
            _log.warning("wakeups_lost", reason=str(error))
        else:
            # A fault of alir's own: without wake-ups everything goes on, up to a second later.
            _log.error("wakeups_broke", exc_info=error)

    async def _wait(self, seconds: float) -> None:
        """Until woken, or for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return
        self._woken.clear()

    def _received(
        self, _session: asyncpg.Connection[Any], _pid: int, _channel: str, text: str
    ) -> None:
        try:
            name, news = news_in(text)
        except ValueError as error:
            if not self._was_puzzled:  # who can log in could fill the log
                self._was_puzzled = True
                _log.warning("notification_not_understood", reason=str(error))
            return
        if name != self._name:
            self._pass_on(news)

    def _pass_on(self, news: News) -> None:
        loop = asyncio.get_running_loop()
        for hear in self._hearers:
            loop.call_soon(hear, news)  # so that a fault of one keeps nothing from the others


@dataclass(slots=True)
class _Told:
    """What was told since the last notification."""

    queued: set[SenderName] = field(default_factory=set)
    settled: set[MessageId] = field(default_factory=set)
    callbacks: bool = False
    leases: bool = False
    pauses: set[SenderName] = field(default_factory=set)
    heard: Counter[SenderName] = field(default_factory=Counter)

    def news(self) -> News:
        """The same, as others hear it."""
        return News(
            queued=tuple(self.queued),
            settled=tuple(self.settled),
            callbacks=self.callbacks,
            leases=self.leases,
            pauses=tuple(self.pauses),
            heard=self.heard,
        )
