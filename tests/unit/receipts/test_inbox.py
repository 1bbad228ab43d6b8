"""Callbacks are stored before they are answered, applied afterwards, and never lost between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.clock import START, FakeClock, idle
from tests.examples import MAIN, OTHER
from tests.running import in_a_loop

from alir.errors import ProviderRefused, SendFailure, StoreUnavailable
from alir.ids import ProviderId, SenderName
from alir.messages.model import ReceiptStatus
from alir.receipts.inbox import GUESS_SECONDS, STORE_PAUSE_SECONDS, SWEEP_SECONDS, Inbox
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
    """Callbacks and receipts in memory.

    Attributes:
        faults: what the next calls raise.
        applied: callback and number of receipts, in order.
    """

    def __init__(self) -> None:
        self.kept: list[RawCallback] = []
        self.applied: list[tuple[int, int]] = []
        self.sweeps: list[timedelta] = []
        self.guesses: list[Sequence[SenderName]] = []
        self.faults: list[Exception] = []
        self.open = asyncio.Event()
        self.open.set()

    async def keep(self, provider: str, senders: Sequence[SenderName], body: bytes) -> RawCallback:
        self._fail()
        raw = RawCallback(len(self.kept), provider, tuple(senders), body)
        self.kept.append(raw)
        return raw

    async def unapplied(self) -> AsyncIterator[list[RawCallback]]:
        left = self.left
        for at in range(0, len(left), 2):
            yield left[at : at + 2]

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
    def __init__(self, store: Store | None = None, *, guessing: Sequence[SenderName] = ()) -> None:
        self.clock = FakeClock()
        self.store = store or Store()
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
        )

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
