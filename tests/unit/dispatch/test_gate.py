"""The pace of each recipient stays inside WhatsApp's, and what stands still lets nothing through."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alir.dispatch.gate import BURST_SECONDS, SLACK_SECONDS, Gate, PairLimit
from alir.errors import PauseScope
from alir.ids import MessageId
from alir.simulator.limits import Pairs

META = PairLimit(6.0, burst=45, share=0.97)
INTERVAL = 6.0 / 0.97
PERSON, OTHER_PERSON = "+15551230001", "+15551230002"


def send(gate: Gate, now: float, person: str = PERSON) -> bool:
    """Send now if that may be; whether it was."""
    if gate.opens(person, None, now) > now or gate.waits(person, now):
        return False
    gate.take(person, None, now)
    return True


def test_a_burst_goes_at_once_and_is_paid_back() -> None:
    gate = Gate(META)
    assert [send(gate, 0.01 * i) for i in range(46)] == [True] * 45 + [False]

    paid_at = 45 * INTERVAL + SLACK_SECONDS
    assert not send(gate, paid_at - 0.01)
    assert send(gate, paid_at)


def test_one_message_is_paid_back_in_one_interval() -> None:
    gate = Gate(META)
    assert send(gate, 0)
    assert send(gate, BURST_SECONDS - 0.01), "still on credit"
    assert not send(gate, BURST_SECONDS)
    assert gate.opens(PERSON, None, 6) == pytest.approx(2 * INTERVAL + SLACK_SECONDS)


def test_nobody_waits_for_somebody_else() -> None:
    gate = Gate(META)
    for i in range(45):
        send(gate, 0.001 * i)

    assert not send(gate, 1)
    assert send(gate, 1, OTHER_PERSON)


def test_what_has_to_wait_is_spaced_and_goes_in_its_order() -> None:
    gate = Gate(META)
    for i in range(45):
        send(gate, 0.001 * i)
    places = [gate.place(PERSON, None, 1.0) for _ in range(3)]

    first = 45 * INTERVAL + SLACK_SECONDS
    assert places == pytest.approx([first, first + INTERVAL, first + 2 * INTERVAL])
    assert gate.waits(PERSON, first)
    assert not send(gate, first), "one that comes now goes behind those that wait"


def test_what_another_process_told_to_wait_is_behind_nobody_who_comes_now() -> None:
    gate = Gate(META)
    gate.remember(PERSON, placed_until=100.0)

    assert not send(gate, 0)
    assert gate.place(PERSON, None, 0) == pytest.approx(100 + INTERVAL)
    assert send(gate, 101 + INTERVAL)


def test_a_message_that_was_not_sent_is_not_paid_for() -> None:
    gate = Gate(META)
    assert send(gate, 0)
    gate.give_back(PERSON)

    assert gate.opens(PERSON, None, 7) <= 7


def test_without_a_limit_everything_goes() -> None:
    gate = Gate(PairLimit(0))

    assert all(send(gate, 0) for _ in range(1000))


@settings(max_examples=60, deadline=None)
@given(
    waits=st.lists(st.sampled_from([0.0, 0.001, 0.5, 3.0, 6.0, 6.5, 40.0]), min_size=50),
    lateness=st.lists(st.floats(0, 0.24), min_size=50, max_size=50),
)
def test_no_order_of_messages_goes_beyond_what_whatsapp_allows(
    waits: list[float], lateness: list[float]
) -> None:
    gate, whatsapp, now = Gate(META), Pairs(), 0.0
    arrivals = []
    for i, wait in enumerate(waits):
        now += wait
        if send(gate, now):
            arrivals.append(now + lateness[i % len(lateness)])
    for moment in sorted(arrivals):  # calls take unequally long to get there
        assert not whatsapp.is_full("pair", moment, seconds=6, burst=45)
        whatsapp.add("pair", moment, seconds=6)


def test_who_owes_nothing_any_more_is_forgotten() -> None:
    gate = Gate(META)
    for i in range(1000):
        send(gate, i * 0.001, f"+1555123{i:04}")
    for i in range(1000):
        send(gate, 100 + i * 0.001, f"+1555124{i:04}")

    assert len(gate._pairs) == 1000


# What stands still


def test_a_whole_pause_lets_nothing_through_until_its_moment_and_then_one() -> None:
    gate = Gate(META)
    assert gate.room(0) is None
    gate.shut(PauseScope.SENDER, "", 10.0)

    assert [gate.room(9.99), gate.room(10.0)] == [0, 1]
    gate.probe = MessageId("msg_1")
    assert gate.room(11.0) == 0, "one at a time"
    gate.probe = None
    gate.reopen(PauseScope.SENDER, "")
    assert gate.room(11.0) is None


def test_the_longest_of_several_pauses_counts() -> None:
    gate = Gate(META)
    gate.shut(PauseScope.SENDER, "", 10.0)
    gate.shut(PauseScope.OPERATOR, "", math.inf)

    assert gate.room(1e9) == 0
    gate.reopen(PauseScope.OPERATOR, "")
    assert gate.room(10.0) == 1


@pytest.mark.parametrize("scope", [PauseScope.RECIPIENT, PauseScope.FLOW])
def test_what_holds_a_recipient_or_a_flow_holds_nothing_else(scope: PauseScope) -> None:
    gate = Gate(META)
    key = PERSON if scope is PauseScope.RECIPIENT else "flow-1"
    gate.shut(scope, key, 10.0)

    assert gate.opens(PERSON, "flow-1", 0) == 10.0
    assert gate.opens(OTHER_PERSON, "flow-2", 0) <= 0
    assert gate.room(0) is None
    gate.reopen(scope, key)
    assert gate.opens(PERSON, "flow-1", 0) <= 0


def test_after_a_recipients_pause_one_message_goes_and_no_burst() -> None:
    gate = Gate(META)
    gate.shut(PauseScope.RECIPIENT, PERSON, 1.0)

    assert [send(gate, 1.0), send(gate, 1.1)] == [True, False]
    assert send(gate, 1.0 + INTERVAL + SLACK_SECONDS)
