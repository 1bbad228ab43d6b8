"""WhatsApp, as far as a gateway can see it: what it got, what it answered, what it told."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import orjson

from alir.outbound.http import Answer
from alir.receipts.ports import CallbackRequest
from simulation.clocks import START
from simulation.happened import Trace
from simulation.plan import Temper

#: Sender, `phone_number_id`, access token and app secret.
NUMBERS: Final = {"main": "1065550001", "other": "1065550002"}
SECRETS: Final = {"main": "secret-main", "other": "secret-other"}
TOKENS: Final = {"main": "token-main", "other": "token-other"}
_SIGNATURES: Final = {name: hmac.new(s.encode(), None, "sha256") for name, s in SECRETS.items()}
_BY_TOKEN: Final = {f"Bearer {token}": sender for sender, token in TOKENS.items()}

#: Errors with which it refuses for good, or for a while. Source: codes.tsv of alir.
_REFUSED: Final = ((400, 100), (400, 131009), (400, 131047))
_BUSY: Final = ((500, 2), (503, 131016), (400, 131056), (429, 130429), (500, 131000))
#: With which a message fails that it took: for good, for its window, for a while.
_FAILED: Final = (131026, 131047, 131000)
_FAILED_FOR_GOOD: Final = frozenset({131026})
#: A callback that was not answered 200 comes again after so many seconds, and later and later.
_AGAIN_AFTER: Final = (1.0, 3.0, 5.0)
_HALF: Final = 0.5


@dataclass(slots=True, kw_only=True)
class Arrival:
    """A request that reached the provider.

    Attributes:
        mark: the message and the attempt that it names.
        wamid: its id, where it was taken.
        code: of the error that it was answered with, where it was not.
        fate: the receipts that it is to come to.
        told: of these what was told, and answered 200.
    """

    at: float
    sender: str
    message: str
    attempt: int
    to: str
    wamid: str | None = None
    code: int | None = None
    fate: tuple[str, ...] = ()
    told: list[str] = field(default_factory=list)

    @property
    def reached_the_person(self) -> bool:
        """Whether somebody has it on a phone, as far as the provider will ever say."""
        return self.wamid is not None and self.fate[-1:] != ("failed",)


class Carrier:
    """The provider: takes, refuses, tells.

    Attributes:
        arrivals: all that it got, in order.
        untold: how many callbacks are on their way.
    """

    def __init__(
        self,
        temper: Temper,
        chance: Random,
        loop: asyncio.AbstractEventLoop,
        trace: Trace,
        call: Callable[[CallbackRequest], Awaitable[bool | None]],
    ) -> None:
        """`call`: takes a callback to the gateway; what it says to it; None: nothing."""
        self.temper = temper
        self.arrivals: list[Arrival] = []
        self.untold = 0
        self._chance = chance
        self._loop = loop
        self._trace = trace
        self._call = call
        self._calls: set[asyncio.Task[None]] = set()

    def be_calm(self) -> None:
        """Refuse nothing from here on; what it has yet to tell comes as it comes."""
        self.temper = Temper(marks=self.temper.marks)

    def take(self, authorization: str, body: bytes) -> Answer:
        """A request arrives; what it is answered."""
        asked: dict[str, Any] = orjson.loads(body)
        _, message, attempt = asked["biz_opaque_callback_data"].split(":")
        arrival = Arrival(
            at=self._loop.time(),
            sender=_BY_TOKEN[authorization],
            message=message,
            attempt=int(attempt),
            to=asked["to"].removeprefix("+"),
        )
        self.arrivals.append(arrival)
        status, arrival.code = self._verdict(asked)
        if arrival.code is not None:
            self._say(arrival, "refuses", code=arrival.code)
            return _answer(status, {"error": {"message": "no", "code": arrival.code}})
        arrival.wamid = f"wamid.{len(self.arrivals)}"
        self._say(arrival, "takes", wamid=arrival.wamid)
        self._make_receipts(arrival)
        contact = {"input": asked["to"], "wa_id": arrival.to}
        taken = {"messages": [{"id": arrival.wamid}], "contacts": [contact]}
        return _answer(200, taken)

    def hear(self, sender: str, person: str) -> None:
        """A person writes to a sender: the window opens."""
        digits = person.removeprefix("+")
        message = {"from": digits, "id": f"wamid.in{self._loop.time()}", "timestamp": self._now()}
        self._soon(sender, [], [message], 0.0)

    def _verdict(self, asked: Any) -> tuple[int, int | None]:
        chance = self._chance.random()
        if chance < self.temper.refuses:
            status, code = self._chance.choice(_REFUSED)
            if code == _REFUSED[-1][1] and asked["type"] == "template":
                return 200, None  # a template meets no window
            return status, code
        if chance < self.temper.refuses + self.temper.busy:
            return self._chance.choice(_BUSY)
        return 200, None

    def _make_receipts(self, arrival: Arrival) -> None:
        chance, temper = self._chance, self.temper
        if chance.random() < temper.silent:
            return
        steps = ["sent", "delivered", "read"][: chance.randint(1, 3)]
        code = None
        if chance.random() < temper.fails:
            code = chance.choice(_FAILED)
            steps = ["sent", "failed"][chance.randrange(2) :]
            if code in _FAILED_FOR_GOOD and chance.random() < _HALF:
                steps.append("delivered")  # it got through after all
        arrival.fate = tuple(steps)
        at = 0.0 if chance.random() < temper.eager else chance.uniform(0.0, 2.0)
        bundle: list[tuple[Arrival, str, dict[str, Any]]] = []
        for step in steps:
            bundle.append((arrival, step, self._status(arrival, step, code)))
            if step != steps[-1] and chance.random() < temper.bundles:
                continue
            times = 2 if chance.random() < temper.repeats else 1
            for _ in range(times):
                self._soon(arrival.sender, bundle, [], at)
                at += chance.uniform(-0.3, 1.0)
            bundle = []

    def _status(self, arrival: Arrival, step: str, code: int | None) -> dict[str, Any]:
        status: dict[str, Any] = {
            "id": arrival.wamid,
            "status": step,
            "timestamp": self._now(),
            "recipient_id": arrival.to,
        }
        if self.temper.marks:
            mark = f"alir1:{arrival.message}:{arrival.attempt}"
            status["biz_opaque_callback_data"] = mark
        if step == "failed":
            status["errors"] = [{"code": code, "title": "undeliverable"}]
        return status

    def _soon(
        self,
        sender: str,
        receipts: list[tuple[Arrival, str, dict[str, Any]]],
        messages: list[dict[str, Any]],
        seconds: float,
    ) -> None:
        self.untold += 1
        value = {
            "metadata": {"phone_number_id": NUMBERS[sender]},
            "statuses": [status for _, _, status in receipts],
            "messages": messages,
        }
        changes = [{"field": "messages", "value": value}]
        body = orjson.dumps({"entry": [{"changes": changes}]})
        signature = _SIGNATURES[sender].copy()
        signature.update(body)
        request = CallbackRequest({"x-hub-signature-256": f"sha256={signature.hexdigest()}"}, body)
        task = self._loop.create_task(self._tell(request, receipts, max(0.0, seconds)))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _tell(
        self,
        request: CallbackRequest,
        receipts: list[tuple[Arrival, str, dict[str, Any]]],
        seconds: float,
    ) -> None:
        """Call back, again and again until it is answered 200."""
        await asyncio.sleep(seconds)
        tries = 0
        while not await self._call(request):
            await asyncio.sleep(_AGAIN_AFTER[min(tries, len(_AGAIN_AFTER) - 1)])
            tries += 1
        for arrival, step, _ in receipts:
            if step not in arrival.told:
                arrival.told.append(step)
            self._say(arrival, "has told", step=step)
        self.untold -= 1

    def _now(self) -> str:
        return str(int(START.timestamp() + self._loop.time()))

    def _say(self, arrival: Arrival, what: str, **more: Any) -> None:
        self._trace.add("provider", what, of=arrival.message, attempt=arrival.attempt, **more)


def _answer(status: int, content: object) -> Answer:
    return Answer(status, {"content-type": "application/json"}, orjson.dumps(content))
