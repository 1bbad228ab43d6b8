"""Unknown messages that wait for evidence: none is remembered for longer than it waits."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.clock import FakeClock
from tests.examples import MAIN, OTHER, a_message

from alir.dispatch.undecided import Undecided
from alir.ids import SenderName
from alir.messages.model import Message, OnUnknown, Status

AFTER = timedelta(minutes=2)


def undecided(clock: FakeClock, *ours: SenderName) -> Undecided:
    return Undecided(clock, AFTER, is_ours=lambda sender: sender in ours)


def unknown(sender: SenderName = MAIN, on_unknown: OnUnknown = OnUnknown.RETRY) -> Message:
    return a_message(status=Status.UNKNOWN, on_unknown=on_unknown, sender=sender)


def test_what_another_process_settled_and_so_may_not_go_again_is_forgotten() -> None:
    clock = FakeClock()
    waiting = undecided(clock, MAIN)
    settled, may = unknown(), unknown()
    waiting.changed(settled)
    waiting.changed(may)
    clock.leap(AFTER.total_seconds())
    waiting.may_go_again([may])

    assert len(waiting) == 1
    assert waiting.waited_enough(may)


def test_what_became_unknown_a_moment_ago_is_not_forgotten_though_it_was_not_found_yet() -> None:
    clock = FakeClock()
    waiting = undecided(clock, MAIN)
    message = unknown()
    waiting.changed(message)
    waiting.may_go_again([])
    clock.leap(AFTER.total_seconds())

    assert waiting.waited_enough(message)


def test_what_must_not_go_again_waits_to_be_held() -> None:
    clock = FakeClock()
    waiting = undecided(clock, MAIN)
    message = unknown(on_unknown=OnUnknown.HOLD)
    waiting.changed(message)
    clock.leap(AFTER.total_seconds())
    waiting.may_go_again([])

    assert waiting.to_hold() == [message]
    waiting.decided(message)
    assert len(waiting) == 0


@pytest.mark.parametrize("on_unknown", OnUnknown)
def test_of_a_sender_that_another_process_took_nothing_is_remembered(
    on_unknown: OnUnknown,
) -> None:
    waiting = undecided(FakeClock(), MAIN, OTHER)
    for sender in (MAIN, OTHER):
        waiting.changed(unknown(sender, on_unknown))
    waiting.lost(MAIN)

    assert len(waiting) == 1


def test_of_a_sender_of_another_process_nothing_is_remembered() -> None:
    waiting = undecided(FakeClock(), MAIN)
    waiting.changed(unknown(OTHER))
    waiting.found(unknown(OTHER))

    assert len(waiting) == 0
