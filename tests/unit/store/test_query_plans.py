"""No query of the hot path grows slower as messages pile up: each has its index, and uses it."""

from __future__ import annotations

import asyncio
import pkgutil
import re
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from tests.clock import START, FakeClock, Restless
from tests.contract.stores import KEEP_PARKED, Stores, told
from tests.examples import MAIN, OTHER, TOKEN, a_message, begin_due
from tests.running import in_a_loop

import alir.store
from alir.dispatch.gate import Turn
from alir.dispatch.pause import Pause
from alir.errors import PauseScope
from alir.ids import ProviderId
from alir.intake.ports import Filters, IdempotencyKey, New
from alir.messages import life
from alir.messages.model import OnUnknown, Outcome, Priority, ReceiptStatus
from alir.receipts.model import Heard
from alir.retention.model import Kind
from alir.store import tables
from alir.store.contacts import Learnt, heard_among, heard_at, learn
from alir.store.database import open_database
from alir.store.leases import LeaseStore
from alir.store.locking import lock
from alir.store.parked import parked_among
from alir.store.person import PersonStore
from alir.store.sql import RowStatement, Statement
from alir.store.writer import number_stored

KEY = IdempotencyKey("order-1", b"h" * 32)
ANOTHER_KEY = IdempotencyKey("order-2", b"h" * 32)

#: SQLite's own index of a UNIQUE column.
_BY_ID = "message sqlite_autoindex_message_1 id=?"

_IN_LINE = "message message_queue sender=? AND queue_class=?"

Ran = list[tuple[str, Any]]


class _Recording(sqlite3.Connection):
    ran: Ran

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql.startswith(("SELECT", "UPDATE", "DELETE", "INSERT")):
            self.ran.append((sql, tuple(parameters)))
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        rows = [tuple(row) for row in parameters]
        self.ran.append((sql, rows[0]))
        return super().executemany(sql, rows)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plans") / "empty.db"
    asyncio.run(open_database(f"sqlite:///{path}", exclusive=False).close())
    return path


@pytest.fixture
def path(tmp_path: Path, empty: Path) -> Path:
    return Path(shutil.copy(empty, tmp_path / "alir.db"))


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Ran:
    """Every statement that runs on a connection opened from now on."""
    seen: Ran = []
    plain = sqlite3.connect

    def recording(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection = plain(*args, factory=_Recording, **kwargs)
        connection.ran = seen
        return connection

    monkeypatch.setattr(sqlite3, "connect", recording)
    return seen


def plan(path: Path, sql: str, parameters: Any) -> list[str]:
    """SQLite's plan for exactly this statement: what is bound stays bound."""
    connection = sqlite3.Connection(path)
    try:
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
    finally:
        connection.close()


PAUSE = Pause(sender=MAIN, scope=PauseScope.SENDER, title="Too many", since=START)


async def _begin_some(store: Stores) -> None:
    for _ in range(3):
        await store.accepted()
    await store.messages.begin(MAIN, limit=10, judge=begin_due)


async def _settle_one(store: Stores) -> None:
    [begun] = (await store.messages.begin(MAIN, limit=1, judge=begin_due)).messages
    await store.tell(told(ReceiptStatus.READ, provider_id="wamid.2"))
    await store.settle(begun, Outcome.ACCEPTED, provider_id="wamid.2")


async def _hear(store: Stores) -> None:
    raw = await store.callbacks.keep("cloud", [MAIN], b"{}")
    heard = Heard(sender=MAIN, at=START, wa_id="15551230001", user_id="US.1")
    await store.receipts.apply([heard], callback=raw.seq)


async def _learn_and_look_up(store: Stores) -> None:
    await store.database.write(lambda c: learn(c, [Learnt(MAIN, "+15551230002", "15551230001")]))
    await store.database.read(lambda c: heard_at(c, MAIN, "+15551230002"))
    two = {(MAIN, "+15551230002"), (MAIN, "+15551230003")}
    await store.database.read(lambda c: heard_among(c, two))
    await store.database.write(lambda c: learn(c, [Learnt(MAIN, "+15551230002", "15551230002")]))


async def _claim(store: Stores) -> None:
    await store.callbacks.keep("cloud", [MAIN], b"{}", claim=False)
    [raw] = await store.callbacks.claim()
    await store.callbacks.leave(raw.seq)


async def sweep(store: Stores) -> None:
    await store.receipts.sweep(keep=KEEP_PARKED)


def _listed(**filters: Any) -> Callable[[Stores], Awaitable[Any]]:
    return lambda s: s.messages.page(Filters(**filters), limit=50, before=10**9)


def _selected(**filters: Any) -> Callable[[Stores], Awaitable[Any]]:
    return lambda s: s.messages.selected(Filters(**filters), after=5_000, to=10_000)


async def _begin_under_a_lease(s: Stores) -> None:
    lease = await LeaseStore(s.database, s.clock).take(MAIN, "one", timedelta(seconds=8))
    assert lease is not None
    await s.messages.begin(MAIN, limit=10, judge=begin_due, fence=lease.fence)


#: What is done, and what it must look up: table, index, and what is known of its columns.
HOT: dict[str, tuple[Callable[[Stores], Awaitable[Any]], set[str]]] = {
    "accept": (
        lambda s: s.messages.accept(a_message(), KEY),
        {"message message_idempotency token_id=? AND idempotency_key=?"},
    ),
    "accept together": (
        lambda s: s.messages.accept_all([New(a_message(), KEY), New(a_message())]),
        {"message message_idempotency token_id=? AND idempotency_key=?"},
    ),
    "accept several with keys": (
        lambda s: s.messages.accept_all([New(a_message(), KEY), New(a_message(), ANOTHER_KEY)]),
        {"message message_idempotency token_id=? AND idempotency_key=?"},
    ),
    "repeat": (
        lambda s: s.messages.replayed(TOKEN, KEY),
        {"message message_idempotency token_id=? AND idempotency_key=?"},
    ),
    "begin": (
        _begin_some,
        {_IN_LINE, _BY_ID},
    ),
    "turns": (
        lambda s: s.messages.begin(
            MAIN, limit=10, judge=begin_due, turns=[Turn("recipient +15551230001", 1, 1)]
        ),
        {
            "message message_parked sender=? AND parked=? AND queue_class=?",
            _IN_LINE,
            _BY_ID,
        },
    ),
    "settle": (
        _settle_one,
        {_BY_ID, "attempt PRIMARY message_id=? AND number=?", "parked_receipt parked_receipt_once"},
    ),
    "cancel": (
        lambda s: s.messages.change(s.changed[-1].id, life.cancel),
        {_BY_ID},
    ),
    "lock": (
        lambda s: s.database.write(lambda c: lock(c, [s.changed[1].id, "wamid.1"])),
        {_BY_ID, "attempt attempt_provider_id provider_id=?", "attempt attempt_wamid wamid=?"},
    ),
    "receipts together": (
        lambda s: asyncio.gather(
            *(s.tell(told(status, of=s.changed[1])) for status in ReceiptStatus)
        ),
        {_BY_ID, "attempt attempt_provider_id provider_id=?", "receipt PRIMARY message_id=?"},
    ),
    "a receipt with a mark": (
        lambda s: s.tell(told(ReceiptStatus.READ, of=s.changed[1])),
        {
            _BY_ID,
            "attempt PRIMARY message_id=?",
            "receipt PRIMARY message_id=?",
            "callback PRIMARY rowid=?",
        },
    ),
    "a receipt without one": (
        lambda s: s.tell(told(ReceiptStatus.READ)),
        {"attempt attempt_provider_id provider_id=?", _BY_ID},
    ),
    "a strangers receipt": (
        lambda s: s.tell(told(ReceiptStatus.READ, provider_id="wamid.stranger")),
        {"attempt attempt_provider_id provider_id=?", "attempt attempt_wamid wamid=?"},
    ),
    "whose receipts wait": (
        lambda s: s.database.read(lambda c: parked_among(c, [(MAIN, ProviderId("wamid.1"))])),
        {"parked_receipt parked_receipt_once provider_id=?"},
    ),
    "a person writes": (
        _hear,
        {"callback PRIMARY rowid=?", "alias PRIMARY sender=? AND number=?"},
    ),
    "a pause": (lambda s: s.pauses.put(PAUSE, is_new=True), set()),
    "a pause ends": (
        lambda s: s.pauses.remove(PAUSE),
        {"pause PRIMARY sender=? AND scope=? AND key=?"},
    ),
    "a pause whose time is over": (
        lambda s: s.pauses.end(replace(PAUSE, until=START)),
        {"pause PRIMARY sender=? AND scope=? AND key=?"},
    ),
    "a commit in doubt": (
        lambda s: s.database.write(lambda c: number_stored(c, writer="writer-1")),
        {"commit_group sqlite_autoindex_commit_group_1 writer=?"},
    ),
    "who waits where": (
        lambda s: s.messages.parked(MAIN),
        {"message message_parked sender=?"},
    ),
    "a persons window": (
        _learn_and_look_up,
        {"contact PRIMARY sender=? AND wa_id=?", "alias PRIMARY sender=? AND number=?"},
    ),
    "get": (lambda s: s.messages.get(s.changed[1].id), {_BY_ID}),
    "moved": (
        lambda s: s.messages.moved({s.changed[1].id: 0, s.changed[-1].id: 0}),
        {
            _BY_ID,
            "attempt PRIMARY message_id=?",
            "receipt PRIMARY message_id=?",
        },
    ),
    "find": (
        lambda s: s.messages.find("wamid.1"),
        {"attempt attempt_provider_id provider_id=?", _BY_ID},
    ),
    "due": (
        lambda s: s.messages.due(MAIN, at_most=100),
        {f"{_IN_LINE} AND due_at<?"},
    ),
    "sent lately": (
        lambda s: s.messages.lately(MAIN, since=START),
        {
            "attempt attempt_begun begun_at>?",
            "attempt attempt_begun begun_at>? AND begun_at<?",
            _BY_ID,
        },
    ),
    "expired": (lambda s: s.messages.expired(limit=100), {"message message_expiry expires_at"}),
    "overdue": (
        lambda s: s.messages.left_begun(before=START),
        {"attempt attempt_unsettled begun_at<?"},
    ),
    "unknown to retry": (
        lambda s: s.messages.unknown_to_retry(of=[MAIN], limit=10),
        {"message message_unknown on_unknown=?"},
    ),
    "begin under a lease": (_begin_under_a_lease, {_IN_LINE, "sender_lease PRIMARY sender=?"}),
    "overdue, but for the senders of others": (
        lambda s: s.messages.left_begun(before=START, but=[OTHER]),
        {"attempt attempt_unsettled begun_at<?", _BY_ID},
    ),
    "pauses of a sender": (lambda s: s.pauses.of(MAIN), {"pause PRIMARY sender=?"}),
    "left unknown": (
        lambda s: s.messages.left_unknown(of=[MAIN], limit=10),
        {"message message_unknown on_unknown=?"},
    ),
    "list": (_listed(), {"message PRIMARY rowid<?"}),
    "list by number": (_listed(to="+15551230001"), {"message message_to to=? AND "}),
    "list by number and more": (
        _listed(to="+15551230001", senders=[MAIN], status="queued", since=START),
        {"message message_to to=? AND "},
    ),
    "newest": (lambda s: s.messages.newest(), {"message"}),
    "next place": (lambda s: s.messages.next_place(7), {"message PRIMARY rowid>?"}),
    "select": (_selected(status="queued"), {"message PRIMARY rowid>? AND rowid<?"}),
    "select by number": (_selected(to="+15551230001"), {"message message_to to=? AND "}),
    "list by flow token": (
        _listed(flow_token="visit-1"),
        {"message message_flow_token <expr>=? AND flow_token=?"},
    ),
    "select by flow token": (
        _selected(flow_token="visit-1"),
        {"message message_flow_token <expr>=? AND flow_token=?"},
    ),
}
#: What looks at all of a few: an index that holds only those.
ALL_OF_A_FEW: dict[str, tuple[Callable[[Stores], Awaitable[Any]], str]] = {
    "left begun": (lambda s: s.messages.left_begun(), "attempt attempt_unsettled"),
    "left begun of a sender": (
        lambda s: s.messages.left_begun(of=MAIN),
        "attempt attempt_unsettled",
    ),
    "claim": (_claim, "callback callback_unapplied"),
    "unapplied": (
        lambda s: s.callbacks.any_unapplied(longer_than=timedelta(seconds=3)),
        "callback callback_unapplied",
    ),
    "free what was left": (
        lambda s: s.callbacks.free(claimed=False),
        "callback callback_unapplied",
    ),
    "free all": (lambda s: s.callbacks.free(claimed=True), "callback callback_unapplied"),
    "unknown": (lambda s: s.messages.unknown(), "message message_unknown"),
    "queued": (lambda s: s.messages.queued(), "queue_count"),
    "pauses": (lambda s: s.pauses.all(), "pause"),
    "pauses of recipients": (lambda s: s.pauses.recipients(), "pause"),
    "pauses of all but recipients": (lambda s: s.pauses.all(but_recipients=True), "pause"),
}
#: PostgreSQL's own; and leases, whose tables have a row for each sender and each process.
_APART = {"postgresql", "leases"}
#: Sorts of a handful of rows: the receipts of a message, what is parked under one id.
_MAY_SORT = ("FROM receipt", "FROM parked_receipt")

_STEP = re.compile(
    r"(?P<how>SEARCH|SCAN) (?P<table>\w+)"
    r"(?: USING (?:COVERING )?(?:INTEGER )?(?:INDEX )?(?P<index>\w+)(?: KEY)?)?"
    r"(?: \((?P<known>.*)\))?"
)


@dataclass
class Plan:
    """What SQLite does for one statement."""

    sql: str
    steps: list[str]

    def found(self, how: str) -> list[str]:
        """Tables that it searches or scans: table, index, and what it knows of the columns."""
        steps = [_STEP.fullmatch(step) for step in self.steps]
        return [
            " ".join(filter(None, [step["table"], step["index"], step["known"]]))
            for step in steps
            if step is not None and step["how"] == how and step["table"] in tables.metadata.tables
        ]

    @property
    def takes_any(self) -> bool:
        """It takes the first row that comes, whichever that is."""
        return "LIMIT" in self.sql and "WHERE" not in self.sql and "ORDER" not in self.sql

    @property
    def sorts(self) -> bool:
        return any(step.startswith("USE TEMP B-TREE") for step in self.steps)


async def among_messages(store: Stores) -> None:
    """Store one that was sent, one that is unknown, and one that waits, in that order."""
    await store.sent()
    await store.settle(await store.begun(on_unknown=OnUnknown.RETRY), Outcome.UNKNOWN)
    await store.accepted(expires_at=START.replace(year=2030))


@in_a_loop
async def _plans(path: Path, ran: Ran, deed: Callable[[Stores], Awaitable[Any]]) -> None:
    """Run `deed` among messages in several states; `ran` holds its statements afterwards."""
    opened = open_database(f"sqlite:///{path}")
    store = Stores(opened, FakeClock())
    await among_messages(store)
    ran.clear()
    await deed(store)
    await opened.close()


@pytest.fixture
def plans_of(path: Path, ran: Ran) -> Callable[[Callable[[Stores], Awaitable[Any]]], list[Plan]]:
    """The plans of every statement that a deed runs."""

    def plans(deed: Callable[[Stores], Awaitable[Any]]) -> list[Plan]:
        _plans(path, ran, deed)
        return [Plan(sql, plan(path, sql, parameters)) for sql, parameters in ran]

    return plans


PlansOf = Callable[[Callable[[Stores], Awaitable[Any]]], list[Plan]]


@pytest.mark.parametrize("name", HOT)
def test_the_hot_path_looks_things_up_by_their_index(plans_of: PlansOf, name: str) -> None:
    deed, expected = HOT[name]
    plans = plans_of(deed)

    searched = [found for plan in plans for found in plan.found("SEARCH")]
    for lookup in expected:
        assert any(found.startswith(lookup) for found in searched), (lookup, plans)
    for plan in plans:
        assert plan.found("SCAN") == [] or plan.takes_any, plan
        assert not plan.sorts or any(few in plan.sql for few in _MAY_SORT), plan


@pytest.mark.parametrize(
    ("messages", "limit", "queries"),
    [
        pytest.param([], 10, 1, id="idle"),
        pytest.param([{"due_at": START.replace(year=2030)}], 10, 1, id="all of it later"),
        pytest.param([{}], 10, 1, id="one alone"),
        pytest.param([{}, {"priority": Priority.BULK}], 10, 1, id="one of each class"),
        pytest.param([{}, {}], 1, 1, id="one of more"),
        pytest.param([{}, {}], 10, 2, id="one class"),
        pytest.param([{}, {}, *[{"priority": Priority.BULK}] * 2], 10, 3, id="two classes"),
    ],
)
def test_a_begin_asks_the_queue_no_more_often_than_there_are_classes(
    path: Path, ran: Ran, messages: list[dict[str, Any]], limit: int, queries: int
) -> None:
    async def begin() -> None:
        store = Stores(open_database(f"sqlite:///{path}"), FakeClock())
        for fields in messages:
            await store.accepted(**fields)
        ran.clear()
        await store.messages.begin(MAIN, limit=limit, judge=begin_due)
        await store.database.close()

    asyncio.run(begin())

    asked = [sql for sql, _ in ran if sql.startswith("SELECT") and "IS NULL" in sql]
    assert len(asked) == queries


def test_the_first_page_of_a_list_reads_from_its_newest_end_and_sorts_nothing(
    plans_of: PlansOf,
) -> None:
    [query, *_] = plans_of(lambda s: s.messages.page(Filters(), limit=50, before=None))

    assert query.found("SCAN") == ["message"]
    assert "ORDER BY message.seq DESC" in query.sql
    assert not query.sorts


@pytest.mark.parametrize("name", ALL_OF_A_FEW)
def test_what_looks_at_all_of_a_few_reads_an_index_of_just_those(
    plans_of: PlansOf, name: str
) -> None:
    deed, expected = ALL_OF_A_FEW[name]
    plans = plans_of(deed)

    queries = [plan for plan in plans if plan.found("SCAN")]
    assert {found for query in queries for found in query.found("SCAN")} == {expected}
    assert all(not query.sorts or "GROUP BY" in query.sql for query in queries)


def test_the_sweep_looks_at_what_is_parked_and_never_at_every_attempt(plans_of: PlansOf) -> None:
    plans = plans_of(sweep)

    scanned = [found for plan in plans for found in plan.found("SCAN")]
    assert scanned == ["parked_receipt"]
    searched = [found for plan in plans for found in plan.found("SEARCH")]
    assert _BY_ID in searched
    assert "attempt attempt_provider_id provider_id=?" in searched
    assert "attempt attempt_wamid wamid=?" in searched
    assert "parked_receipt parked_receipt_age parked_at<?" in searched


def test_guessing_looks_at_attempts_without_an_answer_and_at_what_is_parked_for_their_person(
    plans_of: PlansOf,
) -> None:
    plans = plans_of(lambda s: s.receipts.guess([MAIN, OTHER]))

    scanned = [found for plan in plans for found in plan.found("SCAN")]
    assert scanned == ["attempt attempt_unsettled", "attempt attempt_unknown"]
    for plan in plans:
        assert plan.found("SEARCH") == [
            _BY_ID,
            "parked_receipt parked_receipt_person sender=? AND wa_id=?",
        ]
        assert not plan.sorts


#: Where purging a kind goes on from, and what it asks of other tables for each thing.
_PURGED: dict[Kind, tuple[str, set[str]]] = {
    Kind.MESSAGES: ("message PRIMARY rowid>?", {"attempt PRIMARY message_id=?"}),
    Kind.EVENTS: ("event PRIMARY rowid>?", set()),
    Kind.CALLBACKS: ("callback PRIMARY rowid>?", set()),
    Kind.CONTACTS: ("contact PRIMARY (sender,wa_id)>(?,?)", set()),
    Kind.ALIASES: (
        "alias PRIMARY (sender,number)>(?,?)",
        {
            "contact PRIMARY sender=? AND wa_id=?",
            "message message_to to=?",
            "message message_recipient recipient=?",
        },
    ),
}


@pytest.mark.parametrize("kind", Kind)
def test_purging_goes_on_where_it_came_to_and_looks_the_rest_up(
    plans_of: PlansOf, kind: Kind
) -> None:
    first, expected = _PURGED[kind]

    async def purge(s: Stores) -> None:
        upto: tuple[Any, ...] = (99,) if "rowid" in first else ("main", "9")
        before = START.replace(year=2030)
        await s.aged.look(kind, before=before, after=None, limit=10)
        await s.aged.remove(kind, before=before, after=None, upto=upto)

    look, remove, *rest = plans_of(purge)

    for query in (look, remove):
        assert query.found("SEARCH")[0].startswith(first), query
        assert expected == {
            lookup
            for found in query.found("SEARCH")[1:]
            for lookup in expected
            if found.startswith(lookup)
        }
    for query in (look, remove, *rest):
        assert query.found("SCAN") == []
        assert not query.sorts
    below = [found for query in rest for found in query.found("SEARCH")]
    is_message = kind is Kind.MESSAGES
    assert (
        below
        == [_BY_ID, "attempt PRIMARY message_id=?", "receipt PRIMARY message_id=?"] * is_message
    )


def test_nothing_asks_of_sqlite_what_only_a_newer_one_knows(plans_of: PlansOf) -> None:
    """RETURNING came with 3.35; systems with Python 3.11 on them may bring 3.34."""

    async def forget(s: Stores) -> None:
        await s.sent(to="+15551230001")
        people = PersonStore(s.database, Restless(s.clock))
        person = await people.known_as("15551230001")
        s.clock.leap(86_400)
        await s.aged.remove(Kind.MESSAGES, before=s.clock.now(), after=None, upto=(1,))
        await people.forget(person)

    deeds = [forget, *(deed for deed, _ in (*HOT.values(), *ALL_OF_A_FEW.values()))]
    ran = [plan.sql for deed in deeds for plan in plans_of(deed)]

    assert any(sql.startswith("DELETE FROM message") for sql in ran)
    assert [sql for sql in ran if "RETURNING" in sql] == []


def test_every_statement_of_the_hot_path_is_among_those_looked_at(plans_of: PlansOf) -> None:
    deeds = [deed for deed, _ in (*HOT.values(), *ALL_OF_A_FEW.values())]
    seen = {plan.sql for deed in (*deeds, sweep) for plan in plans_of(deed)}
    known = {
        f"{module.name}.{name}": value
        for module in pkgutil.iter_modules(alir.store.__path__)
        for name, value in vars(import_module(f"alir.store.{module.name}")).items()
        if isinstance(value, Statement | RowStatement) and module.name not in _APART
    }
    with closing(sqlite3.connect(":memory:")) as connection:
        statements = {name: value.on(connection) for name, value in known.items()}

    assert len(statements) > 10
    assert [name for name, sql in statements.items() if seen.isdisjoint(sql)] == []
