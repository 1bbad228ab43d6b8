"""Sending in the words of OpenAPI. FastAPI never sees that route, so this is written by hand."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

from alir.api.documented import needs, problems
from alir.api.shapes import QueuedAnswer, SentAnswer
from alir.intake.idempotency import LONGEST_KEY
from alir.intake.tokens import Scope
from alir.messages.examples import EXAMPLES
from alir.messages.request import MessageRequest

Operation = dict[str, Any]

_ID: Final = "msg_01JDA3V8Q2Z7K4M9N6P5R1S0TX"

_SUMMARIES: Final = {
    "text_header": "With a text header",
    "media_header": "With a media header",
    "reply_sent_later": "A reply, sent later",
    "template": "A template with a Flow button",
    "fallback": "With a fallback for a shut window",
    "recipient": "To a business-scoped user id",
}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


_SEND_PARAMETERS: Final[list[Operation]] = [
    {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "Your own name for this request. Sent again with the same body, it makes "
        "no second message: the answer is that of the first. Kept as long as the message. A UUID "
        "does well.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": LONGEST_KEY,
            "pattern": "^[ -~]+$",
        },
    },
    {
        "name": "Prefer",
        "in": "header",
        "required": False,
        "description": "How long to wait for the provider (RFC 7240): `wait=N`, in seconds, or "
        "`respond-async`, not at all. Left out, it is 10 seconds, or what the settings say. A wait "
        "that is negative or not whole is ignored.",
        "schema": {"type": "string"},
        "example": "wait=5",
    },
]
_SEND_HEADERS: Final[Operation] = {
    "Preference-Applied": {
        "description": "What of `Prefer` was heeded.",
        "schema": {"type": "string", "pattern": "^(respond-async(, wait=[0-9]+)?|wait=[0-9]+)$"},
        "example": "wait=5",
    },
    "Idempotency-Replayed": {
        "description": "There where a request with this Idempotency-Key had come before.",
        "schema": {"type": "string", "const": "true"},
        "example": "true",
    },
}


def _taken(
    description: str, model: type[BaseModel], examples: dict[str, dict[str, Any]]
) -> Operation:
    return {
        "description": description,
        "headers": _SEND_HEADERS,
        "links": {
            name: {"operationId": operation, "parameters": {"id": "$response.body#/data/id"}}
            for name, operation in _NEXT.items()
        },
        "content": {"application/json": {"schema": _reference(model), "examples": examples}},
    }


_NEXT: Final = {"Get": "get_message", "Cancel": "cancel_message", "Retry": "retry_message"}
_SENT: Final = {"status": "accepted", "message": "Message Sent!", "request_id": _ID, "id": _ID}
_QUEUED: Final = _SENT | {"status": "queued", "message": "Message Queued!"}
_WARNINGS: Final = [
    {
        "code": "number_without_plus",
        "pointer": "#/to",
        "detail": "read as +10000000000; write the plus sign, so that nobody has to guess",
    }
]


def _with_headers(responses: dict[int | str, Operation]) -> dict[int | str, Operation]:
    return {
        status: {**response, "headers": _SEND_HEADERS} for status, response in responses.items()
    }


SEND: Final[Operation] = {
    "tags": ["messages"],
    "summary": "Send a message",
    "description": "Puts a Flow in front of one person, by a Flow message or by a template. The "
    "message is on disk before the answer goes out, and the answer waits for the provider as long "
    "as `Prefer` says.",
    "operationId": "send_message",
    **needs(Scope.SEND),
    "parameters": _SEND_PARAMETERS,
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": _reference(MessageRequest),
                "examples": {
                    name: {"summary": _SUMMARIES[name], "value": value}
                    for name, value in EXAMPLES.items()
                },
            }
        },
    },
    "responses": {
        200: _taken(
            "The provider took the message.",
            SentAnswer,
            {
                "sent": {"summary": "Sent", "value": {"data": _SENT}},
                "warned": {
                    "summary": "Sent, with a warning",
                    "value": {"data": _SENT | {"warnings": _WARNINGS}},
                },
            },
        ),
        202: _taken(
            "The message is on disk. It waits for its turn or for the provider's answer, or that "
            "answer is lost and it is `unknown`.",
            QueuedAnswer,
            {"queued": {"summary": "Queued", "value": {"data": _QUEUED}}},
        ),
        **problems(
            "invalid_json",
            "unauthorized",
            "scope_missing",
            "sender_not_allowed",
            "request_timeout",
            "payload_too_large",
            "unsupported_media_type",
            "queue_full",
            "internal_error",
            "store_unavailable",
        ),
        **_with_headers(
            problems(
                "message_ended",
                "invalid_request",
                "refused",
                "idempotency_conflict",
            )
        ),
    },
}
