"""Moments as the store and the API write them, and clocks that move."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.clock import START, FakeClock, idle
from tests.running import in_a_loop

from alir.clock import EPOCH, Clock, SystemClock, from_milliseconds, rfc3339, to_milliseconds

_LAST = to_milliseconds(datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC))


@given(st.integers(0, _LAST))
def test_milliseconds_come_back_as_they_went(milliseconds: int) -> None:
    moment = from_milliseconds(milliseconds)

    assert to_milliseconds(moment) == milliseconds
    assert moment == EPOCH + timedelta(milliseconds=milliseconds)
    assert moment.tzinfo is UTC


@given(
    st.datetimes(
        min_value=datetime(1970, 1, 2),  # noqa: DTZ001 - hypothesis adds the zone
        max_value=datetime(9999, 1, 1),  # noqa: DTZ001
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=7))]),
    )
)
def test_what_is_finer_than_a_millisecond_is_cut_off(moment: datetime) -> None:
    kept = from_milliseconds(to_milliseconds(moment))

    assert timedelta(0) <= moment - kept < timedelta(milliseconds=1)


@given(st.integers(0, _LAST))
def test_the_api_writes_utc_with_milliseconds_and_can_read_it_back(milliseconds: int) -> None:
    written = rfc3339(from_milliseconds(milliseconds))

    assert len(written) == len("2026-01-01T00:00:00.120Z")
    assert written.endswith("Z")
    assert datetime.fromisoformat(written) == from_milliseconds(milliseconds)


def test_the_machines_clock_is_aware_cut_to_milliseconds_and_right() -> None:
    clock: Clock = SystemClock()
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    now = clock.now()

    assert before <= now <= datetime.now(UTC)
    assert now.microsecond % 1000 == 0


def test_elapsed_time_never_runs_backwards() -> None:
    clock = SystemClock()
    moments = [clock.elapsed() for _ in range(1000)]

    assert moments == sorted(moments)


@in_a_loop
async def test_the_machines_clock_sleeps_at_least_as_long_as_it_was_asked() -> None:
    clock = SystemClock()
    before = clock.elapsed()
    await clock.sleep(0.01)

    assert clock.elapsed() - before >= 0.009


# The clock of the tests


@in_a_loop
async def test_a_fake_clock_stands_still_until_it_is_moved() -> None:
    clock: Clock = (fake := FakeClock())
    assert (clock.now(), clock.elapsed()) == (START, 0.0)
    fake.leap(1.5)

    assert (clock.now(), clock.elapsed()) == (START + timedelta(seconds=1.5), 1.5)


@in_a_loop
async def test_sleepers_wake_in_the_order_of_their_moments_and_at_them() -> None:
    clock = FakeClock()
    woken: list[tuple[str, float]] = []

    async def sleep(name: str, *seconds: float) -> None:
        for some in seconds:
            await clock.sleep(some)
            woken.append((name, clock.elapsed()))

    sleeping = [
        asyncio.create_task(sleep("a", 3)),
        asyncio.create_task(sleep("b", 1, 1, 1)),
        asyncio.create_task(sleep("c", 2)),
    ]
    await idle()
    assert clock.sleepers == 3
    await clock.advance(2.5)
    assert woken == [("b", 1.0), ("c", 2.0), ("b", 2.0)]
    await clock.advance(1)

    assert woken[3:] == [("a", 3.0), ("b", 3.0)]
    await asyncio.gather(*sleeping)
    assert clock.sleepers == 0


@pytest.mark.parametrize("seconds", [0, -1])
@in_a_loop
async def test_a_sleep_of_no_time_ends_with_the_next_move(seconds: float) -> None:
    clock = FakeClock()
    sleeping = asyncio.create_task(clock.sleep(seconds))
    await clock.advance(0)

    assert sleeping.done()
