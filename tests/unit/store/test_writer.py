"""The grouped writer, on real files that fill up, are locked, and lose the answer to a commit."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from tests.running import in_a_loop
from tests.unit.store.faulty import Faults, always, nothing, times

from alir.errors import StoreUnavailable
from alir.store import writer
from alir.store.group import LARGEST_GROUP, Work
from alir.store.sql import Connection
from alir.store.sqlite import SQLiteLink, connect
from alir.store.writer import GroupWriter

#: Short enough for a test, long enough for several tries.
PATIENCE = 0.15


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "alir.db"
    connection = connect(file)
    connection.execute("CREATE TABLE commit_group (writer TEXT PRIMARY KEY, number INTEGER)")
    connection.execute("CREATE TABLE note (text TEXT UNIQUE)")
    connection.close()
    return file


@pytest.fixture
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "PATIENCE_SECONDS", PATIENCE)


class Groups:
    """Remembers the sizes of groups."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def committed(self, size: int, seconds: float) -> None:
        assert seconds >= 0
        self.sizes.append(size)


@asynccontextmanager
async def opened(
    open_connection: Callable[[], sqlite3.Connection], groups: Groups | None = None
) -> AsyncIterator[GroupWriter]:
    group_writer = GroupWriter(SQLiteLink(open_connection), name="writer-1", observe=groups)
    try:
        yield group_writer
    finally:
        await group_writer.close()


def on(path: Path) -> Callable[[], sqlite3.Connection]:
    return lambda: connect(path, busy_timeout_ms=0)


def note(text: str) -> Work[str]:
    def work(connection: Connection) -> str:
        connection.execute("INSERT INTO note VALUES (?)", (text,))
        return text.upper()

    return work


def broken(error: Exception) -> Work[None]:
    def work(connection: Connection) -> None:
        connection.execute("INSERT INTO note VALUES ('half')")
        raise error

    return work


def notes(path: Path) -> list[str]:
    """What is on disk, as another connection sees it."""
    connection = sqlite3.connect(path)
    try:
        return [row[0] for row in connection.execute("SELECT text FROM note ORDER BY rowid")]
    finally:
        connection.close()


# Groups


@in_a_loop
async def test_a_write_is_on_disk_once_its_answer_is_there(path: Path) -> None:
    async with opened(on(path)) as group_writer:
        assert await group_writer.write(note("a")) == "A"
        assert notes(path) == ["a"]


@in_a_loop
async def test_what_comes_together_is_committed_together_and_each_gets_its_own_answer(
    path: Path,
) -> None:
    groups = Groups()
    texts = [f"n{n:04}" for n in range(LARGEST_GROUP * 2 + 7)]
    async with opened(on(path), groups) as group_writer:
        answers = await asyncio.gather(*(group_writer.write(note(text)) for text in texts))

    assert answers == [text.upper() for text in texts]
    assert notes(path) == texts
    assert sum(groups.sizes) == len(texts)
    assert max(groups.sizes) == LARGEST_GROUP
    assert len(groups.sizes) < 10


@in_a_loop
async def test_between_the_portions_of_a_heavy_group_others_get_their_turn(path: Path) -> None:
    groups, seen = Groups(), []

    def heavy(text: str) -> Work[str]:
        def work(connection: Connection) -> str:
            seen.append(text)
            asyncio.get_running_loop().call_soon(seen.append, "others")
            return note(text)(connection)

        return work

    async with opened(on(path), groups) as group_writer:
        writes = [group_writer.write(heavy(text), weight=LARGEST_GROUP) for text in "abc"]
        await asyncio.gather(*writes)

    assert seen == ["a", "others", "b", "others", "c", "others"]
    assert groups.sizes == [3 * LARGEST_GROUP]
    assert notes(path) == ["a", "b", "c"]


@in_a_loop
async def test_heavy_work_that_fails_spoils_nothing_of_its_group(path: Path) -> None:
    works: list[Work[str] | Work[None]] = [note("a"), broken(KeyError("mine")), note("b")]
    async with opened(on(path)) as group_writer:
        results = await asyncio.gather(
            *(group_writer.write(work, weight=LARGEST_GROUP) for work in works),
            return_exceptions=True,
        )

    assert [results[0], results[2]] == ["A", "B"]
    assert isinstance(results[1], KeyError)
    assert notes(path) == ["a", "b"]


@in_a_loop
async def test_a_transaction_that_is_lost_between_two_portions_is_run_again_as_a_whole(
    path: Path,
) -> None:
    lost = 0

    def first(connection: Connection) -> None:
        nonlocal lost
        note("a")(connection)
        if not lost:
            lost += 1
            asyncio.get_running_loop().call_soon(connection.execute, "ROLLBACK")

    async with opened(on(path)) as group_writer:
        await asyncio.gather(
            group_writer.write(first, weight=LARGEST_GROUP), group_writer.write(note("b"))
        )

    assert lost == 1
    assert notes(path) == ["a", "b"]


@in_a_loop
async def test_what_comes_during_a_commit_goes_into_the_next_one(path: Path) -> None:
    groups = Groups()
    async with opened(on(path), groups) as group_writer:

        async def one_after_another(name: str) -> None:
            for n in range(5):
                await group_writer.write(note(f"{name}{n}"))

        await asyncio.gather(*(one_after_another(name) for name in "abcd"))

    assert len(notes(path)) == 20
    assert len(groups.sizes) < 20


@pytest.mark.parametrize("position", [0, 3, 6])
@in_a_loop
async def test_work_that_fails_spoils_nothing_of_its_group(path: Path, position: int) -> None:
    texts = [f"n{n}" for n in range(6)]
    works: list[Work[str] | Work[None]] = [note(text) for text in texts]
    works.insert(position, broken(KeyError("mine")))
    async with opened(on(path)) as group_writer:
        results = await asyncio.gather(
            *(group_writer.write(work) for work in works), return_exceptions=True
        )

    assert isinstance(results.pop(position), KeyError)
    assert results == [text.upper() for text in texts]
    assert notes(path) == texts


@in_a_loop
async def test_work_that_fails_alone_leaves_the_writer_at_work(path: Path) -> None:
    async with opened(on(path)) as group_writer:
        with pytest.raises(KeyError):
            await group_writer.write(broken(KeyError("mine")))
        with pytest.raises(sqlite3.IntegrityError):  # a fault of alir's, and not hidden
            await group_writer.write(lambda c: (note("a")(c), note("a")(c)))

        assert await group_writer.write(note("a")) == "A"
    assert notes(path) == ["a"]


@in_a_loop
async def test_a_caller_that_gives_up_waiting_disturbs_nobody(path: Path) -> None:
    async with opened(on(path)) as group_writer:
        tasks = [asyncio.ensure_future(group_writer.write(note(str(n)))) for n in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)

        assert results[::2] == ["0", "2"]
        assert isinstance(results[1], asyncio.CancelledError)
        assert await group_writer.write(note("after")) == "AFTER"


@in_a_loop
async def test_closing_writes_what_was_handed_in_and_takes_nothing_more(path: Path) -> None:
    group_writer = GroupWriter(SQLiteLink(on(path)), name="writer-1")
    tasks = [asyncio.ensure_future(group_writer.write(note(str(n)))) for n in range(150)]
    await asyncio.sleep(0)
    await group_writer.close()

    assert len(notes(path)) == 150
    assert all(task.done() for task in tasks)
    with pytest.raises(StoreUnavailable) as caught:
        await group_writer.write(note("late"))
    assert not caught.value.in_doubt
    assert len(notes(path)) == 150


@in_a_loop
async def test_closing_ends_in_time_though_another_process_holds_the_database(path: Path) -> None:
    group_writer = GroupWriter(SQLiteLink(on(path)), name="writer-1")
    loop = asyncio.get_running_loop()
    with locked_by_another_process(path):
        count = 3 * LARGEST_GROUP
        tasks = [asyncio.ensure_future(group_writer.write(note(str(n)))) for n in range(count)]
        await asyncio.sleep(0)
        begun = loop.time()
        await group_writer.close(PATIENCE)
        took = loop.time() - begun
    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert took < 2 * PATIENCE
    assert all(isinstance(e, StoreUnavailable) and not e.in_doubt for e in results)
    assert notes(path) == []


@in_a_loop
async def test_closing_ends_in_time_though_the_disk_does_not_answer(path: Path) -> None:
    faults = Faults(path)
    answers = threading.Event()
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang() -> None:
        loop.call_soon_threadsafe(asked.set)
        answers.wait()

    faults.before_commit = hang
    group_writer = GroupWriter(SQLiteLink(faults.connect), name="writer-1")
    under_way = asyncio.ensure_future(group_writer.write(note("a")))
    await asked.wait()
    behind = asyncio.ensure_future(group_writer.write(note("b")))
    await asyncio.sleep(0)
    begun = loop.time()
    await group_writer.close(PATIENCE)
    took = loop.time() - begun
    results = await asyncio.gather(under_way, behind, return_exceptions=True)
    answers.set()

    assert took < 5 * PATIENCE
    assert [isinstance(e, StoreUnavailable) and e.in_doubt for e in results] == [True, False]
    assert isinstance(results[1], StoreUnavailable)


# Groups that change nothing


def look(connection: Connection) -> int:
    """How many notes there are."""
    [[count]] = connection.execute("SELECT count(*) FROM note").fetchall()
    return int(count)


@in_a_loop
async def test_what_changes_nothing_is_answered_without_a_commit(path: Path) -> None:
    faults, groups = Faults(path), Groups()
    faults.before_commit = always
    async with opened(faults.connect, groups) as group_writer:
        answers = await asyncio.gather(
            group_writer.write(look),
            group_writer.write(look, weight=LARGEST_GROUP),
            group_writer.write(look),
        )

    assert list(answers) == [0, 0, 0]
    assert (faults.commits, groups.sizes) == (0, [])


@pytest.mark.parametrize("writes_at", [0, 2])
@in_a_loop
async def test_a_heavy_group_is_committed_whichever_portion_of_it_changed_something(
    path: Path, writes_at: int
) -> None:
    works: list[Work[int] | Work[str]] = [look] * 3
    works[writes_at] = note("a")
    groups = Groups()
    async with opened(on(path), groups) as group_writer:
        await asyncio.gather(*(group_writer.write(w, weight=LARGEST_GROUP) for w in works))
        assert notes(path) == ["a"]

    assert groups.sizes == [3 * LARGEST_GROUP]


@in_a_loop
async def test_a_commit_in_doubt_is_looked_up_though_groups_before_it_changed_nothing(
    path: Path,
) -> None:
    faults = Faults(path)
    async with opened(faults.connect) as group_writer:
        await group_writer.write(note("a"))
        assert await group_writer.write(look) == 1
        faults.after_commit = times(1)
        assert await group_writer.write(note("b")) == "B"
        assert await group_writer.write(look) == 2
        faults.before_commit = times(1)
        assert await group_writer.write(note("c")) == "C"

    assert notes(path) == ["a", "b", "c"]


@in_a_loop
async def test_between_groups_that_change_nothing_others_get_their_turn(path: Path) -> None:
    seen: list[str] = []

    def work(_connection: Connection) -> None:
        if not seen or seen[-1] == "others":
            seen.append("group")
            asyncio.get_running_loop().call_soon(seen.append, "others")

    async with opened(on(path)) as group_writer:
        await asyncio.gather(*(group_writer.write(work) for _ in range(3 * LARGEST_GROUP)))

    assert seen == ["group", "others"] * 3


@in_a_loop
async def test_between_those_of_a_group_that_are_repeated_alone_others_get_their_turn(
    path: Path,
) -> None:
    seen: list[str] = []

    def work(_connection: Connection) -> None:
        if seen[-1:] != ["alone"]:
            seen.append("alone")
            asyncio.get_running_loop().call_soon(seen.append, "others")

    async with opened(on(path)) as group_writer:
        await asyncio.gather(
            group_writer.write(broken(KeyError("a"))),
            *(group_writer.write(work) for _ in range(5)),
            return_exceptions=True,
        )

    assert seen == ["alone", "others"] * 5


class _ShowsEarly(SQLiteLink):
    shows_early = True


@in_a_loop
async def test_what_only_read_is_committed_where_what_it_saw_may_not_be_safe_yet(
    path: Path,
) -> None:
    groups = Groups()
    group_writer = GroupWriter(_ShowsEarly(on(path)), name="writer-1", observe=groups)
    try:
        assert await group_writer.write(look) == 0
    finally:
        await group_writer.close()

    assert groups.sizes == [1]


@in_a_loop
async def test_a_database_that_is_read_and_takes_no_writes_is_found_out(
    path: Path, little_patience: None
) -> None:
    faults = Faults(path)
    async with opened(faults.connect) as group_writer:
        faults.before_commit = always
        assert await group_writer.write(look) == 0
        with pytest.raises(StoreUnavailable):
            await group_writer.try_out()

        faults.before_commit = nothing
        await group_writer.try_out()


@in_a_loop
async def test_a_group_that_was_not_stored_is_not_told_of(
    path: Path, little_patience: None
) -> None:
    faults, groups = Faults(path), Groups()
    faults.before_commit = always
    async with opened(faults.connect, groups) as group_writer:
        with pytest.raises(StoreUnavailable):
            await group_writer.write(note("a"))
        assert groups.sizes == []

        faults.before_commit = nothing
        await group_writer.write(note("b"))
        assert groups.sizes == [1]


# Items that are written together


class Notes:
    """Writes notes in bulk; remembers how many came at once."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def write(self, connection: Connection, texts: Sequence[str]) -> list[str]:
        self.sizes.append(len(texts))
        for text in texts:
            if text == "bad":
                raise KeyError(text)
            connection.execute("INSERT INTO note VALUES (?)", (text,))
        return [text.upper() for text in texts]


@in_a_loop
async def test_items_of_one_kind_are_written_together_and_each_gets_its_own_answer(
    path: Path,
) -> None:
    bulk, other = Notes(), Notes()
    async with opened(on(path)) as group_writer:
        answers = await asyncio.gather(
            group_writer.write_among(bulk.write, "a"),
            group_writer.write(note("b")),
            group_writer.write_among(other.write, "c"),
            group_writer.write_among(bulk.write, "d"),
        )

    assert list(answers) == ["A", "B", "C", "D"]
    assert sorted(notes(path)) == ["a", "b", "c", "d"]
    assert (bulk.sizes, other.sizes) == ([2], [1])


@in_a_loop
async def test_an_item_that_fails_spoils_no_other(path: Path) -> None:
    bulk = Notes()
    texts = ["a", "bad", "c"]
    async with opened(on(path)) as group_writer:
        results = await asyncio.gather(
            *(group_writer.write_among(bulk.write, text) for text in texts),
            group_writer.write(note("d")),
            return_exceptions=True,
        )

    assert isinstance(results.pop(1), KeyError)
    assert results == ["A", "C", "D"]
    assert sorted(notes(path)) == ["a", "c", "d"]


# A full disk


@in_a_loop
async def test_a_full_disk_is_told_and_what_fits_later_is_stored(
    path: Path, little_patience: None
) -> None:
    limit = {"pages": 0}

    def connect_with_limit() -> sqlite3.Connection:
        connection = connect(path, busy_timeout_ms=0)
        if limit["pages"]:
            connection.execute(f"PRAGMA max_page_count = {limit['pages']}")
        return connection

    big = "x" * 20_000
    async with opened(connect_with_limit) as group_writer:
        await group_writer.write(note("first"))
    limit["pages"] = 10
    async with opened(connect_with_limit) as group_writer:
        small, *bigger = await asyncio.gather(
            group_writer.write(note("small")),
            group_writer.write(note(big)),
            group_writer.write(note(f"{big}2")),
            return_exceptions=True,
        )
        assert small == "SMALL"
        for error in bigger:
            assert isinstance(error, StoreUnavailable)
            assert not error.in_doubt
        assert await group_writer.write(note("still small")) == "STILL SMALL"
    limit["pages"] = 1000
    async with opened(connect_with_limit) as group_writer:
        await group_writer.write(note(f"{big}3"))

    assert notes(path) == ["first", "small", "still small", f"{big}3"]


# Another process


@contextmanager
def locked_by_another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process holds SQLite's write lock until its standard input ends."""
    code = (
        "import sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('BEGIN IMMEDIATE')\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
        "c.execute('ROLLBACK')\n"
        "c.close()\n"
        "print('free', flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "locked\n"
        yield process
        if not process.stdin.closed:
            process.stdin.close()


@in_a_loop
async def test_a_database_that_another_process_holds_too_long_is_unavailable_not_in_doubt(
    path: Path, little_patience: None
) -> None:
    async with opened(on(path)) as group_writer:
        with locked_by_another_process(path):
            results = await asyncio.gather(
                *(group_writer.write(note(str(n))) for n in range(3)), return_exceptions=True
            )
        for error in results:
            assert isinstance(error, StoreUnavailable)
            assert not error.in_doubt
        assert await group_writer.write(note("after")) == "AFTER"

    assert notes(path) == ["after"]


@in_a_loop
async def test_what_waited_behind_a_group_that_failed_does_not_begin_to_wait_anew(
    path: Path, little_patience: None
) -> None:
    groups = 8
    loop = asyncio.get_running_loop()
    async with opened(on(path)) as group_writer:
        with locked_by_another_process(path):
            begun = loop.time()
            results = await asyncio.gather(
                *(group_writer.write(note(str(n))) for n in range(groups * LARGEST_GROUP)),
                return_exceptions=True,
            )
            took = loop.time() - begun
        assert all(isinstance(error, StoreUnavailable) for error in results)
        assert took < groups * PATIENCE / 2

    assert notes(path) == []


@in_a_loop
async def test_who_waits_behind_a_group_that_failed_for_as_long_as_may_be_is_told_without_a_try(
    path: Path, little_patience: None
) -> None:
    faults = Faults(path)
    tries = 0

    def be_silent() -> None:
        nonlocal tries
        tries += 1
        threading.Event().wait(PATIENCE)  # as a server does that never answers, until time is up
        always()

    faults.on_connect = be_silent
    async with opened(faults.connect) as group_writer:
        writes = [group_writer.write(note(str(n))) for n in range(5 * LARGEST_GROUP)]
        results = await asyncio.gather(*writes, return_exceptions=True)

        assert all(isinstance(e, StoreUnavailable) and not e.in_doubt for e in results)
        assert tries == 1
        faults.on_connect = nothing
        assert await group_writer.write(note("a")) == "A"
    assert notes(path) == ["a"]


@in_a_loop
async def test_while_writes_wait_for_a_slow_disk_no_more_is_taken_from_outside(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "LONGEST_WAIT_SECONDS", 0.0)
    faults = Faults(path)
    answers = threading.Event()
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang() -> None:
        loop.call_soon_threadsafe(asked.set)
        answers.wait()

    faults.before_commit = hang
    async with opened(faults.connect) as group_writer:
        group_writer.require_room()
        under_way = group_writer.write(note("a"))
        await asked.wait()
        group_writer.require_room()  # nobody waits for longer than this commit takes
        behind = group_writer.write(note("b"))
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable, match="slow") as told:
            group_writer.require_room()
        assert not told.value.in_doubt
        own = group_writer.write(note("c"))  # what alir itself has to write is taken
        answers.set()

        assert [*await asyncio.gather(under_way, behind, own)] == ["A", "B", "C"]
        group_writer.require_room()


@in_a_loop
async def test_a_database_that_another_process_holds_for_a_moment_is_waited_for(
    path: Path,
) -> None:
    async with opened(on(path)) as group_writer:
        with locked_by_another_process(path) as process:
            waiting = asyncio.ensure_future(group_writer.write(note("a")))
            await asyncio.sleep(0)  # it has tried, and found the lock
            assert process.stdin is not None
            process.stdin.close()
            assert await waiting == "A"


@in_a_loop
async def test_a_database_that_cannot_be_opened_is_unavailable_not_in_doubt(
    path: Path, little_patience: None
) -> None:
    faults = Faults(path)
    faults.on_connect = always
    async with opened(faults.connect) as group_writer:
        with pytest.raises(StoreUnavailable) as caught:
            await group_writer.write(note("a"))
        assert not caught.value.in_doubt

        faults.on_connect = nothing
        assert await group_writer.write(note("b")) == "B"
    assert notes(path) == ["b"]


# A commit whose answer is lost


@in_a_loop
async def test_a_commit_that_failed_is_repeated(path: Path) -> None:
    faults = Faults(path)
    faults.before_commit = times(2)
    async with opened(faults.connect) as group_writer:
        answers = await asyncio.gather(*(group_writer.write(note(t)) for t in ("a", "b")))

    assert answers == ["A", "B"]
    assert notes(path) == ["a", "b"]
    assert faults.commits == 3


@in_a_loop
async def test_a_commit_that_took_effect_is_not_repeated_though_its_answer_was_an_error(
    path: Path,
) -> None:
    faults = Faults(path)
    faults.after_commit = times(1)
    async with opened(faults.connect) as group_writer:
        answers = await asyncio.gather(*(group_writer.write(note(t)) for t in ("a", "b")))
        assert answers == ["A", "B"]
        assert faults.commits == 1

        assert await group_writer.write(note("c")) == "C"
    assert notes(path) == ["a", "b", "c"]


@pytest.mark.parametrize("took_effect", [False, True])
@in_a_loop
async def test_a_commit_that_fails_for_a_reason_of_no_database_is_looked_up_too(
    path: Path, took_effect: bool
) -> None:
    faults = Faults(path)

    def fail_once() -> None:
        if faults.commits == 1:
            raise MemoryError

    if took_effect:
        faults.after_commit = fail_once
    else:
        faults.before_commit = fail_once
    async with opened(faults.connect) as group_writer:
        assert await group_writer.write(note("a")) == "A"
        assert await group_writer.write(note("b")) == "B"

    assert notes(path) == ["a", "b"]
    assert faults.commits == (2 if took_effect else 3)


@pytest.mark.parametrize("took_effect", [False, True])
@in_a_loop
async def test_while_nobody_can_say_whether_a_commit_took_effect_nothing_is_repeated(
    path: Path, took_effect: bool
) -> None:
    faults = Faults(path)
    runs = 0

    def work(connection: Connection) -> int:
        nonlocal runs
        runs += 1
        connection.execute("INSERT INTO note VALUES (?)", (f"run {runs}",))
        return runs

    def fail_and_be_unreachable_for_a_while() -> None:
        if faults.commits == 1:
            faults.on_connect = times(3)
            always()

    if took_effect:
        faults.after_commit = fail_and_be_unreachable_for_a_while
    else:
        faults.before_commit = fail_and_be_unreachable_for_a_while
    async with opened(faults.connect) as group_writer:
        answer = await group_writer.write(work)

    assert answer == runs == (1 if took_effect else 2)
    assert notes(path) == [f"run {runs}"]


@pytest.mark.parametrize("took_effect", [False, True])
@in_a_loop
async def test_a_commit_that_nobody_can_look_up_is_in_doubt(
    path: Path, little_patience: None, took_effect: bool
) -> None:
    faults = Faults(path)

    def fail_for_good() -> None:
        faults.on_connect = always
        always()

    if took_effect:
        faults.after_commit = fail_for_good
    else:
        faults.before_commit = fail_for_good
    async with opened(faults.connect) as group_writer:
        with pytest.raises(StoreUnavailable) as caught:
            await group_writer.write(note("a"))
        assert caught.value.in_doubt
        assert caught.value.__cause__ is not None

        faults.on_connect = faults.before_commit = faults.after_commit = nothing
        assert await group_writer.write(note("b")) == "B"
    assert notes(path) == (["a", "b"] if took_effect else ["b"])


@in_a_loop
async def test_a_commit_that_fails_for_too_long_stored_nothing(
    path: Path, little_patience: None
) -> None:
    faults = Faults(path)
    faults.before_commit = always
    async with opened(faults.connect) as group_writer:
        with pytest.raises(StoreUnavailable) as caught:
            await group_writer.write(note("a"))
        assert not caught.value.in_doubt

        faults.before_commit = nothing
        assert await group_writer.write(note("b")) == "B"
    assert notes(path) == ["b"]


@in_a_loop
async def test_two_writers_of_one_database_never_take_each_others_groups_for_their_own(
    path: Path,
) -> None:
    faults = Faults(path)
    mine = GroupWriter(SQLiteLink(faults.connect), name="writer-1")
    theirs = GroupWriter(SQLiteLink(on(path)), name="writer-2")
    await theirs.write(note("theirs"))
    faults.before_commit = times(1)  # of group 1, as theirs was
    assert await mine.write(note("mine")) == "MINE"
    await mine.close()
    await theirs.close()

    assert notes(path) == ["theirs", "mine"]
