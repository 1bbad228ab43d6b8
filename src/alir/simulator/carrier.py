"""What WhatsApp does with a message once it has taken it; the same for every provider."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from functools import partial
from random import Random

from alir.clock import Clock, to_milliseconds
from alir.messages.model import ReceiptStatus
from alir.simulator.agenda import Agenda
from alir.simulator.behaviour import ARRIVES, FAILS, Behaviour, Planned, plan
from alir.simulator.callbacks import Callbacks, Heard, Told
from alir.simulator.gate import Gate, Line
from alir.simulator.magic import Destiny
from alir.simulator.phones import CallState, Phones, Receipt, Received, Written
from alir.simulator.refused import REFUSED_KEPT, Refused


class Carrier:
    """Puts messages on phones and lets their receipts come, as the behaviour says.

    Attributes:
        errors: how often each error code was given, at once or by receipt.
        refused: the last requests that were not taken, oldest first.
    """

    def __init__(
        self, *, clock: Clock, agenda: Agenda, phones: Phones, callbacks: Callbacks
    ) -> None:
        self._clock = clock
        self._agenda = agenda
        self._phones = phones
        self._callbacks = callbacks
        self._gate = Gate()
        self.errors: Counter[int] = Counter()
        self.refused: deque[Refused] = deque(maxlen=REFUSED_KEPT)
        self._behave(Behaviour())

    @property
    def behaviour(self) -> Behaviour:
        """How it behaves; set it, and what is taken from then on fares by it."""
        return self._behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self._behave(behaviour)

    def now(self) -> int:
        """The time, in milliseconds since 1970."""
        return to_milliseconds(self._clock.now())

    def destiny(self, *, provider: str, sender: str, phone: str, kind: str) -> Destiny:
        """What is to become of this message, which counts for the limits if it is taken."""
        line = Line(provider, sender, phone)
        return self._gate.pass_on(line, kind, self._clock.elapsed(), self._behaviour)

    async def take(self, message: Received, *, fails: int | None = None) -> None:
        """Take `message`; with `fails` it comes to a failed receipt with that error code.

        Returns when everything that is to happen before the request's answer has happened.
        """
        self._phones.add(message)
        statuses = ARRIVES if fails is None else FAILS
        early = []
        for planned in self._plan(statuses):
            if planned.before_answer:
                early.append(planned)
            else:
                happen = partial(self._happen, message, planned, fails)
                self._agenda.after(planned.after, happen)
        if early:
            await asyncio.gather(*(self._happen_now(message, each, fails) for each in early))

    def put(self, message: Received) -> None:
        """Put `message` on its phone, and let no receipt come."""
        self._phones.add(message)

    def refuse(self, code: str, why: str, *, sender: str, to: str) -> None:
        """Remember that a request was not taken."""
        self.refused.append(Refused(code=code, why=why, sender=sender, to=to, at=self.now()))
        self._phones.changed()

    def write(self, written: Written) -> None:
        """The person at a phone writes."""
        self._phones.add(written)
        line = Line(written.provider, written.sender, written.phone)
        self._gate.wrote(line, self._clock.elapsed(), self._behaviour)
        self._callbacks.offer(Heard(written))

    def forget(self) -> None:
        """Forget all messages, errors, debts, and who wrote. What is under way comes."""
        self._phones.forget()
        self._gate.forget()
        self.errors.clear()
        self.refused.clear()

    def _behave(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._chance = Random(behaviour.seed)  # noqa: S311 (it decides no secret)
        self._callbacks.batch = behaviour.batch
        self._certain: dict[Sequence[ReceiptStatus], tuple[Planned, ...]] = {}
        if behaviour.certain:
            self._certain = {
                statuses: plan(behaviour, statuses, self._chance) for statuses in (ARRIVES, FAILS)
            }

    def _plan(self, statuses: Sequence[ReceiptStatus]) -> tuple[Planned, ...]:
        return self._certain.get(statuses) or plan(self._behaviour, statuses, self._chance)

    def _happen(self, message: Received, planned: Planned, fails: int | None) -> None:
        told = self._record(message, planned, fails)
        self._tell(told, planned.calls)

    async def _happen_now(self, message: Received, planned: Planned, fails: int | None) -> None:
        told = self._record(message, planned, fails)
        self._tell(told, planned.calls[1:])
        if planned.calls:
            await self._callbacks.tell_now(told)

    def _record(self, message: Received, planned: Planned, fails: int | None) -> Told:
        receipt = Receipt(planned.status, self.now(), fails)
        if fails is not None:
            self.errors[fails] += 1
        if not planned.calls:
            receipt.call.state = CallState.DROPPED
        message.receipts.append(receipt)
        self._phones.changed()
        return Told(message, receipt)

    def _tell(self, told: Told, calls: Sequence[float]) -> None:
        for after in calls:
            if after > 0:
                self._agenda.after(after, partial(self._callbacks.offer, told))
            else:
                self._callbacks.offer(told)
