"""A secret as providers use it: asked for at each use, so that it can change meanwhile."""

from __future__ import annotations

from typing import Protocol


class Credential(Protocol):
    """One secret."""

    def reveal(self) -> str:
        """The secret as it stands now."""
        ...

    def expire(self) -> None:
        """Have it read again at its next use, where it stands in a file."""
        ...
