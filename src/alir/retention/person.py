"""Somebody who asks to be forgotten: by which names, and what is found of that person."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alir.ids import MessageId

#: What may follow a name in a callback, or come before it, if it is to be that name.
_BOUNDARY = r"[0-9A-Za-z_]"


@dataclass(frozen=True, slots=True)
class Person:
    """All that somebody goes by.

    Attributes:
        names: digits without a plus sign, and business-scoped user ids.
    """

    names: frozenset[str]

    @property
    def addresses(self) -> list[str]:
        """The names as callers write them: numbers with their plus sign.

        >>> Person(frozenset({"US.1", "12125550123"})).addresses
        ['+12125550123', 'US.1']
        """
        return sorted(f"+{name}" if name.isdigit() else name for name in self.names)

    def is_named_in(self, message: Mapping[str, Any]) -> bool:
        """Whether a message, as the API and events show it, goes to this person."""
        told = (message.get(field) for field in ("to", "recipient", "wa_id"))
        return any(name.removeprefix("+") in self.names for name in told if name)

    def traces(self, messages: Sequence[MessageId]) -> re.Pattern[bytes]:
        """What shows in the bytes of a callback that it is about this person or these messages.

        >>> traces = Person(frozenset({"12125550123"})).traces([MessageId("msg_1")])
        >>> bodies = (b'"12125550123"', b'"312125550123"', b":msg_1:")
        >>> [bool(traces.search(body)) for body in bodies]
        [True, False, True]
        """
        any_of = "|".join(re.escape(name) for name in (*sorted(self.names), *messages))
        return re.compile(f"(?<!{_BOUNDARY})(?:{any_of})(?!{_BOUNDARY})".encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What there is of a person, or was until it was removed; rows of each kind.

    Attributes:
        messages: with attempts and receipts; `waiting` of them had not gone out, or nobody knew.
        under_way: messages that cannot be removed now, because an attempt has no answer yet.
        unapplied: callbacks that cannot be removed now, because they are not applied yet.
        names: rows that say when the person wrote, and what else the person goes by.
    """

    messages: int
    waiting: int
    under_way: Sequence[MessageId]
    events: int
    callbacks: int
    unapplied: int
    parked: int
    names: int
    pauses: int

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to remove."""
        return not any(
            (
                *(self.messages, self.events, self.callbacks),
                *(self.parked, self.names, self.pauses),
            )
        )
