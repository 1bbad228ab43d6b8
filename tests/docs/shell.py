"""One shell for a page, so that what one command sets the next one finds."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self
from uuid import uuid4


class Ran(NamedTuple):
    """What a command came to; `said` is stdout and stderr as a terminal shows them."""

    status: int
    said: str


class Shell:
    """A bash that is handed one command after the other. Use as a context manager."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._mark = f"ended-{uuid4().hex}"
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.close()
        self._bash.stdout.close()
        self._bash.wait(10)

    def run(self, command: str) -> Ran:
        """Run it to its end."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f'{command}\nprintf "\\n{self._mark} $?\\n"\n')
        self._bash.stdin.flush()
        said = ""
        for line in self._bash.stdout:
            if line.startswith(self._mark):
                return Ran(int(line.split()[1]), said.strip())
            said += line
        raise AssertionError(f"the shell ended:\n{said}")
