"""Only some batches are taken at once, so that their memory has an end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.running import in_a_loop
from tests.unit.api.serving import MESSAGES, TOKEN, a_gateway

from alir.api.routes.batch import AT_ONCE


class Upload:
    """A batch whose body comes when a test lets it.

    Args:
        asked: gets it once its body is asked for.

    Attributes:
        status: of the answer; none: there is none yet.
    """

    def __init__(self, asked: asyncio.Queue[Upload]) -> None:
        self.status: int | None = None
        self._asked = asked
        self._body = asyncio.Event()

    def arrive(self) -> None:
        self._body.set()

    async def send_to(self, app: Any) -> None:
        headers = [
            (b"authorization", f"Bearer {TOKEN}".encode()),
            (b"content-type", b"application/json"),
        ]
        scope = {"type": "http", "method": "POST", "path": f"{MESSAGES}/batch"}
        await app(scope | {"query_string": b"", "headers": headers}, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        self._asked.put_nowait(self)
        await self._body.wait()
        return {"type": "http.request", "body": b'[{"to": "letters"}]'}

    async def _send(self, message: dict[str, Any]) -> None:
        self.status = message.get("status", self.status)


@in_a_loop
async def test_a_further_batch_waits_before_its_body_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # no alir.toml of the developer's
    async with a_gateway(tmp_path / "alir.db") as gateway, asyncio.TaskGroup() as tasks:
        asked: asyncio.Queue[Upload] = asyncio.Queue()
        uploads = [Upload(asked) for _ in range(AT_ONCE + 1)]
        for upload in uploads:
            tasks.create_task(upload.send_to(gateway.app))
        first, *_ = [await asked.get() for _ in range(AT_ONCE)]
        for _ in range(100):
            await asyncio.sleep(0)
        assert asked.empty()
        assert [upload.status for upload in uploads] == [None] * len(uploads)

        first.arrive()
        await asked.get()
        for upload in uploads:
            upload.arrive()

    assert [upload.status for upload in uploads] == [200] * len(uploads)
