"""`alir token`: API tokens. Works beside a running gateway."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
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
    from alir.intake.tokens import Scope
    from alir.settings import Settings
    from alir.store.tokens import TokenRecord, TokenStore

T = TypeVar("T")

app = typer.Typer(
    help="Make, list, rotate and revoke API tokens. Works beside a running gateway.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

NameArgument = Annotated[str, typer.Argument(help="The API token's name or id.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for, such as shop.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="send, read or admin; repeatable.  [default: send and read]"),
    ] = None,
    sender: Annotated[
        list[str] | None,
        typer.Option(help="A sender it may use; repeatable.  [default: all, later ones too]"),
    ] = None,
    default_sender: Annotated[
        str | None, typer.Option(help="The sender for requests that name none.")
    ] = None,
    database: DatabaseOption = None,
    config: ConfigOption = None,
) -> None:
    """Make an API token and show it, this once."""
    from alir.ids import SenderName
    from alir.intake.tokens import Scope, generate

    scopes = _scopes(scope or [Scope.SEND, Scope.READ])
    named = [*(sender or ()), *(() if default_sender is None else (default_sender,))]
    if not all(each.strip() for each in (name, *named)):
        raise typer.BadParameter("a name must not be empty")
    if sender and default_sender and default_sender not in sender:
        raise typer.BadParameter(f"{default_sender} is not one of the --sender given")
    secret = generate()
    _with_tokens(
        database,
        config,
        lambda tokens: tokens.create(
            name,
            secret,
            scopes=scopes,
            senders=[SenderName(s) for s in sender] if sender else None,
            default_sender=SenderName(default_sender) if default_sender else None,
        ),
        makes=True,
        senders=named,
    )
    typer.echo(secret)
    typer.echo("Keep it now: it is not shown again.", err=True)


@app.command("list")
def list_tokens(database: DatabaseOption = None, config: ConfigOption = None) -> None:
    """Show every API token's name and rights.

    The API tokens themselves are kept nowhere.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    for title in ("name", "id", "scopes", "senders", "default", "created", "revoked"):
        table.add_column(title, overflow="fold")  # ids that are cut off help nobody
    for record in _with_tokens(database, config, lambda tokens: tokens.all()):
        table.add_row(*_row(record))
    console = Console()
    (console if console.is_terminal else Console(width=PIPED_WIDTH)).print(table)


@app.command()
def rotate(
    name: NameArgument, database: DatabaseOption = None, config: ConfigOption = None
) -> None:
    """Give an API token a new value and show it, this once.

    The old one stops within 5 s.
    """
    from alir.intake.tokens import generate

    secret = generate()
    _with_tokens(database, config, lambda tokens: tokens.rotate(name, secret))
    typer.echo(secret)
    typer.echo("Keep it now: it is not shown again.", err=True)


@app.command()
def revoke(
    name: NameArgument, database: DatabaseOption = None, config: ConfigOption = None
) -> None:
    """Take an API token's rights away, for good, within 5 s."""
    token = _with_tokens(database, config, lambda tokens: tokens.revoke(name))
    typer.echo(f"{token.name} is revoked.")


def _scopes(given: list[str]) -> list[Scope]:
    from alir.intake.tokens import Scope

    try:
        return [Scope(scope) for scope in given]
    except ValueError:
        names = ", ".join(scope.value for scope in Scope)
        raise typer.BadParameter(f"--scope takes one of: {names}") from None


def _with_tokens(
    database: str | None,
    config: Path | None,
    work: Callable[[TokenStore], Awaitable[T]],
    *,
    makes: bool = False,
    senders: Sequence[str] = (),
) -> T:
    """What `work` does with the API tokens.

    Args:
        makes: in a new database, where there is none.
        senders: names that the settings should know; of others the operator is warned.
    """
    from alir.cli.failures import explained
    from alir.clock import SystemClock
    from alir.store.tokens import TokenStore

    with explained():
        settings = read_settings(database, config)
        _warn_of_unknown(senders, settings)
        return with_database(
            settings.database,
            lambda opened: work(TokenStore(opened, SystemClock())),
            makes=makes,
        )
    raise AssertionError("explained() ends the command where it cannot return")


def _warn_of_unknown(named: Sequence[str], settings: Settings) -> None:
    """Say which senders are not configured. They may be later, so it is no error."""
    from alir.settings import SANDBOX_NAME, sandbox_wanted

    known = [*settings.senders, *([SANDBOX_NAME] if sandbox_wanted(settings) else ())]
    for name in dict.fromkeys(named):
        if name not in known:
            typer.echo(
                f"Warning: no sender is called {name} here. Senders: {', '.join(known) or 'none'}.",
                err=True,
            )


def _row(record: TokenRecord) -> list[str]:
    token = record.token
    return [
        token.name,
        token.id,
        " ".join(sorted(scope.value for scope in token.scopes)),
        "all" if token.senders is None else " ".join(token.senders),
        token.default_sender or "-",
        f"{record.created_at:%Y-%m-%d}",
        f"{record.revoked_at:%Y-%m-%d}" if record.revoked_at else "-",
    ]
