"""What only PostgreSQL does: sessions that are cut, a lock that goes with them, many at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest
from sqlalchemy import insert, select
from tests.clock import FakeClock
from tests.contract.stores import PostgreSQL, Stores, told
from tests.examples import MAIN, a_message, begin_due
from tests.postgres import execute, named, new_database
from tests.running import in_a_loop

from alir.errors import DatabaseInUse, NotFound, SettingsInvalid, StoreUnavailable
from alir.ids import ProviderId, SenderName
from alir.messages.model import ReceiptStatus, Status
from alir.store import postgresql, postgresql_session, tables, writer
from alir.store.bridge import wait_for
from alir.store.counts import count, counted
from alir.store.database import open_database
from alir.store.group import Work
from alir.store.leases import LeaseStore
from alir.store.migrations import HEAD
from alir.store.migrations import run as run_migrations
from alir.store.migrations.run import GATEWAY_LOCK
from alir.store.parked import unpark
from alir.store.postgresql import READERS, PostgresDatabase
from alir.store.postgresql_session import PostgresConnection
from alir.store.sql import Connection, run

SENT, DELIVERED, READ, FAILED = ReceiptStatus
_PATIENCE = 0.3


@pytest.fixture
def url(postgresql_url: str) -> str:
    """A database with empty tables."""
    return PostgreSQL(postgresql_url).url


@dataclass
class Groups:
    """How large each group was that was committed."""

    sizes: list[int] = field(default_factory=list)

    def committed(self, size: int, _seconds: float) -> None:
        self.sizes.append(size)


@asynccontextmanager
async def gateway(url: str, observe: Groups | None = None) -> AsyncIterator[PostgresDatabase]:
    """The database as a gateway has it."""
    database = PostgresDatabase.open(url, observe=observe)
    try:
        await database.own()
        yield database
    finally:
        await database.close()


def note(text: str) -> Work[str]:
    """Writes a row that may be there once."""

    def work(connection: Connection) -> str:
        row = {"sender": "main", "number": text, "wa_id": "1"}
        run(connection, insert(tables.alias).values(row))
        return text.upper()

    return work


def _miscount(connection: Connection) -> None:
    count(connection, {SenderName("main"): 7})


def notes(connection: Connection) -> list[str]:
    query = select(tables.alias.c.number).order_by(tables.alias.c.number)
    return [row[0] for row in run(connection, query)]


def session_of(connection: Connection) -> int:
    """The number of the session that is read in."""
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])


async def asked(url: str, query: str, *values: object) -> Any:
    """What another session is answered."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query, *values)
    finally:
        await connection.close()


@asynccontextmanager
async def writing(url: str, text: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """Another's session, which has written what `note` does, but not committed it."""
    session = await asyncpg.connect(url)
    try:
        await session.execute("BEGIN")
        await session.execute("INSERT INTO alias VALUES ('main', $1, '1')", text)
        yield session
    finally:
        await session.close()


async def waiting(url: str) -> int:
    """How many sessions wait for another's lock."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    waits += " AND datname = current_database()"
    number: int = await asked(url, waits)
    return number


async def somebody_waits(url: str) -> None:
    """Return once a session waits for another's lock."""
    while await waiting(url) == 0:
        pass


async def cut(url: str, *, query: str = "%") -> int:
    """End every session of alir's whose last statement is like `query`; how many those were."""
    ended: int = await asked(
        url,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname ="
        " current_database() AND application_name = 'alir' AND query LIKE $1",
        query,
    )
    return ended


def once(fault: Callable[[], Awaitable[None]], method: Callable[..., Awaitable[Any]]) -> Any:
    """`method`, which the first time ends with `fault`."""
    left = 1

    async def faulty(*arguments: Any) -> Any:
        nonlocal left
        result = await method(*arguments)
        if left:
            left = 0
            await fault()
        return result

    return faulty


# Who owns it


@in_a_loop
async def test_several_gateways_share_it_and_the_first_of_them_counts_what_is_queued(
    url: str,
) -> None:
    async with gateway(url) as first:
        await first.write(_miscount)
        async with gateway(url) as second:
            assert await second.write(note("a")) == "A"
            assert await first.read(notes) == ["a"]
            assert await first.read(counted) == {"main": 7}  # others may be counting on it
    async with gateway(url) as third:
        assert await third.read(notes) == ["a"]
        assert await third.read(counted) == {}


@in_a_loop
async def test_a_gateway_waits_for_whoever_changes_the_tables_and_says_so_in_the_end(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, refused = PostgresDatabase.open(url), PostgresDatabase.open(url)
    other = await asyncpg.connect(url)
    try:
        await other.execute(f"SELECT pg_advisory_lock({GATEWAY_LOCK})")
        monkeypatch.setattr(postgresql, "OWN_SECONDS", 60.0)
        owning = asyncio.ensure_future(waiting.own())
        await asyncio.sleep(0)
        monkeypatch.setattr(postgresql, "OWN_SECONDS", _PATIENCE)
        with pytest.raises(DatabaseInUse, match="being changed"):
            await refused.own()
        assert not owning.done()
    finally:
        await other.close()
    await owning
    assert await waiting.write(note("a")) == "A"
    await waiting.close()
    await refused.close()


@in_a_loop
async def test_a_gateway_whose_session_was_cut_goes_on_in_another(url: str) -> None:
    async with gateway(url) as database:
        await database.write(note("a"))
        assert await cut(url) >= 1
        await database.write(note("b"))
        assert await database.read(notes) == ["a", "b"]


@in_a_loop
async def test_a_process_that_stands_still_in_mid_transaction_holds_nobody_up_for_long(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgresql_session._IN_TIME, "idle_in_transaction_session_timeout", "300ms")
    still = await postgresql_session.connect(url)
    await still.raw.execute("BEGIN; INSERT INTO alias VALUES ('main', 'a', '1')")
    async with gateway(url) as database:
        assert await database.write(note("a")) == "A"  # it waits until the other is cut off
    still.terminate()


# Writes


@in_a_loop
async def test_a_session_cut_in_mid_group_stores_each_of_it_once(url: str) -> None:
    async with gateway(url) as database:
        link = database._link
        link.run = once(lambda: _cut_now(url), link.run)  # type: ignore[method-assign]
        answers = await asyncio.gather(*(database.write(note(f"{n:02}")) for n in range(20)))

        assert answers == [f"{n:02}" for n in range(20)]
        assert await database.read(notes) == answers


@in_a_loop
async def test_a_commit_whose_answer_was_lost_is_stored_once(url: str) -> None:
    async def lose() -> None:
        raise ConnectionResetError("the answer is lost")

    async with gateway(url) as database:
        link = database._link
        link.commit = once(lose, link.commit)  # type: ignore[method-assign]
        answers = await asyncio.gather(*(database.write(note(text)) for text in "abc"))

        assert answers == ["A", "B", "C"]
        assert await database.read(notes) == ["a", "b", "c"]


@asynccontextmanager
async def in_doubt_for_good(url: str, database: PostgresDatabase) -> AsyncIterator[None]:
    """The next commit loses its answer, and its number: another gateway starts as if alone."""
    async with AsyncExitStack() as ending:

        async def cut_and_start_another() -> None:
            await cut(url)
            await ending.enter_async_context(gateway(url))
            raise ConnectionResetError("the answer is lost")

        link = database._link
        # For once: no server can be told to lose just the answer to a commit.
        link.commit = once(cut_and_start_another, link.commit)  # type: ignore[method-assign]
        yield


@pytest.mark.parametrize("written", ["a", ""])
@in_a_loop
async def test_race_of_a_commit_in_doubt_and_a_gateway_that_starts_as_if_alone(
    url: str, written: str
) -> None:
    async with gateway(url) as database:
        for text in written:
            await database.write(note(text))
        async with in_doubt_for_good(url, database):
            with pytest.raises(StoreUnavailable) as told:
                await database.write(note("b"))  # it must not be done twice

        assert told.value.in_doubt
        assert await database.write(note("c")) == "C"
        assert await database.read(notes) == [*written, "b", "c"]


@in_a_loop
async def test_a_message_whose_storing_is_in_doubt_is_known_as_it_was_to_be_stored(
    url: str,
) -> None:
    async with gateway(url) as database:
        stores = Stores(database, FakeClock())
        async with in_doubt_for_good(url, database):
            stored = await stores.messages.accept(a_message(), None, begin=True)

        assert stored.doubt is not None
        assert stored.doubt.in_doubt
        assert stored.message.status is Status.SENDING


@in_a_loop
async def test_a_receipt_that_is_parked_while_others_of_its_id_are_taken_out_is_kept(
    url: str,
) -> None:
    async with gateway(url) as database:
        here = Stores(database, FakeClock())
        await here.tell(told(SENT, provider_id="wamid.1"))
        async with AsyncExitStack() as ending:
            elsewhere = Stores(PostgresDatabase.open(url, exclusive=False), here.clock)
            ending.push_async_callback(elsewhere.database.close)

            class Between:
                """Lets another process park a receipt after the first statement."""

                def __init__(self, connection: Connection) -> None:
                    self._connection = connection
                    self._runs = 0

                def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Any:
                    cursor = self._connection.execute(sql, parameters)
                    self._runs += 1
                    if self._runs == 1:
                        wait_for(elsewhere.tell(told(DELIVERED, provider_id="wamid.1")))
                    return cursor

            # All that `unpark` asks of a connection is to execute.
            taken = await database.write(
                lambda connection: unpark(Between(connection), MAIN, ProviderId("wamid.1"))  # type: ignore[arg-type]
            )
            left = await database.write(
                lambda connection: unpark(connection, MAIN, ProviderId("wamid.1"))
            )

        assert [receipt.status for receipt in taken] == [SENT]
        assert [receipt.status for receipt in left] == [DELIVERED]


@in_a_loop
async def test_a_read_that_finds_nothing_keeps_its_session(url: str) -> None:
    async with gateway(url) as database:
        before = await database.read(session_of)
        with pytest.raises(NotFound):
            await Stores(database, FakeClock()).messages.find("wamid.unknown")

        assert await database.read(session_of) == before


@in_a_loop
async def test_a_read_that_gets_no_session_in_time_is_told_so(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gateway(url) as database:
        monkeypatch.setattr(postgresql, "READERS_WAIT_SECONDS", 0.01)
        async with AsyncExitStack() as busy:
            for _ in range(postgresql.READERS):
                await busy.enter_async_context(database._free)
            with pytest.raises(StoreUnavailable, match="reads wait"):
                await database.read(notes)

        assert await database.read(notes) == []


@in_a_loop
async def test_an_id_that_postgresql_cannot_hold_does_not_spoil_the_rest_of_its_group(
    url: str,
) -> None:
    async with gateway(url) as database:
        await Stores(database, FakeClock()).accepted()  # of no message at all, none is looked for
        with_it = database.write(note("a"), about=["wamid.\0", "wamid.1"])
        answers = await asyncio.gather(
            with_it, database.write(note("b"), about=["wamid.2"]), return_exceptions=True
        )

        assert isinstance(answers[0], asyncpg.UntranslatableCharacterError)
        assert answers[1] == "B"


@in_a_loop
async def test_what_cannot_be_written_does_not_spoil_the_rest_of_its_group(url: str) -> None:
    async with gateway(url) as database:
        answers = await asyncio.gather(
            *(database.write(note(text)) for text in ("a", "b", "a", "c")), return_exceptions=True
        )

        assert [answers[0], answers[1], answers[3]] == ["A", "B", "C"]
        assert isinstance(answers[2], asyncpg.UniqueViolationError)
        assert await database.read(notes) == ["a", "b", "c"]


@in_a_loop
async def test_race_of_another_writer_with_one_of_a_bulk_and_then_with_the_next(url: str) -> None:
    """Each finds what the other was quicker with once it is done again."""
    tried: Counter[str] = Counter()

    def bulk(connection: Connection, texts: Sequence[str]) -> list[str]:
        for text in texts:
            tried[text] += 1
            note("there" if tried[text] == 1 else text)(connection)
        return [text.upper() for text in texts]

    async with gateway(url) as database:
        await database.write(note("there"))
        answers = await asyncio.gather(*(database.write_among(bulk, text) for text in "ab"))

        assert answers == ["A", "B"]
        assert tried == {"a": 2, "b": 2}
        assert await database.read(notes) == ["a", "b", "there"]


@in_a_loop
async def test_race_of_a_batch_with_two_groups_of_another_process_that_stores_the_same(
    url: str,
) -> None:
    seen: list[list[str]] = []
    is_done_again = asyncio.Event()

    def store_batch(connection: Connection) -> None:
        seen.append(notes(connection))
        if seen[-1]:
            is_done_again.set()
        for text in "abc":
            if text not in seen[-1]:
                note(text)(connection)

    async with gateway(url) as database, writing(url, "a") as first, writing(url, "b") as second:
        storing = asyncio.ensure_future(database.write(store_batch, weight=3))
        await somebody_waits(url)
        await first.execute("COMMIT")
        await is_done_again.wait()
        await somebody_waits(url)
        await second.execute("COMMIT")
        await storing

        assert seen == [[], ["a"], ["a", "b"]]
        assert await database.read(notes) == ["a", "b", "c"]


@in_a_loop
async def test_what_a_begin_does_not_know_it_reads_in_a_few_statements(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gateway(url) as database:
        store = Stores(database, FakeClock())
        for _ in range(60):
            await store.accepted()
    read: list[str] = []
    execute_one = PostgresConnection.execute

    def one(self: PostgresConnection, sql: str, parameters: Any = (), /) -> Any:
        if sql.startswith("SELECT message.id, message.token_id"):
            read.append(sql)
        return execute_one(self, sql, parameters)

    monkeypatch.setattr(PostgresConnection, "execute", one)
    async with gateway(url) as database:
        begun = await Stores(database, FakeClock()).messages.begin(MAIN, limit=60, judge=begin_due)

    assert len(begun.messages) == 60
    assert len(read) == 3


@in_a_loop
async def test_what_only_locks_rows_is_taken_back_as_a_commit_would_wait_for_the_disk(
    url: str,
) -> None:
    def lock_and_read(connection: Connection) -> str:
        connection.execute("SELECT number FROM alias FOR SHARE").close()
        query = "SELECT pg_current_xact_id_if_assigned()::text"  # to lock a row, it got one
        [(transaction,)] = connection.execute(query).fetchall()
        return str(transaction)

    async with gateway(url) as database:
        await database.write(note("a"))
        transaction = await database.write(lock_and_read)
        assert await asked(url, f"SELECT pg_xact_status('{transaction}')") == "aborted"
        await database.write(note("b"))
        assert await database.read(notes) == ["a", "b"]


_ADD = "INSERT INTO alias (sender, number, wa_id) VALUES ('main', '7', '1')"


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(f"WITH added AS ({_ADD} RETURNING 1) SELECT 1 FROM added", id="in a select"),
        pytest.param(
            f"WITH added AS ({_ADD} RETURNING 1) SELECT 1 FROM added WHERE false",
            id="in a select that finds nothing",
        ),
        pytest.param(
            f"WITH added AS ({_ADD} RETURNING 1) DELETE FROM message WHERE false",
            id="in a statement that changes nothing else",
        ),
        pytest.param(f"DO $$ BEGIN {_ADD}; END $$", id="in a block"),
        pytest.param(_ADD, id="plainly"),
    ],
)
@pytest.mark.parametrize("many", [False, True])
@in_a_loop
async def test_a_row_is_stored_however_it_is_written(url: str, statement: str, many: bool) -> None:
    def write(connection: Connection) -> None:
        if many:
            connection.executemany(statement, [()])
        else:
            connection.execute(statement)

    async with gateway(url) as database:
        await database.write(write)
        assert await database.read(notes) == ["7"]


@in_a_loop
async def test_a_notification_is_sent_though_no_row_was_changed_with_it(url: str) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    listener = await asyncpg.connect(url)
    await listener.add_listener("news", lambda *told: heard.put_nowait(told[-1]))
    async with gateway(url) as database:
        await database.write(lambda c: c.execute("SELECT pg_notify('news', 'it rains')").close())
        assert await heard.get() == "it rains"
    await listener.close()


@in_a_loop
async def test_what_was_taken_back_in_a_deadlock_is_done_again_in_the_same_session(
    url: str,
) -> None:
    tries = 0

    def both(connection: Connection) -> None:
        nonlocal tries
        tries += 1
        for number in "ab":
            connection.execute("UPDATE alias SET wa_id = '3' WHERE number = $1", [number])

    async with gateway(url) as database:
        await database.write(note("a"))
        await database.write(note("b"))
        session = database._link._connection
        other = await asyncpg.connect(url)
        await other.execute("BEGIN; UPDATE alias SET wa_id = '2' WHERE number = 'b'")
        writing = asyncio.ensure_future(database.write(both))
        await somebody_waits(url)
        # Who waits longer looks for a deadlock first, and is the one that gives way.
        await other.execute("UPDATE alias SET wa_id = '2' WHERE number = 'a'; COMMIT")
        await other.close()
        await writing

        assert tries == 2
        assert database._link._connection is session


@in_a_loop
async def test_race_of_two_groups_that_meet_in_a_deadlock(url: str) -> None:
    transactions: dict[str, str] = {}

    def change_alias(number: str) -> Callable[[Connection], None]:
        def change(connection: Connection) -> None:
            connection.execute("UPDATE alias SET wa_id = '3' WHERE number = $1", [number])
            row = connection.execute("SELECT pg_current_xact_id()::text").fetchone()
            assert row is not None
            transactions[number] = row[0]

        return change

    async with gateway(url) as database:
        await asyncio.gather(*(database.write(note(number)) for number in "abc"))
        other = await asyncpg.connect(url)
        await other.execute("BEGIN; UPDATE alias SET wa_id = '2' WHERE number = 'b'")
        writing = [asyncio.ensure_future(database.write(change_alias(each))) for each in "abc"]
        await somebody_waits(url)
        await other.execute("UPDATE alias SET wa_id = '2' WHERE number = 'a'; COMMIT")
        await other.close()
        await asyncio.gather(*writing)

        # As one group again it would meet the other group again, in step.
        assert len(set(transactions.values())) == 3


@in_a_loop
async def test_race_of_receipts_of_the_same_messages_told_to_two_processes(url: str) -> None:
    groups = Groups()
    async with gateway(url, groups) as mine, gateway(url, groups) as other:
        one, two = Stores(mine, FakeClock()), Stores(other, FakeClock())
        messages = [await one.sent(f"wamid.{n}") for n in range(8)]
        groups.sizes.clear()
        await asyncio.gather(
            *(one.receipts.apply([told(SENT, of=m)], callback=0) for m in messages),
            *(two.receipts.apply([told(READ, of=m)], callback=0) for m in reversed(messages)),
        )

        # Had one been taken back in a deadlock, it would have been done one by one.
        assert groups.sizes == [8, 8]
        stand = [await one.messages.get(message.id) for message in messages]
        assert {message.status for message in stand} == {Status.READ}


@in_a_loop
async def test_what_a_lock_holds_up_for_too_long_is_told_soon_to_all_who_wait(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_session, "STATEMENT_SECONDS", _PATIENCE)
    monkeypatch.setattr(writer, "PATIENCE_SECONDS", _PATIENCE)
    async with gateway(url) as database:
        other = await asyncpg.connect(url)
        await other.execute("BEGIN; LOCK TABLE alias IN ACCESS EXCLUSIVE MODE")
        async with asyncio.timeout(20 * _PATIENCE):
            told = await asyncio.gather(
                *(database.write(note(f"{n:03}")) for n in range(100)), return_exceptions=True
            )
        await other.execute("ROLLBACK")
        await other.close()

        assert {type(error) for error in told} == {StoreUnavailable}
        await database.write(note("a"))
        assert await database.read(notes) == ["a"]


@in_a_loop
async def test_the_server_ends_what_waits_for_a_lock_once_nobody_waits_for_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_session, "STATEMENT_SECONDS", _PATIENCE)
    monkeypatch.setattr(postgresql_session, "GRACE_SECONDS", _PATIENCE)
    monkeypatch.setattr(writer, "PATIENCE_SECONDS", _PATIENCE)
    async with gateway(url) as database:
        other = await asyncpg.connect(url)
        await other.execute("BEGIN; LOCK TABLE alias IN ACCESS EXCLUSIVE MODE")
        told = await asyncio.gather(
            database.write(note("a")),
            *(database.read(notes) for _ in range(READERS)),
            return_exceptions=True,
        )
        assert {type(error) for error in told} == {StoreUnavailable}
        async with asyncio.timeout(20 * _PATIENCE):
            while await waiting(url):
                pass
        await other.execute("ROLLBACK")
        await other.close()


@in_a_loop
async def test_a_text_with_a_nul_is_kept_without_it(url: str) -> None:
    async with gateway(url) as database:
        await database.write(note("a\0b"))
        assert await database.read(notes) == ["a\ufffdb"]


@pytest.mark.parametrize(("configured", "used"), [("off", "on"), ("remote_apply", "remote_apply")])
@in_a_loop
async def test_a_commit_waits_for_the_disk_whatever_the_server_is_set_to(
    url: str, configured: str, used: str
) -> None:
    name = url.partition("?")[0].rpartition("/")[2]
    connection = await asyncpg.connect(url)
    await connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = {configured}")
    try:
        async with gateway(url) as database:
            shown = await database.write(
                lambda c: c.execute("SHOW synchronous_commit").fetchone()[0]
            )
            assert shown == used
    finally:
        await connection.execute(f"ALTER DATABASE {name} RESET synchronous_commit")
        await connection.close()


# Reads


@in_a_loop
async def test_a_read_is_of_one_moment_whatever_is_written_while_it_goes_on(url: str) -> None:
    async with gateway(url) as database:
        await database.write(note("a"))
        loop = asyncio.get_running_loop()
        looked, written = asyncio.Event(), asyncio.Event()

        def look_twice(connection: Connection) -> list[list[str]]:
            first = notes(connection)
            looked.set()
            _wait(written)
            return [first, notes(connection)]

        reading = loop.create_task(database.read(look_twice))
        await looked.wait()
        await database.write(note("b"))
        written.set()

        assert await reading == [["a"], ["a"]]
        assert await database.read(notes) == ["a", "b"]


@in_a_loop
async def test_a_read_cannot_write(url: str) -> None:
    async with gateway(url) as database:
        with pytest.raises(StoreUnavailable):
            await database.read(note("a"))
        assert await database.read(notes) == []


@in_a_loop
async def test_a_reading_session_that_was_cut_while_idle_is_not_noticed(url: str) -> None:
    async with gateway(url) as database:
        await asyncio.gather(*(database.read(notes) for _ in range(4)))
        assert await cut(url, query="COMMIT") >= 1
        assert await database.read(notes) == []


@in_a_loop
async def test_closing_does_not_wait_for_a_long_read(url: str) -> None:
    async with gateway(url) as database:
        begun = asyncio.Event()

        def read(connection: Connection) -> None:
            begun.set()
            connection.execute("SELECT pg_sleep(60)")

        reading = asyncio.ensure_future(database.read(read))
        await begun.wait()
        await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable):
        await reading


@in_a_loop
async def test_leases_are_looked_at_while_as_many_long_reads_go_on_as_may(url: str) -> None:
    async with gateway(url) as database:
        is_full, ended = asyncio.Event(), asyncio.Event()
        under_way = 0

        def read_long(connection: Connection) -> None:
            nonlocal under_way
            notes(connection)
            under_way += 1
            if under_way == READERS:
                is_full.set()
            _wait(ended)

        reading = asyncio.gather(*(database.read(read_long) for _ in range(3 * READERS)))
        try:
            async with asyncio.timeout(5):
                await is_full.wait()
                for _ in range(3):
                    await LeaseStore(database).look()
            sessions = {await database.read(session_of, at_once=True) for _ in range(3)}
            assert (under_way, len(sessions)) == (READERS, 1)
        finally:
            ended.set()
            await reading


@in_a_loop
async def test_what_alir_reads_to_send_gets_its_turn_however_many_lists_are_read(url: str) -> None:
    async with gateway(url) as database:
        is_full, ended = asyncio.Event(), asyncio.Event()
        under_way = 0

        def read_long(connection: Connection) -> None:
            nonlocal under_way
            notes(connection)
            under_way += 1
            if under_way == postgresql.LONG_READERS:
                is_full.set()
            _wait(ended)

        lists = [database.read(read_long, is_long=True) for _ in range(3 * READERS)]
        reading = asyncio.gather(*lists)
        try:
            async with asyncio.timeout(5):
                await is_full.wait()
                for _ in range(3):
                    assert await database.read(notes) == []
        finally:
            ended.set()
            await reading

        assert under_way == 3 * READERS


@in_a_loop
async def test_the_server_is_told_to_end_what_waits_for_a_lock(url: str) -> None:
    def ends(connection: Connection) -> list[Any]:
        shows = ("SHOW statement_timeout", "SHOW lock_timeout")
        return [connection.execute(sql).fetchone() for sql in shows]

    async with gateway(url) as database:
        assert [end[0] for end in await database.read(ends)] == ["6s", "6s"]


# Opening


def test_processes_that_open_a_new_database_at_once_all_find_its_tables(
    postgresql_server: str,
) -> None:
    opens = (
        "import asyncio, sys\n"
        "from alir.store.database import open_database\n"
        "async def work(): await open_database(sys.argv[1], exclusive=False).close()\n"
        "asyncio.run(work())\n"
    )
    with new_database(postgresql_server) as url:
        started = [subprocess.Popen([sys.executable, "-c", opens, url]) for _ in range(3)]
        assert [process.wait(timeout=60) for process in started] == [0, 0, 0]


def test_tables_are_not_changed_under_a_running_gateway(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        async with gateway(url):
            monkeypatch.setattr(run_migrations, "HEAD", "9998")  # as a newer alir's
            with pytest.raises(DatabaseInUse, match="Stop it first"):
                open_database(url, exclusive=False)

    asyncio.run(work())


@in_a_loop
async def test_a_session_that_is_refused_for_a_while_is_trouble_and_nothing_more(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PATIENCE_SECONDS", _PATIENCE)
    async with gateway(url) as database:
        gone = named(url, "a_database_that_is_not_there")
        for part in (database, database._link):
            monkeypatch.setattr(part, "_url", gone)
        await cut(url)
        with pytest.raises(StoreUnavailable):
            await database.read(notes)
        with pytest.raises(StoreUnavailable):
            await database.write(note("a"))
        for part in (database, database._link):
            monkeypatch.setattr(part, "_url", url)
        await database.write(note("a"))
        assert await database.read(notes) == ["a"]


def test_a_database_of_a_newer_alir_is_told_and_left_alone(url: str) -> None:
    known = asyncio.run(asked(url, "SELECT version_num FROM alembic_version"))
    execute(url, "UPDATE alembic_version SET version_num = '9999'")
    try:
        with pytest.raises(StoreUnavailable, match="newer alir"):
            open_database(url)
        assert asyncio.run(asked(url, "SELECT version_num FROM alembic_version")) == "9999"
    finally:
        execute(url, f"UPDATE alembic_version SET version_num = '{known}'")


@in_a_loop
async def test_a_gateway_that_was_cut_off_writes_nothing_where_a_newer_alir_was_meanwhile(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PATIENCE_SECONDS", _PATIENCE)
    async with gateway(url) as database:
        await asked(url, "UPDATE alembic_version SET version_num = '9999'")
        await cut(url)
        with pytest.raises(StoreUnavailable, match="newer alir"):
            await database.write(note("a"))
        await asked(url, "UPDATE alembic_version SET version_num = $1", HEAD)
        await database.write(note("a"))  # as after a downgrade, or a restore
        assert await database.read(notes) == ["a"]


def test_tables_that_cannot_be_made_are_told_in_the_servers_words(postgresql_server: str) -> None:
    with new_database(postgresql_server) as url:
        execute(url, "CREATE TABLE message (of_another text)")
        with pytest.raises(StoreUnavailable, match=r'changed: relation "message" already exists$'):
            open_database(url)


@pytest.mark.parametrize(
    ("address", "error"),
    [
        pytest.param("postgresql://127.0.0.1:1/alir", StoreUnavailable, id="nobody listens"),
        pytest.param("postgresql://127.0.0.1:port/alir", SettingsInvalid, id="no port"),
    ],
)
def test_a_database_that_cannot_be_reached_is_told(address: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"(?i)postgresql"):
        open_database(address)


async def _cut_now(url: str) -> None:
    assert await cut(url) >= 1


def _wait(event: asyncio.Event) -> None:
    """Wait inside of a store's work, which PostgreSQL runs in a greenlet."""
    wait_for(event.wait())
