"""What the processes of one database tell each other, so that nobody has to ask all the time.

Who is told looks at the store, which alone says what holds. So news may come twice, late, or not at
all: whoever waits for something looks every second anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from alir.ids import MessageId, SenderName


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What other processes have done.

    Attributes:
        queued: senders that messages were queued for.
        settled: messages that need not be waited for any longer.
        callbacks: callbacks were kept.
        leases: leases changed, or processes came or went.
        pauses: senders whose pauses changed.
        heard: senders that people wrote to, and how often.
        evidence_missed: a callback could not be kept or applied.
        missed: nobody listened for a while, so anything else may have happened too.
    """

    queued: tuple[SenderName, ...] = ()
    settled: tuple[MessageId, ...] = ()
    callbacks: bool = False
    leases: bool = False
    pauses: tuple[SenderName, ...] = ()
    heard: Mapping[SenderName, int] = field(default_factory=dict)
    evidence_missed: bool = False
    missed: bool = False


class Wakeups(Protocol):
    """Tells the other processes, and hears of them. Telling costs next to nothing, never fails."""

    def queued(self, sender: SenderName) -> None:
        """A message of this sender was queued."""
        ...

    def settled(self, message_id: MessageId) -> None:
        """This message need not be waited for any longer."""
        ...

    def callback_kept(self) -> None:
        """A callback is on disk, to be applied."""
        ...

    def lease_changed(self) -> None:
        """A lease was taken or released, or this process came or goes."""
        ...

    def pause_changed(self, sender: SenderName) -> None:
        """A pause of this sender began or ended."""
        ...

    def heard(self, sender: SenderName) -> None:
        """A person wrote to this sender."""
        ...

    def evidence_missed(self) -> None:
        """A callback could not be kept or applied. Told later where it cannot be told now."""
        ...

    def listen(self, hear: Callable[[News], None]) -> None:
        """Have `hear` called, on the event loop, with all that other processes tell."""
        ...

    async def run(self) -> None:
        """Tell and hear, for ever."""
        ...

    async def close(self) -> None:
        """Tell what is left to tell, and end; afterwards nothing is told or heard."""
        ...


class NoWakeups:
    """Of a process that shares its database with nobody; see `Wakeups`."""

    def queued(self, sender: SenderName) -> None:
        """Nobody is told."""

    def settled(self, message_id: MessageId) -> None:
        """Nobody is told."""

    def callback_kept(self) -> None:
        """Nobody is told."""

    def lease_changed(self) -> None:
        """Nobody is told."""

    def pause_changed(self, sender: SenderName) -> None:
        """Nobody is told."""

    def heard(self, sender: SenderName) -> None:
        """Nobody is told."""

    def evidence_missed(self) -> None:
        """Nobody is told."""

    def listen(self, hear: Callable[[News], None]) -> None:
        """There is nothing to be heard."""

    async def run(self) -> None:
        """Wait, for ever."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """There is nothing to close."""
