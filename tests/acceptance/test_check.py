"""`alir sender check` against the simulator: what is wrong, in plain words, and the exit status."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from tests.acceptance.gateway import API_TOKEN, RunningGateway, RunningSimulator, free_port
from tests.acceptance.talk import alir, client, message, sent

CALLBACK_SECRET = "a-callback-secret-of-these-tests"
CALLBACKS = "http://127.0.0.1:9/callbacks/routemobile/"


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    options = ["--routemobile-callback-url", f"{CALLBACKS}{CALLBACK_SECRET}"]
    with RunningSimulator(tmp_path_factory.mktemp("simulator"), options=options) as running:
        yield running


def check(folder: Path, provider: str, **keys: Any) -> tuple[int, dict[str, str], str]:
    """Exit status, the state of each thing, and all that was said."""
    lines = ["[senders.main]", f'provider = "{provider}"']
    lines += [f"{key} = {value!r}" for key, value in keys.items()]
    (folder / "alir.toml").write_text("\n".join(lines))
    command = [sys.executable, "-m", "alir", "sender", "check", "main"]
    ran = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=30
    )
    assert ran.stderr == ""
    split = (line.partition(":")[0].split(maxsplit=1) for line in ran.stdout.splitlines())
    return ran.returncode, {about: state for state, about in split}, ran.stdout


def cloud(simulator: RunningSimulator, **changes: Any) -> dict[str, Any]:
    keys = {
        "phone_number_id": "1065000001",
        "access_token": "simulator",
        "app_secret": "simulator",
        "graph_url": f"{simulator.url}/graph",
    }
    return keys | changes


def route_mobile(simulator: RunningSimulator, **changes: Any) -> dict[str, Any]:
    keys = {
        "username": "jakarta",
        "password": "simulator",
        "callback_secret": CALLBACK_SECRET,
        "base_url": f"{simulator.url}/routemobile",
    }
    return keys | changes


def test_a_cloud_sender_that_is_right_is_all_ok(
    simulator: RunningSimulator, tmp_path: Path
) -> None:
    status, states, _ = check(tmp_path, "cloud", **cloud(simulator))

    assert status == 0
    assert states.pop("pause") == "unknown"  # there is no database
    assert set(states.values()) == {"ok"}
    assert {"access token", "number id", "app secret", "throughput", "webhook subscription"} <= (
        states.keys()
    )


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"access_token": "a-wrong-token"}, "access token"),
        ({"app_secret": "a-wrong-secret"}, "app secret"),
        ({"graph_url": "http://127.0.0.1:9"}, "connection"),
    ],
)
def test_what_is_wrong_with_a_cloud_sender_is_named_and_no_secret_is(
    simulator: RunningSimulator, tmp_path: Path, changes: dict[str, Any], wrong: str
) -> None:
    status, states, said = check(tmp_path, "cloud", **cloud(simulator, **changes))

    assert status == 1
    assert [about for about, state in states.items() if state == "wrong"] == [wrong]
    assert "a-wrong" not in said


def test_health_subscription_and_throughput_are_told(
    simulator: RunningSimulator, tmp_path: Path
) -> None:
    behaviour = f"{simulator.url}/api/behaviour"
    changed = {"graph": {"can_send": "BLOCKED", "subscribed": False}}
    httpx.put(behaviour, json=changed).raise_for_status()
    try:
        keys = cloud(simulator, messages_per_second=1000)
        status, states, _ = check(tmp_path, "cloud", **keys)
    finally:
        httpx.put(behaviour, json={}).raise_for_status()

    assert status == 1
    assert states["health of the number"] == "wrong"
    assert states["health of the account"] == "ok"
    assert states["webhook subscription"] == "wrong"
    assert states["throughput"] == "warning"


def test_a_route_mobile_sender_that_is_right_is_all_ok(
    simulator: RunningSimulator, tmp_path: Path
) -> None:
    status, states, said = check(tmp_path, "routemobile", **route_mobile(simulator))

    assert status == 0
    assert states.pop("pause") == "unknown"  # there is no database
    assert states == dict.fromkeys(
        ("connection", "log-in", "callback URL", "number", "quality"), "ok"
    )
    assert CALLBACK_SECRET not in said


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"password": "a-wrong-password"}, "log-in"),
        ({"callback_secret": "another-callback-secret-of-these-tests"}, "callback URL"),
        ({"base_url": "http://127.0.0.1:9"}, "connection"),
    ],
)
def test_what_is_wrong_with_a_route_mobile_sender_is_named_and_no_secret_is(
    simulator: RunningSimulator, tmp_path: Path, changes: dict[str, Any], wrong: str
) -> None:
    status, states, said = check(tmp_path, "routemobile", **route_mobile(simulator, **changes))

    assert status == 1
    assert [about for about, state in states.items() if state == "wrong"] == [wrong]
    for secret in ("a-wrong-password", "another-callback-secret-of-these-tests", CALLBACK_SECRET):
        assert secret not in said


class _WebPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>Welcome</html>")

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("provider", ["cloud", "routemobile"])
def test_a_web_page_in_place_of_the_provider_is_recognised(
    simulator: RunningSimulator, tmp_path: Path, provider: str
) -> None:
    with HTTPServer(("127.0.0.1", 0), _WebPage) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        keys = (
            cloud(simulator, graph_url=url)
            if provider == "cloud"
            else route_mobile(simulator, base_url=url)
        )
        status, states, said = check(tmp_path, provider, **keys)
        server.shutdown()

    assert status == 1
    assert states["connection"] == "wrong"
    assert "not in JSON" in said


# What alir itself holds


def test_a_sender_that_alir_has_paused_is_wrong_and_how_to_resume_it_is_said(
    tmp_path: Path,
) -> None:
    with RunningGateway(tmp_path) as gateway:
        port = gateway.url.rpartition(":")[2]
        (tmp_path / "alir.toml").write_text(f"port = {port}")
        well = alir(gateway, "sender", "check", "sandbox")
        until = "2090-01-31T09:00:00Z"
        alir(gateway, "sender", "pause", "sandbox", "--reason", "Stock", "--until", until)
        paused = alir(gateway, "sender", "check", "sandbox")

    assert well.returncode == 0, well.stdout
    assert well.stdout.endswith("ok       pause: alir has not paused it\n")
    assert paused.returncode == 1
    assert paused.stdout.splitlines()[-1] == (
        "wrong    pause: alir has paused it (scope operator) until 2090-01-31 09:00:00Z: Stock. "
        "When the cause is mended, run: alir sender resume sandbox"
    )


def test_the_code_for_which_alir_paused_a_sender_is_said_after_the_provider_was_asked(
    tmp_path: Path,
) -> None:
    with RunningGateway(tmp_path) as gateway:
        port = gateway.url.rpartition(":")[2]
        (tmp_path / "alir.toml").write_text(f"port = {port}")
        with client(gateway, API_TOKEN) as api:
            sent(api, message("+15550131031"))  # the account is restricted
        checked = alir(gateway, "sender", "check", "sandbox")

    assert checked.returncode == 1
    assert "pause: alir has paused it (scope account, code 131031) until 20" in checked.stdout


def test_a_sandbox_whose_gateway_is_elsewhere_is_told_of_its_port(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "alir.toml").write_text(f"port = {port}")
    command = [sys.executable, "-m", "alir", "sender", "check", "sandbox"]

    ran = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30
    )

    assert ran.returncode == 1
    assert (
        f"no connection to 127.0.0.1:{port} could be made. Is its gateway running, and on this "
        "port? Where it has another, set ALIR_PORT to that in this terminal too."
    ) in ran.stdout


# Secrets in the environment of the gateway alone


@pytest.mark.parametrize(
    "arguments",
    [
        ("sender", "list"),
        ("sender", "pause", "main"),
        ("sender", "resume", "main"),
        ("token", "create", "shop"),
        ("token", "list"),
    ],
    ids=" ".join,
)
def test_a_command_that_calls_no_provider_needs_no_secrets(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "alir.toml").write_text(
        """
        [senders.main]
        provider = "routemobile"
        username = { env = "NOT_SET_HERE" }
        password = { env = "NOT_SET_HERE" }
        callback_secret = { env = "NOT_SET_HERE" }
        """
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "alir", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30
        )

    assert run("token", "create", "first").returncode == 0  # makes the database

    assert run(*arguments).returncode == 0
    for needs in (("sender", "check", "main"), ("serve",)):
        refused = run(*needs)
        assert refused.returncode == 2
        assert "the environment variable NOT_SET_HERE is not set" in refused.stderr
