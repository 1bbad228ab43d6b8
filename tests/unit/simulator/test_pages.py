from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from tests.unit.simulator.doubles import World, flow_request, route_mobile_flow

from alir.simulator.app import build_app
from alir.simulator.pages import GRAPH_EXAMPLE
from alir.simulator.refused import REFUSED_KEPT

NASTY = "<script>alert(1)</script>\"'&<img src=http://evil.test/x>"


def browsing(story: Callable[[World, httpx.AsyncClient], Awaitable[None]]) -> None:
    async def run() -> None:
        async with World() as world:
            app = build_app(world.simulator, example=GRAPH_EXAMPLE)
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://alir.test") as http:
                await story(world, http)

    asyncio.run(run())


async def send(http: httpx.AsyncClient, **texts: object) -> None:
    request = flow_request()
    request["interactive"] |= texts
    answer = await http.post(
        "/simulator/graph/v24.0/1065000000/messages",
        headers={"authorization": "Bearer simulator"},
        json=request,
    )
    assert answer.status_code == 200, answer.text


def test_an_empty_page_says_how_to_send_the_first_message_here() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        page = await http.get("/simulator")
        assert page.status_code == 200
        assert "No message yet" in page.text
        assert "curl http://alir.test/simulator/graph/v24.0/1065000000/messages" in page.text
        assert "Bearer simulator" in page.text

    browsing(story)


def test_the_page_shows_the_phone_and_its_message() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        await send(http)
        await world.clock.advance(1)
        page = (await http.get("/simulator?phone=15551230001")).text
        for text in ("+15551230001", "Visit booking", "Choose a time", "About one minute"):
            assert text in page
        assert '<span class="unseen">read</span>' in page

    browsing(story)


def test_texts_of_messages_are_never_markup() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        await send(
            http,
            header={"type": "text", "text": NASTY[:60]},
            body={"text": NASTY},
            footer={"text": NASTY[:60]},
        )
        world.simulator.write(phone="15551230001", sender="1", text=NASTY, name=NASTY)
        for path in ("/simulator?phone=15551230001", "/simulator/parts?phone=15551230001"):
            page = (await http.get(path)).text
            assert "&lt;script&gt;alert(1)" in page
            assert "<script>" not in page
            assert "<img" not in page
        query = {"phone": '"><script>', "find": '"><script>'}
        assert "<script>" not in (await http.get("/simulator", params=query)).text

    browsing(story)


def test_an_image_is_a_link_and_is_not_loaded() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        image = {"type": "image", "image": {"link": "https://images.test/a.png"}}
        await send(http, header=image)
        page = (await http.get("/simulator?phone=15551230001")).text
        assert (
            '<a href="https://images.test/a.png" target="_blank" rel="noreferrer noopener">' in page
        )
        assert 'src="https://images' not in page

    browsing(story)


def test_the_page_may_load_nothing_from_another_host() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        page = await http.get("/simulator")
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert not re.search(r"https?:|unsafe|\*", policy)
        for link in re.findall(r'(?:src|href)="([^"]+)"', page.text):
            assert link.startswith(("/simulator", "#icon-"))
            if link.startswith("/simulator/static"):
                assert (await http.get(link)).status_code == 200

    browsing(story)


def test_the_pages_own_files_name_no_other_host() -> None:
    folder = Path(str(files("alir.simulator").joinpath("static")))
    for file in folder.iterdir():
        links = re.findall(r"https?://[^\s\"')]+", file.read_text("utf-8"))
        assert set(links) <= {"http://www.w3.org/2000/svg"}, file.name


def test_the_list_is_narrowed_by_number() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        await send(http)
        assert "row-15551230001" in (await http.get("/simulator/parts?find=1230")).text
        other = (await http.get("/simulator/parts?find=999")).text
        assert "row-15551230001" not in other
        assert "No phone with 999" in other

    browsing(story)


def test_parts_have_the_ids_that_the_page_has() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        await send(http)
        for query in ("", "?phone=15551230001"):
            parts = (await http.get(f"/simulator/parts{query}")).text
            page = (await http.get(f"/simulator{query}")).text
            ids = re.findall(r'^<\w+ id="([^"]+)"', parts, re.MULTILINE)
            assert "rows" in ids
            assert all(f'id="{each}"' in page for each in ids)

    browsing(story)


@pytest.mark.parametrize("path", ["/simulator", "/simulator/"])
def test_mounted_in_an_app_it_has_the_same_paths(path: str) -> None:
    async def run() -> None:
        async with World() as world:
            outer = FastAPI()
            outer.mount("/simulator", build_app(world.simulator))
            transport = httpx.ASGITransport(app=outer)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://alir.test", follow_redirects=True
            ) as http:
                page = await http.get(path)
                assert page.status_code == 200
                assert 'href="/simulator/static/simulator.css?v=' in page.text
                assert "http://alir.test/api/whatsapp/v1/messages" in page.text
                assert (await http.get("/simulator/static/simulator.css")).status_code == 200
                assert (await http.get("/simulator/api/messages")).json() == {"data": []}
                await send(http)
                assert len(world.simulator.phones) == 1

    asyncio.run(run())


def test_alone_the_root_leads_to_the_page() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        answer = await http.get("/")
        assert (answer.status_code, answer.headers["location"]) == (307, "/simulator")

    browsing(story)


def test_the_page_says_where_callbacks_go_but_no_secret() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        page = (await http.get("/simulator")).text
        assert "http://gateway.test/callbacks/cloud" in page
        assert "http://gateway.test/callbacks/routemobile/…" in page
        assert "routemobile/secret" not in page
        world.simulator.callback_url = world.simulator.routemobile_callback_url = None
        assert "No callback URL" in (await http.get("/simulator")).text

    browsing(story)


def test_a_sender_at_route_mobile_is_called_so() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        given = {"username": "jakarta", "password": "simulator"}
        base = "/simulator/routemobile"
        token = (await http.post(f"{base}/auth/v1/login/", json=given)).json()["JWTAUTH"]
        headers = {"authorization": token}
        url = f"{base}/wba/v1/messages"
        answer = await http.post(url, headers=headers, json=route_mobile_flow())
        assert answer.status_code == 202
        page = (await http.get("/simulator?phone=620000000001")).text
        assert "chat with sender jakarta at Route Mobile" in page
        assert "Please fill in the form" in page

    browsing(story)


REFUSED_LINE = re.compile(r'class="code">([^<]+)</span>(?: → <bdi>([^<]*)</bdi>)?')


def refused_on(page: str) -> list[tuple[str, ...]]:
    """Code and recipient of each line in the list, the latest first."""
    return REFUSED_LINE.findall(page.partition("<ol>")[2].partition("</ol>")[0])


async def post(http: httpx.AsyncClient, request: object, **headers: str) -> int:
    answer = await http.post(
        "/simulator/graph/v24.0/1065000000/messages",
        headers={"authorization": "Bearer simulator"} | headers,
        json=request,
    )
    return answer.status_code


def test_a_refused_request_is_told_with_its_code_and_recipient() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        assert "Refused" not in (await http.get("/simulator/parts")).text
        for number in ("+1 5550 131009", "15550000190", "15550000429", "15550000502"):
            await post(http, flow_request(number))
        await post(http, flow_request("+1 555 123-0001") | {"type": "sticker"})
        await post(http, flow_request(), authorization="Bearer wrong")
        for path in ("/simulator", "/simulator/parts"):
            page = (await http.get(path)).text
            assert refused_on(page) == [
                ("190", ""),
                ("131051", "+15551230001"),
                ("HTTP 502", "+15550000502"),
                ("HTTP 429", "+15550000429"),
                ("190", "+15550000190"),
                ("131009", "+15550131009"),
            ]
            assert "Parameter value is not valid." in page
            assert "Sender 1065000000." in page

    browsing(story)


def test_what_route_mobile_refuses_is_told_too() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        base = "/simulator/routemobile"
        who = {"username": "jakarta", "password": "simulator"}
        login = (await http.post(f"{base}/auth/v1/login/", json=who)).json()
        key = {"authorization": login["JWTAUTH"]}
        for body in (route_mobile_flow("+15550000422"), {"phone": "+15551230001"}):
            await http.post(f"{base}/wba/v1/messages", headers=key, json=body)
        await http.post(f"{base}/auth/v1/login/", json=who | {"password": "wrong"})
        page = (await http.get("/simulator")).text
        codes = [(code.split()[0], to) for code, to in refused_on(page)]
        assert codes == [("HTTP", ""), ("HTTP", "+15551230001"), ("HTTP", "+15550000422")]
        assert "HTTP 422" in page
        assert "Sender jakarta." in page

    browsing(story)


def test_only_the_last_refused_requests_are_kept() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        for last in range(REFUSED_KEPT + 5):
            await post(http, flow_request(f"155512300{last:02}") | {"type": "sticker"})
        told = refused_on((await http.get("/simulator")).text)
        assert len(told) == REFUSED_KEPT
        assert told[0] == ("131051", f"+155512300{REFUSED_KEPT + 4}")
        await http.delete("/simulator/api/messages")
        assert "Refused" not in (await http.get("/simulator")).text

    browsing(story)


def test_an_open_page_hears_of_a_refused_request() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        before = world.simulator.phones.version
        await post(http, flow_request("15550131009"))
        assert world.simulator.phones.version > before

    browsing(story)


def test_the_recipient_of_a_refused_request_is_never_markup() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        await post(http, flow_request(NASTY * 100))
        page = (await http.get("/simulator")).text
        assert "&lt;script&gt;" in page
        assert "<script>" not in page
        assert len(refused_on(page)[0][1]) < 100

    browsing(story)


def test_bubbles_name_their_sender_where_a_phone_has_more_than_one() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        await send(http)
        world.simulator.write(phone="15551230001", sender="1065000000", text="Yes", name="A")
        assert 'class="between"' not in (await http.get("/simulator?phone=15551230001")).text
        world.simulator.write(phone="15551230001", sender="simulator", text="No", name="A")
        page = (await http.get("/simulator?phone=15551230001")).text
        assert re.findall(r'class="between">([^<]+)<', page) == [
            "from 1065000000",
            "to 1065000000",
            "to simulator at Route Mobile",
        ]

    browsing(story)


def test_the_gateways_other_pages_are_linked_and_alone_there_are_none() -> None:
    async def story(world: World, http: httpx.AsyncClient) -> None:
        assert 'class="beside"' not in (await http.get("/simulator")).text
        transport = httpx.ASGITransport(app=build_app(world.simulator))
        async with httpx.AsyncClient(transport=transport, base_url="http://alir.test") as gateway:
            page = (await gateway.get("/simulator")).text
        for link in ("/docs", "/problems", "/openapi.json"):
            assert f'<a href="{link}">' in page

    browsing(story)
