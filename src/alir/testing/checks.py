"""One check of the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Check(NamedTuple):
    """One thing that is tried.

    Attributes:
        name: of the test.
        run: raises `ContractBroken` where a line is not kept.
    """

    name: str
    run: Callable[[], None]
