from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from tests.unit.simulator.doubles import World, flow_request

from alir.simulator.app import build_app

PATH = "/simulator/graph/v24.0/{sender}/messages"
JSON = {"content-type": "application/json"}


class Client:
    """The simulator's HTTP API."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def send(self, to: str, *, sender: str = "1065000000") -> str:
        answer = await self.http.post(
            PATH.format(sender=sender),
            headers={"authorization": "Bearer simulator"},
            json=flow_request(to),
        )
        wamid: str = answer.json()["messages"][0]["id"]
        return wamid

    async def listed(self, query: str = "") -> list[dict[str, Any]]:
        answer = await self.http.get(f"/simulator/api/messages{query}")
        assert answer.status_code == 200, answer.text
        data: list[dict[str, Any]] = answer.json()["data"]
        return data


def over_http(story: Callable[[World, Client], Awaitable[None]], **world: Any) -> None:
    async def run() -> None:
        async with World(**world) as it:
            transport = httpx.ASGITransport(app=build_app(it.simulator))
            async with httpx.AsyncClient(transport=transport, base_url="http://alir.test") as http:
                await story(it, Client(http))

    asyncio.run(run())


def test_a_message_is_listed_with_its_request_and_its_receipts() -> None:
    async def story(world: World, client: Client) -> None:
        wamid = await client.send("+1 555 123-0001")
        await world.clock.advance(0.2)
        answered = {"state": "answered", "tries": 1, "problem": None}
        assert await client.listed() == [
            {
                "wamid": wamid,
                "provider": "cloud",
                "sender": "1065000000",
                "to": "+15551230001",
                "received_at": "2026-01-01T00:00:00.000Z",
                "request": flow_request("+1 555 123-0001"),
                "receipts": [
                    {"status": "sent", "at": "2026-01-01T00:00:00.050Z", "callback": answered},
                    {"status": "delivered", "at": "2026-01-01T00:00:00.150Z", "callback": answered},
                ],
            }
        ]

    over_http(story)


def test_a_failed_receipt_is_listed_with_its_error() -> None:
    async def story(world: World, client: Client) -> None:
        await client.send("+1 5550 131026")
        await world.clock.advance(1)
        [message] = await client.listed()
        assert message["receipts"][0]["error"] == {"code": 131026, "title": "Message undeliverable"}

    over_http(story)


def test_messages_are_listed_oldest_first_however_many() -> None:
    async def story(world: World, client: Client) -> None:
        sent = [await client.send(f"+1555123{number:04}") for number in range(1200)]
        assert [message["wamid"] for message in await client.listed()] == sent

    over_http(story)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [0, 1, 2]),
        ("?to=%2B15551230001", [0, 2]),
        ("?to=+15551230001", [0, 2]),  # the plus sign arrives as a space
        ("?to=15551230001", [0, 2]),
        ("?to=1 (555) 123-0001", [0, 2]),
        ("?to=%2B19995550000", []),
        ("?sender=2", [1]),
        ("?to=15551230001&sender=2", []),
        ("?since=2026-01-01T00:00:02Z", [2]),
        ("?since=2026-01-01T01:00:01%2B01:00", [1, 2]),
        ("?since=2026-01-01T01:00:01+01:00", [1, 2]),  # the same, with the plus sign lost
        ("?since=2026-01-01T00:00:00.500Z", [1, 2]),
    ],
)
def test_the_list_can_be_narrowed(query: str, expected: list[int]) -> None:
    async def story(world: World, client: Client) -> None:
        sent = []
        for to, sender in [("+15551230001", "1"), ("+15551230002", "2"), ("+1 555 123 0001", "1")]:
            sent.append(await client.send(to, sender=sender))
            await world.clock.advance(1)
        found = await client.listed(query)
        assert [sent.index(message["wamid"]) for message in found] == expected

    over_http(story)


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("?to=abc", "#/to"),
        ("?to=123", "#/to"),
        ("?to=", "#/to"),
        ("?since=yesterday", "#/since"),
        ("?since=2026-01-01T00:00:00", "#/since"),
        ("?form=1", "#/form"),
    ],
)
def test_a_filter_that_makes_no_sense_is_named(query: str, pointer: str) -> None:
    async def story(world: World, client: Client) -> None:
        answer = await client.http.get(f"/simulator/api/messages{query}")
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]

    over_http(story)


def test_forgetting_leaves_an_empty_list() -> None:
    async def story(world: World, client: Client) -> None:
        await client.send("+15551230001")
        assert (await client.http.delete("/simulator/api/messages")).status_code == 204
        assert await client.listed() == []

    over_http(story)


def test_only_the_last_messages_are_kept_where_that_is_asked_for() -> None:
    async def story(world: World, client: Client) -> None:
        sent = [await client.send(f"+1555123000{number}") for number in range(5)]
        assert [message["wamid"] for message in await client.listed()] == sent[-2:]

    over_http(story, keep=2)


def test_a_person_writes_to_the_sender_that_wrote_last() -> None:
    async def story(world: World, client: Client) -> None:
        await client.send("+15551230001", sender="1")
        await client.send("+15551230001", sender="2")
        await world.clock.advance(1)
        answer = await client.http.post(
            "/simulator/api/phones/+1-555-123-0001/messages", json={"text": "Halo 👋"}
        )
        data = answer.json()["data"]
        assert (data["sender"], data["from"], data["text"]) == ("2", "+15551230001", "Halo 👋")
        await world.clock.advance(1)
        value = world.http.sent[-1].value
        assert value["metadata"]["phone_number_id"] == "2"
        assert value["messages"][0]["text"]["body"] == "Halo 👋"
        assert value["messages"][0]["id"] == data["wamid"]
        assert "x-hub-signature-256" in world.http.sent[-1].headers

    over_http(story)


@pytest.mark.parametrize(
    ("query", "body"),
    [("?sender=7", {"text": "Hi"}), ("", {"text": "Hi", "sender": "7"})],
)
def test_a_person_can_write_to_a_sender_that_is_named(query: str, body: dict[str, str]) -> None:
    async def story(world: World, client: Client) -> None:
        await client.send("+15551230001", sender="1")
        url = f"/simulator/api/phones/15551230001/messages{query}"
        answer = await client.http.post(url, json=body)
        assert answer.json()["data"]["sender"] == "7"

    over_http(story)


def test_a_person_nobody_wrote_to_must_name_the_sender() -> None:
    async def story(world: World, client: Client) -> None:
        url = "/simulator/api/phones/15551230001/messages"
        answer = await client.http.post(url, json={"text": "Hi"})
        assert answer.status_code == 422
        assert '"sender": "1065000000"' in answer.json()["detail"]

    over_http(story)


@pytest.mark.parametrize(
    ("body", "status", "pointers"),
    [
        (b"{}", 422, ["#/text"]),
        (b'{"text": ""}', 422, ["#/text"]),
        (b'{"text": 1, "name": ""}', 422, ["#/text", "#/name"]),
        (b'{"text": "x", "form": "y"}', 422, ["#/form"]),
        (b'{"text": "' + b"x" * 4097 + b'"}', 422, ["#/text"]),
        (b"[]", 422, ["#"]),
        (b"{", 400, []),
        (b'{"text": "' + b"x" * 70_000 + b'"}', 413, []),
    ],
)
def test_what_a_person_cannot_write_is_a_problem(
    body: bytes, status: int, pointers: list[str]
) -> None:
    async def story(world: World, client: Client) -> None:
        url = "/simulator/api/phones/15551230001/messages?sender=1"
        answer = await client.http.post(url, content=body, headers=JSON)
        assert answer.status_code == status
        assert [fault["pointer"] for fault in answer.json().get("errors", [])] == pointers

    over_http(story)


def test_a_page_of_another_site_cannot_write_since_it_cannot_say_json() -> None:
    async def story(world: World, client: Client) -> None:
        url = "/simulator/api/phones/15551230001/messages?sender=1"
        answer = await client.http.post(
            url, content=b'{"text": "x"}', headers={"content-type": "text/plain"}
        )
        assert answer.status_code == 415

    over_http(story)


def test_the_behaviour_that_is_put_is_the_one_that_is_got() -> None:
    async def story(world: World, client: Client) -> None:
        url = "/simulator/api/behaviour"
        first = (await client.http.get(url)).json()["data"]
        assert first["delays_ms"] == {"sent": 50, "delivered": 150, "read": 400, "failed": 50}
        change = {"drop": 0.5, "before_answer": ["sent"], "codes": {"131056": "by_receipt"}}
        put = await client.http.put(url, json=change)
        assert put.json()["data"] == first | change
        assert (await client.http.get(url)).json() == put.json()
        assert (await client.http.put(url, json={})).json()["data"] == first
        assert (await client.http.put(url, json=first)).json()["data"] == first

    over_http(story)


def test_a_behaviour_that_makes_no_sense_changes_nothing_and_names_everything_wrong() -> None:
    async def story(world: World, client: Client) -> None:
        url = "/simulator/api/behaviour"
        body = {"drop": 2, "delays_ms": {"sent": "soon"}, "codes": {"5": "at_once"}}
        answer = await client.http.put(url, json=body)
        assert answer.status_code == 422
        pointers = [fault["pointer"] for fault in answer.json()["errors"]]
        assert sorted(pointers) == ["#/codes", "#/delays_ms/sent", "#/drop"]
        assert (await client.http.get(url)).json()["data"]["drop"] == 0

    over_http(story)


def test_errors_are_counted_by_code_until_all_is_forgotten() -> None:
    async def story(world: World, client: Client) -> None:
        url = "/simulator/api/errors"
        assert (await client.http.get(url)).json() == {"data": {}}
        limits = {"limits": {"messages_per_second": 2}}
        await client.http.put("/simulator/api/behaviour", json=limits)
        path = PATH.format(sender="1065000000")
        headers = {"authorization": "Bearer simulator"}
        for to in ("+15551230001", "+15551230002", "+15551230003", "+15551230003"):
            await client.http.post(path, headers=headers, json=flow_request(to))
        await world.clock.advance(1)
        await client.send("+15550131026")
        await client.http.post(path, headers=headers, json={})
        await client.http.post(path)
        await world.clock.advance(1)
        assert (await client.http.get(url)).json() == {
            "data": {"190": 1, "130429": 2, "131008": 1, "131026": 1}
        }
        await client.http.delete("/simulator/api/messages")
        assert (await client.http.get(url)).json() == {"data": {}}

    over_http(story)


def test_a_window_that_is_wanted_opens_when_the_person_writes() -> None:
    async def story(world: World, client: Client) -> None:
        await client.http.put("/simulator/api/behaviour", json={"window": True})
        await client.send("+15551230001")
        await world.clock.advance(1)
        url = "/simulator/api/phones/15551230001/messages"
        await client.http.post(url, json={"text": "Hi"})
        await client.send("+15551230001")
        await world.clock.advance(1)
        shut, opened = await client.listed()
        assert [receipt["error"]["code"] for receipt in shut["receipts"]] == [131047]
        assert [receipt["status"] for receipt in opened["receipts"]] == [
            "sent",
            "delivered",
            "read",
        ]

    over_http(story)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/simulator/api/nothing", 404),
        ("PATCH", "/simulator/api/messages", 405),
        ("GET", "/elsewhere", 404),
        ("GET", "/simulatorx", 404),
    ],
)
def test_what_is_not_there_is_said_so(method: str, path: str, status: int) -> None:
    async def story(world: World, client: Client) -> None:
        assert (await client.http.request(method, path)).status_code == status

    over_http(story)
