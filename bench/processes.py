"""Real processes, started, awaited and always ended."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench import machine

START_SECONDS = 30.0
STOP_SECONDS = 5.0
#: Between two looks whether a server takes requests yet.
_LOOK_SECONDS = 0.02
_LOG_LINES = 15


class BenchFailed(Exception):
    """A figure could not be taken; the text says what to do about it."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a server.

    Attributes:
        environment: the whole of it; nothing is inherited.
        ready: a path that answers 200 as soon as the server takes requests; where there is none,
            an open port is enough.
    """

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: str | None = None


class Server:
    """A server process on a port of the loopback address. Use as a context manager.

    Attributes:
        began_at: when it was started, on the monotonic clock.
    """

    began_at: float

    def __init__(self, launch: Launch, *, port: int, core: int | None, log: Path) -> None:
        self._launch = launch
        self._core = core
        self._log = log
        self.port = port

    def __enter__(self) -> Self:
        self.began_at = time.monotonic()
        with self._log.open("ab") as log:
            # A session of its own: Ctrl-C reaches only the bench, which then ends all it started.
            self._process = subprocess.Popen(
                self._launch.command,
                cwd=self._launch.folder,
                env=dict(self._launch.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            machine.hold(self._process.pid, self._core)
            self._await_ready()
        except BaseException:  # Ctrl-C too: a half-started server must not be left behind
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    @property
    def pid(self) -> int:
        return self._process.pid

    def get(self, path: str) -> tuple[int, bytes]:
        """The status and body of a GET.

        Raises:
            OSError, http.client.HTTPException: no answer.
        """
        return call(self.port, "GET", path)

    def check_alive(self) -> None:
        """Make sure that the process still runs.

        Raises:
            BenchFailed: it ended; the text has the end of its log.
        """
        if self._process.poll() is not None:
            raise BenchFailed(self.story(f"ended by itself with {self._process.returncode}"))

    def kill(self) -> None:
        """End it as a crash does."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _await_ready(self) -> None:
        give_up = time.monotonic() + START_SECONDS
        while not self._answers():
            self.check_alive()
            if time.monotonic() > give_up:
                raise BenchFailed(self.story(f"took no request within {START_SECONDS:.0f} s"))
            time.sleep(_LOOK_SECONDS)

    def _answers(self) -> bool:
        try:
            status, _ = self.get(self._launch.ready or "/")
        except (OSError, http.client.HTTPException):
            return False
        return self._launch.ready is None or status == http.HTTPStatus.OK

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)  # its own session: its children too
            self._process.wait()

    def story(self, what: str) -> str:
        """What happened, for people, with the end of the server's log."""
        lines = self._log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        return "\n  ".join([f"{' '.join(self._launch.command)}: {what}", *lines])


def call(
    port: int,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    """One HTTP request to a server on this machine: its status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def call_json(port: int, method: str, path: str, body: object = None) -> Any:
    """One request with JSON both ways to the bench's own provider."""
    status, content = call(port, method, path, json.dumps(body).encode())
    if status != http.HTTPStatus.OK:
        raise BenchFailed(f"the bench's provider answered {method} {path} with {status}")
    return json.loads(content)
