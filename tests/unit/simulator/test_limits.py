from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alir.simulator.limits import Pairs, Throughput

#: In quarters of a second, so that sums are exact.
steps = st.lists(st.integers(0, 60).map(lambda quarters: quarters / 4), max_size=120)


def moments(gaps: list[float]) -> list[float]:
    now, found = 0.0, []
    for gap in gaps:
        now += gap
        found.append(now)
    return found


def taken(arrivals: list[float], *, seconds: float = 6, burst: int = 45) -> list[float]:
    """Which of one pair's messages are taken."""
    pairs = Pairs()
    found = []
    for now in arrivals:
        if not pairs.is_full("a", now, seconds=seconds, burst=burst):
            pairs.add("a", now, seconds=seconds)
            found.append(now)
    return found


@given(gaps=steps, most=st.integers(1, 5))
def test_no_second_has_more_messages_than_the_throughput(gaps: list[float], most: int) -> None:
    throughput = Throughput()
    sent: list[float] = []
    for now in moments(gaps):
        full = throughput.is_full(now, most=most)
        assert full is (sum(now - each < 1 for each in sent) >= most)
        if not full:
            throughput.add(now)
            sent.append(now)


def test_what_cannot_be_refused_fills_the_second_beyond_the_limit() -> None:
    throughput = Throughput()
    for _ in range(3):
        throughput.add(0.0)

    assert throughput.is_full(0.5, most=2)
    assert not throughput.is_full(1.0, most=2)


def test_one_message_each_six_seconds_is_always_taken() -> None:
    arrivals = [6.0 * i for i in range(100)]

    assert taken(arrivals) == arrivals


def test_a_burst_of_45_is_taken_and_the_46th_is_not() -> None:
    assert len(taken([i / 100 for i in range(60)])) == 45


def test_after_a_burst_of_20_nothing_is_taken_for_two_minutes() -> None:
    burst = [i / 4 for i in range(20)]

    assert taken([*burst, 6.0, 60.0, 119.9, 120.0]) == [*burst, 120.0]


def test_the_window_ends_exactly_after_its_seconds() -> None:
    assert taken([0.0, 5.99, 11.99, 12.0]) == [0.0, 5.99, 12.0]
    assert taken([0.0, 6.0, 12.0]) == [0.0, 6.0, 12.0]


def test_a_refused_message_does_not_prolong_the_debt() -> None:
    assert taken([0.0, 1.0, *(6 + i / 10 for i in range(59)), 12.0]) == [0.0, 1.0, 12.0]


@given(gaps=steps, burst=st.integers(1, 6))
def test_a_pair_never_gets_ahead_by_more_than_a_burst(gaps: list[float], burst: int) -> None:
    found = taken(moments(gaps), burst=burst)

    for start in range(len(found)):
        for end in range(start, len(found)):
            allowed = (found[end] - found[start]) / 6 + 2 * burst
            assert end - start + 1 <= allowed
    assert all(later - earlier >= 6 for earlier, later in pairwise(taken(moments(gaps), burst=1)))


def test_pairs_do_not_share_their_debt() -> None:
    pairs = Pairs()
    pairs.add("a", 0.0, seconds=6)
    pairs.add("a", 1.0, seconds=6)

    assert pairs.is_full("a", 7.0, seconds=6, burst=45)
    assert not pairs.is_full("b", 7.0, seconds=6, burst=45)


@pytest.mark.parametrize("people", [10, 5000])
def test_only_pairs_without_a_debt_are_forgotten(people: int) -> None:
    pairs = Pairs()
    for person in range(people):
        for moment in (0.0, 1.0):
            pairs.add(person, moment, seconds=6)
    for stranger in range(people):
        pairs.add(-1 - stranger, 7.0, seconds=6)

    assert all(pairs.is_full(person, 8.0, seconds=6, burst=45) for person in range(people))
