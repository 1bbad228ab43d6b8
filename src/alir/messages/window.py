"""The 24-hour window: while it is open, a person may be sent any message; else only a template.

Source: Meta, "Customer service windows" (developers.facebook.com/docs/whatsapp/cloud-api/guides/
send-messages#customer-service-windows, December 2025).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from alir.errors import Fault
from alir.messages.model import Notice

#: It opens, or begins anew, with each message or call of the person to the number.
OPEN_FOR: Final = timedelta(hours=24)
#: A message that leaves this shortly before the end may arrive after it; alir's own.
MARGIN: Final = timedelta(seconds=30)


def is_shut(heard_at: datetime | None, now: datetime) -> bool:
    """Whether the window is known to be shut; who was never heard of may well have written.

    Args:
        heard_at: when the person last wrote, as far as alir knows.

    >>> from datetime import UTC
    >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    >>> [is_shut(noon, noon + timedelta(hours=hours)) for hours in (1, 23, 24, 25)]
    [False, False, True, True]
    >>> is_shut(None, noon)
    False
    """
    return heard_at is not None and now - heard_at >= OPEN_FOR - MARGIN


def is_ahead(heard_at: datetime | None, now: datetime, send_at: datetime | None) -> bool:
    """Whether a message that will meet a shut window may meet an open one, should the person write.

    Not so where it is shut already, and the message goes as soon as it can.
    """
    return not is_shut(heard_at, now) or (send_at is not None and send_at > now)


def warning(*, to_number: bool, has_fallback: bool, ahead: bool = False) -> Notice:
    """What is said of a Flow message that goes to a shut window.

    Args:
        ahead: it goes later, and until then the person may write again.
    """
    what_next = (
        "its fallback goes out in place of the Flow message"
        if has_fallback
        else "WhatsApp will most likely refuse it; a template, or a fallback, is not"
    )
    why = _SHUT_WHEN_DUE if ahead else f"{_SHUT};"
    return Notice("window_shut", _pointer(to_number=to_number), f"{why} {what_next}")


def refusal(*, to_number: bool) -> Fault:
    """What is said of a Flow message without a fallback, where the sender refuses it."""
    detail = f"{_SHUT}, and this sender's closed_window says refuse; send a template, or a fallback"
    return Fault(_pointer(to_number=to_number), "window_shut", detail)


_SHUT: Final = "the person last wrote to this sender more than 24 hours ago"
_SHUT_WHEN_DUE: Final = (
    "when the message is due, more than 24 hours will have passed since the person last wrote to "
    "this sender; unless the person writes again by then,"
)


def _pointer(*, to_number: bool) -> str:
    return "#/to" if to_number else "#/recipient"
