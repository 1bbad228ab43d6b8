"""What the pages say holds: `python -m docs.check`; with `--write` it makes generated pages anew.

Checked in README.md, CHANGELOG.md and everything under docs/: relative links and their anchors,
no path of anybody's machine, `make` commands that exist, and settings that load (blocks that
begin with "```toml alir.toml").
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from alir.errors import SettingsInvalid
from alir.settings import DEFAULT_FILE, load
from docs.settings_page import settings_page

ROOT = Path(__file__).resolve().parent.parent
SETTINGS_PAGE = ROOT / "docs" / "reference" / "settings.md"

_FENCE = re.compile(r"^(```+|~~~+)(.*?)\n(.*?)^\1[ \t]*$", re.MULTILINE | re.DOTALL)
_INLINE_CODE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:[ \t]*(\S+)", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
_ANCHOR = re.compile(r"""<[^>]+\b(?:id|name)=["']([^"']+)["']""")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_MAKE = re.compile(r"(?:^|[\s`;&(])make ([a-z]+)\b", re.MULTILINE)
_TARGET = re.compile(r"^([a-z]+):", re.MULTILINE)
_SETTINGS_BLOCK = "toml alir.toml"
_IN_VARIABLE = re.compile(r'\benv = "(\w+)"')
_IN_FILE = re.compile(r'\bfile = "[^"]+"')


def main(arguments: list[str]) -> None:
    """Print every fault and exit with 1 where there is one."""
    page = settings_page(DEFAULT_FILE.read_text("utf-8"))
    if "--write" in arguments:
        SETTINGS_PAGE.parent.mkdir(parents=True, exist_ok=True)
        SETTINGS_PAGE.write_text(page, "utf-8")
    found = [fault for path in pages() for fault in faults(path)]
    if not SETTINGS_PAGE.exists() or SETTINGS_PAGE.read_text("utf-8") != page:
        found.append(f"{SETTINGS_PAGE.relative_to(ROOT)}: is not up to date; run: make docs")
    if found:
        sys.exit("\n".join(found))
    print(f"docs: {len(pages())} pages, no faults")  # noqa: T201


def pages() -> list[Path]:
    """Every page that users read."""
    top = [path for name in ("README.md", "CHANGELOG.md") if (path := ROOT / name).exists()]
    return top + sorted((ROOT / "docs").rglob("*.md"))


def faults(page: Path) -> Iterator[str]:
    """What is wrong on one page, each with the page and its line."""
    text = page.read_text("utf-8")
    for at, what in (*_links(page, text), *_paths(text), *_commands(text), *_settings(text)):
        line = text.count("\n", 0, at) + 1
        yield f"{page.relative_to(ROOT)}:{line}: {what}"


Fault = tuple[int, str]  # where in the text, and what


def _links(page: Path, text: str) -> Iterator[Fault]:
    for link in _LINK.finditer(_without_code(text)):
        target = link[1] or link[2]
        if not _ELSEWHERE.match(target):
            yield from ((link.start(), what) for what in _broken(page, unquote(target)))


def _broken(page: Path, target: str) -> Iterator[str]:
    name, _, anchor = target.partition("#")
    path = (page.parent / name).resolve() if name else page
    if name.startswith("/") or not path.is_relative_to(ROOT):
        yield f"{target}: leads out of the project"
    elif not path.exists():
        yield f"{target}: is not there"
    elif anchor and path.suffix == ".md" and anchor not in anchors(path.read_text("utf-8")):
        yield f"{target}: has no such heading"


def anchors(text: str) -> set[str]:
    """What `#…` can name on a page: its headings as GitHub spells them, and explicit ids.

    >>> sorted(anchors("# `[log]`\\n## What's new?\\n## What's new?"))
    ['log', 'whats-new', 'whats-new-1']
    """
    found: set[str] = set(_ANCHOR.findall(text))
    for heading in _HEADING.findall(_without_fences(text)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        repeats = (f"{slug}-{number}" for number in range(1, 1000))
        found.add(next(name for name in (slug, *repeats) if name not in found))
    return found


def _paths(text: str) -> Iterator[Fault]:
    """Places on the machine of whoever wrote this."""
    theirs = {str(ROOT), str(Path.home()), tempfile.gettempdir(), "/home", "/Users"} - {"/"}
    for path in theirs:
        for found in re.finditer(rf"(?<![\w.~$}}]){re.escape(path)}(?=/|\b)", text):
            yield found.start(), f"{path}: is a path of one machine"


def _commands(text: str) -> Iterator[Fault]:
    targets = set(_TARGET.findall((ROOT / "Makefile").read_text("utf-8")))
    for code in (*_FENCE.finditer(text), *_INLINE_CODE.finditer(text)):
        for command in _MAKE.finditer(code[0]):
            if command[1] not in targets:
                yield code.start() + command.start(), f"make {command[1]}: no such target"


def _settings(text: str) -> Iterator[Fault]:
    for block in _FENCE.finditer(text):
        if block[2].strip() == _SETTINGS_BLOCK:
            for problem in _problems(block[3]):
                yield block.start(), problem


def _problems(toml: str) -> tuple[str, ...]:
    """Why these settings do not load, their secrets supposed to be there."""
    with tempfile.TemporaryDirectory() as folder:
        secret, config = Path(folder, "secret"), Path(folder, "alir.toml")
        secret.write_text("secret")
        config.write_text(_IN_FILE.sub(lambda _: f'file = "{secret}"', toml), "utf-8")
        try:
            load(config, dict.fromkeys(_IN_VARIABLE.findall(toml), "secret"))
        except SettingsInvalid as invalid:
            return tuple(problem.replace(f"{folder}/", "") for problem in invalid.problems)
    return ()


def _without_fences(text: str) -> str:
    """`text` with its code blocks blanked out, every other character in its place."""
    return _FENCE.sub(_blank, text)


def _without_code(text: str) -> str:
    return _INLINE_CODE.sub(_blank, _without_fences(text))


def _blank(code: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", code[0])


if __name__ == "__main__":
    main(sys.argv[1:])
