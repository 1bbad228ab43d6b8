"""`alir db`: the database as a whole. Works beside a running gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from alir.cli.opened import ConfigOption, DatabaseOption, read_settings

_RESTORE_FILE: Final = (
    "To restore it, stop alir, move the database and the files -wal and -shm beside it out of "
    "the way, put this in its place, and start with alir serve --paused: it does not know what "
    "was sent since, and would send that again."
)
_RESTORE_DUMP: Final = (
    "To restore it, stop alir, make an empty database, fill it with pg_restore --no-owner, and "
    "start on it with alir serve --paused: it does not know what was sent since, and would send "
    "that again."
)

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

    Reads all of it, which takes minutes where it is large, and changes nothing. Of PostgreSQL it
    also looks at the server's settings and its standbys.
    """
    from alir.cli.failures import FAILED, explained
    from alir.cli.health import findings
    from alir.providers.finding import State
    from alir.store.upkeep import upkeep_of

    with explained():
        url = read_settings(database, config).database
        found = list(findings(upkeep_of(url).check()))
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
    cannot be ended leaves nothing. PostgreSQL is copied by its own pg_dump, which must be on PATH
    and no older than the server.
    """
    from alir.cli.failures import explained
    from alir.cli.health import in_bytes
    from alir.store.database import file_of
    from alir.store.upkeep import upkeep_of

    with explained():
        url = read_settings(database, config).database
        size = upkeep_of(url).backup(path)
    typer.echo(f"{path} holds the whole database: {in_bytes(size)}.")
    typer.echo(_RESTORE_DUMP if file_of(url) is None else _RESTORE_FILE, err=True)
