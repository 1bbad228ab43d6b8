"""A clock to move by hand, an HTTP client that records, a whole simulator over both."""

from __future__ import annotations

import asyncio
import heapq
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from alir.outbound.http import Answer
from alir.simulator.simulator import Simulator

START = datetime(2026, 1, 1, tzinfo=UTC)
CALLBACK_URL = "http://gateway.test/callbacks/cloud"
ROUTE_MOBILE_URL = "http://gateway.test/callbacks/routemobile/secret"
OK = Answer(200, {}, b"")
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class FakeClock:
    """Time that passes only in `advance`."""

    def __init__(self) -> None:
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._slept = 0

    def now(self) -> datetime:
        return START + timedelta(milliseconds=round(self._elapsed * 1000))

    def elapsed(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        self._slept += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, self._slept, future))
        await future

    async def advance(self, seconds: float) -> None:
        """Let time pass, and everything that is due happen at its own moment."""
        end = self._elapsed + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, future = heapq.heappop(self._sleepers)
            self._elapsed = max(due, self._elapsed)
            if not future.done():
                future.set_result(None)
            await settle()
        self._elapsed = end
        await settle()

    async def leap(self, seconds: float) -> None:
        """Let time pass in one go, as a machine that was suspended sees it."""
        self._elapsed += seconds
        await self.advance(0)


async def settle() -> None:
    """Let every task run until it waits for something."""
    for _ in range(30):
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Sent:
    """A request that was sent, and when."""

    at: float
    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.body)
        return body

    @property
    def value(self) -> dict[str, Any]:
        value: dict[str, Any] = self.json["entry"][0]["changes"][0]["value"]
        return value

    @property
    def statuses(self) -> list[str]:
        return [status["status"] for status in self.value["statuses"]]


class FakeHttp:
    """Answers with `answer`, which may raise or wait; remembers what was sent."""

    def __init__(self, clock: FakeClock) -> None:
        self.sent: list[Sent] = []
        self.answer: Callable[[], Answer] = lambda: OK
        self.open = asyncio.Event()
        self.open.set()
        self.under_way = 0
        self.most_under_way = 0
        self._clock = clock

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        assert method == "POST"
        self.sent.append(Sent(self._clock.elapsed(), url, headers, body))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.open.wait()
            return self.answer()
        finally:
            self.under_way -= 1


class World:
    """A running simulator in fake time. Use as an async context manager."""

    def __init__(
        self,
        *,
        keep: int | None = None,
        callback_url: str | None = CALLBACK_URL,
        routemobile_callback_urls: Mapping[str, str] | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.http = FakeHttp(self.clock)
        self.simulator = Simulator(
            clock=self.clock,
            http=self.http,
            keep=keep,
            callback_url=callback_url,
            routemobile_callback_url=ROUTE_MOBILE_URL,
            routemobile_callback_urls=routemobile_callback_urls,
        )

    async def __aenter__(self) -> World:
        await self.simulator.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.simulator.stop()


def flow_request(to: str = "+15551230001", **changes: Any) -> dict[str, Any]:
    """A request that breaks no rule; `changes` are put in at the top level."""
    return {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": to,
        "type": "interactive",
        "interactive": {
            "type": "flow",
            "header": {"type": "text", "text": "Visit booking"},
            "body": {"text": "Pick a time that suits you."},
            "footer": {"text": "About one minute"},
            "action": {
                "name": "flow",
                "parameters": {
                    "flow_message_version": "3",
                    "flow_id": "987654321098765",
                    "flow_cta": "Choose a time",
                    "flow_token": "01JABCDEF.sig",
                    "mode": "published",
                    "flow_action": "navigate",
                    "flow_action_payload": {"screen": "START", "data": {"branch": "north"}},
                },
            },
        },
    } | changes


def template_request(to: str = "+15551230001") -> dict[str, Any]:
    """A template with a flow button, as the reference of WhatsApp shows it."""
    action = {"flow_token": "01JABCDEF.sig", "flow_action_data": {"branch": "north"}}
    button = {
        "type": "button",
        "sub_type": "flow",
        "index": "0",
        "parameters": [{"type": "action", "action": action}],
    }
    return {
        "messaging_product": "whatsapp",
        "to": to,
        "type": "template",
        "template": {
            "name": "visit_form",
            "language": {"code": "en_US"},
            "components": [
                {"type": "body", "parameters": [{"type": "text", "text": "Ana"}]},
                button,
            ],
        },
    }


def route_mobile_flow(phone: str = "+620000000001", **changes: Any) -> dict[str, Any]:
    """Route Mobile's flow message, as its documents show it; `changes` at the top level."""
    return {
        "phone": phone,
        "enable_acculync": False,
        "type": "flow",
        "header": {"image": "https://pictures.test/banner.jpg"},
        "body": "Please fill in the form",
        "footer": "Example Clinic",
        "flow": {
            "flow_mode": "published",
            "flow_token": "tok-0001",
            "flow_id": "100000000000001",
            "flow_cta": "Open form",
            "flow_action": "navigate",
            "flow_action_payload": {"screen": "WELCOME", "data": {"name": "Ani"}},
        },
    } | changes


def route_mobile_template(phone: str = "+620000000001", **changes: Any) -> dict[str, Any]:
    """Route Mobile's template with a Flow button; `changes` to its `media`."""
    media = {
        "type": "media_template",
        "template_name": "visit_form",
        "lang_code": "id",
        "header": [{"image": {"link": "https://pictures.test/a.jpg", "file_name": "a.jpg"}}],
        "body": [{"text": "Ani"}, {"text": "Tuesday"}],
        "button": [{"button_no": "0", "flow": "tok-0001"}],
    }
    return {"phone": phone, "extra": "ref", "media": media | changes}


def paths(value: Any, path: tuple[Any, ...] = ()) -> Any:
    """Where everything in a JSON value stands, as keys and places to go through."""
    if path:
        yield path
    steps = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for step, inner in steps:
        yield from paths(inner, (*path, step))
