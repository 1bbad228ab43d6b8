"""Real processes of alir to test over HTTP: the gateway, and the simulator alone."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

#: Long enough, and nobody's.
API_TOKEN = "an-api-token-of-the-acceptance-tests"
#: The issue's own limit for a stop.
STOP_SECONDS = 15


def free_port() -> int:
    """A port that nobody listens on, for who must be told before it runs where another will be."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


class Program:
    """`alir COMMAND --port 0 …` in a process of its own. Use as a context manager.

    Leaving the context stops it with SIGTERM and asserts that it exits with 0; a test that failed
    already kills it instead, and its failure gets what the process said as a note.

    Attributes:
        folder: where it runs, and where files of its own (database, `alir.toml`) are.
        url: such as `http://127.0.0.1:40123`; the same after a restart.
    """

    command: str
    _ready: re.Pattern[str]

    def __init__(
        self,
        folder: Path,
        *,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        """Nothing runs yet. `environment` is added to this process's own, less its `ALIR_…`."""
        self.folder = folder
        self.url = "" if port is None else f"http://127.0.0.1:{port}"
        self._options = tuple(options)
        own = {key: value for key, value in os.environ.items() if not key.startswith("ALIR_")}
        self._environment = own | dict(environment or {})
        self._process: subprocess.Popen[str] | None = None
        self._said = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self.kill()
            error.add_note(self.output())
        elif self._process is not None:
            self.stop()

    @property
    def pid(self) -> int:
        """The process's id, while it runs."""
        assert self._process is not None, "it does not run"
        return self._process.pid

    def start(self) -> None:
        """Start it, and return as soon as it says that it takes requests."""
        assert self._process is None, "it runs already"
        port = urlsplit(self.url).port or 0
        with self._errors.open("a") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "alir", self.command, f"--port={port}", *self._options],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said += line
            if found := self._ready.search(line):
                self.url = found[1]
                return
        self.kill()
        raise AssertionError(f"it did not start:\n{self.output()}")

    def stop(self) -> None:
        """End it with SIGTERM; it must exit with 0, within `STOP_SECONDS`."""
        assert self._process is not None, "it does not run"
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it did not stop:\n{self.output()}") from None
        code = self._process.returncode
        self._forget()
        assert code == 0, f"it exited with {code}:\n{self.output()}"

    def kill(self) -> None:
        """End it as `kill -9` does. Does nothing where it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._forget()

    def restart(self) -> None:
        """Start it anew on the same port and files; one that still runs is stopped first."""
        if self._process is not None:
            self.stop()
        self.start()

    def output(self) -> str:
        """All that it said, for a failure's message: stdout, then stderr."""
        errors = self._errors.read_text() if self._errors.exists() else ""
        return f"--- stdout of alir {self.command}\n{self._said}\n--- stderr\n{errors}"

    @property
    def _errors(self) -> Path:
        return self.folder / f"{self.command}.stderr"

    def _forget(self) -> None:
        assert self._process is not None
        if self._process.stdout is not None:
            self._said += self._process.stdout.read()
            self._process.stdout.close()
        self._process = None


class RunningGateway(Program):
    """`alir serve`. Without settings it has the sender `sandbox` on its own simulator.

    Attributes:
        token: its first API token, with every right.
    """

    command = "serve"
    _ready = re.compile(r"is ready at (http://\S+)")

    def __init__(
        self,
        folder: Path,
        *,
        config: str = "",
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        token: str = API_TOKEN,
        port: int | None = None,
    ) -> None:
        """`config` is the text of its `alir.toml`."""
        given = {"ALIR_API_TOKEN": token, **(environment or {})}
        super().__init__(folder, options=options, environment=given, port=port)
        self.token = token
        if config:
            (folder / "alir.toml").write_text(config)

    def holds(self) -> set[str]:
        """The senders that it took, and did not let go of, as its log says."""
        held: set[str] = set()
        for line in self._errors.read_text().splitlines():
            told = json.loads(line)
            if told["event"] == "lease_taken":
                held.add(told["sender"])
            elif told["event"] in {"lease_released", "lease_lost"}:
                held.discard(told["sender"])
        return held


class RunningSimulator(Program):
    """`alir simulator`, alone. Its Graph API is at `url`, a slash, and `graph`."""

    command = "simulator"
    _ready = re.compile(r"is ready at (http://[^\s,]+),")
