"""What dispatch asks of a provider and of the store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

from alir.dispatch.gate import Turn
from alir.dispatch.pause import Pause
from alir.dispatch.slots import NOBODY, StoodBack
from alir.ids import Fence, MessageId, ProviderId, SenderName
from alir.messages import life
from alir.messages.model import Decision, Message, Outcome, QueueClass


class Sent(NamedTuple):
    """A provider took a message.

    Attributes:
        provider_id: the provider's own id of the message, which receipts name.
        wa_id: the recipient as WhatsApp names it, where the answer says so.
        request_id: what callers get as `request_id`, where it is not alir's own id.
    """

    provider_id: ProviderId
    wa_id: str | None = None
    request_id: str | None = None


class Provider(Protocol):
    """Who carries messages of one sender to WhatsApp."""

    def is_ready(self) -> bool:
        """Whether a send needs nothing else first, such as a log-in. Costs next to nothing."""
        ...

    async def get_ready(self) -> None:
        """Fetch what a send needs first. Nothing is handed over, and it may be cancelled.

        A message must leave within seconds of its begin. Whoever calls this looks at the clock
        after it, so that `send` has nothing to wait for.

        Raises:
            ProviderBusy: as `send` would; later it may go.
        """
        ...

    async def send(self, message: Message, attempt: int) -> Sent:
        """Hand over attempt `attempt` of `message`, once.

        Raises:
            ProviderBusy: certainly not taken; later it may be.
            ProviderRefused: certainly not taken; it never will be.
            OutcomeUnknown: perhaps taken.
        """
        ...

    def credentials(self) -> bytes:
        """A fingerprint of the secrets that the next call would use: it changes when they do."""
        ...

    def refresh_credentials(self) -> None:
        """Have secrets that stand in files read again at their next use, however fresh."""
        ...


class Served(NamedTuple):
    """A place had its turn: so many went, and whether nobody waited there."""

    place: str
    gone: int
    is_empty: bool


class Begun(NamedTuple):
    """What was begun, each with a new latest attempt.

    Attributes:
        next_due: when the next queued message of the sender is due; none: there is none, or
            there is more that is due now.
        more: whether more may be due now.
        in_doubt: nobody can say whether `messages` are begun, so none of them may be sent.
        served: what became of the turns that were given.
        stood_back: which classes have stood back for how many slots, for the next begin.
    """

    messages: tuple[Message, ...]
    next_due: datetime | None
    more: bool
    in_doubt: bool = False
    served: tuple[Served, ...] = ()
    stood_back: StoodBack = NOBODY


class Due(NamedTuple):
    """What is due at a sender.

    Attributes:
        counts: how many messages of each class.
        oldest_at: since when the longest of them has been due.
    """

    counts: Mapping[QueueClass, int]
    oldest_at: datetime | None

    def up_to(self, at_most: int) -> int:
        """How many in all, counted up to `at_most`."""
        return min(sum(self.counts.values()), at_most)


class Judge(Protocol):
    """Decides what becomes of a message that is due: begun, parked, or expired.

    It may be asked about one and the same version again, and then says the same. None: it stays
    as it is. `head_of`: the place where it waited longest, whose turn it is.
    """

    def __call__(
        self, message: Message, *, window_shut: bool, head_of: str | None = None
    ) -> life.Change | None: ...


class Outbox(Protocol):
    """The messages, as dispatch needs them. Each call is on disk when it returns."""

    async def begin(
        self,
        sender: SenderName,
        *,
        limit: int,
        judge: Judge,
        turns: Sequence[Turn] = (),
        stood_back: StoodBack = NOBODY,
        fence: Fence | None = None,
    ) -> Begun:
        """Begin an attempt of up to `limit` messages, as `judge` decides.

        The classes take their slots as `next_slot` says. Within a class, first those whose turn it
        is at their places, then what is due, longest first.

        Args:
            fence: of the sender's lease, where processes share the database.

        Raises:
            LeaseLost: the sender is another process's; nothing was begun.
            StoreUnavailable: nothing was begun.
        """
        ...

    async def lately(self, sender: SenderName, *, since: datetime) -> list[tuple[str, datetime]]:
        """To whom attempts were begun since then, and when each was, in that order."""
        ...

    async def parked(self, sender: SenderName) -> list[tuple[str, int]]:
        """Where messages wait for their turn, and how many at each place."""
        ...

    async def settle(
        self, message: Message, settlement: life.Settlement, *, number: int
    ) -> Message:
        """Record what attempt `number` came to, and apply the receipts that waited for its id."""
        ...

    async def change(
        self,
        message: Message | MessageId,
        decide: Callable[[Message], life.Change | None],
        *,
        fence: Fence | None = None,
    ) -> Message:
        """Decide upon a message as it stands, and write what became of it.

        Args:
            fence: where it does not stand any more, nothing is decided.
        """
        ...

    async def get(self, message_id: MessageId) -> Message:
        """The message as it stands.

        Raises:
            NotFound: there is none with this id.
        """
        ...

    async def left_begun(
        self,
        *,
        before: datetime | None = None,
        of: SenderName | None = None,
        but: Sequence[SenderName] = (),
    ) -> list[tuple[MessageId, int]]:
        """Message and number of every attempt that is begun and not settled.

        Args:
            before: only those that were begun before then.
            of: only those of this sender.
            but: none of these senders.
        """
        ...

    async def left_unknown(self, *, of: Collection[SenderName], limit: int) -> list[Message]:
        """Messages of these senders that are unknown, whatever may become of them.

        The newest `limit` of them.
        """
        ...

    async def unknown_to_retry(self, *, of: Collection[SenderName], limit: int) -> list[Message]:
        """Unknown messages of these senders that `life.may_retry_by_itself`; oldest first."""
        ...

    async def expired(self, *, limit: int, but: Sequence[SenderName] = ()) -> list[MessageId]:
        """Messages whose `expires_at` passed while they wait; none of the senders `but`."""
        ...

    async def due(self, sender: SenderName, *, at_most: int) -> Due:
        """What is due, up to `at_most` messages of each class counted."""
        ...


class Evidence(Protocol):
    """What providers told, as the processes of one database have kept it."""

    async def any_unapplied(self, *, longer_than: timedelta) -> bool:
        """Whether a callback was kept longer ago than that, and is still to be applied."""
        ...


class Place(NamedTuple):
    """Where a message stands that is about to be stored.

    Attributes:
        admitted_at: it may be begun with the write that stores it; the moment of the admission, on
            the clock that never jumps.
        parked: where it has to wait for its turn.
        fence: what its begin names, where it is admitted and processes share the database.
    """

    admitted_at: float | None = None
    parked: str | None = None
    fence: Fence | None = None


#: In line, where it is begun in its turn.
NOWHERE: Final = Place()


class Measure(Protocol):
    """Told of every call."""

    def settled(self, sender: SenderName, outcome: Outcome, seconds: float) -> None: ...


class Decisions(Protocol):
    """Told of every decision on an attempt that was unknown."""

    def decided(self, sender: SenderName, decision: Decision) -> None: ...


class PauseStore(Protocol):
    """The pauses on disk."""

    async def put(self, pause: Pause, *, is_new: bool) -> None:
        """Store it, or what it has become; of a new one users are told."""
        ...

    async def remove(self, pause: Pause) -> None:
        """It is over, and users are told."""
        ...

    async def end(self, pause: Pause) -> None:
        """Remove one whose time is over, unless what is stored has another end by now."""
        ...

    async def all(self, *, but_recipients: bool = False) -> list[Pause]:
        """Every pause of every sender; on request without those of recipients, which are many."""
        ...

    async def of(self, sender: SenderName) -> list[Pause]:
        """Every pause of one sender."""
        ...

    async def recipients(self) -> dict[SenderName, int]:
        """How many pauses of recipients each sender has; none: left out."""
        ...
