"""How many there are of each thing, in words."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

#: What things are called, one of them and many; by the names of tables and of kinds.
_WORDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "message": ("message", "messages"),
        "attempt": ("attempt", "attempts"),
        "receipt": ("receipt", "receipts"),
        "event": ("event", "events"),
        "callback": ("callback", "callbacks"),
        "parked_receipt": ("parked receipt", "parked receipts"),
        "contact": ("contact", "contacts"),
        "alias": ("alias", "aliases"),
        "name": ("contact or alias", "contacts and aliases"),
        "pause": ("pause", "pauses"),
        "api_token": ("API token", "API tokens"),
    }
)
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def counted(counts: Mapping[str, int], of_which: Mapping[str, str] = _NOTHING) -> str:
    """What there is, in the order given, leaving out what there is none of.

    Args:
        of_which: more about some of them, which stands in brackets.

    >>> counted({"message": 1, "event": 1200, "pause": 0}, {"message": "read 1"})
    '1 message (read 1), 1,200 events'
    >>> counted({})
    'nothing'
    """
    said = [
        f"{count:,} {_WORDS[name][count != 1]}"
        + (f" ({of_which[name]})" if name in of_which else "")
        for name, count in counts.items()
        if count and name in _WORDS
    ]
    return ", ".join(said) or "nothing"
