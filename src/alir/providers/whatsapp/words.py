"""What follows from an error code, in plain words: for the command line and the docs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from alir.providers.whatsapp.codes import Concern, Meaning

#: Each class in words: what it means for the message, and what waits.
CLASSES: Final[Mapping[Concern, str]] = {
    Concern.REFUSED: "this message is refused for good",
    Concern.WINDOW: "this message is refused, because the 24-hour window is shut",
    Concern.RETRY: "busy; this message is tried again",
    Concern.RECIPIENT: "busy; this recipient waits",
    Concern.FLOW: "busy; this Flow waits",
    Concern.SENDER: "busy; this sender waits",
    Concern.ACCOUNT: "busy; every sender of this account waits",
}
_STOPS: Final[Mapping[Concern, str]] = {
    Concern.RECIPIENT: "to this recipient from this sender",
    Concern.FLOW: "of this Flow from this sender",
    Concern.SENDER: "from this sender",
    Concern.ACCOUNT: "from any sender of this account",
}
#: How a pause grows with each refusal in a row. WhatsApp asks for 4^X s at a recipient (131056).
_GROWS: Final[Mapping[Concern, str]] = {Concern.RECIPIENT: "four times longer"}
_MINUTE: Final = 60
_HOUR: Final = 3600


def what_alir_does(meaning: Meaning) -> str:
    """What becomes of the message, and of what waits with it; whole sentences."""
    match meaning.concern:
        case Concern.REFUSED:
            return "Counts this message as failed; it does not go out again."
        case Concern.WINDOW:
            return (
                "Sends the fallback of this message, once, where it has one; "
                "else counts it as failed, and it does not go out again."
            )
        case Concern.RETRY:
            does = "Queues this message again and sends it after a wait that doubles each time."
        case concern:
            does = (
                "Queues this message again and sends nothing "
                f"{_STOPS[concern]} {_how_long(meaning)}."
            )
    if meaning.tries is None:
        return does
    return f"{does} {_after(meaning.tries)}"


def _how_long(meaning: Meaning) -> str:
    first, longest = meaning.first_wait, meaning.longest_wait
    if first is None or longest is None:
        return "until an operator resumes it"
    if first == longest:
        return f"for {span(first)}"
    grows = _GROWS.get(meaning.concern, "twice as long")
    return f"for {span(first)}, {grows} with each further refusal, at most {span(longest)}"


def _after(tries: int) -> str:
    if tries == 1:
        return "Counts it as failed at the first such answer."
    return f"Counts it as failed after {tries} such answers."


def span(time: timedelta) -> str:
    """A time as people write it.

    >>> [span(timedelta(seconds=s)) for s in (1, 2.5, 60, 371, 900, 3600, 86400)]
    ['1 s', '2.5 s', '60 s', '371 s', '15 min', '1 h', '24 h']
    """
    seconds = time.total_seconds()
    if seconds >= _HOUR and seconds % _HOUR == 0:
        return f"{seconds / _HOUR:.0f} h"
    if seconds > _MINUTE and seconds % _MINUTE == 0:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds:.12g} s"
