"""What is below `/graph`, as Graph answers it. The hot path, messages, is bare ASGI."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json, to_json
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send

from alir.clock import Clock
from alir.simulator.asgi import BodyTooLarge, ClientGone, answer, header, read_body
from alir.simulator.carrier import Carrier
from alir.simulator.codes import error_codes
from alir.simulator.graph import nodes, wire
from alir.simulator.graph.check import Request, check
from alir.simulator.graph.refusal import ACCESS_TOKEN, INVALID, GraphRefusal, NodeRefusal, invalid
from alir.simulator.ids import new_wamid
from alir.simulator.magic import Destiny, Fate
from alir.simulator.network import Network
from alir.simulator.phones import CLOUD, Received
from alir.simulator.refused import recipient_of

BODY_MAX = 1024 * 1024  # bytes
UNAUTHORIZED = 401
_NO_QUERY: Mapping[str, str] = {}

_PATH = re.compile(r"/v[0-9]+(?:\.[0-9]+)?/([^/]+)(?:/(messages|subscribed_apps))?")
_METHODS = {"messages": "POST", "subscribed_apps": "GET", None: "GET"}


class GraphRoute:
    """Takes the requests below `/graph`; `path` is what follows it."""

    def __init__(
        self,
        carrier: Carrier,
        *,
        clock: Clock,
        access_token: str,
        app_secret: str,
        ended: asyncio.Event,
    ) -> None:
        self._carrier = carrier
        self._access_token = access_token
        self._bearer = access_token.encode()
        self._app_secret = app_secret
        self._network = Network(carrier, clock=clock, ended=ended)

    async def __call__(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        parsed: object = None
        try:
            node, edge, query = self._admit(path, scope)
            if edge != "messages":
                await answer(send, 200, to_json(self._tell(node, edge, query)))
                return
            body = await read_body(receive, most=BODY_MAX)
            parsed = _parse(body)
            request = check(parsed)
        except ClientGone:
            return
        except BodyTooLarge:
            refusal = GraphRefusal(
                INVALID, f"The body may have {BODY_MAX} bytes at most.", http=413
            )
            await self._refuse(send, refusal, sender=_node(path))
        except GraphRefusal as refusal:
            to = recipient_of(parsed, "to", "recipient")
            await self._refuse(send, refusal, sender=_node(path), to=to)
        else:
            its = self._carrier.destiny(
                provider=CLOUD, sender=node, phone=request.recipient, kind=request.kind
            )
            await self._fulfil(its, request, node, body, (scope, receive, send))

    def _admit(self, path: str, scope: Scope) -> tuple[str, str | None, Mapping[str, str]]:
        """Node, edge and query, where path, method and access token are in order."""
        scheme, _, token = (header(scope, b"authorization") or b"").partition(b" ")
        if scheme.lower() != b"bearer" or token.strip() != self._bearer:
            raise GraphRefusal(ACCESS_TOKEN, "Send Authorization: Bearer and the access token.")
        found = _PATH.fullmatch(path)
        if found is None:
            raise invalid(
                "Unknown path; the simulator has /v24.0/{phone_number_id}/messages,"
                " /v24.0/{phone_number_id} and /v24.0/{waba_id}/subscribed_apps."
            )
        node, edge = found[1], found[2]
        if scope["method"] != _METHODS[edge]:
            raise invalid(f"Unsupported {scope['method'].lower()} request.")
        query = QueryParams(scope["query_string"]) if scope["query_string"] else _NO_QUERY
        nodes.check_proof(
            query.get("appsecret_proof"),
            access_token=self._access_token,
            app_secret=self._app_secret,
        )
        return node, edge, query

    def _tell(self, node: str, edge: str | None, query: Mapping[str, str]) -> dict[str, Any]:
        graph = self._carrier.behaviour.graph
        if edge == "subscribed_apps":
            return nodes.subscribed_apps(graph)
        return nodes.phone_number(node, query.get("fields"), graph)

    async def _fulfil(
        self,
        its: Destiny,
        request: Request,
        sender: str,
        body: bytes,
        asgi: tuple[Scope, Receive, Send],
    ) -> None:
        send = asgi[2]
        match its:
            case Destiny(Fate.TAKEN | Fate.FAILS_LATER, error):
                message = self._message(request, sender, body)
                await self._carrier.take(message, fails=error.code if error else None)
                await _accept(send, request, message)
            case Destiny(Fate.REFUSED, error) if error is not None:
                refusal = GraphRefusal(error.code, wire.why(error.code))
                await self._refuse(send, refusal, sender=sender, to=request.recipient)
            case _:
                await self._network.carry_out(
                    its.fate,
                    lambda: self._message(request, sender, body),
                    asgi,
                    too_many=wire.error_without_code("Too many requests"),
                )

    async def _refuse(
        self, send: Send, refusal: GraphRefusal, *, sender: str, to: str = ""
    ) -> None:
        self._carrier.errors[refusal.code] += 1
        row = error_codes()[refusal.code]
        why = f"{row.title}. {refusal.details}"
        self._carrier.refuse(str(refusal.code), why, sender=sender, to=to)
        if isinstance(refusal, NodeRefusal):
            body = wire.node_error(refusal.code, message=refusal.details, subcode=refusal.subcode)
        else:
            body = wire.error(refusal.code, title=row.title, details=refusal.details)
        challenge = [(b"www-authenticate", b"OAuth")] if row.http == UNAUTHORIZED else []
        await answer(send, refusal.http or row.http, body, headers=challenge)

    def _message(self, request: Request, sender: str, body: bytes) -> Received:
        return Received(
            wamid=new_wamid(),
            provider=CLOUD,
            sender=sender,
            phone=request.recipient,
            at=self._carrier.now(),
            body=body,
            kind=request.kind,
            mark=request.mark,
        )


def _node(path: str) -> str:
    found = _PATH.fullmatch(path)
    return found[1] if found else ""


def _parse(body: bytes) -> object:
    try:
        parsed: object = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise invalid(f"The request body is not JSON: {error}.") from error
    return parsed


async def _accept(send: Send, request: Request, message: Received) -> None:
    body = wire.accepted(request, wamid=message.wamid)
    await answer(send, 200, body)
