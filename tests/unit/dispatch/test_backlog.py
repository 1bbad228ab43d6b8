"""How many messages wait, counted as they come and go."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.clock import START, FakeClock
from tests.examples import MAIN, OTHER, a_message

from alir.dispatch.backlog import Backlog
from alir.messages.model import Status


def test_what_comes_into_the_queue_is_counted_by_sender() -> None:
    backlog = Backlog(FakeClock())
    for sender in (MAIN, MAIN, OTHER):
        backlog.changed(a_message(sender=sender))

    assert (backlog.due(MAIN), backlog.due(OTHER)) == (2, 1)


def test_what_is_not_due_yet_is_not_counted() -> None:
    backlog = Backlog(FakeClock())
    backlog.changed(a_message(due_at=START + timedelta(milliseconds=1)))

    assert backlog.due(MAIN) == 0


@pytest.mark.parametrize("status", Status)
def test_what_leaves_the_queue_is_counted_off(status: Status) -> None:
    backlog = Backlog(FakeClock())
    backlog.changed(a_message())
    backlog.changed(a_message(status=status))

    left = {Status.SENDING, Status.CANCELLED, Status.EXPIRED}
    expected = 0 if status in left else 2 if status is Status.QUEUED else 1
    assert backlog.due(MAIN) == expected


def test_the_count_never_falls_below_nothing_and_can_be_set_right() -> None:
    backlog = Backlog(FakeClock())
    backlog.changed(a_message(status=Status.SENDING))
    assert backlog.due(MAIN) == 0
    backlog.correct(MAIN, due=7, queued=9)
    assert (backlog.due(MAIN), backlog.queued(MAIN)) == (7, 9)


def test_what_is_parked_or_not_due_yet_is_queued_all_the_same() -> None:
    backlog = Backlog(FakeClock())
    backlog.changed(a_message())
    backlog.changed(a_message(parked="recipient 1"))
    backlog.changed(a_message(due_at=START + timedelta(hours=1)))

    assert (backlog.due(MAIN), backlog.queued(MAIN), backlog.queued(OTHER)) == (1, 3, 0)


def test_what_was_queued_before_is_not_counted_again() -> None:
    backlog = Backlog(FakeClock())
    backlog.changed(a_message())
    backlog.changed(a_message(parked="recipient 1", version=2))

    assert backlog.queued(MAIN) == 1
