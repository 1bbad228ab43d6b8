"""The messages that are sent: one Flow message of about 520 bytes, to one number or to many."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice

import phonenumbers

_AREA_CODES = range(201, 990)
STRIDE, PRIME = 611_953, 1_000_003
_FICTION = range(100, 200)  # 555-0100 to 555-0199: kept for fiction in every North American area


def bodies(recipients: int = 1, *, sender: str | None = None) -> list[str]:
    """JSON bodies, alike but for `to`, one for each of so many recipients.

    Args:
        sender: to be named; then each has a flow token of its own, too.

    Raises:
        ValueError: so many made-up numbers do not exist (there are some 45,000).
    """
    numbers = list(islice(_made_up_numbers(), recipients))
    if len(numbers) < recipients:
        raise ValueError(f"at most {len(numbers)} recipients")
    if sender is None:
        return [_body(number) for number in numbers]
    return [_body(to, sender, scattered(at)) for at, to in enumerate(numbers)]


def scattered(number: int) -> str:
    """A flow token, unlike any other's and in no order, as those of callers are.

    >>> scattered(1), scattered(2)
    ('visit-1611953', 'visit-1223903')
    """
    return f"visit-{1_000_000 + number * STRIDE % PRIME}"


def _made_up_numbers() -> Iterator[str]:
    for area in _AREA_CODES:
        # Of one area all are valid or none is; the plain design asks for valid numbers.
        if phonenumbers.is_valid_number(phonenumbers.parse(f"+1{area}5550100")):
            yield from (f"+1{area}555{number:04d}" for number in _FICTION)


def _body(to: str, sender: str | None = None, token: str = "7c9e6679-7425-40de") -> str:
    message: dict[str, object] = {
        "to": to,
        "type": "flow",
        "callback_data": "booking-2026-0000417",
        "flow": {
            "id": "1029384756102938",
            "token": token,
            "text": "Choose a time",
            "action": "navigate",
            "screen": "VISIT",
            "mode": "published",
            "data": {"guest": "Rina", "days": ["2026-09-01", "2026-09-02", "2026-09-03"], "no": 42},
            "param": {
                "header": {"type": "text", "text": "Your visit to us"},
                "body": "Hello Rina, when would you like to come by? Pick a day and a time that "
                "suits you, and we keep a window table for you.",
                "footer": "Write STOP to hear no more",
            },
        },
    }
    if sender is not None:
        message["from"] = sender
    return json.dumps(message, separators=(",", ":"))
