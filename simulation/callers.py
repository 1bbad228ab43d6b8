"""Those who ask the gateway for something, and what they were answered: the first book."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, Protocol, TypeVar

from alir.clock import rfc3339
from alir.errors import AlirError, RequestInvalid, StoreUnavailable, TooLate
from alir.ids import MessageId
from alir.messages import life
from alir.messages.model import Message
from simulation.clocks import moment
from simulation.gateway import Gateway
from simulation.happened import Trace
from simulation.plan import Deed, Request

T = TypeVar("T")

TRIES: Final = 4
_NOT_HEARD: Final = 0.1
_WAIT_BEFORE_REPEAT: Final = 3.0
UNAVAILABLE: Final = 503
INVALID: Final = 422
_FAULT: Final = 500


@dataclass(slots=True)
class Asked:
    """A request, and every answer that its caller got.

    Attributes:
        answers: status and message id; none: there was none in it.
        calls: how often it was asked.
        latest: by how many seconds an answer came later than its caller wanted to wait, at most.
    """

    request: Request
    answers: list[tuple[int, str | None]] = field(default_factory=list)
    calls: int = 0
    latest: float = 0.0

    @property
    def message(self) -> str | None:
        """The message that it made, as far as its caller knows."""
        return next((id_ for _, id_ in self.answers if id_ is not None), None)


@dataclass(slots=True)
class Done:
    """What an operator asked of a message; `status`: as it was answered; none: no answer."""

    kind: str
    message: str
    status: str | None = None


class Door(Protocol):
    """Where the gateway is reached, whichever process that is now."""

    async def opened(self) -> None:
        """Return once somebody is there."""
        ...

    def ask(self, work: Callable[[Gateway], Coroutine[Any, Any, T]]) -> asyncio.Future[T]: ...


class Callers:
    """Everybody who asks.

    Attributes:
        asked: by flow token.
        done: what operators did.
    """

    def __init__(self, door: Door, chance: Random, trace: Trace) -> None:
        self.asked: dict[str, Asked] = {}
        self.done: list[Done] = []
        self.is_calm = False
        self._door = door
        self._chance = chance
        self._trace = trace

    async def ask(self, request: Request) -> None:
        """Ask for a message, and again where that is safe and nothing was heard."""
        asked = self.asked[request.token] = Asked(request)
        await asyncio.sleep(request.at)
        body = _body(request)
        if request.twice:  # an impatient caller, who asks twice at once
            await asyncio.gather(self._until_heard(asked, body), self._until_heard(asked, body))
        else:
            await self._until_heard(asked, body)

    async def do(self, deed: Deed) -> None:
        """Cancel or retry a message of which somebody knows the id."""
        await asyncio.sleep(deed.at)
        known = [id_ for asked in self.asked.values() if (id_ := asked.message) is not None]
        if not known:
            return
        done = Done(deed.kind, known[deed.target % len(known)])
        self.done.append(done)
        change = life.cancel if deed.kind == "cancel" else None

        async def work(gateway: Gateway) -> Message:
            now = moment(asyncio.get_running_loop().time())
            decide = change or (lambda message: life.retry(message, now=now))
            return await gateway.core.messages.change(MessageId(done.message), decide)

        try:
            message = await self._door.ask(work)
        except TooLate as error:
            done.status = f"too late: {error.status}"
        except (AlirError, OSError) as error:
            self._trace.add("operator", f"is not answered: {type(error).__name__}")
            return
        else:
            if self._is_heard():
                done.status = message.status.value
        self._trace.add("operator", deed.kind, of=done.message, answer=done.status)

    async def _until_heard(self, asked: Asked, body: object) -> None:
        for _ in range(TRIES if asked.request.key else 1):
            # Where nobody is there nothing was asked: to come again is safe without a key, too.
            await self._door.opened()
            asked.calls += 1
            asked_at = asyncio.get_running_loop().time()
            status, message = await self._ask_once(asked.request, body)
            took = asyncio.get_running_loop().time() - asked_at
            asked.latest = max(asked.latest, took - asked.request.wait)
            if status is not None:
                asked.answers.append((status, message))
                if status < _FAULT:
                    return
            await asyncio.sleep(self._chance.uniform(0.0, _WAIT_BEFORE_REPEAT))

    async def _ask_once(self, request: Request, body: object) -> tuple[int | None, str | None]:
        try:
            status, message, _ = await self._door.ask(
                lambda gateway: gateway.post(body, request.key, request.wait)
            )
        except OSError:
            self._trace.add("caller", "is cut off", of=request.token)
            return None, None
        except StoreUnavailable as error:
            self._trace.add("caller", "is answered 503", of=request.token, doubt=error.in_doubt)
            return UNAVAILABLE, error.message_id
        except RequestInvalid:
            return INVALID, None
        if not self._is_heard():
            self._trace.add("caller", "does not hear", of=request.token)
            return None, None
        self._trace.add("caller", f"is answered {status}", of=request.token, id=message)
        return status, message

    def _is_heard(self) -> bool:
        """Whether an answer gets to its caller."""
        return self.is_calm or self._chance.random() >= _NOT_HEARD


def _body(request: Request) -> dict[str, Any]:
    body: dict[str, Any] = {
        "to": request.to,
        "from": request.sender,
        "type": "flow",
        "flow": {
            "id": request.flow,
            "token": request.token,
            "text": "Choose a time",
            "screen": "START",
            "param": {"body": "Pick a time that suits you."},
        },
        "on_unknown": request.on_unknown,
    }
    if request.send_in is not None:
        body["send_at"] = rfc3339(moment(request.at + request.send_in))
    if request.expires_in is not None:
        body["expires_at"] = rfc3339(moment(request.at + request.expires_in))
    if request.has_fallback:
        body["fallback"] = {"name": "visit_form", "language": "en_US", "flow": {"token": "f"}}
    return body
