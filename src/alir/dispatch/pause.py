"""What stands still after a provider refused, for how long, and what ends that: pure decisions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from alir.clock import from_milliseconds, rfc3339, to_milliseconds
from alir.dispatch.attempt import LONGEST_ASKED
from alir.errors import PauseAsked, PauseScope
from alir.ids import SenderName

_MILLISECOND: Final = timedelta(milliseconds=1)

#: Everything that a sender sends stands still with these.
WHOLE: Final = frozenset({PauseScope.SENDER, PauseScope.ACCOUNT, PauseScope.OPERATOR})

#: How much longer each further refusal makes a pause. Of a recipient: 4^X seconds (Meta, WhatsApp
#: Cloud API error codes, 131056, read 2026-09-11); the other factor is alir's own.
GROWTH_OF_RECIPIENT: Final = 4
GROWTH: Final = 2

#: Before a template's name, where only WhatsApp knows which Flow it opens.
_TEMPLATE: Final = "template:"

#: Why every sender is paused that was started so.
STARTED_PAUSED: Final = (
    "Started with --paused: if the database is a backup, queued messages may have gone out "
    "already. Look at them, cancel those, then resume."
)

#: A throttled Flow is slow until it was not refused for so long; alir's own.
FLOW_IS_SLOW_FOR: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Something of one sender that stands still. Its moments are whole milliseconds, as on disk.

    Attributes:
        key: the recipient, or the Flow by its `flow_key`; empty for what holds the whole sender.
        code: the provider's, if it was one that asked for it.
        since: when it began; of a Flow, when it was last refused.
        until: when one message is let through to see; none: when an operator resumes it.
        wait: how long it lasts each time; a slow Flow lets one message through after each.
        tells_from: attempts begun from here on tell whether it is over; those begun before were
            under way when it was refused.
        by_receipt: whether a receipt asked for it. Then only a receipt can tell that it is over:
            a provider that refuses by receipt takes everything at first.
        strikes: how often in a row it was refused, from 1.
    """

    sender: SenderName
    scope: PauseScope
    key: str = ""
    code: str | None = None
    title: str
    since: datetime
    until: datetime | None = None
    wait: timedelta = timedelta()
    tells_from: datetime | None = None
    by_receipt: bool = False
    strikes: int = 1

    @property
    def flow_id(self) -> str | None:
        """The Flow that stands still, where it is one whose id is known."""
        is_flow = self.scope is PauseScope.FLOW and not self.key.startswith(_TEMPLATE)
        return (self.key or None) if is_flow else None

    @property
    def place(self) -> tuple[PauseScope, str]:
        """What it is that stands still."""
        return self.scope, self.key

    def as_json(self) -> dict[str, Any]:
        """The pause as the API and events show it."""
        return {
            "scope": self.scope.value,
            "key": self.key or None,
            "code": self.code,
            "title": self.title,
            "since": rfc3339(self.since),
            "until": None if self.until is None else rfc3339(self.until),
            "strikes": self.strikes,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """A refusal that asks for a pause.

    Attributes:
        begun_at: when the attempt was begun that was refused.
        retry_after: how long the provider asked to wait, where it did.
        by_receipt: whether it came after the provider had taken the message.
    """

    asked: PauseAsked
    code: str | None
    title: str
    begun_at: datetime
    retry_after: timedelta | None = None
    by_receipt: bool = False


def struck(
    before: Pause | None, strike: Strike, *, sender: SenderName, key: str, now: datetime
) -> Pause:
    """The pause after a refusal.

    What was under way when the pause began is refused too, and makes it no longer; only the
    refusal of what was let through since then does.
    """
    if before is not None and (before.tells_from is None or strike.begun_at < before.tells_from):
        asked_until = _whole(now + min(strike.retry_after or timedelta(), LONGEST_ASKED))
        if before.until is None or asked_until <= before.until:
            return before
        return replace(before, until=asked_until)
    strikes, since = (1, None) if before is None else (before.strikes + 1, before.since)
    if since is None or strike.asked.scope is PauseScope.FLOW:
        since = _whole(now)
    wait = _wait(strike, strikes)
    until = None if wait is None else _whole(now + wait)
    return Pause(
        sender=sender,
        scope=strike.asked.scope,
        key=key,
        code=strike.code,
        title=strike.title,
        since=since,
        until=until,
        wait=wait or timedelta(),
        tells_from=until,
        by_receipt=strike.by_receipt,
        strikes=strikes,
    )


def by_operator(
    before: Pause | None, *, sender: SenderName, title: str, until: datetime | None, now: datetime
) -> Pause:
    """The pause that a person asks for; of one that is there, another reason and end."""
    return Pause(
        sender=sender,
        scope=PauseScope.OPERATOR,
        title=title,
        since=_whole(now) if before is None else before.since,
        until=None if until is None else _whole(until),
        wait=timedelta() if until is None else _whole(until) - _whole(now),
    )


def prolonged(pause: Pause, *, now: datetime) -> Pause:
    """The pause once more as long: what was let through told nothing, or a slow Flow used it."""
    return pause if pause.until is None else replace(pause, until=_whole(now + pause.wait))


def is_over(pause: Pause, *, now: datetime) -> bool:
    """Whether a person's pause has come to the end that they named. Nothing need be tried."""
    return pause.scope is PauseScope.OPERATOR and pause.until is not None and pause.until <= now


def opened(pause: Pause, *, now: datetime) -> Pause:
    """The pause letting one through now: something changed that may have ended its reason."""
    return replace(pause, until=_whole(now), tells_from=_whole(now))


def is_healed(pause: Pause, *, begun_at: datetime, now: datetime, by_receipt: bool = False) -> bool:
    """Whether an attempt that the provider did not refuse for it, begun then, ends the pause.

    Only one that was begun since it let one through says anything; where the wall clock was set
    back meanwhile, one that was begun since then, lest the pause outlast that by hours. A Flow that
    is slow may be used so all the same, so that it stays slow until it was not refused for
    `FLOW_IS_SLOW_FOR`.

    Args:
        by_receipt: whether a receipt says so, that it was sent on or more; else the answer.
    """
    if pause.scope is PauseScope.OPERATOR or pause.tells_from is None:
        return False
    if pause.by_receipt and not by_receipt:
        return False
    if pause.scope is PauseScope.FLOW:
        return now >= pause.since + FLOW_IS_SLOW_FOR
    if now < pause.tells_from - pause.wait:  # the wall clock was set back since it began
        return begun_at <= now
    return begun_at >= pause.tells_from


def _whole(moment: datetime) -> datetime:
    return from_milliseconds(to_milliseconds(moment))


def _wait(strike: Strike, strikes: int) -> timedelta | None:
    asked = strike.asked
    if asked.first is None:
        return None
    growth = GROWTH_OF_RECIPIENT if asked.scope is PauseScope.RECIPIENT else GROWTH
    # 4 to the 16 seconds are longer than any pause; more would only overflow.
    wait: timedelta = asked.first * growth ** min(strikes - 1, 16)
    if asked.longest is not None:
        wait = min(wait, asked.longest)
    if strike.retry_after is not None:
        wait = max(wait, min(strike.retry_after, LONGEST_ASKED))
    return wait // _MILLISECOND * _MILLISECOND
