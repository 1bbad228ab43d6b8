"""What error codes mean: WhatsApp's table in `codes.tsv`, and other tables of the same form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

Table = Mapping[int, "Meaning"]  #: by code

_TABLE: Final = "codes.tsv"
_COLUMNS: Final = 6
_TOO_MANY_REQUESTS: Final = 429
_SERVER_ERROR: Final = 500


class Concern(StrEnum):
    """The class of an error: what it means for the message, and what has to wait."""

    REFUSED = "refused"  #: this message, for good
    WINDOW = "window"  #: refused: the 24-hour window is shut, and only a template may go out
    RETRY = "retry"  #: this message, for a while
    RECIPIENT = "recipient"  #: every message of this sender to this recipient
    FLOW = "flow"  #: every message of this sender with this Flow
    SENDER = "sender"  #: every message of this number
    ACCOUNT = "account"  #: every message of every sender of this account

    @property
    def is_busy(self) -> bool:
        """Whether the message may be taken later."""
        return self not in (Concern.REFUSED, Concern.WINDOW)

    @property
    def pauses(self) -> bool:
        """Whether more than the message itself has to wait."""
        return self.is_busy and self is not Concern.RETRY


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code means, and what follows from it.

    Attributes:
        first_wait, longest_wait: of the pause, where the class makes one. None with a Flow: until
            an operator resumes it.
        tries: so many answers with this code, and the message counts as refused; None: no limit.
        title: what happened, in a few words without a full stop.
        advice: what the operator or the caller should do, in a sentence or two.
    """

    code: int
    concern: Concern
    title: str
    advice: str
    first_wait: timedelta | None = None
    longest_wait: timedelta | None = None
    tries: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """How an operator wants a code treated; what is None is left to the table or the class."""

    concern: Concern
    first_wait: timedelta | None = None
    longest_wait: timedelta | None = None
    tries: int | None = None


#: The pauses of a code that an operator has given its class, and no waits.
_USUAL_WAITS: Final[Mapping[Concern, tuple[timedelta, timedelta]]] = {
    Concern.RECIPIENT: (timedelta(seconds=1), timedelta(seconds=256)),
    Concern.FLOW: (timedelta(seconds=60), timedelta(hours=1)),
    Concern.SENDER: (timedelta(seconds=1), timedelta(seconds=30)),
    Concern.ACCOUNT: (timedelta(seconds=60), timedelta(minutes=15)),
}
_NO_WAITS: Final = (None, None)


@cache
def meanings(provider: str | None = None) -> Table:
    """Code to meaning, for every code that is known.

    Args:
        provider: the package of a provider with a table of its own codes, such as
            `alir.providers.routemobile`. Where it has one of WhatsApp's, WhatsApp's word counts.
    """
    whatsapp = read_table(__package__)
    return whatsapp if provider is None else MappingProxyType(read_table(provider) | whatsapp)


def read_table(package: str, name: str = _TABLE) -> dict[int, Meaning]:
    """The table that ships in a package, by code."""
    return {
        code: replace(meaning, code=code)
        for codes, meaning in read_rows(package, name)
        for code in codes
    }


def read_rows(package: str, name: str = _TABLE) -> list[tuple[range, Meaning]]:
    """The same, row by row: the codes that a row stands for, and what the first of them means."""
    lines = files(package).joinpath(name).read_text(encoding="utf-8").splitlines()
    return [_row(line) for line in lines if line and not line.startswith("#")]


def meaning_of(
    code: int, *, http_status: int | None = None, is_transient: bool = False, table: Table
) -> Meaning:
    """What a code means, also where the table does not have it.

    Args:
        http_status: of the answer; None for a receipt.
        is_transient: the provider said so.
    """
    known = table.get(code)
    if known is not None:
        return known
    status = http_status or 0
    if is_transient or status >= _SERVER_ERROR:
        return _unknown(code, Concern.RETRY)
    if status == _TOO_MANY_REQUESTS:
        return _unknown(code, Concern.SENDER)
    return _unknown(code, Concern.REFUSED)


def changed(table: Table, changes: Mapping[int, Change]) -> dict[int, Meaning]:
    """A new table, in which the codes of `changes` are treated as those say.

    Codes that the table does not have get a row. Waits and tries that a change leaves out stay as
    they were where the class stays; with another class they are that class's usual ones.
    """
    return {**table, **{code: _change(code, table.get(code), to) for code, to in changes.items()}}


def _change(code: int, known: Meaning | None, to: Change) -> Meaning:
    was = known or _unknown(code, to.concern)
    stays = was.concern is to.concern
    usual = (was.first_wait, was.longest_wait) if stays else _waits_of(to.concern)
    first = to.first_wait or usual[0] or to.longest_wait
    longest = to.longest_wait or usual[1] or to.first_wait
    if first is not None and longest is not None and first > longest:
        # One of them was given, and passes the other: the given one counts.
        first, longest = (longest, longest) if to.first_wait is None else (first, first)
    return replace(
        was,
        concern=to.concern,
        first_wait=first,
        longest_wait=longest,
        tries=to.tries or (was.tries if stays else None),
    )


def _waits_of(concern: Concern) -> tuple[timedelta | None, timedelta | None]:
    return _USUAL_WAITS.get(concern, _NO_WAITS)


def _unknown(code: int, concern: Concern) -> Meaning:
    first, longest = _waits_of(concern)
    return Meaning(
        code=code,
        concern=concern,
        title="An error that alir does not know",
        advice="Look the code up in the provider's documents. The setting `errors` can say what "
        "alir is to do about it.",
        first_wait=first,
        longest_wait=longest,
    )


def _row(line: str) -> tuple[range, Meaning]:
    cells = line.split("\t")
    if len(cells) != _COLUMNS:
        raise ValueError(f"not {_COLUMNS} columns: {line}")
    codes, concern, wait, tries, title, advice = cells
    first_code, _, last_code = codes.partition("-")
    first, longest = _waits(wait)
    meaning = Meaning(
        code=int(first_code),
        concern=Concern(concern),
        title=title,
        advice=advice,
        first_wait=first,
        longest_wait=longest,
        tries=None if tries == "-" else int(tries),
    )
    return range(meaning.code, int(last_code or first_code) + 1), meaning


def _waits(cell: str) -> tuple[timedelta | None, timedelta | None]:
    if cell == "-":
        return _NO_WAITS
    first, longest = cell.split("-")
    return timedelta(seconds=int(first)), timedelta(seconds=int(longest))
