"""The look-alike of Route Mobile over HTTP, in the process."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from tests.unit.simulator.doubles import (
    ROUTE_MOBILE_URL,
    World,
    route_mobile_flow,
    route_mobile_template,
)

from alir.simulator.app import build_app
from alir.simulator.behaviour import Behaviour

BASE = "/simulator/routemobile"
LOGIN = f"{BASE}/auth/v1/login/"
MESSAGES = f"{BASE}/wba/v1/messages"
ACCOUNT = f"{BASE}/wba/management/v1/wbp-account-details"


class Client:
    """A user of Route Mobile."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self.token = ""

    async def log_in(self, username: str = "simulator") -> str:
        given = {"username": username, "password": "simulator"}
        answer = await self.http.post(LOGIN, json=given)
        assert answer.status_code == 201, answer.text
        self.token = answer.json()["JWTAUTH"]
        return self.token

    async def send(self, body: Any = None) -> httpx.Response:
        headers = {"authorization": self.token}
        return await self.http.post(MESSAGES, headers=headers, json=body or route_mobile_flow())


def over_http(
    story: Callable[[World, Client], Awaitable[None]], settings: str = "{}", **world: Any
) -> None:
    async def run() -> None:
        async with World(**world) as it:
            it.simulator.behaviour = Behaviour.model_validate_json(settings)
            transport = httpx.ASGITransport(app=build_app(it.simulator))
            async with httpx.AsyncClient(transport=transport, base_url="http://alir.test") as http:
                client = Client(http)
                await client.log_in()
                await story(it, client)

    asyncio.run(run())


def test_a_log_in_is_answered_201_with_a_token_and_the_user() -> None:
    async def story(world: World, client: Client) -> None:
        given = {"username": "jakarta", "password": "simulator"}
        answer = await client.http.post(LOGIN, json=given)
        assert answer.status_code == 201
        assert set(answer.json()) == {"JWTAUTH", "user_data"}
        assert answer.json()["user_data"]["username"] == "jakarta"
        assert answer.json()["JWTAUTH"].count(".") == 2

    over_http(story)


@pytest.mark.parametrize(
    ("body", "status", "answered"),
    [
        (
            b'{"username": "simulator", "password": "wrong"}',
            403,
            {"status": "invalid credentials or the account has been deactivated"},
        ),
        (
            b'{"username": "simulator"}',
            400,
            {
                "message": "please check API docs for more info",
                "status": "failed",
                "reason": {"password": ["Missing data for required field."]},
            },
        ),
        (b"[]", 400, None),
        (b"{", 400, None),
    ],
)
def test_a_log_in_that_fails_says_so_in_a_status(
    body: bytes, status: int, answered: dict[str, Any] | None
) -> None:
    async def story(world: World, client: Client) -> None:
        answer = await client.http.post(LOGIN, content=body)
        assert answer.status_code == status
        if answered is not None:
            assert answer.json() == answered
        else:
            assert set(answer.json()) == {"message"}

    over_http(story)


@pytest.mark.parametrize("scheme", ["", "Bearer ", "bearer "])
def test_a_message_is_answered_202_with_a_request_id(scheme: str) -> None:
    async def story(world: World, client: Client) -> None:
        client.token = scheme + client.token
        answer = await client.send()
        assert answer.status_code == 202
        body = answer.json()
        assert body == {
            "message": "message received successfully",
            "status": "processing",
            "request_id": body["request_id"],
        }
        assert uuid.UUID(body["request_id"]).version == 1
        [message] = (await client.http.get("/simulator/api/messages")).json()["data"]
        assert message["provider"] == "routemobile"
        assert (message["sender"], message["to"]) == ("simulator", "+620000000001")
        assert message["request"] == route_mobile_flow()
        assert set(message) == {
            "wamid",
            "provider",
            "sender",
            "to",
            "received_at",
            "receipts",
            "request",
        }

    over_http(story)


def test_a_request_without_a_good_token_gets_401_in_the_shape_of_its_fault() -> None:
    async def story(world: World, client: Client) -> None:
        good = client.token
        await world.clock.advance(1.9)
        assert (await client.send()).status_code == 202
        client.token = good[:-2]
        answer = await client.send()
        assert (answer.status_code, answer.json()["status"]) == (401, "Failed")
        assert "integrity" in answer.json()["reason"]
        client.token = ""
        answer = await client.send()
        assert (answer.status_code, answer.json()) == (401, {"status": "Unauthorized"})
        client.token = good
        await world.clock.advance(0.1)
        answer = await client.send()
        assert (answer.status_code, answer.json()["reason"]) == (401, "jwt token expired")
        await client.log_in()
        assert (await client.send()).status_code == 202

    over_http(story, '{"routemobile": {"token_seconds": 2}}')


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", f"{BASE}/auth/v1/login", 404),
        ("GET", f"{BASE}/wba/v1/other", 404),
        ("GET", LOGIN, 405),
        ("GET", MESSAGES, 405),
        ("POST", ACCOUNT, 405),
    ],
)
def test_other_paths_and_methods_get_a_message_only(method: str, path: str, status: int) -> None:
    async def story(world: World, client: Client) -> None:
        answer = await client.http.request(method, path)
        assert answer.status_code == status
        assert set(answer.json()) == {"message"}

    over_http(story)


def test_broken_json_and_large_bodies_are_refused() -> None:
    async def story(world: World, client: Client) -> None:
        headers = {"authorization": client.token}
        for content, status in ((b"{", 400), (b" " * (1024 * 1024 + 1), 413)):
            answer = await client.http.post(MESSAGES, headers=headers, content=content)
            assert (answer.status_code, set(answer.json())) == (status, {"message"})
        assert world.simulator.phones.received() == []

    over_http(story)


def test_receipts_name_the_request_and_the_first_two_the_message_too() -> None:
    async def story(world: World, client: Client) -> None:
        request_id = (await client.send(route_mobile_flow(extra="ref"))).json()["request_id"]
        await world.clock.advance(1)
        [message] = world.simulator.phones.received()
        assert {sent.url for sent in world.http.sent} == {ROUTE_MOBILE_URL}
        assert all("x-hub-signature-256" not in sent.headers for sent in world.http.sent)
        told = [sent.json["statuses"][0] for sent in world.http.sent]
        assert [status["status"] for status in told] == ["sent", "delivered", "read"]
        assert {(status["id"], status["extra"]) for status in told} == {(request_id, "ref")}
        wamids = [status.get("message_id") for status in told]
        assert wamids == [message.wamid, message.wamid, None]
        assert [sent.json["brand_msisdn"] for sent in world.http.sent] == ["15550001065"] * 3
        assert ["display_no" in sent.json for sent in world.http.sent] == [False, False, True]

    over_http(story)


def test_each_user_is_called_back_at_its_own_url() -> None:
    async def story(world: World, client: Client) -> None:
        await client.log_in("jakarta")
        await client.send()
        await client.log_in("medan")
        await client.send()
        await world.clock.advance(0.1)
        assert [sent.url for sent in world.http.sent] == ["http://jakarta.test/x", ROUTE_MOBILE_URL]
        senders = [message.sender for message in world.simulator.phones.received()]
        assert senders == ["jakarta", "medan"]

    over_http(story, routemobile_callback_urls={"jakarta": "http://jakarta.test/x"})


def test_receipts_share_a_callback_by_user_and_texts_come_alone() -> None:
    async def story(world: World, client: Client) -> None:
        for username in ("jakarta", "medan"):
            await client.log_in(username)
            await client.send()
            await client.send()
        for _ in range(2):
            world.simulator.write(phone="620000000001", sender="medan", text="Hi", name="Ani")
        await world.clock.advance(0.3)
        kinds = ("statuses", "messages")
        counts = [len(sent.json.get(kind, ())) for sent in world.http.sent for kind in kinds]
        assert [each for each in sorted(counts) if each] == [1, 1, 2, 2]

    settings = """{"delays_ms": {"delivered": null, "read": null},
        "batch": {"size": 10, "window_ms": 100}}"""
    over_http(story, settings)


def test_a_person_writes_to_a_user_of_route_mobile() -> None:
    async def story(world: World, client: Client) -> None:
        url = "/simulator/api/phones/+620000000001/messages"
        answer = await client.http.post(url, json={"text": "Halo 👋", "sender": "simulator"})
        data = answer.json()["data"]
        assert data["provider"] == "routemobile"
        await world.clock.advance(0.1)
        [sent] = world.http.sent
        [message] = sent.json["messages"]
        assert sent.json["contacts"][0]["wa_id"] == message["from"] == "620000000001"
        assert message["id"] == sent.json["request_id"] != data["wamid"]
        assert message["message_id"] == data["wamid"]
        assert message["text"] == {"body": "Halo 👋"}

    over_http(story)


@pytest.mark.parametrize("envelope", ["flat", "wrapped", "meta"])
def test_callbacks_come_in_the_envelope_that_is_asked_for(envelope: str) -> None:
    async def story(world: World, client: Client) -> None:
        request_id = (await client.send()).json()["request_id"]
        await world.clock.advance(0.1)
        body = world.http.sent[0].json
        if envelope == "wrapped":
            assert body["source"] == "FROM_CALLBACK"
            assert body["contact_no"] == "620000000001"
            assert body["time"] == "2026-01-01 00:00:00.050000"
            body = body["data"]
        if envelope == "meta":
            assert body["object"] == "whatsapp_business_account"
            body = body["entry"][0]["changes"][0]["value"]
        assert body["statuses"][0]["id"] == request_id

    over_http(story, f'{{"routemobile": {{"envelope": "{envelope}"}}}}')


def test_which_receipts_tell_the_wamid_can_be_set() -> None:
    async def story(world: World, client: Client) -> None:
        await client.send()
        await world.clock.advance(1)
        told = [sent.json["statuses"][0] for sent in world.http.sent]
        assert ["message_id" in status for status in told] == [False, False, True]

    over_http(story, '{"routemobile": {"wamid_in": ["read"]}}')


def test_unknown_keys_are_refused_where_that_is_asked_for() -> None:
    async def story(world: World, client: Client) -> None:
        answer = await client.send(route_mobile_flow(extra="ref"))
        assert answer.status_code == 400
        assert answer.json()["reason"] == {"extra": ["Unknown field."]}

    over_http(story, '{"routemobile": {"unknown_keys": "refuse"}}')


@pytest.mark.parametrize("code", [0, 190, 131009, 131026, 131047, 131056, 470, 1026])
def test_an_error_of_whatsapp_comes_as_a_failed_receipt(code: int) -> None:
    async def story(world: World, client: Client) -> None:
        answer = await client.send(route_mobile_flow(f"+15550{code:06}"))
        assert answer.status_code == 202
        await world.clock.advance(1)
        [sent] = world.http.sent
        assert set(sent.json) == {"statuses"}
        [status] = sent.json["statuses"]
        assert status["id"] == answer.json()["request_id"]
        assert status["status"] == "failed"
        assert status["errors"][0]["code"] == code
        assert status["errors"][0]["title"]
        errors = (await client.http.get("/simulator/api/errors")).json()["data"]
        assert errors == {str(code): 1}
        assert (await client.http.get(f"/simulator?phone=15550{code:06}")).status_code == 200

    over_http(story)


@pytest.mark.parametrize("code", [131047, 470])
def test_a_template_passes_where_the_window_is_shut(code: int) -> None:
    async def story(world: World, client: Client) -> None:
        await client.send(route_mobile_template(f"+15550{code:06}"))
        await world.clock.advance(1)
        assert [s.json["statuses"][0]["status"] for s in world.http.sent][-1] == "read"

    over_http(story)


@pytest.mark.parametrize(
    ("code", "keys"),
    [
        (400, {"message", "status", "reason"}),
        (401, {"message", "status", "reason"}),
        (404, {"message"}),
        (422, {"template_type"}),
        (500, {"message", "status"}),
    ],
)
def test_route_mobiles_own_errors_have_their_numbers(code: int, keys: set[str]) -> None:
    async def story(world: World, client: Client) -> None:
        for _ in range(2):
            answer = await client.send(route_mobile_flow(f"+15550{code:06}"))
            assert (answer.status_code, set(answer.json())) == (code, keys)
        assert world.simulator.phones.received() == []

    over_http(story)


def test_the_networks_numbers_work_here_too() -> None:
    async def story(world: World, client: Client) -> None:
        busy = await client.send(route_mobile_flow("+15550000429"))
        assert (busy.status_code, busy.headers["retry-after"]) == (429, "2")
        page = await client.send(route_mobile_flow("+15550000502"))
        assert page.status_code == 502
        assert page.headers["content-type"].startswith("text/html")
        hung_up = await client.send(route_mobile_flow("+15550000409"))
        assert hung_up.status_code == 501  # this test's server cannot
        await world.clock.advance(1)
        [message] = world.simulator.phones.received()
        assert (message.phone, message.receipts) == ("15550000409", [])

    over_http(story)


def test_limits_and_window_are_told_by_receipt() -> None:
    async def story(world: World, client: Client) -> None:
        for _ in range(3):
            answer = await client.send()
            assert answer.status_code == 202
            await world.clock.advance(0.2)
        errors = (await client.http.get("/simulator/api/errors")).json()["data"]
        assert errors == {"130429": 1, "131047": 2}

    settings = """{"limits": {"messages_per_second": 2}, "window": true,
        "codes": {"130429": "at_once"}}"""
    over_http(story, settings)


def test_the_account_tells_its_callback_url_its_number_and_its_quality() -> None:
    async def story(world: World, client: Client) -> None:
        answer = await client.http.get(ACCOUNT, headers={"authorization": client.token})
        body = answer.json()
        assert answer.status_code == 200
        assert body["callback_url"] == ROUTE_MOBILE_URL
        assert body["user_details"]["client_msisdn"] == "15550001065"
        assert body["phone_number_updates"]["number_quality"] == "high"
        assert (await client.http.get(ACCOUNT)).status_code == 401

    over_http(story)
