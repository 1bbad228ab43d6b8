"""What WhatsApp's error codes mean: the table in `codes.tsv`, read once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files


class Concern(StrEnum):
    """Whom an error concerns, and so what has to wait."""

    REFUSED = "refused"  #: this message, for good
    RETRY = "retry"  #: this message, for a while
    PAIR = "pair"  #: this sender and this recipient
    FLOW = "flow"  #: every message of this Flow
    SENDER = "sender"  #: every message of this number
    ACCOUNT = "account"  #: every message of this account


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code means."""

    concern: Concern
    title: str


@cache
def meanings() -> dict[int, Meaning]:
    """Code to meaning, for every code that is known."""
    table: dict[int, Meaning] = {}
    text = files(__package__).joinpath("codes.tsv").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        codes, concern, title = line.split("\t")
        first, _, last = codes.partition("-")
        for code in range(int(first), int(last or first) + 1):
            table[code] = Meaning(Concern(concern), title)
    return table
