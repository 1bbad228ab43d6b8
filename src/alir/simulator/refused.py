"""What the simulator refused lately: requests that left nothing on any phone."""

from __future__ import annotations

from dataclasses import dataclass

#: How many of them are remembered.
REFUSED_KEPT = 20
#: A recipient that was refused may be anything; so much of it is kept, in characters.
_RECIPIENT_MAX = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """One request that was not taken.

    Attributes:
        code: WhatsApp's error code, or the answer's status: `190`, `HTTP 429`.
        why: what is wrong, in words.
        sender: as in `Received`; empty where it is not known.
        to: the recipient as the request has it; empty where it has none.
        at: milliseconds since 1970.
    """

    code: str
    why: str
    sender: str
    to: str
    at: int


def recipient_of(body: object, *names: str) -> str:
    """Who a request is for that need not be in order: the first text of these names.

    >>> recipient_of({"to": "+1 5550 000190"}, "to", "recipient"), recipient_of([], "to")
    ('+1 5550 000190', '')
    """
    if not isinstance(body, dict):
        return ""
    texts = (body.get(name) for name in names)
    return next((text[:_RECIPIENT_MAX] for text in texts if text and isinstance(text, str)), "")
