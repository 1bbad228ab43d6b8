"""The page on which one watches the phones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from alir import __version__
from alir.simulator.recipients import is_user_id, label
from alir.simulator.simulator import ACCESS_TOKEN, PHONE_NUMBER_ID, Simulator
from alir.simulator.view import chat, colour, named, refusal, row

PHONES_SHOWN = 100
MESSAGES_SHOWN = 200
#: How often a page is told at most that something changed, in seconds.
PULSE = 0.1
#: How often an open page hears something at least, in seconds, so that no proxy closes it.
HEARTBEAT = 15.0

#: Nothing is loaded from another host, and nothing that a message holds is run.
SECURITY = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Example:
    """How a first message is sent, as the empty page shows it.

    Attributes:
        says: a sentence above the command.
        command: a shell command; `{origin}` in it becomes the page's own scheme and host,
            `{number}` and `{token}` the simulator's phone number id and access token.
        beside: name and path of the pages that the same server has beside this one.
    """

    says: str
    command: str
    beside: Sequence[tuple[str, str]] = ()


GATEWAY_EXAMPLE = Example(
    "Send one with the API token that alir printed at its first start:",
    """\
curl {origin}/api/whatsapp/v1/messages \\
  -H "Authorization: Bearer $ALIR_API_TOKEN" \\
  -H "Content-Type: application/json" \\
  -d '{
    "to": "+15551230001",
    "type": "flow",
    "flow": {
      "id": "1", "token": "first",
      "text": "Book a visit", "screen": "START",
      "param": {"body": "When would you like to come?"}
    }
  }'""",
    beside=(("API", "/docs"), ("Problems", "/problems"), ("OpenAPI", "/openapi.json")),
)
GRAPH_EXAMPLE = Example(
    "Send one as you would to the Cloud API:",
    """\
curl {origin}/simulator/graph/v24.0/{number}/messages \\
  -H "Authorization: Bearer {token}" \\
  -H "Content-Type: application/json" \\
  -d '{
    "messaging_product": "whatsapp", "to": "+15551230001",
    "type": "interactive",
    "interactive": {
      "type": "flow",
      "body": {"text": "When would you like to come?"},
      "action": {"name": "flow", "parameters": {
        "flow_message_version": "3",
        "flow_id": "1", "flow_cta": "Book a visit"
      }}
    }
  }'""",
)


def page_routes(simulator: Simulator, *, example: Example) -> list[BaseRoute]:
    """The page, its live parts and its files."""
    pages = Pages(simulator, example)
    return [
        Route("/", pages.whole, methods=["GET"]),
        Route("/parts", pages.parts, methods=["GET"]),
        Route("/live", pages.live, methods=["GET"]),
        Mount("/static", StaticFiles(packages=[("alir.simulator", "static")])),
    ]


class Pages:
    """The endpoints. `?phone=` chooses a phone, `?find=` narrows the list."""

    def __init__(self, simulator: Simulator, example: Example) -> None:
        self._simulator = simulator
        self._example = example
        templates = Environment(
            loader=PackageLoader("alir.simulator"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._page = templates.get_template("page.html")
        self._parts = templates.get_template("parts.html")

    async def whole(self, request: Request) -> Response:
        """The page."""
        html = self._page.render(self._values(request))
        return Response(html, media_type="text/html", headers=SECURITY)

    async def parts(self, request: Request) -> Response:
        """Its parts that change."""
        html = self._parts.render(self._values(request))
        return Response(html, media_type="text/html", headers=SECURITY)

    async def live(self, request: Request) -> Response:  # noqa: ARG002 (Starlette hands it in)
        """Says that something changed, as server-sent events, until the simulator ends."""
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(self._changes(), media_type="text/event-stream", headers=headers)

    async def _changes(self) -> AsyncIterator[str]:
        # Looking at a number ten times a second is cheaper than waking a task at every receipt.
        clock, phones = self._simulator.clock, self._simulator.phones
        seen: int | None = None
        spoke = clock.elapsed()
        while not self._simulator.ended.is_set():
            if phones.version != seen:
                seen = phones.version
                spoke = clock.elapsed()
                yield f"data: {seen}\n\n"
            elif clock.elapsed() - spoke >= HEARTBEAT:
                spoke = clock.elapsed()
                yield ":\n\n"
            await clock.sleep(PULSE)

    def _callback_urls(self) -> list[str]:
        """Where callbacks go. The end of Route Mobile's is a secret, and is not shown."""
        it = self._simulator
        routemobile = [it.routemobile_callback_url, *it.routemobile_callback_urls.values()]
        shown = [f"{url.rpartition('/')[0]}/…" for url in routemobile if url]
        return list(dict.fromkeys(filter(None, [it.callback_url, *shown])))

    def _values(self, request: Request) -> dict[str, object]:
        phones = self._simulator.phones
        find = _digits(request.query_params.get("find", ""))
        chosen = _recipient(request.query_params.get("phone", ""))
        phone = phones.phone(chosen) if chosen else None
        shown = phones.recent(limit=PHONES_SHOWN, containing=find)
        last = phones.last_received(chosen) if chosen else None
        origin = f"{request.url.scheme}://{request.url.netloc}"
        return {
            "base": request.scope["root_path"],
            "version": __version__,
            "find": find,
            "chosen": chosen,
            "label": label(chosen),
            "colour": colour(chosen),
            "rows": [row(each) for each in shown],
            "count": len(phones),
            "shown": PHONES_SHOWN,
            "chat": chat(phone, limit=MESSAGES_SHOWN) if phone else [],
            "earlier": max(0, len(phone.entries) - MESSAGES_SHOWN) if phone else 0,
            "sender": named(last) if last else "",
            "callback_urls": self._callback_urls(),
            "refused": [refusal(each) for each in reversed(self._simulator.carrier.refused)],
            "beside": self._example.beside,
            "waiting": self._simulator.callbacks.waiting,
            "says": self._example.says,
            "command": _fill(self._example.command, origin),
        }


def _fill(command: str, origin: str) -> str:
    filled = command.replace("{number}", PHONE_NUMBER_ID).replace("{token}", ACCESS_TOKEN)
    return filled.replace("{origin}", origin)


def _recipient(text: str) -> str:
    return text if is_user_id(text) else _digits(text)


def _digits(text: str) -> str:
    return "".join(each for each in text if each.isascii() and each.isdigit())
