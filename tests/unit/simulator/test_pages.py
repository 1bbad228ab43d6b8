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
