"""The reference page of the settings, made from the default file: its comments are the words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_INTRODUCTION = """\
# Settings

<!-- Made from src/alir/default.toml by `make docs`; change that file, not this page. -->
"""
_TABLE = re.compile(r"#?\[([a-z0-9_.]+)\]")
_KEY = re.compile(r"(#?)([a-z][a-z0-9_]*) = (.+)")


@dataclass(slots=True)
class _Section:
    """A table of the file; the first one has no name."""

    name: str
    paragraphs: list[str] = field(default_factory=list)
    rows: list[tuple[str, str, str]] = field(default_factory=list)


def settings_page(default_toml: str) -> str:
    """The page, in Markdown, for a default file in which each key follows its comment.

    >>> print(settings_page('# Where.\\n#host = "a"\\n').split("\\n\\n", 2)[2])
    | key | default | what it does |
    |---|---|---|
    | `host` | none; such as `"a"` | Where. |
    <BLANKLINE>
    """
    return "\n".join([_INTRODUCTION, *map(_render, _sections(default_toml))])


def _sections(text: str) -> Iterator[_Section]:
    section, comment = _Section(""), ""
    for line in text.splitlines():
        if table := _TABLE.fullmatch(line):
            yield section
            section, comment = _Section(table[1], [comment] if comment else []), ""
        elif key := _KEY.fullmatch(line):
            default = f"none; such as `{key[3]}`" if key[1] else f"`{key[3]}`"
            section.rows.append((key[2], default, comment))
        elif text_of := line.removeprefix("#").strip():
            comment = f"{comment} {text_of}".strip()
        else:
            if comment and not section.rows:
                section.paragraphs.append(comment)
            comment = ""
    yield section


def _render(section: _Section) -> str:
    lines = [f"## `[{section.name}]`\n"] if section.name else []
    lines += [f"{paragraph}\n" for paragraph in section.paragraphs]
    if section.rows:
        lines += ["| key | default | what it does |", "|---|---|---|"]
    for key, default, what in section.rows:
        lines.append(f"| `{key}` | {_cell(default)} | {_cell(what)} |")
    return "\n".join([*lines, ""] if section.rows else lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")
