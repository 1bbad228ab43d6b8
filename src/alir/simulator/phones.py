"""What the simulator remembers: every message it took, by phone. In memory only."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice

from alir.messages.model import ReceiptStatus

#: The providers, as alir names them.
CLOUD = "cloud"
ROUTE_MOBILE = "routemobile"


class CallState(StrEnum):
    """What became of telling somebody."""

    WAITING = "waiting"  #: To be told, or told and not answered yet.
    ANSWERED = "answered"  #: Answered 200.
    DROPPED = "dropped"  #: Never told, as the behaviour wants it.
    GIVEN_UP = "given_up"  #: Tried for too long, or too many were waiting.
    NOBODY = "nobody"  #: There is no callback URL.


@dataclass(slots=True, eq=False)
class Call:
    """How telling of one receipt, or of one text of a person, went.

    Attributes:
        tries: requests sent, repeats included.
        problem: why the last one did not end well: `HTTP 503`, `NeverConnected`.
    """

    state: CallState = CallState.WAITING
    tries: int = 0
    problem: str | None = None


@dataclass(slots=True, eq=False)
class Receipt:
    """Something that happened to a message.

    Attributes:
        at: milliseconds since 1970.
        code: the error's, where the status is failed.
    """

    status: ReceiptStatus
    at: int
    code: int | None = None
    call: Call = field(default_factory=Call)


@dataclass(slots=True, eq=False, kw_only=True)
class Received:
    """A message that a phone received.

    Attributes:
        provider: who took it: `cloud` or `routemobile`.
        sender: the sender as the provider names it: the phone number id, or the username.
        phone: the recipient's digits, or the business-scoped user id.
        at: when it was taken, in milliseconds since 1970.
        body: the request's body as it came, which is JSON.
        kind: `interactive` or `template`.
        mark: what the request wants to have back in every receipt.
        request_id: Route Mobile's own id of it.
    """

    wamid: str
    provider: str
    sender: str
    phone: str
    at: int
    body: bytes
    kind: str
    mark: str | None = None
    request_id: str | None = None
    receipts: list[Receipt] = field(default_factory=list)


@dataclass(slots=True, eq=False, kw_only=True)
class Written:
    """A text that the person at a phone wrote to a sender; fields as in `Received`."""

    wamid: str
    provider: str
    sender: str
    phone: str
    at: int
    text: str
    name: str
    request_id: str | None = None
    call: Call = field(default_factory=Call)


Entry = Received | Written


@dataclass(slots=True, eq=False)
class Phone:
    """One person's phone: what came in and went out, oldest first."""

    number: str
    entries: list[Entry] = field(default_factory=list)  # an empty deque takes ten times as much


class Phones:
    """All phones.

    Attributes:
        version: grows with every change, so that a page can see that there was one.
    """

    def __init__(self, *, keep: int | None = None) -> None:
        """`keep`: how many entries are remembered, over all phones; `None` for all."""
        self.version = 0
        self._keep = keep
        self._entries: deque[Entry] = deque()
        self._phones: dict[str, Phone] = {}  # the phone that changed last stands last

    def __len__(self) -> int:
        """How many phones there are."""
        return len(self._phones)

    def add(self, entry: Entry) -> None:
        """Remember `entry`, and forget the oldest where there are too many."""
        phone = self._phones.pop(entry.phone, None) or Phone(entry.phone)
        self._phones[entry.phone] = phone
        phone.entries.append(entry)
        self._entries.append(entry)
        if self._keep is not None and len(self._entries) > self._keep:
            self._forget_oldest()
        self.changed()

    def changed(self) -> None:
        """Say that an entry changed."""
        self.version += 1

    def forget(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._phones.clear()
        self.changed()

    def phone(self, number: str) -> Phone | None:
        """The phone with these digits, or this user id, if anything is known of it."""
        return self._phones.get(number)

    def received(self, number: str | None = None) -> list[Received]:
        """The messages that came, to one phone or to all, oldest first."""
        entries: Iterable[Entry] = self._entries
        if number is not None:
            phone = self._phones.get(number)
            entries = phone.entries if phone else ()
        return [entry for entry in entries if isinstance(entry, Received)]

    def recent(self, *, limit: int, containing: str = "") -> list[Phone]:
        """Phones with these digits in their number, the one that changed last first."""
        matching: Iterator[Phone] = (
            phone for number, phone in reversed(self._phones.items()) if containing in number
        )
        return list(islice(matching, limit))

    def last_received(self, number: str) -> Received | None:
        """What this phone received last."""
        phone = self._phones.get(number)
        entries = phone.entries if phone else []
        return next((each for each in reversed(entries) if isinstance(each, Received)), None)

    def _forget_oldest(self) -> None:
        oldest = self._entries.popleft()
        phone = self._phones[oldest.phone]
        phone.entries.pop(0)  # the oldest of all is the oldest of its phone
        if not phone.entries:
            del self._phones[oldest.phone]
