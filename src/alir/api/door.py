"""What the hot routes share: bytes in, bytes out, and the checks that come before a body is read.

The checks run in one order on every route: 401, 413, 415, 400, 403, 422.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.types import Receive, Scope, Send

from alir.api.problems import MEDIA_TYPE, Problem, Refusal
from alir.intake.tokens import ApiToken, TokenBook, has_typo
from alir.intake.tokens import Scope as TokenScope

#: How long a body may stop coming before the request is ended.
BODY_PAUSE_SECONDS = 30
#: How much of a body that is too large is read and thrown away, so that its sender gets to read
#: the answer instead of a reset connection.
DRAINED_BYTES = 16 * 1024 * 1024
DRAIN_SECONDS = 5

_BEARER = "bearer "


class Disconnected(Exception):
    """The caller went away before the whole request was here."""


class Request:
    """One request of a hot route, read as far as anybody asked."""

    __slots__ = ("_receive", "headers", "path", "query")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        # Of a repeated header the first one counts.
        self.headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            self.headers.setdefault(name.decode("latin-1"), value.decode("latin-1"))

    async def body(self, *, limit: int) -> bytes:
        """The whole body.

        Raises:
            Refusal: it is larger than `limit` bytes, or it stopped coming.
            Disconnected: the caller went away.
        """
        declared = self.headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > limit:
            await self._drain(int(declared))
            raise Refusal(_too_large(limit))
        message = await self._next()
        body: bytes = message.get("body", b"")
        if not message.get("more_body"):
            return body if len(body) <= limit else self._refuse(limit)
        parts, size = [body], len(body)
        while message.get("more_body"):
            message = await self._next()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                await self._drain(0)
                raise Refusal(_too_large(limit))
        return b"".join(parts)

    async def _next(self) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(BODY_PAUSE_SECONDS):
                message = await self._receive()
        except TimeoutError:
            detail = f"The body stopped coming for {BODY_PAUSE_SECONDS} seconds."
            close = {"connection": "close"}
            raise Refusal(Problem("request_timeout", detail, headers=close)) from None
        if message["type"] == "http.disconnect":
            raise Disconnected
        return message

    async def _drain(self, declared: int) -> None:
        if declared > DRAINED_BYTES or self.headers.get("expect", "").lower() == "100-continue":
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

    @staticmethod
    def _refuse(limit: int) -> bytes:
        raise Refusal(_too_large(limit))


def _too_large(limit: int) -> Problem:
    detail = f"The body is larger than {limit} bytes."
    return Problem("payload_too_large", detail, headers={"connection": "close"})


async def authenticated(headers: Mapping[str, str], tokens: TokenBook) -> ApiToken:
    """Who is asking.

    Raises:
        Refusal: nobody with a valid API token.
    """
    authorization = headers.get("authorization")
    if authorization is None:
        raise Refusal(_unauthorized("The Authorization header is missing."))
    if authorization[: len(_BEARER)].lower() != _BEARER:
        raise Refusal(_unauthorized("The Authorization header must read: Bearer API_TOKEN."))
    presented = authorization[len(_BEARER) :].strip()
    if "{{" in presented or presented in ("", "API_TOKEN", "$ALIR_API_TOKEN"):
        detail = "The API token is a placeholder that was not filled in: put your own there."
        raise Refusal(_unauthorized(detail))
    token = await tokens.holder(presented)
    if token is None:
        detail = (
            "This API token has a typo: its length or its checksum is wrong."
            if has_typo(presented)
            else "This API token is not known here, or it was revoked."
        )
        raise Refusal(_unauthorized(detail))
    return token


def require_scope(token: ApiToken, scope: TokenScope) -> None:
    """Raise `Refusal` unless the API token has the scope."""
    if scope not in token.scopes:
        raise Refusal(Problem("scope_missing", f"This API token lacks the scope {scope.value}."))


def require_json(headers: Mapping[str, str]) -> None:
    """Raise `Refusal` unless the request says that it is JSON."""
    given = headers.get("content-type", "")
    media_type, _, parameters = given.partition(";")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if media_type.strip().lower() != "application/json" or charset not in ("", "utf-8", "utf8"):
        detail = (
            f"Content-Type is {given[:100]}; it must be application/json in UTF-8."
            if given
            else "The Content-Type header is missing; it must be application/json."
        )
        raise Refusal(Problem("unsupported_media_type", detail))


async def respond(
    send: Send,
    status: int,
    body: bytes,
    *,
    media_type: str = "application/json",
    headers: Iterable[tuple[str, str]] = (),
) -> None:
    """Send a whole answer."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", media_type.encode("latin-1")),
                (b"content-length", b"%d" % len(body)),
                *((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def respond_problem(send: Send, problem: Problem, instance: str) -> None:
    """Send a problem."""
    body = problem.as_bytes(instance)
    headers = problem.headers.items()
    await respond(send, problem.status, body, media_type=MEDIA_TYPE, headers=headers)


def _unauthorized(detail: str) -> Problem:
    return Problem("unauthorized", detail, headers={"www-authenticate": 'Bearer realm="alir"'})
