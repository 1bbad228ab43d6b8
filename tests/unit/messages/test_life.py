"""Every arrow of a message's life, every order of receipts, and what must hold of any life."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.clock import START
from tests.examples import TEMPLATE, a_message

from alir.errors import TooLate
from alir.ids import ProviderId
from alir.messages import life
from alir.messages.life import Change, Settlement
from alir.messages.lost import MOST_LOST
from alir.messages.model import (
    Attempt,
    Decision,
    Flag,
    Message,
    OnUnknown,
    Outcome,
    Receipt,
    ReceiptStatus,
    Status,
)
from alir.messages.standing import ARRIVED, standing

NOW = START + timedelta(seconds=30)
LATER = START + timedelta(minutes=5)
SENT, DELIVERED, READ, FAILED = ReceiptStatus

REFUSAL = life.error("provider_refused", "The message is undeliverable", provider_code="131026")
BUSY = life.error("provider_busy", "The service is temporarily unavailable", provider_code="131016")
UNDELIVERED = life.error("undelivered", "The message is undeliverable", provider_code="131026")

ACCEPTED_NOW = Settlement(outcome=Outcome.ACCEPTED, provider_id=ProviderId("wamid.1"))
REFUSED_NOW = Settlement(outcome=Outcome.REFUSED, error=REFUSAL)
BUSY_NOW = Settlement(outcome=Outcome.BUSY, error=BUSY, due_at=LATER)
BUSY_FOR_TOO_LONG = Settlement(outcome=Outcome.BUSY, error=BUSY, due_at=None)
UNKNOWN_NOW = Settlement(
    outcome=Outcome.UNKNOWN, error=life.error("outcome_unknown", "No answer came back")
)
SETTLEMENTS = {
    "accepted": ACCEPTED_NOW,
    "refused": REFUSED_NOW,
    "busy": BUSY_NOW,
    "gave up": BUSY_FOR_TOO_LONG,
    "unknown": UNKNOWN_NOW,
}


class Life:
    """A message that lives through one thing after another, and what its users were told."""

    def __init__(self, **fields: Any) -> None:
        self.message = a_message(**fields)
        self.told: list[str] = []

    def apply(self, change: Change | None) -> Life:
        if change is not None:
            self.message = change.message
            self.told += [event.name for event in change.events]
        return self

    def begun(self) -> Life:
        return self.apply(life.begin(self.message, now=NOW))

    def settled(self, settlement: Settlement, number: int | None = None) -> Life:
        number = number or len(self.message.attempts)
        return self.apply(life.settle(self.message, number, settlement, now=NOW))

    def received(self, *statuses: ReceiptStatus, attempt: int = 1) -> Life:
        for status in statuses:
            self.apply(received(self.message, status, attempt))
        return self

    def retried(self) -> Life:
        return self.apply(life.retry(self.message, now=NOW))

    def cancelled(self) -> Life:
        return self.apply(life.cancel(self.message))

    def expired(self) -> Life:
        return self.apply(life.expire(self.message, now=NOW))

    @property
    def status(self) -> Status:
        return self.message.status

    @property
    def flags(self) -> set[str]:
        return set(self.message.flags)

    @property
    def error_code(self) -> str | None:
        return None if self.message.error is None else self.message.error["code"]

    @property
    def outcomes(self) -> list[Outcome | None]:
        return [attempt.outcome for attempt in self.message.attempts]


def received(
    message: Message, status: ReceiptStatus, attempt: int = 1, *, again: life.Again | None = None
) -> Change | None:
    error = UNDELIVERED if status is FAILED else None
    receipt = Receipt(attempt=attempt, status=status, at=START, error=error)
    provider_id = ProviderId(f"wamid.{attempt}")
    return life.receive(
        message, receipt, now=NOW, provider_id=provider_id, wa_id="15551230001", again=again
    )


def accepted() -> Life:
    return Life().begun().settled(ACCEPTED_NOW)


def unknown(**fields: Any) -> Life:
    return Life(**fields).begun().settled(UNKNOWN_NOW)


def resent() -> Life:
    """One attempt unknown, another under way."""
    return unknown().retried().begun()


# One attempt


def test_a_message_is_begun_once_and_not_while_its_attempt_is_under_way() -> None:
    begun = Life().begun()

    assert begun.status is Status.SENDING
    assert begun.message.attempts == (Attempt(number=1, begun_at=NOW),)
    assert begun.told == []
    with pytest.raises(TooLate):
        begun.begun()


@pytest.mark.parametrize(
    ("settlement", "status", "told", "error_code"),
    [
        ("accepted", Status.ACCEPTED, ["accepted"], None),
        ("refused", Status.FAILED, ["failed"], "provider_refused"),
        ("busy", Status.QUEUED, [], None),
        ("gave up", Status.FAILED, ["failed"], "gave_up"),
        ("unknown", Status.UNKNOWN, ["unknown"], None),
    ],
)
def test_an_answer_moves_a_message_that_is_being_sent(
    settlement: str, status: Status, told: list[str], error_code: str | None
) -> None:
    message = Life().begun().settled(SETTLEMENTS[settlement])

    assert message.status is status
    assert message.told == told
    assert message.error_code == error_code
    assert message.message.attempts[0].settled_at == NOW


def test_a_busy_answer_queues_the_message_for_later_and_counts_the_try() -> None:
    message = Life().begun().settled(BUSY_NOW).begun().settled(BUSY_NOW).message

    assert (message.status, message.due_at, message.tries) == (Status.QUEUED, LATER, 2)
    assert message.first_due_at == START
    assert [a.outcome for a in message.attempts] == [Outcome.BUSY, Outcome.BUSY]


def test_what_the_provider_said_at_last_is_kept_when_alir_gives_up() -> None:
    message = Life().begun().settled(BUSY_FOR_TOO_LONG).message

    assert message.error is not None
    assert message.error["provider_code"] == "131016"


@pytest.mark.parametrize("first", SETTLEMENTS)
@pytest.mark.parametrize("second", SETTLEMENTS)
def test_an_attempt_is_settled_once_but_for_an_unknown_one(first: str, second: str) -> None:
    once = Life().begun().settled(SETTLEMENTS[first])
    twice = life.settle(once.message, 1, SETTLEMENTS[second], now=NOW)

    if first == second == "unknown":
        assert twice is None
    elif first == "unknown":
        assert twice is not None
        assert twice.message.attempts[0].outcome is SETTLEMENTS[second].outcome
    elif twice is not None:  # the second answer only added an id
        assert second == "accepted"
        assert twice.events == ()
        assert twice.message.status is once.status
        assert twice.message.attempts[0].outcome is SETTLEMENTS[first].outcome


def test_the_answer_to_an_attempt_that_never_was_changes_nothing() -> None:
    assert life.settle(Life().begun().message, 2, ACCEPTED_NOW, now=NOW) is None
    assert life.settle(Life().message, 1, ACCEPTED_NOW, now=NOW) is None
    assert received(Life().begun().message, DELIVERED, attempt=2) is None


# Receipts

#: An attempt as receipts find it.
FOUND = {
    "under way": lambda: Life().begun(),
    "accepted": accepted,
    "unknown": unknown,
}


@pytest.mark.parametrize("found", FOUND)
@pytest.mark.parametrize(
    ("first", "status", "error_code"),
    [
        (SENT, Status.SENT, None),
        (DELIVERED, Status.DELIVERED, None),
        (READ, Status.READ, None),
        (FAILED, Status.FAILED, "undelivered"),
    ],
)
def test_a_receipt_moves_the_message_and_settles_an_attempt_that_was_not(
    found: str, first: ReceiptStatus, status: Status, error_code: str | None
) -> None:
    before = FOUND[found]()
    before.told.clear()
    message = before.received(first)

    assert (message.status, message.error_code) == (status, error_code)
    told = [first.value] if found == "accepted" else ["accepted", first.value]
    assert message.told == told
    assert message.outcomes == [Outcome.ACCEPTED]
    assert message.message.attempts[0].provider_id == "wamid.1"
    assert message.message.wa_id == "15551230001"


def _expected(order: Iterable[ReceiptStatus]) -> tuple[list[str], bool]:
    """What users are told of these receipts of one accepted attempt, and whether a flag is set.

    Written down apart from the code: a receipt moves the message where it says more than all
    before it. Delivered and read say more than failed, failed more than sent.
    """
    more = {SENT: 1, FAILED: 2, DELIVERED: 3, READ: 4}
    told: list[str] = []
    most, flagged = 0, False
    for status in order:
        if more[status] > most:
            flagged = flagged or most == more[FAILED]
            most = more[status]
            told.append(status.value)
    return told, flagged


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("found", FOUND)
@pytest.mark.parametrize("answered", [False, True], ids=["answer before", "answer in between"])
def test_receipts_in_every_order_move_the_message_only_forward(
    count: int, found: str, answered: bool
) -> None:
    for order in itertools.permutations(ReceiptStatus, count):
        for answer_at in range(1, count + 1) if answered else [None]:
            message = FOUND[found]()
            message.told.clear()
            for position, status in enumerate(order):
                if position == answer_at:
                    message.settled(ACCEPTED_NOW, 1)
                message.received(status)
                message.received(status)  # receipts come twice
            told, flagged = _expected(order)
            assert message.told == ([] if found == "accepted" else ["accepted"]) + told, order
            assert message.flags == ({Flag.AFTER_FAILED} if flagged else set()), order
            assert message.status == told[-1], order
            assert {r.status for r in message.message.receipts} == set(order)


@pytest.mark.parametrize("late", ["accepted", "refused", "busy", "gave up", "unknown"])
@pytest.mark.parametrize("status", ReceiptStatus)
def test_after_a_receipt_the_answer_only_adds_what_the_receipt_did_not_say(
    status: ReceiptStatus, late: str
) -> None:
    receipt = Receipt(attempt=1, status=status, at=START)
    before = Life().begun().message
    change = life.receive(before, receipt, now=NOW, provider_id=None)
    assert change is not None
    answer = SETTLEMENTS[late]._replace(wa_id="15551230001")
    after = life.settle(change.message, 1, answer, now=LATER)

    assert after is not None
    assert after.events == ()
    assert after.message.status is change.message.status
    [first] = change.message.attempts
    assert after.message.attempts == (first._replace(provider_id=answer.provider_id),)
    assert after.message.wa_id == "15551230001"
    assert life.settle(after.message, 1, answer, now=LATER) is None


def test_a_receipt_that_is_known_already_changes_nothing() -> None:
    message = accepted().received(SENT, FAILED).message

    for status in (SENT, FAILED):
        assert received(message, status) is None


def test_delivered_after_failed_is_flagged_and_the_error_goes() -> None:
    message = accepted().received(FAILED, DELIVERED)

    assert message.status is Status.DELIVERED
    assert message.flags == {Flag.AFTER_FAILED}
    assert message.error_code is None


def test_sent_after_failed_is_kept_and_moves_nothing() -> None:
    message = accepted().received(FAILED, SENT)

    assert message.status is Status.FAILED
    assert message.error_code == "undelivered"
    assert [r.status for r in message.message.receipts] == [FAILED, SENT]


@pytest.mark.parametrize("contradicted", ["refused", "busy"])
def test_a_receipt_contradicts_what_the_provider_had_answered(contradicted: str) -> None:
    message = Life().begun().settled(SETTLEMENTS[contradicted]).received(DELIVERED)

    assert message.status is Status.DELIVERED
    assert message.flags == ({Flag.AFTER_FAILED} if contradicted == "refused" else set())
    with pytest.raises(TooLate):  # it has left the queue
        message.begun()


# Two attempts


def test_accepted_is_told_of_a_message_whose_latest_attempt_failed_and_then_arrived() -> None:
    message = resent().settled(UNKNOWN_NOW)
    message.told.clear()
    message.received(FAILED, SENT, attempt=2)  # so that it is unknown, as the first attempt is
    assert message.told == []

    message.received(DELIVERED, attempt=2)

    assert message.told == ["accepted", "delivered"]


def test_evidence_that_two_attempts_arrived_is_flagged_and_told_once() -> None:
    message = resent().settled(ACCEPTED_NOW).received(DELIVERED, attempt=2)
    assert Flag.DUPLICATED not in message.flags

    message.received(SENT, READ, DELIVERED, attempt=1).received(READ, attempt=2)

    assert message.flags == {Flag.RESENT, Flag.DUPLICATED}
    assert message.told == [
        *("unknown", "queued", "accepted", "delivered"),
        *("duplicated", "read"),
    ]


def test_a_late_answer_to_the_first_attempt_shows_that_both_arrived() -> None:
    message = resent().settled(ACCEPTED_NOW).settled(ACCEPTED_NOW, number=1)

    assert message.status is Status.ACCEPTED
    assert message.told[-1] == "duplicated"


def test_two_attempts_of_which_one_failed_are_no_duplicate() -> None:
    message = accepted().received(FAILED).retried().begun().settled(ACCEPTED_NOW)

    assert message.flags == set()
    assert message.told == ["accepted", "failed", "queued", "accepted"]


def test_evidence_for_the_first_attempt_takes_the_message_out_of_the_queue() -> None:
    message = unknown().retried().received(DELIVERED)

    assert message.status is Status.DELIVERED
    with pytest.raises(TooLate):
        message.begun()


@pytest.mark.parametrize("second", ["refused", "busy", "gave up", "unknown"])
def test_a_second_attempt_that_comes_to_nothing_leaves_a_message_that_arrived(second: str) -> None:
    message = resent().received(DELIVERED, attempt=1).settled(SETTLEMENTS[second], number=2)

    assert message.status is Status.DELIVERED
    assert Flag.DUPLICATED not in message.flags


@pytest.mark.parametrize("second", ["refused", "gave up", "unknown"])
def test_while_an_attempt_is_unknown_a_later_one_that_fails_leaves_the_message_held(
    second: str,
) -> None:
    message = resent().settled(SETTLEMENTS[second])

    assert message.status is Status.UNKNOWN
    assert message.error_code is None
    assert message.message.attempts[1].error == SETTLEMENTS[second].error
    wants = replace(message.message, on_unknown=OnUnknown.RETRY)
    assert not life.may_retry_by_itself(wants, now=START)


def test_users_are_told_once_that_a_message_is_unknown() -> None:
    message = resent().settled(UNKNOWN_NOW).settled(BUSY_FOR_TOO_LONG)

    assert message.status is Status.UNKNOWN
    assert message.outcomes == [Outcome.UNKNOWN, Outcome.BUSY]
    assert message.told == ["unknown", "queued", "unknown"]


def test_a_busy_second_attempt_is_tried_again_while_the_first_is_unknown() -> None:
    message = resent().settled(BUSY_NOW)

    assert (message.status, message.message.due_at) == (Status.QUEUED, LATER)


@pytest.mark.parametrize(
    ("first", "status"),
    [("refused", Status.FAILED), ("busy", Status.FAILED), ("accepted", Status.ACCEPTED)],
)
def test_the_last_doubt_that_goes_ends_the_hold(first: str, status: Status) -> None:
    message = resent().settled(BUSY_FOR_TOO_LONG).settled(SETTLEMENTS[first], number=1)

    assert message.status is status
    assert message.told[-1] == status


def test_a_failed_receipt_after_the_first_attempt_leaves_the_second_under_way() -> None:
    message = resent().received(FAILED, attempt=1)

    assert message.status is Status.SENDING
    assert message.told == ["unknown", "queued"]
    for too_late in (message.retried, message.cancelled):
        with pytest.raises(TooLate):
            too_late()


def test_users_are_told_that_a_message_which_was_unknown_is_queued_by_a_late_busy_answer() -> None:
    message = unknown().settled(BUSY_NOW, number=1)

    assert message.status is Status.QUEUED
    assert message.told == ["unknown", "queued"]
    assert message.cancelled().told == ["unknown", "queued", "cancelled"]


@pytest.mark.parametrize(
    ("second", "status"),
    [
        ("accepted", Status.ACCEPTED),
        ("refused", Status.FAILED),
        ("busy", Status.QUEUED),
        ("gave up", Status.FAILED),
        ("unknown", Status.UNKNOWN),
    ],
)
def test_once_the_first_attempt_failed_the_second_decides(second: str, status: Status) -> None:
    message = resent().received(FAILED, attempt=1).settled(SETTLEMENTS[second], number=2)

    assert message.status is status
    assert Flag.AFTER_FAILED not in message.flags


def test_a_failed_receipt_after_accepted_leaves_the_second_attempt_under_way() -> None:
    message = resent().settled(ACCEPTED_NOW, number=1).received(FAILED, attempt=1)

    assert message.status is Status.SENDING
    assert message.settled(REFUSED_NOW, number=2).status is Status.FAILED
    assert message.told == ["unknown", "queued", "accepted", "failed"]


def test_a_failed_receipt_leaves_a_message_queued_that_is_to_be_sent_again() -> None:
    message = unknown().retried().received(FAILED)

    assert (message.status, message.outcomes) == (Status.QUEUED, [Outcome.ACCEPTED])
    assert message.told == ["unknown", "queued"]


@pytest.mark.parametrize("second", ["under way", "unknown"])
def test_a_failed_receipt_is_no_evidence_that_two_attempts_arrived(second: str) -> None:
    message = resent()
    if second == "unknown":
        message.settled(UNKNOWN_NOW)
    message.received(SENT, attempt=1).received(FAILED, attempt=2)

    assert message.status is Status.SENT
    assert message.flags == {Flag.RESENT}
    assert message.told[-1] == "sent"


def test_a_failed_receipt_after_giving_up_changes_nothing_users_see() -> None:
    message = unknown().cancelled().received(FAILED)

    assert (message.status, message.error_code) == (Status.FAILED, "given_up")
    assert message.flags == set()
    assert message.told == ["unknown", "failed"]


def test_an_accepted_attempt_that_fails_leaves_the_doubt_about_an_earlier_one() -> None:
    message = resent().settled(ACCEPTED_NOW).received(FAILED, attempt=2)

    assert message.status is Status.UNKNOWN
    assert message.told[-1] == "unknown"


# Cancel, retry, expire

CANCELLABLE: dict[str, tuple[Callable[[], Life], Status, str | None]] = {
    "queued": (Life, Status.CANCELLED, None),
    "busy": (lambda: Life().begun().settled(BUSY_NOW), Status.CANCELLED, None),
    "failed and queued again": (
        lambda: Life().begun().settled(REFUSED_NOW).retried(),
        Status.CANCELLED,
        None,
    ),
    "unknown": (unknown, Status.FAILED, "given_up"),
    "unknown and queued again": (lambda: unknown().retried(), Status.FAILED, "given_up"),
}
ENDED_OR_ON_ITS_WAY: dict[str, Callable[[], Life]] = {
    "sending": lambda: Life().begun(),
    "accepted": accepted,
    "sent": lambda: accepted().received(SENT),
    "delivered": lambda: accepted().received(DELIVERED),
    "read": lambda: accepted().received(READ),
}
FAILED_LIVES: dict[str, Callable[[], Life]] = {
    "refused": lambda: Life().begun().settled(REFUSED_NOW),
    "undelivered": lambda: accepted().received(FAILED),
    "given up on": lambda: Life().begun().settled(BUSY_NOW).begun().settled(BUSY_FOR_TOO_LONG),
}
ENDED_IN_THE_QUEUE: dict[str, Callable[[], Life]] = {
    "cancelled": lambda: Life().cancelled(),
    "expired": lambda: Life(expires_at=NOW).expired(),
}


@pytest.mark.parametrize("which", CANCELLABLE)
def test_a_waiting_message_can_be_taken_back_an_unknown_one_only_given_up(which: str) -> None:
    make, status, error_code = CANCELLABLE[which]
    message = make().cancelled()

    assert (message.status, message.error_code) == (status, error_code)
    assert message.told[-1] == status


def test_cancelling_twice_changes_nothing() -> None:
    assert life.cancel(Life().cancelled().message) is None


@pytest.mark.parametrize("which", [*ENDED_OR_ON_ITS_WAY, *FAILED_LIVES, "expired"])
def test_what_is_on_its_way_or_has_ended_cannot_be_taken_back(which: str) -> None:
    message = (ENDED_OR_ON_ITS_WAY | FAILED_LIVES | ENDED_IN_THE_QUEUE)[which]().message

    with pytest.raises(TooLate) as caught:
        life.cancel(message)
    assert (caught.value.message_id, caught.value.status) == (message.id, message.status)


@pytest.mark.parametrize("which", [*FAILED_LIVES, "unknown", "given up"])
def test_a_failed_or_unknown_message_is_queued_anew(which: str) -> None:
    doubtful = {"unknown": unknown, "given up": lambda: unknown().cancelled()}
    message = (FAILED_LIVES | doubtful)[which]().retried()

    assert message.status is Status.QUEUED
    assert (message.message.due_at, message.message.first_due_at) == (NOW, NOW)
    assert message.message.tries == 0
    assert message.error_code is None
    assert message.told[-1] == "queued"
    assert message.flags == set()
    assert message.begun().flags == ({Flag.RESENT} if which in doubtful else set())


@pytest.mark.parametrize("which", [*ENDED_OR_ON_ITS_WAY, *ENDED_IN_THE_QUEUE, "queued"])
def test_nothing_else_is_sent_again(which: str) -> None:
    others = {"queued": Life}
    message = (ENDED_OR_ON_ITS_WAY | ENDED_IN_THE_QUEUE | others)[which]().message

    with pytest.raises(TooLate) as caught:
        life.retry(message, now=NOW)
    assert (caught.value.message_id, caught.value.status) == (message.id, message.status)


def test_a_message_given_up_is_held_to_be_sent_where_evidence_comes_later() -> None:
    message = unknown().cancelled().received(DELIVERED)

    assert message.status is Status.DELIVERED
    assert message.flags == {Flag.AFTER_FAILED}


def test_accepted_is_told_of_a_message_given_up_that_first_failed_and_then_arrived() -> None:
    message = unknown().cancelled().received(FAILED, SENT, DELIVERED)

    assert message.told == ["unknown", "failed", "accepted", "delivered"]


@pytest.mark.parametrize(
    ("on_unknown", "expected"), [(OnUnknown.HOLD, False), (OnUnknown.RETRY, True)]
)
def test_alir_sends_an_unknown_message_again_by_itself_only_where_it_may(
    on_unknown: OnUnknown, expected: bool
) -> None:
    message = unknown(on_unknown=on_unknown)

    assert life.may_retry_by_itself(message.message, now=START) is expected
    assert not life.may_retry_by_itself(message.retried().message, now=START)
    assert not life.may_retry_by_itself(message.begun().settled(UNKNOWN_NOW).message, now=START)


@pytest.mark.parametrize(
    ("expires_at", "expected"),
    [
        (None, False),
        (NOW + timedelta(milliseconds=1), False),
        (NOW, True),
        (NOW - timedelta(days=1), True),
    ],
)
def test_a_message_expires_at_its_moment(expires_at: datetime | None, expected: bool) -> None:
    message = Life(expires_at=expires_at).expired()

    assert message.status is (Status.EXPIRED if expected else Status.QUEUED)
    assert message.told == (["expired"] if expected else [])
    assert message.error_code == ("expired" if expected else None)


@pytest.mark.parametrize("which", ENDED_OR_ON_ITS_WAY | FAILED_LIVES)
def test_only_a_waiting_message_expires(which: str) -> None:
    message = (ENDED_OR_ON_ITS_WAY | FAILED_LIVES)[which]().message

    assert life.expire(replace(message, expires_at=START), now=NOW) is None


def test_expiry_while_an_attempt_is_unknown_leaves_the_message_unknown_and_held() -> None:
    over = NOW + timedelta(seconds=1)
    message = unknown(expires_at=over, on_unknown=OnUnknown.RETRY).retried()
    message.apply(life.expire(message.message, now=over))

    assert (message.status, message.error_code) == (Status.UNKNOWN, None)
    assert message.told == ["unknown", "queued", "unknown"]
    assert message.flags == set(), "it was not sent again"
    assert not life.may_retry_by_itself(message.message, now=over)
    with pytest.raises(TooLate, match="expires_at"):
        life.retry(message.message, now=over)


# A failed receipt that asks for more


AGAIN = life.Again(LATER)
AS_FALLBACK = life.Again(NOW, fallback=True)


def failed_again(message: Life, attempt: int = 1, again: life.Again = AGAIN) -> Life:
    message.apply(received(message.message, FAILED, attempt, again=again))
    return message


@pytest.mark.parametrize("which", ["under way", "accepted", "unknown"])
def test_a_failed_receipt_of_a_busy_kind_queues_the_message_again(which: str) -> None:
    message = failed_again(FOUND[which]())

    assert (message.status, message.message.due_at, message.message.tries) == (
        *(Status.QUEUED, LATER),
        1,
    )
    assert message.told[-2:] == ["accepted", "queued"]


def test_it_does_so_once_a_reason() -> None:
    message = failed_again(failed_again(accepted()).begun().settled(ACCEPTED_NOW), 2)

    assert message.status is Status.FAILED


def test_the_same_failed_receipt_twice_queues_it_once() -> None:
    message = failed_again(failed_again(accepted()))

    assert message.told == ["accepted", "queued"]
    assert failed_again(message.begun()).status is Status.SENDING


def test_what_has_arrived_is_not_sent_again() -> None:
    assert failed_again(accepted().received(DELIVERED)).status is Status.DELIVERED


def test_it_is_not_sent_again_where_a_receipt_says_that_a_busy_attempt_arrived() -> None:
    busy = Life().begun().settled(BUSY_NOW).begun().received(SENT, attempt=1)
    message = failed_again(busy, 2)

    assert message.status is Status.SENT


def test_it_is_not_sent_again_where_an_earlier_attempt_may_have_arrived() -> None:
    message = failed_again(resent().settled(ACCEPTED_NOW), 2)

    assert message.status is Status.UNKNOWN


@pytest.mark.parametrize("how", ["answer", "receipt", "the same receipt twice"])
def test_the_fallback_goes_out_once_where_the_window_is_shut(how: str) -> None:
    message = Life(fallback=TEMPLATE).begun()
    if how == "answer":
        message.settled(REFUSED_NOW._replace(window_shut=True))
    else:
        failed_again(message.settled(ACCEPTED_NOW), again=AS_FALLBACK)
    if how == "the same receipt twice":
        failed_again(message, again=AS_FALLBACK)

    assert (message.status, message.flags) == (Status.QUEUED, {Flag.FALLBACK})
    assert message.message.as_template == TEMPLATE
    message.begun().settled(REFUSED_NOW._replace(window_shut=True))
    assert message.status is Status.FAILED, "a template is never refused for it; once is enough"


def test_the_fallback_goes_out_at_once_where_the_window_is_known_to_be_shut() -> None:
    message = Life(fallback=TEMPLATE)
    begun = life.begin(message.message, now=NOW, window_shut=True).message

    assert begun.as_template == TEMPLATE
    assert life.begin(message.message, now=NOW).message.as_template is None
    assert life.begin(Life().message, now=NOW, window_shut=True).message.flags == ()


def test_without_a_fallback_a_shut_window_is_a_refusal() -> None:
    message = Life().begun().settled(REFUSED_NOW._replace(window_shut=True))

    assert message.status is Status.FAILED


def test_a_receipt_teaches_whatsapps_own_id() -> None:
    message = Life().begun().settled(ACCEPTED_NOW._replace(provider_id=ProviderId("request-1")))
    receipt = Receipt(attempt=1, status=SENT, at=START)
    change = life.receive(
        message.message, receipt, now=NOW, provider_id=None, wamid=ProviderId("wamid.9")
    )

    assert change is not None
    attempt = change.message.attempts[0]
    assert (attempt.provider_id, attempt.whatsapp_id) == ("request-1", "wamid.9")


@pytest.mark.parametrize("told", [[], [SENT]], ids=["answer first", "receipt first"])
def test_a_request_id_of_the_provider_is_given_to_callers(told: list[ReceiptStatus]) -> None:
    answer = ACCEPTED_NOW._replace(request_id="request-1")
    message = Life().begun().received(*told).settled(answer)

    assert message.message.request_id == "request-1"
    assert (other := accepted().message).request_id == other.id


# Records that were lost, as with a backup that was restored

#: Where a message may stand in a backup, none of its attempts under way.
IN_A_BACKUP: dict[str, Callable[..., Life]] = {
    "queued": Life,
    "queued again": lambda: Life().begun().settled(BUSY_NOW),
    "unknown": unknown,
    "cancelled since": lambda: Life().cancelled(),
}


@pytest.mark.parametrize("found", IN_A_BACKUP)
@pytest.mark.parametrize("ahead", [1, 3])
def test_a_receipt_that_names_an_attempt_that_is_not_there_keeps_the_message_from_being_sent_again(
    found: str, ahead: int
) -> None:
    before = IN_A_BACKUP[found]()
    before.told.clear()
    number = len(before.message.attempts) + ahead
    message = before.received(DELIVERED, attempt=number)

    assert message.status is Status.DELIVERED
    assert message.told == ["accepted", "delivered"]
    *_, named = message.outcomes
    assert (named, len(message.outcomes)) == (Outcome.ACCEPTED, number)
    with pytest.raises(TooLate):
        message.begun()


def test_the_lost_attempts_before_the_one_that_a_receipt_names_are_unknown() -> None:
    message = Life().received(SENT, attempt=3).message

    assert [a.outcome for a in message.attempts] == [
        *(Outcome.UNKNOWN, Outcome.UNKNOWN, Outcome.ACCEPTED)
    ]
    first = message.attempts[0]
    assert first.error is not None
    assert (first.error["code"], first.begun_at) == ("record_lost", START)


def test_a_failed_receipt_of_a_lost_attempt_changes_nothing() -> None:
    assert received(Life().message, FAILED) is None


def test_nothing_is_taken_for_lost_while_an_attempt_is_under_way_or_from_a_mark_without_sense() -> (
    None
):
    assert received(Life().begun().message, SENT, attempt=2) is None
    assert received(resent().received(SENT).message, SENT, attempt=3) is None
    assert received(Life().message, SENT, attempt=MOST_LOST) is not None
    assert received(Life().message, SENT, attempt=MOST_LOST + 1) is None


# What was decided about an unknown attempt, for operators

DECIDED: dict[str, tuple[Callable[[Message], Change | None], Decision | None]] = {
    "a receipt": (lambda m: received(m, SENT), Decision.MARK),
    "the answer": (lambda m: life.settle(m, 1, ACCEPTED_NOW, now=NOW), Decision.ANSWER),
    "a busy answer": (lambda m: life.settle(m, 1, BUSY_NOW, now=NOW), Decision.ANSWER),
    "retry": (lambda m: life.retry(m, now=NOW), Decision.RETRIED),
    "cancel": (life.cancel, Decision.GIVEN_UP),
}


@pytest.mark.parametrize("deed", DECIDED)
def test_a_change_says_what_it_decides_about_an_unknown_attempt(deed: str) -> None:
    decide, decision = DECIDED[deed]
    change = decide(unknown().message)

    assert change is not None
    assert change.decision is decision


def test_what_decides_about_no_unknown_attempt_says_nothing_of_the_kind() -> None:
    begun, refused = Life().begun().message, Life().begun().settled(REFUSED_NOW).message
    for change in (
        received(begun, SENT),
        received(accepted().message, DELIVERED),
        life.settle(begun, 1, UNKNOWN_NOW, now=NOW),
        life.settle(begun, 1, ACCEPTED_NOW, now=NOW),
        life.cancel(Life().message),
        life.retry(refused, now=NOW),
    ):
        assert change is not None
        assert change.decision is None


# Any life at all

_SILENT = {Status.SENDING, Status.QUEUED}
_ENDS = {Status.FAILED, Status.UNKNOWN}
_MORE = {Status.SENT, Status.DELIVERED, Status.READ}
#: What may follow upon what. Nothing is sent or delivered that was not told to be accepted, or
#: failed, before.
_ARROWS: dict[Status, set[Status]] = {
    Status.QUEUED: {
        *(Status.SENDING, Status.ACCEPTED, Status.CANCELLED, Status.EXPIRED),
        *_ENDS,
        *_MORE,  # here and below: of an attempt that was told to be accepted before
    },
    Status.SENDING: {Status.QUEUED, Status.ACCEPTED, *_ENDS, *_MORE},
    Status.ACCEPTED: _MORE,
    Status.SENT: {Status.DELIVERED, Status.READ},
    Status.DELIVERED: {Status.READ},
    Status.READ: set(),
    Status.UNKNOWN: {Status.QUEUED, Status.ACCEPTED, Status.FAILED, *_MORE},
    Status.FAILED: {Status.QUEUED, Status.ACCEPTED, *_MORE},
    Status.CANCELLED: {Status.ACCEPTED, *_MORE},
    Status.EXPIRED: {Status.ACCEPTED, *_MORE},
}
#: A failed receipt for the furthest attempt takes a message to where its other attempts stand.
_ARROWS_BACK: dict[Status, set[Status]] = {
    Status.ACCEPTED: {Status.SENDING, Status.QUEUED, *_ENDS},
    Status.SENT: {Status.SENDING, Status.QUEUED, Status.ACCEPTED, *_ENDS},
}


def assert_change_is_sound(before: Message, change: Change) -> None:
    """What must hold of every change of every message."""
    after = change.message
    assert len(after.attempts) >= len(before.attempts)
    assert after.receipts[: len(before.receipts)] == before.receipts
    assert set(before.flags) <= set(after.flags)
    for old, new in zip(before.attempts, after.attempts, strict=False):
        if old.outcome not in (None, Outcome.UNKNOWN):
            assert new._replace(provider_id=old.provider_id) == old, "settled once"
        assert new.outcome is not None or old.outcome is None
    failed = any(r.status is FAILED for r in after.receipts[len(before.receipts) :])
    stands = before.status
    for event in change.events:
        if event.name == Flag.DUPLICATED:
            assert Flag.DUPLICATED not in before.flags
            assert Flag.DUPLICATED in event.message.flags
        else:
            assert event.message.status == event.name, "the snapshot is of that moment"
            assert event.message.status in _after(stands, failed=failed)
            stands = event.message.status
    if after.status is not stands:
        assert after.status in _after(stands, failed=failed)
        assert after.status in _SILENT, "users are told of every other status"


def _after(status: Status, *, failed: bool) -> set[Status]:
    return _ARROWS[status] | (_ARROWS_BACK.get(status, set()) if failed else set())


def assert_message_is_sound(message: Message) -> None:
    """What must hold of every message at any moment."""
    standings = [standing(message, attempt) for attempt in message.attempts]
    arrived = [s for s in standings if s in ARRIVED]
    under_way = [a.number for a in message.attempts if a.outcome is None]
    assert [a.number for a in message.attempts] == list(range(1, len(message.attempts) + 1))
    assert len({(r.attempt, r.status) for r in message.receipts}) == len(message.receipts)
    assert set(under_way) <= {len(message.attempts)}, "only the latest can be under way"
    if arrived:
        order = list(Status)
        assert message.status is max(arrived, key=order.index), "where the furthest stands"
    elif under_way:
        assert message.status is Status.SENDING
    else:
        assert message.status not in {Status.SENDING, *ARRIVED}
        if Status.UNKNOWN in standings:
            held = message.status is Status.UNKNOWN
            queued = message.status is Status.QUEUED
            given_up = message.error is not None and message.error["code"] == "given_up"
            assert held or queued or given_up
        else:
            assert message.status is not Status.UNKNOWN, "held for a doubt that is gone"
    if len(arrived) > 1:
        assert Flag.DUPLICATED in message.flags
    if message.error is not None:
        assert message.status in {Status.FAILED, Status.EXPIRED}


# What leaves most open is drawn most often: a message that was read has little left to live.
_settlements = st.sampled_from(["unknown", "unknown", *SETTLEMENTS])
_receipts = st.sampled_from([FAILED, FAILED, SENT, DELIVERED, READ])
_earlier = st.sampled_from([0, 0, 1, 2])
_again = st.sampled_from([None, "as it was", "fallback"])


@settings(max_examples=200, stateful_step_count=30, deadline=None)
class AnyLife(RuleBasedStateMachine):
    """Random things happen to one message, in any order that the gateway lets them happen."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.told: list[str] = []
        self.two_arrived = False
        self.expires_at = START + timedelta(minutes=10)
        self.message = a_message(
            on_unknown=OnUnknown.RETRY, expires_at=self.expires_at, fallback=TEMPLATE
        )

    def apply(self, change: Change | None) -> None:
        if change is None:
            return
        assert_change_is_sound(self.message, change)
        self.message = change.message
        self.told += [event.name for event in change.events]
        arrived = [standing(self.message, a) in ARRIVED for a in self.message.attempts]
        self.two_arrived = self.two_arrived or sum(arrived) > 1

    @rule(seconds=st.integers(1, 200))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.message.status is Status.QUEUED)
    @rule(shut=st.booleans())
    def it_is_begun(self, shut: bool) -> None:
        doubtful = any(standing(self.message, a) is Status.UNKNOWN for a in self.message.attempts)
        lapse = life.expire(self.message, now=self.now)
        self.apply(lapse or life.begin(self.message, now=self.now, window_shut=shut))
        assert lapse or not doubtful or Flag.RESENT in self.message.flags

    @precondition(lambda self: self.message.attempts)
    @rule(settlement=_settlements, earlier=_earlier)
    def an_answer_comes(self, settlement: str, earlier: int) -> None:
        number = max(1, len(self.message.attempts) - earlier)
        answer = SETTLEMENTS[settlement]
        if answer.provider_id is not None:
            answer = answer._replace(provider_id=ProviderId(f"wamid.{number}"))
        self.apply(life.settle(self.message, number, answer, now=self.now))
        assert life.settle(self.message, number, answer, now=self.now) is None

    @precondition(lambda self: self.message.attempts)
    @rule(status=_receipts, earlier=_earlier, again=_again)
    def a_receipt_comes(self, status: ReceiptStatus, earlier: int, again: str | None) -> None:
        number = max(1, len(self.message.attempts) - earlier)
        wanted = None if again is None else life.Again(self.now, fallback=again == "fallback")
        may_have_arrived = any(
            standing(self.message, a) in {*ARRIVED, Status.UNKNOWN, None}
            and a.outcome is not Outcome.BUSY
            for a in self.message.attempts[:-1]
        )
        was = self.message.status
        self.apply(received(self.message, status, number, again=wanted))
        if self.message.status is Status.QUEUED and was is not Status.QUEUED:
            assert not may_have_arrived, "queued again though an attempt may have arrived"
        assert received(self.message, status, number, again=wanted) is None, "twice changes nothing"

    @rule(status=_receipts, ahead=st.integers(1, 2))
    def a_receipt_names_an_attempt_that_is_not_there(
        self, status: ReceiptStatus, ahead: int
    ) -> None:
        number = len(self.message.attempts) + ahead
        is_under_way = any(attempt.outcome is None for attempt in self.message.attempts)
        change = received(self.message, status, number)
        assert (change is None) is (is_under_way or status is FAILED)
        self.apply(change)

    @precondition(lambda self: self.message.attempts)
    @rule()
    def somebody_cancels(self) -> None:
        try:
            self.apply(life.cancel(self.message))
        except TooLate:
            assert self.message.status not in {Status.QUEUED, Status.UNKNOWN, Status.CANCELLED}

    @rule()
    def somebody_retries(self) -> None:
        try:
            self.apply(life.retry(self.message, now=self.now))
        except TooLate:
            is_over = self.now >= self.expires_at
            assert is_over or self.message.status not in {Status.FAILED, Status.UNKNOWN}

    @precondition(lambda self: life.may_retry_by_itself(self.message, now=self.now))
    @rule()
    def alir_retries(self) -> None:
        assert Flag.RESENT not in self.message.flags
        self.apply(life.retry(self.message, now=self.now))

    @rule()
    def it_may_expire(self) -> None:
        self.apply(life.expire(self.message, now=self.now))

    @invariant()
    def it_is_sound(self) -> None:
        assert_message_is_sound(self.message)
        assert (Flag.DUPLICATED in self.message.flags) is self.two_arrived
        assert self.told.count(Flag.DUPLICATED) == int(self.two_arrived)


test_no_life_at_all_breaks_a_rule = AnyLife.TestCase
