"""The code blocks of a page, and what they mean (see CONTRIBUTING.md, "Documents")."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

COMMAND = "bash"
SHOWN = "sh"
ANSWERS = ("json answer", "text answer")

_BLOCK = re.compile(r"^```(.*)\n((?:.*\n)*?)```$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A code block.

    Attributes:
        kind: what stands behind its fence.
        line: of its fence, from 1.
    """

    kind: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """All of them, in the order of the page."""
    text = page.read_text("utf-8")
    return [
        Block(found[1].strip(), found[2], text.count("\n", 0, found.start()) + 1)
        for found in _BLOCK.finditer(text)
    ]


def pages_with_commands() -> list[Path]:
    """README, tutorial and how-to pages in which something is run."""
    candidates = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in candidates if any(b.kind == COMMAND for b in blocks(page))]
