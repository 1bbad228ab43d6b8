"""`kill -9` of the gateway under load: nothing that was answered is lost, nothing is doubled.

The simulator runs alone beside it, so that it remembers what it got when the gateway is gone. In
the end three books are compared: what callers were answered, what the store holds, what the
simulator got.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.acceptance.gateway import RunningGateway, RunningSimulator, free_port
from tests.acceptance.polling import eventually
from tests.acceptance.raw_http import request
from tests.acceptance.talk import all_messages, client, message
from tests.postgres import new_database

CONNECTIONS = 24
#: Seconds of load before a kill: short enough to meet every point of a message's way.
LOAD_SECONDS = (0.05, 0.35)
SETTLED = {"accepted", "sent", "delivered", "read", "failed"}
SECRET = "a-callback-secret-of-the-kill-tests"


@dataclass(frozen=True)
class Variant:
    """Who carries the messages, where they are kept, how often the gateway is killed under load.

    Attributes:
        sender: what its sender's table says, with `{url}` of the simulator.
        path: below which the simulator calls the gateway back.
    """

    kills: int
    sender: str
    path: str
    option: str
    on_postgresql: bool = False


CLOUD = Variant(
    20,
    """
    provider = "cloud"
    phone_number_id = "1065000000"
    access_token = "simulator"
    app_secret = "simulator"
    graph_url = "{url}/graph"
    """,
    "/callbacks/cloud",
    "--callback-url",
)
ROUTE_MOBILE = Variant(
    5,
    f"""
    provider = "routemobile"
    base_url = "{{url}}/routemobile"
    username = "simulator"
    password = "simulator"
    callback_secret = "{SECRET}"
    """,
    f"/callbacks/routemobile/{SECRET}",
    "--routemobile-callback-url",
)
WITH_EXTRA = replace(ROUTE_MOBILE, sender=f"{ROUTE_MOBILE.sender}send_extra = true\n")
ON_POSTGRESQL = replace(CLOUD, kills=3, on_postgresql=True)
#: Each with a mark in its receipts, and Route Mobile as it is documented: without one.
VARIANTS = pytest.mark.parametrize(
    "variant",
    [
        pytest.param(CLOUD, id="cloud"),
        pytest.param(ROUTE_MOBILE, id="routemobile"),
        pytest.param(WITH_EXTRA, id="routemobile-extra"),
        pytest.param(ON_POSTGRESQL, id="cloud-postgresql"),
    ],
)


@pytest.fixture
def database(variant: Variant, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty database of the variant's kind."""
    if not variant.on_postgresql:
        yield "sqlite:///alir.db"
        return
    with new_database(request.getfixturevalue("postgresql_server")) as url:
        yield url


@dataclass
class Books:
    """What callers were answered: id and status by flow token."""

    answered: dict[str, tuple[str, int]] = field(default_factory=dict)
    asked: int = 0


@pytest.mark.timeout(240)
@pytest.mark.parametrize("on_unknown", ["hold", "retry"])
@VARIANTS
def test_kill_9_under_load_loses_nothing_that_was_answered_and_doubles_nothing_unflagged(
    tmp_path: Path, variant: Variant, on_unknown: str, database: str
) -> None:
    load = variant.kills * CONNECTIONS
    with _both(tmp_path, variant, on_unknown, database) as (gateway, simulator):
        books = asyncio.run(_load_and_kill(gateway, variant.kills, random.Random(20)))

        messages = _all_messages_once_quiet(gateway, on_unknown)
        received = _attempts_at(simulator, messages)

    stored = {m["id"]: m for m in messages}
    lost = [id_ for id_, _ in books.answered.values() if id_ not in stored]
    doubled = {id_ for id_, count in received.items() if count > 1}
    flagged = {m["id"] for m in messages if {"resent", "duplicated"} & set(m["flags"])}
    never_arrived = [
        id_ for id_, m in stored.items() if m["status"] in SETTLED and not received[id_]
    ]
    assert len(books.answered) > load / 2, "there was hardly any load"
    assert lost == []
    assert doubled - flagged == set()
    assert on_unknown == "retry" or doubled == set()
    assert max(received.values()) <= 2
    assert never_arrived == []
    assert set(received) <= set(stored)
    assert sum(m["status"] == "unknown" for m in messages) <= load


@VARIANTS
def test_after_a_restart_the_key_of_a_message_that_was_answered_still_stands_for_it(
    tmp_path: Path, variant: Variant, database: str
) -> None:
    with _both(tmp_path, variant, "hold", database) as (gateway, simulator):
        raw = request(gateway, json.dumps(a_message()).encode(), {"idempotency-key": "once"})
        [(status, first)] = asyncio.run(_ask(gateway, [raw]))
        gateway.kill()
        gateway.start()

        [(_, second)] = asyncio.run(_ask(gateway, [raw]))

        assert status == 200
        assert second["data"]["id"] == first["data"]["id"]
        assert len(_received(simulator)) == 1


class _both:  # noqa: N801 - reads as the context manager that it is
    """A gateway, and a simulator alone beside it, which calls the gateway back."""

    def __init__(self, folder: Path, variant: Variant, on_unknown: str, database: str) -> None:
        self._port = free_port()
        url = f"http://127.0.0.1:{self._port}{variant.path}"
        self._simulator = RunningSimulator(folder, options=[variant.option, url])
        self._folder, self._variant, self._on_unknown = folder, variant, on_unknown
        self._database = database

    def __enter__(self) -> tuple[RunningGateway, RunningSimulator]:
        self._simulator.__enter__()
        config = f"""
            [dispatch]
            unknown_after_seconds = 2
            lease_seconds = 1
            [senders.main]
            {self._variant.sender.format(url=self._simulator.url)}
            messages_per_second = 0
            pair_seconds = 0
            on_unknown = "{self._on_unknown}"
        """
        options = ["--database", self._database]
        self._gateway = RunningGateway(
            self._folder, config=config, options=options, port=self._port
        )
        self._gateway.__enter__()
        return self._gateway, self._simulator

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._gateway.__exit__(kind, error, trace)
        self._simulator.__exit__(kind, error, trace)


def a_message() -> dict[str, Any]:
    return message(**{"from": "main"})


async def _load_and_kill(gateway: RunningGateway, kills: int, chance: random.Random) -> Books:
    books = Books()
    for _ in range(kills):
        await _wait_until_it_sends(gateway)
        async with _load(gateway, books):
            await asyncio.sleep(chance.uniform(*LOAD_SECONDS))
            gateway.kill()
        gateway.start()
    return books


async def _wait_until_it_sends(gateway: RunningGateway) -> None:
    """On PostgreSQL, whoever comes after one that was killed waits for the end of its lease."""
    raw = request(gateway, json.dumps(a_message()).encode())
    async with asyncio.timeout(10):
        while (await _ask(gateway, [raw]))[0][0] != 200:
            pass


@asynccontextmanager
async def _load(gateway: RunningGateway, books: Books) -> AsyncIterator[None]:
    """Messages over `CONNECTIONS` connections, until they break."""
    callers = [asyncio.create_task(_caller(gateway, books)) for _ in range(CONNECTIONS)]
    yield
    await asyncio.gather(*callers)


async def _caller(gateway: RunningGateway, books: Books) -> None:
    parts = urlsplit(gateway.url)
    with suppress(OSError, asyncio.IncompleteReadError):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            while True:
                books.asked += 1
                name = f"token {books.asked}"
                body = a_message()
                body["flow"]["token"] = name
                writer.write(request(gateway, json.dumps(body).encode()))
                status, answer = await _read(reader)
                if status < 300:
                    books.answered[name] = (answer["data"]["id"], status)
        finally:
            writer.close()


async def _ask(gateway: RunningGateway, requests: list[bytes]) -> list[tuple[int, Any]]:
    parts = urlsplit(gateway.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    answers = []
    for raw in requests:
        writer.write(raw)
        answers.append(await _read(reader))
    writer.close()
    return answers


async def _read(reader: asyncio.StreamReader) -> tuple[int, Any]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(head.split("content-length: ")[1].split("\r\n")[0])
    return int(head.split()[1]), json.loads(await reader.readexactly(length))


def _all_messages_once_quiet(gateway: RunningGateway, on_unknown: str) -> list[dict[str, Any]]:
    """Every message, once none is queued or under way, and none is to be sent once more."""

    def look() -> list[dict[str, Any]] | None:
        with client(gateway, gateway.token) as api:
            messages = list(all_messages(api))
        busy = sum(m["status"] in ("queued", "sending", "accepted", "sent") for m in messages)
        waits = sum(m["status"] == "unknown" and "resent" not in m["flags"] for m in messages)
        return messages if not busy and not (on_unknown == "retry" and waits) else None

    return eventually(look, within=60)


def _attempts_at(simulator: RunningSimulator, messages: Iterable[dict[str, Any]]) -> Counter[str]:
    """How often the simulator took each message, by its id; each goes to a person of its own.

    What it took for nobody's message has the person's number in place of the id.
    """
    by_person = {message["to"]: message["id"] for message in messages}
    people = (one["to"] for one in _received(simulator))
    return Counter(by_person.get(person, person) for person in people)


def _received(simulator: RunningSimulator) -> list[dict[str, Any]]:
    answer = httpx.get(f"{simulator.url}/api/messages", timeout=60)
    received: list[dict[str, Any]] = answer.json()["data"]
    return received
