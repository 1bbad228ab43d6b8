"""Problems: what a request is answered with that could not be done (RFC 9457).

One table says for each code which status it has and what a reader should know; the pages under
`/problems` and the answers themselves are made from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from alir.errors import (
    AlirError,
    BodyTooLarge,
    Fault,
    IdempotencyConflict,
    JsonInvalid,
    NotFound,
    QueueFull,
    RequestInvalid,
    SenderForbidden,
    StoreUnavailable,
    TooLate,
)

MEDIA_TYPE = "application/problem+json"
#: When a caller should ask again while the store cannot take anything.
STORE_RETRY_SECONDS = 5
STORE_RETRY = {"retry-after": str(STORE_RETRY_SECONDS)}
#: When a caller should ask again while a queue is full: it holds hours of work, and in this time
#: gets room for thousands of messages.
QUEUE_RETRY_SECONDS = 60
QUEUE_RETRY = {"retry-after": str(QUEUE_RETRY_SECONDS)}
#: When a caller should ask again while batches crowd: each takes a fraction of a second.
BATCH_RETRY_SECONDS = 5
BATCH_RETRY = {"retry-after": str(BATCH_RETRY_SECONDS)}
#: When a provider should tell it again while large callbacks crowd: each takes a fraction of that.
CALLBACK_RETRY_SECONDS = 5
CALLBACK_RETRY = {"retry-after": str(CALLBACK_RETRY_SECONDS)}


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of problem.

    Attributes:
        meaning: what it says, for a developer who meets it for the first time.
        remedy: what to do.
        example: the rest of such a problem, besides `type`, `title` and `status`.
    """

    code: str
    status: int
    title: str
    meaning: str
    remedy: str
    example: Mapping[str, Any]


_MESSAGE_ID = "msg_01JDA3V8Q2Z7K4M9N6P5R1S0TX"

TYPES: Mapping[str, ProblemType] = {
    kind.code: kind
    for kind in (
        ProblemType(
            "unauthorized",
            401,
            "A valid API token is needed",
            "The request carries no API token, or none that is valid: mistyped, revoked, or a "
            "placeholder that was not filled in.",
            "Send `Authorization: Bearer alir_…`. `alir token create` makes an API token; each is "
            "shown once.",
            {"detail": "The Authorization header is missing."},
        ),
        ProblemType(
            "bad_signature",
            401,
            "No known secret signed this callback",
            "A provider's callback is signed with a secret of the sender that it is about. "
            "This one is not signed, or not with any configured secret, or its bytes were changed "
            "on the way.",
            "Compare the secret in alir.toml, `app_secret` of a cloud sender, with the provider's. "
            "A proxy in between must not rewrite bodies.",
            {"detail": "X-Hub-Signature-256 is not made with the secret of any sender."},
        ),
        ProblemType(
            "request_timeout",
            408,
            "The request did not arrive in time",
            "The request's body came too slowly, or stopped coming.",
            "Send it again over a better connection; nothing was stored.",
            {"detail": "The body was not here after 60 seconds."},
        ),
        ProblemType(
            "payload_too_large",
            413,
            "The request is too large",
            "The request's body is larger than this route takes.",
            "A message is at most 64 KiB, and a batch 16 MiB. Send pictures by URL.",
            {"detail": "The body is larger than 65536 bytes."},
        ),
        ProblemType(
            "unsupported_media_type",
            415,
            "The request is not JSON",
            "The request does not say that it is JSON.",
            "Send `Content-Type: application/json`.",
            {
                "detail": "Content-Type is application/x-www-form-urlencoded; it must be "
                "application/json in UTF-8."
            },
        ),
        ProblemType(
            "invalid_json",
            400,
            "The body is not valid JSON",
            "The body breaks JSON's own rules, or has a key twice, or a number that JSON does not "
            "know. The problem names line and column, shows the text around the fault, and says "
            "what is likely wrong.",
            "Mend that place and send it again; there may be another fault behind it.",
            {
                "detail": "Line 14, column 38: this is a comment, and JSON has none: take it out, "
                "up to the end of the line",
                "line": 14,
                "column": 38,
                "excerpt": '…media": "URL_IMAGE" # if media…',
            },
        ),
        ProblemType(
            "scope_missing",
            403,
            "The API token lacks the right",
            "The API token is valid, but was not given the scope that this route needs.",
            "Use another, or make one: `alir token create NAME --scope send --scope read`.",
            {"detail": "This API token lacks the scope send."},
        ),
        ProblemType(
            "sender_not_allowed",
            403,
            "The API token may not use this sender",
            "The API token is bound to other senders than the one in `from`.",
            "Leave `from` out, name one of its own senders, or use another API token.",
            {"detail": "This API token may not use that sender."},
        ),
        ProblemType(
            "not_found",
            404,
            "There is no such thing",
            "Nothing has this path or id, or it belongs to a sender that the API token may not "
            "use.",
            "Check the id: every id that alir ever gave out finds its message.",
            {"detail": "No message has this id."},
        ),
        ProblemType(
            "method_not_allowed",
            405,
            "This path does not take that method",
            "The path exists, but not with this method.",
            "See /docs for the methods of each path.",
            {"detail": "This path takes: GET, HEAD, POST."},
        ),
        ProblemType(
            "too_late",
            409,
            "The message is past that point",
            "A message can be cancelled while it is queued or unknown, and sent again when it "
            "failed or is unknown. This one stands elsewhere by now.",
            "Ask `GET /messages/{id}` where it stands.",
            {
                "detail": "The message is delivered: it can no longer be cancelled.",
                "id": _MESSAGE_ID,
            },
        ),
        ProblemType(
            "message_ended",
            409,
            "The message ended without being sent",
            "The message was stored, but it was cancelled, it expired, or it was given up before "
            "the provider took it.",
            "Send a new message, with a new Idempotency-Key if you use them.",
            {"detail": "Not sent before `expires_at`.", "id": _MESSAGE_ID, "reason": "expired"},
        ),
        ProblemType(
            "invalid_request",
            422,
            "The request breaks a rule",
            "One or more values of the body, of the query, or the Idempotency-Key, break a rule. "
            "`errors` lists every one of them: where, which rule, and what to do. `pointer` leads "
            "into the body; of a parameter or a header it holds the name.",
            "Mend all of them and send it again; nothing was stored.",
            {
                "detail": "2 rules are broken; see errors.",
                "errors": [
                    {
                        "pointer": "#/to",
                        "code": "country_code_missing",
                        "detail": "the country code is missing: write + and the country code "
                        "instead of the leading 0",
                    },
                    {
                        "pointer": "#/flow/param/body",
                        "code": "missing",
                        "detail": "this field is needed",
                    },
                ],
            },
        ),
        ProblemType(
            "refused",
            422,
            "The provider refused the message",
            "The message was stored and handed over, and the provider refused it for good. "
            "`provider` holds its code and its words.",
            "Mend what it names and send a new message, with a new Idempotency-Key if you use "
            "them. `alir explain` with the code says more.",
            {
                "detail": "A parameter's value is not valid.",
                "id": _MESSAGE_ID,
                "provider": {
                    "code": "131009",
                    "title": "A parameter's value is not valid",
                    "detail": "flow.screen does not exist in this Flow",
                },
            },
        ),
        ProblemType(
            "idempotency_conflict",
            422,
            "The Idempotency-Key stands for another request",
            "The same Idempotency-Key came before, from the same API token, with another body. "
            "One key stands for one message for as long as that is kept.",
            "Use a new key for a new message.",
            {"detail": "This Idempotency-Key was used with another body."},
        ),
        ProblemType(
            "queue_full",
            429,
            "The queue of this sender is full",
            "As many messages wait at this sender as may, those that wait for their time included. "
            "Nothing was stored.",
            "Repeat after `Retry-After`. Where it lasts, see whether the sender is paused "
            "(`GET /senders`), cancel what is no longer wanted, or raise `queue_limit` in "
            "alir.toml.",
            {"detail": "As many messages of this sender wait as may."},
        ),
        ProblemType(
            "internal_error",
            500,
            "Something broke in alir",
            "A fault in alir itself. The log has more.",
            "Repeat the request with its Idempotency-Key, and please report the fault.",
            {"detail": "The log has more."},
        ),
        ProblemType(
            "too_many_batches",
            503,
            "Too many batches come at once",
            "So many batches are on their way or wait for their turn that there is no room for "
            "one more, or no turn in time. Nothing of this one was stored.",
            "Repeat the batch after `Retry-After`, and send fewer at once, such as one "
            "behind the other.",
            {"detail": "Other batches came first for 10 seconds; nothing was stored."},
        ),
        ProblemType(
            "too_many_callbacks",
            503,
            "Too many callbacks come at once",
            "So many large callbacks are on their way that there is no room for one more, or for "
            "the rest of it. Nothing of this one was stored. Callbacks of the usual size need "
            "no room.",
            "Meta tells it again by itself; whether Route Mobile does, its documents do not say. "
            "If it goes on, see who else sends to the callback URL.",
            {"detail": "Too many callbacks are on their way; nothing of this one was stored."},
        ),
        ProblemType(
            "store_unavailable",
            503,
            "The store cannot take it now",
            "The database could not be written or read. Unless the problem has an `id`, nothing "
            "was accepted. With an `id` it is in doubt whether the message was stored.",
            "Repeat after `Retry-After`. With an `id`, ask `GET /messages/{id}`, or repeat with "
            "the same Idempotency-Key.",
            {"detail": "Nothing was accepted; please repeat it."},
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One answer.

    Attributes:
        more: further members of the body, such as `errors` or `id`.
        headers: further headers of the answer.
    """

    code: str
    detail: str
    more: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        return TYPES[self.code].status

    def as_json(self, instance: str | None = None) -> dict[str, Any]:
        kind = TYPES[self.code]
        body = {
            "type": f"/problems/{kind.code}",
            "title": kind.title,
            "status": kind.status,
            "detail": self.detail,
        }
        if instance is not None:
            body["instance"] = instance
        return body | dict(self.more)

    def as_bytes(self, instance: str | None = None) -> bytes:
        return orjson.dumps(self.as_json(instance))


def example_of(kind: ProblemType) -> dict[str, Any]:
    """A whole problem of this kind, as an answer shows it."""
    more = {name: value for name, value in kind.example.items() if name != "detail"}
    return Problem(kind.code, kind.example["detail"], more).as_json()


class Refusal(Exception):
    """Ends a request with a problem, from wherever it is noticed."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


def problem_of(error: AlirError) -> Problem:
    """The problem that an error of alir is answered with."""
    match error:
        case RequestInvalid():
            problem = invalid_request(error.faults)
        case JsonInvalid():
            where = {"line": error.line, "column": error.column, "excerpt": error.excerpt}
            detail = f"Line {error.line}, column {error.column}: {error.likely}"
            problem = Problem("invalid_json", detail, where)
        case SenderForbidden():
            problem = Problem("sender_not_allowed", str(error))
        case IdempotencyConflict():
            detail = "This Idempotency-Key was used with another body."
            problem = Problem("idempotency_conflict", detail)
        case BodyTooLarge():
            problem = Problem("payload_too_large", str(error))
        case QueueFull():
            problem = Problem("queue_full", str(error), headers=QUEUE_RETRY)
        case NotFound():
            problem = Problem("not_found", "No message has this id.")
        case TooLate():
            problem = Problem("too_late", str(error), {"id": error.message_id})
        case StoreUnavailable():
            problem = store_unavailable(error)
        case _:
            problem = Problem("internal_error", "The log has more.")
    return problem


def invalid_request(faults: Sequence[Fault]) -> Problem:
    """The problem that lists every broken rule."""
    count = "1 rule is" if len(faults) == 1 else f"{len(faults)} rules are"
    errors = [{"pointer": f.pointer, "code": f.code, "detail": f.detail} for f in faults]
    return Problem("invalid_request", f"{count} broken; see errors.", {"errors": errors})


def store_unavailable(error: StoreUnavailable) -> Problem:
    """The problem of a store that cannot take it; with the id of a message that is in doubt."""
    if error.in_doubt and error.message_id is not None:
        detail = (
            "It is in doubt whether the message was stored: ask "
            f"GET /api/whatsapp/v1/messages/{error.message_id}, or repeat the request with the "
            "same Idempotency-Key. Without a key, a repeat may send it twice."
        )
        return Problem("store_unavailable", detail, {"id": error.message_id}, STORE_RETRY)
    return Problem("store_unavailable", "Nothing was accepted; please repeat it.", {}, STORE_RETRY)
