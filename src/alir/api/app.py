"""The whole door: the hot routes in front, everything else behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from alir import __version__
from alir.api.ports import Gateway
from alir.api.problems import MEDIA_TYPE, Problem, Refusal, invalid_request, problem_of
from alir.api.rights import Rights
from alir.api.routes import health, messages
from alir.api.routes.callbacks import CloudCallback, CloudHandshake
from alir.api.routes.send import SendMessage
from alir.errors import AlirError, Fault
from alir.observe import get_logger

BASE = "/api/whatsapp/v1"

_log = get_logger("api")


@dataclass(frozen=True, slots=True)
class Mounted:
    """An application with a path of its own, such as the simulator."""

    path: str
    app: ASGIApp


class Door:
    """The ASGI application: a few routes are looked up at once, the rest is FastAPI's.

    A raw endpoint costs a third of what one of FastAPI's own routes does (measured; see design,
    section 6), so the routes that carry every message and every receipt are raw.
    """

    def __init__(self, gateway: Gateway, mounted: Sequence[Mounted] = ()) -> None:
        self._hot: dict[tuple[str, str], ASGIApp] = {
            ("POST", f"{BASE}/messages"): SendMessage(gateway),
            ("POST", "/callbacks/cloud"): CloudCallback(gateway),
            ("GET", "/callbacks/cloud"): CloudHandshake(gateway),
        }
        self.rest = _fastapi(gateway)
        for one in mounted:
            self.rest.mount(one.path, one.app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            app = self._hot.get((scope["method"], scope["path"]), self.rest)
        else:
            app = self.rest
        await app(scope, receive, send)


def _fastapi(gateway: Gateway) -> FastAPI:
    app = FastAPI(title="alir", version=__version__, docs_url=None, redoc_url=None)
    rights = Rights(gateway.tokens)
    app.include_router(messages.router(gateway, rights), prefix=BASE)
    app.include_router(health.router(gateway))
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(AlirError, _failed)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _broke)
    return app


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101 - registered for this class
    return _response(request, error.problem)


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, AlirError)  # noqa: S101 - registered for this class
    return _response(request, problem_of(error))


async def _not_valid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    faults = [
        Fault(
            "#/" + "/".join(str(part) for part in one["loc"][1:]),
            "unknown_field" if one["type"] == "extra_forbidden" else "wrong_value",
            f"{one['msg']}.",
        )
        for one in error.errors()
    ]
    return _response(request, invalid_request(faults))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    if error.status_code == 405:  # noqa: PLR2004
        allowed = (error.headers or {}).get("Allow", "")
        problem = Problem(
            "method_not_allowed", f"This path takes: {allowed}.", headers={"allow": allowed}
        )
    elif error.status_code == 404:  # noqa: PLR2004
        problem = Problem("not_found", "There is nothing at this path; see /docs.")
    else:
        problem = Problem("internal_error", "The log has more.")
    return _response(request, problem)


async def _broke(request: Request, error: Exception) -> Response:
    _log.error("request_broke", route=request.scope.get("path"), exc_info=error)
    return _response(request, Problem("internal_error", "The log has more."))


def _response(request: Request, problem: Problem) -> Response:
    return Response(
        problem.as_bytes(request.url.path),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=dict(problem.headers),
    )
