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
    codes: Annotated[list[str], typer.Argument(help='Error codes, such as 131047 or "HTTP 403".')],
    config: Annotated[
        Path | None, typer.Option(help="Settings file.  [default: alir.toml, if it is there]")
    ] = None,
) -> None:
    """Explain error codes: what alir does and what you can do.

    The codes are those of WhatsApp and of the providers, as in a message's error.provider_code and
    in alir sender list. "HTTP 403" is a provider's answer that had no code of its own, and not the
    code 403. What the settings change is taken into account.
    """
    import os

    from alir.cli.failures import FAILED, explained
    from alir.settings import load_errors

    asked = _read(codes)
    with explained():
        changes = load_errors(config, os.environ).error_changes
    tables = _tables(changes)
    texts = [
        _explained_status(code) if is_status else _explained(code, tables, changes)
        for is_status, code in asked
    ]
    if known := ["\n".join(lines) for lines in map(list, texts) if lines]:
        typer.echo("\n\n".join(known))
    unknown = [
        code
        for is_status, code in asked
        if not is_status and not any(code in table for table in tables.values())
    ]
    for code in unknown:
        typer.echo(f"alir: {_not_known(code)}", err=True)
    if unknown:
        raise typer.Exit(FAILED)


def _read(said: list[str]) -> list[tuple[bool, int]]:
    """What was asked for, each as a number, and whether that is an HTTP status.

    >>> _read(["190", "HTTP 403", "http429", "HTTP", "500"])
    [(False, 190), (True, 403), (True, 429), (True, 500)]
    """
    import re

    from alir.cli.failures import explained
    from alir.errors import SettingsInvalid

    form = re.compile(r"(http *(?=[1-5][0-9]{2}$))?([0-9]{1,9})", re.IGNORECASE)
    words = re.findall(r"http +[^ ]+|[^ ]+", " ".join(said), re.IGNORECASE)
    read = {word: form.fullmatch(word) for word in words}
    with explained():
        if wrong := [word for word, found in read.items() if not found]:
            numbers = "give numbers such as 131026, or HTTP 403"
            raise SettingsInvalid([f"{word} is no error code; {numbers}" for word in wrong])
    return [(bool(found[1]), int(found[2])) for found in read.values() if found]


def _explained_status(status: int) -> Iterator[str]:
    from alir.cli.bare_status import bare_status

    meaning = bare_status(status)
    yield f"HTTP {status}  {meaning.title}"
    yield from _labelled("what alir does", meaning.what_alir_does)
    yield from _labelled("what to do", meaning.advice)


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
