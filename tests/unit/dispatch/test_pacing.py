"""A pace fills the seconds evenly, and no second beyond its limit."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alir.dispatch.pacing import Pace

_waits = st.lists(
    st.one_of(
        st.just(0.0),
        st.floats(0.0001, 0.05),
        st.floats(0.05, 3.0),
    ),
    min_size=20,
    max_size=200,
)


def most_in_any_second(times: list[float]) -> int:
    """The most calls in any window of one second, its end not counted."""
    most, first = 0, 0
    for last, at in enumerate(times):
        while at - times[first] >= 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


@given(
    limit=st.integers(1, 1000),
    share=st.one_of(st.just(1.0), st.floats(0.5, 1.0)),
    waits=_waits,
    greed=st.integers(1, 100),
)
@settings(max_examples=200, deadline=None)
def test_no_second_ever_holds_more_than_the_limit(
    limit: int, share: float, waits: list[float], greed: int
) -> None:
    pace = Pace(limit, share)
    now, times = 1000.0, []
    for wait in waits:
        now += wait or pace.wait(now)
        slots = pace.slots(now)
        assert slots is not None
        taken = min(slots, greed)
        pace.take(taken, now)
        times += [now] * taken

    assert most_in_any_second(times) <= limit


@pytest.mark.parametrize("limit", [1, 2, 10, 80, 1000])
def test_whoever_always_takes_what_there_is_gets_the_whole_share(limit: int) -> None:
    pace = Pace(limit, 0.97)
    now, count = 0.0, 0
    while now < 20:
        slots = pace.slots(now)
        assert slots is not None
        pace.take(slots, now)
        count += slots
        now += max(pace.wait(now), 0.001)

    assert count == pytest.approx(limit * 0.97 * 20, abs=limit * 0.03 + 2)


def test_slots_are_evenly_spaced() -> None:
    pace = Pace(10, 0.97)
    times, now = [], 0.0
    for _ in range(20):
        now += pace.wait(now)
        assert pace.slots(now) == 1
        pace.take(1, now)
        times.append(now)

    for before, after in pairwise(times):
        assert after - before == pytest.approx(1 / 9.7, rel=1e-5)


def test_a_process_that_is_a_little_late_each_time_gets_the_whole_share_all_the_same() -> None:
    pace = Pace(20, 0.97)
    times, now = [], 0.0
    for _ in range(200):
        now += pace.wait(now) + 0.015
        pace.take(1, now)
        times.append(now)

    assert (len(times) - 1) / (times[-1] - times[0]) == pytest.approx(20 * 0.97, rel=0.005)
    assert most_in_any_second(times) <= 20


def test_a_long_rest_saves_up_no_more_than_the_limit_leaves_free() -> None:
    pace = Pace(80, 0.97)
    pace.take(1, 0.0)

    assert pace.slots(3600.0) == 1 + (math.floor(80 * 0.03) - 1)


def test_without_a_limit_there_is_always_room() -> None:
    pace = Pace(0, 0.97)
    pace.take(1_000_000, 0.0)

    assert pace.slots(0.0) is None
    assert pace.wait(0.0) == 0.0


def test_the_wait_ends_when_the_next_slot_begins() -> None:
    pace = Pace(4, 1.0)
    pace.take(1, 10.0)

    assert pace.slots(10.2) == 0
    assert pace.wait(10.2) == pytest.approx(0.05, abs=1e-5)
    assert pace.slots(10.251) == 1
