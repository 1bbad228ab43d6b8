"""The reference page of the command line, made from what `--help` says."""

from __future__ import annotations

from collections.abc import Iterator

from typer.main import get_command
from typer.testing import CliRunner

from alir.cli.main import app

WIDTH = 96  # columns

_INTRODUCTION = """\
# Command line

<!-- Made by `make docs` from what `alir … --help` says. -->

`make setup` leaves the command at `.venv/bin/alir`. Each command takes `--help`.

| exit status | means |
|---|---|
| 0 | done; for `alir serve` and `alir simulator`: stopped by SIGTERM or Ctrl-C |
| 1 | it could not be done: the database is in use, no API token or error code is called so; \
`alir sender check` or `alir db check` found something wrong; `alir purge` had to leave something |
| 2 | it was called or configured wrongly; each mistake has a line |

What cannot be done is said on stderr, each line beginning with `alir: `; of an option or
argument that a command cannot read, the last line begins with `Error: `. `alir serve` says on
stdout that it is ready; its log goes to stderr. Every setting can also stand in `alir.toml` or
in an environment variable: see [Settings](settings.md). `ALIR_API_TOKEN` is no setting but the
first API token itself: see [Use API tokens](../how-to/use-api-tokens.md).
"""


def commands_page() -> str:
    """The page, in Markdown."""
    return "\n".join([_INTRODUCTION, *(_section(path) for path in _paths())])


def _paths() -> Iterator[list[str]]:
    yield []
    for name, command in getattr(get_command(app), "commands", {}).items():
        yield [name]
        yield from ([name, below] for below in getattr(command, "commands", {}))


def _section(path: list[str]) -> str:
    ran = CliRunner().invoke(app, [*path, "--help"], prog_name="alir", terminal_width=WIDTH)
    said = "\n".join(line.rstrip() for line in ran.output.strip().splitlines())
    return f"## `{' '.join(['alir', *path])}`\n\n```text\n{said}\n```\n"
