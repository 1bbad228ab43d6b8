"""When something of a sender begins to stand still, and what ends that, in force at once.

What a provider's refusal asks for holds from the moment that the answer is read; that it stands on
disk too comes a moment later. Were a process to end between the two, the next one's first attempt
would be refused as well, and so learn of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from alir.clock import Clock
from alir.dispatch.gate import Gate
from alir.dispatch.in_force import InForce, log_paused
from alir.dispatch.pause import (
    WHOLE,
    Pause,
    Strike,
    by_operator,
    is_healed,
    is_over,
    opened,
    prolonged,
    struck,
)
from alir.dispatch.places import flow_key
from alir.dispatch.ports import PauseStore, Provider
from alir.errors import PauseScope, ProviderBusy
from alir.ids import SenderName
from alir.messages.model import Message

#: How long a process that ends waits for what is not on disk yet; the next one learns it again.
FINISH = timedelta(seconds=2)

_ACCOUNT = (PauseScope.ACCOUNT, "")
_WHOLE_PLACES = tuple((scope, "") for scope in WHOLE)


class Pauses:
    """Begins and ends what stands still of the senders, as answers, receipts and people ask.

    Args:
        in_force: those of this process; `SharedPauses` keeps it the same in all processes.
    """

    def __init__(
        self,
        in_force: InForce,
        gates: Mapping[SenderName, Gate],
        providers: Mapping[SenderName, Provider],
        store: PauseStore,
        clock: Clock,
    ) -> None:
        self._in_force = in_force
        self._gates = gates
        self._providers = providers
        self._store = store
        self._clock = clock
        # A fingerprint of the secrets that were refused.
        self._refused_with: dict[SenderName, bytes] = {}

    def of(self, sender: SenderName) -> list[Pause]:
        """What stands still of this sender, longest first."""
        return sorted(self._in_force.of(sender), key=lambda pause: pause.since)

    def strike(
        self,
        message: Message,
        failure: ProviderBusy,
        *,
        begun_at: datetime,
        by_receipt: bool = False,
        used: bytes | None = None,
    ) -> datetime | None:
        """Begin the pause that a refusal of `message` asks for, or make it longer.

        One of its recipient or its Flow shows that the sender and its account are well.

        Args:
            begun_at: when the attempt was begun that was refused.
            by_receipt: whether it was taken first and failed by a receipt.
            used: a fingerprint of the secrets from just before the call; none: nobody knows.

        Returns:
            When it lets one through; none: when somebody resumes it.
        """
        asked = failure.pauses
        assert asked is not None, "asked only of a failure that pauses something"  # noqa: S101 - for mypy
        strike = Strike(
            asked=asked,
            code=failure.provider_code,
            title=failure.title,
            begun_at=begun_at,
            retry_after=failure.retry_after,
            by_receipt=by_receipt,
        )
        key = {PauseScope.RECIPIENT: message.person, PauseScope.FLOW: flow_key(message)}.get(
            asked.scope, ""
        )
        if asked.scope not in WHOLE:
            self._heal(message.sender, _WHOLE_PLACES, begun_at=begun_at, by_receipt=by_receipt)
        else:
            self._gates[message.sender].tried(message.id)
        until = None
        for sender in self._in_force.reach(message.sender, asked.scope):
            before = self._in_force.at(sender, (asked.scope, key))
            pause = struck(before, strike, sender=sender, key=key, now=self._clock.now())
            if sender == message.sender:
                until = pause.until
            if asked.scope is PauseScope.ACCOUNT and before is None:
                self._refused_with.pop(sender, None)  # of an earlier one
            if pause is not before:
                self._in_force.begin(pause, is_new=before is None)
        if asked.scope is PauseScope.ACCOUNT:
            self.try_fresh_secrets(message.sender, used)
        return until

    def passed(self, message: Message, *, begun_at: datetime, by_receipt: bool = False) -> None:
        """The provider took `message`, or refused it for itself: what let it through is over.

        Args:
            by_receipt: whether a receipt says so: that it was sent on, or more.
        """
        if self._in_force.holds(message.sender):  # a late receipt may be of a sender that is gone
            narrow = (
                (PauseScope.RECIPIENT, message.person),
                (PauseScope.FLOW, flow_key(message)),
            )
            places = (*_WHOLE_PLACES, *narrow)
            self._heal(message.sender, places, begun_at=begun_at, by_receipt=by_receipt)

    def unclear(self, sender: SenderName) -> None:
        """What was let through to see told nothing: wait once more as long."""
        now = self._clock.now()
        for pause in self._in_force.of(sender):
            if is_over(pause, now=now):
                self._in_force.end(pause)
            elif pause.scope in WHOLE and pause.until is not None and pause.until <= now:
                self._in_force.begin(prolonged(pause, now=now), is_new=False)

    def begun(self, message: Message) -> None:
        """A message goes: where its Flow is slow, that was the one for now."""
        pause = self._in_force.at(message.sender, (PauseScope.FLOW, flow_key(message)))
        if pause is not None:
            self._in_force.begin(prolonged(pause, now=self._clock.now()), is_new=False)

    async def pause(
        self, sender: SenderName, *, title: str, until: datetime | None = None
    ) -> Pause:
        """Let nothing of a sender through, because a person says so; on disk when it returns."""
        place = (PauseScope.OPERATOR, "")

        async def work() -> Pause:
            before = self._in_force.at(sender, place)
            now = self._clock.now()
            pause = by_operator(before, sender=sender, title=title, until=until, now=now)
            await self._store.put(pause, is_new=before is None)
            if before is None:
                log_paused(pause)
            self._in_force.hold(pause)  # not earlier: what cannot be stored does not hold either
            return pause

        return await self._in_force.write((sender, *place), work)

    def try_fresh_secrets(self, sender: SenderName, used: bytes | None = None) -> None:
        """Where a secret has changed since it was refused, let one message through to see.

        Args:
            used: what was refused; none: what the provider would use now.
        """
        if self._in_force.at(sender, _ACCOUNT) is None:
            self._refused_with.pop(sender, None)
            return
        provider = self._providers[sender]
        if sender not in self._refused_with:
            self._refused_with[sender] = provider.credentials() if used is None else used
            provider.refresh_credentials()
        if provider.credentials() == self._refused_with[sender]:
            return
        self._refused_with[sender] = provider.credentials()
        now = self._clock.now()
        for name in self._in_force.reach(sender, PauseScope.ACCOUNT):
            pause = self._in_force.at(name, _ACCOUNT)
            if pause is not None and (pause.until is None or pause.until > now):
                self._in_force.begin(opened(pause, now=now), is_new=False)

    async def finish(self, grace: timedelta = FINISH) -> None:
        """Return once everything is on disk, or after `grace`."""
        await self._in_force.finish(grace)

    def _heal(
        self,
        sender: SenderName,
        places: Iterable[tuple[PauseScope, str]],
        *,
        begun_at: datetime,
        by_receipt: bool,
    ) -> None:
        """End what is over of these, as an attempt tells that was not refused for them."""
        now = self._clock.now()
        for place in places:
            pause = self._in_force.at(sender, place)
            if pause is not None and (
                is_over(pause, now=now)
                or is_healed(pause, begun_at=begun_at, now=now, by_receipt=by_receipt)
            ):
                self._in_force.end(pause)
