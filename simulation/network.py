"""Between a process and the provider: calls are delayed, lost, and answered by others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextvars import Context
from dataclasses import dataclass
from random import Random
from typing import Any, Final, Protocol

import orjson

from alir.outbound.http import Answer, NeverConnected, NoAnswer
from simulation.carrier import Carrier
from simulation.happened import Trace
from simulation.plan import Weather

#: After so many seconds the HTTP client gives a call up; a setting of the gateway. Less than
#: alir's own, as schedules wait for it; longer than a lease lasts.
CALL_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 0.02
#: So long after it was given up a late request may still arrive.
_LATE_SECONDS: Final = 5.0
_HALF: Final = 0.5
_GARBLED: Final = Answer(502, {"content-type": "text/html"}, b"<html>Bad gateway</html>")


@dataclass(slots=True, kw_only=True)
class Departure:
    """A request that left a process.

    Attributes:
        process: its number.
        sender: of the message, as the store has it.
        left: whether any byte did.
        answer: `taken`, `refused` or `none`: what came back to its process.
        heard_at: when it did.
    """

    at: float
    process: int
    message: str
    attempt: int
    sender: str = ""
    left: bool = True
    answer: str = "none"
    heard_at: float | None = None


class Watcher(Protocol):
    """Looks at each request as it leaves."""

    def departs(self, departure: Departure) -> None: ...


class Network:
    """What lies between the processes and the provider. Every moment is of the loop's time.

    Attributes:
        departures: every request, in order.
        under_way: how many are, as far as the provider may still get them.
    """

    def __init__(
        self,
        weather: Weather,
        carrier: Carrier,
        chance: Random,
        loop: asyncio.AbstractEventLoop,
        trace: Trace,
    ) -> None:
        self.weather = weather
        self.cut_until = 0.0
        self.departures: list[Departure] = []
        self.under_way = 0
        self._carrier = carrier
        self._chance = chance
        self._loop = loop
        self._trace = trace
        # What is under way goes on when its process is dead.
        self._world = Context()

    def be_calm(self) -> None:
        """Lose nothing from here on."""
        self.weather = Weather()
        self.cut_until = 0.0

    async def carry(self, departure: Departure, headers: Mapping[str, str], body: bytes) -> Answer:
        """Carry a request to the provider and its answer back.

        Raises:
            NeverConnected, NoAnswer: as an `HttpClient`.
        """
        weather, chance = self.weather, self._chance
        fate = chance.random()
        is_cut = self._loop.time() < self.cut_until
        if (is_cut and chance.random() < _HALF) or fate < weather.unreachable:
            departure.left = False
            self._say(departure, "does not connect")
            await asyncio.sleep(chance.uniform(0.0, _CONNECT_SECONDS))
            raise NeverConnected("ConnectError")
        self.departures.append(departure)
        there = chance.uniform(0.0, weather.slow)
        back = there + chance.uniform(0.0, weather.slow)
        given_up = chance.choice((chance.uniform(there, back), CALL_SECONDS))
        fate -= weather.unreachable
        if is_cut or fate < weather.lost:
            self._say(departure, "is lost")
            await asyncio.sleep(given_up)
            raise NoAnswer("ReadTimeout")
        fate -= weather.lost
        arrived: asyncio.Future[Answer] = self._loop.create_future()
        if fate < weather.late:
            self._say(departure, "is late")
            late = given_up + chance.uniform(0.0, _LATE_SECONDS)
            self._arrive_in(late, arrived, headers, body)
            await asyncio.sleep(given_up)
            raise NoAnswer("ConnectError")
        fate -= weather.late
        self._say(departure, "leaves")
        self._arrive_in(there, arrived, headers, body)
        if fate < weather.unanswered:
            self._say(departure, "is not answered")
            await asyncio.sleep(given_up)
            raise NoAnswer("ReadError")
        fate -= weather.unanswered
        answer = await arrived
        await asyncio.sleep(back - there)
        if fate < weather.garbled:
            self._say(departure, "is answered by somebody else")
            return _GARBLED
        departure.answer = "taken" if b'"messages"' in answer.body else "refused"
        departure.heard_at = self._loop.time()
        self._say(departure, f"is answered: {departure.answer}")
        return answer

    def _arrive_in(
        self,
        seconds: float,
        arrived: asyncio.Future[Answer],
        headers: Mapping[str, str],
        body: bytes,
    ) -> None:
        self.under_way += 1
        self._loop.call_later(
            seconds, self._arrive, arrived, headers["authorization"], body, context=self._world
        )

    def _arrive(self, arrived: asyncio.Future[Answer], authorization: str, body: bytes) -> None:
        self.under_way -= 1
        answer = self._carrier.take(authorization, body)
        if not arrived.done():
            arrived.set_result(answer)

    def _say(self, departure: Departure, what: str) -> None:
        self._trace.add(
            f"process {departure.process}",
            f"call {what}",
            of=departure.message,
            attempt=departure.attempt,
        )


class Wire:
    """The HTTP client of one process."""

    def __init__(self, network: Network, process: int, watcher: Watcher) -> None:
        self._network = network
        self._process = process
        self._watcher = watcher

    async def request(
        self, _method: str, _url: str, /, *, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        """See `HttpClient.request`."""
        asked: dict[str, Any] = orjson.loads(body)
        _, message, attempt = asked["biz_opaque_callback_data"].split(":")
        departure = Departure(
            at=asyncio.get_running_loop().time(),
            process=self._process,
            message=message,
            attempt=int(attempt),
        )
        self._watcher.departs(departure)
        return await self._network.carry(departure, headers, body)
