"""What FastAPI's part of the door answers where a request cannot be done: problems, always."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from alir.api.door import respond_problem
from alir.api.problems import MEDIA_TYPE, Problem, Refusal, invalid_request, problem_of
from alir.api.queries import MOST_FAULTS, query_fault, repeated
from alir.errors import AlirError
from alir.observe import get_logger

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_NO_SUCH_PATH: Final = 404
_NO_SUCH_METHOD: Final = 405

_log = get_logger("api")


class Failures:
    """The handlers of one application.

    Args:
        hot: method and path of the routes that stand in front of it.
    """

    def __init__(self, app: FastAPI, hot: Collection[tuple[str, str]]) -> None:
        self._app = app
        self._hot = hot
        app.add_exception_handler(Refusal, self._refused)
        app.add_exception_handler(AlirError, self._failed)
        app.add_exception_handler(RequestValidationError, self._not_valid)
        app.add_exception_handler(HTTPException, self._not_here)
        app.add_exception_handler(Exception, self._broke)

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)  # noqa: S101 - registered for this class
        return problem_response(request, error.problem)

    async def _failed(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, AlirError)  # noqa: S101 - registered for this class
        return problem_response(request, problem_of(error))

    async def _not_valid(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
        faults = [query_fault(found) for found in error.errors()]
        faults += repeated(request.query_params.multi_items())
        return problem_response(request, invalid_request(faults[:MOST_FAULTS]))

    async def _not_here(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
        if error.status_code not in (_NO_SUCH_PATH, _NO_SUCH_METHOD):
            return await self._broke(request, error)
        if allowed := ", ".join(self._methods(request.scope)):
            detail, headers = f"This path takes: {allowed}.", {"allow": allowed}
            problem = Problem("method_not_allowed", detail, headers=headers)
        else:
            problem = Problem("not_found", "There is nothing at this path; see /docs.")
        return problem_response(request, problem)

    async def _broke(self, request: Request, error: Exception) -> Response:
        # Not the path as it came: that may hold an id, or whatever its caller put there.
        template = getattr(request.scope.get("route"), "path", "unknown")
        return problem_response(request, _log_and_answer(request.scope, template, error))

    def _methods(self, scope: Scope) -> list[str]:
        """What the path takes, whichever part of the door answers it."""
        path = scope["path"]
        taken = [
            method
            for method in _METHODS
            if (method, path) in self._hot
            or any(
                route.matches({**scope, "method": method})[0] is Match.FULL
                for route in self._app.routes
            )
        ]
        return sorted({*taken, "HEAD"}) if "GET" in taken else taken


async def guarded(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Run a route that stands in front of FastAPI; a fault of alir's own is a problem there too."""
    try:
        await app(scope, receive, send)
    except Exception as error:  # whatever it is: its caller must get an answer
        await answer_fault(error, scope, send)


async def answer_fault(error: Exception, scope: Scope, send: Send) -> None:
    """Answer a request that broke, whatever it was: its caller must get an answer."""
    path = scope["path"]  # such a route has no parameters
    await respond_problem(send, _log_and_answer(scope, path, error), path)


def _log_and_answer(scope: Scope, route: str, error: Exception) -> Problem:
    _log.error("request_broke", method=scope["method"], route=route, exc_info=error)
    return Problem("internal_error", "The log has more.")


def problem_response(request: Request, problem: Problem) -> Response:
    """The answer that a problem is."""
    # Not `request.url`: that reads the Host header too, which may be anything.
    instance = quote(request.scope["path"], safe="/!$&'()*+,;=:@~")
    return Response(
        problem.as_bytes(instance),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=dict(problem.headers),
    )
