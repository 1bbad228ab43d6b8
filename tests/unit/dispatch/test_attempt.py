"""When a busy message is tried again, and what failures settle."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.clock import START
from tests.examples import a_message

from alir.dispatch.attempt import (
    LONGEST_ASKED,
    BusyPolicy,
    again_of,
    never_handed_over,
    next_delay,
    settlement_of,
)
from alir.errors import (
    OutcomeUnknown,
    PauseAsked,
    PauseScope,
    ProviderBusy,
    ProviderRefused,
    SendFailure,
)
from alir.messages import life
from alir.messages.model import Attempt, Message, Outcome, Receipt, ReceiptStatus

POLICY = BusyPolicy()
DAY = timedelta(hours=24)


@given(tries=st.integers(0, 10_000), jitter=st.floats(0, 1, exclude_max=True))
def test_the_wait_doubles_from_the_first_to_the_longest_and_half_of_it_is_jitter(
    tries: int, jitter: float
) -> None:
    whole = min(2.0 ** min(tries, 40), 300.0)
    delay = next_delay(tries, policy=POLICY, jitter=jitter).total_seconds()

    assert delay == pytest.approx(whole * (1 + jitter) / 2, abs=1e-6)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (timedelta(0), timedelta(seconds=0.5)),
        (timedelta(seconds=30), timedelta(seconds=30)),
        (LONGEST_ASKED, LONGEST_ASKED),
        (timedelta(days=90), LONGEST_ASKED),
    ],
)
def test_a_provider_that_asks_for_longer_is_obeyed_within_reason(
    asked: timedelta, expected: timedelta
) -> None:
    assert next_delay(0, policy=POLICY, jitter=0.0, asked=asked) == expected


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (ProviderBusy("t"), Outcome.BUSY),
        (ProviderRefused("t"), Outcome.REFUSED),
        (OutcomeUnknown("t"), Outcome.UNKNOWN),
    ],
)
def test_each_failure_settles_as_what_it_is_with_its_words(
    failure: SendFailure, outcome: Outcome
) -> None:
    failure.provider_code, failure.details = "131016", "flow.id is wrong"
    settled = settlement_of(failure, a_message(), policy=POLICY, now=START, jitter=0.0)

    assert settled.outcome is outcome
    assert settled.error == {
        "code": failure.code,
        "provider_code": "131016",
        "title": "t",
        "detail": "flow.id is wrong",
    }
    assert (settled.due_at is None) is (outcome is not Outcome.BUSY)


@pytest.mark.parametrize(
    ("age", "expires_in", "due_in"),
    [
        (timedelta(0), None, 0.5),
        (DAY - timedelta(seconds=0.5), None, 0.5),
        (DAY - timedelta(seconds=0.499), None, 0.499),
        (DAY, None, None),
        (DAY * 2, None, None),
        (timedelta(0), 0.6, 0.5),
        (timedelta(0), 0.5, 0.5),
        (timedelta(0), 0.1, 0.1),
        (DAY * 2, 3600, 0.5),
    ],
    ids=[
        *("young", "just a day", "the last try is at the end", "a day", "old"),
        *("expires after", "expires then", "expires before", "old, with an end of its own"),
    ],
)
def test_busy_is_tried_again_until_it_expires_or_a_day_after_it_was_first_due(
    age: timedelta, expires_in: float | None, due_in: float | None
) -> None:
    expires_at = None if expires_in is None else START + timedelta(seconds=expires_in)
    message = a_message(first_due_at=START - age, expires_at=expires_at)
    settled = settlement_of(ProviderBusy("t"), message, policy=POLICY, now=START, jitter=0.0)

    assert settled.due_at == (None if due_in is None else START + timedelta(seconds=due_in))


def paused(scope: PauseScope) -> ProviderBusy:
    minute = timedelta(minutes=1)
    return ProviderBusy("t", provider_code="1", pauses=PauseAsked(scope, minute, minute))


@pytest.mark.parametrize(
    ("scope", "due_in"),
    [
        (PauseScope.RECIPIENT, None),
        (PauseScope.FLOW, 0),
        (PauseScope.SENDER, 0.5),
        (PauseScope.ACCOUNT, 0.5),
    ],
)
def test_only_a_recipient_that_stands_still_for_a_day_is_given_up(
    scope: PauseScope, due_in: float | None
) -> None:
    opens_at = START + timedelta(minutes=1)
    old = a_message(first_due_at=START - DAY, attempts=(Attempt(1, START),))
    settled = settlement_of(
        paused(scope), old, policy=POLICY, now=START, jitter=0.0, opens_at=opens_at
    )
    assert settled.due_at == (None if due_in is None else START + timedelta(seconds=due_in))

    again = again_of(paused(scope), old, policy=POLICY, now=START, jitter=0.0)
    assert (again is None) is (due_in is None)

    lasting = old.but(expires_at=START + timedelta(seconds=70))
    settled = settlement_of(
        paused(scope), lasting, policy=POLICY, now=START, jitter=0.0, opens_at=opens_at
    )
    assert settled.due_at is not None


@pytest.mark.parametrize(
    ("tries", "opens_in", "due_in"),
    [(0, 3600, 0.5), (40, 3600, 30), (40, 5, 6), (40, 0, 1), (40, -5, 1), (40, None, 30)],
)
def test_what_a_whole_pause_refused_goes_behind_the_others_by_little(
    tries: int, opens_in: float | None, due_in: float
) -> None:
    opens_at = None if opens_in is None else START + timedelta(seconds=opens_in)
    settled = settlement_of(
        paused(PauseScope.SENDER),
        a_message(tries=tries),
        policy=POLICY,
        now=START,
        jitter=0.0,
        opens_at=opens_at,
    )

    assert settled.due_at == START + timedelta(seconds=due_in)


def after(*codes: str | None, by_receipt: str | None = None) -> Message:
    """A message whose attempts came to these provider codes, and one more that is under way."""
    attempts = [
        Attempt(n, START, START, Outcome.BUSY, error=life.error("busy", "t", provider_code=code))
        for n, code in enumerate(codes, 1)
    ]
    failed = Receipt(len(codes), ReceiptStatus.FAILED, START, {"provider_code": by_receipt})
    return a_message(
        tries=len(codes),
        attempts=(*attempts, Attempt(len(codes) + 1, START)),
        receipts=(failed,) if by_receipt else (),
    )


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        (after(), Outcome.BUSY),
        (after("131000"), Outcome.BUSY),
        (after("131000", "131000"), Outcome.REFUSED),
        (after(*["130429", None] * 5), Outcome.BUSY),
        (after("131000", "130429", "131000"), Outcome.REFUSED),
        (after("131000", None, by_receipt="131000"), Outcome.REFUSED),
        (after("131000", "131000", by_receipt="131000"), Outcome.REFUSED),
        (after("131000", by_receipt="131000"), Outcome.BUSY),
        (after("131000", None, by_receipt="130429"), Outcome.BUSY),
        (after("131000", "131000").but(first_due_at=START + DAY), Outcome.BUSY),
    ],
)
def test_only_attempts_that_came_to_the_same_code_use_its_tries_up(
    message: Message, outcome: Outcome
) -> None:
    failure = ProviderBusy("t", provider_code="131000", at_most=3)
    now = message.first_due_at

    settled = settlement_of(failure, message, policy=POLICY, now=now, jitter=0.0)
    assert settled.outcome is outcome
    again = again_of(failure, message, policy=POLICY, now=now, jitter=0.0)
    assert (again is None) is (outcome is Outcome.REFUSED)


def test_what_was_never_handed_over_is_due_at_once() -> None:
    settled = never_handed_over("Stopping", now=START)

    assert (settled.outcome, settled.due_at) == (Outcome.BUSY, START)
    assert settled.error is not None
    assert settled.error["code"] == "not_handed_over"
