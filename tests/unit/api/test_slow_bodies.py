"""Bodies that take too long, on a real server and real connections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.running import in_a_loop
from tests.seed import mended
from tests.unit.api.serving import MESSAGES, TOKEN, a_gateway, serving

from alir.api import door

PATIENCE = 10  # seconds until a test that waits in vain fails
LITTLE = 0.3
BODY = json.dumps(mended()).encode()
ROUTES = pytest.mark.parametrize(
    "path", [MESSAGES, "/callbacks/cloud", "/callbacks/routemobile/a-guess"]
)


@pytest.fixture(autouse=True)
def _little_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no alir.toml of the developer's
    monkeypatch.setattr(door, "BODY_SECONDS", LITTLE)
    monkeypatch.setattr(door, "CALLBACK_BODY_SECONDS", LITTLE)


def head(path: str) -> bytes:
    lines = (
        f"POST {path} HTTP/1.1",
        "host: a",
        f"authorization: Bearer {TOKEN}",
        "content-type: application/json",
        "x-hub-signature-256: sha256=00",
        f"content-length: {len(BODY)}",
    )
    return "\r\n".join([*lines, "", ""]).encode()


async def everything(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of all that comes until the server closes."""
    said = bytearray()
    async with asyncio.timeout(PATIENCE):
        # What still comes in when the server has answered and closed is answered by a reset.
        with suppress(ConnectionResetError):
            while block := await reader.read(65_536):
                said += block
    before, _, after = said.partition(b"\r\n\r\n")
    return bytes(before), bytes(after)


def assert_timed_out(before: bytes, after: bytes) -> None:
    assert before.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in before
    told = json.loads(after)
    assert told["type"] == "/problems/request_timeout"
    assert f"{LITTLE:g} seconds" in told["detail"]


@contextmanager
def took(loop: asyncio.AbstractEventLoop, most: float) -> Iterator[None]:
    begun = loop.time()
    yield
    assert LITTLE <= loop.time() - begun < most


@ROUTES
@in_a_loop
async def test_a_body_that_stops_coming_is_given_up(tmp_path: Path, path: str) -> None:
    async with a_gateway(tmp_path / "alir.db") as gateway, serving(gateway.app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with took(asyncio.get_running_loop(), PATIENCE):
            writer.write(head(path) + BODY[:-1])
            assert_timed_out(*await everything(reader))
        writer.close()


@ROUTES
@in_a_loop
async def test_a_body_that_trickles_is_given_up_though_it_never_stops(
    tmp_path: Path, path: str
) -> None:
    async def trickle(writer: asyncio.StreamWriter) -> None:
        for byte in BODY:
            writer.write(bytes([byte]))
            await asyncio.sleep(LITTLE / 10)  # a real server's timer cannot be moved by hand

    async with a_gateway(tmp_path / "alir.db") as gateway, serving(gateway.app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with took(asyncio.get_running_loop(), len(BODY) * LITTLE / 10):
            writer.write(head(path))
            trickling = asyncio.create_task(trickle(writer))
            assert_timed_out(*await everything(reader))
        trickling.cancel()
        writer.close()


@in_a_loop
async def test_a_body_that_comes_in_pieces_but_in_time_is_taken(tmp_path: Path) -> None:
    async with a_gateway(tmp_path / "alir.db") as gateway, serving(gateway.app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head(MESSAGES).replace(b"host: a", b"host: a\r\nprefer: respond-async"))
        for piece in (BODY[:10], BODY[10:20], BODY[20:]):
            await asyncio.sleep(LITTLE / 10)
            writer.write(piece)
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
        writer.close()

    assert answer.startswith(b"HTTP/1.1 202 ")
