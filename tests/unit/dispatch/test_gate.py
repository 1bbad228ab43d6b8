"""Each recipient's pace stays inside WhatsApp's, and what stands still lets nothing through."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alir.dispatch.gate import (
    BURST_SECONDS,
    LATE_SECONDS,
    SLACK_SECONDS,
    Gate,
    PairLimit,
    Turn,
)
from alir.dispatch.places import Places, place
from alir.errors import PauseScope
from alir.ids import MessageId
from alir.simulator.limits import Pairs

META = PairLimit(6.0, burst=45, share=0.97)
INTERVAL = 6.0 / 0.97
PERSON, OTHER_PERSON = "+15551230001", "+15551230002"
RECIPIENT = place(PauseScope.RECIPIENT, PERSON)
FLOW = place(PauseScope.FLOW, "1")


def places(person: str = PERSON, flow: str = "1") -> Places:
    return Places(place(PauseScope.RECIPIENT, person), place(PauseScope.FLOW, flow))


def send(gate: Gate, now: float, person: str = PERSON, flow: str = "1") -> bool:
    """Send now if that may be; whether it was."""
    if gate.blocked(places(person, flow), now) is not None:
        return False
    gate.take(places(person, flow), now)
    return True


def go_on(gate: Gate, now: float) -> list[str]:
    """Let go whoever's turn it is; at which places that was."""
    turns = gate.turns(now, limit=100)
    for turn in turns:
        person = turn.place.removeprefix("recipient ")
        gate.take(places(person), now)
        gate.served(turn, now, gone=1, is_empty=False)
    return [turn.place for turn in turns]


def assert_two_are_owed(gate: Gate) -> None:
    """For what was sent since 0, in a burst that is over."""
    assert not send(gate, BURST_SECONDS + 1)
    assert not send(gate, 2 * INTERVAL)
    assert send(gate, 2 * INTERVAL + SLACK_SECONDS)


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
    assert send(gate, 2 * INTERVAL + SLACK_SECONDS)


def test_race_of_the_end_of_a_burst_and_a_message_that_was_let_go_just_before_it() -> None:
    gate = Gate(META)
    assert send(gate, 0)
    assert gate.blocked(places(), BURST_SECONDS - 0.001) is None
    gate.take(places(), BURST_SECONDS + 0.001)

    assert_two_are_owed(gate)


def test_the_last_of_a_burst_counts_in_it_by_another_process_moments_too() -> None:
    gate = Gate(META)
    gate.recall(RECIPIENT, 0)
    gate.recall(RECIPIENT, BURST_SECONDS)  # 4.9996 where it was let go

    assert_two_are_owed(gate)


def test_who_had_paid_owes_one_by_another_process_moments_too() -> None:
    gate = Gate(META)
    gate.recall(RECIPIENT, 0)
    gate.recall(RECIPIENT, INTERVAL + SLACK_SECONDS - 0.001)

    assert send(gate, INTERVAL + 1), "a new burst"


def test_what_leaves_late_is_owed_from_then_and_forgotten_in_the_end() -> None:
    gate = Gate(META)
    assert send(gate, 0)
    assert gate.leave_late(RECIPIENT, 4, let_go_at=0)

    assert not send(gate, 4 + INTERVAL)
    gate.take(places(OTHER_PERSON), 4 + INTERVAL)
    gate.take(places(OTHER_PERSON), 1000)
    gate.take(places(OTHER_PERSON), 2000)
    assert gate.blocked(places(), 2000) is None
    assert RECIPIENT not in gate._pairs


def test_the_second_of_a_burst_that_leaves_late_makes_nothing_later() -> None:
    gate = Gate(META)
    assert send(gate, 0)
    assert send(gate, 1)
    assert gate.leave_late(RECIPIENT, 2, let_go_at=1)

    assert send(gate, BURST_SECONDS - 0.01)
    assert send(gate, 3 * INTERVAL + SLACK_SECONDS)


def test_one_may_not_leave_once_the_burst_is_over_that_it_was_let_go_in() -> None:
    gate = Gate(META)
    assert send(gate, 0)
    assert send(gate, 3)
    assert not gate.leave_late(RECIPIENT, BURST_SECONDS, let_go_at=3)

    assert not send(gate, INTERVAL)
    assert send(gate, INTERVAL + SLACK_SECONDS), "and is not counted"


def test_one_that_leaves_when_all_is_paid_opens_a_burst_then() -> None:
    gate = Gate(PairLimit(1))
    assert send(gate, 0)
    send(gate, 2, OTHER_PERSON)  # clears up
    assert gate.leave_late(RECIPIENT, 3, let_go_at=0)

    assert gate._pairs[RECIPIENT].opened_at == 3


def test_one_that_leaves_when_another_opened_a_burst_since_is_one_more_in_it() -> None:
    gate = Gate(PairLimit(1))
    assert send(gate, 0)
    assert send(gate, BURST_SECONDS)
    assert gate.leave_late(RECIPIENT, BURST_SECONDS + 1, let_go_at=0)

    assert gate._pairs[RECIPIENT].sent == 2


def test_who_waits_behind_one_that_may_not_leave_goes_as_early_as_if_it_had_not_been() -> None:
    gate = Gate(META)
    assert send(gate, 0)
    assert send(gate, 4.9)
    gate.park(RECIPIENT)
    assert not gate.leave_late(RECIPIENT, BURST_SECONDS + 0.3, let_go_at=4.9)
    assert go_on(gate, BURST_SECONDS + 0.3) == []

    assert gate.next_turn == pytest.approx(INTERVAL + SLACK_SECONDS)


def test_one_that_was_not_sent_leaves_a_later_burst_alone() -> None:
    gate = Gate(META)
    assert send(gate, 0)
    assert send(gate, 6.5)
    assert send(gate, 6.6)
    gate.give_back(places(), 7, let_go_at=0)

    assert not send(gate, 6.5 + INTERVAL + SLACK_SECONDS + 0.1), "two are owed"


def test_nobody_waits_for_somebody_else() -> None:
    gate = Gate(META)
    for i in range(45):
        send(gate, 0.001 * i)

    assert not send(gate, 1)
    assert send(gate, 1, OTHER_PERSON)


def test_of_those_that_wait_one_goes_each_interval_and_nobody_passes_them() -> None:
    gate = Gate(META)
    for i in range(45):
        send(gate, 0.001 * i)
    gate.park(RECIPIENT, 3)
    first = 45 * INTERVAL + SLACK_SECONDS
    assert gate.next_turn == pytest.approx(first)
    moments = []
    for step in range(4000):
        now = step * 0.1
        assert not send(gate, now), "one that comes now goes behind those that wait"
        moments += [now] * len(go_on(gate, now))

    gaps = [after - before for before, after in pairwise(moments)]
    assert moments[0] == pytest.approx(first, abs=0.1)
    assert all(INTERVAL <= gap < INTERVAL + 0.5 for gap in gaps)


def test_once_nobody_waits_any_more_the_next_one_goes_at_once() -> None:
    gate = Gate(META)
    gate.park(RECIPIENT)
    [turn] = gate.turns(0, limit=10)
    gate.take(places(), 0)
    gate.served(turn, 0, gone=1, is_empty=False)
    assert gate.blocked(places(), 100) == RECIPIENT
    [turn] = gate.turns(100, limit=10)
    gate.served(turn, 100, gone=0, is_empty=True)

    assert gate.blocked(places(), 100) is None


def test_who_parks_while_a_turn_is_under_way_is_not_forgotten() -> None:
    gate = Gate(META)
    gate.park(RECIPIENT)
    [turn] = gate.turns(0, limit=10)
    gate.park(RECIPIENT)  # stored after the store had looked who waits
    gate.served(turn, 0, gone=0, is_empty=True)

    assert gate.knows(RECIPIENT)
    assert [one.place for one in gate.turns(0, limit=10)] == [RECIPIENT]


def test_the_head_of_a_place_may_go_where_others_still_wait_behind_it() -> None:
    gate = Gate(META)
    gate.park(RECIPIENT, 2)

    assert gate.blocked(places(), 0) == RECIPIENT
    assert gate.blocked(places(), 0, head_of=RECIPIENT) is None


def test_a_message_that_was_not_sent_is_not_paid_for() -> None:
    gate = Gate(META)
    assert send(gate, 0)
    gate.give_back(places(), 0.1, let_go_at=0)

    assert send(gate, 6)


def test_where_the_first_of_a_burst_was_not_sent_it_is_owed_from_the_next() -> None:
    gate = Gate(META)
    assert send(gate, 0)
    assert send(gate, 3)
    gate.give_back(places(), 3.1, let_go_at=0)

    assert send(gate, BURST_SECONDS - 0.01)
    assert not send(gate, 3 + 2 * INTERVAL)
    assert send(gate, 3.1 + 2 * INTERVAL + SLACK_SECONDS)


def test_without_a_limit_everything_goes() -> None:
    gate = Gate(PairLimit(0))

    assert all(send(gate, 0) for _ in range(1000))


#: After how long a message leaves, or (negative) turns out not to be sent, as where it is a repeat.
FATES = [0.0, 0.0, 0.12, 0.3, 3.0, 4.9, -0.001, -0.5, -4.0]


@settings(max_examples=150, deadline=None)
@given(
    waits=st.lists(st.sampled_from([0.0, 0.001, 0.5, 3.0, 6.0, 6.5, 40.0]), min_size=50),
    fates=st.lists(st.sampled_from(FATES), min_size=50, max_size=50),
    lateness=st.lists(st.floats(0, 0.24), min_size=50, max_size=50),
    parks=st.booleans(),
    burst=st.sampled_from([2, 3, 45]),
)
def test_no_order_of_messages_goes_beyond_what_whatsapp_allows(
    waits: list[float], fates: list[float], lateness: list[float], parks: bool, burst: int
) -> None:
    gate, whatsapp, now = Gate(PairLimit(6.0, burst=burst, share=0.97)), Pairs(), 0.0
    arrivals: list[float] = []
    under_way: list[tuple[float, float, float]] = []  # until when, since when, its fate

    def go_on_until(moment: float) -> None:
        for at, since, fate in sorted(one for one in under_way if one[0] <= moment):
            under_way.remove((at, since, fate))
            if fate < 0:
                gate.give_back(places(), at, let_go_at=since)
                continue
            is_late = fate > LATE_SECONDS
            if is_late and not gate.leave_late(RECIPIENT, at, let_go_at=since):
                continue
            arrivals.append(at + lateness[len(arrivals) % len(lateness)])

    for i, wait in enumerate(waits):
        now += wait
        go_on_until(now)
        sent = send(gate, now)
        if not sent and parks:
            gate.park(RECIPIENT)
        if sent or RECIPIENT in go_on(gate, now):
            fate = fates[i % len(fates)]
            under_way.append((now + abs(fate), now, fate))
    go_on_until(math.inf)
    for moment in sorted(arrivals):  # calls take unequally long to get there
        assert not whatsapp.is_full("pair", moment, seconds=6, burst=burst)
        whatsapp.add("pair", moment, seconds=6)


def test_who_owes_nothing_any_more_is_forgotten_whoever_else_waits_long() -> None:
    gate = Gate(META)
    for _ in range(45):
        send(gate, 0.0, PERSON)
    gate.park(RECIPIENT, 2000)
    for i in range(1000):
        send(gate, i * 0.001, f"+1555123{i:04}")
    for i in range(1000):
        send(gate, 100 + i * 0.001, f"+1555124{i:04}")

    assert len(gate._pairs) <= 1002
    assert len(gate._ends) <= 1100


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
    key = PERSON if scope is PauseScope.RECIPIENT else "1"
    gate.shut(scope, key, 10.0)

    assert gate.blocked(places(), 0) == place(scope, key)
    assert gate.blocked(places(OTHER_PERSON, "2"), 0) is None
    assert gate.room(0) is None
    gate.reopen(scope, key)
    assert gate.blocked(places(), 0) is None


def test_a_flow_without_an_id_holds_nothing_else() -> None:
    gate = Gate(META)
    gate.shut(PauseScope.FLOW, "", math.inf)

    assert gate.is_open
    assert gate.blocked(places(), 0) is None


def test_after_a_recipients_pause_one_message_goes_and_no_burst() -> None:
    gate = Gate(META)
    gate.shut(PauseScope.RECIPIENT, PERSON, 1.0, wait=1.0)

    assert [send(gate, 1.0), send(gate, 2.1)] == [True, False]
    assert send(gate, 1.0 + INTERVAL + SLACK_SECONDS)


def test_those_that_wait_for_a_stopped_flow_go_once_it_is_resumed() -> None:
    gate = Gate(META)
    gate.shut(PauseScope.FLOW, "1", math.inf)
    gate.park(FLOW, 500)
    assert gate.turns(1e9, limit=100) == []
    gate.reopen(PauseScope.FLOW, "1")

    assert gate.turns(1e9, limit=100) == [Turn(FLOW, 50, 500)]


def test_a_slow_flow_lets_one_through_after_each_wait_and_no_other_waits_for_it() -> None:
    gate = Gate(META)
    gate.shut(PauseScope.FLOW, "1", 10.0, wait=371.0)
    gate.park(FLOW, 3)
    moments = []
    for now in range(1400):
        for turn in gate.turns(float(now), limit=100):
            gate.take(places(f"+1555124{now:04}"), float(now))
            gate.served(turn, float(now), gone=1, is_empty=False)
            moments.append(now)
        assert gate.blocked(places(f"+1555125{now:04}", "2"), float(now)) is None

    assert moments == [10, 381, 752, 1123]


def test_a_place_that_opens_later_than_was_thought_is_not_given_its_turn_early() -> None:
    gate = Gate(META)
    gate.park(RECIPIENT)
    gate.shut(PauseScope.RECIPIENT, PERSON, 50.0)

    assert gate.turns(49.9, limit=10) == []
    assert [turn.place for turn in gate.turns(50.0, limit=10)] == [RECIPIENT]


def test_how_long_those_that_park_will_wait_is_known_about() -> None:
    gate = Gate(META)
    send(gate, 0)
    gate.park(RECIPIENT, 2)

    assert gate.expected(RECIPIENT, 6.0) == pytest.approx(
        INTERVAL + SLACK_SECONDS - 6 + 2 * INTERVAL
    )
    gate.shut(PauseScope.FLOW, "1", math.inf)
    assert math.isinf(gate.expected(FLOW, 0))
