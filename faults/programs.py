"""Real processes of alir: gateways that get killed, and the simulator, which remembers."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from faults.start import Harm

#: A start on a busy machine may take long.
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0
API_TOKEN: Final = "an-api-token-for-the-fault-bench-alone"
_READY: Final = re.compile(rb"is ready at (http://[^\s,]+)")
_LOG_LINES: Final = 15


class BenchFailed(Exception):
    """A run could not be judged; the text says what happened."""


def free_port() -> int:
    """A port of the loopback address on which nothing listens now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


class Program:
    """`alir COMMAND …` in a process of its own, started as often as it is killed.

    Attributes:
        port: where it listens; the same each time.
        is_up: whether it takes requests, as far as anybody knows.
    """

    def __init__(self, folder: Path, name: str, arguments: Sequence[str]) -> None:
        self.port = free_port()
        self.is_up = False
        self._folder = folder
        self._arguments = (*arguments, f"--port={self.port}")
        self._log = folder / f"{name}.log"
        self._process: asyncio.subprocess.Process | None = None
        self._drained: asyncio.Task[bytes] | None = None

    async def start(self, harm: Harm | None = None) -> bool:
        """Start it; whether it takes requests, or was killed before it did.

        Raises:
            BenchFailed: it ended otherwise, or takes none for too long.
        """
        given = [] if harm is None else [harm.as_text()]
        module = "alir" if harm is None else "faults.start"
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                module,
                *given,
                *self._arguments,
                cwd=self._folder,
                env=_environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        out = self._process.stdout
        assert out is not None
        try:
            async with asyncio.timeout(START_SECONDS):
                async for line in out:
                    if _READY.search(line):
                        self._drained = asyncio.ensure_future(out.read())
                        self.is_up = True
                        return True
        except TimeoutError:
            await self.end()
            raise BenchFailed(self.story("takes no requests")) from None
        except asyncio.CancelledError:
            self.strike()  # whoever would end it may have been told that there is no process
            raise
        await self._ended()
        return False

    @property
    def runs(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """Its process's id, while there is one."""
        assert self._process is not None
        return self._process.pid

    def check_alive(self) -> None:
        """Make sure that it runs, where it was started.

        Raises:
            BenchFailed: it ended by itself.
        """
        if self._process is not None and self._process.returncode is not None:
            self.is_up = False
            raise BenchFailed(self.story(f"ended by itself with {self._process.returncode}"))

    def strike(self) -> None:
        """End it as `kill -9` does, if it runs. Its end is awaited with `dies_within`."""
        self.is_up = False
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def dies_within(self, seconds: float) -> bool:
        """Whether it is killed by then; it runs on where it is not.

        Raises:
            BenchFailed: it ended otherwise.
        """
        if self._process is None:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._process.wait()
        except TimeoutError:
            return False
        await self._ended()
        return True

    async def kill(self) -> None:
        """End it as `kill -9` does."""
        self.strike()
        await self.dies_within(STOP_SECONDS)

    async def stop(self) -> None:
        """End it with SIGTERM, if it runs.

        Raises:
            BenchFailed: it did not heed that, and was killed; or it ended with an error.
        """
        code = await self.end()
        if code != 0:
            raise BenchFailed(self.story(f"was told to stop, and ended with {code}"))

    async def end(self) -> int:
        """End it, however it stands: with SIGTERM, or else by force; its exit code."""
        process, self._process = self._process, None
        self.is_up = False
        if process is None:
            return 0
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                return await process.wait()
        except TimeoutError:
            return -signal.SIGKILL
        finally:
            if process.returncode is None:
                process.kill()

    def faults(self) -> list[str]:
        """What it logged as errors: faults of alir's own."""
        found = []
        for line in self._lines():
            with suppress(ValueError):
                said = json.loads(line)
                if said.get("level") in ("error", "critical"):
                    found.append(f"{said.get('event')}: {said}"[:300])
        return found

    def story(self, what: str) -> str:
        """What happened, for people, with the end of its log."""
        return "\n  ".join([f"{' '.join(self._arguments)}: {what}", *self._lines()[-_LOG_LINES:]])

    async def _ended(self) -> None:
        self.is_up = False
        assert self._process is not None
        code = await self._process.wait()
        self._process = None
        if code != -signal.SIGKILL:
            raise BenchFailed(self.story(f"ended by itself with {code}"))

    def _lines(self) -> list[str]:
        return self._log.read_text(errors="replace").splitlines() if self._log.exists() else []


def _environment() -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith("ALIR_")}
    root = str(Path(__file__).resolve().parent.parent)
    return own | {"ALIR_API_TOKEN": API_TOKEN, "PYTHONPATH": root}
