"""A receipt that names no attempt is tied to one only where nothing else is possible."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.clock import START
from tests.examples import MAIN, OTHER, a_message

from alir.ids import MessageId, ProviderId
from alir.messages import life
from alir.messages.model import Outcome, ReceiptStatus
from alir.receipts.guess import Candidate, Guess, guess
from alir.receipts.model import Told

SENT, DELIVERED, READ, FAILED = ReceiptStatus
LATER = timedelta(seconds=45)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def candidate(came: float, **changes: Any) -> Candidate:
    """A sent receipt that came after so many seconds, of an attempt begun at `START`."""
    plain = Candidate(
        sender=MAIN,
        provider_id=ProviderId("request-1"),
        status=SENT,
        came_at=at(came),
        message_id=MessageId("msg_1"),
        attempt=1,
        begun_at=START,
    )
    return plain._replace(**changes)


def tied(*candidates: Candidate, now: float = 60) -> list[tuple[str, str, int]]:
    return [(g.provider_id, g.message_id, g.attempt) for g in guess(candidates, now=at(now))]


ONE = [("request-1", "msg_1", 1)]


@pytest.mark.parametrize("status", [SENT, DELIVERED, READ])
def test_the_only_attempt_is_what_a_receipt_is_about(status: ReceiptStatus) -> None:
    assert guess([candidate(1, status=status)], now=at(60)) == [
        Guess(MAIN, ProviderId("request-1"), MessageId("msg_1"), 1)
    ]


@pytest.mark.parametrize(("now", "expected"), [(30.9, []), (31, ONE)])
def test_the_providers_own_answer_is_waited_for(now: float, expected: object) -> None:
    assert tied(candidate(1), now=now) == expected
    assert tied(candidate(1), candidate(29, status=READ), now=now) == expected


def test_a_failed_receipt_alone_is_no_evidence() -> None:
    assert tied(candidate(1, status=FAILED)) == []
    assert tied(candidate(1, status=FAILED), candidate(2)) == ONE


@pytest.mark.parametrize(("came", "expected"), [(-0.001, []), (0, ONE)])
def test_what_came_before_the_begin_is_about_something_else(came: float, expected: object) -> None:
    assert tied(candidate(came)) == expected
    assert tied(candidate(2, status=DELIVERED), candidate(came)) == expected
    assert tied(candidate(2), candidate(came, status=FAILED)) == expected


@pytest.mark.parametrize(
    "second",
    [
        candidate(1, attempt=2, begun_at=at(0.5)),
        candidate(1, message_id=MessageId("msg_2")),
        candidate(1, message_id=MessageId("msg_2"), begun_at=at(40)),
    ],
    ids=["of one message", "of two", "begun later"],
)
def test_where_two_attempts_have_no_answer_neither_is_settled(second: Candidate) -> None:
    assert tied(candidate(1), second) == []


def test_an_attempt_is_tied_to_the_id_that_came_first() -> None:
    second = candidate(2, provider_id=ProviderId("request-2"))
    assert tied(second, candidate(1), candidate(3, status=READ)) == ONE


def test_what_came_before_the_begin_does_not_stand_in_the_way_of_what_came_after() -> None:
    earlier = candidate(-9, provider_id=ProviderId("request-2"))
    assert tied(earlier, candidate(1)) == ONE


def test_the_same_id_at_two_senders_is_two_ids() -> None:
    theirs = candidate(1, sender=OTHER, message_id=MessageId("msg_2"))
    assert tied(candidate(1), theirs) == [*ONE, ("request-1", "msg_2", 1)]


@pytest.mark.parametrize("outcome", [None, Outcome.UNKNOWN, Outcome.ACCEPTED, Outcome.REFUSED])
def test_an_attempt_that_was_answered_meanwhile_is_left_alone(outcome: Outcome | None) -> None:
    message = life.begin(a_message(), now=START).message
    if outcome is not None:
        change = life.settle(message, 1, life.Settlement(outcome=outcome), now=START)
        assert change is not None
        message = change.message
    told = Told(sender=MAIN, provider_id=ProviderId("request-1"), status=SENT, at=START)
    guessed = told.guessed_by(1, at(60))(message)

    assert (guessed is not None) is (outcome in (None, Outcome.UNKNOWN))
