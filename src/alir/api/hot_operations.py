"""The hot routes in the words of OpenAPI. FastAPI never sees them, so this is written by hand."""

from __future__ import annotations

import hmac
import json
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

CLOUD_HANDSHAKE: Final[Operation] = {
    "tags": ["callbacks"],
    "summary": "Prove the callback URL",
    "description": "Meta asks this when the callback URL is entered in its dashboard.",
    "operationId": "check_cloud_callback",
    "security": [],
    "parameters": [
        {
            "name": "hub.mode",
            "in": "query",
            "required": True,
            "description": "What Meta wants: always `subscribe`.",
            "schema": {"type": "string"},
            "example": "subscribe",
        },
        {
            "name": "hub.verify_token",
            "in": "query",
            "required": True,
            "description": "The `verify_token` of a sender.",
            "schema": {"type": "string"},
            "example": "simulator",
        },
        {
            "name": "hub.challenge",
            "in": "query",
            "required": False,
            "description": "What the answer must repeat.",
            "schema": {"type": "string"},
            "example": "1158201444",
        },
    ],
    "responses": {
        200: {
            "description": "The challenge, as it came.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
        **problems("not_found", "internal_error"),
    },
}

_CALLBACK: Final = {"object": "whatsapp_business_account", "entry": []}
_SIGNATURE: Final = hmac.new(b"simulator", json.dumps(_CALLBACK).encode(), "sha256").hexdigest()

CLOUD_CALLBACK: Final[Operation] = {
    "tags": ["callbacks"],
    "summary": "Take Meta's callbacks",
    "description": "Of the Cloud API: kept as they came, answered, then applied. What is in one "
    "never fails it.",
    "operationId": "take_cloud_callback",
    "security": [],
    "parameters": [
        {
            "name": "X-Hub-Signature-256",
            "in": "header",
            "required": True,
            "description": "HMAC-SHA-256 of the body's bytes, with the app secret of a sender; in "
            "the example with the simulator's, `simulator`.",
            "schema": {"type": "string", "pattern": "^sha256=[0-9a-f]{64}$"},
            "example": f"sha256={_SIGNATURE}",
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "example": _CALLBACK,
            }
        },
    },
    "responses": {
        200: {
            "description": "Kept. There is nothing in the answer.",
            "content": {"text/plain": {"schema": {"type": "string", "maxLength": 0}}},
        },
        **problems(
            "bad_signature",
            "request_timeout",
            "payload_too_large",
            "internal_error",
            "store_unavailable",
        ),
    },
}

_ROUTE_MOBILE: Final = {
    "statuses": [
        {
            "id": "00000000-f142-11eb-8e02-000000000000",
            "recipient_id": "620000000001",
            "status": "delivered",
            "timestamp": "1790000000",
            "type": "message",
        }
    ],
    "brand_msisdn": "620000000009",
}

ROUTE_MOBILE_CALLBACK: Final[Operation] = {
    "tags": ["callbacks"],
    "summary": "Take Route Mobile's callbacks",
    "description": "Kept as they came, answered, then applied. What is in one never fails it.",
    "operationId": "take_route_mobile_callback",
    "security": [],
    "parameters": [
        {
            "name": "secret",
            "in": "path",
            "required": True,
            "description": "The `callback_secret` of a sender: Route Mobile signs nothing, so who "
            "knows the path is believed.",
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9._~-]+$"},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object"}, "example": _ROUTE_MOBILE}},
    },
    "responses": {
        200: {
            "description": "Kept. There is nothing in the answer.",
            "content": {"text/plain": {"schema": {"type": "string", "maxLength": 0}}},
        },
        **problems(
            "not_found",
            "request_timeout",
            "payload_too_large",
            "internal_error",
            "store_unavailable",
        ),
    },
}
