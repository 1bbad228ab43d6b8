"""The three that are measured: alir, the plain design, and the bare prototype.

Each is started fresh for every round, with an empty store in a folder of its own. What it has
done is read from that store, not taken from what it says of itself.
"""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.bodies import bodies
from bench.postgres import Databases
from bench.processes import BenchFailed, Launch

_ROOT = Path(__file__).resolve().parent.parent
#: The sender of alir's that is measured, and one that sends a message a second.
SENDER, SLOW = "bench", "slow"
#: Sorts after the ids of messages that a store is filled with, and before those of alir's own.
AFTER_FILLED = "msg_01"
#: What a child may see of our environment: nothing that could set alir up otherwise.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where and how one server runs for one round.

    Attributes:
        folder: empty at first; holds its store and its log.
        provider_port: of the bench's provider on the loopback address.
        delay_ms: how long the provider takes to answer.
        sending: false to take and store messages, but send none.
    """

    port: int
    folder: Path
    provider_port: int
    delay_ms: int = 0
    sending: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """What a generator needs to post a message: path, headers, bodies to send in turn."""

    path: str
    headers: dict[str, str]
    bodies: list[str]


class Contender(Protocol):
    """Something that takes messages over HTTP, keeps them in SQLite and carries them."""

    @property
    def name(self) -> str: ...

    def launch(self, spot: Spot) -> Launch:
        """How to start it there."""
        ...

    def posting(self, *, waits: bool = False, recipients: int = 1) -> Posting:
        """How to post; `waits`: the answer comes when the message is settled."""
        ...

    def stored(self, spot: Spot) -> int:
        """How many messages are on disk."""
        ...

    def recorded(self, spot: Spot) -> int:
        """How many messages are recorded as accepted by the provider."""
        ...


def count(database: Path, query: str) -> int:
    """The one number that a query gives, read beside the server that writes."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as connection:
        number: int = connection.execute(query).fetchone()[0]
    return number


def _environment(**more: str) -> dict[str, str]:
    return {name: os.environ[name] for name in _INHERITED if name in os.environ} | more


@dataclass(frozen=True, slots=True)
class Alir:
    """The gateway, as `alir serve` runs it.

    Attributes:
        command: path of the `alir` command.
        pair_seconds: between two messages to one recipient; 0: no limit, and nothing is kept.
        has_slow: whether it has another sender, `SLOW`, besides the one that is measured.
        on: the PostgreSQL databases that it keeps its messages in; none: SQLite.
    """

    command: Path
    name: str = "alir"
    pair_seconds: float = 0
    has_slow: bool = False
    on: Databases | None = None

    _TOKEN = "bench-only-token-of-more-than-32-characters"
    _STORED = "SELECT count(*) FROM message"
    # Of attempts: among a million messages that wait, looking for those that do not takes long.
    _RECORDED = "SELECT count(*) FROM attempt WHERE outcome = 'accepted'"
    _FILLED = f"message_id < '{AFTER_FILLED}'"

    def launch(self, spot: Spot) -> Launch:
        if not self.command.exists():
            raise BenchFailed(f"{self.command} is not there: run `make setup` first")
        settings = spot.folder / "alir.toml"
        settings.write_text(self._settings(spot))
        command = [str(self.command), "serve", "--host", "127.0.0.1", "--port", str(spot.port)]
        database = self.on.url(spot.folder) if self.on else f"sqlite:///{database_of(spot.folder)}"
        command += ["--database", database, "--config", str(settings)]
        environment = _environment(ALIR_API_TOKEN=self._TOKEN)
        return Launch(command, spot.folder, environment, ready="/readyz")

    def posting(self, *, waits: bool = False, recipients: int = 1) -> Posting:
        headers = {"Authorization": f"Bearer {self._TOKEN}"}
        if not waits:
            headers["Prefer"] = "respond-async"
        path = "/api/whatsapp/v1/messages"
        sender = SENDER if self.has_slow else None  # else it is the only one
        return Posting(path=path, headers=headers, bodies=bodies(recipients, sender=sender))

    def stored(self, spot: Spot) -> int:
        return self.count(spot, self._STORED)

    def recorded(self, spot: Spot) -> int:
        """How many messages are recorded as accepted, of those that were posted."""
        return self.count(spot, f"{self._RECORDED} AND NOT {self._FILLED}")

    def recorded_of_filled(self, spot: Spot) -> int:
        """The same of those that waited there before."""
        return self.count(spot, f"{self._RECORDED} AND {self._FILLED}")

    def count(self, spot: Spot, query: str) -> int:
        return (
            self.on.count(spot.folder, query) if self.on else count(database_of(spot.folder), query)
        )

    def _settings(self, spot: Spot) -> str:
        slow = ""
        if self.has_slow:
            slow = _sender(SLOW, "2", spot, "/aside", messages_per_second=1, pair_seconds=6)
        return f"""\
[simulator]
enabled = false

[dispatch]
enabled = {str(spot.sending).lower()}
{_sender(SENDER, "1", spot, "", pair_seconds=self.pair_seconds)}{slow}"""


def _sender(
    name: str,
    number: str,
    spot: Spot,
    path: str,
    *,
    messages_per_second: float = 0,
    pair_seconds: float = 0,
) -> str:
    return f"""
[senders.{name}]
provider = "cloud"
phone_number_id = "{number}"
access_token = "bench"
app_secret = "bench"
graph_url = "http://127.0.0.1:{spot.provider_port}{path}"
messages_per_second = {messages_per_second:g}
pair_seconds = {pair_seconds:g}
"""


@dataclass(frozen=True, slots=True)
class Plain:
    """The plain design of `bench.plain`, with as many calls at once as suit it best."""

    name: str = "plain"

    _TOKEN = "bench-only-token"

    def launch(self, spot: Spot) -> Launch:
        command = [sys.executable, "-m", "bench.plain", "--port", str(spot.port)]
        command += ["--database", str(database_of(spot.folder))]
        command += ["--url", f"http://127.0.0.1:{spot.provider_port}/v24.0/1/messages"]
        command += ["--calls", str(self._calls(spot))]
        return Launch(command, _ROOT, _environment(PLAIN_TOKEN=self._TOKEN))

    def posting(self, *, waits: bool = False, recipients: int = 1) -> Posting:
        if waits:
            raise ValueError("the plain design never waits for the provider")
        headers = {"Authorization": f"Bearer {self._TOKEN}"}
        return Posting(path="/messages", headers=headers, bodies=bodies(recipients))

    @staticmethod
    def _calls(spot: Spot) -> int:
        # Of 5, 10, 20, 32 and 50 those that carried most: httpx itself slows down with more.
        if not spot.sending:
            return 0
        return 32 if spot.delay_ms else 5

    def stored(self, spot: Spot) -> int:
        return count(database_of(spot.folder), "SELECT count(*) FROM message")

    def recorded(self, spot: Spot) -> int:
        query = "SELECT count(*) FROM message WHERE status = 'accepted'"
        return count(database_of(spot.folder), query)


@dataclass(frozen=True, slots=True)
class Prototype:
    """The bare prototype that `ALIR_BENCH_PROTOTYPE` names: only what the machine itself costs.

    It runs in its best form: one statement for many rows, frozen garbage collector. Its body and
    its token are its own, from its folder.

    Attributes:
        folder: holds `accept/accept.py`, `accept/pipeline.py`, `web/body.json`, `web/post.lua`.
        python: an interpreter that can import what it needs.
        packages: a folder with what that interpreter lacks, if anything.
    """

    folder: Path
    python: str
    packages: Path | None = None
    name: str = "prototype"

    def launch(self, spot: Spot) -> Launch:
        command = [self.python, "-m", "uvicorn", "--app-dir", str(self.folder / "accept")]
        command += ["pipeline:app" if spot.sending else "accept:app"]
        command += ["--host", "127.0.0.1", "--port", str(spot.port), "--no-access-log"]
        command += ["--loop", "uvloop", "--http", "httptools", "--lifespan", "off"]
        variables = {
            "SRV": "asgi",
            "STORE": "sqlite-mv",
            "GC": "freeze",
            "CLIENT": "pyreqwest",
            # So many calls at once: at 100 ms each, 100 would end at 1,000 messages/s.
            "CONC": "500" if spot.delay_ms else "100",
            "PROVIDER": f"http://127.0.0.1:{spot.provider_port}/v24.0/1/messages",
        }
        if self.packages is not None:
            variables["PYTHONPATH"] = str(self.packages)
        return Launch(command, spot.folder, _environment(**variables))

    def posting(
        self,
        *,
        waits: bool = False,
        recipients: int = 1,  # noqa: ARG002 - it has one body
    ) -> Posting:
        if waits:
            raise ValueError("the prototype never waits for the provider")
        script = (self.folder / "web" / "post.lua").read_text()
        authorization = re.search(r'"(Bearer [^"]+)"', script)
        path = re.search(r"/api/\S+/messages", (self.folder / "README.md").read_text())
        if authorization is None or path is None:
            raise BenchFailed(f"{self.folder} does not say how to post to its prototypes")
        body = (self.folder / "web" / "body.json").read_text().strip()
        return Posting(path=path[0], headers={"Authorization": authorization[1]}, bodies=[body])

    def stored(self, spot: Spot) -> int:
        return count(self._database(spot), "SELECT count(*) FROM msg")

    def recorded(self, spot: Spot) -> int:
        return count(self._database(spot), "SELECT count(*) FROM msg WHERE status = 1")

    def _database(self, spot: Spot) -> Path:
        return spot.folder / ("pipeline.db" if spot.sending else "accept.db")


def prototype() -> Prototype | None:
    """The prototype that the environment names, if it names one.

    `ALIR_BENCH_PROTOTYPE` is its folder. `ALIR_BENCH_PROTOTYPE_PYTHON` an interpreter for it; left
    out, our own is used, so that both run on the same versions, and the one package that it needs
    and we do not, msgspec, is installed beside our own, where only the prototype looks.

    Raises:
        BenchFailed: the folder holds no prototype, or msgspec could not be installed.
    """
    named = os.environ.get("ALIR_BENCH_PROTOTYPE")
    if not named:
        return None
    folder = Path(named).resolve()
    if not (folder / "accept" / "accept.py").exists():
        raise BenchFailed(f"ALIR_BENCH_PROTOTYPE: {folder} has no accept/accept.py")
    python = os.environ.get("ALIR_BENCH_PROTOTYPE_PYTHON")
    if python:
        return Prototype(folder, python)
    packages = Path(sys.prefix) / "bench-prototype"
    if not (packages / "msgspec").exists():
        _install("msgspec", packages)
    return Prototype(folder, sys.executable, packages)


def _install(package: str, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    command += ["install", "--no-deps", "--target", str(folder), package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchFailed(f"the prototype needs {package}:\n{done.stderr.strip()}")


def database_of(folder: Path) -> Path:
    """The SQLite file of a round."""
    return folder / "messages.db"
