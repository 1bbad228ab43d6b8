"""`alir db` on real files, beside a running gateway and without one."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event

import httpx
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from tests.acceptance.gateway import RunningGateway
from tests.acceptance.talk import (
    MESSAGES,
    alir,
    assert_nothing_of_people,
    becomes,
    client,
    get,
    lines,
    message,
    running,
    sent,
)

from alir.store.migrations import HEAD

COPY = "copy.db"


def db(gateway: RunningGateway, *arguments: str) -> subprocess.CompletedProcess[str]:
    return alir(gateway, "db", *arguments)


def at_version(path: Path, version: str) -> None:
    """A new database, as an alir of that version of its tables left it."""
    config = Config()
    config.set_main_option("script_location", "alir:store/migrations")
    config.set_main_option("path_separator", "os")
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
    engine.dispose()


def damage(path: Path) -> None:
    """Write over a page in the middle of the table of messages."""
    with closing(sqlite3.connect(path)) as connection:
        page = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'message'"
        ).fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


# backup


def test_a_copy_beside_a_gateway_under_load_is_whole_and_can_be_restored(tmp_path: Path) -> None:
    """Every message that was answered before the copy began is in it."""
    with running(tmp_path) as (gateway, _), ThreadPoolExecutor(3) as aside:
        stop = Event()
        answered: list[str] = []

        def load() -> None:
            with client(gateway, gateway.token) as http:
                while not stop.is_set():
                    answered.append(sent(http, message(), Prefer="respond-async"))

        loads = [aside.submit(load) for _ in range(2)]
        while len(answered) < 50 and not any(each.done() for each in loads):
            stop.wait(0.01)
        before = list(answered)
        copied = db(gateway, "backup", COPY)
        stop.set()
        for each in loads:
            each.result()

    assert copied.returncode == 0, copied.stderr
    assert "alir serve --paused" in copied.stderr
    assert (tmp_path / COPY).stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.glob("copy*")) == [COPY]
    (tmp_path / "alir.db").unlink()
    (tmp_path / COPY).rename(tmp_path / "alir.db")
    with running(tmp_path, "[dispatch]\nenabled = false") as (_, api):
        for found in before:
            assert get(api, found)["id"] == found
        assert len(before) >= 50


@pytest.mark.parametrize(
    ("path", "words"),
    [
        pytest.param("there.txt", "is there already", id="something is there"),
        pytest.param("alir.db", "is there already", id="the database itself"),
        pytest.param(".", "is a folder", id="a folder"),
        pytest.param("no/copy.db", "There is no folder no", id="no folder"),
        pytest.param("a" * 300, "File name too long", id="a name that is too long"),
    ],
)
def test_a_copy_goes_only_where_nothing_is(gateway: RunningGateway, path: str, words: str) -> None:
    (gateway.folder / "there.txt").write_text("mine")
    refused = db(gateway, "backup", path)

    assert refused.returncode == 1
    assert words in refused.stderr
    assert (gateway.folder / "there.txt").read_text() == "mine"


def test_of_a_copy_that_cannot_be_ended_nothing_is_left(
    gateway: RunningGateway, api: httpx.Client
) -> None:
    sent(api)
    before = set(os.listdir(gateway.folder))
    limited = subprocess.run(
        [sys.executable, "-m", "alir", "db", "backup", COPY],
        cwd=gateway.folder,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert limited.returncode == 1
    assert limited.stderr.startswith("alir: the copy could not be made: ")
    assert set(os.listdir(gateway.folder)) == before
    becomes(api, sent(api), "read")


# check


def test_a_check_says_what_there_is_and_that_a_gateway_runs(tmp_path: Path) -> None:
    with running(tmp_path) as (gateway, api):
        becomes(api, sent(api), "read")
        checked = db(gateway, "check")
        found = lines(checked)

        assert checked.returncode == 0
        assert {state for state, _ in found.values()} == {"ok"}
        assert found["tables"][1] == f"version {HEAD}, up to date"
        assert found["gateway"][1] == f"process {gateway.pid} runs on it"
        assert found["contents"][1].startswith("1 message (read 1), 1 attempt, 3 receipts, 5 event")
        assert_nothing_of_people(checked.stdout)
    assert lines(db(gateway, "check"))["gateway"][1] == "none runs on it"
    with RunningGateway(tmp_path):
        pass  # a check leaves nothing that keeps one from starting


def test_a_damaged_file_is_wrong(tmp_path: Path) -> None:
    with running(tmp_path) as (gateway, api):
        for _ in range(3):
            becomes(api, sent(api), "read")
    damage(tmp_path / "alir.db")
    checked = db(gateway, "check")

    assert checked.returncode == 1
    state, said = lines(checked)["integrity"]
    assert state == "wrong"
    assert "restore the last backup" in said


def test_what_is_no_database_is_wrong_and_one_that_is_not_there_is_told(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path)
    missing = db(gateway, "check")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "There is no database" in missing.stderr

    (tmp_path / "alir.db").write_bytes(b"something else" * 1000)
    assert db(gateway, "check").returncode == 1

    (tmp_path / "alir.db").write_bytes(b"")
    empty = db(gateway, "check")
    assert empty.returncode == 1
    assert lines(empty)["tables"][0] == "wrong"


# upgrade


def test_an_upgrade_in_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path)

    refused = db(gateway, "upgrade", "--database=sqlite:///nowhere/alir.db")

    assert refused.returncode == 1
    assert "there is no folder nowhere." in refused.stderr


def test_an_upgrade_says_from_which_version_to_which(tmp_path: Path) -> None:
    at_version(tmp_path / "alir.db", "0001")
    gateway = RunningGateway(tmp_path)
    checked = db(gateway, "check")
    assert checked.returncode == 0
    assert lines(checked)["tables"][0] == "warning"
    first, second = db(gateway, "upgrade"), db(gateway, "upgrade")

    assert first.stdout == f"The tables were of version 0001, and are of {HEAD} now.\n"
    assert second.stdout == f"The tables are up to date: version {HEAD}.\n"
    with gateway, client(gateway, gateway.token) as api:
        becomes(api, sent(api), "read")


def test_a_new_database_can_be_made_beforehand(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path)
    made = db(gateway, "upgrade")

    assert (made.returncode, f"version {HEAD}" in made.stdout) == (0, True)
    assert lines(db(gateway, "check"))["tables"][0] == "ok"


def test_tables_do_not_change_under_a_running_gateway(tmp_path: Path) -> None:
    with running(tmp_path) as (gateway, api):
        assert db(gateway, "upgrade").stdout == f"The tables are up to date: version {HEAD}.\n"
        with closing(sqlite3.connect(tmp_path / "alir.db")) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = '0000'")
        for command in (["db", "upgrade"], ["token", "create", "shop"], ["purge"]):
            refused = alir(gateway, *command)
            assert (refused.returncode, refused.stdout) == (1, "")
            assert f"a gateway (process {gateway.pid}) runs on" in refused.stderr
            assert "tables are of version 0000" in refused.stderr
        assert api.get(MESSAGES).status_code == 200


def test_tables_of_a_newer_alir_are_left_alone(tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path)
    db(gateway, "upgrade")
    with closing(sqlite3.connect(tmp_path / "alir.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    refused, checked = db(gateway, "upgrade"), db(gateway, "check")

    assert refused.returncode == checked.returncode == 1
    assert "newer alir" in refused.stderr
    assert lines(checked)["tables"][0] == "wrong"
