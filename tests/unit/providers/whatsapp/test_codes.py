"""The table of error codes."""

from __future__ import annotations

import pytest

from alir.providers.whatsapp.codes import Concern, meanings
from alir.simulator.codes import error_codes

#: Codes of calls and of blocking people: no answer to a message has them.
_NOT_OF_MESSAGES = (range(138000, 139000), range(139100, 139104))


def test_every_code_of_a_message_that_the_simulator_can_give_has_a_meaning() -> None:
    unknown = error_codes().keys() - meanings().keys()

    assert {c for c in unknown if not any(c in codes for codes in _NOT_OF_MESSAGES)} == set()


def test_titles_are_short_and_say_something() -> None:
    for code, meaning in meanings().items():
        assert 10 <= len(meaning.title) <= 80, code
        assert meaning.title == meaning.title.strip()
        assert not meaning.title.endswith("."), code


@pytest.mark.parametrize(
    ("code", "concern"),
    [
        (131026, Concern.REFUSED),
        (131047, Concern.REFUSED),
        (100, Concern.REFUSED),
        (131016, Concern.RETRY),
        (2, Concern.RETRY),
        (131056, Concern.PAIR),
        (132069, Concern.FLOW),
        (130429, Concern.SENDER),
        (190, Concern.ACCOUNT),
        (200, Concern.ACCOUNT),
        (250, Concern.ACCOUNT),
        (299, Concern.ACCOUNT),
        (368, Concern.ACCOUNT),
    ],
)
def test_a_code_says_whom_it_concerns(code: int, concern: Concern) -> None:
    assert meanings()[code].concern is concern


def test_codes_that_nobody_documented_have_none() -> None:
    assert not {-1, 5, 300, 131027, 999999} & meanings().keys()
