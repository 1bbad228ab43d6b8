"""How long something stands still after a refusal, and what ends that."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.clock import START
from tests.examples import MAIN

from alir.dispatch.pause import (
    FLOW_IS_SLOW_FOR,
    Pause,
    Strike,
    by_operator,
    is_healed,
    opened,
    prolonged,
    struck,
)
from alir.errors import PauseAsked, PauseScope

RECIPIENT = PauseAsked(PauseScope.RECIPIENT, timedelta(seconds=1), timedelta(seconds=256))
SENDER = PauseAsked(PauseScope.SENDER, timedelta(seconds=1), timedelta(seconds=30))
STOPPED = PauseAsked(PauseScope.FLOW, None, None)
SLOW = PauseAsked(PauseScope.FLOW, timedelta(seconds=371), timedelta(seconds=371))


def strike(
    asked: PauseAsked, before: Pause | None = None, *, retry_after: timedelta | None = None
) -> Pause:
    """A refusal of what was let through when `before` ended, at that moment."""
    now = START if before is None or before.until is None else before.until
    return struck(
        before,
        Strike(asked=asked, code="1", title="Too many", begun_at=now, retry_after=retry_after),
        sender=MAIN,
        key="",
        now=now,
    )


def waits(asked: PauseAsked, count: int) -> list[float]:
    """Seconds of each of so many pauses in a row."""
    pause, seconds = None, []
    for _ in range(count):
        pause = strike(asked, pause)
        assert pause.until is not None
        seconds.append(pause.wait.total_seconds())
    return seconds


def test_a_recipient_waits_four_times_longer_with_each_refusal() -> None:
    assert waits(RECIPIENT, 7) == [1, 4, 16, 64, 256, 256, 256]


def test_a_sender_waits_twice_as_long_with_each_refusal() -> None:
    assert waits(SENDER, 7) == [1, 2, 4, 8, 16, 30, 30]


def test_a_thousand_refusals_do_not_overflow() -> None:
    assert waits(SENDER, 1000)[-1] == 30


def test_what_was_under_way_when_it_began_makes_it_no_longer() -> None:
    pause = strike(SENDER)
    late = Strike(asked=SENDER, code="1", title="Too many", begun_at=START)

    for _ in range(500):
        assert struck(pause, late, sender=MAIN, key="", now=START) is pause


def test_a_provider_that_asks_for_longer_is_obeyed() -> None:
    pause = strike(SENDER, retry_after=timedelta(minutes=5))
    assert pause.until == START + timedelta(minutes=5)

    later = Strike(
        asked=SENDER, code="1", title="t", begun_at=START, retry_after=timedelta(minutes=9)
    )
    assert struck(pause, later, sender=MAIN, key="", now=START).until == START + timedelta(
        minutes=9
    )


def test_a_provider_that_asks_for_years_is_asked_again_sooner() -> None:
    assert strike(SENDER, retry_after=timedelta(days=900)).wait == timedelta(hours=1)


def test_a_stopped_flow_waits_for_an_operator() -> None:
    pause = strike(STOPPED)

    assert pause.until is None
    assert strike(STOPPED, pause) is pause
    assert prolonged(pause, now=START) is pause
    assert not is_healed(pause, begun_at=START + timedelta(days=9), now=START + timedelta(days=9))


def test_only_what_was_begun_since_it_lets_one_through_heals_it() -> None:
    pause = strike(SENDER)
    assert pause.until is not None

    assert not is_healed(pause, begun_at=START, now=pause.until)
    assert is_healed(pause, begun_at=pause.until, now=pause.until)


def test_a_slow_flow_stays_slow_for_a_day_after_its_last_refusal() -> None:
    pause = strike(SLOW)
    used = prolonged(pause, now=START + timedelta(hours=1))
    assert used.until == START + timedelta(hours=1, seconds=371)

    def healed(hours: float) -> bool:
        now = START + timedelta(hours=hours)
        return is_healed(used, begun_at=now, now=now)

    assert [healed(23.9), healed(24)] == [False, True]
    again = strike(SLOW, used)
    assert again.since == used.until
    assert timedelta(hours=24) == FLOW_IS_SLOW_FOR


def test_after_the_wall_clock_was_set_back_what_is_let_through_heals_all_the_same() -> None:
    pause = strike(SENDER)
    back = START - timedelta(hours=1)

    assert is_healed(pause, begun_at=back, now=back)
    assert not is_healed(pause, begun_at=START, now=back), "begun before that, and before the pause"


def test_moments_are_whole_milliseconds_as_they_are_on_disk() -> None:
    odd = START + timedelta(microseconds=1234)
    asked = timedelta(seconds=2, microseconds=5678)
    refusal = Strike(asked=SENDER, code="1", title="t", begun_at=odd, retry_after=asked)
    begun = struck(None, refusal, sender=MAIN, key="", now=odd)
    later = replace(refusal, retry_after=asked * 2)

    for pause in (
        begun,
        struck(begun, later, sender=MAIN, key="", now=odd),
        prolonged(begun, now=odd),
        opened(begun, now=odd),
        by_operator(None, sender=MAIN, title="t", until=odd + asked, now=odd),
    ):
        moments = [pause.since, pause.until or START, pause.tells_from or START]
        assert [moment.microsecond % 1000 for moment in moments] == [0, 0, 0]
        assert pause.wait % timedelta(milliseconds=1) == timedelta()


@pytest.mark.parametrize("until", [None, START])
def test_what_an_operator_paused_heals_only_by_an_operator(until: object) -> None:
    pause = Pause(
        sender=MAIN,
        scope=PauseScope.OPERATOR,
        title="Holiday",
        since=START,
        until=None if until is None else START,
    )

    assert not is_healed(pause, begun_at=START, now=START + timedelta(days=1))
