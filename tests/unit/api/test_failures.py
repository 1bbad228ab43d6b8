"""Whatever goes wrong behind the door is answered with a problem."""

from __future__ import annotations

from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI, Query
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.testing import capture_logs
from tests.running import in_a_loop

from alir.api.failures import Failures, guarded
from alir.api.queries import MOST_FAULTS, ListQuery
from alir.errors import NotFound


def app_with_failures() -> FastAPI:
    app = FastAPI(openapi_url=None, redirect_slashes=False)

    @app.get("/list")
    async def listed(query: Annotated[ListQuery, Query()]) -> None: ...

    @app.get("/missing")
    async def missing() -> None:
        raise NotFound("no such thing")

    @app.get("/broken")
    @app.get("/broken/{secret}")
    async def broken(secret: str = "") -> None:
        raise RuntimeError("a secret")

    Failures(app, [("POST", "/list"), ("PUT", "/hot")])
    return app


async def ask(app: ASGIApp, method: str, path: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.request(method, path, headers=headers)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    return answer


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/list", "GET, HEAD, POST"),
        ("GET", "/hot", "PUT"),
        ("PUT", "/missing", "GET, HEAD"),
    ],
)
@in_a_loop
async def test_a_path_names_its_methods_also_those_of_the_routes_in_front(
    method: str, path: str, allowed: str
) -> None:
    answer = await ask(app_with_failures(), method, path)

    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize("path", ["/nothing", "/list/", "/missing", "/a%00b%ff c"])
@in_a_loop
async def test_what_is_not_there_is_not_found_and_named_as_a_url(path: str) -> None:
    answer = await ask(app_with_failures(), "GET", path)

    assert answer.status_code == 404
    assert answer.json()["instance"].isascii()
    assert " " not in answer.json()["instance"]


@in_a_loop
async def test_a_host_header_that_is_none_harms_nothing() -> None:
    answer = await ask(app_with_failures(), "GET", "/missing", host="[")

    assert answer.status_code == 404


@in_a_loop
async def test_a_fault_of_its_own_says_nothing_of_itself() -> None:
    answer = await ask(app_with_failures(), "GET", "/broken")

    assert answer.status_code == 500
    assert "secret" not in answer.text


@in_a_loop
async def test_a_fault_is_logged_with_the_routes_template_not_with_what_its_caller_put_there() -> (
    None
):
    with capture_logs() as logged:
        await ask(app_with_failures(), "GET", "/broken/628210000000?to=628210000001")

    [line] = logged
    assert (line["event"], line["method"], line["route"]) == (
        *("request_broke", "GET"),
        "/broken/{secret}",
    )
    assert "62821" not in str(line)


@in_a_loop
async def test_a_fault_of_a_route_in_front_is_a_problem_too() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("a secret")

    async def door(scope: Scope, receive: Receive, send: Send) -> None:
        await guarded(broken, scope, receive, send)

    answer = await ask(door, "POST", "/hot")

    assert answer.status_code == 500
    assert answer.json()["type"] == "/problems/internal_error"
    assert "secret" not in answer.text


@in_a_loop
async def test_a_query_is_told_all_its_faults_with_codes_of_alirs() -> None:
    answer = await ask(
        app_with_failures(), "GET", "/list?status=x&limit=0&to=0812&a/b=1&flow_id=" + "x" * 65
    )

    assert found(answer) == {
        "#/status": "not_a_choice",
        "#/limit": "wrong_value",
        "#/to": "country_code_missing",
        "#/flow_id": "too_long",
        "#/a~1b": "unknown_field",
    }


@in_a_loop
async def test_a_long_query_makes_no_far_longer_answer() -> None:
    query = "&".join(f"p{number}=" for number in range(1000))

    answer = await ask(app_with_failures(), "GET", f"/list?{query}")

    assert len(found(answer)) == MOST_FAULTS


def found(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 422
    return {error["pointer"]: error["code"] for error in answer.json()["errors"]}
