"""How many messages wait, counted as they come and go, and how long that takes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.clock import START, FakeClock
from tests.examples import MAIN, OTHER, a_message

from alir.dispatch.backlog import Backlog
from alir.messages.model import QueueClass, Status

MINE, OTHERS = a_message(), a_message(sender=OTHER)
REPLY, SINGLE, BULK = (a_message(queue_class=one) for one in QueueClass)


def test_what_comes_into_the_queue_is_counted_by_sender() -> None:
    backlog = Backlog(FakeClock())
    for sender in (MAIN, MAIN, OTHER):
        backlog.changed(a_message(sender=sender))

    assert (backlog.slots_until(MINE), backlog.slots_until(OTHERS)) == (2, 1)


def test_what_is_not_due_yet_is_not_counted() -> None:
    backlog = Backlog(FakeClock())
    backlog.changed(a_message(due_at=START + timedelta(milliseconds=1)))

    assert backlog.slots_until(MINE) == 0


@pytest.mark.parametrize("status", Status)
def test_what_leaves_the_queue_is_counted_off(status: Status) -> None:
    backlog = Backlog(FakeClock())
    backlog.changed(a_message())
    backlog.changed(a_message(status=status))

    left = {Status.SENDING, Status.CANCELLED, Status.EXPIRED}
    expected = 0 if status in left else 2 if status is Status.QUEUED else 1
    assert backlog.slots_until(MINE) == expected


def test_the_count_never_falls_below_nothing_and_can_be_set_right() -> None:
    backlog = Backlog(FakeClock())
    backlog.changed(a_message(status=Status.SENDING))
    assert backlog.slots_until(MINE) == 0
    backlog.correct(MAIN, due={QueueClass.SINGLE: 7}, queued=9)
    assert (backlog.slots_until(MINE), backlog.queued(MAIN)) == (7, 9)


def test_a_higher_class_hardly_waits_for_a_lower_one() -> None:
    backlog = Backlog(FakeClock())
    for _ in range(2_000):
        backlog.changed(BULK)
    backlog.changed(SINGLE)
    backlog.changed(REPLY)

    assert backlog.slots_until(REPLY) < 2
    assert backlog.slots_until(SINGLE) < 3
    assert backlog.slots_until(BULK) == 2_002


def test_what_is_parked_or_not_due_yet_is_queued_all_the_same() -> None:
    backlog = Backlog(FakeClock())
    backlog.changed(a_message())
    backlog.changed(a_message(parked="recipient 1"))
    backlog.changed(a_message(due_at=START + timedelta(hours=1)))

    queued = (backlog.queued(MAIN), backlog.queued(OTHER))
    assert (backlog.slots_until(MINE), *queued) == (1, 3, 0)


def test_what_was_queued_before_is_not_counted_again() -> None:
    backlog = Backlog(FakeClock())
    backlog.changed(a_message())
    backlog.changed(a_message(parked="recipient 1", version=2))

    assert backlog.queued(MAIN) == 1
