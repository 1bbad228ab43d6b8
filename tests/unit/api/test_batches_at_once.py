"""Batches at once: their memory has an end, and so has their wait; slow ones hold up nobody."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.running import in_a_loop
from tests.seed import mended
from tests.unit.api.serving import MESSAGES, TOKEN, a_gateway

from alir.api.routes import batch
from alir.api.routes.batch import AT_ONCE

SIZE = 1000


class Upload:
    """A batch whose body comes when a test lets it.

    Args:
        size: what it says of its body's; none: nothing.
        body: what comes in the end.

    Attributes:
        status: of the answer; none: there is none yet.
        headers: of the answer.
        problem: the code of the answer's, if it is one.
    """

    def __init__(self, *, size: int | None = SIZE, body: bytes = b'[{"to": "letters"}]') -> None:
        self.status: int | None = None
        self.headers: dict[bytes, bytes] = {}
        self.problem: str | None = None
        self._size = size
        self._body = body
        self._asked = asyncio.Event()
        self._here = asyncio.Event()

    async def is_asked_for(self) -> None:
        """Wait until the gateway reads it."""
        await self._asked.wait()

    def arrive(self) -> None:
        self._here.set()

    async def send_to(self, app: Any) -> None:
        headers = [
            (b"authorization", f"Bearer {TOKEN}".encode()),
            (b"content-type", b"application/json"),
            (b"expect", b"100-continue"),  # what is refused is then not read
        ]
        if self._size is not None:
            headers.append((b"content-length", str(self._size).encode()))
        scope = {"type": "http", "method": "POST", "path": f"{MESSAGES}/batch"}
        await app(scope | {"query_string": b"", "headers": headers}, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        self._asked.set()
        await self._here.wait()
        return {"type": "http.request", "body": self._body}

    async def _send(self, message: dict[str, Any]) -> None:
        if "status" in message:
            self.status = message["status"]
            self.headers = dict(message["headers"])
        elif self.status != 200:
            self.problem = json.loads(message["body"])["type"].rpartition("/")[2]


def assert_refused(upload: Upload) -> None:
    assert (upload.status, upload.problem) == (503, "too_many_batches")
    assert int(upload.headers[b"retry-after"]) > 0


@pytest.fixture(autouse=True)
def _nothing_of_the_developers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no alir.toml


@in_a_loop
async def test_bodies_that_come_slowly_hold_up_no_batch_that_is_here(tmp_path: Path) -> None:
    async with a_gateway(tmp_path / "alir.db") as gateway, asyncio.TaskGroup() as tasks:
        slow = [Upload() for _ in range(2 * AT_ONCE)]
        for upload in slow:
            tasks.create_task(upload.send_to(gateway.app))
            await upload.is_asked_for()
        quick = Upload()
        quick.arrive()
        await quick.send_to(gateway.app)

        assert quick.status == 200
        assert [upload.status for upload in slow] == [None] * len(slow)
        for upload in slow:
            upload.arrive()

    assert [upload.status for upload in slow] == [200] * len(slow)


@in_a_loop
async def test_where_the_room_for_bodies_is_taken_a_further_one_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "ROOM_BYTES", 2 * SIZE)
    async with a_gateway(tmp_path / "alir.db") as gateway, asyncio.TaskGroup() as tasks:
        first, second, later = Upload(), Upload(), Upload()
        ending = tasks.create_task(first.send_to(gateway.app))
        tasks.create_task(second.send_to(gateway.app))
        for upload in (first, second):
            await upload.is_asked_for()
        for further in (Upload(), Upload(size=1), Upload(size=None)):
            await further.send_to(gateway.app)  # would wait for ever, were it read
            assert_refused(further)

        first.arrive()
        await ending
        tasks.create_task(later.send_to(gateway.app))
        await later.is_asked_for()
        second.arrive()
        later.arrive()

    assert [first.status, second.status, later.status] == [200] * 3


@in_a_loop
async def test_the_largest_batch_finds_room_while_it_is_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "ROOM_BYTES", SIZE - 1)
    async with a_gateway(tmp_path / "alir.db") as gateway:
        for upload in (Upload(), Upload(size=None)):
            upload.arrive()
            await upload.send_to(gateway.app)
            assert upload.status == 200


@in_a_loop
async def test_a_batch_that_gets_no_turn_in_time_is_refused_and_nothing_of_it_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "alir.db"
    monkeypatch.setattr(batch, "TURN_SECONDS", 0)
    body = json.dumps([mended()]).encode()
    async with a_gateway(path) as gateway, asyncio.TaskGroup() as tasks:
        taken = [Upload(body=body) for _ in range(AT_ONCE)]
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # so that they wait for the store
            further = Upload(body=body)
            for upload in (*taken, further):  # in this order they ask for a turn
                ending = tasks.create_task(upload.send_to(gateway.app))
                await upload.is_asked_for()
                upload.arrive()
            await ending
            assert_refused(further)
            assert [upload.status for upload in taken] == [None] * AT_ONCE
            other.execute("ROLLBACK")

    assert [upload.status for upload in taken] == [200] * AT_ONCE
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM message").fetchone() == (AT_ONCE,)
