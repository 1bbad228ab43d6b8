"""`alir purge`: removes what is old, or a person. Works beside a running gateway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from alir.cli.counted import counted
from alir.cli.opened import ConfigOption, DatabaseOption, read_settings, with_database

if TYPE_CHECKING:
    from alir.retention.model import Kind
    from alir.retention.person import Found, Person
    from alir.settings import Settings


def purge(
    to: Annotated[
        str | None, typer.Option(help="Remove all that names the person with this number.")
    ] = None,
    recipient: Annotated[
        str | None, typer.Option(help="The same, for a business-scoped user id.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask before removing a person.")
    ] = False,
    database: DatabaseOption = None,
    config: ConfigOption = None,
) -> None:
    """Remove what is old, or all that names one person.

    How long things are kept stands in the settings, under [retention]; the gateway itself purges
    once a day. With --to, what waits to go out to the person is cancelled and goes too. A message
    that is just being sent stays and is named, and the command ends with 1: run it again then.
    """
    from alir.cli.failures import explained

    name = _name(to, recipient)
    with explained():
        settings = read_settings(database, config)
        if name is None:
            _purge_old(settings, dry_run=dry_run)
        else:
            _forget(name, settings, dry_run=dry_run, yes=yes)


def _name(to: str | None, recipient: str | None) -> str | None:
    """The name that was given: digits, or a user id."""
    from alir.errors import RequestInvalid
    from alir.messages.phone import read_number

    if to is not None and recipient is not None:
        raise typer.BadParameter("--to and --recipient name one person: give one of them")
    if recipient is not None and not recipient.strip():
        raise typer.BadParameter("--recipient must not be empty")
    if recipient is not None and recipient.strip().startswith("+"):
        raise typer.BadParameter("--recipient takes a user id; for a number there is --to")
    if to is None:
        return None if recipient is None else recipient.strip()
    try:
        return read_number(to).e164.removeprefix("+")
    except RequestInvalid as error:
        raise typer.BadParameter(f"--to: {error.faults[0].detail}") from None


def _purge_old(settings: Settings, *, dry_run: bool) -> None:
    from alir.clock import SystemClock
    from alir.retention.purger import Purger
    from alir.store.aged import AgedStore
    from alir.store.database import Database

    async def work(opened: Database) -> Mapping[Kind, int]:
        purger = Purger(AgedStore(opened), SystemClock(), settings.retention.kept_for())
        return await (purger.count() if dry_run else purger.purge())

    counts = with_database(settings.database, work)
    if not counts:
        typer.echo("Nothing is older than it is kept.")
        return
    said = "Older than they are kept" if dry_run else "Removed"
    typer.echo(f"{said}: {counted({kind.value: count for kind, count in counts.items()})}.")


def _forget(name: str, settings: Settings, *, dry_run: bool, yes: bool) -> None:
    from alir.cli.failures import FAILED
    from alir.clock import SystemClock
    from alir.store.database import Database
    from alir.store.person import PersonStore

    async def look(opened: Database) -> tuple[Person, Found]:
        people = PersonStore(opened, SystemClock())
        person = await people.known_as(name)
        return person, await people.find(person)

    async def forget(opened: Database) -> tuple[Person, Found]:
        people = PersonStore(opened, SystemClock())
        person = await people.known_as(name)
        return person, await people.forget(person)

    if dry_run or not yes:
        person, found = with_database(settings.database, look)
        typer.echo(f"Of {_called(person)}: {_all_of(found)}.")
        if dry_run:
            _tell_what_stays(found)
            return
        if not found.is_empty:
            _ask()
    person, removed = with_database(settings.database, forget)
    typer.echo(f"Removed of {_called(person)}: {_all_of(removed)}.")
    if _tell_what_stays(removed):
        raise typer.Exit(FAILED)


def _ask() -> None:
    from alir.cli.failures import FAILED

    try:
        sure = typer.confirm("Remove all of that, for good?")
    except typer.Abort:  # nobody is there to answer
        typer.echo()
        sure = False
    if not sure:
        typer.echo("Nothing was removed. --yes removes without asking.", err=True)
        raise typer.Exit(FAILED)


def _tell_what_stays(found: Found) -> bool:
    """Say what cannot be removed now; whether there is anything."""
    for message in found.under_way:
        typer.echo(f"{message} stays: it is being sent at this moment.")
    if found.unapplied:
        typer.echo(f"Not applied yet, and so stays: {counted({'callback': found.unapplied})}.")
    stays = bool(found.under_way or found.unapplied)
    if stays:
        typer.echo("Run this again in a minute, while the gateway runs.")
    return stays


def _called(person: Person) -> str:
    return ", also known as ".join(person.addresses)


def _all_of(found: Found) -> str:
    counts = {
        "message": found.messages,
        "event": found.events,
        "callback": found.callbacks,
        "parked_receipt": found.parked,
        "name": found.names,
        "pause": found.pauses,
    }
    waiting = {"message": f"{found.waiting:,} queued or unknown"} if found.waiting else {}
    return counted(counts, waiting)
