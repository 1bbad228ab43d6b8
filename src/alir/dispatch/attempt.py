"""What an attempt came to, and when to try again: pure decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from alir.dispatch.places import place_held_by
from alir.errors import (
    OutcomeUnknown,
    PauseAsked,
    PauseScope,
    ProviderBusy,
    ProviderRefused,
    SendFailure,
)
from alir.messages import life
from alir.messages.life import Again, Settlement
from alir.messages.model import Message, Outcome, ReceiptStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class BusyPolicy:
    """When a message that a busy provider did not take is tried again.

    Attributes:
        first_delay: the first wait; it doubles with each try.
        longest_delay: no wait is longer, but for what the provider asks.
        give_up_after: counted from when the message was first due.
    """

    first_delay: timedelta = timedelta(seconds=1)
    longest_delay: timedelta = timedelta(minutes=5)
    give_up_after: timedelta = timedelta(hours=24)


#: How long a message of a Flow waits that nobody knows when will be sent again.
LOOK_AGAIN = timedelta(minutes=5)
#: Where a whole sender stands still, a refused message goes so far behind what else waits, at most:
#: once the sender is well again nothing waits longer than this.
LONGEST_BEHIND = timedelta(seconds=30)
#: How far behind the first that is let through it goes, at most.
BEHIND_THE_FIRST = timedelta(seconds=1)
#: A provider that asks for a longer wait is asked again after this.
LONGEST_ASKED = timedelta(hours=1)


def next_delay(
    tries: int, *, policy: BusyPolicy, jitter: float, asked: timedelta | None = None
) -> timedelta:
    """How long to wait before a message is tried again.

    The wait doubles from `first_delay` to `longest_delay`; half of it is fixed and half is jitter,
    so that messages which failed together do not come back together. A provider that asks for
    longer is obeyed, up to `LONGEST_ASKED`.

    Args:
        tries: how often it was queued again before, from 0.
        jitter: in [0, 1), drawn by the caller.
        asked: the provider's `Retry-After`, if it sent one.

    Source:
        Retry-After: RFC 9110, section 10.2.3.

    >>> next_delay(0, policy=BusyPolicy(), jitter=0.0)
    datetime.timedelta(microseconds=500000)
    >>> next_delay(40, policy=BusyPolicy(), jitter=0.0)
    datetime.timedelta(seconds=150)
    """
    # 2 to the 32 seconds are longer than any policy; more would only overflow.
    doubled = min(policy.first_delay * (1 << min(tries, 32)), policy.longest_delay)
    delay = doubled / 2 * (1 + jitter)
    return delay if asked is None else max(delay, min(asked, LONGEST_ASKED))


def settlement_of(
    failure: SendFailure,
    message: Message,
    *,
    policy: BusyPolicy,
    now: datetime,
    jitter: float,
    opens_at: datetime | None = None,
) -> Settlement:
    """What an attempt came to that its provider did not confirm.

    Args:
        opens_at: when what the failure pauses lets one through; none: nobody knows.
    """
    error = life.error(
        failure.code,
        failure.title,
        provider_code=failure.provider_code,
        detail=failure.details,
    )
    match failure:
        case ProviderBusy() if _tried_enough(failure, message):
            return Settlement(outcome=Outcome.REFUSED, error=error)
        case ProviderBusy(pauses=None):
            delay = next_delay(
                message.tries, policy=policy, jitter=jitter, asked=failure.retry_after
            )
            due_at = _due(message, now + delay, policy, now)
            return Settlement(outcome=Outcome.BUSY, error=error, due_at=due_at)
        case ProviderBusy(pauses=PauseAsked() as asked):
            delay = next_delay(message.tries, policy=policy, jitter=jitter)
            wanted = due_after_pause(asked, opens_at, now=now, delay=delay)
            due_at = _due_again(asked, message, wanted, policy, now)
            parked = None if due_at is None else place_held_by(asked.scope, message)
            if parked is not None:
                due_at = message.due_at  # nobody who waits there shall pass it
            return Settlement(outcome=Outcome.BUSY, error=error, due_at=due_at, parked=parked)
        case ProviderRefused(window_shut=shut):
            return Settlement(outcome=Outcome.REFUSED, error=error, window_shut=shut)
        case OutcomeUnknown():
            return Settlement(outcome=Outcome.UNKNOWN, error=error)
        case _:
            return Settlement(outcome=Outcome.REFUSED, error=error)


def due_after_pause(
    asked: PauseAsked, opens_at: datetime | None, *, now: datetime, delay: timedelta
) -> datetime:
    """When a message is due again whose refusal paused more than itself.

    Where the whole sender stands still it goes a little behind the others: were it to blame after
    all, it would else be the one that is let through to see, each time. But no more than a little,
    for where nothing else waits, it alone can show that the sender is well again.

    Args:
        opens_at: when what stands still lets one through; none: nobody knows.
        delay: how far behind the others it may go, at most.
    """
    if asked.scope in (PauseScope.SENDER, PauseScope.ACCOUNT):
        behind = min(delay, LONGEST_BEHIND)
        if opens_at is not None:
            behind = min(behind, max(timedelta(), opens_at - now) + BEHIND_THE_FIRST)
        return now + behind
    return now + LOOK_AGAIN if opens_at is None else max(opens_at, now)


def again_of(
    failure: SendFailure, message: Message, *, policy: BusyPolicy, now: datetime, jitter: float
) -> Again | None:
    """Whether a failed receipt that means this queues its message once more, and when.

    What its pause holds is not looked at here: the gate has the message wait.
    """
    match failure:
        case ProviderRefused(window_shut=True):
            return Again(now, fallback=True)
        case ProviderBusy() if not _tried_enough(failure, message):
            delay = next_delay(
                message.tries, policy=policy, jitter=jitter, asked=failure.retry_after
            )
            parked = None
            if failure.pauses is None:
                due_at = _due(message, now + delay, policy, now)
            else:
                wanted = _due_behind_the_gate(failure.pauses, now=now, delay=delay)
                due_at = _due_again(failure.pauses, message, wanted, policy, now)
                parked = place_held_by(failure.pauses.scope, message)
            if parked is not None and due_at is not None:
                return Again(message.due_at, parked=parked)
            return None if due_at is None else Again(due_at)
        case _:
            return None


def _tried_enough(failure: ProviderBusy, message: Message) -> bool:
    """Whether this was the last try that the provider's code is worth.

    Counted are the attempts that came to the same code, as answer or by receipt, since the message
    was last asked for: what else it was queued again for does not use its tries up.
    """
    if failure.at_most is None:
        return False
    code = failure.provider_code
    asked = [a for a in message.attempts if a.begun_at >= message.first_due_at]
    came_to = {a.number for a in asked if _code_of(a.error) == code}
    came_to |= {
        receipt.attempt
        for receipt in message.receipts
        if receipt.status is ReceiptStatus.FAILED and _code_of(receipt.error) == code
    } & {a.number for a in asked}
    return len(came_to) + 1 >= failure.at_most


def _code_of(error: Mapping[str, Any] | None) -> str | None:
    return None if error is None else error.get("provider_code")


def never_handed_over(title: str, *, now: datetime) -> Settlement:
    """An attempt of which its own process knows that it never reached the HTTP client."""
    return Settlement(outcome=Outcome.BUSY, error=life.error("not_handed_over", title), due_at=now)


def _due_behind_the_gate(asked: PauseAsked, *, now: datetime, delay: timedelta) -> datetime:
    is_whole = asked.scope in (PauseScope.SENDER, PauseScope.ACCOUNT)
    return due_after_pause(asked, None if is_whole else now, now=now, delay=delay)


def _due_again(
    asked: PauseAsked, message: Message, wanted: datetime, policy: BusyPolicy, now: datetime
) -> datetime | None:
    """When a message is tried again whose refusal paused something; None: never.

    Where it is the message's own recipient it is given up as any that a busy provider does not
    take. Where a sender, an account or a Flow stands still, the message is not to blame, as far as
    anybody knows, and somebody will mend that: it waits however long it takes, until it expires.
    """
    if asked.scope is PauseScope.RECIPIENT:
        return _due(message, wanted, policy, now)
    return wanted if message.expires_at is None else min(wanted, max(message.expires_at, now))


def _due(message: Message, wanted: datetime, policy: BusyPolicy, now: datetime) -> datetime | None:
    """When it is tried again; None: never. What expires earlier becomes due to expire."""
    if message.expires_at is not None and message.expires_at <= wanted:
        return message.expires_at
    if message.expires_at is not None:
        return wanted
    end = message.first_due_at + policy.give_up_after
    # The last try is at the very end: what was promised is a time, not a number of tries.
    return None if now >= end else min(wanted, end)
