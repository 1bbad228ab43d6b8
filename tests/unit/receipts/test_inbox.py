"""Callbacks are stored before they are answered, applied afterwards, and never lost between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.clock import START, FakeClock, idle
from tests.examples import MAIN, OTHER
from tests.running import in_a_loop

from alir.errors import ProviderRefused, SendFailure, StoreUnavailable
from alir.ids import ProviderId, SenderName
from alir.messages.model import ReceiptStatus
from alir.receipts.inbox import (
    GUESS_SECONDS,
    LOOK_SECONDS,
    STORE_PAUSE_SECONDS,
    SWEEP_SECONDS,
    Inbox,
)
from alir.receipts.model import Heard, Told
from alir.receipts.ports import CallbackRequest, RawCallback

SENT = Told(sender=MAIN, provider_id=ProviderId("wamid.1"), status=ReceiptStatus.SENT, at=START)
UNREADABLE = b"[[["
UNAVAILABLE = StoreUnavailable("the disk is full")


class Plain:
    """A dialect: the header names the signers, the body how many receipts it tells."""

    name = "plain"

    def signed_by(self, request: CallbackRequest) -> tuple[SenderName, ...]:
        return tuple(SenderName(name) for name in request.headers.get("signers", "").split())

    def read(
        self, body: bytes, *, senders: Sequence[SenderName], now: datetime
    ) -> list[Told | Heard]:
        if body == UNREADABLE:
            raise RecursionError("a fault of the dialect's own")
        if body.startswith(b"wrote "):
            seconds = float(body.removeprefix(b"wrote "))
            return [Heard(sender=MAIN, at=START + timedelta(seconds=seconds), wa_id="1555")]
        return [SENT] * int(body) if MAIN in senders else []

    def failure_of(self, error: Mapping[str, Any]) -> SendFailure:
        return ProviderRefused("Refused")


class Store:
    """Callbacks and receipts in memory, of any number of processes.

    Attributes:
        faults: what the next calls raise, but for claims.
        applied: callback and number of receipts, in order.
        claimed: the callbacks whose claims last.
    """

    def __init__(self) -> None:
        self.kept: list[RawCallback] = []
        self.claimed: set[int] = set()
        self.left_alone: set[int] = set()
        self.claims = 0
        self.applied: list[tuple[int, int]] = []
        self.sweeps: list[timedelta] = []
        self.guesses: list[Sequence[SenderName]] = []
        self.faults: list[Exception] = []
        self.claim_faults: list[Exception] = []
        self.open = asyncio.Event()
        self.open.set()
        self.answering = asyncio.Event()
        self.answering.set()

    async def keep(
        self, provider: str, senders: Sequence[SenderName], body: bytes, *, claim: bool = True
    ) -> RawCallback:
        self._fail()
        raw = RawCallback(len(self.kept), provider, tuple(senders), body)
        self.kept.append(raw)
        if claim:
            self.claimed.add(raw.seq)
        return raw

    async def claim(self) -> list[RawCallback]:
        self.claims += 1
        if self.claim_faults:
            raise self.claim_faults.pop(0)
        page = [raw for raw in self.left if raw.seq not in self.claimed | self.left_alone][:2]
        self.claimed |= {raw.seq for raw in page}
        await self.answering.wait()
        return page

    async def leave(self, callback: int) -> None:
        self._fail()
        self.left_alone.add(callback)

    async def free(self, *, claimed: bool) -> None:
        self.left_alone.clear()
        if claimed:
            self.claimed.clear()

    @property
    def left(self) -> list[RawCallback]:
        return [raw for raw in self.kept if raw.seq not in [seq for seq, _ in self.applied]]

    async def apply(self, told: Sequence[Told | Heard], *, callback: int) -> None:
        await self.open.wait()
        self._fail()
        self.applied.append((callback, len(told)))

    async def sweep(self, *, keep: timedelta) -> None:
        self.sweeps.append(keep)
        self._fail()

    async def guess(self, senders: Sequence[SenderName]) -> None:
        self.guesses.append(senders)
        self._fail()

    def _fail(self) -> None:
        if self.faults:
            raise self.faults.pop(0)


class World:
    def __init__(
        self,
        store: Store | None = None,
        *,
        guessing: Sequence[SenderName] = (),
        applies: bool = True,
        shares: bool = False,
    ) -> None:
        self.clock = FakeClock()
        self.store = store or Store()
        self.told_others = 0
        self.counted: list[tuple[SenderName, ReceiptStatus]] = []
        self.heard: list[SenderName] = []
        self.missed: list[float] = []
        self.inbox = Inbox(
            [Plain()],
            self.store,
            self.store,
            self.clock,
            keep_parked=timedelta(days=7),
            counted=lambda sender, status: self.counted.append((sender, status)),
            heard=self.heard.append,
            missed=lambda: self.missed.append(self.clock.elapsed()),
            guessing=guessing,
            applies=applies,
            shares=shares,
            kept=self._kept,
        )

    def _kept(self) -> None:
        self.told_others += 1

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        running = asyncio.create_task(self.inbox.run())
        await idle()
        try:
            yield
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def take(self, body: bytes = b"1", signers: str = "main") -> bool:
        return await self.inbox.take("plain", CallbackRequest({"signers": signers}, body))


@in_a_loop
async def test_a_callback_is_stored_before_it_is_answered_and_applied_afterwards() -> None:
    world = World()
    world.store.open.clear()
    assert await world.take(b"2", "main other")
    assert [(raw.senders, raw.body) for raw in world.store.kept] == [((MAIN, OTHER), b"2")]
    assert world.store.applied == []

    world.store.open.set()
    await idle()
    assert world.store.applied == [(0, 2)]
    assert world.counted == [(MAIN, ReceiptStatus.SENT)] * 2


@in_a_loop
async def test_what_a_person_wrote_counts_for_the_pace_just_then_and_neither_late_nor_again() -> (
    None
):
    world = World()
    await world.clock.advance(60)
    for at in (57.9, 58, 60, 62, 62.1):
        await world.take(f"wrote {at}".encode())
    await idle()
    assert world.heard == [MAIN] * 3

    await world.clock.advance(3)
    await world.take(b"wrote 60")
    await idle()
    assert world.heard == [MAIN] * 3
    assert [count for _, count in world.store.applied] == [1] * 6


@in_a_loop
async def test_what_nobody_signed_is_neither_stored_nor_applied() -> None:
    world = World()
    assert not await world.take(signers="")
    await idle()

    assert (world.store.kept, world.store.applied) == ([], [])


@in_a_loop
async def test_items_are_read_for_the_signers_only() -> None:
    world = World()
    await world.take(b"5", "other")
    await idle()

    assert world.store.applied == [(0, 0)]


@in_a_loop
async def test_a_callback_that_cannot_be_stored_is_not_taken() -> None:
    world = World()
    world.store.faults.append(UNAVAILABLE)
    with pytest.raises(StoreUnavailable):
        await world.take()
    await idle()

    assert world.store.applied == []


@in_a_loop
async def test_it_is_told_wherever_evidence_may_have_been_missed() -> None:
    world = World(guessing=[OTHER])
    world.store.faults.append(UNAVAILABLE)
    with pytest.raises(StoreUnavailable):
        await world.take()  # not kept
    await world.clock.advance(1)
    await world.take()
    world.store.faults.append(UNAVAILABLE)
    await idle()  # kept, and not applied
    await world.clock.advance(1)
    assert world.missed == [0, 1]

    world.store.faults += [UNAVAILABLE] * 2
    sweeping = asyncio.create_task(world.inbox.run())
    await idle()  # neither swept nor guessed
    assert world.missed == [0, 1, 2, 2]
    world.inbox.turned_away()  # not even read
    assert world.missed == [0, 1, 2, 2, 2]
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)


@in_a_loop
async def test_a_callback_is_applied_however_long_the_store_fails_and_counted_once() -> None:
    world = World()
    await world.take()
    world.store.faults += [UNAVAILABLE] * 20
    await idle()
    assert world.store.applied == []
    await world.clock.advance(21 * STORE_PAUSE_SECONDS)

    assert world.store.applied == [(0, 1)]
    assert len(world.counted) == 1


@in_a_loop
async def test_what_a_crash_left_unapplied_is_applied_at_the_next_start_oldest_first() -> None:
    world = World()
    world.store.open.clear()
    for number in range(3):
        await world.take(str(number).encode())
    await world.inbox.finish(timedelta(seconds=0.01))
    world.store.open.set()
    again = World(world.store)
    await again.inbox.take_over()

    assert world.store.applied == [(0, 0), (1, 1), (2, 2)]


@in_a_loop
async def test_one_callback_that_cannot_be_applied_keeps_no_other_from_it() -> None:
    store = Store()
    for _ in range(3):
        await store.keep("plain", [MAIN], b"1")
    store.faults.append(AssertionError("a fault of alir's own"))
    world = World(store)
    await world.inbox.take_over()

    assert store.applied == [(1, 1), (2, 1)]
    assert [raw.seq for raw in store.left] == [0]


@in_a_loop
async def test_a_callback_whose_reading_breaks_stays_as_it_came_and_stops_nothing() -> None:
    world = World()
    assert await world.take(UNREADABLE)
    assert await world.take(b"1")
    await idle()
    again = World(world.store)
    await again.inbox.take_over()

    assert world.store.applied == [(1, 1)]
    assert [raw.body for raw in world.store.left] == [UNREADABLE]


@in_a_loop
async def test_a_callback_of_a_provider_that_is_gone_is_left_as_it_is() -> None:
    store = Store()
    await store.keep("gone", [MAIN], b"1")
    await World(store).inbox.take_over()

    assert store.applied == []


@in_a_loop
async def test_the_end_waits_for_what_is_being_applied() -> None:
    world = World()
    world.store.open.clear()
    await world.take()
    finishing = asyncio.create_task(world.inbox.finish(timedelta(seconds=5)))
    await idle()
    assert not finishing.done()
    world.store.open.set()
    await finishing

    assert world.store.applied == [(0, 1)]


@in_a_loop
async def test_parked_receipts_are_tried_again_every_minute_though_the_store_fails_once() -> None:
    world = World()
    world.store.faults.append(UNAVAILABLE)
    sweeping = asyncio.create_task(world.inbox.run())
    await idle()
    assert world.store.sweeps == [timedelta(days=7)]
    await world.clock.advance(3 * SWEEP_SECONDS)

    assert len(world.store.sweeps) == 4
    assert world.store.guesses == []
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)


@in_a_loop
async def test_it_is_guessed_every_five_seconds_for_senders_without_marks() -> None:
    world = World(guessing=[OTHER])
    sweeping = asyncio.create_task(world.inbox.run())
    await idle()
    world.store.faults.append(UNAVAILABLE)
    await world.clock.advance(3 * GUESS_SECONDS)

    assert world.store.guesses == [(OTHER,)] * 4
    assert len(world.store.sweeps) == 1
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)


# Several processes


@in_a_loop
async def test_who_does_not_apply_keeps_it_for_others_and_tells_them_once_it_is_stored() -> None:
    api = World(applies=False, shares=True)
    assert await api.take()
    await idle()

    assert api.told_others == 1
    assert api.store.applied == []
    assert api.store.claimed == set()


@in_a_loop
async def test_of_what_is_not_stored_or_not_signed_nobody_is_told() -> None:
    api = World(applies=False, shares=True)
    api.store.faults.append(UNAVAILABLE)
    with pytest.raises(StoreUnavailable):
        await api.take()
    assert not await api.take(signers="")

    assert api.told_others == 0
    assert len(api.missed) == 1


@in_a_loop
async def test_who_applies_claims_what_it_keeps_and_tells_nobody() -> None:
    relay = World(shares=True)
    relay.store.open.clear()
    await relay.take()
    assert (relay.store.claimed, relay.told_others) == ({0}, 0)

    relay.store.open.set()
    async with relay.running():
        assert relay.store.applied == [(0, 1)]


@in_a_loop
async def test_what_another_process_kept_is_applied_at_a_word_of_it_in_order() -> None:
    store = Store()
    api, relay = World(store, applies=False, shares=True), World(store, shares=True)
    async with relay.running():
        for number in range(5):
            await api.take(str(number).encode())
        await idle()
        assert store.applied == []

        relay.inbox.wake()
        await idle()
        assert store.applied == [(number, number) for number in range(5)]
        assert len(relay.counted) == 10


@in_a_loop
async def test_what_another_process_kept_is_found_within_a_second_without_a_word() -> None:
    store = Store()
    api, relay = World(store, applies=False, shares=True), World(store, shares=True)
    async with relay.running():
        await api.take()
        await relay.clock.advance(LOOK_SECONDS)
        assert store.applied == [(0, 1)]


@in_a_loop
async def test_race_of_a_word_and_the_look_that_found_nothing_yet() -> None:
    store = Store()
    api, relay = World(store, applies=False, shares=True), World(store, shares=True)
    async with relay.running():
        store.answering.clear()
        relay.inbox.wake()
        await idle()
        await api.take()
        relay.inbox.wake()
        store.answering.set()
        await idle()

        assert store.applied == [(0, 1)]


@in_a_loop
async def test_race_of_two_processes_that_apply() -> None:
    store = Store()
    api = World(store, applies=False, shares=True)
    one, other = World(store, shares=True), World(store, shares=True)
    async with one.running(), other.running():
        for _ in range(20):
            await api.take()
        one.inbox.wake()
        other.inbox.wake()
        await idle()

    assert sorted(seq for seq, _ in store.applied) == list(range(20))


@in_a_loop
async def test_who_is_alone_looks_for_nothing() -> None:
    world = World()
    async with world.running():
        world.inbox.wake()
        await world.clock.advance(10 * LOOK_SECONDS)

    assert world.store.claims == 0


@in_a_loop
async def test_among_others_a_start_leaves_what_they_claimed_to_them() -> None:
    store = Store()
    killed = World(store, shares=True)
    store.open.clear()
    await killed.take()
    await killed.inbox.finish(timedelta(seconds=0.01))
    store.open.set()
    relay = World(store, shares=True)
    await relay.inbox.take_over()
    async with relay.running():
        await relay.clock.advance(LOOK_SECONDS)
        assert store.applied == []

        store.claimed.clear()  # its claims run out
        await relay.clock.advance(LOOK_SECONDS)
        assert store.applied == [(0, 1)]


@in_a_loop
async def test_what_takes_longer_than_its_claim_is_not_begun_again_by_the_same_process() -> None:
    world = World(shares=True)
    world.store.open.clear()
    async with world.running():
        await world.take()
        for _ in range(3):
            world.store.claimed.clear()
            await world.clock.advance(LOOK_SECONDS)
        world.store.open.set()
        await idle()

    assert world.store.applied == [(0, 1)]
    assert world.store.claims > 3


@in_a_loop
async def test_what_cannot_be_applied_is_tried_once_by_all_until_one_starts() -> None:
    store = Store()
    api = World(store, applies=False, shares=True)
    one, other = World(store, shares=True), World(store, shares=True)
    for world in (one, other):
        await world.inbox.take_over()
    async with one.running(), other.running():
        await api.take(UNREADABLE)
        await api.take()
        for world in (one, other) * 2:
            world.inbox.wake()
            await idle()
            store.claimed.clear()
        assert store.applied == [(1, 1)]
        assert store.left_alone == {0}

    third = World(store, shares=True)
    await third.inbox.take_over()
    assert store.left_alone == set()


@in_a_loop
async def test_what_could_not_even_be_left_is_tried_once_more() -> None:
    store = Store()
    relay = World(store, shares=True)
    store.open.clear()
    async with relay.running():
        await relay.take()
        await idle()
        store.faults += [AssertionError("a fault of alir's own"), UNAVAILABLE]
        store.open.set()
        await idle()
        assert (store.applied, store.left_alone) == ([], set())

        store.claimed.clear()
        await relay.clock.advance(LOOK_SECONDS)
        assert store.applied == [(0, 1)]


@in_a_loop
async def test_looking_goes_on_though_the_store_fails_and_what_was_missed_is_told() -> None:
    store = Store()
    api, relay = World(store, applies=False, shares=True), World(store, shares=True)
    async with relay.running():
        await api.take()
        store.claim_faults.append(UNAVAILABLE)
        await relay.clock.advance(LOOK_SECONDS)
        assert (store.applied, relay.missed) == ([], [LOOK_SECONDS])

        store.claim_faults.append(AssertionError("a fault of alir's own"))
        await relay.clock.advance(LOOK_SECONDS)
        await relay.clock.advance(LOOK_SECONDS)
        assert store.applied == [(0, 1)]


@in_a_loop
async def test_the_end_claims_nothing_more() -> None:
    store = Store()
    api, relay = World(store, applies=False, shares=True), World(store, shares=True)
    async with relay.running():
        for _ in range(3):
            await api.take()
        store.open.clear()
        relay.inbox.wake()
        await idle()
        finishing = asyncio.create_task(relay.inbox.finish(timedelta(seconds=5)))
        await idle()
        store.open.set()
        await finishing
        relay.inbox.wake()
        await idle()

    assert store.applied == [(0, 1), (1, 1)]
    assert store.claimed == {0, 1}
