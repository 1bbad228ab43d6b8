"""What `POST /messages` answers where a message failed."""

from __future__ import annotations

from tests.clock import START
from tests.examples import a_message

from alir.api.answers import answer_of
from alir.api.problems import Problem
from alir.messages import life
from alir.messages.life import Change, Settlement
from alir.messages.model import Message, Outcome, Receipt, ReceiptStatus, Status


def _sent(message: Message, outcome: Outcome) -> Message:
    begun = life.begin(message, now=START).message
    reason = None if outcome is Outcome.ACCEPTED else life.error("provider_refused", "No")
    settlement = Settlement(outcome=outcome, error=reason)
    return _after(life.settle(begun, len(begun.attempts), settlement, now=START))


def _undelivered(message: Message) -> Message:
    failed = Receipt(attempt=len(message.attempts), status=ReceiptStatus.FAILED, at=START)
    return _after(life.receive(message, failed, now=START, provider_id=None))


def _after(change: Change | None) -> Message:
    assert change is not None
    return change.message


def _code(message: Message) -> str | int:
    assert message.status is Status.FAILED
    answer = answer_of(message)
    return answer.code if isinstance(answer, Problem) else answer[0]


def test_what_was_taken_and_then_failed_is_answered_as_accepted() -> None:
    assert _code(_undelivered(_sent(a_message(), Outcome.ACCEPTED))) == 200


def test_what_was_refused_is_answered_as_refused() -> None:
    assert _code(_sent(a_message(), Outcome.REFUSED)) == "refused"


def test_of_what_was_sent_again_the_last_time_counts() -> None:
    failed = _undelivered(_sent(a_message(), Outcome.ACCEPTED))
    again = life.retry(failed, now=START).message

    assert _code(_sent(again, Outcome.REFUSED)) == "refused"
    assert _code(_undelivered(_sent(again, Outcome.ACCEPTED))) == 200
