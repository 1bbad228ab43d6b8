"""What the pages say holds: `python -m docs.check`; with `--write` it makes generated pages anew.

Checked in the pages at the top and everything under docs/: relative links and their anchors, no
path of anybody's machine, `make` commands that exist, settings that load (blocks that begin with
"```toml alir.toml"), JSON that is JSON ("```json …"), and requests that break no rule
("```json request"). Commands ("```bash") are run by tests/docs.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from alir.errors import RequestInvalid, SettingsInvalid
from alir.messages.check import check
from alir.settings import DEFAULT_FILE, load
from docs.commands_page import commands_page
from docs.errors_page import errors_page
from docs.problems_page import problems_page
from docs.settings_page import settings_page

ROOT = Path(__file__).resolve().parent.parent
TOP: Final = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
#: Pages of docs/reference that are made from the code, and what makes them.
GENERATED: Final[Mapping[str, Callable[[], str]]] = {
    "settings.md": lambda: settings_page(DEFAULT_FILE.read_text("utf-8")),
    "command-line.md": commands_page,
    "problems-and-warnings.md": problems_page,
    "whatsapp-errors.md": errors_page,
}

_FENCE = re.compile(r"^(```+|~~~+)(.*?)\n(.*?)^\1[ \t]*$", re.MULTILINE | re.DOTALL)
_INLINE_CODE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:[ \t]*(\S+)", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
_ANCHOR = re.compile(r"""<[^>]+\b(?:id|name)=["']([^"']+)["']""")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_MAKE = re.compile(r"(?:^|[`;&|(])[ \t]*(?:\w+=\S* +)*make +([a-z]+)\b", re.MULTILINE)
_TARGET = re.compile(r"^([a-z]+):", re.MULTILINE)
_SETTINGS_BLOCK = "toml alir.toml"
_REQUEST_BLOCK = "json request"
_IN_VARIABLE = re.compile(r'\benv = "(\w+)"')
#: Long enough for any provider.
_SOME_SECRET = "secret-" * 8
_IN_FILE = re.compile(r'\bfile = "[^"]+"')


def main(arguments: list[str]) -> None:
    """Print every fault and exit with 1 where there is one."""
    if "--write" in arguments:
        for path, page in generated():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(page, "utf-8")
    found = [fault for path in pages() for fault in faults(path)]
    if found := [*found, *outdated()]:
        sys.exit("\n".join(found))
    print(f"docs: {len(pages())} pages, no faults")  # noqa: T201


def generated() -> Iterator[tuple[Path, str]]:
    """Every page that is made from the code: where it stands, and what must stand there."""
    for name, make in GENERATED.items():
        yield ROOT / "docs" / "reference" / name, make()


def outdated() -> list[str]:
    """The generated pages that do not say what the code does."""
    return [
        f"{path.relative_to(ROOT)}: is not up to date; run: make docs"
        for path, page in generated()
        if not path.exists() or path.read_text("utf-8") != page
    ]


def pages() -> list[Path]:
    """Every page that users read."""
    top = [path for name in TOP if (path := ROOT / name).exists()]
    return top + sorted((ROOT / "docs").rglob("*.md"))


def faults(page: Path) -> Iterator[str]:
    """What is wrong on one page, each with the page and its line."""
    text = page.read_text("utf-8")
    checks = (_links(page, text), _paths(text), _commands(text), _settings(text), _json(text))
    for at, what in (fault for found in checks for fault in found):
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


def _json(text: str) -> Iterator[Fault]:
    for block in _FENCE.finditer(text):
        kind = block[2].strip()
        if not kind.startswith("json"):
            continue
        try:
            data = json.loads(block[3])
            if kind == _REQUEST_BLOCK:
                check(data)
        except ValueError as error:
            yield block.start(), f"is not JSON: {error}"
        except RequestInvalid as invalid:
            for fault in invalid.faults:
                yield block.start(), f"{fault.pointer}: {fault.detail}"


def _problems(toml: str) -> tuple[str, ...]:
    """Why these settings do not load, their secrets supposed to be there."""
    with tempfile.TemporaryDirectory() as folder:
        secret, config = Path(folder, "secret"), Path(folder, "alir.toml")
        secret.write_text(_SOME_SECRET)
        config.write_text(_IN_FILE.sub(lambda _: f'file = "{secret}"', toml), "utf-8")
        try:
            load(config, dict.fromkeys(_IN_VARIABLE.findall(toml), _SOME_SECRET))
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
