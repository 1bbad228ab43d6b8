"""`alir db`: the database as a whole. Works beside a running gateway."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from alir.cli.counted import counted
from alir.cli.opened import ConfigOption, DatabaseOption, read_settings

if TYPE_CHECKING:
    from alir.providers.finding import Finding
    from alir.store.health import Health

#: Free on the disk: below the first it should be looked at, below the second it stops soon.
_LITTLE: Final = 1024 * 1024 * 1024
_TOO_LITTLE: Final = 64 * 1024 * 1024

app = typer.Typer(
    help="Upgrade, check and back up the database. Works beside a running gateway.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def upgrade(database: DatabaseOption = None, config: ConfigOption = None) -> None:
    """Bring the tables up to date, as alir serve does at its start.

    Where they have to change, no gateway may run. Makes a new database where there is none.
    """
    from alir.cli.failures import explained
    from alir.store.upkeep import upkeep_of

    with explained():
        url = read_settings(database, config).database
        done = upkeep_of(url).upgrade()
    if done.before is None:
        typer.echo(f"The database is new; its tables are of version {done.after}.")
    elif done.before == done.after:
        typer.echo(f"The tables are up to date: version {done.after}.")
    else:
        typer.echo(f"The tables were of version {done.before}, and are of {done.after} now.")


@app.command()
def check(database: DatabaseOption = None, config: ConfigOption = None) -> None:
    """Say how the database is; ends with 1 where something is wrong.

    Reads all of it, which takes minutes where it is large, and changes nothing.
    """
    from alir.cli.failures import FAILED, explained
    from alir.providers.finding import State
    from alir.store.upkeep import upkeep_of

    with explained():
        url = read_settings(database, config).database
        found = list(_findings(upkeep_of(url).check()))
    for finding in found:
        typer.echo(finding.line())
    if any(finding.state is State.WRONG for finding in found):
        raise typer.Exit(FAILED)


@app.command()
def backup(
    path: Annotated[Path, typer.Argument(help="The copy: a new file.")],
    database: DatabaseOption = None,
    config: ConfigOption = None,
) -> None:
    """Copy the database, whether its gateway runs or not.

    The copy is whole, as of one moment. Nothing that is there is written over, and a copy that
    cannot be ended leaves nothing.
    """
    from alir.cli.failures import explained
    from alir.store.upkeep import upkeep_of

    with explained():
        url = read_settings(database, config).database
        size = upkeep_of(url).backup(path)
    typer.echo(f"{path} holds the whole database: {_bytes(size)}.")
    typer.echo(
        "To restore it, stop alir, move the database and the files -wal and -shm beside it out of "
        "the way, put this in its place, and start with alir serve --paused: it does not know what "
        "was sent since, and would send that again.",
        err=True,
    )


def _findings(health: Health) -> Iterator[Finding]:
    from alir.providers.finding import Finding, State

    yield _of_faults(health)
    if not health.faults:
        yield _of_version(health)
    free = f"; {_bytes(health.reusable)} of it free to be used again" if health.reusable else ""
    yield Finding(State.OK, "size", f"{_bytes(health.size)}{free}")
    yield _of_disk(health)
    runs = "none runs on it" if health.gateway is None else f"{health.gateway} runs on it"
    yield Finding(State.OK, "gateway", runs)
    statuses = ", ".join(f"{status} {count:,}" for status, count in health.messages.items())
    if not health.faults:
        yield Finding(State.OK, "contents", counted(health.rows, {"message": statuses}))


def _of_faults(health: Health) -> Finding:
    from alir.providers.finding import Finding, State

    if not health.faults:
        return Finding(State.OK, "integrity", "no fault was found")
    advice = "Stop alir, keep this file, and restore the last backup."
    return Finding(State.WRONG, "integrity", "; ".join(health.faults), advice)


def _of_version(health: Health) -> Finding:
    from alir.providers.finding import Finding, State
    from alir.store.migrations import HEAD

    if health.version is None:
        advice = "Is it the right file? alir serve and alir db upgrade make the tables."
        return Finding(State.WRONG, "tables", "there are none of alir's", advice)
    if health.version == HEAD:
        return Finding(State.OK, "tables", f"version {HEAD}, up to date")
    if health.version < HEAD:
        said = f"version {health.version}, and this alir's is {HEAD}"
        advice = "alir serve brings them up to date at its start; so does alir db upgrade."
        return Finding(State.WARNING, "tables", said, advice)
    said = f"version {health.version}, of a newer alir; this one knows {HEAD}"
    return Finding(State.WRONG, "tables", said, "Use the alir that wrote it, or a newer one.")


def _of_disk(health: Health) -> Finding:
    from alir.providers.finding import Finding, State

    said = f"{_bytes(health.disk_free)} free"
    if health.disk_free >= _LITTLE:
        return Finding(State.OK, "disk", said)
    state = State.WARNING if health.disk_free >= _TOO_LITTLE else State.WRONG
    advice = "Make room, or keep things for a shorter time: [retention] in the settings."
    return Finding(state, "disk", said, advice)


def _bytes(size: float) -> str:
    """A size for people.

    >>> _bytes(532), _bytes(14_000_000), _bytes(5_000_000_000)
    ('532 B', '13.4 MiB', '4.7 GiB')
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":  # noqa: PLR2004 - of each unit
            break
        size /= 1024
    return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
