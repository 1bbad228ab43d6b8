"""Opening a database: once for each file, up to date, or with a reason why not."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import bindparam, insert, select, update
from tests.clock import FakeClock
from tests.contract.stores import KEEP_PARKED, Consequences, Stores, told
from tests.examples import MAIN, a_message, begin_due
from tests.running import in_a_loop
from tests.unit.store.faulty import Faults, always, nothing, times

from alir.dispatch.ports import Begun
from alir.errors import DatabaseInUse, SettingsInvalid, StoreUnavailable
from alir.intake.ports import Filters, IdempotencyKey
from alir.messages.model import Message, ReceiptStatus, Status
from alir.store import sqlite, tables, writer
from alir.store.database import Database, open_database
from alir.store.messages import MessageStore
from alir.store.migrations import HEAD
from alir.store.parked import park
from alir.store.sql import Connection, RowStatement, run
from alir.store.sqlite import BUSY_TIMEOUT_MS, connect, path_of


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def modes_in(folder: Path) -> dict[str, int]:
    """Who may do what with each file."""
    return {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}


async def opens(path: Path) -> None:
    """It can be opened and written, and nothing holds it afterwards."""
    opened = open_database(url(path))
    await opened.write(lambda connection: connection.execute("SELECT 1").fetchone())
    await opened.close()


# The connection


def test_a_commit_that_returned_is_on_disk(tmp_path: Path) -> None:
    connection = connect(tmp_path / "alir.db")
    pragmas = {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "busy_timeout")
    }
    connection.close()

    full = 2
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": full,
        "busy_timeout": BUSY_TIMEOUT_MS,
    }


@in_a_loop
async def test_a_new_database_can_be_read_by_its_owner_alone(tmp_path: Path) -> None:
    database = open_database(url(tmp_path / "alir.db"))
    await database.try_out()
    modes = modes_in(tmp_path)
    await database.close()

    assert modes.keys() >= {"alir.db", "alir.db-wal"}
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize("missing", [False, True])
@in_a_loop
async def test_what_changes_all_changes_none_where_one_is_missing(
    tmp_path: Path, missing: bool
) -> None:
    group = tables.commit_group.c
    raise_number = RowStatement(
        lambda _: (
            update(tables.commit_group)
            .where(group.writer == bindparam("of"))
            .values({"number": group.number + 1})
        )
    )
    names = ["a", "b", "gone" if missing else "c"]

    def work(connection: Connection) -> tuple[bool, list[int]]:
        connection.execute("INSERT INTO commit_group VALUES ('a', 1), ('b', 1), ('c', 1)")
        is_whole = raise_number.change_all(connection, [{"of": name} for name in names])
        query = select(group.number).where(group.writer.in_(["a", "b", "c"]))
        return is_whole, [row[0] for row in run(connection, query)]

    opened = open_database(url(tmp_path / "alir.db"))
    assert await opened.write(work) == ((False, [1, 1, 1]) if missing else (True, [2, 2, 2]))
    await opened.close()


@in_a_loop
async def test_reading_connections_cannot_write(tmp_path: Path) -> None:
    opened = open_database(url(tmp_path / "alir.db"))
    with pytest.raises(StoreUnavailable):
        await opened.read(lambda c: c.execute("DELETE FROM message"))
    await opened.close()


@in_a_loop
async def test_rows_are_written_in_their_order_and_what_they_leave_out_is_null(
    tmp_path: Path,
) -> None:
    raw = tables.callback
    put = RowStatement(lambda names: insert(raw).values({n: bindparam(n) for n in names}))
    rows = [
        {"provider": "a", "received_at": 1, "senders": "[]", "body": b"1", "applied_at": 5},
        {"provider": "b", "received_at": 2, "senders": "[]", "body": b"2"},
        {"provider": "c", "received_at": 3, "senders": "[]", "body": b"3", "applied_at": 6},
    ]

    def work(connection: Connection) -> list[tuple[object, ...]]:
        put.run_many(connection, rows)
        query = select(raw.c.provider, raw.c.applied_at).order_by(raw.c.seq)
        return run(connection, query).fetchall()

    opened = open_database(url(tmp_path / "alir.db"))
    assert await opened.write(work) == [("a", 5), ("b", None), ("c", 6)]
    await opened.close()


@in_a_loop
async def test_a_read_is_of_one_moment_whatever_is_written_while_it_goes_on(
    tmp_path: Path,
) -> None:
    looked, written = threading.Event(), threading.Event()
    query = select(tables.commit_group.c.number)

    def look_twice(connection: Connection) -> list[list[object]]:
        first = run(connection, query).fetchall()
        looked.set()
        assert written.wait(timeout=10)
        return [first, run(connection, query).fetchall()]

    opened = open_database(url(tmp_path / "alir.db"))
    await opened.try_out()
    reading = asyncio.ensure_future(opened.read(look_twice))
    await asyncio.to_thread(looked.wait, 10)
    await opened.try_out()
    written.set()
    first, second = await reading

    assert first == second == [(1,)]
    assert await opened.read(lambda connection: run(connection, query).fetchall()) == [(2,)]
    await opened.close()


@in_a_loop
async def test_a_read_sees_what_was_committed_before_it(tmp_path: Path) -> None:
    opened = open_database(url(tmp_path / "alir.db"))
    query = select(tables.commit_group.c.number)
    for number in range(1, 20):
        await opened.try_out()
        [row] = await opened.read(lambda c: run(c, query).fetchall())
        assert row == (number,)
    await opened.close()


@in_a_loop
async def test_a_database_that_cannot_be_read_is_unavailable(tmp_path: Path) -> None:
    opened = open_database(url(tmp_path / "alir.db"))
    with pytest.raises(StoreUnavailable) as caught:
        await opened.read(lambda c: c.execute("SELECT * FROM gone"))
    await opened.close()

    assert not caught.value.in_doubt


def _damage(path: Path) -> None:
    """Overwrite every page but the first, as a broken disk does."""
    path.write_bytes(path.read_bytes()[:4096] + b"\xa5" * 64 * 4096)


@in_a_loop
async def test_a_damaged_database_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PATIENCE_SECONDS", 0.1)
    path = tmp_path / "alir.db"
    await opens(path)
    opened = open_database(url(path))
    _damage(path)
    query = "SELECT count(*) FROM message"
    with pytest.raises(StoreUnavailable, match="malformed"):
        await opened.read(lambda c: c.execute(query).fetchall())
    with pytest.raises(StoreUnavailable, match="malformed"):
        await opened.write(lambda c: c.execute(query).fetchall())
    await opened.close()


@in_a_loop
async def test_a_fault_of_alirs_own_is_not_hidden_as_trouble_of_the_database(
    tmp_path: Path,
) -> None:
    opened = open_database(url(tmp_path / "alir.db"))
    with pytest.raises(sqlite3.ProgrammingError):
        await opened.read(lambda c: c.execute("SELECT ?"))
    with pytest.raises(sqlite3.ProgrammingError):
        await opened.write(lambda c: c.execute("SELECT ?"))
    await opened.close()


@in_a_loop
async def test_after_closing_all_is_in_the_one_file_though_it_was_read(tmp_path: Path) -> None:
    path = tmp_path / "alir.db"
    opened = open_database(url(path))
    row = insert(tables.commit_group).values(writer="w", number=1)
    await opened.write(lambda connection: run(connection, row))
    query = select(tables.commit_group.c.number)
    for _ in range(3):
        assert await opened.read(lambda c: run(c, query).fetchall())
    await opened.close()

    assert sorted(os.listdir(tmp_path)) == ["alir.db", "alir.db.lock"]


@in_a_loop
async def test_closing_does_not_wait_for_a_long_read(tmp_path: Path) -> None:
    opened = open_database(url(tmp_path / "alir.db"))
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT begun() UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    )
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def begin() -> int:
        loop.call_soon_threadsafe(begun.set)
        return 1

    def read(connection: Connection) -> None:
        assert isinstance(connection, sqlite3.Connection)
        connection.create_function("begun", 0, begin)
        connection.execute(endless).fetchone()

    reading = asyncio.ensure_future(opened.read(read))
    await begun.wait()
    await opened.close()
    with pytest.raises(StoreUnavailable):
        await reading


# The address


@pytest.mark.parametrize(
    "address", ["", "sqlite://", "sqlite:///", "alir.db", "postgresql://host/db", "SQLITE:///a"]
)
def test_an_address_that_names_no_file_is_a_settings_error(address: str) -> None:
    with pytest.raises(SettingsInvalid):
        path_of(address)


def test_an_address_names_a_file_relative_or_absolute() -> None:
    assert path_of("sqlite:///alir.db") == Path("alir.db")
    assert path_of("sqlite:////var/lib/alir.db") == Path("/var/lib/alir.db")


# What cannot be opened


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_folder_that_is_not_there_is_told(tmp_path: Path, exclusive: bool) -> None:
    with pytest.raises(StoreUnavailable):
        open_database(url(tmp_path / "none" / "alir.db"), exclusive=exclusive)


@in_a_loop
async def test_a_file_that_is_no_database_is_told_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "alir.db"
    path.write_bytes(b"this is a letter, not a database" * 100)
    with pytest.raises(StoreUnavailable):
        open_database(url(path))
    assert path.read_bytes().startswith(b"this is a letter")

    path.unlink()
    await opens(path)  # the failed one holds no lock


@in_a_loop
async def test_a_database_of_a_newer_alir_is_told_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "alir.db"
    await opens(path)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    with pytest.raises(StoreUnavailable, match="newer"):
        open_database(url(path))

    assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)
    connection.execute("UPDATE alembic_version SET version_num = ?", (HEAD,))
    connection.commit()
    connection.close()
    await opens(path)


@in_a_loop
async def test_a_database_whose_tables_cannot_be_made_is_told(tmp_path: Path) -> None:
    path = tmp_path / "alir.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE message (something TEXT)")
    connection.close()
    with pytest.raises(StoreUnavailable):
        open_database(url(path))

    connection = sqlite3.connect(path)
    names = connection.execute("SELECT name FROM sqlite_master").fetchall()
    connection.close()
    assert names == [("message",)]


# One gateway for each file


@in_a_loop
async def test_a_second_gateway_on_the_same_file_is_refused_until_the_first_ends(
    tmp_path: Path,
) -> None:
    path = tmp_path / "alir.db"
    first = open_database(url(path))
    with pytest.raises(DatabaseInUse) as caught:
        open_database(url(path))
    assert str(os.getpid()) in str(caught.value)
    beside = open_database(url(path), exclusive=False)  # as `alir token` does
    await beside.close()
    await first.close()

    await opens(path)


@in_a_loop
async def test_writers_that_are_gone_leave_nothing_behind_once_a_gateway_starts(
    tmp_path: Path,
) -> None:
    path = tmp_path / "alir.db"
    query = select(tables.commit_group.c.writer)
    for _ in range(3):
        await opens(path)
    opened = open_database(url(path))
    await opened.try_out()
    beside = open_database(url(path), exclusive=False)  # as `alir token` does
    assert len(await beside.read(lambda c: run(c, query).fetchall())) == 1
    await beside.close()
    await opened.close()


@in_a_loop
async def test_links_to_one_file_lead_to_one_lock(tmp_path: Path) -> None:
    path, link = tmp_path / "alir.db", tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(path)
    first = open_database(url(path))
    with pytest.raises(DatabaseInUse):
        open_database(url(link))
    await first.close()

    await opens(link)


def _holding(path: Path) -> subprocess.Popen[str]:
    """Another process that has opened the database and sits there."""
    code = (
        "import sys\n"
        "from alir.store.database import open_database\n"
        "database = open_database(sys.argv[1])\n"
        "print('open', flush=True)\n"
        "sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, url(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


@in_a_loop
async def test_a_gateway_in_another_process_is_named_and_its_lock_dies_with_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "alir.db"
    with _holding(path) as process:
        with pytest.raises(DatabaseInUse) as caught:
            open_database(url(path))
        assert str(process.pid) in str(caught.value)
        process.send_signal(signal.SIGKILL)
        process.wait()

        await opens(path)


# Migrating


def test_processes_that_open_a_new_file_at_once_all_find_its_tables(tmp_path: Path) -> None:
    path = tmp_path / "alir.db"
    code = (
        "import asyncio, sys\n"
        "from alir.store.database import open_database\n"
        "asyncio.run(open_database(sys.argv[1], exclusive=False).close())\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, url(path)]) for _ in range(3)]

    assert [process.wait() for process in processes] == [0, 0, 0]
    asyncio.run(opens(path))


# A commit in doubt, seen from the messages


def _faulty(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Faults, MessageStore, Database]:
    faults = Faults(path)
    opened = open_database(url(path))
    monkeypatch.setattr(sqlite, "connect", lambda _path, **_: faults.connect())
    store = MessageStore(opened, FakeClock(), changed=lambda _: None, consequences=Consequences())
    return faults, store, opened


async def _everything(store: MessageStore) -> list[Message]:
    found, _ = await store.page(Filters(), limit=100, before=None)
    return found


@pytest.mark.parametrize("took_effect", [False, True])
@in_a_loop
async def test_a_message_whose_commit_was_in_doubt_is_stored_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, took_effect: bool
) -> None:
    faults, store, opened = _faulty(tmp_path / "alir.db", monkeypatch)
    message = a_message()
    if took_effect:
        faults.after_commit = times(1)
    else:
        faults.before_commit = times(1)
    stored = await store.accept(message, IdempotencyKey("k", b"h"))

    assert (stored.message.id, stored.replayed) == (message.id, False)
    assert [m.id for m in await _everything(store)] == [message.id]
    await opened.close()


@pytest.mark.parametrize("took_effect", [False, True])
@in_a_loop
async def test_a_begin_whose_commit_was_in_doubt_begins_each_message_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, took_effect: bool
) -> None:
    faults, store, opened = _faulty(tmp_path / "alir.db", monkeypatch)
    for _ in range(3):
        await store.accept(a_message(), None)
    if took_effect:
        faults.after_commit = times(1)
    else:
        faults.before_commit = times(1)
    begun: Begun = await store.begin(MAIN, limit=10, judge=begin_due)

    everything = await _everything(store)
    assert sorted(m.id for m in begun.messages) == sorted(m.id for m in everything)
    assert all((m.status, len(m.attempts)) == (Status.SENDING, 1) for m in everything)
    assert len(await store.left_begun()) == 3
    await opened.close()


@in_a_loop
async def test_a_begin_that_nobody_can_look_up_says_what_may_be_begun_and_must_not_be_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PATIENCE_SECONDS", 0.1)
    faults, store, opened = _faulty(tmp_path / "alir.db", monkeypatch)
    accepted = (await store.accept(a_message(), None)).message

    def fail_for_good() -> None:
        faults.on_connect = always
        always()

    faults.after_commit = fail_for_good
    begun = await store.begin(MAIN, limit=10, judge=begin_due)
    faults.on_connect = faults.after_commit = nothing

    assert begun.in_doubt
    assert [m.id for m in begun.messages] == [accepted.id]
    assert await store.left_begun() == [(accepted.id, 1)]
    await opened.close()


@in_a_loop
async def test_a_begin_that_failed_for_sure_began_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PATIENCE_SECONDS", 0.1)
    faults, store, opened = _faulty(tmp_path / "alir.db", monkeypatch)
    accepted = (await store.accept(a_message(), None)).message
    faults.before_commit = always
    with pytest.raises(StoreUnavailable):
        await store.begin(MAIN, limit=10, judge=begin_due)
    faults.before_commit = nothing

    assert [m.id for m in (await store.begin(MAIN, limit=10, judge=begin_due)).messages] == [
        accepted.id
    ]
    await opened.close()


@pytest.mark.parametrize("deed", ["apply", "sweep"])
@pytest.mark.parametrize("took_effect", [False, True])
@in_a_loop
async def test_what_a_receipt_did_is_told_though_its_commit_was_in_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, took_effect: bool, deed: str
) -> None:
    monkeypatch.setattr(writer, "PATIENCE_SECONDS", 0.1)
    faults, _, opened = _faulty(tmp_path / "alir.db", monkeypatch)
    store = Stores(opened, FakeClock())
    message = await store.sent()

    if deed == "sweep":
        await opened.write(lambda c: park(c, told(ReceiptStatus.READ), store.clock.now()))

    async def do_it() -> None:
        if deed == "sweep":
            await store.receipts.sweep(keep=KEEP_PARKED)
        else:
            await store.receipts.apply([told(ReceiptStatus.READ)], callback=1)

    def fail_for_good() -> None:
        faults.on_connect = always
        always()

    if took_effect:
        faults.after_commit = fail_for_good
    else:
        faults.before_commit = fail_for_good
    store.changed.clear()
    with pytest.raises(StoreUnavailable) as caught:
        await do_it()
    assert caught.value.in_doubt
    assert store.changed == []
    faults.on_connect = faults.before_commit = faults.after_commit = nothing
    await do_it()
    assert store.changed == [await store.messages.get(message.id)]
    assert store.changed[0].status is Status.READ

    await store.receipts.apply([], callback=1)
    assert len(store.changed) == 1
    await opened.close()


@in_a_loop
async def test_a_message_that_is_purged_while_its_receipt_is_in_doubt_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PATIENCE_SECONDS", 0.1)
    faults, _, opened = _faulty(tmp_path / "alir.db", monkeypatch)
    store = Stores(opened, FakeClock())
    gone = await store.sent("wamid.1")
    other = await store.sent("wamid.2")

    def fail_for_good() -> None:
        faults.on_connect = always
        always()

    faults.after_commit = fail_for_good
    with pytest.raises(StoreUnavailable):
        await store.receipts.apply([told(ReceiptStatus.READ)], callback=1)
    faults.on_connect = faults.after_commit = nothing
    removal = tables.message.delete().where(tables.message.c.id == gone.id)
    await opened.write(lambda connection: run(connection, removal))
    store.changed.clear()
    await store.receipts.apply([told(ReceiptStatus.READ, provider_id="wamid.2")], callback=1)

    assert [message.id for message in store.changed] == [other.id]
    await opened.close()
