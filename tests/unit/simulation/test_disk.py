"""The simulated disk: what a commit, an error and a dead process leave behind."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from random import Random
from typing import Any

import pytest
from simulation.disk import Disk, Platter, SimulatedDatabase
from simulation.happened import Trace
from simulation.loop import VirtualLoop
from simulation.plan import DiskTemper

from alir.errors import StoreUnavailable

Work = Callable[[Disk, SimulatedDatabase], Coroutine[Any, Any, None]]

INSERT = "INSERT INTO contact (sender, wa_id, heard_at) VALUES ('main', '1', 0)"


@pytest.fixture(scope="module")
def platter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platter]:
    with Platter(tmp_path_factory.mktemp("disk") / "alir.db") as platter:
        yield platter


@pytest.fixture
def run(platter: Platter) -> Callable[..., None]:
    """Runs work on a disk of this temper, with this seed."""

    def run(work: Work, temper: DiskTemper = DiskTemper(), seed: int = 0) -> None:  # noqa: B008 - it is frozen
        platter.empty()
        chance = Random(seed)
        loop = VirtualLoop(chance.shuffle)
        disk = Disk(platter, temper, chance, loop, Trace(loop.time))
        database = SimulatedDatabase(disk, "writer-1")
        try:
            loop.run_until_complete(work(disk, database))
        finally:
            database.die()
            loop.bury()
            loop.close()

    return run


def stored(disk: Disk) -> int:
    [[count]] = disk.look("SELECT count(*) FROM contact")
    return int(count)


def test_what_is_written_is_seen_once_it_is_committed(run: Callable[..., None]) -> None:
    async def work(disk: Disk, database: SimulatedDatabase) -> None:
        writing = asyncio.ensure_future(database.write(lambda c: c.execute(INSERT).rowcount))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert stored(disk) == 0
        assert await writing == 1
        assert stored(disk) == 1
        assert await database.read(lambda c: len(list(c.execute("SELECT * FROM contact")))) == 1

    run(work)


@pytest.mark.parametrize("seed", range(6))
def test_what_the_writer_says_after_commits_in_doubt_is_so(
    run: Callable[..., None], seed: int
) -> None:
    async def work(disk: Disk, database: SimulatedDatabase) -> None:
        assert await database.write(lambda c: c.execute(INSERT).rowcount) == 1
        assert stored(disk) == 1

    run(work, DiskTemper(lost=0.4, doubtful=0.4), seed)


def test_a_broken_disk_gives_and_takes_nothing(run: Callable[..., None]) -> None:
    async def work(disk: Disk, database: SimulatedDatabase) -> None:
        disk.breaks_for = 60.0
        disk.break_if_due()
        with pytest.raises(StoreUnavailable) as error:
            await database.write(lambda c: c.execute(INSERT).rowcount)
        assert not error.value.in_doubt
        with pytest.raises(StoreUnavailable):
            await database.read(lambda _: None)
        disk.be_calm()
        await database.write(lambda c: c.execute(INSERT).rowcount)
        assert stored(disk) == 1

    run(work)


def test_where_the_disk_is_gone_after_a_commit_nobody_can_say_whether_it_is_stored(
    run: Callable[..., None],
) -> None:
    found = set()

    async def work(disk: Disk, database: SimulatedDatabase) -> None:
        disk.breaks_for = 6.0
        with pytest.raises(StoreUnavailable) as error:
            await database.write(lambda c: c.execute(INSERT).rowcount)
        assert error.value.in_doubt
        found.add(stored(disk))

    for seed in range(12):
        run(work, seed=seed)

    assert found == {0, 1}


def test_a_commit_under_way_when_its_process_dies_is_stored_whole_or_not_at_all(
    run: Callable[..., None],
) -> None:
    found = set()

    async def work(disk: Disk, database: SimulatedDatabase) -> None:
        disk.stalled_until = 5.0
        writing = asyncio.ensure_future(database.write(lambda c: c.execute(INSERT).rowcount))
        await asyncio.sleep(1.0)
        database.die()
        assert not writing.done()
        found.add(stored(disk))

    for seed in range(12):
        run(work, seed=seed)

    assert found == {0, 1}


def test_one_holds_the_database_at_a_time(run: Callable[..., None]) -> None:
    async def work(disk: Disk, database: SimulatedDatabase) -> None:
        disk.stalled_until = 5.0
        writing = asyncio.ensure_future(database.write(lambda c: c.execute(INSERT).rowcount))
        await asyncio.sleep(1.0)
        assert not disk.lock()
        await writing
        assert disk.lock()
        assert not disk.lock()
        disk.unlock()
        assert disk.lock()
        disk.unlock()

    run(work)


def test_who_reads_cannot_write(run: Callable[..., None]) -> None:
    async def work(disk: Disk, database: SimulatedDatabase) -> None:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await database.read(lambda c: c.execute(INSERT).rowcount)
        assert stored(disk) == 0

    run(work)


def test_the_writer_waits_for_another_process_that_holds_the_database(
    run: Callable[..., None],
) -> None:
    async def work(disk: Disk, database: SimulatedDatabase) -> None:
        disk.lock()
        asyncio.get_running_loop().call_later(3.0, disk.unlock)
        await database.write(lambda c: c.execute(INSERT).rowcount)
        assert asyncio.get_running_loop().time() >= 3.0

    run(work)
