"""`alir`: what it can do, and nothing imported before it is asked for."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Annotated, NoReturn

import typer

from alir import __version__
from alir.cli import db, explain, purge, sender, serve, simulator, token

app = typer.Typer(
    name="alir",
    help="A self-hosted gateway for WhatsApp Flow messages.",
    epilog=(
        "Examples:\n\n"
        "  alir serve                              the gateway, with its own WhatsApp\n\n"
        "  alir serve --port 9000 --config p.toml  elsewhere, with other settings\n\n"
        "  alir token create shop --scope send     make an API token\n\n"
        "  alir sender check sandbox               what is wrong with a sender\n\n"
        "  alir explain 131047                     what an error code means\n\n"
        "  alir db backup alir-monday.db           copy the database while it runs\n\n"
        "  alir simulator --callback-url http://localhost:9000/callbacks/cloud"
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve)
app.command("simulator")(simulator.simulator)
app.command("explain")(explain.explain)
app.command("purge")(purge.purge)
app.add_typer(db.app, name="db")
app.add_typer(sender.app, name="sender")
app.add_typer(token.app, name="token")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"alir {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=_show_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """The console script."""
    try:
        app()
    except SystemExit as ended:
        _leave(ended.code)


def _leave(status: str | int | None) -> NoReturn:
    """End the process with what Typer says, at once.

    Python's own end waits for no thread of the HTTP client, and dies by SIGABRT where one of them
    is just about to give the GIL back: `alir sender check` did so once in ten times.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # whoever read it may be gone
            stream.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))
