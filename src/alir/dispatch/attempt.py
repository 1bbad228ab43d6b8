"""What an attempt came to, and when to try again: pure decisions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alir.errors import OutcomeUnknown, ProviderBusy, SendFailure
from alir.messages import life
from alir.messages.life import Settlement
from alir.messages.model import Message, Outcome


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
    failure: SendFailure, message: Message, *, policy: BusyPolicy, now: datetime, jitter: float
) -> Settlement:
    """What an attempt came to that its provider did not confirm."""
    error = life.error(
        failure.code,
        failure.title,
        provider_code=failure.provider_code,
        detail=failure.details,
    )
    match failure:
        case ProviderBusy():
            delay = next_delay(
                message.tries, policy=policy, jitter=jitter, asked=failure.retry_after
            )
            due_at = _due(message, now + delay, policy)
            return Settlement(outcome=Outcome.BUSY, error=error, due_at=due_at)
        case OutcomeUnknown():
            return Settlement(outcome=Outcome.UNKNOWN, error=error)
        case _:
            return Settlement(outcome=Outcome.REFUSED, error=error)


def never_handed_over(title: str, *, now: datetime) -> Settlement:
    """An attempt of which its own process knows that it never reached the HTTP client."""
    return Settlement(outcome=Outcome.BUSY, error=life.error("not_handed_over", title), due_at=now)


def _due(message: Message, wanted: datetime, policy: BusyPolicy) -> datetime | None:
    """When it is tried again; None: never. What expires earlier becomes due to expire."""
    if message.expires_at is not None and message.expires_at <= wanted:
        return message.expires_at
    if message.expires_at is None and wanted > message.first_due_at + policy.give_up_after:
        return None
    return wanted
