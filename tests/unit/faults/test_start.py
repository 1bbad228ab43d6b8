"""What a started process is told to do to itself."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from faults import start
from faults.points import INSIDE, Point, Side
from faults.start import Harm

from alir.clock import SystemClock

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
STEPS = 100


class Standing(SystemClock):
    """Says noon whenever it is right; a test moves what has elapsed."""

    passed = 0.0

    def elapsed(self) -> float:
        return self.passed


class Store:
    """Says how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def ask(self, question: str) -> str:
        self.asked += 1
        return question.upper()


def test_harm_goes_to_a_process_and_back_as_it_is() -> None:
    harm = Harm(point="stored", nth=3, clock=17, bug="resent_for_ever")

    assert Harm(**json.loads(harm.as_text())) == harm


@pytest.mark.parametrize(("side", "asked"), [(Side.BEFORE, 0), (Side.AFTER, 1)])
def test_a_process_comes_to_a_point_before_or_after_its_method(side: Side, asked: int) -> None:
    found: list[int] = []
    store = Store()
    watched = start._watched(
        Store.ask, Point("", side, [(Store, "ask")], 1), lambda: found.append(store.asked)
    )

    assert asyncio.run(watched(store, "is it stored?")) == "IS IT STORED?"
    assert found == [asked]


def test_only_what_counts_brings_a_process_to_a_point() -> None:
    before, after = INSIDE["handing_over"], INSIDE["answer_read"]
    message, log_in = ("POST", "http://graph/1/messages"), ("POST", "http://rml/auth/v1/login/")

    assert [before.counts(None, *call) for call in (message, log_in)] == [True, False]
    assert [after.counts("answer", None, *call) for call in (message, log_in)] == [True, False]


def test_the_wall_clock_is_set_back_and_put_right_and_is_never_ahead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SystemClock, "now", lambda _: NOON)
    start._set_back_and_forth(1)
    clock, offsets = Standing(), []
    for _ in range(STEPS):
        clock.passed += 0.5
        offsets.append(clock.now() - NOON)

    assert max(offsets) == timedelta()
    assert min(offsets) == timedelta(hours=-1)
    assert len(set(offsets)) == 5
