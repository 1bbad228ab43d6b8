"""What the parts of a process do together that none of them does alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.clock import FakeClock, idle
from tests.examples import MAIN, TOKEN, a_message, begin_due
from tests.running import in_a_loop
from tests.seed import mended
from tests.unit.dispatch.doubles import ScriptedProvider

from alir.clock import Clock, SystemClock
from alir.core import Core, Policy, SenderParts, Sharing, World
from alir.dispatch.attempt import BusyPolicy
from alir.dispatch.calls import DispatchPolicy
from alir.dispatch.gate import PairLimit
from alir.dispatch.housekeeping import PERIOD_SECONDS
from alir.errors import ProviderRefused, SendFailure, StoreUnavailable
from alir.ids import MessageId, SenderName
from alir.intake.accept import SenderRules
from alir.intake.ports import Stored
from alir.intake.tokens import ApiToken
from alir.messages.life import Settlement
from alir.messages.model import Decision, OnUnknown, Outcome, ReceiptStatus, Status
from alir.receipts.model import Heard, Told
from alir.receipts.ports import CallbackRequest
from alir.store.database import Database, open_database
from alir.store.leases import LeaseStore
from alir.wakeups import News, NoWakeups

TWO_MINUTES = timedelta(minutes=2)


class Wakeups(NoWakeups):
    """Writes down what it told, until it is closed.

    Attributes:
        told: the messages that it told to be settled.
        misses: how often it told that evidence was missed.
        hear: whom to tell what other processes told.
    """

    def __init__(self) -> None:
        self.told: list[MessageId] = []
        self.misses = 0
        self.hear: list[Callable[[News], None]] = []
        self._is_closed = False

    def listen(self, hear: Callable[[News], None]) -> None:
        self.hear.append(hear)

    def evidence_missed(self) -> None:
        self.misses += 1

    def settled(self, message_id: MessageId) -> None:
        if not self._is_closed:
            self.told.append(message_id)

    async def close(self) -> None:
        self._is_closed = True


class Uncounted:
    """Nobody counts."""

    def settled(self, sender: SenderName, outcome: Outcome, seconds: float) -> None: ...

    def decided(self, sender: SenderName, decision: Decision) -> None: ...

    def received(self, sender: SenderName, status: ReceiptStatus) -> None: ...


def _never(_sender: SenderName, _error: Mapping[str, Any]) -> SendFailure:
    return ProviderRefused("No receipt comes here")


class Trusting:
    """A provider whose callbacks anybody may send."""

    name = "trusting"

    def signed_by(self, _request: CallbackRequest) -> tuple[SenderName, ...]:
        return (MAIN,)

    def read(
        self, _body: bytes, *, senders: Sequence[SenderName], now: datetime
    ) -> list[Told | Heard]:
        raise NotImplementedError  # what cannot be kept is not read

    def failure_of(self, error: Mapping[str, Any]) -> SendFailure:
        raise NotImplementedError  # nor does it tell of a failure


def core_of(
    database: Database,
    provider: ScriptedProvider,
    wakeups: NoWakeups,
    clock: Clock | None = None,
    process: str = "one",
) -> Core:
    """A process that may share its database, and has one sender."""
    return Core(
        {
            MAIN: SenderParts(
                provider=provider,
                account="main",
                per_second=0,
                pair=PairLimit(0),
                rules=SenderRules(OnUnknown.HOLD, by_user_id=False, refuses_closed_window=False),
                gives_marks=True,
            )
        },
        World(clock=clock or SystemClock(), database=database, random=lambda: 0.0),
        Policy(
            dispatch=DispatchPolicy(busy=BusyPolicy()),
            rate_share=1,
            attempt_time=timedelta(seconds=30),
            unknown_after=TWO_MINUTES,
            keep_parked=timedelta(days=7),
            queue_limit=100,
        ),
        dialects=[Trusting()],
        failure_of=_never,
        counts=Uncounted(),
        sharing=Sharing(
            process=process,
            leases=LeaseStore(database),
            lasts=timedelta(seconds=8),
            wakeups=wakeups,
        ),
    )


@in_a_loop
async def test_who_waits_elsewhere_is_told_what_a_call_comes_to_during_a_stop(
    tmp_path: Path,
) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'alir.db'}")
    provider, wakeups = ScriptedProvider(FakeClock()), Wakeups()
    core = core_of(database, provider, wakeups)
    running = [asyncio.create_task(work) for work in (await core.start()).values()]
    stored = await core.messages.accept(a_message(), None)
    async with asyncio.timeout(10):
        while not provider.sent:  # noqa: ASYNC110 - a lease is taken in real time
            await asyncio.sleep(0.01)
    stopping = asyncio.create_task(core.finish(timedelta(seconds=10)))
    leases = LeaseStore(database)
    async with asyncio.timeout(10):
        while (await leases.look()).alive:  # noqa: ASYNC110 - another process sees it so
            await asyncio.sleep(0.01)
    await idle()
    provider.open.set()
    await stopping

    assert (await core.messages.get(stored.message.id)).status is Status.ACCEPTED
    assert wakeups.told == [stored.message.id]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await database.close()


@in_a_loop
async def test_the_two_minutes_begin_anew_where_another_process_could_not_keep_a_callback(
    tmp_path: Path,
) -> None:
    clock, wakeups = FakeClock(), Wakeups()
    database = open_database(f"sqlite:///{tmp_path / 'alir.db'}")
    core = core_of(database, ScriptedProvider(clock), wakeups, clock)
    works = await core.start()
    running = [asyncio.create_task(works.pop(name)) for name in ("leases", "housekeeping")]
    async with asyncio.timeout(10):
        while not await held(database):  # noqa: ASYNC110 - a lease is taken in real time
            await asyncio.sleep(0.01)

    async def pass_time(seconds: float) -> None:
        for _ in range(round(seconds / PERIOD_SECONDS)):
            await clock.advance(PERIOD_SECONDS)
            while not clock.sleepers:  # noqa: ASYNC110 - the housekeeper asks a real database
                await asyncio.sleep(0)

    now = clock.now()
    message = a_message(on_unknown=OnUnknown.RETRY, created_at=now, due_at=now, first_due_at=now)
    await core.messages.accept(message, None)
    [begun] = (await core.messages.begin(MAIN, limit=1, judge=begin_due)).messages
    await core.messages.settle(begun, Settlement(outcome=Outcome.UNKNOWN), number=1)
    await pass_time(119)
    for hear in wakeups.hear:
        hear(News(evidence_missed=True))
    await pass_time(119)
    assert (await core.messages.get(message.id)).status is Status.UNKNOWN
    await pass_time(2)
    assert (await core.messages.get(message.id)).status is Status.QUEUED

    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    for work in works.values():
        work.close()
    await database.close()


async def held(database: Database) -> bool:
    """Whether the process holds its sender."""
    lease = (await LeaseStore(database).look()).leases.get(MAIN)
    await idle()
    return lease is not None and lease.holder is not None


@in_a_loop
async def test_other_processes_are_told_of_a_callback_that_could_not_be_kept(
    tmp_path: Path,
) -> None:
    wakeups = Wakeups()
    database = open_database(f"sqlite:///{tmp_path / 'alir.db'}")
    core = core_of(database, ScriptedProvider(FakeClock()), wakeups)
    await database.close()
    with pytest.raises(StoreUnavailable):
        await core.inbox.take("trusting", CallbackRequest(headers={}, body=b"{}"))

    assert wakeups.misses == 1


async def until(holds: Callable[[], bool]) -> None:
    """Wait for it: leases change hands in real time."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - nobody tells when
            await asyncio.sleep(0.01)


@asynccontextmanager
async def started(core: Core) -> AsyncIterator[Core]:
    """It runs, and ends as at SIGTERM."""
    running = [asyncio.create_task(work) for work in (await core.start()).values()]
    try:
        yield core
    finally:
        await core.finish(timedelta(seconds=1))
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def accepted(core: Core) -> Stored:
    """A message comes in by this process."""
    token = ApiToken(id=TOKEN, name="t", scopes=frozenset())
    return await core.intake.accept(mended(), token, None)


def answering() -> ScriptedProvider:
    provider = ScriptedProvider(FakeClock())
    provider.open.set()
    return provider


@in_a_loop
async def test_what_a_process_accepts_once_it_stops_is_sent_by_another_before_it_ends(
    tmp_path: Path,
) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'alir.db'}")
    here, there = answering(), answering()
    async with started(core_of(database, here, NoWakeups())) as stopping:
        await accepted(stopping)
        await until(lambda: len(here.sent) == 1)
        async with started(core_of(database, there, NoWakeups(), process="two")):
            stopping.begin_to_stop()
            later = await accepted(stopping)
            await until(lambda: bool(there.sent))

            assert [message_id for _, message_id, _ in there.sent] == [later.message.id]
            assert len(here.sent) == 1
    await database.close()


@in_a_loop
async def test_race_of_a_stop_with_a_message_that_is_just_stored_as_begun_it_is_not_sent_here(
    tmp_path: Path,
) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'alir.db'}")
    here, there = answering(), answering()
    async with started(core_of(database, here, NoWakeups())) as stopping:
        await accepted(stopping)
        await until(lambda: len(here.sent) == 1)
        storing = asyncio.create_task(accepted(stopping))
        await asyncio.sleep(0)  # it is admitted, and its write is asked for
        await stopping.begin_to_stop()
        stored = await storing
        async with started(core_of(database, there, NoWakeups(), process="two")):
            await until(lambda: bool(there.sent))

            assert [message_id for _, message_id, _ in there.sent] == [stored.message.id]
            assert len(here.sent) == 1
            attempts = (await stopping.messages.get(stored.message.id)).attempts
            assert [one.outcome for one in attempts] == [Outcome.BUSY, Outcome.ACCEPTED]
    await database.close()
