"""The error codes that the simulator can give, read from the table `errors.tsv`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

#: The status of an error whose row has none.
DEFAULT_HTTP = 400


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One error of WhatsApp.

    Attributes:
        http: the status of an answer that carries it.
        by_receipt: whether it comes as a failed receipt, after the message was taken.
        title: a short text for people.
    """

    code: int
    http: int
    by_receipt: bool
    title: str


def parse_table(text: str) -> dict[int, ErrorCode]:
    """The rows of `text` by code; a range such as `200-299` gives one entry a code.

    >>> parse_table("code\\thttp\\twhere\\ttitle\\n7-8\\t-\\tW (mostly)\\tLate")[8]
    ErrorCode(code=8, http=400, by_receipt=True, title='Late')
    """
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    table: dict[int, ErrorCode] = {}
    for line in lines[1:]:
        codes, http, where, title = line.split("\t")
        first, _, last = codes.partition("-")
        row = ErrorCode(
            code=0,
            http=DEFAULT_HTTP if http == "-" else int(http),
            by_receipt=where.startswith("W"),
            title=title,
        )
        for code in range(int(first), int(last or first) + 1):
            table[code] = replace(row, code=code)
    return table


@cache
def route_mobile_codes() -> Mapping[int, ErrorCode]:
    """WhatsApp's codes, and those of Route Mobile's own."""
    own = files("alir.simulator.routemobile").joinpath("errors.tsv").read_text("utf-8")
    return {**error_codes(), **parse_table(own)}


def title(code: int) -> str:
    """What an error is called, whoever gives it."""
    return route_mobile_codes()[code].title


@cache
def error_codes() -> Mapping[int, ErrorCode]:
    """The table that ships with alir."""
    return parse_table(files("alir.simulator").joinpath("errors.tsv").read_text("utf-8"))
