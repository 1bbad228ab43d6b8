"""What is below `/routemobile`, as Route Mobile answers it. The hot path: bare ASGI."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from pydantic_core import from_json, to_json
from starlette.types import Receive, Scope, Send

from alir.clock import Clock, to_milliseconds
from alir.simulator.asgi import BodyTooLarge, ClientGone, answer, header, read_body
from alir.simulator.behaviour import UnknownKeys
from alir.simulator.carrier import Carrier
from alir.simulator.ids import new_request_id, new_wamid
from alir.simulator.magic import Fate, magic_code
from alir.simulator.network import Network
from alir.simulator.phones import ROUTE_MOBILE, Received
from alir.simulator.refused import recipient_of
from alir.simulator.routemobile import refusal as refusals
from alir.simulator.routemobile import token as tokens
from alir.simulator.routemobile import wire
from alir.simulator.routemobile.check import Request, check, details
from alir.simulator.routemobile.dialect import RouteMobileDialect
from alir.simulator.routemobile.refusal import RouteMobileRefusal

BODY_MAX = 1024 * 1024  # bytes
LOGIN = "/auth/v1/login/"
MESSAGES = "/wba/v1/messages"
ACCOUNT = "/wba/management/v1/wbp-account-details"

_METHODS = {LOGIN: "POST", MESSAGES: "POST", ACCOUNT: "GET"}
_JSON = b"application/json"


class RouteMobileRoute:
    """Takes the requests below `/routemobile`; `path` is what follows it.

    Attributes:
        users: who has logged in so far.
    """

    def __init__(
        self,
        carrier: Carrier,
        *,
        clock: Clock,
        dialect: RouteMobileDialect,
        password: str,
        ended: asyncio.Event,
    ) -> None:
        self.users: set[str] = set()
        self._carrier = carrier
        self._clock = clock
        self._dialect = dialect
        self._password = password
        self._key = password.encode()
        self._network = Network(carrier, clock=clock, ended=ended)

    async def __call__(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            await self._answer(path, scope, receive, send)
        except ClientGone:
            return
        except BodyTooLarge:
            await self._refuse(send, refusals.too_large())
        except RouteMobileRefusal as refusal:
            await self._refuse(send, refusal)

    async def _answer(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        if path not in _METHODS:
            raise refusals.not_found()
        if scope["method"] != _METHODS[path]:
            raise refusals.not_allowed()
        if path == LOGIN:
            body = self._log_in(_parse(await read_body(receive, most=BODY_MAX)))
            await answer(send, HTTPStatus.CREATED, body, content_type=_JSON)
            return
        user = self._user(scope)
        if path == ACCOUNT:
            body = wire.account(user, self._dialect.url(user))
            await answer(send, HTTPStatus.OK, body, content_type=_JSON)
            return
        body = await read_body(receive, most=BODY_MAX)
        parsed = _parse(body)
        strict = self._carrier.behaviour.routemobile.unknown_keys is UnknownKeys.REFUSE
        try:
            request = check(parsed, strict=strict)
            await self._fulfil(request, user, body, (scope, receive, send))
        except RouteMobileRefusal as refusal:
            await self._refuse(send, refusal, sender=user, to=recipient_of(parsed, "phone"))

    def _log_in(self, body: object) -> bytes:
        if not isinstance(body, dict):
            raise refusals.not_json()
        given = details(body)
        if given["password"] != self._password:
            raise refusals.bad_credentials()
        username = given["username"]
        self.users.add(username)
        seconds = self._carrier.behaviour.routemobile.token_seconds
        token = tokens.issue(username, key=self._key, now=self._now(), seconds=seconds)
        return wire.logged_in(username, token)

    def _user(self, scope: Scope) -> str:
        """Whose token this is; it may stand bare or behind `Bearer`."""
        given = (header(scope, b"authorization") or b"").decode("latin-1").strip()
        if given[:7].lower() == "bearer ":
            given = given[7:].strip()
        if not given:
            raise refusals.no_token()
        try:
            return tokens.read(given, key=self._key, now=self._now())
        except tokens.TokenExpired:
            raise refusals.token_expired() from None
        except tokens.TokenBroken:
            raise refusals.bad_token() from None

    async def _fulfil(
        self, request: Request, user: str, body: bytes, asgi: tuple[Scope, Receive, Send]
    ) -> None:
        if (own := refusals.MAGIC.get(magic_code(request.phone))) is not None:
            raise own()
        its = self._carrier.destiny(
            provider=ROUTE_MOBILE, sender=user, phone=request.phone, kind=request.kind
        )

        def message() -> Received:
            return Received(
                wamid=new_wamid(),
                request_id=new_request_id(),
                provider=ROUTE_MOBILE,
                sender=user,
                phone=request.phone,
                at=self._carrier.now(),
                body=body,
                kind=request.kind,
                mark=request.extra,
            )

        if its.fate in (Fate.TAKEN, Fate.FAILS_LATER, Fate.REFUSED):
            # Route Mobile takes everything; what WhatsApp refuses comes back as a receipt.
            taken = message()
            await self._carrier.take(taken, fails=its.error.code if its.error else request.fails)
            reply = wire.accepted(taken.request_id or "")
            await answer(asgi[2], HTTPStatus.ACCEPTED, reply, content_type=_JSON)
            return
        too_many = to_json({"message": "Too Many Requests", "status": "failed"})
        await self._network.carry_out(its.fate, message, asgi, too_many=too_many)

    async def _refuse(
        self, send: Send, refusal: RouteMobileRefusal, *, sender: str = "", to: str = ""
    ) -> None:
        self._carrier.refuse(f"HTTP {refusal.http}", refusal.why, sender=sender, to=to)
        await answer(send, refusal.http, to_json(refusal.body), content_type=_JSON)

    def _now(self) -> float:
        """Seconds since 1970."""
        return to_milliseconds(self._clock.now()) / 1000


def _parse(body: bytes) -> object:
    try:
        parsed: object = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise refusals.not_json() from error
    return parsed
