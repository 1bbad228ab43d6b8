"""What the parts of a process do together that none of them does alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.clock import FakeClock, idle
from tests.examples import MAIN, a_message
from tests.running import in_a_loop
from tests.unit.dispatch.doubles import ScriptedProvider

from alir.clock import SystemClock
from alir.core import Core, Policy, SenderParts, Sharing, World
from alir.dispatch.attempt import BusyPolicy
from alir.dispatch.calls import DispatchPolicy
from alir.dispatch.gate import PairLimit
from alir.errors import ProviderRefused, SendFailure
from alir.ids import MessageId, SenderName
from alir.intake.accept import SenderRules
from alir.messages.model import Decision, OnUnknown, Outcome, ReceiptStatus, Status
from alir.store.database import Database, open_database
from alir.store.leases import LeaseStore
from alir.wakeups import NoWakeups


class Wakeups(NoWakeups):
    """Writes down which messages it told to be settled, until it is closed."""

    def __init__(self) -> None:
        self.told: list[MessageId] = []
        self._is_closed = False

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


def core_of(database: Database, provider: ScriptedProvider, wakeups: Wakeups) -> Core:
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
        World(clock=SystemClock(), database=database, random=lambda: 0.0),
        Policy(
            dispatch=DispatchPolicy(busy=BusyPolicy()),
            rate_share=1,
            attempt_time=timedelta(seconds=30),
            unknown_after=timedelta(minutes=2),
            keep_parked=timedelta(days=7),
            queue_limit=100,
        ),
        dialects=[],
        failure_of=_never,
        counts=Uncounted(),
        sharing=Sharing(
            process="one", leases=LeaseStore(database), lasts=timedelta(seconds=8), wakeups=wakeups
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
