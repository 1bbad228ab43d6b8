"""The pages for developers: the API's reference, and one page for each problem."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from importlib.resources import files
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from pydantic_core import to_json

from alir import __version__
from alir.api.openapi import Document, document
from alir.api.problems import TYPES, Problem, ProblemType, Refusal, example_of
from alir.api.reference import Reference, pretty
from alir.messages.faults import FAULT_CODES, WARNING_CODES

#: Nothing is loaded from another host, and nothing that a page holds is run.
SECURITY: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_FILES: Final = {
    "pages.css": "text/css",
    "pages.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
#: How long a browser may keep a file; its URL changes with the version.
_KEEP_FILES: Final = "public, max-age=86400"
#: Schemas that the reference page shows once, and what it calls them.
_APART: Final = {
    "MessageShape": "message",
    "WarningShape": "warning",
    "SenderShape": "sender",
    "ProblemShape": "problem",
}
_HOST: Final = re.compile(r"[A-Za-z0-9.\-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")
_DEFAULT_ORIGIN: Final = "http://127.0.0.1:8080"
_CODE: Final = re.compile(r"`([^`]+)`")


def router(app: FastAPI, callbacks: Document, *, base: str, simulator: str | None) -> APIRouter:
    """The pages of `app`, the OpenAPI document among them.

    Args:
        callbacks: the paths that providers call, as OpenAPI has them.
        base: what the API's paths begin with.
        simulator: where the simulator's page is, if it is on.
    """
    pages = _Pages(app, callbacks, base, simulator)
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    async def index() -> Response:
        return RedirectResponse("/docs")

    @routes.get("/openapi.json")
    async def openapi() -> Response:
        headers = {"x-content-type-options": "nosniff"}
        return Response(pages.openapi, media_type="application/json", headers=headers)

    @routes.get("/docs")
    async def docs(request: Request) -> Response:
        return pages.html("docs.html", request, **pages.reference)

    @routes.get("/problems")
    async def problems(request: Request) -> Response:
        if _wants_json(request):
            return _json([_as_json(kind) for kind in TYPES.values()])
        return pages.html("problems.html", request, kinds=TYPES.values())

    @routes.get("/problems/{code}")
    async def problem(code: str, request: Request) -> Response:
        kind = TYPES.get(code)
        if kind is None:
            raise Refusal(Problem("not_found", "There is no problem with this code."))
        if _wants_json(request):
            return _json(_as_json(kind))
        example = pretty(example_of(kind))
        codes = _codes(kind)
        return pages.html("problem.html", request, kind=kind, example=example, codes=codes)

    @routes.get("/docs/static/{name}")
    async def static(name: str) -> Response:
        if name not in _FILES:
            raise Refusal(Problem("not_found", "There is nothing at this path; see /docs."))
        content = files("alir.api").joinpath("static", name).read_bytes()
        headers = {"x-content-type-options": "nosniff", "cache-control": _KEEP_FILES}
        return Response(content, media_type=_FILES[name], headers=headers)

    return routes


class _Pages:
    """Makes the pages; what costs much is made when it is first asked for."""

    def __init__(self, app: FastAPI, callbacks: Document, base: str, simulator: str | None) -> None:
        self._app = app
        self._callbacks = callbacks
        self._base = base
        self._shared = {"base": base, "simulator": simulator, "version": __version__}
        self._templates = Environment(
            loader=PackageLoader("alir.api"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["prose"] = _prose

    @cached_property
    def openapi(self) -> bytes:
        return to_json(self._document, indent=1)

    @cached_property
    def reference(self) -> Mapping[str, Any]:
        reference = Reference(self._document, _APART)
        return {
            "operations": list(reference.operations()),
            "tags": self._document["tags"],
            "introduction": self._document["info"]["description"],
            "shapes": list(reference.shapes()),
            "kinds": TYPES.values(),
        }

    @cached_property
    def _document(self) -> Document:
        return document(self._app, self._callbacks, base=self._base)

    def html(self, template: str, request: Request, **values: Any) -> Response:
        values |= self._shared | {"origin": _origin(request), "here": request.scope["path"]}
        page = self._templates.get_template(template).render(values)
        headers = SECURITY | {"vary": "accept"}
        return Response(page, media_type="text/html", headers=headers)


def _origin(request: Request) -> str:
    """How the reader reaches this gateway, as far as it can be told; shown in commands."""
    host = request.headers.get("host", "")
    return f"{request.scope['scheme']}://{host}" if _HOST.fullmatch(host) else _DEFAULT_ORIGIN


def _wants_json(request: Request) -> bool:
    """A page is for people, unless its reader names JSON and not HTML."""
    accept = request.headers.get("accept", "").lower()
    return "json" in accept and "text/html" not in accept


def _json(data: object) -> Response:
    headers = {"x-content-type-options": "nosniff", "vary": "accept"}
    return Response(to_json({"data": data}), media_type="application/json", headers=headers)


def _as_json(kind: ProblemType) -> Mapping[str, Any]:
    about = {
        "code": kind.code,
        "status": kind.status,
        "title": kind.title,
        "meaning": kind.meaning,
        "remedy": kind.remedy,
        "example": example_of(kind),
    }
    return {**about, **_codes(kind)}


def _codes(kind: ProblemType) -> Mapping[str, Mapping[str, str]]:
    """The codes that a problem page explains besides its own."""
    if kind.code != "invalid_request":
        return {}
    return {"errors": FAULT_CODES, "warnings": WARNING_CODES}


def _prose(text: str) -> Markup:
    """Plain text with `code` in it, as HTML.

    >>> _prose("Send `wait=5` & <wait>.")
    Markup('Send <code>wait=5</code> &amp; &lt;wait&gt;.')
    """
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before
