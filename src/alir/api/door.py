"""What the hot routes share: bytes in, bytes out, and the checks that come before a body is read.

The checks run in one order on every route: 401, 413, 415, 400, 403, 422.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterable, Mapping
from functools import lru_cache
from types import coroutine
from typing import Any, Final

from starlette.types import Receive, Scope, Send

from alir.api.connection import answer_at_once
from alir.api.problems import MEDIA_TYPE, Problem, Refusal
from alir.api.room import Share
from alir.intake.tokens import ApiToken, TokenBook, has_typo
from alir.intake.tokens import Scope as TokenScope

JSON: Final = "application/json"
#: How long a whole body may take, of a caller with an API token: 64 KiB at 1 KiB/s,
#: or a batch of 16 MiB at 280 KiB/s.
BODY_SECONDS = 60.0
#: The same of a callback, whose sender is only known by what it signed.
CALLBACK_BODY_SECONDS = 20.0
#: How much of a body that is too large is read and thrown away, so that its sender gets to read
#: the answer instead of a reset connection.
DRAINED_BYTES = 16 * 1024 * 1024
DRAIN_SECONDS = 5

_BEARER = "bearer "
#: What documents write where an API token belongs, without the brackets around it.
_PLACEHOLDERS = frozenset(
    {
        "",
        "TOKEN",
        "API_TOKEN",
        "ALIR_API_TOKEN",
        "YOUR_TOKEN",
        "YOUR_API_TOKEN",
        "ALIR_…",
        "ALIR_...",
    }
)
_BRACKETS = " $<>{}[]"


class Disconnected(Exception):
    """The caller went away before the whole request was here."""


class Request:
    """One request of a hot route, read as far as anybody asked."""

    __slots__ = ("_headers", "_lines", "_receive", "path", "query")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self._lines: list[tuple[bytes, bytes]] = scope["headers"]
        # Of a repeated header the first one counts.
        self._headers: dict[bytes, bytes] = dict(reversed(self._lines))

    def header(self, name: bytes) -> str | None:
        """The header of this name, which is given in lower case."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    def every(self, name: bytes) -> str | None:
        """All headers of this name as the one list that they mean (RFC 9110, section 5.3)."""
        if name not in self._headers:
            return None
        return ", ".join(v.decode("latin-1") for key, v in self._lines if key == name)

    def headers(self) -> dict[str, str]:
        """Every header, by its name in lower case."""
        return {n.decode("latin-1"): v.decode("latin-1") for n, v in self._headers.items()}

    @property
    def declared(self) -> int | None:
        """The size of the body in bytes, where the request says it."""
        length = self._headers.get(b"content-length", b"")
        return int(length) if length.isdigit() else None

    async def body(
        self, *, limit: int, seconds: float, share: Share | None = None, keep: bool = True
    ) -> bytes:
        """The whole body.

        Args:
            share: of a room, for what is here of it while more is to come.
            keep: whether it is wanted; else it is read all the same, and nothing comes of it.

        Raises:
            Refusal: it is larger than `limit` bytes, or was not here after `seconds`.
            NoRoom: its share cannot grow.
            Disconnected: the caller went away.
        """
        declared = self.declared or 0
        if declared > limit:
            await self.drain()
            raise Refusal(_too_large(limit))
        parts: list[bytes] = []
        size, more = 0, True
        deadline = _Deadline(seconds)
        while more:
            message = await self._next(deadline)
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            more = message.get("more_body", False)
            if size > limit:
                if more:
                    await self.drain()
                raise Refusal(_too_large(limit))
            if not keep:
                parts.clear()
            elif more and share is not None:
                share.grow(len(parts[-1]))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _next(self, deadline: _Deadline) -> Mapping[str, Any]:
        # Nearly always the whole body is here already; then a timer is not worth its cost.
        receiving = self._receive()
        try:
            awaited = receiving.send(None)  # type: ignore[attr-defined]
        except StopIteration as here:
            message: Mapping[str, Any] = here.value
        else:
            message = await deadline.kept_by(receiving, awaited)
        if message["type"] == "http.disconnect":
            raise Disconnected
        return message

    async def drain(self) -> None:
        """Read what is left of the body and throw it away, where that is worth it."""
        waits_for_us = self._headers.get(b"expect", b"").lower() == b"100-continue"
        if waits_for_us or (self.declared or 0) > DRAINED_BYTES:
            return
        drained = 0
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while drained < DRAINED_BYTES:
                    message = await self._receive()
                    drained += len(message.get("body", b""))
                    if not message.get("more_body"):
                        break
        except TimeoutError:
            return


class _Deadline:
    """The end of the time that a body may take; it counts from the first wait for a piece."""

    __slots__ = ("_at", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._at: float | None = None

    async def kept_by(self, receiving: Any, awaited: object) -> Mapping[str, Any]:
        """What comes next, or `Refusal` where it does not come in time."""
        if self._at is None:
            self._at = asyncio.get_running_loop().time() + self._seconds
        try:
            async with asyncio.timeout_at(self._at):
                message: Mapping[str, Any] = await _resumed(receiving, awaited)
        except TimeoutError:
            detail = f"The body was not here after {self._seconds:g} seconds."
            close = {"connection": "close"}
            raise Refusal(Problem("request_timeout", detail, headers=close)) from None
        return message


@coroutine
def _resumed(begun: Any, awaited: object) -> Generator[object, Any, Any]:
    """Await a coroutine that was begun by hand and now awaits `awaited`."""
    while True:
        try:
            try:
                value = yield awaited
            except BaseException as error:  # such as the time-out's cancellation: it is for `begun`
                awaited = begun.throw(error)
            else:
                awaited = begun.send(value)
        except StopIteration as ended:
            return ended.value


def _too_large(limit: int) -> Problem:
    detail = f"The body is larger than {limit} bytes."
    return Problem("payload_too_large", detail, headers={"connection": "close"})


def known_holder(authorization: str | None, tokens: TokenBook) -> ApiToken | None:
    """Who is asking, where that was found out a moment ago; else `authenticated` tells."""
    if authorization is None or authorization[: len(_BEARER)].lower() != _BEARER:
        return None
    return tokens.known(authorization[len(_BEARER) :])


async def authenticated(authorization: str | None, tokens: TokenBook) -> ApiToken:
    """Who is asking, by the Authorization header.

    Raises:
        Refusal: nobody with a valid API token.
    """
    if authorization is None:
        raise Refusal(_unauthorized("The Authorization header is missing."))
    if authorization[: len(_BEARER)].lower() != _BEARER:
        raise Refusal(_unauthorized("The Authorization header must read: Bearer API_TOKEN."))
    presented = authorization[len(_BEARER) :].strip()
    token = tokens.known(presented) or await tokens.holder(presented)
    if token is not None:
        return token
    if _is_placeholder(presented):
        detail = "The API token is a placeholder that was not filled in: put your own there."
    elif has_typo(presented):
        detail = "This API token has a typo: its length or its checksum is wrong."
    else:
        detail = "This API token is not known here, or it was revoked."
    raise Refusal(_unauthorized(detail))


def _is_placeholder(presented: str) -> bool:
    # A header is read as Latin-1; a client may have written `alir_…` in UTF-8.
    text = presented.encode("latin-1", "replace").decode("utf-8", "replace")
    return "{{" in text or text.strip(_BRACKETS).upper() in _PLACEHOLDERS


def require_scope(token: ApiToken, scope: TokenScope) -> None:
    """Raise `Refusal` unless the API token has the scope."""
    if scope not in token.scopes:
        raise Refusal(Problem("scope_missing", f"This API token lacks the scope {scope.value}."))


def require_json(content_type: str | None) -> None:
    """Raise `Refusal` unless the Content-Type says that it is JSON."""
    required_type(content_type, JSON)


def required_type(content_type: str | None, *taken: str) -> str:
    """Which of `taken` the Content-Type says that it is.

    Raises:
        Refusal: none of them, or not in UTF-8.
    """
    found = _media_type(content_type or "")
    if found in taken:
        return found
    needed = " or ".join(taken)
    detail = (
        f"Content-Type is {content_type[:100]}; it must be {needed} in UTF-8."
        if content_type
        else f"The Content-Type header is missing; it must be {needed}."
    )
    raise Refusal(Problem("unsupported_media_type", detail))


@lru_cache(maxsize=64)
def _media_type(content_type: str) -> str:
    """The media type of what is in UTF-8; else nothing."""
    media_type, _, parameters = content_type.partition(";")
    charsets = [
        value.strip().strip('"').lower()
        for name, _, value in (each.partition("=") for each in parameters.split(";"))
        if name.strip().lower() == "charset"
    ]
    is_utf_8 = all(charset in ("", "utf-8", "utf8") for charset in charsets)
    return media_type.strip().lower() if is_utf_8 else ""


async def respond(
    send: Send,
    status: int,
    body: bytes,
    *,
    media_type: str = "application/json",
    headers: Iterable[tuple[str, str]] = (),
) -> None:
    """Send a whole answer."""
    lines = [
        (b"content-type", media_type.encode("latin-1")),
        (b"content-length", b"%d" % len(body)),
        *((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers),
    ]
    if answer_at_once(send, status, lines, body):
        return
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})


async def respond_problem(send: Send, problem: Problem, instance: str) -> None:
    """Send a problem."""
    body = problem.as_bytes(instance)
    headers = problem.headers.items()
    await respond(send, problem.status, body, media_type=MEDIA_TYPE, headers=headers)


def _unauthorized(detail: str) -> Problem:
    return Problem("unauthorized", detail, headers={"www-authenticate": 'Bearer realm="alir"'})
