"""What receipts ask of a provider's dialect and of the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from alir.ids import SenderName
from alir.receipts.model import Told


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What tells a sender's callbacks from others'. Secrets are asked for at each use.

    Attributes:
        account: the sender's id in callbacks.
        secret: signs its callbacks.
        verify_token: answers the handshake, where there is one.
    """

    name: SenderName
    account: str
    secret: Callable[[], str]
    verify_token: Callable[[], str] | None = None


class Dialect(Protocol):
    """How one provider's callbacks are read."""

    @property
    def name(self) -> str: ...

    def signed_by(self, headers: Mapping[str, str], body: bytes) -> tuple[SenderName, ...]:
        """The senders whose own secret signed exactly these bytes."""
        ...

    def read(self, body: bytes, *, senders: Sequence[SenderName], now: datetime) -> list[Told]:
        """Every receipt that is about one of `senders`. Never raises."""
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

    async def keep(self, provider: str, senders: Sequence[SenderName], body: bytes) -> RawCallback:
        """Store it; once this returns it may be answered."""
        ...

    async def unapplied(self) -> list[RawCallback]:
        """What a crash left unapplied, oldest first."""
        ...


class Receipts(Protocol):
    """What providers told, applied to messages."""

    async def apply(self, told: Sequence[Told], *, callback: int) -> None:
        """Apply every receipt of a callback and mark it applied. Twice changes nothing."""
        ...

    async def sweep(self, *, keep: timedelta) -> None:
        """Try the parked receipts again, and forget those that are older than `keep`."""
        ...
