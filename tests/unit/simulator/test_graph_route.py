"""The look-alike of Graph over HTTP, in the process; sockets are in `test_sockets.py`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from tests.unit.simulator.doubles import World, flow_request, template_request

from alir.simulator.app import build_app
from alir.simulator.behaviour import Behaviour
from alir.simulator.codes import error_codes

PATH = "/simulator/graph/v24.0/1065000000/messages"
BEARER = {"authorization": "Bearer simulator"}


def client(world: World, *, host: str = "127.0.0.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=build_app(world.simulator), client=(host, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://alir.test")


def over_http(story: Callable[[World, httpx.AsyncClient], Awaitable[None]]) -> None:
    async def run() -> None:
        async with World() as world, client(world) as http:
            await story(world, http)

    asyncio.run(run())


def test_a_message_is_answered_as_graph_answers_it() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        answer = await http.post(PATH, headers=BEARER, json=flow_request("+1 555 123-0001"))
        [message] = world.simulator.phones.received()
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json; charset=UTF-8"
        assert answer.json() == {
            "messaging_product": "whatsapp",
            "contacts": [{"input": "+1 555 123-0001", "wa_id": "15551230001"}],
            "messages": [{"id": message.wamid}],
        }
        assert json.loads(message.body) == flow_request("+1 555 123-0001")
        assert (message.sender, message.phone) == ("1065000000", "15551230001")

    over_http(story)


def test_any_version_and_any_phone_number_id_is_taken() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        for path in ("v19.0/1/messages", "v99.0/106500000000000/messages"):
            url = f"/simulator/graph/{path}"
            assert (await http.post(url, headers=BEARER, json=flow_request())).status_code == 200
        assert [m.sender for m in world.simulator.phones.received()] == ["1", "106500000000000"]

    over_http(story)


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic simulator"}],
    ids=["none", "wrong", "basic"],
)
def test_without_the_access_token_the_answer_is_401_with_code_190(headers: dict[str, str]) -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        answer = await http.post(PATH, headers=headers, json=flow_request())
        assert answer.status_code == 401
        error = answer.json()["error"]
        assert error["code"] == 190
        assert error["type"] == "OAuthException"
        assert error["message"].startswith("(#190) ")
        assert set(error["error_data"]) == {"messaging_product", "details"}
        assert error["fbtrace_id"]
        assert world.simulator.phones.received() == []

    over_http(story)


@pytest.mark.parametrize(
    ("body", "details"),
    [
        (b"", "not JSON"),
        (b"{", "line 1"),
        (b'{"a": NaN}', "not JSON"),
        (b"[" * 10_000, "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "JSON object"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes, details: str) -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        answer = await http.post(PATH, headers=BEARER, content=body)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == 100
        assert details in answer.json()["error"]["error_data"]["details"]

    over_http(story)


def test_a_body_that_is_too_large_is_refused() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        answer = await http.post(PATH, headers=BEARER, content=b" " * (1024 * 1024 + 1))
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == 100

    over_http(story)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", PATH),
        ("POST", "/simulator/graph/v24.0/1065000000"),
        ("POST", "/simulator/graph/1065000000/messages"),
        ("POST", "/simulator/graph"),
        ("POST", "/simulator/graph/v24.0/1065000000001/subscribed_apps"),
        ("GET", "/simulator/graph/v24.0/1065000000/phone_numbers"),
    ],
)
def test_other_paths_and_methods_are_refused_in_graphs_words(method: str, path: str) -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        answer = await http.request(method, path, headers=BEARER)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == 100

    over_http(story)


@pytest.mark.parametrize("code", [0, 2, 100, 190, 200, 250, 368, 130429, 131056, 132001, 134102])
def test_a_magic_number_is_refused_at_once_with_its_code_and_status(code: int) -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        answer = await http.post(PATH, headers=BEARER, json=flow_request(f"+1 5550 {code:06}"))
        assert answer.status_code == error_codes()[code].http
        assert answer.json()["error"]["code"] == code
        await world.clock.advance(10)
        assert world.simulator.phones.received() == []
        assert world.http.sent == []

    over_http(story)


@pytest.mark.parametrize("code", [130403, 130472, 131026, 131047, 131049, 131050, 131053])
def test_a_magic_number_of_an_error_by_receipt_is_taken_and_fails(code: int) -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        answer = await http.post(PATH, headers=BEARER, json=flow_request(f"+1 5550 {code:06}"))
        assert answer.status_code == 200
        await world.clock.advance(10)
        [sent] = world.http.sent
        [status] = sent.value["statuses"]
        assert status["status"] == "failed"
        assert status["id"] == answer.json()["messages"][0]["id"]
        assert status["errors"][0]["code"] == code

    over_http(story)


def test_a_template_to_the_number_with_the_shut_window_is_read() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        answer = await http.post(PATH, headers=BEARER, json=template_request("+15550131047"))
        assert answer.json()["messages"][0]["message_status"] == "accepted"
        await world.clock.advance(10)
        assert [sent.statuses for sent in world.http.sent] == [["sent"], ["delivered"], ["read"]]

    over_http(story)


def test_the_rules_are_checked_before_the_number_does_its_magic() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        request: dict[str, Any] = flow_request("+1 5550 000502", interactive={})
        answer = await http.post(PATH, headers=BEARER, json=request)
        assert answer.json()["error"]["code"] == 131008

    over_http(story)


def test_000502_is_a_page_of_html_and_nothing_is_taken() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        answer = await http.post(PATH, headers=BEARER, json=flow_request("+1 5550 000502"))
        assert answer.status_code == 502
        assert answer.headers["content-type"].startswith("text/html")
        assert world.simulator.phones.received() == []

    over_http(story)


def test_000429_asks_to_come_later_and_nothing_is_taken() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        answer = await http.post(PATH, headers=BEARER, json=flow_request("+1 5550 000429"))
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0
        assert "code" not in answer.json()["error"]
        assert world.simulator.phones.received() == []

    over_http(story)


def test_a_server_that_cannot_hang_up_says_so() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        answer = await http.post(PATH, headers=BEARER, json=flow_request("+1 5550 000409"))
        assert answer.status_code == 501
        assert "HangUpProtocol" in answer.text

    over_http(story)


def test_receipts_can_come_before_the_answer() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        world.simulator.behaviour = Behaviour.model_validate_json('{"before_answer": ["sent"]}')
        answer = await http.post(PATH, headers=BEARER, json=flow_request())
        [sent] = world.http.sent
        assert sent.value["statuses"][0]["id"] == answer.json()["messages"][0]["id"]

    over_http(story)


def test_requests_from_other_machines_are_turned_away_and_told_why() -> None:
    async def run() -> None:
        async with World() as world, client(world, host="10.0.0.5") as http:
            for path in (PATH, "/simulator", "/simulator/api/messages"):
                answer = await http.post(path, headers=BEARER, json=flow_request())
                assert answer.status_code == 403
                assert "10.0.0.5" in answer.text
                assert "allow_networks" in answer.text
            assert world.simulator.phones.received() == []

    asyncio.run(run())


def test_a_message_to_a_user_id_is_answered_and_receipted_without_a_number() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        request = flow_request(recipient="US.1349")
        del request["to"]
        answer = await http.post(PATH, headers=BEARER, json=request)
        assert answer.json()["contacts"] == [{"input": "US.1349", "user_id": "US.1349"}]
        await world.clock.advance(1)
        value = world.http.sent[0].value
        assert value["contacts"] == [{"user_id": "US.1349"}]
        [status] = value["statuses"]
        assert status["recipient_user_id"] == "US.1349"
        assert "recipient_id" not in status
        listed = (await http.get("/simulator/api/messages?to=US.1349")).json()["data"]
        assert [message["to"] for message in listed] == ["US.1349"]
        assert "US.1349" in (await http.get("/simulator?phone=US.1349")).text

    over_http(story)


def test_a_person_known_by_user_id_only_writes_without_a_number() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        url = "/simulator/api/phones/US.1349/messages?sender=1"
        answer = await http.post(url, json={"text": "Hi"})
        assert answer.json()["data"]["from"] == "US.1349"
        await world.clock.advance(1)
        value = world.http.sent[0].value
        assert value["contacts"][0]["user_id"] == "US.1349"
        assert value["messages"][0]["from_user_id"] == "US.1349"
        assert "from" not in value["messages"][0]

    over_http(story)


NODE = "/simulator/graph/v24.0/1065000000"
APPS = "/simulator/graph/v24.0/1065000000000001/subscribed_apps"


async def told(http: httpx.AsyncClient, path: str, **query: str) -> dict[str, Any]:
    answer = await http.get(path, headers=BEARER, params=query)
    found: dict[str, Any] = answer.json()
    return found


def test_a_phone_number_tells_the_fields_that_are_asked_for() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        assert set(await told(http, NODE)) == {
            "id",
            "verified_name",
            "display_phone_number",
            "quality_rating",
        }
        found = await told(http, NODE, fields="throughput,health_status")
        assert set(found) == {"id", "throughput", "health_status"}
        assert (found["id"], found["throughput"]) == ("1065000000", {"level": "STANDARD"})
        health = found["health_status"]
        assert health["can_send_message"] == "AVAILABLE"
        assert [entity["entity_type"] for entity in health["entities"]] == [
            "PHONE_NUMBER",
            "WABA",
            "BUSINESS",
            "APP",
        ]
        account = health["entities"][1]["id"]
        apps = await told(http, f"/simulator/graph/v24.0/{account}/subscribed_apps")
        [app] = apps["data"]
        assert app["whatsapp_business_api_data"]["id"] == health["entities"][3]["id"]

    over_http(story)


@pytest.mark.parametrize(
    ("path", "query", "says"),
    [
        (NODE, {"fields": "id,shoe_size"}, "(shoe_size)"),
        ("/simulator/graph/v24.0/106500000x", {}, "does not exist"),
        (NODE, {"appsecret_proof": "0" * 64}, "Invalid appsecret_proof"),
        (NODE, {"appsecret_proof": "é"}, "Invalid appsecret_proof"),
        (APPS, {"appsecret_proof": "0" * 64}, "Invalid appsecret_proof"),
    ],
)
def test_what_graph_cannot_tell_is_an_error(path: str, query: dict[str, str], says: str) -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        error = (await told(http, path, **query))["error"]
        assert error["code"] == 100
        assert says in error["message"]
        assert error.get("error_subcode") == (33 if "exist" in says else None)

    over_http(story)


def test_a_proof_made_with_the_app_secret_is_taken_and_a_wrong_token_is_not() -> None:
    # HMAC-SHA-256 of "simulator" with the key "simulator".
    proof = "fe358c57956206f0bf47b60259591b3f9a536564c7897ef62b642c6e14495dc4"

    async def story(world: World, http: httpx.AsyncClient) -> None:
        for path in (NODE, APPS):
            assert "error" not in await told(http, path, appsecret_proof=proof)
            answer = await http.get(path, headers={"authorization": "Bearer wrong"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, 190)
        posted = await http.post(
            f"{PATH}?appsecret_proof={proof}", headers=BEARER, json=flow_request()
        )
        assert posted.status_code == 200
        wrong = await http.post(f"{PATH}?appsecret_proof=0", headers=BEARER, json=flow_request())
        assert "Invalid appsecret_proof" in wrong.json()["error"]["message"]

    over_http(story)


def test_what_graph_tells_of_health_and_subscription_can_be_set() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        graph = {"graph": {"subscribed": False, "can_send": "BLOCKED"}}
        await http.put("/simulator/api/behaviour", json=graph)
        health = (await told(http, NODE, fields="health_status"))["health_status"]
        assert health["can_send_message"] == "BLOCKED"
        assert health["entities"][0]["can_send_message"] == "BLOCKED"
        assert await told(http, APPS) == {"data": []}

    over_http(story)
