"""What intake asks of the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from alir.errors import AlirError, StoreUnavailable
from alir.ids import ApiTokenId, Fence, MessageId, SenderName
from alir.messages import life
from alir.messages.model import Message, Status


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """The caller's key and the SHA-256 of the canonical request that it stands for."""

    key: str
    request_hash: bytes


class Stored(NamedTuple):
    """A message that is on disk, or may be.

    Attributes:
        replayed: an earlier request had put it there.
        doubt: why nobody can say whether it is there; if it is, so. None: it is.
    """

    message: Message
    replayed: bool
    doubt: StoreUnavailable | None = None


class New(NamedTuple):
    """A message to be stored together with others, which waits for its turn.

    Attributes:
        key: what it is found by when it is asked for once more.
        refuse_shut: refuse it where the window is known to be shut and nothing else may go.
    """

    message: Message
    key: IdempotencyKey | None = None
    refuse_shut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which messages a list shows. `senders`: only of these; none: of all."""

    senders: Sequence[str] | None = None
    status: str | None = None
    to: str | None = None
    flow_id: str | None = None
    flow_token: str | None = None
    sender: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Selected(NamedTuple):
    """A message that filters select, and where it stood when they did."""

    id: MessageId
    status: Status


class Messages(Protocol):
    """The messages, as those who accept and show them need them."""

    async def accept(
        self,
        message: Message,
        key: IdempotencyKey | None,
        *,
        begin: bool = False,
        fence: Fence | None = None,
        refuse_shut: bool = False,
    ) -> Stored:
        """Store a new message, or find the one that `key` stands for already.

        Args:
            begin: begin its first attempt with the same write, unless it has expired by then.
            fence: where it does not stand any more, nothing is begun.
            refuse_shut: refuse it where the window is known to be shut and nothing else may go.

        Raises:
            IdempotencyConflict: the key stands for another request.
            RequestInvalid: the window is shut.
            StoreUnavailable: nothing was stored, or (`in_doubt`) nobody can say, nor what of it.
        """
        ...

    async def accept_all(self, new: Sequence[New]) -> Sequence[Stored | AlirError]:
        """Store new messages together, in their order; what became of each.

        An error is what `accept` would have raised; of `StoreUnavailable` in doubt, with the id.
        """
        ...

    async def replayed(self, token: ApiTokenId, key: IdempotencyKey) -> Message | None:
        """The message that `key` stands for already, if any.

        Raises:
            IdempotencyConflict: the key stands for another request.
        """
        ...

    async def get(self, message_id: MessageId) -> Message:
        """The message as it stands, or `NotFound`."""
        ...

    async def find(self, any_id: str) -> Message:
        """The message that any id ever given out names, or `NotFound`."""
        ...

    async def page(
        self, filters: Filters, *, limit: int, before: int | None
    ) -> tuple[list[Message], int | None]:
        """Up to `limit` messages, newest first, from before a place; and the next such place."""
        ...

    async def newest(self) -> int:
        """The place of the newest message in the order of accepting; 0: there is none."""
        ...

    async def next_place(self, after: int) -> int:
        """The first place after this one at which there is a message; 0: there is none."""
        ...

    async def selected(self, filters: Filters, *, after: int, to: int) -> Sequence[Selected]:
        """The messages of the places after `after` up to `to` that filters select, oldest first."""
        ...

    async def change(
        self, message: Message | MessageId, decide: Callable[[Message], life.Change | None]
    ) -> Message:
        """Decide upon a message as it stands, and write what became of it.

        Raises:
            NotFound: there is no such message.
            AlirError: whatever `decide` raised; nothing was written.
        """
        ...


class Moves(Protocol):
    """The messages, as those need them who wait for what other processes do to them."""

    async def moved(self, known: Mapping[MessageId, int]) -> Sequence[Message]:
        """Those messages that stand at a later version than is known of them, as they stand now.

        Raises:
            StoreUnavailable: it cannot be read now.
        """
        ...


class Place(Protocol):
    """Where a message stands that is about to be stored.

    Attributes:
        admitted_at: it may be begun with the write that stores it; the moment of the admission, on
            the clock that never jumps.
        parked: where it has to wait for its turn.
        fence: what its begin names, where it is admitted and processes share the database.
    """

    @property
    def admitted_at(self) -> float | None: ...

    @property
    def parked(self) -> str | None: ...

    @property
    def fence(self) -> Fence | None: ...


class Dispatch(Protocol):
    """Where messages go next.

    A message that nothing waits before, and that there is room for, is begun with the very write
    that stores it: one commit less on its way.
    """

    def admit(self, message: Message) -> Place:
        """Take a place for a message that is about to be stored."""
        ...

    def line_up(self, message: Message) -> str | None:
        """A message is about to be stored that waits for its turn; where, if it is parked."""
        ...

    def room(self, sender: SenderName) -> int:
        """How many more messages of a sender may wait; none or less: its queue is full."""
        ...

    def hand_over(self, message: Message, admitted_at: float) -> None:
        """Send a message that was admitted and is on disk as begun."""
        ...

    def dismiss(self, message: Message, admitted_at: float, *, in_doubt: bool) -> None:
        """Give the place back: the message was not stored, or (`in_doubt`) nobody can say."""
        ...
