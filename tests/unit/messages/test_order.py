"""The class of a message is the highest that fits it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.clock import START
from tests.examples import a_message

from alir.messages.model import Priority, QueueClass
from alir.messages.order import CONVERSATION, class_of

JUST_IN_TIME = START - CONVERSATION + timedelta(milliseconds=1)


@pytest.mark.parametrize("priority", Priority)
def test_without_a_conversation_the_caller_decides(priority: Priority) -> None:
    for heard_at in (None, START - CONVERSATION, START - timedelta(days=2)):
        message = a_message(priority=priority)
        assert class_of(message, heard_at, START) == QueueClass(priority.value)


@pytest.mark.parametrize("priority", Priority)
def test_what_replies_to_a_message_is_a_reply(priority: Priority) -> None:
    message = a_message(priority=priority, reply_message_id="wamid.1")

    assert class_of(message, None, START) is QueueClass.REPLY


@pytest.mark.parametrize("priority", Priority)
def test_what_goes_to_a_person_who_just_wrote_is_a_reply(priority: Priority) -> None:
    # A provider's clock may be ahead of alir's.
    for heard_at in (JUST_IN_TIME, START, START + timedelta(seconds=2)):
        message = a_message(priority=priority)
        assert class_of(message, heard_at, START) is QueueClass.REPLY


def test_what_is_sent_later_belongs_to_the_conversation_only_if_that_lasts_until_then() -> None:
    later = START + timedelta(hours=1)
    message = a_message(send_at=later, due_at=later)

    assert class_of(message, START, START) is QueueClass.SINGLE
    assert class_of(message.but(due_at=START), START, START) is QueueClass.REPLY
    # Its storing was held up.
    assert class_of(message.but(due_at=START), START, later) is QueueClass.SINGLE
