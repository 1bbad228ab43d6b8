from __future__ import annotations

import pytest

from alir.simulator.behaviour import Behaviour, Comes
from alir.simulator.codes import error_codes
from alir.simulator.magic import Fate, destiny


def fate(code: int, kind: str = "interactive", behaviour: Behaviour | None = None) -> Fate:
    return destiny(f"15550{code:06}", kind, behaviour or Behaviour()).fate


def test_every_code_of_the_table_has_a_number_that_gives_it() -> None:
    for code, row in error_codes().items():
        its = destiny(f"15550{code:06}", "interactive", Behaviour())
        assert its.error == row
        assert its.fate is (Fate.FAILS_LATER if row.by_receipt else Fate.REFUSED)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (408, Fate.NO_ANSWER),
        (409, Fate.HANGS_UP),
        (429, Fate.TOO_MANY),
        (502, Fate.GATEWAY_ERROR),
        (404, Fate.TAKEN),
        (131027, Fate.TAKEN),
        (999999, Fate.TAKEN),
    ],
)
def test_numbers_outside_the_table_are_network_trouble_or_ordinary_phones(
    code: int, expected: Fate
) -> None:
    assert fate(code) is expected


@pytest.mark.parametrize("wa_id", ["1555131026", "155501310260", "25550131026", "15551131026"])
def test_other_numbers_are_ordinary_phones(wa_id: str) -> None:
    assert destiny(wa_id, "interactive", Behaviour()).fate is Fate.TAKEN


def test_a_shut_window_refuses_interactive_messages_and_takes_templates() -> None:
    assert fate(131047) is Fate.FAILS_LATER
    assert fate(131047, "template") is Fate.TAKEN
    assert fate(131026, "template") is Fate.FAILS_LATER


def test_how_a_code_comes_can_be_changed() -> None:
    behaviour = Behaviour(codes={"131056": Comes.BY_RECEIPT, "131026": Comes.AT_ONCE})

    assert fate(131056, behaviour=behaviour) is Fate.FAILS_LATER
    assert fate(131026, behaviour=behaviour) is Fate.REFUSED


def test_a_user_id_that_ends_in_a_magic_number_is_magic_too() -> None:
    assert destiny("US.15550131062", "interactive", Behaviour()).fate is Fate.REFUSED
    assert destiny("US.ENT.15550131026", "interactive", Behaviour()).fate is Fate.FAILS_LATER
    assert destiny("US.1349", "interactive", Behaviour()).fate is Fate.TAKEN
