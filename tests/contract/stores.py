"""The stores of one database, opened as the gateway opens them, and what tests ask of them.

A database that alir can run on is one subclass of `Backend` and one entry in `BACKENDS`; every
contract test then runs on it too.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from tests.clock import FakeClock
from tests.examples import MAIN, a_message, begin_due
from tests.postgres import execute

from alir.errors import NotFound, TooLate
from alir.ids import MessageId, ProviderId, SenderName
from alir.messages.life import Again, Settlement
from alir.messages.model import Decision, Message, Outcome, ReceiptStatus
from alir.receipts.model import Heard, Mark, Told
from alir.receipts.ports import RawCallback
from alir.store import tables
from alir.store.aged import AgedStore
from alir.store.callbacks import CallbackStore
from alir.store.database import Database, open_database
from alir.store.messages import MessageStore
from alir.store.parked import park
from alir.store.pauses import PauseStore
from alir.store.receipts import ReceiptStore
from alir.store.sql import Connection, run
from alir.store.tokens import TokenStore

KEEP_PARKED = timedelta(days=7)
#: How often each race is run.
ROUNDS = 12

#: Something that one of two wants to be done.
Deed = Callable[[], Awaitable[Any]]


@dataclass
class Consequences:
    """What failed receipts are to mean, and what the stores said of them.

    Attributes:
        of: by the provider's code, what queues a message again.
        seen: message, attempt and code of each failed receipt, once it was on disk.
        arrivals: message and attempt of each other receipt that changed something.
        decisions: message and what was decided about its unknown attempt, once it was on disk.
    """

    of: dict[str, Again] = field(default_factory=dict)
    seen: list[tuple[MessageId, int, str]] = field(default_factory=list)
    arrivals: list[tuple[MessageId, int]] = field(default_factory=list)
    decisions: list[tuple[MessageId, Decision]] = field(default_factory=list)

    def again(self, message: Message, error: Mapping[str, Any] | None) -> Again | None:
        return self.of.get((error or {}).get("provider_code", ""))

    def arrived(self, message: Message, attempt: int) -> None:
        self.arrivals.append((message.id, attempt))

    def decided(self, message: Message, decision: Decision) -> None:
        self.decisions.append((message.id, decision))

    def failed(self, message: Message, attempt: int, error: Mapping[str, Any] | None) -> None:
        self.seen.append((message.id, attempt, (error or {}).get("provider_code", "")))


@dataclass
class Stores:
    """Every store of one open database.

    Attributes:
        changed: the messages that the stores told of, in order.
    """

    database: Database
    clock: FakeClock
    changed: list[Message] = field(default_factory=list)
    consequences: Consequences = field(default_factory=Consequences)

    def __post_init__(self) -> None:
        changed, consequences = self.changed.append, self.consequences
        self.messages = MessageStore(
            self.database, self.clock, changed=changed, consequences=consequences
        )
        self.receipts = ReceiptStore(
            self.database, self.clock, changed=changed, consequences=consequences
        )
        self.pauses = PauseStore(self.database, self.clock)
        self.callbacks = CallbackStore(self.database, self.clock)
        self.tokens = TokenStore(self.database, self.clock)
        self.aged = AgedStore(self.database)

    async def accepted(self, **fields: Any) -> Message:
        """A message that was stored now."""
        now = self.clock.now()
        fields = {"created_at": now, "due_at": now, "first_due_at": now} | fields
        return (await self.messages.accept(a_message(**fields), None)).message

    async def begun(self, **fields: Any) -> Message:
        """A message whose first attempt is begun."""
        message = await self.accepted(**fields)
        begun = await self.messages.begin(message.sender, limit=100, judge=begin_due)
        return next(m for m in begun.messages if m.id == message.id)

    async def sent(self, provider_id: str = "wamid.1", **fields: Any) -> Message:
        """A message that its provider took."""
        message = await self.begun(**fields)
        return await self.settle(message, ACCEPTED, provider_id=provider_id)

    async def settle(
        self, message: Message, outcome: Outcome, *, provider_id: str | None = None, **more: Any
    ) -> Message:
        """Settle the latest attempt."""
        found = None if provider_id is None else ProviderId(provider_id)
        settlement = Settlement(outcome=outcome, provider_id=found, **more)
        number = len(message.attempts)
        return await self.messages.settle(message, settlement, number=number)

    async def is_there(self, message: Message | MessageId) -> bool:
        """Whether the message is stored."""
        try:
            await self.messages.get(message if isinstance(message, str) else message.id)
        except NotFound:
            return False
        return True

    async def tell(self, *told: Told | Heard) -> None:
        """Receive a callback that says this."""
        raw = await self.callbacks.keep("cloud", [MAIN], b"{}")
        await self.receipts.apply(told, callback=raw.seq)

    async def unapplied(self) -> list[RawCallback]:
        """Every callback that is not applied, whoever claimed it, oldest first."""
        c = tables.callback.c
        query = (
            select(c.seq, c.provider, c.senders, c.body)
            .where(c.applied_at.is_(None))
            .order_by(c.seq)
        )
        found = await self.database.read(lambda connection: run(connection, query).fetchall())
        return [
            RawCallback(seq, provider, tuple(json.loads(senders)), body)
            for seq, provider, senders, body in found
        ]

    async def park(self, *told: Told) -> None:
        """Park these, whether or not their attempts are known by now."""

        def work(connection: Connection) -> None:
            for one in told:
                park(connection, one, self.clock.now())

        await self.database.write(work)

    async def events(self, message_id: MessageId | None = None) -> list[dict[str, Any]]:
        """Every event, or those of one message, in order, as `{"type", "data"}`."""
        event = tables.event.c
        query = select(event.type, event.data, event.message_id).order_by(event.number)
        rows = await self.database.read(lambda connection: run(connection, query).fetchall())
        return [
            {"type": type_, "data": json.loads(data)}
            for type_, data, of in rows
            if message_id in (None, of)
        ]

    async def event_ids(self) -> list[str]:
        query = select(tables.event.c.id)
        return [row[0] for row in await self.database.read(lambda c: run(c, query).fetchall())]

    async def event_types(self, message_id: MessageId) -> list[str]:
        return [event["type"] for event in await self.events(message_id)]

    async def parked(self) -> int:
        """How many receipts are parked."""
        query = select(tables.parked_receipt.c.seq)
        return len(await self.database.read(lambda c: run(c, query).fetchall()))


ACCEPTED = Outcome.ACCEPTED


def told(
    status: ReceiptStatus,
    *,
    of: Message | None = None,
    attempt: int = 1,
    provider_id: str = "wamid.1",
    wamid: str | None = None,
    sender: SenderName = MAIN,
    **more: Any,
) -> Told:
    """A receipt; with `of` it carries the mark of that message."""
    mark = None if of is None else Mark(of.id, attempt)
    at = FakeClock().now()
    return Told(
        sender=sender,
        provider_id=ProviderId(provider_id),
        wamid=None if wamid is None else ProviderId(wamid),
        status=status,
        at=at,
        mark=mark,
        **more,
    )


class Backend(ABC):
    """One empty database; what is opened one after the other finds what was stored before."""

    @abstractmethod
    def database(self, *, exclusive: bool = True) -> Database:
        """Open it."""

    @asynccontextmanager
    async def open(self, *, clock: FakeClock | None = None) -> AsyncIterator[Stores]:
        """Open every store, and close them in the end."""
        database = self.database()
        try:
            await database.own()
            yield Stores(database, clock or FakeClock())
        finally:
            await database.close()


class SQLite(Backend):
    """A file."""

    def __init__(self, folder: Path, template: Path) -> None:
        self.path = folder / "alir.db"
        shutil.copy(template, self.path)

    def database(self, *, exclusive: bool = True) -> Database:
        return open_database(f"sqlite:///{self.path}", exclusive=exclusive)


class PostgreSQL(Backend):
    """A database of a server, which all tests use in turn."""

    def __init__(self, url: str) -> None:
        self.url = url
        names = ", ".join(f'"{table.name}"' for table in tables.metadata.sorted_tables)
        execute(url, f"TRUNCATE {names} RESTART IDENTITY")

    def database(self, *, exclusive: bool = True) -> Database:
        return open_database(self.url, exclusive=exclusive)


@asynccontextmanager
async def two_writers(database: Backend) -> AsyncIterator[tuple[Stores, Stores]]:
    """The stores of two processes on one database."""
    clock = FakeClock()
    async with database.open(clock=clock) as one:
        other = Stores(database.database(exclusive=False), clock)
        try:
            yield one, other
        finally:
            await other.database.close()


async def race(round_: int, one: Deed, other: Deed) -> tuple[Any, Any]:
    """What each came to, in the order given; in odd rounds the other is asked first."""
    deeds = (one, other) if round_ % 2 == 0 else (other, one)
    results = await asyncio.gather(*(deed() for deed in deeds), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, TooLate):
            raise result
    first, second = results if round_ % 2 == 0 else reversed(results)
    return first, second


BACKENDS: Sequence[str] = ("sqlite", "postgresql")
