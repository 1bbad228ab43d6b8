"""The how-to's table of the numbers that make alir pause agrees with the table of codes."""

from __future__ import annotations

import re

import pytest
from tests.docs.blocks import ROOT

from alir.providers.whatsapp.codes import meaning_of, meanings
from alir.simulator.behaviour import Behaviour
from alir.simulator.magic import Fate, destiny

PAGE = ROOT / "docs/how-to/test-against-the-simulator.md"
ROW = re.compile(r"^\| ((?:`\d{6}`(?:, )?)+) \| (?:the|this) (\w+)", re.MULTILINE)
ROWS = [
    (code, scope)
    for codes, scope in ROW.findall(PAGE.read_text("utf-8"))
    for code in re.findall(r"\d{6}", codes)
]


@pytest.mark.parametrize(("code", "scope"), ROWS)
def test_a_magic_number_pauses_what_its_row_says(code: str, scope: str) -> None:
    meaning = meaning_of(int(code), http_status=int(code), table=meanings())  # 429 is a status
    assert meaning.concern.name == scope.upper()
    its = destiny(f"15550{code}", "interactive", Behaviour())
    assert its.fate in (Fate.REFUSED, Fate.TOO_MANY)


def test_the_table_of_pauses_is_found() -> None:
    assert ("000190", "account") in ROWS
