"""The one HTTP client of alir: who calls a provider, a callback or a webhook does it here.

The client's own error classes mislead: it raises its `ConnectError` also when the request was
read by the server and the connection closed without an answer. So there are two errors here,
told apart by the only sign that proves anything (see `_was_never_connected`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from types import TracebackType
from typing import Protocol, Self

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import DetailedPyreqwestError, PyreqwestError
from pyreqwest.http import Url

CONNECT_TIMEOUT = timedelta(seconds=5)
CALL_TIMEOUT = timedelta(seconds=20)
#: Shorter than the keep-alive of any server met so far, so that a connection is rarely closed
#: by the other side at the moment it is used again (that would read as `NoAnswer`).
IDLE_TIMEOUT = timedelta(seconds=15)

#: What pyreqwest 0.15 puts among the causes when, and only when, no connection was made.
#: Were it to change, every failure would read as `NoAnswer`: the safe side. A test over a
#: server that counts the requests it has read holds this to the client that is installed.
_NO_CONNECTION = "client error (Connect)"


class NeverConnected(Exception):
    """No connection was made: not one byte of the request left this machine."""


class NoAnswer(Exception):
    """The request may have been read; no whole answer came back."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer.

    Attributes:
        headers: looked up without regard to case; of a repeated header the first value.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient(Protocol):
    """Sends one request and returns one answer; never repeats, never follows a redirect."""

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        """Send it.

        Raises:
            NeverConnected: nothing left this machine.
            NoAnswer: perhaps the server has it.
        """
        ...


class PooledHttpClient:
    """An `HttpClient` over one connection pool. Use as an async context manager."""

    def __init__(
        self,
        *,
        connect_timeout: timedelta = CONNECT_TIMEOUT,
        call_timeout: timedelta = CALL_TIMEOUT,
        user_agent: str = "alir",
    ) -> None:
        self._client: Client = (
            ClientBuilder()
            .connect_timeout(connect_timeout)
            .timeout(call_timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .follow_redirects(False)
            .no_proxy()
            .user_agent(user_agent)
            .build()
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.close()

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        builder = self._client.request(method, _parsed(url)).headers(headers)
        if body:
            builder = builder.body_bytes(body)
        try:
            response = await builder.build().send()
            content = bytes(await response.bytes())
        except PyreqwestError as error:
            if _was_never_connected(error):
                raise NeverConnected(type(error).__name__) from error
            raise NoAnswer(type(error).__name__) from error
        return Answer(response.status, response.headers, content)


@lru_cache(maxsize=256)
def _parsed(url: str) -> Url:
    return Url(url)


def _was_never_connected(error: PyreqwestError) -> bool:
    if not isinstance(error, DetailedPyreqwestError):
        return False
    causes = error.details.get("causes") or []
    return any(cause["message"] == _NO_CONNECTION for cause in causes)
