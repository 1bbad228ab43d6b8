from __future__ import annotations

import pytest

from alir.simulator.behaviour import Behaviour
from alir.simulator.gate import Gate, Line
from alir.simulator.magic import Fate

LINE = Line("cloud", "1", "15551230001")
OTHER_PERSON = LINE._replace(phone="15551230002")
OTHER_SENDER = LINE._replace(sender="2")
TWO_A_SECOND = Behaviour.model_validate_json('{"limits": {"messages_per_second": 2}}')
PAIRS = Behaviour.model_validate_json('{"limits": {"pair_seconds": 6, "pair_burst": 2}}')
WINDOW = Behaviour(window=True)
DAY = 24 * 60 * 60.0


def codes(
    gate: Gate, behaviour: Behaviour, *arrivals: tuple[float, Line], kind: str = "interactive"
) -> list[int | None]:
    found = []
    for now, line in arrivals:
        error = gate.pass_on(line, kind, now, behaviour).error
        found.append(error.code if error else None)
    return found


def test_without_limits_everything_passes() -> None:
    assert set(codes(Gate(), Behaviour(), *[(0.0, LINE)] * 200)) == {None}


def test_a_sender_above_its_throughput_gets_130429_whoever_the_messages_are_for() -> None:
    arrivals = [(0.0, LINE), (0.5, OTHER_PERSON), (0.9, LINE), (0.9, OTHER_SENDER), (1.0, LINE)]

    assert codes(Gate(), TWO_A_SECOND, *arrivals) == [None, None, 130429, None, None]


def test_what_persons_write_counts_for_the_throughput() -> None:
    gate = Gate()
    gate.wrote(OTHER_PERSON, 0.0, TWO_A_SECOND)
    gate.wrote(OTHER_PERSON, 0.0, TWO_A_SECOND)

    assert codes(gate, TWO_A_SECOND, (0.9, LINE), (1.0, LINE)) == [130429, None]


def test_a_pair_above_its_burst_gets_131056_and_no_other_pair_does() -> None:
    arrivals = [(0.0, LINE), (1.0, LINE), (2.0, LINE), (2.0, OTHER_PERSON), (2.0, OTHER_SENDER)]

    assert codes(Gate(), PAIRS, *arrivals) == [None, None, 131056, None, None]


def test_a_message_that_its_number_lets_fail_at_once_counts_for_nothing() -> None:
    magic = LINE._replace(phone="15550131009")
    arrivals = [(0.0, magic)] * 5 + [(0.0, LINE)] * 3

    assert codes(Gate(), TWO_A_SECOND, *arrivals) == [131009] * 5 + [None, None, 130429]


def test_how_a_limit_is_told_can_be_changed() -> None:
    behaviour = Behaviour.model_validate_json(
        '{"limits": {"messages_per_second": 1}, "codes": {"130429": "by_receipt"}}'
    )
    gate = Gate()

    fates = [gate.pass_on(LINE, "interactive", 0.0, behaviour).fate for _ in range(2)]

    assert fates == [Fate.TAKEN, Fate.FAILS_LATER]


@pytest.mark.parametrize(("wrote", "error"), [(None, 131047), (0.0, 131047), (0.001, None)])
def test_an_interactive_message_needs_that_the_person_wrote_within_a_day(
    wrote: float | None, error: int | None
) -> None:
    gate = Gate()
    if wrote is not None:
        gate.wrote(LINE, wrote, WINDOW)

    assert codes(gate, WINDOW, (DAY, LINE)) == [error]
    assert codes(gate, WINDOW, (DAY, OTHER_SENDER)) == [131047]
    assert codes(gate, WINDOW, (DAY, OTHER_SENDER), kind="template") == [None]
    assert codes(gate, Behaviour(), (DAY, OTHER_SENDER)) == [None]


def test_a_shut_window_is_told_by_receipt_unless_codes_say_otherwise() -> None:
    at_once = Behaviour.model_validate_json('{"window": true, "codes": {"131047": "at_once"}}')

    assert Gate().pass_on(LINE, "interactive", 0.0, WINDOW).fate is Fate.FAILS_LATER
    assert Gate().pass_on(LINE, "interactive", 0.0, at_once).fate is Fate.REFUSED


def test_what_is_forgotten_is_owed_no_more() -> None:
    gate = Gate()
    codes(gate, PAIRS, (0.0, LINE), (0.0, LINE))
    gate.forget()

    assert codes(gate, PAIRS, (0.0, LINE)) == [None]
