"""How a database as a whole is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What `alir db check` finds. Sizes are in bytes.

    Attributes:
        version: of its tables; none: it has none of alir's.
        faults: what the database says is broken of itself; none: it is whole.
        size: all that it takes up.
        reusable: what of that is free, and is used again.
        disk_free: what is left on its disk.
        gateway: the gateway that runs on it, as `process 4711`; none: none does.
        rows: how many there are in each table; none: they could not be counted.
        messages: how many there are of each status.
    """

    version: str | None
    faults: Sequence[str]
    size: int
    reusable: int
    disk_free: int
    gateway: str | None
    rows: Mapping[str, int]
    messages: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Upgraded:
    """The version that the tables were of (none: there were none), and the one they are of."""

    before: str | None
    after: str
