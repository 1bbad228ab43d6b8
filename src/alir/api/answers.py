"""What `POST /messages` answers: a pure function of what the message has come to."""

from __future__ import annotations

from typing import Any

from alir.api.problems import Problem
from alir.messages.life import GAVE_UP, GIVEN_UP
from alir.messages.model import Message, Outcome, Status

SENT = "Message Sent!"
QUEUED = "Message Queued!"

_TAKEN = frozenset({Status.ACCEPTED, Status.SENT, Status.DELIVERED, Status.READ})
_WAITING = frozenset({Status.QUEUED, Status.SENDING, Status.UNKNOWN})


def answer_of(message: Message) -> tuple[int, dict[str, Any]] | Problem:
    """HTTP status and body, or the problem.

    A message that the provider took is answered `accepted`, whatever receipts say already: also
    where one says that it failed later.
    """
    if message.status in _TAKEN or _was_taken(message):
        return 200, _data(message, Status.ACCEPTED, SENT)
    if message.status in _WAITING:
        return 202, _data(message, message.status, QUEUED)
    error = dict(message.error or {})
    if message.status is Status.FAILED and error.get("code") not in (GAVE_UP, GIVEN_UP):
        provider = {
            "code": error.get("provider_code"),
            "title": error.get("title"),
            "detail": error.get("detail"),
        }
        detail = f"{error.get('title')}."
        return Problem("refused", detail, {"id": message.id, "provider": provider})
    reason = error.get("code") or message.status.value
    detail = f"{error.get('title') or 'The message was cancelled'}."
    return Problem("message_ended", detail, {"id": message.id, "reason": reason})


def _was_taken(message: Message) -> bool:
    """Whether it failed after the provider took it; of one that was sent again, the last time."""
    if message.status is not Status.FAILED or not message.attempts:
        return False
    return message.attempts[-1].outcome is Outcome.ACCEPTED


def _data(message: Message, status: Status, text: str) -> dict[str, Any]:
    data: dict[str, Any] = {
        "status": status.value,
        "message": text,
        "request_id": message.request_id,
        "id": message.id,
    }
    if message.warnings:
        data["warnings"] = [warning.as_json() for warning in message.warnings]
    return {"data": data}
