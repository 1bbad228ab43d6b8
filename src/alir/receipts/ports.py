"""What receipts ask of a provider's dialect and of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol

from alir.errors import SendFailure
from alir.ids import SenderName
from alir.messages.life import Again
from alir.messages.model import Decision, Message
from alir.receipts.model import Heard, Told


class CallbackRequest(NamedTuple):
    """A callback as it came over HTTP.

    Attributes:
        secret: the last part of its path, where the path has one.
        headers: by their names in lower case.
    """

    headers: Mapping[str, str]
    body: bytes
    secret: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The header that signs the callbacks of a provider, in the words of the API's reference.

    Attributes:
        header: its name, as people write it.
        says: what is in it, in sentences.
        pattern: a regular expression that it matches.
        example: the signature of the example of a callback.
    """

    header: str
    says: str
    pattern: str = "."
    example: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackForm:
    """What the callbacks of a provider look like, for the API's reference.

    Attributes:
        signature: the header that signs them, where one does.
        example: a callback about nobody.
    """

    signature: Signature | None = None
    example: Mapping[str, object] = field(default_factory=dict)


#: Of a provider that does not say it.
UNSAID: Final = CallbackForm()


class Dialect(Protocol):
    """How one provider's callbacks are read."""

    @property
    def name(self) -> str: ...

    def signed_by(self, request: CallbackRequest) -> tuple[SenderName, ...]:
        """The senders whose own secret this request shows, compared in constant time."""
        ...

    def read(
        self, body: bytes, *, senders: Sequence[SenderName], now: datetime
    ) -> list[Told | Heard]:
        """Everything that is about one of `senders`. Never raises."""
        ...

    def failure_of(self, error: Mapping[str, Any]) -> SendFailure:
        """What the error of a failed receipt (`Told.error`) would mean as an answer."""
        ...


@dataclass(frozen=True, slots=True)
class RawCallback:
    """A callback as it came in.

    Attributes:
        senders: whose own secret signed it.
    """

    seq: int
    provider: str
    senders: tuple[SenderName, ...]
    body: bytes


class Callbacks(Protocol):
    """The callbacks as they came in."""

    async def keep(
        self, provider: str, senders: Sequence[SenderName], body: bytes, *, claim: bool = True
    ) -> RawCallback:
        """Store it; once this returns it may be answered.

        Args:
            claim: whether this process applies it; else any that does may claim it.
        """
        ...

    async def claim(self) -> Sequence[RawCallback]:
        """Claim what nobody applies now, oldest first, as much as memory has room for."""
        ...

    async def leave(self, callback: int) -> None:
        """Have nobody claim a callback that cannot be applied, until `free`."""
        ...

    async def free(self, *, claimed: bool) -> None:
        """Let what was left be claimed once more.

        Args:
            claimed: what is claimed, too: whoever claimed it is gone for sure.
        """
        ...


class Consequences(Protocol):
    """What follows from what became of an attempt, besides the change of its message."""

    def again(self, message: Message, error: Mapping[str, Any] | None) -> Again | None:
        """Whether the message is to be queued once more, and when."""
        ...

    def failed(self, message: Message, attempt: int, error: Mapping[str, Any] | None) -> None:
        """Attempt `attempt` of `message` failed so, and that is on disk."""
        ...

    def arrived(self, message: Message, attempt: int) -> None:
        """Attempt `attempt` of `message` was sent on, or more, and that is on disk."""
        ...

    def decided(self, message: Message, decision: Decision) -> None:
        """That was decided about an unknown attempt of `message`, and is on disk."""
        ...


class Receipts(Protocol):
    """What providers told, applied to messages."""

    async def apply(self, told: Sequence[Told | Heard], *, callback: int) -> None:
        """Apply everything that a callback tells and mark it applied. Twice changes nothing."""
        ...

    async def sweep(self, *, keep: timedelta) -> None:
        """Try the parked receipts again, and forget those that are older than `keep`."""
        ...

    async def guess(self, senders: Sequence[SenderName]) -> None:
        """Settle attempts of these senders by parked receipts that can be about no other."""
        ...
