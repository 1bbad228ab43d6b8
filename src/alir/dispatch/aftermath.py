"""What receipts mean for what is sent, and what is said of decisions on unknown attempts.

A failed receipt means the same as if it had been the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from alir.clock import Clock
from alir.dispatch.attempt import BusyPolicy, again_of
from alir.dispatch.pauses import Pauses
from alir.dispatch.ports import Decisions
from alir.errors import ProviderBusy, SendFailure
from alir.ids import SenderName
from alir.messages.life import Again
from alir.messages.model import Decision, Message
from alir.observe import get_logger

#: What the error of a failed receipt of a sender would mean as an answer.
FailureOf = Callable[[SenderName, Mapping[str, Any]], SendFailure]


_log = get_logger("dispatch")


class Aftermath:
    """Decides whether a message goes again that failed by receipt, and what stands still."""

    def __init__(
        self,
        failure_of: FailureOf,
        pauses: Pauses,
        *,
        policy: BusyPolicy,
        clock: Clock,
        random: Callable[[], float],
        decisions: Decisions,
    ) -> None:
        self._failure_of = failure_of
        self._pauses = pauses
        self._policy = policy
        self._clock = clock
        self._random = random
        self._decisions = decisions

    def again(self, message: Message, error: Mapping[str, Any] | None) -> Again | None:
        """Whether the message is to be queued once more, and when."""
        return again_of(
            self._failure_of(message.sender, error or {}),
            message,
            policy=self._policy,
            now=self._clock.now(),
            jitter=self._random(),
        )

    def failed(self, message: Message, attempt: int, error: Mapping[str, Any] | None) -> None:
        """Attempt `attempt` of `message` failed so: what that pauses stands still from now on."""
        failure = self._failure_of(message.sender, error or {})
        tried = message.attempt(attempt)
        if isinstance(failure, ProviderBusy) and failure.pauses is not None and tried is not None:
            self._pauses.strike(message, failure, begun_at=tried.begun_at, by_receipt=True)

    def arrived(self, message: Message, attempt: int) -> None:
        """Attempt `attempt` of `message` was sent on, or more: nothing need stand still for it."""
        tried = message.attempt(attempt)
        if tried is not None:
            self._pauses.passed(message, begun_at=tried.begun_at, by_receipt=True)

    def decided(self, message: Message, decision: Decision) -> None:
        """That was decided about an unknown attempt of `message`: counted and logged."""
        self._decisions.decided(message.sender, decision)
        about = _log.bind(
            decision=decision.value,
            message=message.id,
            sender=message.sender,
            status=message.status.value,
        )
        if decision is Decision.HELD:
            about.warning("unknown_decided")
        else:
            about.info("unknown_decided")
