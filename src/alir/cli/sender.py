"""`alir sender`: business phone numbers. Works beside a running gateway."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from alir.cli.opened import (
    PIPED_WIDTH,
    ConfigOption,
    DatabaseOption,
    read_settings,
    with_database,
)

if TYPE_CHECKING:
    from alir.dispatch.pause import Pause
    from alir.ids import SenderName
    from alir.intake.pausing import PauseWanted
    from alir.providers.finding import Finding
    from alir.providers.sender import Sender
    from alir.settings import Settings
    from alir.store.database import Database
    from alir.store.pauses import PauseStore

T = TypeVar("T")

_COLUMNS = ("name", "provider", "account", "paused", "scope", "code", "why", "since", "until")

app = typer.Typer(
    help="List, pause, resume and check senders. Works beside a running gateway.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

NameArgument = Annotated[str, typer.Argument(help="The sender's name, as in the settings.")]


@app.command("list")
def list_senders(database: DatabaseOption = None, config: ConfigOption = None) -> None:
    """Show every sender, and what stands still of it and why."""
    from rich.console import Console
    from rich.table import Table

    from alir.cli.failures import explained

    with explained():
        settings = read_settings(database, config)
        pauses = with_database(settings.database, lambda opened: _store(opened).all())
    table = Table(box=None)
    for title in _COLUMNS:
        table.add_column(title, overflow="fold")
    for name, sender in _senders(settings).items():
        for row in _rows(name, sender, [pause for pause in pauses if pause.sender == name]):
            table.add_row(*row)
    console = Console(markup=False)
    (console if console.is_terminal else Console(width=PIPED_WIDTH, markup=False)).print(table)


@app.command()
def pause(
    name: NameArgument,
    reason: Annotated[str | None, typer.Option(help="Why, for people.")] = None,
    until: Annotated[
        str | None,
        typer.Option(
            help="When it ends by itself, such as 2030-01-31T09:00:00Z.  [default: never]"
        ),
    ] = None,
    database: DatabaseOption = None,
    config: ConfigOption = None,
) -> None:
    """Let nothing of a sender go out, within 1 s.

    Messages are taken all the same, and wait. Again, it changes reason and end.
    """
    from alir.cli.failures import explained
    from alir.clock import SystemClock
    from alir.dispatch.pause import by_operator
    from alir.errors import PauseScope

    now = SystemClock().now()
    asked = _asked(reason, until)

    with explained():
        settings = read_settings(database, config)
        sender = _known(name, settings)

        async def work(store: PauseStore) -> None:
            place = (sender, PauseScope.OPERATOR)
            there = [each for each in await store.all() if (each.sender, each.scope) == place]
            before = there[0] if there else None
            wanted = by_operator(
                before, sender=sender, title=asked.title, until=asked.until, now=now
            )
            await store.put(wanted, is_new=before is None)

        _with_pauses(settings, work)
    typer.echo(f"{name} is paused.")


@app.command()
def resume(
    name: NameArgument, database: DatabaseOption = None, config: ConfigOption = None
) -> None:
    """End all that holds a sender, within 1 s.

    It does not matter who began it. What holds its account ends for every sender of the account.
    """
    from alir.cli.failures import explained
    from alir.dispatch.senders import ended_by_resuming

    with explained():
        settings = read_settings(database, config)
        sender = _known(name, settings)
        accounts = {each: known.account for each, known in _senders(settings).items()}

        async def work(store: PauseStore) -> int:
            ended = ended_by_resuming(sender, await store.all(), accounts)
            for each in ended:
                await store.remove(each)
            return len(ended)

        ended = _with_pauses(settings, work)
    typer.echo(f"{name} is resumed." if ended else f"{name} was not paused.")


@app.command()
def check(name: NameArgument, database: DatabaseOption = None, config: ConfigOption = None) -> None:
    """Ask the provider what is wrong with a sender. Sends no message.

    Says what to do, and whether alir itself has paused the sender. Ends with 1 where something is
    wrong. The sandbox can be checked while its gateway runs.
    """
    import asyncio

    from alir.cli.failures import FAILED, explained
    from alir.providers.finding import State

    with explained():
        settings = read_settings(database, config, secrets_needed=True)
        known = _known(name, settings)
        found = asyncio.run(_found(_senders(settings)[known], settings))
    if known not in settings.senders:
        found = [_of_sandbox(finding) for finding in found]
    found += _of_pauses(known, settings)
    for finding in found:
        typer.echo(finding.line())
    if any(finding.state is State.WRONG for finding in found):
        raise typer.Exit(FAILED)


async def _found(sender: Sender, settings: Settings) -> list[Finding]:
    from datetime import timedelta

    from alir.clock import SystemClock
    from alir.outbound.http import PooledHttpClient
    from alir.providers.registry import PROVIDERS
    from alir.providers.tools import Tools

    kind = PROVIDERS[sender.provider]
    async with PooledHttpClient(
        connect_timeout=timedelta(seconds=settings.dispatch.connect_timeout_seconds),
        call_timeout=timedelta(seconds=settings.dispatch.call_timeout_seconds),
    ) as http:
        codes = kind.codes(settings.error_changes)
        found: list[Finding] = await kind.check(
            sender, Tools(http=http, clock=SystemClock(), codes=codes)
        )
    return found


def _of_sandbox(finding: Finding) -> Finding:
    """The finding as it is of the simulator's own sender, which no setting says the address of."""
    from dataclasses import replace

    from alir.providers.finding import State

    if (finding.about, finding.state) != ("connection", State.WRONG):
        return finding
    advice = (
        "Is its gateway running, and on this port? Where it has another, set ALIR_PORT to that "
        "in this terminal too."
    )
    return replace(finding, advice=advice)


def _of_pauses(name: SenderName, settings: Settings) -> list[Finding]:
    """What alir itself holds of a sender, by the database, where there is one to look at."""
    from alir.clock import SystemClock
    from alir.dispatch.pause import is_over
    from alir.dispatch.senders import ended_by_resuming
    from alir.errors import AlirError
    from alir.providers.finding import Finding, State

    now = SystemClock().now()
    try:
        pauses = _with_pauses(settings, lambda store: store.all(but_recipients=True))
    except AlirError:
        said = "alir may have paused it, and its database could not be looked at here"
        advice = "In the gateway's folder, run: alir sender list"
        return [Finding(State.UNKNOWN, "pause", said, advice)]
    accounts = {each: sender.account for each, sender in _senders(settings).items()}
    held = {
        pause.place: pause
        for pause in ended_by_resuming(name, pauses, accounts)
        if not is_over(pause, now=now)
    }
    found = [_of_pause(name, pause) for pause in held.values()]
    return found or [Finding(State.OK, "pause", "alir has not paused it")]


def _of_pause(name: SenderName, pause: Pause) -> Finding:
    from alir.dispatch.pause import WHOLE
    from alir.providers.finding import Finding, State

    state = State.WRONG if pause.scope in WHOLE else State.WARNING
    scope, code, why, _, until = _told(pause)
    ends = "until it is resumed" if pause.until is None else f"until {until}"
    answer = "" if pause.code is None else f", code {code}"
    advice = f"When the cause is mended, run: alir sender resume {name}"
    said = f"alir has paused it (scope {scope}{answer}) {ends}: {why}"
    return Finding(state, "pause", said, advice)


def _senders(settings: Settings) -> Mapping[SenderName, Sender]:
    from alir.cli.address import base_url
    from alir.settings import SANDBOX_NAME, sandbox, sandbox_wanted

    senders = dict(settings.senders)
    if sandbox_wanted(settings):
        url = base_url(settings.host, settings.port)
        senders[SANDBOX_NAME] = sandbox(settings, f"{url}/simulator/graph")
    return senders


def _known(name: str, settings: Settings) -> SenderName:
    from alir.errors import SettingsInvalid
    from alir.ids import SenderName

    senders = _senders(settings)
    if name not in senders:
        there = ", ".join(senders) or "none"
        raise SettingsInvalid([f"no sender is called {name} here; there are: {there}"])
    return SenderName(name)


def _asked(reason: str | None, until: str | None) -> PauseWanted:
    from alir.clock import SystemClock
    from alir.errors import RequestInvalid
    from alir.intake.pausing import read_pause

    try:
        return read_pause({"reason": reason, "until": until}, now=SystemClock().now())
    except RequestInvalid as error:
        faults = (f"--{fault.pointer.removeprefix('#/')}: {fault.detail}" for fault in error.faults)
        raise typer.BadParameter("; ".join(faults)) from None


def _with_pauses(settings: Settings, work: Callable[[PauseStore], Awaitable[T]]) -> T:
    return with_database(settings.database, lambda opened: work(_store(opened)))


def _store(opened: Database) -> PauseStore:
    from alir.clock import SystemClock
    from alir.store.pauses import PauseStore

    return PauseStore(opened, SystemClock())


def _rows(name: str, sender: Sender, pauses: Sequence[Pause]) -> Iterator[list[str]]:
    """What the table says of a sender: a row for each pause, or one without any."""
    from alir.dispatch.senders import why_paused
    from alir.errors import PauseScope

    why = why_paused(pauses)
    about = [name, sender.provider, sender.account, "no" if why is None else "yes"]
    people = sum(pause.scope is PauseScope.RECIPIENT for pause in pauses)
    told = [
        _told(pause)
        for pause in sorted(pauses, key=lambda pause: (pause is not why, pause.since))
        if pause.scope is not PauseScope.RECIPIENT
    ]
    if people:
        told.append(["recipient", "-", f"people who have to wait: {people}", "-", "-"])
    for row in told or [["-"] * 5]:
        yield [*about, *row]
        about = [""] * len(about)


def _told(pause: Pause) -> list[str]:
    return [
        f"{pause.scope.value} {pause.key}".strip(),
        pause.code or "-",
        pause.title,
        f"{pause.since:%Y-%m-%d %H:%M:%SZ}",
        "-" if pause.until is None else f"{pause.until:%Y-%m-%d %H:%M:%SZ}",
    ]
