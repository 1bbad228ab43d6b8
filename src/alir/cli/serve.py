"""`alir serve`: everything in one process, or one of several."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alir.role import Role

if TYPE_CHECKING:
    from alir.settings import Settings


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.  [default: 127.0.0.1]")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0: any that is free.  [default: 8080]")
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(help="Where messages are kept.  [default: sqlite:///alir.db]"),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings file.  [default: alir.toml, if it is there]")
    ] = None,
    role: Annotated[
        Role,
        typer.Option(
            help="What this process does, where several share a PostgreSQL database: api takes "
            "requests and callbacks, dispatch hands messages to providers, relay applies callbacks."
        ),
    ] = Role.ALL,
    paused: Annotated[
        bool,
        typer.Option(
            "--paused",
            help="Pause every sender first, until it is resumed: for a restored backup, which "
            "would else send again what it does not know was sent.",
        ),
    ] = False,
) -> None:
    """Run the gateway; without senders, its simulator too.

    With no settings at all it has one sender, sandbox, on its own WhatsApp. The first start makes
    an API token and prints it once, with a command that sends a message. ALIR_API_TOKEN in the
    environment is that API token instead.
    """
    from alir.cli.failures import explained

    with explained():
        settings = _settings(host, port, database, config)
        _check_role(role, settings)
        from alir.cli.server import run_gateway

        run_gateway(settings, role=role, paused=paused)


def _check_role(role: Role, settings: Settings) -> None:
    """Refuse a part of a gateway where nothing could bring its parts together."""
    from alir.errors import SettingsInvalid
    from alir.settings import simulator_is_on

    problems = []
    if role is not Role.ALL:
        if settings.database.startswith("sqlite:"):
            problems.append(
                f"--role {role}: expected a PostgreSQL database, which several processes can "
                "share; an SQLite file has one process, which does all"
            )
        if not settings.senders:
            problems.append(
                f"--role {role}: expected senders in alir.toml; the sandbox is there where one "
                "process does all"
            )
        elif simulator_is_on(settings):
            problems.append(
                f"--role {role}: expected [simulator] enabled = false; run the simulator as a "
                "process of its own: alir simulator"
            )
    if problems:
        raise SettingsInvalid(problems)


def _settings(
    host: str | None, port: int | None, database: str | None, config: Path | None
) -> Settings:
    import os

    from alir.cli.first_token import given_problems
    from alir.clock import SystemClock
    from alir.errors import SettingsInvalid
    from alir.observe import configure_logging
    from alir.settings import load

    problems = given_problems(os.environ)
    try:
        settings = load(
            config,
            os.environ,
            {"host": host, "port": port, "database": database},
            elapsed=SystemClock().elapsed,
        )
    except SettingsInvalid as error:
        raise SettingsInvalid([*error.problems, *problems]) from None
    if problems:
        raise SettingsInvalid(problems)
    configure_logging(level=settings.log.level, form=settings.log.format)
    return settings
