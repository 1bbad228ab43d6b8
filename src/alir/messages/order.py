"""Which class of its sender's queue a message is in: the higher one goes first."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from alir.messages.model import Message, Priority, QueueClass

#: For so long after a person wrote, what they are sent belongs to the conversation. alir's own.
CONVERSATION: Final = timedelta(minutes=5)


def class_of(message: Message, heard_at: datetime | None, now: datetime) -> QueueClass:
    """The class of a new message: the highest that fits.

    Who waits for an answer is served before the others, also where many are written to.

    Args:
        heard_at: when the person last wrote to the sender, as far as alir knows. What counts is
            how long that will be ago when the message is due.
    """
    if message.reply_message_id is not None:
        return QueueClass.REPLY
    if heard_at is not None and max(message.due_at, now) - heard_at < CONVERSATION:
        return QueueClass.REPLY
    return QueueClass.BULK if message.priority is Priority.BULK else QueueClass.SINGLE
