"""Several processes on one PostgreSQL: each does its part, and one that goes is made up for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.acceptance.gateway import RunningGateway, RunningSimulator, free_port
from tests.acceptance.polling import eventually
from tests.acceptance.raw_http import answer_on, connection, request
from tests.acceptance.talk import (
    MESSAGES,
    alir,
    assert_problem,
    becomes,
    client,
    get,
    message,
    send,
)
from tests.postgres import new_database

SENDERS = ("main", "other")
SENDERS_PATH = "/api/whatsapp/v1/senders"
NEVER_ANSWERED = "+1 5550 000408"  # arrives, and its receipts come
UNKNOWN_AFTER = 4
IMPATIENT = f"""
[dispatch]
connect_timeout_seconds = 1
call_timeout_seconds = 1
unknown_after_seconds = {UNKNOWN_AFTER}
"""


@dataclass
class Fleet:
    """Processes of one gateway, by the names that a test gives them.

    Attributes:
        database: the URL of the one that they share.
    """

    processes: dict[str, RunningGateway]
    apis: dict[str, httpx.Client]
    simulator: httpx.Client
    database: str

    def received(self, to: str) -> list[dict[str, Any]]:
        """What the phone of `to` received."""
        answer = self.simulator.get("/simulator/api/messages", params={"to": to})
        found: list[dict[str, Any]] = answer.json()["data"]
        return found

    def log(self, name: str) -> list[dict[str, Any]]:
        """What a process has logged."""
        lines = (self.processes[name].folder / "serve.stderr").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def holds(self, name: str) -> set[str]:
        """The senders that a process took, and did not let go of, as its log says."""
        return self.processes[name].holds()


@contextmanager
def fleet(folder: Path, server: str, settings: str = "", **roles: str) -> Iterator[Fleet]:
    """A process of each of these roles, and a simulator alone, which calls the first one back."""
    port = free_port()
    with ExitStack() as stack:
        url = stack.enter_context(new_database(server))
        callback = ["--callback-url", f"http://127.0.0.1:{port}/callbacks/cloud"]
        simulator = stack.enter_context(RunningSimulator(folder, options=callback))
        config = f"[simulator]\nenabled = false\n{settings}" + "".join(
            f"""
            [senders.{name}]
            provider = "cloud"
            phone_number_id = "10650000{number}"
            access_token = "simulator"
            app_secret = "simulator"
            graph_url = "{simulator.url}/graph"
            messages_per_second = 0
            pair_seconds = 0
            """
            for number, name in enumerate(SENDERS)
        )
        processes: dict[str, RunningGateway] = {}
        apis: dict[str, httpx.Client] = {}
        for name, role in roles.items():
            (folder / name).mkdir()
            process = RunningGateway(
                folder / name,
                config=config,
                options=["--role", role],
                environment={"ALIR_DATABASE": url},
                port=None if processes else port,
            )
            processes[name] = stack.enter_context(process)
            apis[name] = stack.enter_context(client(process, process.token))
        base = simulator.url.removesuffix("/simulator")
        phones = stack.enter_context(httpx.Client(base_url=base))
        yield Fleet(processes, apis, phones, url)


def send_from(api: httpx.Client, sender: str, **headers: str) -> httpx.Response:
    return send(api, message(**{"from": sender}), **headers)


@pytest.mark.timeout(120)
def test_each_process_does_its_part(tmp_path: Path, postgresql_server: str) -> None:
    roles = {"front": "api", "back": "dispatch", "relay": "relay"}
    with fleet(tmp_path, postgresql_server, **roles) as processes:
        api = processes.apis["front"]
        eventually(lambda: processes.holds("back") == set(SENDERS), within=15)
        for sender in SENDERS:
            answer = send_from(api, sender)
            # The process that answers heard of it from the one that sent it.
            assert answer.status_code == 200, answer.text
            becomes(api, answer.json()["data"]["id"], "read")

        for name in ("back", "relay"):
            assert processes.apis[name].get("/readyz").status_code == 200
            assert processes.apis[name].get("/metrics").status_code == 200
            assert_problem(send(processes.apis[name]), 404, "not_found")


@pytest.mark.timeout(120)
def test_senders_are_spread_and_come_to_others_when_a_process_stops_or_dies(
    tmp_path: Path, postgresql_server: str
) -> None:
    with fleet(tmp_path, postgresql_server, one="all", two="all", three="all") as processes:

        def owners() -> list[str]:
            """Who holds each sender, if all of them are held."""
            held = {
                sender: name for name in processes.processes for sender in processes.holds(name)
            }
            return [held[sender] for sender in SENDERS if sender in held]

        eventually(lambda: len(set(owners())) == len(SENDERS), within=15)
        ids = [send_from(api, s) for api in processes.apis.values() for s in SENDERS]
        assert {answer.status_code for answer in ids} == {200}

        dies, stops = owners()
        [stays] = set(processes.processes) - {dies, stops}
        api = processes.apis[stays]

        processes.processes[dies].kill()
        killed_at = time.monotonic()
        left = send_from(api, SENDERS[0], prefer="respond-async").json()["data"]["id"]
        becomes(api, left, "accepted" if dies == "one" else "read", within=11)
        assert time.monotonic() - killed_at < 10

        before = time.monotonic()
        processes.processes[stops].stop()
        later = send_from(api, SENDERS[1], prefer="respond-async").json()["data"]["id"]
        eventually(lambda: api.get(f"/api/whatsapp/v1/messages/{later}").json()["data"]["attempts"])
        assert time.monotonic() - before < 3  # of it, less than 2 until others send


@pytest.mark.timeout(120)
def test_people_who_have_to_wait_are_counted_and_resumed_through_any_process(
    tmp_path: Path, postgresql_server: str
) -> None:
    with fleet(tmp_path, postgresql_server, one="all", two="all") as processes:
        names = set(processes.processes)
        [holder] = eventually(
            lambda: [name for name in names if "main" in processes.holds(name)], within=15
        )
        [other] = names - {holder}
        api = processes.apis[other]
        too_many = message("+15550131056", **{"from": "main"})
        found = send(api, too_many, Prefer="wait=0").json()["data"]["id"]

        def tried(times: int) -> bool:
            attempts = api.get(f"{MESSAGES}/{found}").json()["data"]["attempts"]
            return len(attempts) >= times and attempts[times - 1]["outcome"] == "busy"

        def waiting(name: str) -> int:
            answer = processes.apis[name].get(SENDERS_PATH).json()["data"]
            count: int = next(one for one in answer if one["name"] == "main")["paused_recipients"]
            return count

        # The third refusal in a row is waited out for 16 s.
        eventually(lambda: tried(3), within=15)
        eventually(lambda: [waiting(name) for name in names] == [1, 1])

        assert api.post(f"{SENDERS_PATH}/main/resume").json()["data"]["paused_recipients"] == 0
        eventually(lambda: tried(4), within=5)
        eventually(lambda: tried(6), within=15)
        shared = {"ALIR_DATABASE": processes.database}
        alir(processes.processes[other], "sender", "resume", "main", environment=shared)
        eventually(lambda: tried(7), within=5)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("end", ["is killed", "is stopped"])
def test_what_may_have_arrived_is_not_sent_again_while_its_receipts_lie_unapplied(
    tmp_path: Path, postgresql_server: str, end: str
) -> None:
    roles = {"front": "api", "back": "dispatch", "relay": "relay"}
    with fleet(tmp_path, postgresql_server, IMPATIENT, **roles) as processes:
        api, relay = processes.apis["front"], processes.processes["relay"]
        eventually(lambda: processes.holds("back") == set(SENDERS), within=15)
        if end == "is killed":  # and seems to live for `lease_seconds`
            relay.kill()
            noticed = "callbacks_unapplied"
        else:
            relay.stop()
            noticed = "no_callbacks"
        asked = message(NEVER_ANSWERED, **{"from": "main", "on_unknown": "retry"})
        found = send(api, asked, prefer="respond-async").json()["data"]["id"]
        becomes(api, found, "unknown")
        since = time.monotonic()

        def is_noticed() -> bool:
            return any(told["event"] == noticed for told in processes.log("back"))

        eventually(lambda: time.monotonic() > since + 2 * UNKNOWN_AFTER and is_noticed(), within=15)
        assert becomes(api, found, "unknown")["flags"] == []
        relay.start()
        assert becomes(api, found, "read", within=15)["flags"] == []
        assert len(processes.received(NEVER_ANSWERED)) == 1


@pytest.mark.timeout(120)
def test_a_process_that_stops_lets_go_at_once_though_a_request_is_only_half_here(
    tmp_path: Path, postgresql_server: str
) -> None:
    with fleet(tmp_path, postgresql_server, one="all", two="all") as processes:
        eventually(lambda: processes.holds("one") and processes.holds("two"), within=15)
        [sender] = processes.holds("one")
        stopping, api = processes.processes["one"], processes.apis["two"]
        asked, later = (message(**{"from": sender}) for _ in range(2))
        body = json.dumps(asked).encode()
        whole = request(stopping, body, {"expect": "100-continue"})
        with connection(stopping) as caller:
            caller.sendall(whole.removesuffix(body))
            assert caller.recv(100).startswith(b"HTTP/1.1 100 ")
            caller.sendall(body[:-1])
            os.kill(stopping.pid, signal.SIGTERM)
            told_at = time.monotonic()
            found = send(api, later, prefer="respond-async").json()["data"]["id"]
            eventually(lambda: get(api, found)["attempts"])
            assert time.monotonic() - told_at < 3  # of it, less than 2 until others send

            # What it still accepts is the other's to send, too.
            caller.sendall(body[-1:])
            answer = answer_on(caller)
            assert (answer.status, answer.json()["data"]["status"]) == (202, "queued")
            becomes(api, answer.json()["data"]["id"], "accepted")
        stopping.stop()
        for one in (asked, later):
            assert len(processes.received(one["to"])) == 1


def test_a_part_of_a_gateway_needs_a_database_that_can_be_shared(tmp_path: Path) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "alir", "serve", "--role", "api"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert refused.returncode == 2
    assert "expected a PostgreSQL database" in refused.stderr
    assert "expected senders in alir.toml" in refused.stderr
