"""`alir serve` as its operator meets it: starts, refusals to start, and stops."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.acceptance.gateway import STOP_SECONDS, RunningGateway
from tests.acceptance.graph_double import GraphDouble, taken
from tests.acceptance.polling import eventually
from tests.acceptance.raw_http import connection, request
from tests.acceptance.talk import (
    MESSAGES,
    becomes,
    client,
    get,
    message,
    running,
    send,
    sent,
)
from typer.testing import CliRunner

from alir.cli.main import app
from alir.intake.tokens import generate

BIN = Path(sys.executable).parent
README = Path(__file__).parents[2] / "README.md"


class Greeting(RunningGateway):
    """A gateway whose whole greeting is read, up to its last line."""

    _ready = re.compile(r"^Read on: +(http://\S+)/docs$", re.MULTILINE)

    def greeting(self) -> str:
        """What the last start said on stdout."""
        return self.output().partition("--- stderr")[0].rpartition("is ready at")[2]


def refused(
    folder: Path,
    *options: str,
    environment: dict[str, str] | None = None,
    command: str = "serve",
) -> subprocess.CompletedProcess[str]:
    """A start that must end by itself, and soon."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("ALIR_")}
    return subprocess.run(
        [sys.executable, "-m", "alir", command, "--port=0", *options],
        cwd=folder,
        env=own | (environment or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )


def mistyped(token: str) -> str:
    """The same with another checksum."""
    return token[:-1] + ("a" if token[-1] != "a" else "b")


def message_in(text: str) -> Any:
    """The body of the first curl command there that sends one."""
    return json.loads(re.findall(r"-d '(\{.*?\})'", text, re.DOTALL)[0])


# The first start, and later ones


def test_the_first_start_prints_an_api_token_once_and_a_command_that_works(tmp_path: Path) -> None:
    with Greeting(tmp_path, token="") as gateway:
        first = gateway.greeting()
        [token] = set(re.findall(r"alir_\w+", first))
        assert re.fullmatch(r"alir_[0-9A-Za-z]{43}", token)
        command = first[first.index("curl ") : first.index("\n\n", first.index("curl "))]

        ran = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, check=False, timeout=20
        )

        assert ran.returncode == 0, ran.stderr
        assert '"status":"accepted"' in ran.stdout.replace(" ", "")
        assert "Message Sent!" in ran.stdout
        assert message_in(command) == message_in(README.read_text())
        [found] = re.findall(r"msg_\w+", ran.stdout)[:1]
        with client(gateway, token) as api:
            becomes(api, found, "read", within=3)
        gateway.restart()
        again = gateway.greeting()
        with client(gateway, token) as api:
            assert get(api, found)["status"] == "read"

    assert token not in again
    assert "alir token create" in again
    assert token not in gateway.output().partition("--- stderr")[2]


def test_other_api_tokens_do_not_keep_the_first_start_from_printing_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "alir", "token"]
    subprocess.run([*command, "create", "shop"], cwd=tmp_path, check=True, capture_output=True)

    with Greeting(tmp_path, token="") as gateway:
        first = gateway.greeting()
        subprocess.run([*command, "revoke", "first"], cwd=tmp_path, check=True, capture_output=True)
        gateway.restart()
        again = gateway.greeting()

    assert "shown this once" in first
    assert "curl" in first
    assert "shown this once" not in again  # a revoked one is not made anew


def test_the_first_api_token_has_every_right(tmp_path: Path) -> None:
    with Greeting(tmp_path, token="") as gateway:
        token = re.findall(r"alir_\w+", gateway.greeting())[0]

    listed = subprocess.run(
        [sys.executable, "-m", "alir", "token", "list"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": "200"},
    ).stdout

    assert "first" in listed
    assert "admin read send" in listed
    assert token not in listed


def test_a_given_api_token_is_the_first_one_and_is_not_printed(tmp_path: Path) -> None:
    with Greeting(tmp_path) as gateway:
        with client(gateway, gateway.token) as api:
            assert send(api).status_code == 200
        assert gateway.token not in gateway.output()
        assert "$ALIR_API_TOKEN" in gateway.greeting()


def test_a_given_api_token_that_changes_takes_the_place_of_the_former_one(tmp_path: Path) -> None:
    body = message()
    with (
        RunningGateway(tmp_path, token="the-former-token-of-the-operator") as gateway,
        client(gateway, gateway.token) as api,
    ):
        found = sent(api, body, Idempotency_Key="kept")

    with RunningGateway(tmp_path, token="the-latter-token-of-the-operator") as gateway:
        with client(gateway, "the-former-token-of-the-operator") as former:
            assert former.get(MESSAGES).status_code == 401
        with client(gateway, gateway.token) as api:
            again = send(api, body, Idempotency_Key="kept")
            assert again.headers["idempotency-replayed"] == "true"
            assert again.json()["data"]["id"] == found

    with Greeting(tmp_path, token="") as gateway:  # unset again: the last one stays
        assert "shown this once" not in gateway.greeting()
        with client(gateway, "the-latter-token-of-the-operator") as api:
            assert get(api, found)["id"] == found


@pytest.mark.parametrize(
    ("token", "words"),
    [
        pytest.param("x" * 31, "at least 32 characters", id="31 characters"),
        pytest.param("x" * 20 + " " + "x" * 20, "without spaces", id="a space"),
        pytest.param("é" * 40, "visible ASCII", id="not ASCII"),
        pytest.param(mistyped(generate()), "checksum", id="a mistyped one of alir's"),
    ],
)
def test_an_api_token_that_cannot_be_used_is_refused(
    tmp_path: Path, token: str, words: str
) -> None:
    ended = refused(tmp_path, environment={"ALIR_API_TOKEN": token})

    assert ended.returncode == 2
    assert words in ended.stderr
    assert ended.stderr.startswith("alir: ALIR_API_TOKEN: ")
    assert token not in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize(
    "token",
    ["x" * 32, generate(), "alir_" + "of-our-own-and-longer-than-theirs-" * 2],
    ids=["32 characters", "one of alir's", "an own one that begins like alir's"],
)
def test_an_api_token_that_can_be_used_is_taken(tmp_path: Path, token: str) -> None:
    with RunningGateway(tmp_path, token=token) as gateway, client(gateway, token) as api:
        assert send(api).status_code == 200


# What keeps it from starting


def test_a_second_gateway_on_the_same_file_is_refused(tmp_path: Path) -> None:
    with RunningGateway(tmp_path) as gateway:
        ended = refused(tmp_path)

        assert ended.returncode == 1
        assert len(ended.stderr.splitlines()) == 1
        assert ended.stderr.startswith("alir: ")
        assert "alir.db" in ended.stderr
        with client(gateway, gateway.token) as api:
            assert send(api).status_code == 200


def test_a_gateway_that_was_killed_leaves_no_lock(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path)
    gateway.start()
    gateway.kill()

    with RunningGateway(tmp_path) as again, client(again, again.token) as api:
        assert send(api).status_code == 200


@pytest.mark.parametrize("command", ["serve", "simulator"])
def test_a_port_that_is_taken_is_named(tmp_path: Path, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = refused(tmp_path, f"--port={port}", command=command)

    assert ended.returncode == 2
    assert f"port {port}" in ended.stderr
    assert "--port" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_everything_that_is_wrong_with_the_settings_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "alir.toml").write_text(
        """
        prot = 8080
        [dispatch]
        rate_share = 2
        [senders.main]
        provider = "cloud"
        phone_number_id = 106500000000000
        app_secret = { env = "NOBODY_SET_THIS" }
        """
    )

    environment = {"ALIR_LOG__LEVEL": "loud", "ALIR_API_TOKEN": "short"}
    ended = refused(tmp_path, environment=environment)

    assert ended.returncode == 2
    lines = ended.stderr.splitlines()
    for words in (
        ("alir.toml", "prot", "port"),
        ("alir.toml", "dispatch.rate_share", "at most 1"),
        ("alir.toml", "senders.main.phone_number_id", "in quotes"),
        ("alir.toml", "senders.main.access_token", "missing"),
        ("alir.toml", "senders.main.app_secret", "NOBODY_SET_THIS"),
        ("ALIR_LOG__LEVEL", "log.level", "loud"),
        ("ALIR_API_TOKEN", "at least 32 characters"),
    ):
        [line] = [line for line in lines if all(word in line for word in words)]
        assert line.startswith("alir: ")
    assert len(lines) == 7


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param(["--config=nowhere.toml"], "nowhere.toml", id="a file that is not there"),
        pytest.param(["--database=mysql://x"], "sqlite:///", id="a database of another kind"),
        pytest.param(
            ["--database=sqlite:////nowhere/at/all.db"],
            "there is no folder /nowhere/at.",
            id="no folder",
        ),
        pytest.param(["--host=256.1.1.1"], "256.1.1.1", id="no address"),
        pytest.param(["--port=70000"], "65535", id="no port"),
        pytest.param(["--port=http"], "--port", id="a word as port"),
        pytest.param(["--prot=1"], "--prot", id="no option"),
    ],
)
def test_an_option_that_cannot_be_used_is_explained(
    tmp_path: Path, options: Sequence[str], words: str
) -> None:
    ended = refused(tmp_path, *options)

    assert ended.returncode in (1, 2)
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("port", ["99999", "-1", "http"])
def test_a_port_that_is_none_is_explained_by_the_simulator_too(tmp_path: Path, port: str) -> None:
    ended = refused(tmp_path, f"--port={port}", command="simulator")

    assert ended.returncode == 2
    assert "--port" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_database_that_is_none_is_explained(tmp_path: Path) -> None:
    (tmp_path / "alir.db").write_text("this is a letter, and no database; " * 100)

    ended = refused(tmp_path)

    assert ended.returncode == 1
    assert "alir.db" in ended.stderr
    assert "Traceback" not in ended.stderr


# How quick it is


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_come_within_400_ms(option: str) -> None:
    took = []
    for _ in range(5):
        begun = time.perf_counter()
        said = subprocess.run([BIN / "alir", option], capture_output=True, text=True, check=True)
        took.append(time.perf_counter() - begun)

    assert said.stdout.strip()
    assert statistics.median(took) < 0.4


@pytest.mark.parametrize("command", [[], ["db"], ["sender"], ["token"]], ids=str)
def test_help_fits_80_columns_and_cuts_nothing_off(command: list[str]) -> None:
    said = CliRunner().invoke(app, [*command, "--help"], terminal_width=80).output

    assert "Commands:" in said
    assert "..." not in said.partition("Commands:")[2]
    assert all(len(line) <= 80 for line in said.splitlines())


def test_help_shows_examples() -> None:
    said = subprocess.run([BIN / "alir", "--help"], capture_output=True, text=True, check=True)

    assert "Examples" in said.stdout
    assert "alir serve" in said.stdout
    assert "alir token create" in said.stdout


def test_it_takes_requests_within_2_seconds(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path)
    took = []
    for _ in range(3):
        begun = time.perf_counter()
        gateway.start()
        httpx.get(f"{gateway.url}/readyz").raise_for_status()
        took.append(time.perf_counter() - begun)
        gateway.stop()

    assert statistics.median(took) < 2


# The stop


@pytest.mark.parametrize(
    "signals",
    [[signal.SIGINT], [signal.SIGINT, signal.SIGTERM], [signal.SIGTERM] * 3],
    ids=["interrupted", "interrupted and told", "told three times"],
)
def test_it_stops_as_well_when_it_is_interrupted_or_told_twice(
    tmp_path: Path, signals: list[signal.Signals]
) -> None:
    with running(tmp_path) as (gateway, api):
        found = sent(api)
        for each in signals:
            os.kill(gateway.pid, each)
        eventually(lambda: '"event": "stopped"' in gateway.output(), within=STOP_SECONDS)

        gateway.stop()  # tells it once more, and asserts that it exits with 0

        said = gateway.output()
        assert said.count('"event": "stopped"') == 1
        assert "Traceback" not in said
        gateway.start()
        assert get(api, found)["status"] in ("accepted", "sent", "delivered", "read")


def test_who_waits_when_it_stops_is_answered_202(tmp_path: Path) -> None:
    with running(tmp_path) as (gateway, api), ThreadPoolExecutor(1) as aside:
        asked = aside.submit(send, api, message("+1 5550 000409"), Prefer="wait=60")
        eventually(lambda: api.get(MESSAGES, params={"status": "unknown"}).json()["data"])
        begun = time.monotonic()

        gateway.stop()

        answer = asked.result(5)
        assert (answer.status_code, answer.json()["data"]["status"]) == (202, "unknown")
        assert time.monotonic() - begun < 5


def test_it_stops_in_time_while_calls_hang_and_clients_are_slow(tmp_path: Path) -> None:
    may_answer = threading.Event()

    def never(_: object) -> tuple[int, bytes]:
        may_answer.wait(60)
        return taken("wamid.LATE")

    try:
        with (
            GraphDouble(never) as graph,
            running(tmp_path, graph.config) as (gateway, api),
            ThreadPoolExecutor(1) as aside,
            connection(gateway, timeout=30) as slow,
        ):
            asked = aside.submit(send, api, Prefer="wait=60")
            eventually(lambda: graph.received)
            slow.sendall(request(gateway, b"{}" * 100)[:-1])
            begun = time.monotonic()

            gateway.stop()  # asserts that it exits with 0

            assert time.monotonic() - begun < STOP_SECONDS
            answer = asked.result(5)
            assert (answer.status_code, answer.json()["data"]["status"]) == (202, "sending")
            gateway.start()
            unknown = becomes(api, answer.json()["data"]["id"], "unknown")
            assert len(unknown["attempts"]) == 1
            assert len(graph.received) == 1
    finally:
        may_answer.set()


def test_a_call_that_ends_within_the_grace_is_recorded(tmp_path: Path) -> None:
    may_answer = threading.Event()

    def late(_: object) -> tuple[int, bytes]:
        may_answer.wait(60)
        return taken("wamid.JUST-IN-TIME")

    with GraphDouble(late) as graph, running(tmp_path, graph.config) as (gateway, api):
        found = sent(api, Prefer="respond-async")
        eventually(lambda: graph.received)
        with ThreadPoolExecutor(1) as aside:
            stopped = aside.submit(gateway.stop)
            eventually(lambda: not listens(gateway))
            may_answer.set()
            stopped.result(STOP_SECONDS)

        gateway.start()
        assert get(api, found)["status"] == "accepted"
        assert len(graph.received) == 1


def listens(gateway: RunningGateway) -> bool:
    try:
        with connection(gateway, timeout=1):
            return True
    except OSError:
        return False


def test_what_waits_in_the_queue_goes_out_after_the_restart(tmp_path: Path) -> None:
    with running(tmp_path, ALIR_DISPATCH__ENABLED="false") as (_, api):
        found = [sent(api, Prefer="respond-async") for _ in range(20)]
        assert {get(api, each)["status"] for each in found} == {"queued"}

    with running(tmp_path) as (_, api):
        for each in found:
            assert len(becomes(api, each, "read")["attempts"]) == 1
