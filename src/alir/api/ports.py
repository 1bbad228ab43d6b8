"""What the door is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from alir.clock import Clock
from alir.ids import SenderName
from alir.intake.accept import Intake
from alir.intake.batch import Batches
from alir.intake.ports import Messages
from alir.intake.selection import Selection
from alir.intake.tokens import TokenBook
from alir.intake.waiting import Waiting
from alir.messages.model import Message
from alir.receipts.inbox import Inbox
from alir.receipts.ports import CallbackForm


class Measure(Protocol):
    """Told of every request of a hot route."""

    def answered(self, route: str, seconds: float) -> None: ...

    def stored(self, message: Message) -> None: ...


class CallbackRoute(Protocol):
    """Where a provider calls back, and in which form."""

    @property
    def title(self) -> str:
        """The provider's name, for people."""
        ...

    @property
    def secret_in_path(self) -> bool:
        """Whether a secret ends the path."""
        ...

    @property
    def form(self) -> CallbackForm: ...


@runtime_checkable
class Handshake(Protocol):
    """Answers a provider that checks the callback URL as Meta does."""

    def challenge_answer(self, query: Mapping[str, str]) -> str | None: ...


class Senders(Protocol):
    """The senders, and what an operator does with them."""

    @property
    def names(self) -> Sequence[SenderName]:
        """All of them, in the order of the settings."""
        ...

    async def show(self, names: Sequence[SenderName]) -> list[dict[str, Any]]:
        """These senders in the shape of the API."""
        ...

    async def pause(self, name: SenderName, *, title: str, until: datetime | None) -> None:
        """Let nothing of it through; on disk when it returns."""
        ...

    async def resume(self, name: SenderName) -> None:
        """End everything that holds it; on disk when it returns."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, waits in seconds."""

    message_bytes: int
    batch_bytes: int
    callback_bytes: int
    default_wait: float
    longest_wait: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """Everything behind the door.

    Attributes:
        callbacks: of the providers, by their names.
        handshakes: of the providers that check the callback URL.
        expected_wait: how long a message that was just stored waits for its turn, about.
        is_ready: what keeps it from doing its work; none: nothing does.
    """

    intake: Intake
    batches: Batches
    messages: Messages
    selection: Selection
    tokens: TokenBook
    waiting: Waiting
    senders: Senders
    inbox: Inbox
    callbacks: Mapping[str, CallbackRoute]
    handshakes: Mapping[str, Handshake]
    clock: Clock
    limits: Limits
    measure: Measure
    expected_wait: Callable[[Message], timedelta]
    is_ready: Callable[[], Awaitable[str | None]]
    metrics: Callable[[], bytes]
