"""`alir explain`: what an error code means. Needs no gateway, no database and no secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from alir.providers.whatsapp.codes import Change, Meaning, Table

#: Columns of the labels before the texts.
_LABEL = 14
#: Columns of the whole, where the terminal is not narrower.
_WIDTH = 100
#: So many known codes are offered for one that is not known.
_NEARBY = 4

#: Between a number and its unit, while lines are broken.
_UNBROKEN = "\N{NO-BREAK SPACE}"


def explain(
    codes: Annotated[list[int], typer.Argument(help="Error codes, such as 131047.", min=0)],
    config: Annotated[
        Path | None, typer.Option(help="Settings file.  [default: alir.toml, if it is there]")
    ] = None,
) -> None:
    """Explain error codes, and say what alir does and what you can do.

    The codes are those of WhatsApp and of the providers, as in a message's error.provider_code.
    What the settings change is taken into account.
    """
    import os

    from alir.cli.failures import FAILED, explained
    from alir.settings import load_errors

    with explained():
        changes = load_errors(config, os.environ).error_changes
    tables = _tables(changes)
    known = [code for code in codes if any(code in table for table in tables.values())]
    if known:
        typer.echo("\n\n".join("\n".join(_explained(code, tables, changes)) for code in known))
    unknown = [code for code in codes if code not in known]
    for code in unknown:
        typer.echo(f"alir: {_not_known(code)}", err=True)
    if unknown:
        raise typer.Exit(FAILED)


def _tables(changes: Mapping[int, Change]) -> dict[str, Table]:
    """Each provider's table, changed where it has the code or where none has."""
    from alir.providers.registry import PROVIDERS
    from alir.providers.whatsapp.codes import changed, meanings

    tables = {kind.title: meanings(kind.own_codes) for kind in PROVIDERS.values()}
    everywhere = set().union(*tables.values())
    return {
        name: changed(
            table, {c: to for c, to in changes.items() if c in table or c not in everywhere}
        )
        for name, table in tables.items()
    }


def _explained(
    code: int, tables: Mapping[str, Table], changes: Mapping[int, Change]
) -> Iterator[str]:
    names: dict[Meaning, list[str]] = {}
    for name, table in tables.items():
        if code in table:
            names.setdefault(table[code], []).append(name)
    for meaning, named in names.items():
        yield f"{code}  {meaning.title}"
        if len(named) < len(tables):
            only = " only" if len(names) == 1 else ""
            yield from _labelled("from", f"{' and '.join(named)}{only}")
        yield from _said_of(meaning, is_changed=code in changes)


def _said_of(meaning: Meaning, *, is_changed: bool) -> Iterator[str]:
    from alir.providers.whatsapp.words import CLASSES, what_alir_does

    changed = f" (changed by the setting errors.{meaning.code})" if is_changed else ""
    yield from _labelled("class", f"{meaning.concern}: {CLASSES[meaning.concern]}{changed}")
    yield from _labelled("what alir does", what_alir_does(meaning))
    yield from _labelled("what to do", meaning.advice)


def _labelled(label: str, text: str) -> Iterator[str]:
    import re
    import shutil
    import textwrap

    width = min(shutil.get_terminal_size().columns, _WIDTH)
    lines = textwrap.wrap(
        re.sub(r"(?<=\d) (?=s\b|min\b|h\b)", _UNBROKEN, text),
        width,
        initial_indent=f"  {label:<{_LABEL}}  ",
        subsequent_indent=" " * (_LABEL + 4),
    )
    yield from (line.replace(_UNBROKEN, " ") for line in lines)


def _not_known(code: int) -> str:
    nearby = " and ".join(", ".join(map(str, _near(code))).rsplit(", ", 1))
    return (
        f"{code} is no error code that alir knows; near it are {nearby}. Such an error is tried "
        "again where the provider calls it transient, or its HTTP status is 429, or 500 and "
        "above; else the message is refused."
    )


def _near(code: int) -> list[int]:
    """Known codes that look like this one, and then those that are close by."""
    import difflib

    from alir.providers.registry import PROVIDERS
    from alir.providers.whatsapp.codes import read_rows

    packages = ("alir.providers.whatsapp", *(kind.own_codes for kind in PROVIDERS.values()))
    known = [codes.start for package in packages if package for codes, _ in read_rows(package)]
    alike = difflib.get_close_matches(str(code), map(str, known), n=_NEARBY // 2, cutoff=0.8)
    close = sorted(known, key=lambda other: (abs(other - code), other))
    return sorted([*dict.fromkeys([*map(int, alike), *close])][:_NEARBY])
