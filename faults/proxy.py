"""Stands between a gateway and its provider, and breaks their calls as chance will have it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from types import TracebackType
from typing import Final, Self

from faults import wire
from faults.points import Moment
from faults.wire import GONE, Whole

#: A call is under way for so long at most, in seconds, if nothing befalls it.
DELAY_SECONDS: Final = 0.02
#: The same where the provider counts what comes in a second. Of the 31 ms that alir leaves free
#: then, half is for calls that take unequally long (`alir.dispatch.pacing`): 15 ms, of which a
#: dozen processes on two cores need the rest.
EVEN_DELAY_SECONDS: Final = 0.01
_PAGE: Final = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


class Fate(StrEnum):
    """What befalls a call. What it came to at the provider stands in the provider's own book."""

    PASSED = "passed"  #: Nothing.
    CLOSED = "closed"  #: The connection is closed once the request is read.
    CUT_WHILE_WRITTEN = "cut_while_written"  #: Half of the request reaches the provider.
    CUT_ONCE_WRITTEN = "cut_once_written"  #: The request reaches it; nobody waits for its answer.
    CUT_BEFORE_ANSWER = "cut_before_answer"  #: It is answered, and nothing comes back.
    HALF_ANSWER = "half_answer"  #: Half of the answer comes back.
    LATE_ANSWER = "late_answer"  #: The answer comes after the gateway has given up.
    PAGE = "page"  #: 502 with a page in HTML comes back; nothing reached the provider.
    PAGE_ONCE_TAKEN = "page_once_taken"  #: The same comes back, and the provider took it.
    NONSENSE = "nonsense"  #: 200 comes back with JSON that says nothing; nothing was taken.
    TOO_MANY = "too_many"  #: 429 comes back; nothing was taken.


#: After these nobody but the provider knows whether it has the message.
BROKEN: Final = frozenset(Fate) - {Fate.PASSED, Fate.TOO_MANY}


@dataclass(slots=True)
class Trap:
    """The `nth` call from now that comes to `moment` sets it off.

    Attributes:
        spring: what happens then.
    """

    moment: Moment
    nth: int
    spring: Callable[[], None]

    def met(self, moment: Moment) -> bool:
        """Whether this call sets it off, having come to `moment`."""
        if moment is not self.moment:
            return False
        self.nth -= 1
        if self.nth == 0:
            self.spring()
        return self.nth == 0


@dataclass(slots=True)
class Proxy:
    """Use as an asynchronous context manager.

    Attributes:
        upstream: the provider's port on this machine.
        chance: what befalls each call is drawn from it.
        weather: the probability of each fate; what is left of 1 is passed on.
        late_seconds: how long an answer takes that comes too late.
        delay_seconds: how long a call is on the wire at most.
        trap: what lies in wait, if anything.
        met: how many calls met each fate.
        port: where gateways find it.
    """

    upstream: int
    chance: Random
    weather: Mapping[Fate, float]
    late_seconds: float
    delay_seconds: float = DELAY_SECONDS
    trap: Trap | None = None
    met: Counter[Fate] = field(default_factory=Counter)
    port: int = 0
    _server: asyncio.Server | None = None
    _calls: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    @property
    def broken(self) -> int:
        """How many calls were broken so that nobody knows what they came to."""
        return sum(self.met[fate] for fate in BROKEN)

    def calm(self) -> None:
        """From now on every call is passed on."""
        self.weather, self.trap = {}, None

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._calls.add(task)
        provider = _Provider(self.upstream)
        try:
            while True:
                await self._carry(await wire.read_whole(reader), writer, provider)
        except (*GONE, _HangUp, asyncio.CancelledError):
            pass  # whoever is gone ends the connection, and that is all that is told
        finally:
            self._calls.discard(task)
            provider.close()
            writer.close()

    async def _carry(
        self, request: Whole, gateway: asyncio.StreamWriter, provider: _Provider
    ) -> None:
        """Carry one call.

        Raises:
            GONE, _HangUp: the connection ends with it.
        """
        is_message = request.first_line.split()[1].endswith("/messages")
        fate = self._drawn()
        if is_message:
            self.met[fate] += 1
        await asyncio.sleep(self.chance.uniform(0, self.delay_seconds))
        if is_message:
            self._come_to(Moment.ON_THE_WIRE)
        answer = _INSTEAD.get(fate) or await self._answer(request.bytes, fate, provider)
        if is_message and fate not in _INSTEAD:
            self._come_to(Moment.TAKEN)
        if fate is Fate.LATE_ANSWER:
            await asyncio.sleep(self.late_seconds)
        half = len(answer) - len(answer.rpartition(b"\r\n\r\n")[2]) // 2
        gateway.write(answer[:half])
        if fate is Fate.HALF_ANSWER or self.trap is not None:
            await gateway.drain()
            _hang_up_if(fate is Fate.HALF_ANSWER)
            if is_message:
                self._come_to(Moment.ANSWERING)
        gateway.write(answer[half:])
        await gateway.drain()

    async def _answer(self, request: bytes, fate: Fate, provider: _Provider) -> bytes:
        """What the provider answers, or what comes back in its place."""
        _hang_up_if(fate is Fate.CLOSED)
        if fate is Fate.CUT_WHILE_WRITTEN:
            await provider.write(request[: len(request) * 3 // 4])
            raise _HangUp
        await provider.write(request)
        _hang_up_if(fate is Fate.CUT_ONCE_WRITTEN)
        answer = await provider.read()
        _hang_up_if(fate is Fate.CUT_BEFORE_ANSWER)
        return _INSTEAD[Fate.PAGE] if fate is Fate.PAGE_ONCE_TAKEN else answer

    def _drawn(self) -> Fate:
        at = self.chance.random()
        for fate, probability in self.weather.items():
            at -= probability
            if at < 0:
                return fate
        return Fate.PASSED

    def _come_to(self, moment: Moment) -> None:
        if self.trap is not None and self.trap.met(moment):
            self.trap = None
            raise _HangUp


class _HangUp(Exception):
    """The connection ends here."""


def _hang_up_if(cut: bool) -> None:
    if cut:
        raise _HangUp


_INSTEAD: Final[Mapping[Fate, bytes]] = {
    Fate.PAGE: wire.answer(502, "text/html", _PAGE),
    Fate.NONSENSE: wire.answer(200, "application/json", b'{"ok":true}'),
    Fate.TOO_MANY: wire.answer(429, "application/json", b"{}"),
}


class _Provider:
    """The provider's end of one connection; connected to when it is needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def write(self, content: bytes) -> None:
        if self._streams is not None and self._streams[0].at_eof():
            self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        self._streams[1].write(content)
        await self._streams[1].drain()

    async def read(self) -> bytes:
        assert self._streams is not None
        return (await wire.read_whole(self._streams[0])).bytes

    def close(self) -> None:
        if self._streams is not None:
            with suppress(OSError):
                self._streams[1].close()
            self._streams = None
