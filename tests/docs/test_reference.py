"""What the reference says is what the code does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs.check import faults, outdated, pages
from pydantic import BaseModel
from tests.docs.blocks import ROOT

from alir.api.queries import ListQuery
from alir.errors import RequestInvalid
from alir.messages.model import Flag, Outcome, ReceiptStatus, Status
from alir.messages.phone import read_number
from alir.messages.request import MessageRequest
from alir.observe import Metrics
from alir.simulator.behaviour import Behaviour
from alir.simulator.codes import error_codes
from alir.simulator.magic import NETWORK_FATES

REFERENCE = ROOT / "docs" / "reference"
HOW_TO = ROOT / "docs" / "how-to"

_CELL = re.compile(r"`([^`]+)`")


def text(page: Path) -> str:
    return page.read_text("utf-8")


def section(page: Path, heading: str) -> str:
    """The page from a heading to the next one of its level or above."""
    level = len(heading) - len(heading.lstrip("#"))
    found = re.split(rf"^#{{1,{level}}} ", text(page).partition(f"\n{heading}\n")[2], flags=re.M)
    assert found[0], f"{page} has no {heading}"
    return found[0]


def rows(markdown: str) -> Iterator[list[str]]:
    """The cells of every row of its tables, their heads too."""
    for line in markdown.splitlines():
        if line.startswith("| "):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]


def codes(markdown: str, column: int = 0) -> set[str]:
    """What stands as code in one column of its tables."""
    return {code for row in rows(markdown) for code in _CELL.findall(row[column])}


def test_the_pages_have_no_faults() -> None:
    assert [fault for page in pages() for fault in faults(page)] == []


def test_the_generated_pages_are_up_to_date() -> None:
    assert outdated() == []


def fields(model: type[BaseModel], before: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        path = f"{before}{field.alias or name}"
        below = [each for each in _classes(field.annotation) if issubclass(each, BaseModel)]
        # Of an object that must be there, the fields say all that there is to say.
        if not below or not field.is_required():
            yield path
        for each in below:
            yield from fields(each, f"{path}.")


def _classes(annotation: object) -> list[type]:
    kinds = getattr(annotation, "__args__", (annotation,))
    return [kind for kind in kinds if isinstance(kind, type)]


def test_every_field_of_a_message_is_in_the_reference_and_no_other() -> None:
    documented = codes(section(REFERENCE / "http-api.md", "## POST /messages").split("###")[0])

    # A fallback is such an object as a template, and the headers are alike.
    told_elsewhere = ("fallback.", "template.header.")
    assert documented == {f for f in fields(MessageRequest) if not f.startswith(told_elsewhere)}


def test_every_parameter_of_the_list_is_in_the_reference_and_no_other() -> None:
    documented = codes(section(REFERENCE / "http-api.md", "## GET /messages"))

    assert documented == {f.alias or name for name, f in ListQuery.model_fields.items()}


def reading(number: str) -> list[str]:
    """What becomes of a number: the form that is sent and warnings, or the rule that it breaks."""
    try:
        read = read_number(number)
    except RequestInvalid as invalid:
        return [fault.code for fault in invalid.faults]
    return [read.e164, *(warning.code for warning in read.warnings)]


def test_numbers_are_read_as_the_reference_says() -> None:
    stated = {
        example: _CELL.findall(read)
        for written, read in rows(section(REFERENCE / "http-api.md", "### Numbers"))
        for example in _CELL.findall(written)
        if "…" not in example
    }

    assert len(stated) >= 9
    assert {number: reading(number) for number in stated} == stated


def test_every_state_outcome_and_flag_is_explained_and_no_other() -> None:
    page = REFERENCE / "message-states.md"
    flags = {value for name, value in vars(Flag).items() if name.isupper()}

    attempts = section(page, "## Attempts and receipts")
    assert codes(text(page).partition("##")[0]) - {"status"} == set(Status)
    assert codes(attempts) - {"outcome"} == set(Outcome)
    assert codes(section(page, "## Flags")) == flags


def test_the_simulators_behaviour_is_explained_with_its_defaults() -> None:
    explained = section(REFERENCE / "simulator.md", "## Behaviour")

    assert codes(explained) == set(Behaviour.model_fields)
    delays = Behaviour().delays_ms
    shown = ", ".join(f'"{s}": {getattr(delays, s):g}' for s in ReceiptStatus)
    assert f"{{{shown}}}" in explained


def test_the_codes_that_come_by_receipt_are_listed() -> None:
    explained = section(REFERENCE / "simulator.md", "## Magic recipients")
    listed = {int(code) for code in re.findall(r"`([0-9]{6})`", explained)}
    fates = {int(code) for code in re.findall(r"^\| `\+1 5550 ([0-9]{6})`", explained, re.M)}

    assert listed == {code for code, row in error_codes().items() if row.by_receipt}
    assert fates == set(NETWORK_FATES)


def test_every_metric_is_explained_and_no_other() -> None:
    rendered = re.findall(r"^# TYPE (alir_\w+)", Metrics().render().decode(), re.M)
    explained = {name for name in codes(text(HOW_TO / "watch-it.md")) if name.startswith("alir_")}

    assert explained == set(rendered)


def test_every_log_event_that_is_explained_is_there() -> None:
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    logged = set(re.findall(r"\.(?:info|warning|error)\(\s*\"(\w+)\"", sources))

    assert codes(section(HOW_TO / "watch-it.md", "## The log")) <= logged


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=str)
def test_a_decision_has_a_number_and_says_what_else_was_weighed(page: Path) -> None:
    number = int(page.name[:4])

    assert text(page).startswith(f"# {number}. ")
    assert "\n## What was decided\n" in text(page)
    assert "\n## What was weighed\n" in text(page)
