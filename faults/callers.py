"""Callers: they ask for messages, miss answers, and ask again with the same Idempotency-Key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Final

import orjson

from faults import wire
from faults.books import UNAVAILABLE, Answer, Asked
from faults.programs import API_TOKEN, BenchFailed
from faults.wire import GONE

MESSAGES: Final = "/api/whatsapp/v1/messages"
#: At most, between an answer and the next request, in seconds.
PAUSE_SECONDS: Final = 0.04
#: Longer than any answer may take; then it counts as missed.
PATIENCE_SECONDS: Final = 20.0
#: Callers that were held up for so long make up for it; what they missed before that is left out.
_CAUGHT_UP_SECONDS: Final = 1.0
#: How often callers look whether a gateway is up again.
_LOOK_SECONDS: Final = 0.02
#: Of all requests, so many have a key; are left by their callers once written.
_KEYED: Final = 0.8
_LEFT: Final = 0.05
#: Numbers 555-0100 to 555-0199 are kept for fiction in every area; so many are in one.
_IN_AREA: Final = 100
_FIRST_AREA: Final = 201
_AREAS: Final = 750


@dataclass(slots=True)
class _Request:
    """One request and what came of it; see `Asked`."""

    token: str
    body: bytes
    key: str | None
    waits: bool
    answers: list[Answer] = field(default_factory=list)

    def as_bytes(self) -> bytes:
        headers = {
            "authorization": f"Bearer {API_TOKEN}",
            "content-type": "application/json",
            "prefer": "wait=1" if self.waits else "respond-async",
        }
        if self.key is not None:
            headers["idempotency-key"] = self.key
        return wire.request("POST", MESSAGES, headers, self.body)


def _body(person: int, token: str, sender: str) -> bytes:
    """A message that breaks no rule."""
    area, last = divmod(person, _IN_AREA)
    message = {
        "to": f"+1{_FIRST_AREA + area}5550{_IN_AREA + last}",
        "from": sender,
        "type": "flow",
        "flow": {
            "id": "1029384756102938",
            "token": token,
            "text": "Choose a time",
            "screen": "VISIT",
            "param": {"body": "When would you like to come by?"},
        },
    }
    return orjson.dumps(message)


class Callers:
    """Some callers, each with a connection of its own.

    Args:
        up: the ports of the gateways that take requests now.
        senders: in whose names they ask.
        hurried: so many of their requests want no wait.
        people: to how many persons they write; each message goes to another, as long as there are.
        per_second: so many requests in a second, all of them together; none: as they come.
    """

    def __init__(
        self,
        up: Callable[[], Sequence[int]],
        chance: Random,
        *,
        senders: Sequence[str],
        hurried: float,
        people: int | None = None,
        per_second: float | None = None,
    ) -> None:
        self._up = up
        self._chance = chance
        self._senders = senders
        self._hurried = hurried
        self._people = people or _IN_AREA * _AREAS
        self._gap = None if per_second is None else 1 / per_second
        self._next_at = 0.0
        self._numbers = count()
        self._requests: list[_Request] = []
        self._calling = asyncio.Event()
        self._over = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, callers: int) -> None:
        """Have so many come; they ask for nothing new until `call`."""
        self._tasks = [asyncio.create_task(self._one()) for _ in range(callers)]

    def call(self) -> None:
        """Have them ask for messages."""
        if not self._calling.is_set():
            self._next_at = asyncio.get_running_loop().time()
        self._calling.set()

    def pause(self) -> None:
        """Have them ask for nothing new; what they missed the answer of they ask for again."""
        self._calling.clear()

    async def finish(self, within: float) -> None:
        """Let them get every answer that they still want.

        Raises:
            BenchFailed: one of them broke.
        """
        self._over = True
        self._calling.set()
        _, pending = await asyncio.wait(self._tasks, timeout=within)
        await self.leave()
        for task in self._tasks:
            if task not in pending and (error := task.exception()) is not None:
                raise BenchFailed(f"a caller broke: {error!r}") from error

    async def leave(self) -> None:
        """Send them away, whatever they wait for."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def asked(self) -> list[Asked]:
        """Their book."""
        return [Asked(one.token, one.key, tuple(one.answers)) for one in self._requests]

    async def _one(self) -> None:
        line = _Line(self._up, self._chance)
        try:
            while True:
                await self._calling.wait()
                if self._over:
                    return
                request = self._new()
                self._requests.append(request)
                await self._ask(request, line)
                await asyncio.sleep(self._pause())
        finally:
            line.close()

    def _pause(self) -> float:
        """Until a caller's next request, in seconds."""
        if self._gap is None:
            return self._chance.uniform(0, PAUSE_SECONDS)
        now = asyncio.get_running_loop().time()
        self._next_at = max(self._next_at + self._gap, now - _CAUGHT_UP_SECONDS)
        return max(0.0, self._next_at - now)

    def _new(self) -> _Request:
        number = next(self._numbers)
        key = f"key-{number}" if self._chance.random() < _KEYED else None
        token, sender = f"flow-{number}", self._chance.choice(self._senders)
        body = _body(number % self._people, token, sender)
        return _Request(token, body, key, self._chance.random() >= self._hurried)

    async def _ask(self, request: _Request, line: _Line) -> None:
        """Ask until there is an answer that tells what became of it; without a key, once."""
        leaves = self._chance.random() < _LEFT
        while True:
            answer = await line.ask(request.as_bytes(), leaves=leaves)
            leaves = False
            if answer is not None:
                request.answers.append(answer)
                if answer.status != UNAVAILABLE:
                    return
            if request.key is None:
                return
            await asyncio.sleep(self._chance.uniform(0, PAUSE_SECONDS))


class _Line:
    """A caller's connection to a gateway that is up; made anew when it breaks."""

    def __init__(self, up: Callable[[], Sequence[int]], chance: Random) -> None:
        self._up = up
        self._chance = chance
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes, *, leaves: bool) -> Answer | None:
        """The answer; None: it was missed.

        Args:
            leaves: hang up as soon as the request is written.
        """
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                reader, writer = await self._connected()
                writer.write(request)
                await writer.drain()
                if leaves:
                    self.close()
                    return None
                said = await wire.read_whole(reader)
        except (*GONE, TimeoutError):
            self.close()
            return None
        body = orjson.loads(said.body)
        return Answer(said.status, body.get("data", body).get("id"))

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._streams is None:
            ports = self._up()
            if not ports:
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            port = self._chance.choice(ports)
            self._streams = await asyncio.open_connection("127.0.0.1", port)
        return self._streams

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            with suppress(OSError):
                self._streams[1].close()
            self._streams = None
