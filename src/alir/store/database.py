"""What a store asks of a database, whichever of the two it is, and how one is opened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, Protocol, TypeVar

from alir.store.group import Bulk, Work
from alir.store.sqlite import SQLiteDatabase, path_of
from alir.store.writer import PATIENCE_SECONDS, Observe
from alir.wakeups import NoWakeups, Wakeups

#: How the address of a PostgreSQL database begins.
POSTGRESQL_PREFIXES: Final = ("postgresql://", "postgres://")

I = TypeVar("I")  # noqa: E741 - an item
T = TypeVar("T")


class Database(Protocol):
    """One open database."""

    async def own(self) -> None:
        """Own it, where it was opened to be, before anything is sent.

        Raises:
            DatabaseInUse: another gateway does.
            StoreUnavailable: it cannot be reached.
        """
        ...

    def write(self, work: Work[T], *, weight: int = 1, about: Sequence[str] = ()) -> Awaitable[T]:
        """Run `work` on the writing connection, in the next group's transaction.

        Returns once what the group changed is on disk; at once where it changed no row, as then
        there is nothing to commit. `work` may be run more than once; only one run is kept.

        Args:
            weight: how many single pieces of work it is worth.
            about: ids of the messages that it changes, alir's or a provider's, as far as known:
                processes that share the database lock those of a group first, all in one order.

        Raises:
            StoreUnavailable: nothing was stored, or (`in_doubt`) nobody can say.
        """
        ...

    def write_among(self, bulk: Bulk[I, T], item: I, *, about: Sequence[str] = ()) -> Awaitable[T]:
        """Have `bulk` write `item`, together with whatever else it has to in the next group.

        Args:
            about: as of `write`.

        Raises:
            As `write`.
        """
        ...

    def require_room(self) -> None:
        """See that what is taken from outside now is likely to be written soon.

        Raises:
            StoreUnavailable: so much waits for a slow or silent database that more would wait long.
        """
        ...

    async def try_out(self) -> None:
        """Write something that tells nothing new, and return once it is on disk.

        Raises:
            StoreUnavailable: the database takes no writes.
        """
        ...

    async def read(self, work: Work[T], *, at_once: bool = False, is_long: bool = False) -> T:
        """Run `work` on a reading connection, which sees everything committed so far.

        All that it reads is as of one moment, whatever is written meanwhile.

        Args:
            at_once: it waits for no other read, where a process may have peers. For what must go
                on whatever is read, one at a time.
            is_long: it may take seconds, such as a list for a caller. However many of these there
                are, others get their turn.

        Raises:
            StoreUnavailable: it cannot be read now.
        """
        ...

    async def close(self, patience: float = PATIENCE_SECONDS) -> None:
        """Finish what was handed in, close every connection, and let go of the database.

        What is not written after `patience` seconds (another process holds the database, the disk
        does not answer) fails; what is still being read is broken off.
        """
        ...


def file_of(url: str) -> Path | None:
    """The file that a database is kept in; None where a server keeps it."""
    return None if url.startswith(POSTGRESQL_PREFIXES) else path_of(url)


def open_database(url: str, *, exclusive: bool = True, observe: Observe | None = None) -> Database:
    """Open the database that `url` names, bring its tables up to date, and own it if `exclusive`.

    Raises:
        SettingsInvalid: the URL is of no kind that alir can open.
        DatabaseInUse: another gateway owns it.
        StoreUnavailable: it cannot be opened or written.
    """
    if url.startswith(POSTGRESQL_PREFIXES):
        from alir.store.postgresql import PostgresDatabase  # who is on SQLite need not load it

        return PostgresDatabase.open(url, exclusive=exclusive, observe=observe)
    return SQLiteDatabase.open(url, exclusive=exclusive, observe=observe)


def open_wakeups(url: str, name: str, *, has_peers: Callable[[], bool]) -> Wakeups:
    """What the processes of the database that `url` names wake one another by. No I/O yet.

    Args:
        name: of this process, and of no other one.
        has_peers: whether another process may live; while none does, nothing is told.
    """
    if url.startswith(POSTGRESQL_PREFIXES):
        from alir.store.wakeups import PostgresWakeups

        return PostgresWakeups(url, name, has_peers=has_peers)
    return NoWakeups()
