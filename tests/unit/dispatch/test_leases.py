"""A process among others: which senders it takes, keeps and lets go of."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from tests.clock import FakeClock, idle
from tests.examples import MAIN, OTHER
from tests.running import in_a_loop

from alir.dispatch.lease import Lease, LeaseRow, Part, View
from alir.dispatch.leases import Leases, SoleOwner, Taken
from alir.errors import StoreUnavailable
from alir.ids import Fence, SenderName

LASTS = timedelta(seconds=8)
AWAY = StoreUnavailable("PostgreSQL cannot be reached")


class Table:
    """What the database says, whose clock is that of the machine here."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        clock.leap(1_000)  # the database is older than the process
        self.rows: dict[SenderName, LeaseRow] = {}
        self.alive: dict[str, tuple[Part, int]] = {}
        self.is_away = False
        self.doubts = False
        self.renewals = 0
        self.stores, self.answers = asyncio.Event(), asyncio.Event()
        self.stores.set()
        self.answers.set()

    @property
    def now(self) -> int:
        return round(self.clock.elapsed() * 1000)

    async def look(self) -> View:
        self._reach()
        living = {name: part for name, (part, until) in self.alive.items() if until > self.now}
        view = View(
            self.now,
            {name: part.senders for name, part in living.items()},
            dict(self.rows),
            callbacks_taken=any(part.takes_callbacks for part in living.values()),
            callbacks_applied=any(part.applies_callbacks for part in living.values()),
        )
        await self.answers.wait()
        return view

    async def renew(self, process: str, part: Part, lasts: timedelta) -> View:
        self._reach()
        self.renewals += 1
        until = self.now + round(lasts.total_seconds() * 1000)
        self.alive[process] = (part, until)
        for sender, row in self.rows.items():
            if row.holder == process:
                self.rows[sender] = row._replace(until=until)
        return await self.look()

    async def take(self, sender: SenderName, process: str, lasts: timedelta) -> Taken | None:
        self._reach()
        await self.stores.wait()
        row = self.rows.get(sender, LeaseRow(0, 0, None))
        if row.holder not in {None, process} and row.until > self.now:
            return None
        until = self.now + round(lasts.total_seconds() * 1000)
        self.rows[sender] = LeaseRow(row.fence + 1, until, process)
        wait = 0.0 if row.holder == process else max(0.0, 1 + (row.until - self.now) / 1000)
        was_left = row.holder not in {None, process}
        if self.doubts:
            raise StoreUnavailable("the disk is gone", in_doubt=True)
        return Taken(Fence(sender, row.fence + 1), timedelta(seconds=wait), was_left=was_left)

    async def release(self, sender: SenderName, process: str) -> None:
        self._reach()
        row = self.rows[sender]
        if row.holder == process:
            self.rows[sender] = LeaseRow(row.fence, self.now, None)

    async def leave(self, process: str) -> None:
        self._reach()
        self.alive.pop(process, None)

    def _reach(self) -> None:
        if self.is_away:
            raise AWAY


class Process:
    """A process, which writes down what it is told."""

    def __init__(
        self,
        name: str,
        table: Table,
        senders: Sequence[SenderName] = (MAIN, OTHER),
        *,
        takes_callbacks: bool = True,
        applies_callbacks: bool = True,
    ) -> None:
        self.table = table
        self.own = {sender: Lease() for sender in senders}
        self.learnt: list[tuple[SenderName, bool]] = []
        self.taken_ones: list[SenderName] = []
        self.lost_ones: list[SenderName] = []
        self.told = 0
        self.missed: list[float] = []
        self.cannot_learn = False
        self.resting = asyncio.Event()
        self.resting.set()
        self.leases = Leases(
            name,
            self.own,
            table,
            self,
            table.clock,
            lasts=LASTS,
            told=self._count,
            takes_callbacks=takes_callbacks,
            applies_callbacks=applies_callbacks,
            missed=lambda: self.missed.append(table.clock.elapsed()),
        )

    async def learn(self, sender: SenderName, *, was_left: bool) -> None:
        if self.cannot_learn:
            raise AWAY
        self.learnt.append((sender, was_left))

    def taken(self, sender: SenderName) -> None:
        assert self.own[sender].is_held
        self.taken_ones.append(sender)

    async def at_rest(self, sender: SenderName) -> None:
        assert not self.own[sender].is_held
        await self.resting.wait()

    def lost(self, sender: SenderName) -> None:
        self.lost_ones.append(sender)

    def may_send(self) -> list[SenderName]:
        now = self.table.clock.elapsed()
        return [sender for sender, lease in self.own.items() if lease.is_good(now)]

    async def look(self) -> None:
        await self.leases.look()
        await idle()

    def _count(self) -> None:
        self.told += 1


async def pass_time(seconds: float, *processes: Process) -> None:
    """Let time pass, while each of these looks four times a second."""
    clock = processes[0].table.clock
    for _ in range(round(seconds * 4)):
        clock.leap(0.25)
        for process in processes:
            await process.look()


@in_a_loop
async def test_whoever_is_alone_dispatches_for_all_at_once() -> None:
    one = Process("one", Table(FakeClock()))
    await one.look()
    assert one.may_send() == [MAIN, OTHER]
    assert one.learnt == [(MAIN, False), (OTHER, False)]
    assert not one.leases.has_peers


@in_a_loop
async def test_a_lease_is_kept_for_as_long_as_the_process_lives() -> None:
    one = Process("one", Table(FakeClock()))
    for _ in range(40):
        await pass_time(1, one)
        assert one.may_send() == [MAIN, OTHER]
    assert one.table.rows[MAIN].fence == 1
    assert one.table.renewals <= 21  # every two seconds, not at each look


@in_a_loop
async def test_senders_are_spread_anew_where_a_process_joins_and_none_has_two_owners() -> None:
    table = Table(FakeClock())
    one, two = Process("one", table), Process("two", table)
    await one.look()
    for _ in range(12):
        await pass_time(0.25, two, one)
        assert set(one.may_send()).isdisjoint(two.may_send())

    assert sorted(one.may_send() + two.may_send()) == [MAIN, OTHER]
    assert len(one.may_send()) == 1
    assert one.leases.has_peers
    assert one.lost_ones == two.may_send()


@in_a_loop
async def test_after_a_clean_stop_others_send_within_two_seconds() -> None:
    table = Table(FakeClock())
    one, two = Process("one", table), Process("two", table)
    await pass_time(4, one, two)
    await one.leases.finish()
    assert one.may_send() == []
    await pass_time(1.5, two)

    assert two.may_send() == [MAIN, OTHER]
    assert (two.learnt[-1][1], one.told >= 1) == (False, True)


@in_a_loop
async def test_after_a_kill_others_send_within_ten_seconds_and_never_too_soon() -> None:
    table = Table(FakeClock())
    one, two = Process("one", table), Process("two", table)
    await pass_time(4, one, two)
    [his] = one.may_send()
    killed_at = table.clock.elapsed()
    while his not in two.may_send():
        await pass_time(0.25, two)
        assert not (his in two.may_send() and table.clock.elapsed() < _sent_until(one, his) + 1)

    assert table.clock.elapsed() - killed_at < 10
    assert two.learnt[-1] == (his, True)


def _sent_until(process: Process, sender: SenderName) -> float:
    return process.own[sender]._good_until


@in_a_loop
async def test_a_process_that_cannot_reach_the_database_stops_by_itself_and_goes_on() -> None:
    one = Process("one", Table(FakeClock()))
    await one.look()
    one.table.is_away = True
    table = one.table
    table.clock.leap(7.9)
    assert one.may_send() == [MAIN, OTHER]
    table.clock.leap(0.2)
    assert one.may_send() == []

    table.is_away = False
    await one.look()
    assert one.may_send() == [MAIN, OTHER]
    assert table.rows[MAIN].fence == 1  # nobody else came


@in_a_loop
async def test_a_process_that_stood_still_notices_that_another_took_its_senders() -> None:
    table = Table(FakeClock())
    one, two = Process("one", table), Process("two", table)
    await one.look()
    await pass_time(12, two)
    assert two.may_send() == [MAIN, OTHER]
    assert one.may_send() == []
    await one.look()
    assert set(one.lost_ones) == {MAIN, OTHER}


@in_a_loop
async def test_race_of_a_look_and_a_take_that_is_stored_after_what_the_look_read() -> None:
    one = Process("one", Table(FakeClock()))
    one.table.stores.clear()
    await one.look()  # begins to take
    one.table.answers.clear()
    looking = asyncio.create_task(one.leases.look())
    await idle()
    one.table.stores.set()
    await idle()
    assert one.may_send() == [MAIN, OTHER]  # taken while that look's answer is on its way

    one.table.answers.set()
    await looking
    assert one.may_send() == [MAIN, OTHER]
    assert one.lost_ones == []


@in_a_loop
async def test_a_sender_of_which_nothing_can_be_learnt_is_tried_again() -> None:
    one = Process("one", Table(FakeClock()))
    one.cannot_learn = True
    await one.look()
    assert one.may_send() == []
    one.cannot_learn = False
    await pass_time(1.5, one)
    assert one.may_send() == [MAIN, OTHER]


@in_a_loop
async def test_what_a_killed_process_left_is_learnt_also_where_that_failed_at_first() -> None:
    table = Table(FakeClock())
    one, two = Process("one", table), Process("two", table)
    await one.look()
    two.cannot_learn = True
    await pass_time(9, two)
    assert {row.holder for row in table.rows.values()} == {"two"}
    two.cannot_learn = False
    await two.look()
    assert two.may_send() == []  # its former owner may have sent a moment ago, as far as it knows
    await pass_time(1, two)
    assert two.may_send() == [MAIN, OTHER]
    assert two.learnt == [(MAIN, True), (OTHER, True)]


@in_a_loop
async def test_what_a_killed_process_left_is_learnt_by_the_next_where_one_could_not() -> None:
    table = Table(FakeClock())
    one, two, three = (Process(name, table) for name in ("one", "two", "three"))
    await one.look()
    two.cannot_learn = True
    await pass_time(9, two)
    await two.leases.finish()
    await pass_time(10, three)
    assert three.learnt == [(MAIN, True), (OTHER, True)]


@in_a_loop
async def test_whose_taking_was_in_doubt_learns_what_was_left_once_it_finds_it_taken() -> None:
    table = Table(FakeClock())
    one, two = Process("one", table), Process("two", table)
    await one.look()
    table.doubts = True
    await pass_time(9, two)
    assert {row.holder for row in table.rows.values()} == {"two"}
    table.doubts = False
    await pass_time(1.5, two)
    assert two.learnt == [(MAIN, True), (OTHER, True)]
    assert two.may_send() == [MAIN, OTHER]


@in_a_loop
async def test_who_stops_does_not_say_any_more_that_it_lives_while_its_calls_end() -> None:
    table = Table(FakeClock())
    one, two = Process("one", table), Process("two", table)
    await pass_time(4, one, two)
    await one.leases.finish()
    await pass_time(4, one, two)
    assert set(table.alive) == {"two"}
    assert two.may_send() == [MAIN, OTHER]


@in_a_loop
async def test_who_found_its_lease_over_is_woken_once_it_was_renewed_after_all() -> None:
    one = Process("one", Table(FakeClock()))
    await one.look()
    one.taken_ones.clear()
    await pass_time(4, one)
    assert one.taken_ones == []
    one.table.clock.leap(9)
    await one.look()
    assert one.may_send() == one.taken_ones == [MAIN, OTHER]


@in_a_loop
async def test_it_is_told_while_nobody_lives_who_takes_callbacks() -> None:
    table = Table(FakeClock())
    back = Process("back", table, takes_callbacks=False)
    front = Process("front", table, (), applies_callbacks=False)
    await pass_time(1, back)
    assert len(back.missed) == 4
    await pass_time(20, front, back)
    assert len(back.missed) == 4
    await front.leases.finish()
    await pass_time(1, back)
    assert len(back.missed) == 8


@in_a_loop
async def test_it_is_told_once_who_applied_callbacks_was_killed() -> None:
    table = Table(FakeClock())
    back = Process("back", table, applies_callbacks=False)
    relay = Process("relay", table, (), takes_callbacks=False)
    await pass_time(4, relay, back)
    assert back.missed == []
    killed_at = table.clock.elapsed()
    await pass_time(9, back)
    assert 6 <= back.missed[0] - killed_at <= 8
    assert back.missed[-1] == table.clock.elapsed()
    await pass_time(0.25, relay)
    back.missed.clear()
    await pass_time(20, relay, back)
    assert back.missed == []


@in_a_loop
async def test_who_is_forgotten_says_that_it_lives_and_lets_go_of_nothing() -> None:
    table = Table(FakeClock())
    one, other = Process("one", table), Process("other", table)
    await pass_time(10, one, other)
    before, one.lost_ones = one.may_send(), []
    del table.alive["one"]  # as where the database's clock was set
    await pass_time(0.5, one, other)

    assert "one" in table.alive
    assert one.may_send() == before != []
    assert one.lost_ones == []


@in_a_loop
async def test_a_lease_is_let_go_of_only_once_nothing_is_being_begun() -> None:
    table = Table(FakeClock())
    one, two = Process("one", table), Process("two", table)
    await one.look()
    one.resting.clear()
    await pass_time(1, two, one)
    assert {row.holder for row in table.rows.values()} == {"one"}
    one.resting.set()
    await pass_time(1, two, one)
    assert {row.holder for row in table.rows.values()} == {"one", "two"}


@in_a_loop
async def test_a_process_that_dispatches_for_nobody_only_says_that_it_lives() -> None:
    table = Table(FakeClock())
    one, api = Process("one", table), Process("api", table, senders=())
    await pass_time(3, one, api)
    assert one.may_send() == [MAIN, OTHER]
    assert one.leases.has_peers
    await api.leases.finish()
    await pass_time(0.5, one)
    assert not one.leases.has_peers


@in_a_loop
async def test_whoever_has_the_database_to_itself_owns_all_from_the_start() -> None:
    process = Process("one", Table(FakeClock()))
    await SoleOwner(process.own, process).start()
    process.table.clock.leap(1_000_000)
    assert process.may_send() == [MAIN, OTHER]
    assert process.learnt == [(MAIN, True), (OTHER, True)]
