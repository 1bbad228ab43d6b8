"""Every sender's dispatcher, as intake needs them."""

from __future__ import annotations

from collections.abc import Mapping

from alir.dispatch.dispatcher import Dispatcher
from alir.dispatch.ports import Place
from alir.ids import SenderName
from alir.messages.model import Message


class Dispatchers:
    """Every sender's dispatcher; of a sender without one, messages wait."""

    def __init__(self, by_sender: Mapping[SenderName, Dispatcher]) -> None:
        self._by_sender = by_sender

    def admit(self, message: Message) -> Place:
        """See `Dispatcher.admit`."""
        dispatcher = self._by_sender.get(message.sender)
        return Place() if dispatcher is None else dispatcher.admit(message)

    def hand_over(self, message: Message, admitted_at: float) -> None:
        """See `Dispatcher.hand_over`."""
        self._by_sender[message.sender].hand_over(message, admitted_at)

    def dismiss(self, message: Message, *, in_doubt: bool) -> None:
        """See `Dispatcher.dismiss`."""
        self._by_sender[message.sender].dismiss(message, in_doubt=in_doubt)
