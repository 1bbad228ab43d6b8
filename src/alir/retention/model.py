"""What is kept, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from alir.messages.model import Status

#: What is never too old: of a message that stands here something is still to come.
STILL_TO_COME: Final = (Status.QUEUED, Status.SENDING, Status.UNKNOWN)


class Kind(StrEnum):
    """What grows old, in the order in which it is purged."""

    MESSAGES = "message"  #: with their attempts and receipts, once they have ended
    EVENTS = "event"
    CALLBACKS = "callback"  #: as they came, once they are applied
    CONTACTS = "contact"  #: when somebody last wrote
    ALIASES = "alias"  #: other names of people of whom nothing else is left


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFor:
    """How long each kind is kept; none: for ever."""

    messages: timedelta | None
    events: timedelta | None
    callbacks: timedelta | None
    contacts: timedelta | None

    def ends(self, now: datetime) -> Mapping[Kind, datetime]:
        """Since when something must be for it to stay, of each kind that is not kept for ever.

        An alias is no older than what is left of the person that it names, and goes with that.

        >>> from datetime import UTC
        >>> day = timedelta(days=1)
        >>> kept = KeptFor(messages=90 * day, events=None, callbacks=7 * day, contacts=None)
        >>> [kind.value for kind in kept.ends(datetime(2026, 1, 8, tzinfo=UTC))]
        ['message', 'callback']
        """
        kept = {
            Kind.MESSAGES: self.messages,
            Kind.EVENTS: self.events,
            Kind.CALLBACKS: self.callbacks,
            Kind.CONTACTS: self.contacts,
            Kind.ALIASES: self.contacts,
        }
        return {kind: now - period for kind, period in kept.items() if period is not None}
