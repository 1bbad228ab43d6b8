"""API tokens: how they look, what they allow, and who holds a valid one."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import zlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from alir.clock import Clock
from alir.ids import ApiTokenId, SenderName

PREFIX = "alir_"
#: Characters after the prefix; the last is a checksum, so that a typo is told from a revocation.
BODY_LENGTH = 43
#: An API token that an operator made up must be as hard to guess as 128 random bits.
SHORTEST_GIVEN = 32
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

#: How old the list of valid API tokens may be. Revoked ones stop within 5 s (design, section 3).
REFRESH_SECONDS = 2.0
#: An unknown API token makes alir look again, but not more often than this.
LOOK_AGAIN_SECONDS = 0.2


class Scope(StrEnum):
    """What an API token allows."""

    SEND = "send"  #: POST messages, cancel, retry
    READ = "read"  #: every GET
    ADMIN = "admin"  #: the rest


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """The rights of one API token.

    Attributes:
        senders: the only ones it may use; none: all, later ones too.
        default_sender: used where a request names none.
    """

    id: ApiTokenId
    name: str
    scopes: frozenset[Scope]
    senders: tuple[SenderName, ...] | None = None
    default_sender: SenderName | None = None

    def may_use(self, sender: str) -> bool:
        """Whether it may send from, and see messages of, this sender."""
        return self.senders is None or sender in self.senders


def generate() -> str:
    """A new API token: `alir_` and 43 characters, the last a checksum of the others."""
    body = "".join(secrets.choice(_ALPHABET) for _ in range(BODY_LENGTH - 1))
    return f"{PREFIX}{body}{_checksum(body)}"


def has_typo(token: str) -> bool:
    """Whether an API token of alir's own form cannot be one, by its length or its checksum."""
    if not token.startswith(PREFIX):
        return False
    body = token.removeprefix(PREFIX)
    return len(body) != BODY_LENGTH or _checksum(body[:-1]) != body[-1]


def fingerprint(token: str) -> bytes:
    """SHA-256 of an API token: what the store keeps of it.

    A random token of 128 bits or more needs no slow hash: there is nothing to guess from.
    """
    return hashlib.sha256(token.encode()).digest()


def _checksum(body: str) -> str:
    return _ALPHABET[zlib.crc32(body.encode()) % len(_ALPHABET)]


class TokenBook:
    """Who holds a valid API token, kept in memory and refreshed from the store.

    The look-up goes by the SHA-256 of what was presented, so its timing tells nothing about any
    API token that exists.
    """

    def __init__(
        self,
        load: Callable[[], Awaitable[Sequence[tuple[bytes, ApiToken]]]],
        clock: Clock,
    ) -> None:
        self._load = load
        self._clock = clock
        self._known: dict[bytes, ApiToken] = {}
        # What was presented since the last refresh, so that it is not hashed for every request.
        self._presented: dict[str, ApiToken] = {}
        self._loaded_at: float | None = None
        self._refreshing: asyncio.Task[None] | None = None

    def known(self, presented: str) -> ApiToken | None:
        """The rights of an API token that was presented a moment ago already."""
        return None if self._age() > REFRESH_SECONDS else self._presented.get(presented)

    async def holder(self, presented: str) -> ApiToken | None:
        """The rights of the API token that was presented, or None.

        Raises:
            StoreUnavailable: it is not known here, and the store cannot be asked.
        """
        digest = fingerprint(presented)
        if self._age() > REFRESH_SECONDS:
            await self.refresh()
        found = self._known.get(digest)
        if found is None and self._age() > LOOK_AGAIN_SECONDS:
            await self.refresh()
            found = self._known.get(digest)
        if found is not None:
            self._presented[presented] = found
        return found

    async def refresh(self) -> None:
        """Read the valid API tokens again; all who ask meanwhile share one reading."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._read())
        await asyncio.shield(self._refreshing)

    async def _read(self) -> None:
        self._known = dict(await self._load())
        self._presented = {}
        self._loaded_at = self._clock.elapsed()

    def _age(self) -> float:
        if self._loaded_at is None:
            return float("inf")
        return self._clock.elapsed() - self._loaded_at
