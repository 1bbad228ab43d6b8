"""Where a message may have to wait for its turn: its recipient, and its Flow."""

from __future__ import annotations

from typing import NamedTuple

from alir.errors import PauseScope
from alir.messages.model import Message


class Places(NamedTuple):
    """What may stand still of a message; each a text as `place` makes it."""

    recipient: str
    flow: str


def place(scope: PauseScope, key: str) -> str:
    """The place of a recipient or a Flow.

    >>> place(PauseScope.FLOW, "987")
    'flow 987'
    """
    return f"{scope.value} {key}"


# Put together once: it is done for every message.
_RECIPIENT = place(PauseScope.RECIPIENT, "")
_FLOW = place(PauseScope.FLOW, "")


def flow_key(message: Message) -> str:
    """The key of the Flow that a message opens; of a template only its name is known."""
    template = message.as_template
    return message.flow_id or "" if template is None else f"template:{template['name']}"


def places_of(message: Message) -> Places:
    """Where a message may have to wait."""
    return Places(f"{_RECIPIENT}{message.person}", f"{_FLOW}{flow_key(message)}")


def place_held_by(scope: PauseScope, message: Message) -> str | None:
    """Where a message waits while a pause of this scope holds it; None: the whole sender waits."""
    places = places_of(message)
    return {PauseScope.RECIPIENT: places.recipient, PauseScope.FLOW: places.flow}.get(scope)
