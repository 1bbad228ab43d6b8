"""A message's life: pure decisions about what may happen to it and what that makes of it.

```
queued ─► sending ─► accepted ─► sent ─► delivered ─► read
   │         ├─► unknown ─ evidence ─► where the evidence says;  retry ─► queued;  cancel ─► failed
   │         ├─► queued again (busy), later
   │         └─► failed (refused)            accepted … ─► failed (failed receipt)
   └─► cancelled | expired
```

Every function takes the message as it stands and answers with a `Change`, or with None where
nothing changes. Nothing here reads a clock, draws a random number or does I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from alir.errors import TooLate
from alir.ids import ProviderId
from alir.messages import limits
from alir.messages.lost import with_lost
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
from alir.messages.standing import ARRIVED, NOT_YET_ARRIVED, has_unknown, standing, status_of


class Happened(NamedTuple):
    """Something users are told of: `message.{name}`, with the message as it stood then."""

    name: str
    message: Message


class Change(NamedTuple):
    """What became of a message, and what users are told, in order.

    Attributes:
        decision: what that decides about an attempt that was unknown, for operators.
    """

    message: Message
    events: tuple[Happened, ...] = ()
    decision: Decision | None = None


class Settlement(NamedTuple):
    """What an attempt came to, as its provider's answer says (or the lack of one).

    Attributes:
        request_id: what callers get as `request_id`, where it is the provider's.
        error: for all but accepted: `{"code", "provider_code", "title", "detail"}`.
        due_at: for busy: when to try again; none: no more, the message is given up.
        parked: for busy: where it waits for its turn, in the place in line that `due_at` says.
        window_shut: for refused: a template would have been taken.
    """

    outcome: Outcome
    provider_id: ProviderId | None = None
    wa_id: str | None = None
    error: Mapping[str, Any] | None = None
    due_at: datetime | None = None
    request_id: str | None = None
    window_shut: bool = False
    parked: str | None = None


class Again(NamedTuple):
    """What a failed receipt asks for: that the message goes out once more.

    Attributes:
        due_at: when.
        fallback: as its fallback template; else as it was.
        parked: where it waits for its turn, in the place in line that `due_at` says.
    """

    due_at: datetime
    fallback: bool = False
    parked: str | None = None


GAVE_UP = "gave_up"  #: the provider stayed busy for too long
GIVEN_UP = "given_up"  #: somebody cancelled a message whose outcome is unknown
EXPIRED = "expired"

#: Where a message stands whose latest attempt the provider says it did not take.
_MAY_WAIT_AGAIN = frozenset({Status.SENDING, Status.QUEUED, Status.UNKNOWN})

#: Where a message stands of which an attempt may still come to something.
_UNDER_WAY = frozenset({Status.SENDING, Status.ACCEPTED, Status.SENT, Status.UNKNOWN})
#: Receipts that show that a message is on a phone.
_EVIDENCE = frozenset({ReceiptStatus.DELIVERED, ReceiptStatus.READ})


def error(
    code: str, title: str, *, provider_code: str | None = None, detail: str | None = None
) -> dict[str, Any]:
    """The one shape of an error in messages, attempts and receipts.

    Attributes of the answer: `code` is alir's and never renamed; `provider_code` the provider's.

    Args:
        detail: more about it, of any length; kept are `limits.DETAIL` characters.
    """
    detail = None if detail is None else detail[: limits.DETAIL]
    return {"code": code, "provider_code": provider_code, "title": title, "detail": detail}


def begin(message: Message, *, now: datetime, window_shut: bool = False) -> Change:
    """The message with a new attempt, which may be handed to the provider once this is on disk.

    Args:
        window_shut: the person last wrote too long ago, so that a fallback goes out.

    Raises:
        TooLate: it is not queued.
    """
    if message.status is not Status.QUEUED:
        raise _too_late(message, "begun")
    attempt = Attempt(number=len(message.attempts) + 1, begun_at=now)
    begun = message.but(status=Status.SENDING, parked=None, attempts=(*message.attempts, attempt))
    if message.attempts and has_unknown(message):
        begun = begun.but(flags=_flagged(begun, Flag.RESENT))
    if window_shut and message.fallback is not None:
        begun = begun.but(flags=_flagged(begun, Flag.FALLBACK))
    return Change(begun)


def park(message: Message, place: str) -> Change:
    """The queued message, waiting for its turn there: its recipient or its Flow must wait."""
    return Change(message.but(parked=place))


def settle(
    message: Message, number: int, settlement: Settlement, *, now: datetime
) -> Change | None:
    """The message once attempt `number` came to `settlement`.

    An attempt is settled once; unknown counts as not settled. After a receipt has settled it,
    the provider's answer only adds what the receipt did not say. Only the latest attempt's
    answer queues the message again or ends it.
    """
    attempt = message.attempt(number)
    if attempt is None:
        return None
    if attempt.outcome is not None and attempt.outcome is not Outcome.UNKNOWN:
        return _completed(message, attempt, settlement)
    if attempt.outcome is settlement.outcome:
        return None
    change = _settled(message, attempt, settlement, now)
    return change if attempt.outcome is None else change._replace(decision=Decision.ANSWER)


def _settled(message: Message, attempt: Attempt, settlement: Settlement, now: datetime) -> Change:
    number = attempt.number
    settled = Attempt(
        number=number,
        begun_at=attempt.begun_at,
        settled_at=now,
        outcome=settlement.outcome,
        provider_id=settlement.provider_id or attempt.provider_id,
        error=settlement.error,
    )
    after = message.but(
        wa_id=message.wa_id or settlement.wa_id,
        provider_request_id=settlement.request_id or message.provider_request_id,
        attempts=_with(message.attempts, settled),
    )
    latest = number == len(message.attempts)
    if latest and message.status in _MAY_WAIT_AGAIN:
        if settlement.outcome is Outcome.BUSY:
            return _busy(after, settlement)
        if settlement.window_shut and _can_fall_back(after) and not has_unknown(after):
            return _waits_again(message, _fallen_back(after, due_at=now))
    return _moved(message, after, reason=settlement.error)


def receive(
    message: Message,
    receipt: Receipt,
    *,
    now: datetime,
    provider_id: ProviderId | None,
    wa_id: str | None = None,
    wamid: ProviderId | None = None,
    again: Again | None = None,
) -> Change | None:
    """The message once `receipt` is known.

    Receipts come late, twice, out of order and before the provider's own answer: a receipt for
    an attempt that is not settled is its answer, and users are told that it was accepted before
    they are told more. One that is known already changes nothing; one that does not move the
    message is kept, and nobody is told. One for an attempt that is not there says that its begin
    was lost, as with a backup that was restored: see `with_lost`.

    Args:
        wamid: WhatsApp's id of the message, where the provider has another one of its own.
        again: where it says that the message failed: that it is queued once more, if it may be.
    """
    attempt = message.attempt(receipt.attempt)
    if attempt is None:
        message = with_lost(message, receipt)
        attempt = message.attempt(receipt.attempt)
    if attempt is None:
        return None
    was_unknown = attempt.outcome is Outcome.UNKNOWN
    is_answer = was_unknown or attempt.outcome is None
    if not is_answer and _is_known(message, receipt):
        return None
    before = message.but(wa_id=message.wa_id or wa_id)
    if is_answer:
        attempt = attempt._replace(
            settled_at=now,
            outcome=Outcome.ACCEPTED,
            provider_id=provider_id or attempt.provider_id,
            error=None,
        )
    if wamid is not None and attempt.provider_id != wamid:
        attempt = attempt._replace(wamid=wamid)
    before = before.but(attempts=_with(message.attempts, attempt))
    after = before.but(receipts=(*before.receipts, receipt))
    if again is not None and _may_go_again(message, receipt, again):
        change = _again(after, again)
    else:
        change = _moved(message, after, reason=receipt.error)
        if receipt.status in _EVIDENCE and standing(message, attempt) is Status.FAILED:
            change = with_flag(change, Flag.AFTER_FAILED)
    if was_unknown:
        change = change._replace(decision=Decision.MARK)
    if _was_told_accepted(message, is_answer=is_answer) or not change.events:
        return change
    accepted = before.but(status=Status.ACCEPTED, error=None, flags=change.message.flags)
    return change._replace(events=(*_told(accepted, Status.ACCEPTED).events, *change.events))


def cancel(message: Message) -> Change | None:
    """The message taken back; None where it already is.

    An attempt whose outcome is unknown may have arrived, so such a message ends as failed
    (`given_up`), never as cancelled.

    Raises:
        TooLate: it is being sent, or has ended.
    """
    if message.status is Status.CANCELLED:
        return None
    if message.status is Status.UNKNOWN or (
        message.status is Status.QUEUED and has_unknown(message)
    ):
        reason = error(GIVEN_UP, "Given up while it was unknown whether it had arrived")
        given_up = _told(message.but(status=Status.FAILED, error=reason), Status.FAILED)
        return given_up._replace(decision=Decision.GIVEN_UP)
    if message.status is Status.QUEUED:
        return _told(message.but(status=Status.CANCELLED), Status.CANCELLED)
    raise _too_late(message, "cancelled")


def retry(message: Message, *, now: datetime) -> Change:
    """A failed or unknown message, queued once more; its next attempt says if that is a risk.

    Raises:
        TooLate: it is neither failed nor unknown, or `expires_at` has passed.
    """
    if message.status in (Status.QUEUED, Status.SENDING):
        raise TooLate(
            f"The message is {message.status.value}: it is on its way as it is.",
            message_id=message.id,
            status=message.status.value,
        )
    if message.status not in (Status.FAILED, Status.UNKNOWN):
        raise _too_late(message, "sent again")
    if _has_expired(message, now):
        raise TooLate(
            "The message's expires_at has passed: it can no longer be sent again.",
            message_id=message.id,
            status=message.status.value,
        )
    queued = _told(
        message.but(
            status=Status.QUEUED, parked=None, due_at=now, first_due_at=now, tries=0, error=None
        ),
        Status.QUEUED,
    )
    return queued._replace(decision=Decision.RETRIED) if has_unknown(message) else queued


def may_retry_by_itself(message: Message, *, now: datetime) -> bool:
    """Whether alir may send an unknown message once more without being asked.

    Once only: a second unknown is held.
    """
    return (
        message.status is Status.UNKNOWN
        and message.on_unknown is OnUnknown.RETRY
        and Flag.RESENT not in message.flags
        and not _has_expired(message, now)
    )


def expire(message: Message, *, now: datetime) -> Change | None:
    """The message once `expires_at` has passed while it was queued; None where it has not."""
    if message.status is not Status.QUEUED or not _has_expired(message, now):
        return None
    return _ended(message, Status.EXPIRED, error(EXPIRED, "Not sent before `expires_at`"))


def _busy(after: Message, settlement: Settlement) -> Change:
    """Queued again for later, or given up."""
    if settlement.due_at is None:
        busy = settlement.error or {}
        reason = error(
            GAVE_UP,
            "The provider stayed busy for too long",
            provider_code=busy.get("provider_code"),
            detail=busy.get("detail"),
        )
        return _ended(after, Status.FAILED, reason)
    waits = after.but(
        status=Status.QUEUED,
        due_at=settlement.due_at,
        parked=settlement.parked,
        tries=after.tries + 1,
    )
    return _waits_again(after, waits)


def _waits_again(before: Message, queued: Message) -> Change:
    """Queued again. To its user it was all along, unless an answer came after it was unknown."""
    if before.status is Status.UNKNOWN:
        return _told(queued, Status.QUEUED)
    return Change(queued)


def _can_fall_back(message: Message) -> bool:
    return message.fallback is not None and Flag.FALLBACK not in message.flags


def _fallen_back(message: Message, *, due_at: datetime) -> Message:
    """Queued again, to go out as its fallback template."""
    flags = _flagged(message, Flag.FALLBACK)
    return message.but(status=Status.QUEUED, due_at=due_at, error=None, flags=flags)


def _may_go_again(message: Message, receipt: Receipt, again: Again) -> bool:
    """Whether a failed receipt may queue its message again: once a reason, and safely.

    Safely: the attempt is the latest, has not come further than sent, and none before it may have
    arrived.
    """
    *earlier, latest = message.attempts
    if receipt.status is not ReceiptStatus.FAILED or receipt.attempt != latest.number:
        return False
    if message.status not in _UNDER_WAY or standing(message, latest) not in NOT_YET_ARRIVED:
        return False
    for attempt in earlier:
        stood = standing(message, attempt)
        # Of one that the provider called busy a receipt may say that it was sent all the same.
        is_busy = stood is None and attempt.outcome is Outcome.BUSY
        if not is_busy and stood is not Status.FAILED:
            return False
    if again.fallback:
        return _can_fall_back(message)
    return not any(
        known.status is ReceiptStatus.FAILED and _reason(known) == _reason(receipt)
        for known in message.receipts
    )


def _reason(receipt: Receipt) -> object:
    return (receipt.error or {}).get("provider_code")


def _again(after: Message, again: Again) -> Change:
    if again.fallback:
        return _told(_fallen_back(after, due_at=again.due_at), Status.QUEUED)
    queued = after.but(
        status=Status.QUEUED,
        due_at=again.due_at,
        parked=again.parked,
        tries=after.tries + 1,
        error=None,
    )
    return _told(queued, Status.QUEUED)


def _ended(message: Message, status: Status, reason: Mapping[str, Any]) -> Change:
    """Ended without arriving, but for the doubt that an unknown attempt leaves."""
    if not has_unknown(message):
        return _told(message.but(status=status, error=reason), status)
    if message.status is Status.UNKNOWN:
        return Change(message)
    return _told(message.but(status=Status.UNKNOWN), Status.UNKNOWN)


def _completed(message: Message, attempt: Attempt, settlement: Settlement) -> Change | None:
    """A settled attempt, with the ids that only this answer knew."""
    provider_id = attempt.provider_id or settlement.provider_id
    completed = message.but(
        wa_id=message.wa_id or settlement.wa_id,
        provider_request_id=message.provider_request_id or settlement.request_id,
        attempts=_with(message.attempts, attempt._replace(provider_id=provider_id)),
    )
    return None if completed == message else Change(completed)


def _moved(before: Message, after: Message, *, reason: Mapping[str, Any] | None) -> Change:
    """`after`, standing where its furthest attempt stands, with what users are told of it."""
    stands = [standing(after, attempt) for attempt in after.attempts]
    status = status_of(before, after, stands)
    if status is not before.status:
        failed = status is Status.FAILED
        after = after.but(status=status, error=reason if failed else None)
        if before.status is Status.FAILED:
            after = after.but(flags=_flagged(after, Flag.AFTER_FAILED))
    arrivals = sum(stood in ARRIVED for stood in stands) if len(stands) > 1 else 0
    duplicated = arrivals > 1 and Flag.DUPLICATED not in after.flags
    if duplicated:
        after = after.but(flags=_flagged(after, Flag.DUPLICATED))
    events: tuple[Happened, ...] = ()
    # Back to sending: what becomes of the attempt under way is told, not that it is.
    if status not in (before.status, Status.SENDING):
        events += (Happened(status.value, after),)
    if duplicated:
        events += (Happened(Flag.DUPLICATED, after),)
    return Change(after, events)


def _has_expired(message: Message, now: datetime) -> bool:
    return message.expires_at is not None and message.expires_at <= now


def with_flag(change: Change, flag: str) -> Change:
    """The change, its message and what is told of it flagged so."""
    after = change.message.but(flags=_flagged(change.message, flag))
    told = (h._replace(message=h.message.but(flags=after.flags)) for h in change.events)
    return change._replace(message=after, events=tuple(told))


def _was_told_accepted(message: Message, *, is_answer: bool) -> bool:
    """Whether users were told already that a provider took it.

    Of an attempt whose answer was a failed receipt they may not have been: rather twice than never.
    So too where the message had been given up: then nobody was told of that receipt.
    """
    was_given_up = message.error is not None and message.error["code"] == GIVEN_UP
    return (
        message.status in ARRIVED
        or (message.status is Status.FAILED and not is_answer and not was_given_up)
        or any(standing(message, attempt) in ARRIVED for attempt in message.attempts)
        or any(_stood_as_sent(message, known) for known in message.receipts)
    )


def _stood_as_sent(message: Message, receipt: Receipt) -> bool:
    """Whether an attempt stood as sent, or more, by this receipt: unless it had failed by then."""
    if receipt.status is ReceiptStatus.FAILED:
        return False
    earlier = message.receipts[: message.receipts.index(receipt)]
    return not any(
        known.attempt == receipt.attempt and known.status is ReceiptStatus.FAILED
        for known in earlier
    )


def _is_known(message: Message, receipt: Receipt) -> bool:
    return any(
        known.attempt == receipt.attempt and known.status is receipt.status
        for known in message.receipts
    )


def _with(attempts: tuple[Attempt, ...], attempt: Attempt) -> tuple[Attempt, ...]:
    return (*attempts[: attempt.number - 1], attempt, *attempts[attempt.number :])


def _flagged(message: Message, flag: str) -> tuple[str, ...]:
    return message.flags if flag in message.flags else (*message.flags, flag)


def _told(message: Message, status: Status) -> Change:
    return Change(message, (Happened(status.value, message),))


def _too_late(message: Message, deed: str) -> TooLate:
    return TooLate(
        f"The message is {message.status.value}: it can no longer be {deed}.",
        message_id=message.id,
        status=message.status.value,
    )
