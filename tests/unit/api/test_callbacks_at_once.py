"""Callbacks at once: the memory of bodies on their way has an end, and the usual ones need none."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.running import in_a_loop
from tests.unit.api.serving import a_gateway

from alir.api import app

CLOUD = "/callbacks/cloud"
ROOM = 1000
BODY = json.dumps({"about": "nobody", "filling": "x" * 700}).encode()
UNSIGNED: Mapping[str, str] = {}
MADE_UP = {"x-hub-signature-256": "sha256=00"}


def signed(body: bytes = BODY) -> dict[str, str]:
    digest = hmac.digest(b"simulator", body, "sha256").hex()
    return {"x-hub-signature-256": f"sha256={digest}"}


class Upload:
    """A callback of whose body a piece comes whenever a test lets it.

    Attributes:
        asked: how often the gateway asked for a piece.
        status: of the answer; none: there is none yet.
        headers: of the answer.
        problem: the answer's, if it is one.
    """

    def __init__(self, headers: Mapping[str, str], path: str = CLOUD) -> None:
        self.asked = 0
        self.status: int | None = None
        self.headers: dict[bytes, bytes] = {}
        self.problem: dict[str, Any] = {}
        self._path = path
        self._given = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._pieces: asyncio.Queue[tuple[bytes, bool]] = asyncio.Queue()
        self._asked = asyncio.Condition()
        self._answered = asyncio.Event()

    def come(self, piece: bytes, *, more: bool = True) -> None:
        self._pieces.put_nowait((piece, more))

    async def is_asked_for(self, times: int) -> None:
        """Wait until the gateway has asked so often, and so has read what came before."""
        async with self._asked:
            await self._asked.wait_for(lambda: self.asked >= times)

    async def is_answered(self) -> None:
        """Wait until the gateway has answered, and let go of it."""
        await self._answered.wait()

    async def send_to(self, gateway: Any) -> None:
        scope = {"type": "http", "method": "POST", "path": self._path, "query_string": b""}
        await gateway.app(scope | {"headers": self._given}, self._receive, self._send)
        self._answered.set()

    async def _receive(self) -> dict[str, Any]:
        async with self._asked:
            self.asked += 1
            self._asked.notify_all()
        piece, more = await self._pieces.get()
        return {"type": "http.request", "body": piece, "more_body": more}

    async def _send(self, message: dict[str, Any]) -> None:
        if "status" in message:
            self.status, self.headers = message["status"], dict(message["headers"])
        elif self.status != 200:
            self.problem = json.loads(message["body"])


async def half(
    tasks: asyncio.TaskGroup, gateway: Any, headers: Mapping[str, str], path: str = CLOUD
) -> Upload:
    """A callback of which all but the end has been read."""
    upload = Upload(headers, path)
    tasks.create_task(upload.send_to(gateway))
    upload.come(BODY[:-10])
    await upload.is_asked_for(2)
    return upload


async def whole(gateway: Any, headers: Mapping[str, str], path: str = CLOUD) -> Upload:
    """A callback that comes in one piece, and is answered."""
    upload = Upload(headers, path)
    upload.come(BODY, more=False)
    await upload.send_to(gateway)
    return upload


@pytest.fixture(autouse=True)
def _little_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no alir.toml of the developer's
    monkeypatch.setattr(app, "ROOM_BYTES", ROOM)


@in_a_loop
async def test_where_the_room_is_taken_a_further_large_one_is_refused_and_usual_ones_are_not(
    tmp_path: Path,
) -> None:
    async with a_gateway(tmp_path / "alir.db") as gateway, asyncio.TaskGroup() as tasks:
        first = await half(tasks, gateway, signed())

        further = Upload(signed())
        further.come(BODY[:-10])
        further.come(BODY[-10:], more=False)
        await further.send_to(gateway)
        assert (further.status, further.problem["type"]) == (503, "/problems/too_many_callbacks")
        assert int(further.headers[b"retry-after"]) > 0
        assert (await whole(gateway, signed())).status == 200

        first.come(BODY[-10:], more=False)
        await first.is_answered()
        second = await half(tasks, gateway, signed())
        second.come(BODY[-10:], more=False)

    assert [first.status, second.status] == [200, 200]


@in_a_loop
async def test_a_callback_larger_than_the_room_is_taken_while_it_is_alone(tmp_path: Path) -> None:
    body = json.dumps({"filling": "x" * 3 * ROOM}).encode()
    async with a_gateway(tmp_path / "alir.db") as gateway:
        upload = Upload(signed(body))
        for at in range(0, len(body), ROOM):
            upload.come(body[at : at + ROOM], more=at + ROOM < len(body))
        await upload.send_to(gateway)
    assert upload.status == 200


@in_a_loop
async def test_what_nobody_signed_leaves_its_room_to_the_next(tmp_path: Path) -> None:
    async with a_gateway(tmp_path / "alir.db") as gateway:
        for _ in range(2):
            async with asyncio.TaskGroup() as tasks:
                wrong = await half(tasks, gateway, MADE_UP)
                wrong.come(BODY[-10:], more=False)
            assert (wrong.status, wrong.problem["type"]) == (401, "/problems/bad_signature")


@pytest.mark.parametrize("path", [CLOUD, "/callbacks/routemobile/a-guess"])
@in_a_loop
async def test_what_cannot_be_signed_takes_no_room_and_is_answered_as_if_it_came_whole(
    tmp_path: Path, path: str
) -> None:
    async with a_gateway(tmp_path / "alir.db") as gateway, asyncio.TaskGroup() as tasks:
        hopeless = [await half(tasks, gateway, UNSIGNED, path) for _ in range(3)]
        other = await half(tasks, gateway, signed())
        for upload in (*hopeless, other):
            upload.come(BODY[-10:], more=False)
        at_once = await whole(gateway, UNSIGNED, path)

    assert other.status == 200
    assert at_once.status in (401, 404)
    for upload in hopeless:
        assert (upload.status, upload.problem) == (at_once.status, at_once.problem)
