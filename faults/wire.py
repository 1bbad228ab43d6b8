"""HTTP by hand: whole requests and answers off a stream, so that they can be cut anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, NamedTuple

#: What reading from or writing to a peer raises that is gone.
GONE: Final = (OSError, asyncio.IncompleteReadError)


class Whole(NamedTuple):
    """A whole request or answer.

    Attributes:
        head: as it came, its empty line included.
    """

    head: bytes
    body: bytes

    @property
    def first_line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")

    @property
    def status(self) -> int:
        """An answer's."""
        return int(self.first_line.split()[1])

    @property
    def bytes(self) -> bytes:
        return self.head + self.body


async def read_whole(stream: asyncio.StreamReader) -> Whole:
    """The next request or answer, whose length its head must tell.

    Raises:
        GONE: there is none, or not a whole one.
    """
    head = await stream.readuntil(b"\r\n\r\n")
    return Whole(head, await stream.readexactly(_length(head)))


def request(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def answer(status: int, content_type: str, body: bytes) -> bytes:
    """An answer as it goes over the wire."""
    head = f"HTTP/1.1 {status} Said\r\ncontent-type: {content_type}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
