"""A backup that was restored: started with --paused it sends nothing again by itself."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
from tests.acceptance.gateway import RunningGateway, RunningSimulator, free_port
from tests.acceptance.polling import eventually
from tests.acceptance.talk import (
    MESSAGES,
    ahead,
    alir,
    assert_problem,
    becomes,
    client,
    get,
    message,
    sent,
    somebody,
)
from tests.postgres import new_database

SENDERS = "/api/whatsapp/v1/senders"
CONFIG = """
[dispatch]
unknown_after_seconds = 1

[senders.main]
provider = "cloud"
phone_number_id = "1065000000"
access_token = "simulator"
app_secret = "simulator"
graph_url = "{url}/graph"
pair_seconds = 0

[senders.other]
provider = "cloud"
phone_number_id = "1065000001"
access_token = "simulator"
app_secret = "simulator"
graph_url = "{url}/graph"
"""
#: Long enough for a backup, a crash and a start in between.
READ_AFTER = 6_000  # ms


class Restored(RunningGateway):
    """A gateway that can be started with `--paused`, and on another database."""

    def start_with(self, *options: str) -> None:
        self._options = options
        self.start()


def test_a_restored_backup_sends_nothing_again_until_somebody_resumes_it(tmp_path: Path) -> None:
    port = free_port()
    callbacks = f"http://127.0.0.1:{port}/callbacks/cloud"
    with RunningSimulator(tmp_path, options=["--callback-url", callbacks]) as simulator:
        delays = {"sent": None, "delivered": None, "read": READ_AFTER, "failed": None}
        behave(simulator, delays_ms=delays)
        config = CONFIG.format(url=simulator.url)
        with (
            Restored(tmp_path, config=config, port=port) as gateway,
            client(gateway, gateway.token) as api,
        ):
            told, silent, due_later = (
                sent(api, message(somebody(), send_at=ahead(seconds), **FROM_MAIN))
                for seconds in (1, 2, 60)
            )
            backup = tmp_path / "backup.db"
            copy(tmp_path / "alir.db", backup)
            becomes(api, told, "accepted")
            behave(simulator, delays_ms=dict.fromkeys(delays))  # of what comes next nothing is told
            becomes(api, silent, "accepted")
            gateway.kill()

            restore(backup, tmp_path / "alir.db")
            gateway.start_with("--paused")

            assert get(api, told)["status"] == get(api, silent)["status"] == "queued"
            for why in standing_still(api):
                assert "backup" in why["title"]
                assert "alir sender resume" in why["advice"]
            # The receipt of what went out after the backup was made says so.
            read = becomes(api, told, "read", within=READ_AFTER / 1000 + 5)
            assert [each["outcome"] for each in read["attempts"]] == ["accepted"]
            assert at(simulator, told, silent) == 2

            gateway.stop()
            gateway.start_with()  # it holds through a restart, and a plain start does not lift it
            assert len(standing_still(api)) == 2
            assert "Paused: main, other" in gateway.output()
            assert api.post(f"{MESSAGES}/{silent}/cancel").json()["data"]["status"] == "cancelled"
            assert alir(gateway, "sender", "resume", "main").returncode == 0
            eventually(lambda: len(standing_still(api)) == 1)
            new = sent(api, message(somebody(), **FROM_MAIN))
            becomes(api, new, "accepted")

            assert at(simulator, told, silent) == 2, "sent again"
            assert get(api, due_later)["status"] == "queued"
            assert_problem(api.post(f"{MESSAGES}/{told}/cancel"), 409, "too_late")


FROM_MAIN = {"from": "main"}


def behave(simulator: RunningSimulator, **behaviour: Any) -> None:
    httpx.put(f"{simulator.url}/api/behaviour", json=behaviour).raise_for_status()


def copy(database: Path, to: Path) -> None:
    """A copy of a database that is in use."""
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)


def restore(backup: Path, to: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        to.with_name(to.name + suffix).unlink(missing_ok=True)
    copy(backup, to)


def standing_still(api: httpx.Client) -> list[dict[str, Any]]:
    """Why each of the senders stands still that do."""
    found = api.get(SENDERS).json()["data"]
    return [sender["why"] for sender in found if sender["paused"]]


def at(simulator: RunningSimulator, *ids: str) -> int:
    """How many attempts of these messages the simulator took."""
    taken = httpx.get(f"{simulator.url}/api/messages").json()["data"]
    marks = [each["request"]["biz_opaque_callback_data"] for each in taken]
    return sum(any(id_ in mark for id_ in ids) for mark in marks)


def test_what_one_process_paused_at_its_start_holds_for_those_that_start_after_it(
    tmp_path: Path, postgresql_server: str
) -> None:
    with (
        ExitStack() as stack,
        new_database(postgresql_server) as url,
        RunningSimulator(tmp_path) as simulator,
    ):

        def start(name: str, *options: str) -> RunningGateway:
            (tmp_path / name).mkdir()
            return stack.enter_context(
                RunningGateway(
                    tmp_path / name,
                    config="[simulator]\nenabled = false\n" + CONFIG.format(url=simulator.url),
                    options=options,
                    environment={"ALIR_DATABASE": url},
                )
            )

        first, later = start("first", "--paused"), start("later")
        with client(later, later.token) as api:
            asked = message(somebody(), **FROM_MAIN)
            waits = sent(api, asked)
            first.stop()
            eventually(lambda: later.holds() == {"main", "other"}, within=15)

            # A sender that nothing holds sends, so that the other one would have, too.
            api.post(f"{SENDERS}/other/resume").raise_for_status()
            becomes(api, sent(api, message(somebody(), **{"from": "other"})), "accepted")
            assert get(api, waits)["attempts"] == []
            assert len(standing_still(api)) == 1
