"""Every sender's dispatcher, as intake needs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from alir.dispatch.backlog import Backlog
from alir.dispatch.dispatcher import Dispatcher
from alir.dispatch.ports import NOWHERE, Place
from alir.ids import SenderName
from alir.messages.model import Message


class Peers(Protocol):
    """Whether other processes store messages in the same database."""

    @property
    def has_peers(self) -> bool: ...


class Dispatchers:
    """Every sender's dispatcher; of a sender without one, messages wait.

    Args:
        queue_limit: how many messages of each sender may wait.
        peers: while other processes store messages too, none is begun with the write that stores
            it: another's, stored before it, may wait of which nobody heard yet.
    """

    def __init__(
        self,
        by_sender: Mapping[SenderName, Dispatcher],
        backlog: Backlog,
        *,
        queue_limit: int,
        peers: Peers,
    ) -> None:
        self._peers = peers
        self._by_sender = by_sender
        self._backlog = backlog
        self._queue_limit = queue_limit

    def admit(self, message: Message) -> Place:
        """See `Dispatcher.admit`."""
        dispatcher = self._by_sender.get(message.sender)
        if dispatcher is None:
            return NOWHERE
        if self._peers.has_peers:
            return Place(parked=dispatcher.line_up(message))
        return dispatcher.admit(message)

    def line_up(self, message: Message) -> str | None:
        """See `Dispatcher.line_up`."""
        dispatcher = self._by_sender.get(message.sender)
        return None if dispatcher is None else dispatcher.line_up(message)

    def room(self, sender: SenderName) -> int:
        """How many more messages of a sender may wait."""
        return self._queue_limit - self._backlog.queued(sender)

    def hand_over(self, message: Message, admitted_at: float) -> None:
        """See `Dispatcher.hand_over`."""
        self._by_sender[message.sender].hand_over(message, admitted_at)

    def dismiss(self, message: Message, admitted_at: float, *, in_doubt: bool) -> None:
        """See `Dispatcher.dismiss`."""
        self._by_sender[message.sender].dismiss(message, admitted_at, in_doubt=in_doubt)
