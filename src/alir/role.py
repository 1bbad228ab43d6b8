"""What a process of a gateway does."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What `alir serve --role` takes."""

    ALL = "all"
    #: Takes requests and callbacks.
    API = "api"
    #: Hands messages to providers.
    DISPATCH = "dispatch"
    #: Applies callbacks.
    RELAY = "relay"

    @property
    def accepts(self) -> bool:
        """Whether it answers callers of the API, and providers."""
        return self in (Role.ALL, Role.API)

    @property
    def dispatches(self) -> bool:
        """Whether it hands messages to providers."""
        return self in (Role.ALL, Role.DISPATCH)

    @property
    def relays(self) -> bool:
        """Whether it applies callbacks."""
        return self in (Role.ALL, Role.RELAY)
