"""With very many messages waiting, no deed of the hot path does more than with few."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.clock import FakeClock
from tests.contract.stores import Stores
from tests.running import in_a_loop
from tests.unit.store.test_query_plans import HOT, among_messages

from alir.messages.model import Message
from alir.store.database import open_database

#: Of each kind: in line of two classes, parked at one place, and due later.
MANY = 10_000
#: The virtual machine of SQLite takes several of its steps for each row that it looks at.
ENOUGH_STEPS = 2 * MANY
_EVERY = 100
#: They look at a stretch of messages, however many of these wait; the last one, once a minute.
_STRETCH = {"select", "select by number", "select by flow token", "who waits where"}

_MULTIPLIED = """
    WITH RECURSIVE many (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < ?)
    INSERT INTO message (id, token_id, sender, status, type, "to", flow, flow_id, flow_token,
        on_unknown, priority, queue_class, created_at, due_at, first_due_at, attempts, tries,
        version, flags, warnings, parked)
    SELECT 'msg_' || ? || n, token_id, sender, 'queued', type, "to", flow, flow_id, flow_token,
        on_unknown, priority, ?, created_at, due_at + ?, first_due_at, 0, 0, 1, flags, warnings, ?
    FROM message, many WHERE message.seq = 1
"""
_KINDS = (
    ("A", "single", 0, None),
    ("B", "bulk", 0, None),
    ("C", "single", 10**11, None),
    ("D", "single", 0, "recipient +15551230001"),
)


class _Stepping(sqlite3.Connection):
    """Counts the steps of SQLite's virtual machine, in hundreds."""

    steps: Counter[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.set_progress_handler(self._step, _EVERY)

    def _step(self) -> int:
        self.steps["steps"] += _EVERY
        return 0


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What every connection opened from now on counts."""
    seen: Counter[str] = Counter()
    plain = sqlite3.connect

    def counting(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        return plain(*args, factory=_Stepping, **kwargs)

    monkeypatch.setattr(_Stepping, "steps", seen, raising=False)
    monkeypatch.setattr(sqlite3, "connect", counting)
    return seen


@in_a_loop
async def _fill(path: Path, changed: list[Message]) -> None:
    store = Stores(open_database(f"sqlite:///{path}", exclusive=False), FakeClock())
    await among_messages(store)
    await store.database.close()
    changed += store.changed
    with closing(sqlite3.connect(path)) as connection, connection:
        for kind in _KINDS:
            connection.execute(_MULTIPLIED, (MANY, *kind))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Message]]:
    """A file in which many wait, and the messages that were stored and changed before them."""
    path = tmp_path_factory.mktemp("many") / "full.db"
    changed: list[Message] = []
    _fill(path, changed)
    return path, changed


@pytest.mark.parametrize("name", sorted(set(HOT) - _STRETCH))
@in_a_loop
async def test_a_deed_of_the_hot_path_does_not_walk_along_those_who_wait(
    full: tuple[Path, list[Message]], tmp_path: Path, steps: Counter[str], name: str
) -> None:
    deed: Callable[[Stores], Awaitable[Any]] = HOT[name][0]
    path = shutil.copy(full[0], tmp_path / "alir.db")
    store = Stores(open_database(f"sqlite:///{path}", exclusive=False), FakeClock())
    store.changed += full[1]

    await deed(store)

    assert steps["steps"] < ENOUGH_STEPS
    await store.database.close()


@in_a_loop
async def test_a_walk_along_those_who_wait_shows_in_the_steps(
    full: tuple[Path, list[Message]], steps: Counter[str]
) -> None:
    store = Stores(open_database(f"sqlite:///{full[0]}", exclusive=False), FakeClock())

    await store.database.read(
        lambda c: c.execute("SELECT count(*) FROM message WHERE flow = 'x'").fetchone()
    )

    assert steps["steps"] > ENOUGH_STEPS
    await store.database.close()
