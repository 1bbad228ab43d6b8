"""How a database as a whole is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What `alir db check` finds. Sizes are in bytes.

    Attributes:
        version: of its tables; none: it has none of alir's.
        size: all that it takes up.
        gateways: the gateways that run on it, as `process 4711`, `one` or `one at 10.0.0.7`.
        rows: how many there are in each table; none: they could not be counted.
        messages: how many there are of each status.
        kept: what else there is to say, by what keeps it.
    """

    version: str | None
    size: int
    gateways: Sequence[str]
    rows: Mapping[str, int]
    messages: Mapping[str, int]
    kept: InFile | ByServer


@dataclass(frozen=True, slots=True, kw_only=True)
class InFile:
    """What SQLite and the disk say. Sizes are in bytes.

    Attributes:
        faults: what the database says is broken of itself; none: it is whole.
        reusable: what of its size is free, and is used again.
        disk_free: what is left on its disk.
    """

    faults: Sequence[str]
    reusable: int
    disk_free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ByServer:
    """What a PostgreSQL server says.

    Attributes:
        major, version: of the server, such as 16 and `16.4`.
        is_standby: whether it follows another server, and so takes no writes.
        fsync, full_page_writes, synchronous_commit: its settings of these names.
        standbys: those that follow it, and are connected.
        invalid_indexes: those that no query uses, because making them was broken off.
    """

    major: int
    version: str
    is_standby: bool
    fsync: str
    full_page_writes: str
    synchronous_commit: str
    standbys: Sequence[Standby]
    invalid_indexes: Sequence[str]


class Standby(NamedTuple):
    """A standby, as `pg_stat_replication` shows it.

    Attributes:
        name: what it calls itself; none: whoever asks may not see it.
        sync_state: `async`, `potential`, `sync` or `quorum`; none as above.
    """

    name: str | None
    sync_state: str | None


@dataclass(frozen=True, slots=True)
class Upgraded:
    """The version that the tables were of (none: there were none), and the one they are of."""

    before: str | None
    after: str
