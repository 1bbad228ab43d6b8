"""What goes wrong at the command line, in a line or two instead of a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from alir.errors import AlirError, SettingsInvalid

#: Exit status where the command could not do its work.
FAILED = 1
#: Exit status where it was called or configured wrongly.
MISUSED = 2


@contextmanager
def explained() -> Iterator[None]:
    """End the command with a plain line for each thing that is wrong."""
    try:
        yield
    except SettingsInvalid as error:
        for problem in error.problems:
            typer.echo(f"alir: {problem}", err=True)
        raise typer.Exit(MISUSED) from None
    except AlirError as error:
        typer.echo(f"alir: {error}", err=True)
        raise typer.Exit(FAILED) from None


def cannot_listen(host: str, port: int, error: OSError, *, elsewhere: str) -> SettingsInvalid:
    """That nobody can listen there; `elsewhere`: how to choose another place."""
    why = error.strerror or error
    return SettingsInvalid(
        [f"cannot listen on {host} port {port}: {why}; choose others with {elsewhere}"]
    )
