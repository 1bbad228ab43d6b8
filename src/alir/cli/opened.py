"""The settings and the database, for commands that work beside a running gateway."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from alir.settings import Settings
    from alir.store.database import Database

T = TypeVar("T")

#: Columns of a table that goes to another program.
PIPED_WIDTH = 200

DatabaseOption = Annotated[
    str | None, typer.Option("--database", help="Where messages are kept.  [default: see serve]")
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Settings file.  [default: alir.toml, if there]")
]


def read_settings(
    database: str | None, config: Path | None, *, secrets_needed: bool = False
) -> Settings:
    """The settings as `alir serve` would read them; logs of this command go by them too.

    Args:
        secrets_needed: whether a provider is called. Else they need not be there: whoever has to
            pause a sender in a hurry may do so in a terminal without them.

    Raises:
        SettingsInvalid: with one problem for everything that is wrong.
    """
    import os

    from alir.observe import configure_logging
    from alir.settings import load

    configure_logging(level="warning")
    options = {"database": database}
    return load(config, os.environ, options, secrets_needed=secrets_needed)


def with_database(url: str, work: Callable[[Database], Awaitable[T]], *, makes: bool = False) -> T:
    """What `work` does with the database.

    Args:
        makes: a new one, where there is none.

    Raises:
        NotFound: there is none.
    """
    import asyncio

    from alir.errors import NotFound
    from alir.store.database import file_of, open_database

    async def run() -> T:
        path = file_of(url)
        if path is not None and not path.exists():
            if not makes:
                raise NotFound(
                    f"There is no database {path} here. Run this in the gateway's folder, or name "
                    "its database with --database."
                )
            typer.echo(f"There was no database {path} here; a new one is made.", err=True)
        opened = open_database(url, exclusive=False)
        try:
            return await work(opened)
        finally:
            await opened.close()

    return asyncio.run(run())
