"""Sending a batch in the words of OpenAPI: its shapes, and the operation. See `hot_operations`."""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field
from pydantic.config import JsonDict

from alir.api.documented import needs, problems
from alir.api.hot_operations import Operation
from alir.api.problems import TYPES, example_of
from alir.api.routes.batch import NDJSON
from alir.api.shapes import ProblemShape, Queued, Sent, Shape
from alir.intake.batch import MOST_MESSAGES
from alir.intake.idempotency import LONGEST_KEY
from alir.intake.tokens import Scope
from alir.messages.examples import EXAMPLES
from alir.messages.request import MessageRequest


class BatchMessage(MessageRequest):
    """A message of a batch: what `POST /messages` takes, and a key. Its priority is `bulk`."""

    idempotency_key: str | None = Field(
        None,
        min_length=1,
        max_length=LONGEST_KEY,
        pattern="^[ -~]+$",
        description="What the header `Idempotency-Key` is to a single message.",
        examples=["visit-4711"],
    )


class BatchItem(Shape):
    """What became of one message of a batch."""

    index: int = Field(ge=0, description="Its place in the batch, counted from 0.")
    status: int = Field(
        description="The HTTP status that the message would have been answered with by itself."
    )
    data: Sent | Queued | None = Field(
        default_factory=lambda: None, description="Where it was taken: that answer's `data`."
    )
    problem: ProblemShape | None = Field(
        default_factory=lambda: None, description="Where it was not: the problem."
    )


class BatchAnswer(Shape):
    """The answer of `POST /messages/batch`."""

    data: list[BatchItem] = Field(description="One for each message, in their order.")


_ID: Final = "msg_01JDA3V8Q2Z7K4M9N6P5R1S0TX"
_FIRST: Final[JsonDict] = EXAMPLES["text_header"] | {"idempotency_key": "visit-4711"}
_SECOND: Final[JsonDict] = EXAMPLES["text_header"] | {"to": "0212 555 0124"}
_ANSWER: Final[dict[str, Any]] = {
    "data": [
        {
            "index": 0,
            "status": 202,
            "data": {
                "status": "queued",
                "message": "Message Queued!",
                "request_id": _ID,
                "id": _ID,
            },
        },
        {"index": 1, "status": 422, "problem": example_of(TYPES["invalid_request"])},
    ]
}

BATCH: Final[Operation] = {
    "tags": ["messages"],
    "summary": "Send many messages",
    "description": f"Up to {MOST_MESSAGES:,} messages in one request, as a JSON array or with one "
    f"JSON object a line (`{NDJSON}`). Each is checked by itself, so that a bad one spoils no "
    "other; those that are taken are on disk before the answer goes out, which never waits for "
    "the provider. A message's own status and problem stand in its item.",
    "operationId": "send_batch",
    **needs(Scope.SEND),
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MOST_MESSAGES,
                    # Anything may stand in a batch: what is no message is told so in its item.
                    "items": {"anyOf": [{"$ref": "#/components/schemas/BatchMessage"}, {}]},
                },
                "examples": {"two": {"summary": "Two messages", "value": [_FIRST, _SECOND]}},
            },
            NDJSON: {
                "schema": {"type": "string", "description": "Such a message a line, as JSON."}
            },
        },
    },
    "responses": {
        200: {
            "description": "An item for each message, in their order.",
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/BatchAnswer"},
                    "examples": {
                        "one_of_two": {"summary": "One of two was taken", "value": _ANSWER}
                    },
                }
            },
        },
        **problems(
            "invalid_json",
            "unauthorized",
            "scope_missing",
            "request_timeout",
            "payload_too_large",
            "unsupported_media_type",
            "invalid_request",
            "internal_error",
            "too_many_batches",
            "store_unavailable",
        ),
    },
}
