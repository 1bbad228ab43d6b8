"""What a callback says about a message, in alir's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alir.ids import MessageId, ProviderId, SenderName
from alir.messages import life
from alir.messages.model import Decision, Flag, Message, Receipt, ReceiptStatus


@dataclass(frozen=True, slots=True)
class Mark:
    """What travels with an attempt and comes back in its receipts."""

    message_id: MessageId
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One receipt as a provider told it, not tied to a message yet.

    Attributes:
        sender: the sender that it is about.
        mark: names the attempt, where the provider gives it back.
        provider_id: the provider's id of the message.
        wa_id: the recipient's digits, where they are told.
        user_id: the recipient's business-scoped user id, where it is told.
        wamid: WhatsApp's id of the message, where it is told too.
        at: when it happened, by the provider's clock.
    """

    sender: SenderName
    provider_id: ProviderId
    status: ReceiptStatus
    at: datetime
    mark: Mark | None = None
    wa_id: str | None = None
    user_id: str | None = None
    wamid: ProviderId | None = None
    error: Mapping[str, Any] | None = None

    def received_by(
        self, attempt: int, now: datetime, again: life.Again | None = None
    ) -> Callable[[Message], life.Change | None]:
        """The decision that this receipt is of attempt `attempt` of the message asked about."""
        receipt = Receipt(attempt=attempt, status=self.status, at=self.at, error=self.error)
        return lambda message: life.receive(
            message,
            receipt,
            now=now,
            provider_id=self.provider_id,
            wa_id=self.wa_id,
            wamid=self.wamid,
            again=again,
        )

    def guessed_by(self, attempt: int, now: datetime) -> Callable[[Message], life.Change | None]:
        """As `received_by`, where only a guess says that it is of that attempt: flagged so.

        An attempt that has an answer by now is left alone.
        """
        decide = self.received_by(attempt, now)

        def decide_and_flag(message: Message) -> life.Change | None:
            guessed = message.attempt(attempt)
            change = decide(message)
            if change is None or guessed is None or not guessed.is_open:
                return None
            return life.with_flag(change, Flag.GUESS)._replace(decision=Decision.GUESS)

        return decide_and_flag


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The person wrote to a sender, or called: that opens the window of 24 hours.

    Attributes:
        wa_id: the person's digits, where they are told.
        user_id: the person's business-scoped user id, where it is told.
        at: when, by the provider's clock.
        wamid: of what the person wrote.
    """

    sender: SenderName
    at: datetime
    wa_id: str | None = None
    user_id: str | None = None
    wamid: str | None = None
