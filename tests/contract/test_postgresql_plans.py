"""On PostgreSQL with a million messages, the hot path looks things up by an index, too.

What is done is the same as for SQLite's plans; here the server says how it does each statement, by
its statistics of tables that are full.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import asyncpg
import pytest
from tests.clock import FakeClock
from tests.contract.conftest import make_tables
from tests.contract.stores import Stores
from tests.examples import MAIN, TOKEN
from tests.postgres import execute, new_database
from tests.running import in_a_loop
from tests.unit.store.test_query_plans import ALL_OF_A_FEW, HOT, among_messages, sweep

from alir.errors import AlirError
from alir.store.postgresql import PostgresDatabase
from alir.store.postgresql_session import PostgresConnection, connect

MESSAGES = 1_000_000
#: Of messages, the last ones, which wait for their time to come.
QUEUED = 1_000
#: Rows that a statement may read by an index, by the server's own estimate.
MANY = 10_000
LATER = 4_000_000_000_000
PERSONS = 100_000
#: Where a sequential scan would grow with what is stored.
_GROWS = {"message", "attempt", "receipt", "event", "callback", "contact"}

_ID = "'msg_' || lpad(n::text, 26, '0')"
_PERSON = f"'+1' || lpad((n % {PERSONS})::text, 10, '0')"
_FILL = (
    f"""
    INSERT INTO message (id, token_id, sender, status, type, "to", flow, flow_id, flow_token,
        on_unknown, priority, created_at, due_at, first_due_at, attempts, tries, version, flags,
        warnings)
    SELECT {_ID}, '{TOKEN}', '{MAIN}', CASE WHEN n > {MESSAGES - QUEUED} THEN 'queued'
        WHEN n % 1000 = 0 THEN 'unknown' ELSE 'read' END, 'flow', {_PERSON}, '{{}}', '1',
        'visit-' || n, 'hold', 'single', n, CASE WHEN n > {MESSAGES - QUEUED} THEN {LATER} ELSE n
        END, n, 1, 0, 3, '[]', '[]'
    FROM generate_series(1, {MESSAGES}) AS n
    """,
    f"""
    INSERT INTO attempt (message_id, number, begun_at, settled_at, outcome, provider_id)
    SELECT {_ID}, 1, n, n, CASE WHEN n % 1000 = 0 THEN 'unknown' ELSE 'accepted' END, 'wamid.M' || n
    FROM generate_series(1, {MESSAGES - QUEUED}) AS n
    """,
    f"""
    INSERT INTO receipt (message_id, attempt, status, at, position)
    SELECT {_ID}, 1, 'read', n, 0 FROM generate_series(1, {MESSAGES - QUEUED}) AS n
    """,
    f"""
    INSERT INTO contact (sender, wa_id, heard_at)
    SELECT '{MAIN}', '1' || lpad(n::text, 10, '0'), n FROM generate_series(1, {PERSONS}) AS n
    """,
    f"""
    INSERT INTO callback (provider, received_at, senders, body, applied_at)
    SELECT 'cloud', n, '[]', '', n FROM generate_series(1, {PERSONS}) AS n
    """,
    f"""
    INSERT INTO parked_receipt (sender, provider_id, status, at, parked_at, wa_id)
    SELECT '{MAIN}', 'wamid.P' || n, 'read', n, n, '1' || lpad(n::text, 10, '0')
    FROM generate_series(1, {QUEUED}) AS n
    """,
    "VACUUM ANALYZE",
)


@pytest.fixture(scope="module")
def full(postgresql_server: str) -> Iterator[str]:
    """A database of a million messages, nearly all of them read."""
    with new_database(postgresql_server) as url:
        make_tables(url)
        execute(url, *_FILL)
        yield url


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", [*HOT, *ALL_OF_A_FEW])
@in_a_loop
async def test_no_statement_of_the_hot_path_walks_through_what_grows(
    full: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    deed, _ = {**HOT, **ALL_OF_A_FEW}[name]
    ran: list[tuple[str, tuple[Any, ...]]] = []
    database = PostgresDatabase.open(full)
    try:
        await database.own()
        store = Stores(database, FakeClock())
        await among_messages(store)
        _record(monkeypatch, ran)
        await deed(store)
    finally:
        await database.close()

    assert ran
    session = await connect(full)
    connection = session.raw
    try:
        walked = [
            (sql, scanned)
            for sql, parameters in ran
            for scanned in _scanned(await _plan(connection, sql, parameters))
            if scanned in _GROWS and not _takes_any(sql)
        ]
    finally:
        await session.close()
    assert walked == []


async def _guess(store: Stores) -> None:
    await store.receipts.guess([MAIN])


@pytest.fixture
def empty(postgresql_server: str) -> Iterator[str]:
    """A database whose tables hold nothing and were never analyzed."""
    with new_database(postgresql_server) as url:
        make_tables(url)
        yield url


@pytest.mark.timeout(300)
@in_a_loop
async def test_plans_that_were_made_while_the_tables_were_new_look_up_too(
    full: str, empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are kept while the tables grow, until the server has counted what is in them."""
    ran: list[tuple[str, tuple[Any, ...]]] = []
    database = PostgresDatabase.open(full)
    try:
        await database.own()
        _record(monkeypatch, ran)
        for deed in (sweep, _guess, *(deed for deed, _ in HOT.values())):
            store = Stores(database, FakeClock())
            await among_messages(store)
            with suppress(AlirError):  # some ask of messages that have gone on by now
                await deed(store)
    finally:
        await database.close()

    statements = dict(ran)
    session = await connect(empty)
    try:
        walked = [
            (sql, scanned)
            for sql, parameters in statements.items()
            for scanned in _not_looked_up(await _kept_plan(session.raw, sql, parameters))
            if not _takes_any(sql)
        ]
    finally:
        await session.close()
    assert len(statements) > 60
    assert walked == []


def _record(monkeypatch: pytest.MonkeyPatch, ran: list[tuple[str, tuple[Any, ...]]]) -> None:
    """Have every statement from now on noted."""
    execute_one, execute_many = PostgresConnection.execute, PostgresConnection.executemany

    def one(self: PostgresConnection, sql: str, parameters: Any = (), /) -> Any:
        if sql.startswith(("SELECT", "UPDATE", "DELETE", "INSERT")):
            ran.append((sql, tuple(parameters)))
        return execute_one(self, sql, parameters)

    def many(self: PostgresConnection, sql: str, parameters: Any, /) -> Any:
        rows = [tuple(row) for row in parameters]
        ran.append((sql, rows[0]))
        return execute_many(self, sql, rows)

    monkeypatch.setattr(PostgresConnection, "execute", one)
    monkeypatch.setattr(PostgresConnection, "executemany", many)


async def _plan(
    connection: asyncpg.Connection[Any], sql: str, parameters: tuple[Any, ...]
) -> dict[str, Any]:
    [explained] = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {sql}", *parameters))
    plan: dict[str, Any] = explained["Plan"]
    return plan


async def _kept_plan(
    connection: asyncpg.Connection[Any], sql: str, parameters: tuple[Any, ...]
) -> dict[str, Any]:
    """The plan that serves any parameters, as a session that ran it some times keeps it."""
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    await connection.execute(f"PREPARE kept AS {sql}")
    given = f"({', '.join(['NULL'] * len(parameters))})" if parameters else ""
    explained = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE kept{given}")
    await connection.execute("DEALLOCATE kept")
    plan: dict[str, Any] = json.loads(explained)[0]["Plan"]
    return plan


def _not_looked_up(node: dict[str, Any], *, is_limited: bool = False) -> list[str]:
    """The tables that grow of which a plan looks at rows that no condition on an index names."""
    is_limited = is_limited or node["Node Type"] == "Limit"
    below = [
        table
        for child in node.get("Plans", ())
        for table in _not_looked_up(child, is_limited=is_limited)
    ]
    table: str = node.get("Relation Name", "")
    is_whole = "Index Cond" not in node and node["Node Type"] != "Bitmap Heap Scan"
    is_walk = table in _GROWS and node["Node Type"].endswith("Scan") and is_whole
    return [table, *below] if is_walk and not is_limited else below


def _scanned(node: dict[str, Any], *, is_limited: bool = False) -> list[str]:
    """The tables that are read from end to end, or of which many rows are."""
    is_limited = is_limited or node["Node Type"] == "Limit"
    below = [
        table for child in node.get("Plans", ()) for table in _scanned(child, is_limited=is_limited)
    ]
    table: str = node.get("Relation Name", "")
    is_scan = node["Node Type"].endswith("Scan") and bool(table)
    is_long = node["Plan Rows"] > MANY and not is_limited
    return [table, *below] if is_scan and (node["Node Type"] == "Seq Scan" or is_long) else below


@in_a_loop
async def test_what_walks_through_a_table_is_told_from_what_looks_up(full: str) -> None:
    connection = await asyncpg.connect(full)
    try:
        for sql, expected in (
            ("SELECT count(*) FROM message", ["message"]),
            ("SELECT id FROM message WHERE seq > 5", ["message"]),
            ("SELECT id FROM message WHERE seq > 5 ORDER BY seq LIMIT 9", []),
            ("SELECT id FROM message WHERE flow = 'x'", ["message"]),
            ("SELECT id FROM message WHERE id = 'x'", []),
        ):
            assert _scanned(await _plan(connection, sql, ())) == expected, sql
    finally:
        await connection.close()


def _takes_any(sql: str) -> bool:
    """Whether it takes the first row that comes, whichever that is."""
    return "LIMIT" in sql and "WHERE" not in sql and "ORDER" not in sql
