"""The simulator over HTTP: the look-alikes, its own API and the page, as one ASGI app."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from alir.simulator.api import api_routes
from alir.simulator.asgi import answer
from alir.simulator.pages import GATEWAY_EXAMPLE, Example, page_routes
from alir.simulator.peers import THIS_MACHINE, Peers
from alir.simulator.problems import Problem
from alir.simulator.simulator import Simulator

PREFIX = "/simulator"
_GRAPH = "/graph"
_ROUTE_MOBILE = "/routemobile"


def build_app(
    simulator: Simulator,
    *,
    prefix: str = PREFIX,
    allow_networks: Iterable[str] = THIS_MACHINE,
    example: Example = GATEWAY_EXAMPLE,
) -> ASGIApp:
    """The app. Mounted at `prefix` or alone, its paths begin with `prefix`.

    It neither starts nor stops `simulator`. So that 000409 can hang up, the server must be run
    with `hang_up.HangUpProtocol`.

    Args:
        allow_networks: where requests may come from; all others get 403.
        example: what the empty page tells to try.

    Raises:
        ValueError: one of `allow_networks` is not a network.
    """
    return _App(simulator, prefix, Peers(allow_networks), example)


class _App:
    def __init__(self, simulator: Simulator, prefix: str, peers: Peers, example: Example) -> None:
        self._graph = simulator.graph
        self._routemobile = simulator.routemobile
        self._prefix = prefix
        self._peers = peers
        self._rest = Starlette(
            routes=[*api_routes(simulator), *page_routes(simulator, example=example)],
            exception_handlers={Problem: _answer_problem, HTTPException: _answer_http_error},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"the simulator serves http, not {scope['type']}")
        client = scope.get("client")
        if client is None or not self._peers.allow(client[0]):
            await self._turn_away(client, send)
            return
        path: str = scope["path"]
        base = self._base(scope)
        own = path[len(base) :] or "/"
        if not path.startswith(base) or own[0] != "/":
            await _answer_outside(path, base, send)
        elif own.startswith(_GRAPH):
            await self._graph(own[len(_GRAPH) :], scope, receive, send)
        elif own.startswith(_ROUTE_MOBILE):
            await self._routemobile(own[len(_ROUTE_MOBILE) :], scope, receive, send)
        else:
            inner = {**scope, "root_path": base, "path": base + own}
            await self._rest(inner, receive, send)

    def _base(self, scope: Scope) -> str:
        """What a URL has before the app's own path: a mount has put it into `root_path`."""
        root = str(scope.get("root_path", ""))
        return root if root.endswith(self._prefix) else root + self._prefix

    async def _turn_away(self, client: tuple[str, int] | None, send: Send) -> None:
        networks = ", ".join(str(network) for network in self._peers.networks)
        here = client[0] if client else "a socket without an address"
        text = (
            f"The simulator takes requests from {networks} only; this one came from {here}."
            " Its credentials are public, so the network is what guards it: widen"
            " allow_networks under [simulator] where that is safe.\n"
        )
        await answer(send, 403, text.encode(), content_type=b"text/plain; charset=utf-8")


async def _answer_outside(path: str, base: str, send: Send) -> None:
    """Alone, the root leads to the page; in the gateway nothing outside comes here."""
    if path == "/":
        await answer(send, 307, b"", headers=[(b"location", base.encode())])
    else:
        await answer(send, 404, b"Not Found", content_type=b"text/plain; charset=utf-8")


async def _answer_problem(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette gives both
    if not isinstance(error, Problem):
        raise error
    return error.response()


async def _answer_http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    status = HTTPStatus(error.status_code)
    response = Problem(status, f"{request.method} {request.url.path}: {status.phrase}").response()
    response.headers.update(error.headers or {})
    return response
