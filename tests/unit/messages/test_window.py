"""When the 24-hour window is shut, and what is said then."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.clock import START

from alir.messages import window


@pytest.mark.parametrize(
    ("ago", "is_shut"),
    [
        (timedelta(), False),
        (timedelta(hours=24) - window.MARGIN - timedelta(milliseconds=1), False),
        (timedelta(hours=24) - window.MARGIN, True),
        (timedelta(hours=24), True),
        (timedelta(days=400), True),
        (-timedelta(minutes=1), False),
    ],
)
def test_it_is_shut_shortly_before_24_hours_after_the_person_last_wrote(
    ago: timedelta, is_shut: bool
) -> None:
    assert window.is_shut(START - ago, START) is is_shut


def test_of_who_never_wrote_nobody_knows_that_it_is_shut() -> None:
    assert not window.is_shut(None, START)


@pytest.mark.parametrize(
    ("hours_ago", "send_in_hours", "is_ahead"),
    [(25, None, False), (25, -1, False), (25, 0, False), (25, 1, True), (1, 23.5, True)],
)
def test_a_shut_window_is_ahead_where_the_message_does_not_go_to_it_now(
    hours_ago: float, send_in_hours: float | None, is_ahead: bool
) -> None:
    heard = START - timedelta(hours=hours_ago)
    send_at = None if send_in_hours is None else START + timedelta(hours=send_in_hours)

    assert window.is_ahead(heard, START, send_at) is is_ahead


@pytest.mark.parametrize("has_fallback", [False, True])
def test_the_warning_of_what_is_ahead_says_that_the_person_may_write_again(
    has_fallback: bool,
) -> None:
    now = window.warning(to_number=True, has_fallback=has_fallback)
    ahead = window.warning(to_number=True, has_fallback=has_fallback, ahead=True)

    assert (ahead.code, ahead.pointer) == (now.code, now.pointer)
    assert "unless the person writes again" in ahead.detail
    assert "unless the person writes again" not in now.detail
    assert now.detail.partition("; ")[2] in ahead.detail


def test_the_warning_says_what_goes_out_and_the_refusal_what_to_send() -> None:
    with_fallback = window.warning(to_number=True, has_fallback=True)
    without = window.warning(to_number=False, has_fallback=False)
    refusal = window.refusal(to_number=True)

    assert (with_fallback.code, with_fallback.pointer) == ("window_shut", "#/to")
    assert (without.code, without.pointer) == ("window_shut", "#/recipient")
    assert "fallback goes out" in with_fallback.detail
    assert "refuse" in without.detail
    assert (refusal.code, refusal.pointer) == ("window_shut", "#/to")
    assert "closed_window" in refusal.detail
