"""`alir purge` beside a running gateway, and the purge that the gateway does by itself."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from tests.acceptance.gateway import RunningGateway
from tests.acceptance.polling import eventually
from tests.acceptance.talk import (
    MESSAGES,
    SILENT,
    alir,
    assert_problem,
    at_simulator,
    becomes,
    client,
    get,
    message,
    paused,
    running,
    send,
    sent,
    simulator,
    somebody,
)

from alir.retention.purger import FIRST_SECONDS

#: The simulator takes a message to this number and does not answer.
NEVER_ANSWERED = "+15550000408"
DAY_MS = 86_400_000


@contextmanager
def opened(gateway: RunningGateway) -> Iterator[sqlite3.Connection]:
    """The gateway's database, beside it."""
    with closing(sqlite3.connect(gateway.folder / "alir.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA busy_timeout = 10000")
        yield connection


def stored(gateway: RunningGateway) -> str:
    """Everything in the database, as one text; callbacks as they came."""
    with opened(gateway) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        found = [
            value
            for (name,) in names
            for row in connection.execute(f"SELECT * FROM {name}")
            for value in row
        ]
    return "\n".join(
        value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        for value in found
    )


def grow_old(gateway: RunningGateway, days: int) -> None:
    """Let all that there is have happened so many days earlier."""
    earlier = days * DAY_MS
    with opened(gateway) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for table, columns in (
            ("message", ("created_at", "due_at", "first_due_at")),
            ("attempt", ("begun_at", "settled_at")),
            ("event", ("at",)),
            ("callback", ("received_at", "applied_at")),
            ("contact", ("heard_at",)),
        ):
            changes = ", ".join(f"{column} = {column} - {earlier}" for column in columns)
            connection.execute(f"UPDATE {table} SET {changes}")
        connection.execute("COMMIT")


def test_a_person_who_asks_to_be_forgotten_is_while_the_gateway_goes_on(tmp_path: Path) -> None:
    with running(tmp_path) as (gateway, api):
        person, other = somebody(), somebody()
        ids = [sent(api, message(person)) for _ in range(3)]
        later = sent(api, message(person, send_at="2030-01-01T00:00:00Z"))
        kept = sent(api, message(other))
        for each in (*ids, kept):
            becomes(api, each, "read")
        api.post(f"/simulator/api/phones/{person}/messages", json={"text": "Hi"}).raise_for_status()
        eventually(lambda: "contact" in alir(gateway, "purge", "--to", person, "--dry-run").stdout)
        asked = alir(gateway, "purge", "--to", person, answer="y\n")

        assert asked.returncode == 0, asked.stderr
        assert f"Of {person}" in asked.stdout
        assert "4 messages (1 queued or unknown)" in asked.stdout
        for each in (*ids, later):
            assert_problem(api.get(f"{MESSAGES}/{each}"), 404, "not_found")
        assert api.get(MESSAGES, params={"to": person}).json()["data"] == []
        assert person.removeprefix("+") not in stored(gateway)
        assert get(api, kept)["status"] == "read"
        becomes(api, sent(api, message(person)), "read")
        again = alir(gateway, "purge", "--to", person, "--yes")
        assert (again.returncode, "1 message," in again.stdout) == (0, True)


def test_a_message_that_is_just_being_sent_is_named_and_goes_the_next_time(tmp_path: Path) -> None:
    config = "[dispatch]\nconnect_timeout_seconds = 1\ncall_timeout_seconds = 8"
    with running(tmp_path, config) as (gateway, api), simulator(api, delays_ms=SILENT):
        on_the_wire = sent(api, message(NEVER_ANSWERED), Prefer="respond-async")
        becomes(api, on_the_wire, "sending")
        purged = alir(gateway, "purge", "--to", NEVER_ANSWERED, "--yes")

        assert purged.returncode == 1
        assert f"{on_the_wire} stays" in purged.stdout
        assert "Run this again" in purged.stdout
        becomes(api, on_the_wire, "unknown", within=20)
        purged = alir(gateway, "purge", "--to", NEVER_ANSWERED, "--yes")
        assert (purged.returncode, purged.stdout.splitlines()) == (
            0,
            [f"Removed of {NEVER_ANSWERED}: 1 message (1 queued or unknown), 3 events."],
        )
        assert_problem(api.get(f"{MESSAGES}/{on_the_wire}"), 404, "not_found")


def test_a_message_that_waited_never_goes_out_and_its_key_stands_for_nothing_any_more(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as (gateway, api):
        person = somebody()
        with paused(api):
            assert send(api, message(person), Idempotency_Key="visit-1").status_code == 202
            assert alir(gateway, "purge", "--to", person, "--yes").returncode == 0
        again = send(api, message(person), Idempotency_Key="visit-1")

        assert again.status_code == 200
        assert "idempotency-replayed" not in again.headers
        assert len(api.get("/simulator/api/messages", params={"to": person}).json()["data"]) == 1


def test_race_a_person_is_forgotten_while_messages_go_out_to_that_person(tmp_path: Path) -> None:
    """Nothing is sent twice for it, nothing of the gateway breaks, and in the end all is gone."""
    with running(tmp_path) as (gateway, api), ThreadPoolExecutor(4) as aside:
        person = somebody()

        def load() -> None:
            with client(gateway, gateway.token) as http:
                for _ in range(150):
                    sent(http, message(person), Prefer="respond-async")

        loads = [aside.submit(load) for _ in range(4)]
        removed = [alir(gateway, "purge", "--to", person, "--yes").stdout for _ in range(3)]
        for each in loads:
            each.result()
        assert any("messages" in said for said in removed)

        def is_gone() -> bool:
            again = alir(gateway, "purge", "--to", person, "--yes")
            return again.returncode == 0 and "nothing" in again.stdout

        eventually(is_gone, within=30)
        assert person.removeprefix("+") not in stored(gateway)
        marks = [each["request"]["biz_opaque_callback_data"] for each in at_simulator(api, person)]
        assert len(marks) == len(set(marks)) > 0
        assert all(mark.endswith(":1") for mark in marks)
        assert '"level": "error"' not in gateway.output()


@pytest.mark.parametrize(
    "options", [pytest.param(["--dry-run"], id="a dry run"), pytest.param([], id="nobody says yes")]
)
def test_nothing_is_removed_unless_somebody_says_so(
    gateway: RunningGateway, api: httpx.Client, options: list[str]
) -> None:
    person = somebody()
    there = sent(api, message(person))
    looked = alir(gateway, "purge", "--to", person, *options, answer="no\n")

    assert looked.returncode == (0 if options else 1)
    assert f"Of {person}: 1 message," in looked.stdout
    assert get(api, there)["to"] == person


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param(["--to", "0821 000"], "country code is missing", id="no number"),
        pytest.param(["--to", "+62 812 xxx"], "cannot stand in a phone number", id="letters"),
        pytest.param(["--to", "+62812000", "--recipient", "US.1"], "give one of them", id="both"),
        pytest.param(["--recipient", "+62812000"], "there is --to", id="a number as user id"),
        pytest.param(["--recipient", " "], "must not be empty", id="an empty user id"),
    ],
)
def test_a_person_who_is_not_named_clearly_is_refused(
    gateway: RunningGateway, options: list[str], words: str
) -> None:
    refused = alir(gateway, "purge", *options)

    assert refused.returncode == 2
    assert words in " ".join(refused.stderr.split())


def test_where_there_is_no_database_none_is_made(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path)
    purged = alir(gateway, "purge")

    assert purged.returncode == 1
    assert "There is no database" in purged.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_older_than_it_is_kept_is_purged_on_demand(tmp_path: Path) -> None:
    with running(tmp_path, "[retention]\nmessage_days = 10") as (gateway, api):
        old = sent(api)
        with simulator(api, delays_ms=SILENT):
            silent = sent(api)  # no receipt ever comes
        held = sent(api, message(send_at="2030-01-01T00:00:00Z"))
        becomes(api, old, "read")
        grow_old(gateway, 11)
        young = sent(api)
        becomes(api, young, "read")
        counted = alir(gateway, "purge", "--dry-run")
        assert counted.stdout == "Older than they are kept: 2 messages, 3 callbacks.\n"
        assert get(api, old)["status"] == "read"
        purged = alir(gateway, "purge")

        assert (purged.returncode, purged.stdout) == (0, "Removed: 2 messages, 3 callbacks.\n")
        for each in (old, silent):
            assert_problem(api.get(f"{MESSAGES}/{each}"), 404, "not_found")
        assert get(api, held)["status"] == "queued"
        assert get(api, young)["status"] == "read"
        assert alir(gateway, "purge").stdout == "Nothing is older than it is kept.\n"


def test_the_gateway_purges_by_itself_soon_after_its_start(tmp_path: Path) -> None:
    with RunningGateway(tmp_path) as gateway:
        with client(gateway, gateway.token) as api:
            old = sent(api)
            becomes(api, old, "read")
        grow_old(gateway, 91)
        gateway.restart()
        with client(gateway, gateway.token) as api:
            assert get(api, old)["status"] == "read"
            gone = lambda: api.get(f"{MESSAGES}/{old}").status_code == 404  # noqa: E731
            eventually(gone, within=FIRST_SECONDS + 5)
        eventually(lambda: '"purged"' in gateway.output())
        told = [json.loads(line) for line in gateway.output().splitlines() if '"purged"' in line]

    assert told[0]["rows"] == {"message": 1, "event": 5, "callback": 3}
