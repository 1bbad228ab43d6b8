"""`alir db` on a real PostgreSQL, beside a running gateway and without one."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.acceptance.gateway import RunningGateway
from tests.acceptance.polling import eventually
from tests.acceptance.talk import (
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
from tests.postgres import OwnServer, execute, new_database, own_server, program

from alir.store.migrations import HEAD

COPY = "copy.dump"
PASSWORD = "s3cret of the test's"


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    """A server as PostgreSQL ships it: it waits for its disk."""
    with own_server() as server:
        yield server


@pytest.fixture
def url(server: OwnServer) -> Iterator[str]:
    """A database of its own."""
    with new_database(server.url) as url:
        yield url


@pytest.fixture
def there(tmp_path: Path) -> RunningGateway:
    """A gateway that does not run, for its folder."""
    return RunningGateway(tmp_path)


def db(
    gateway: RunningGateway, command: str, url: str, *arguments: str, path: str | Path = ""
) -> subprocess.CompletedProcess[str]:
    """Run it; `path` is what PATH says, unless it is the newest programs that tests come with."""
    folder = str(path) or os.path.dirname(program("pg_dump"))
    options = [command, *arguments, "--database", url]
    return alir(gateway, "db", *options, environment={"PATH": folder})


def as_role(url: str, name: str, password: str = "") -> str:
    """The same database, as somebody else."""
    return url.replace("postgres:@", f"{name}:{password}@")


# check


def test_a_check_says_what_there_is_and_that_a_gateway_runs(tmp_path: Path, url: str) -> None:
    with running(tmp_path, ALIR_DATABASE=url) as (gateway, api):
        becomes(api, sent(api), "read")
        checked = db(gateway, "check", url)
    found = lines(checked)

    assert checked.returncode == 0, checked.stderr
    assert {state for state, _ in found.values()} == {"ok"}
    assert found["tables"][1] == f"version {HEAD}, up to date"
    assert found["standbys"][1] == "none is connected"
    assert found["gateway"][1] == "one runs on it"
    assert found["contents"][1].startswith("1 message (read 1), 1 attempt, 3 receipts, 5 event")
    assert_nothing_of_people(checked.stdout)
    assert lines(db(gateway, "check", url))["gateway"][1] == "none runs on it"


def test_a_standby_that_is_asynchronous_is_warned_of(
    server: OwnServer, url: str, there: RunningGateway
) -> None:
    db(there, "upgrade", url)
    execute(url, "CREATE ROLE little LOGIN", "GRANT ALL ON ALL TABLES IN SCHEMA public TO little")

    def standbys() -> tuple[str, str]:
        checked = db(there, "check", url)
        assert checked.returncode == 0
        return lines(checked)["standbys"]

    with server.followed():
        state, said = standbys()
        assert (state, said.split(".")[0]) == ("warning", "walreceiver (async)")
        assert "Never fail over to one that is not synchronous" in said

        state, said = lines(db(there, "check", as_role(url, "little")))["standbys"]
        assert state == "unknown"
        assert "GRANT pg_monitor" in said

        synchronous = "ALTER SYSTEM SET synchronous_standby_names = '*'"
        execute(server.url, synchronous, "SELECT pg_reload_conf()")
        eventually(lambda: standbys() == ("ok", "walreceiver (sync)"), within=20)
        execute(server.url, "ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()")
    execute(url, "DROP OWNED BY little", "DROP ROLE little")


def test_a_server_that_does_not_wait_for_its_disk_is_wrong(
    server: OwnServer, url: str, there: RunningGateway
) -> None:
    def durability(*settings: str) -> tuple[str, str]:
        changes = [f"ALTER SYSTEM SET {setting}" for setting in settings]
        execute(server.url, *changes, "SELECT pg_reload_conf()")
        try:
            return lines(db(there, "check", url))["durability"]
        finally:
            execute(server.url, "ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()")

    db(there, "upgrade", url)
    assert durability("fsync = off")[0] == "wrong"
    assert durability("full_page_writes = off")[0] == "warning"
    assert durability("synchronous_commit = off") == (
        "ok",
        "fsync is on, synchronous_commit is off, and alir sets it on where it writes",
    )


def test_an_index_whose_making_was_broken_off_is_warned_of(url: str, there: RunningGateway) -> None:
    db(there, "upgrade", url)
    assert lines(db(there, "check", url))["indexes"] == ("ok", "all are valid")
    invalid = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'message_to'::regclass"
    execute(url, invalid)
    state, said = lines(db(there, "check", url))["indexes"]

    assert state == "warning"
    assert "message_to" in said
    assert "REINDEX" in said


def test_a_database_without_tables_is_wrong_and_one_that_is_not_there_is_told(
    url: str, there: RunningGateway
) -> None:
    empty = db(there, "check", url)
    assert empty.returncode == 1
    assert lines(empty)["tables"][0] == "wrong"

    gone = as_role(url, "postgres", PASSWORD.replace(" ", "%20")).replace("/alir_", "/nothing_")
    for command in (["check"], ["upgrade"], ["backup", COPY]):
        missing = db(there, command[0], gone, *command[1:])
        assert (missing.returncode, missing.stdout) == (1, "")
        assert "does not exist" in missing.stderr
        assert PASSWORD not in missing.stderr


# upgrade


def test_a_new_database_can_be_made_beforehand(url: str, there: RunningGateway) -> None:
    first, second = db(there, "upgrade", url), db(there, "upgrade", url)

    assert first.stdout == f"The database is new; its tables are of version {HEAD}.\n"
    assert second.stdout == f"The tables are up to date: version {HEAD}.\n"


# backup


def test_a_copy_beside_a_gateway_is_whole_and_can_be_restored(
    server: OwnServer, tmp_path: Path, url: str
) -> None:
    with running(tmp_path, ALIR_DATABASE=url) as (gateway, api):
        read, later = sent(api), sent(api, message(send_at="2099-01-01T00:00:00Z"))
        becomes(api, read, "read")
        copied = db(gateway, "backup", url, COPY)

    assert copied.returncode == 0, copied.stderr
    assert "pg_restore" in copied.stderr
    assert "alir serve --paused" in copied.stderr
    assert (tmp_path / COPY).stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.glob("copy*")) == [COPY]
    with new_database(server.url) as restored:
        restore = [program("pg_restore"), "--no-owner", "-d", restored, str(tmp_path / COPY)]
        subprocess.run(restore, check=True)
        environment = {"ALIR_DATABASE": restored}
        with (
            RunningGateway(tmp_path, options=["--paused"], environment=environment) as gateway,
            client(gateway, gateway.token) as api,
        ):
            assert get(api, read)["status"] == "read"
            assert get(api, later)["status"] == "queued"
            assert get(api, sent(api))["status"] == "queued"


def test_a_password_is_handed_on_where_nobody_else_can_read_it(
    url: str, there: RunningGateway
) -> None:
    """The program of this test keeps what it was told, and then does what it was to do."""
    db(there, "upgrade", url)
    told = there.folder / "told"
    spy = there.folder / "pg_dump"
    spy.write_text(
        f'#!/bin/sh\necho "$@" >>{told}.arguments\necho "$PGPASSWORD" >>{told}.password\n'
        f'exec {program("pg_dump")} "$@"\n'
    )
    spy.chmod(0o755)
    secret = as_role(url, "postgres", PASSWORD.replace(" ", "%20"))
    copied = db(there, "backup", secret, COPY, path=there.folder)

    assert copied.returncode == 0, copied.stderr
    assert Path(f"{told}.password").read_text().splitlines()[-1] == PASSWORD
    assert "s3cret" not in Path(f"{told}.arguments").read_text()


@pytest.mark.parametrize(
    ("says", "words"),
    [
        pytest.param(None, "There is no pg_dump on PATH", id="none"),
        pytest.param("pg_dump (PostgreSQL) 9.6.24", "is of version 9", id="an old one"),
        pytest.param("what?", "is of an unknown version", id="something else"),
    ],
)
def test_without_a_pg_dump_that_can_it_says_what_to_install(
    url: str, there: RunningGateway, says: str | None, words: str
) -> None:
    folder = there.folder / "programs"
    folder.mkdir()
    if says is not None:
        (folder / "pg_dump").write_text(f"#!/bin/sh\necho '{says}'\n")
        (folder / "pg_dump").chmod(0o755)
    refused = db(there, "backup", url, COPY, path=folder)

    assert refused.returncode == 1
    assert words in refused.stderr
    assert "postgresql-client-" in refused.stderr
    assert not list(there.folder.glob("copy*"))


def test_of_a_copy_that_cannot_be_ended_nothing_is_left(url: str, there: RunningGateway) -> None:
    db(there, "upgrade", url)
    limited = subprocess.run(
        [sys.executable, "-m", "alir", "db", "backup", COPY, "--database", url],
        cwd=there.folder,
        env={**os.environ, "PATH": os.path.dirname(program("pg_dump"))},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert limited.returncode == 1
    assert limited.stderr.startswith("alir: the copy could not be made: ")
    assert not list(there.folder.glob("copy*"))


def test_a_copy_goes_only_where_nothing_is(url: str, there: RunningGateway) -> None:
    (there.folder / COPY).write_text("mine")
    refused = db(there, "backup", url, COPY)

    assert refused.returncode == 1
    assert "is there already" in refused.stderr
    assert (there.folder / COPY).read_text() == "mine"
