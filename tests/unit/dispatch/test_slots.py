"""Slots are shared among the classes that wait, and nobody starves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Set

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alir.dispatch.slots import NOBODY, ONE_IN, StoodBack, next_slot, slots_until
from alir.messages.model import QueueClass

REPLY, SINGLE, BULK = QueueClass
ALL = frozenset(QueueClass)

Classes = Set[QueueClass]

waiting = st.sets(st.sampled_from(QueueClass), min_size=1)
#: Whatever waited before.
pasts = st.lists(waiting, max_size=60)


def shared(waits: Iterable[Classes], before: StoodBack = NOBODY) -> list[QueueClass]:
    """Whose each slot is, where these classes wait for it."""
    slots, _ = run(waits, before)
    return slots


def run(waits: Iterable[Classes], before: StoodBack) -> tuple[list[QueueClass], StoodBack]:
    slots, stood_back = [], before
    for some in waits:
        slot = next_slot(some, stood_back)
        slots.append(slot.of)
        stood_back = slot.then
    return slots, stood_back


def test_the_highest_goes_first_and_every_fifth_slot_is_the_lowests() -> None:
    assert shared([{REPLY, BULK}] * 10) == [*[REPLY] * 4, BULK] * 2
    assert shared([{SINGLE, BULK}] * 5) == [*[SINGLE] * 4, BULK]
    assert shared([{REPLY, SINGLE}] * 5) == [*[REPLY] * 4, SINGLE]


@given(past=pasts, rounds=st.integers(1, 20))
def test_while_all_wait_the_lowest_gets_one_in_five_of_any_run(
    past: list[Classes], rounds: int
) -> None:
    _, before = run(past, NOBODY)
    slots = shared([ALL] * (ONE_IN * rounds), before)

    assert slots.count(BULK) == rounds


@given(past=pasts, rounds=st.integers(1, 10))
def test_while_all_wait_the_middle_gets_one_in_five_of_what_the_lowest_leaves(
    past: list[Classes], rounds: int
) -> None:
    _, before = run(past, NOBODY)
    shares = Counter(shared([ALL] * (25 * rounds), before))

    assert shares == {BULK: 5 * rounds, SINGLE: 4 * rounds, REPLY: 16 * rounds}


@given(steps=st.lists(st.tuples(waiting, st.booleans()), min_size=1, max_size=400))
def test_no_class_that_waits_stands_back_for_more_than_its_turn_takes(
    steps: list[tuple[Classes, bool]],
) -> None:
    stood = Counter[QueueClass]()
    back, wait = NOBODY, set[QueueClass]()
    for come, was_last in steps:
        wait |= come  # who waits does so until its slot
        of, back = next_slot(wait, back)
        for one in wait - {of}:
            stood[one] += 1
        stood[of] = 0
        assert stood[BULK] <= 4
        assert stood[SINGLE] <= 6  # what is lower may have its own turn before and after
        if was_last:
            wait.remove(of)


@given(past=pasts, one=st.sampled_from(QueueClass))
def test_a_lone_class_gets_all(past: list[Classes], one: QueueClass) -> None:
    _, before = run(past, NOBODY)

    assert shared([{one}] * 50, before) == [one] * 50


@given(past=pasts)
def test_who_comes_after_a_lone_lower_class_goes_at_once(past: list[Classes]) -> None:
    _, before = run([*past, {BULK}], NOBODY)

    assert next_slot({SINGLE, BULK}, before).of is SINGLE


@given(waits=pasts, some=waiting)
def test_a_choice_changes_nothing_that_it_was_given(waits: list[Classes], some: Classes) -> None:
    _, before = run(waits, NOBODY)
    copy = dict(before)
    first, second = next_slot(some, before), next_slot(some, before)

    assert first == second
    assert before == copy


@given(counts=st.fixed_dictionaries(dict.fromkeys(QueueClass, st.integers(0, 60))))
@pytest.mark.parametrize("last", QueueClass)
def test_the_estimate_of_slots_is_close(last: QueueClass, counts: dict[QueueClass, int]) -> None:
    estimate = slots_until(counts, last)
    left, stood_back, slots = Counter(counts), NOBODY, 0
    while left[last]:
        slot = next_slot({one for one in QueueClass if left[one]}, stood_back)
        stood_back = slot.then
        left[slot.of] -= 1
        slots += 1

    assert abs(slots - estimate) <= max(2 * ONE_IN, 0.25 * slots)
