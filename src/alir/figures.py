"""What the parts of a gateway report, as metrics."""

from __future__ import annotations

from datetime import timedelta

from alir.ids import SenderName
from alir.messages.model import Decision, Message, Outcome, ReceiptStatus
from alir.observe import Metrics


class Figures:
    """What the parts report, as metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def committed(self, size: int, seconds: float) -> None:
        self._metrics.commit_group_size.observe(size)
        self._metrics.commit_seconds.observe(seconds)

    def settled(self, sender: SenderName, outcome: Outcome, seconds: float) -> None:
        self._metrics.outcomes[sender, outcome.value].inc()
        self._metrics.provider_call_seconds[sender].observe(seconds)

    def decided(self, sender: SenderName, decision: Decision) -> None:
        self._metrics.unknown_decisions[sender, decision.value].inc()

    def answered(self, route: str, seconds: float) -> None:
        self._metrics.request_seconds[route].observe(seconds)

    def stored(self, message: Message) -> None:
        self._metrics.messages_accepted[message.sender].inc()

    def received(self, sender: SenderName, status: ReceiptStatus) -> None:
        self._metrics.receipts[sender, status.value].inc()

    def queue(self, sender: SenderName, due: int, age: timedelta, unknown: int) -> None:
        self._metrics.unknown[sender].set(unknown)
        self._metrics.queue_depth[sender].set(due)
        self._metrics.queue_age_seconds[sender].set(age.total_seconds())
