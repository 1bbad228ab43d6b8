"""The grouped writer: whatever arrived while the last commit ran goes into the next one.

No timer: a lone write is committed at once, and under load groups grow by themselves.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from alir.errors import StoreUnavailable

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

#: How long a group whose commit failed is repeated before its callers are told.
PATIENCE_SECONDS = 3.0
_PAUSE_SECONDS = 0.05
#: Bounds a transaction, and with it how long the callers of one group wait for each other.
LARGEST_GROUP = 500


class Observe(Protocol):
    """Told of each group that was committed."""

    def committed(self, size: int, seconds: float) -> None: ...


@dataclass(slots=True)
class _Job:
    work: Work[Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    result: Any = None
    error: BaseException | None = None


class GroupWriter:
    """Runs pieces of work on one connection in one thread, many to a transaction.

    A commit in doubt (its answer was an error) is cleared up by the row in `commit_group` that
    went with it: there, everything is stored; not there, the group is repeated.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        *,
        name: str,
        observe: Observe | None = None,
    ) -> None:
        self._connect = connect
        self._name = name
        self._observe = observe
        self._connection: sqlite3.Connection | None = None
        self._number = 0
        self._waiting: list[_Job] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._idle = True
        self._thread = threading.Thread(target=self._run, name="alir-write", daemon=True)
        self._thread.start()

    async def write(self, work: Work[T]) -> T:
        """What `work` returned, once its group is on disk.

        Raises:
            StoreUnavailable: nothing was stored, or (`in_doubt`) nobody can say.
            Exception: whatever `work` raised; nothing of it was stored.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._lock:
            if self._closing:
                raise StoreUnavailable("the gateway is stopping")
            self._waiting.append(_Job(work, future, loop))
            if self._idle:
                self._idle = False
                self._wake.set()
        return await future

    async def close(self) -> None:
        """Write what was handed in, then stop."""
        with self._lock:
            self._closing = True
            self._wake.set()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            with self._lock:
                jobs = self._waiting[:LARGEST_GROUP]
                del self._waiting[:LARGEST_GROUP]
                if not jobs:
                    if self._closing:
                        break
                    self._idle = True
                    self._wake.clear()
                    continue
            self._write_group(jobs)
            _deliver(jobs)
        if self._connection is not None:
            self._connection.close()

    def _write_group(self, jobs: list[_Job]) -> None:
        """Run `jobs` in one transaction; where one of them fails, each in its own."""
        begun = time.perf_counter()
        if self._commit(jobs):
            if self._observe is not None:
                self._observe.committed(len(jobs), time.perf_counter() - begun)
        elif len(jobs) > 1:
            for job in jobs:
                self._write_group([job])

    def _commit(self, jobs: list[_Job]) -> bool:
        """Whether all of them are stored. Where one of a group failed, none is."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        self._number += 1
        while True:
            try:
                return self._transaction(jobs)
            except sqlite3.Error as error:
                # Begin or commit failed: the connection is no good, and what it did is in doubt.
                stored = self._is_stored()
                if stored:
                    return True
                if time.monotonic() < give_up_at:
                    time.sleep(_PAUSE_SECONDS)
                    continue
                unavailable = StoreUnavailable(
                    f"the database cannot be written: {error}", in_doubt=stored is None
                )
                unavailable.__cause__ = error
                for job in jobs:
                    job.error = unavailable
                return True  # nothing that repeating them one by one would change

    def _transaction(self, jobs: list[_Job]) -> bool:
        connection = self._open()
        connection.execute("BEGIN IMMEDIATE")
        for job in jobs:
            try:
                job.result = job.work(connection)
                job.error = None
            except Exception as error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                job.error = _as_unavailable(error)
                return False
        connection.execute(
            "INSERT INTO commit_group (writer, number) VALUES (?, ?)"
            " ON CONFLICT (writer) DO UPDATE SET number = excluded.number",
            (self._name, self._number),
        )
        connection.execute("COMMIT")
        return True

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _is_stored(self) -> bool | None:
        """Whether the group is on disk, asked on a new connection; None: nobody can say."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        try:
            row = (
                self._open()
                .execute("SELECT number FROM commit_group WHERE writer = ?", (self._name,))
                .fetchone()
            )
        except sqlite3.Error:
            return None
        return row is not None and row[0] == self._number


def _as_unavailable(error: Exception) -> Exception:
    if isinstance(error, sqlite3.OperationalError):
        unavailable = StoreUnavailable(f"the database cannot be written: {error}")
        unavailable.__cause__ = error
        return unavailable
    return error


def _deliver(jobs: list[_Job]) -> None:
    """Hand the results over, one wake-up per event loop."""
    loops = {job.loop for job in jobs}
    for loop in loops:
        mine = [job for job in jobs if job.loop is loop]
        try:
            loop.call_soon_threadsafe(_settle, mine)
        except RuntimeError:
            # The loop is closed: its process is on its way out, and nobody waits any more.
            continue


def _settle(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue  # its caller was cancelled
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
