"""The shapes of answers, for the OpenAPI document; the answers themselves are built as bytes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from alir.messages.faults import FAULT_CODES, WARNING_CODES
from alir.messages.model import Status

_MESSAGE_ID = "msg_01JDA3V8Q2Z7K4M9N6P5R1S0TX"
_WAMID = "wamid.HBgLMTAwMDAwMDAwMDAVAgARGBI"
Moment = Annotated[
    str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-11-22T09:30:00.000Z"])
]

EXAMPLE_MESSAGE: JsonDict = {
    "id": _MESSAGE_ID,
    "request_id": _MESSAGE_ID,
    "type": "flow",
    "status": "read",
    "to": "+10000000000",
    "recipient": None,
    "wa_id": "10000000000",
    "from": "sandbox",
    "reply_message_id": None,
    "flow": {
        "id": "987654321098765",
        "token": "visit-4711",
        "text": "Choose a time",
        "action": "navigate",
        "screen": "CHOOSE_TIME",
        "mode": "published",
        "param": {
            "header": {"type": "text", "text": "Your visit"},
            "body": "Pick a time that suits you.",
            "footer": "It takes a minute",
        },
    },
    "template": None,
    "fallback": None,
    "callback_data": None,
    "priority": "single",
    "created_at": "2026-11-22T09:30:00.000Z",
    "send_at": None,
    "expires_at": None,
    "attempts": [
        {
            "number": 1,
            "provider_id": _WAMID,
            "begun_at": "2026-11-22T09:30:00.004Z",
            "settled_at": "2026-11-22T09:30:00.121Z",
            "outcome": "accepted",
            "error": None,
        }
    ],
    "receipts": [
        {"attempt": 1, "status": "sent", "at": "2026-11-22T09:30:01.000Z", "error": None},
        {"attempt": 1, "status": "delivered", "at": "2026-11-22T09:30:02.000Z", "error": None},
        {"attempt": 1, "status": "read", "at": "2026-11-22T09:31:45.000Z", "error": None},
    ],
    "error": None,
    "responses": [],
    "flags": [],
    "warnings": [],
}


class Shape(BaseModel):
    """What an answer, or a part of one, looks like: these fields and no other."""

    model_config = ConfigDict(extra="forbid")


class WarningShape(Shape):
    """Something to know about a request that was taken."""

    code: str = Field(
        description="Which one, for programs.",
        examples=["button_text_long"],
        json_schema_extra={"enum": [*WARNING_CODES]},
    )
    pointer: str = Field(
        description="Where in the request, as a JSON pointer.", examples=["#/flow/text"]
    )
    detail: str = Field(description="What it is, for people.")


_RequestId = Annotated[
    str,
    Field(
        description="The provider's id of the request where it gives one, else the same as `id`.",
        examples=[_MESSAGE_ID],
    ),
]
_Id = Annotated[str, Field(description="The message's id in this API.", examples=[_MESSAGE_ID])]
_Warnings = Annotated[
    list[WarningShape],
    Field(default_factory=list, description="Left out where there are none."),
]


class Sent(Shape):
    """The provider took the message."""

    status: Literal["accepted"] = Field(description="Where the message stands.")
    message: Literal["Message Sent!"] = Field(description="The same in words.")
    request_id: _RequestId
    id: _Id
    warnings: _Warnings


class Queued(Shape):
    """The message is on disk; whether it will go out, or did, is not known yet."""

    status: Literal["queued", "sending", "unknown"] = Field(
        description="Where the message stands. `unknown`: nobody can tell yet whether it was sent, "
        "and it is sent again only where `on_unknown` says `retry`."
    )
    message: Literal["Message Queued!"] = Field(description="The same in words.")
    request_id: _RequestId
    id: _Id
    warnings: _Warnings


class SentAnswer(Shape):
    """The answer of `POST /messages` once the provider took the message."""

    data: Sent


class QueuedAnswer(Shape):
    """The answer of `POST /messages` before that is known."""

    data: Queued


class ErrorShape(Shape):
    """Why an attempt or a message failed."""

    code: str = Field(description="alir's own code, for programs.", examples=["provider_refused"])
    provider_code: str | None = Field(
        description="The provider's code, where it gave one.", examples=["131009"]
    )
    title: str = Field(description="What happened, for people.")
    detail: str | None = Field(description="The provider's own words.")


class ReceiptErrorShape(ErrorShape):
    """Why a message that was taken failed."""

    code: str = Field(description="alir's own code, for programs.", examples=["undelivered"])
    provider_code: str | None = Field(
        description="The provider's code, where it gave one.", examples=["131026"]
    )


class AttemptShape(Shape):
    """One hand-over to the provider."""

    number: int = Field(ge=1, description="From 1.")
    provider_id: str | None = Field(
        description="The WhatsApp message id, once the provider gave it.", examples=[_WAMID]
    )
    begun_at: Moment = Field(description="When it was begun.")
    settled_at: Moment | None = Field(description="When its outcome was known.")
    outcome: Literal["accepted", "refused", "busy", "unknown"] | None = Field(
        description="What it came to; `null` while the call is under way."
    )
    error: ErrorShape | None = Field(description="Why it was not accepted.")


class ReceiptShape(Shape):
    """The provider's later word on an attempt."""

    attempt: int = Field(ge=1, description="The attempt's number.")
    status: Literal["sent", "delivered", "read", "failed"] = Field(description="What it says.")
    at: Moment = Field(description="When it happened, by the provider's clock.")
    error: ReceiptErrorShape | None = Field(description="Why it failed.")


class HeaderShape(Shape):
    """What stands above the text."""

    type: Literal["text", "media"] = Field(description="Which of the two it is.")
    text: str | None = Field(None, description="With `text`.")
    media: str | None = Field(None, description="With `media`: the image's URL.")


class ParamShape(Shape):
    """The texts of the message around its button."""

    header: HeaderShape | None = Field(None, description="Left out where there is none.")
    body: str = Field(description="The message's text.")
    footer: str | None = Field(None, description="Left out where there is none.")


class FlowShape(Shape):
    """The Flow as it was asked for, its defaults filled in."""

    id: str = Field(description="The Flow's id.")
    token: str = Field(description="The flow token.")
    text: str = Field(description="The button's text.")
    action: Literal["navigate", "data_exchange"] = Field(description="How the Flow opens.")
    screen: str = Field(description="The first screen.")
    mode: Literal["published", "draft"] = Field(description="Which revision opens.")
    param: ParamShape = Field(description="The texts of the message.")
    data: dict[str, Any] | None = Field(None, description="Data for the first screen, if any.")


class TemplateFlowShape(Shape):
    """What travels with a template's Flow."""

    token: str | None = Field(None, description="The flow token, if any.")
    data: dict[str, Any] | None = Field(None, description="Data for the first screen, if any.")


class TemplateShape(Shape):
    """The template as it was asked for, its defaults filled in."""

    name: str = Field(description="Its name at WhatsApp.")
    language: str = Field(description="The code of its language.")
    header: HeaderShape | None = Field(None, description="Left out where none was given.")
    body: list[str] = Field(
        default_factory=list, description="What fills its variables; left out where there is none."
    )
    button_index: int = Field(description="The place of its Flow button, counted from 0.")
    flow: TemplateFlowShape = Field(description="What travels with its Flow; may be empty.")


class MessageShape(Shape):
    """One message to one person."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_MESSAGE]})

    id: str = Field(description="alir's own id; it never changes.", examples=[_MESSAGE_ID])
    request_id: str = Field(description="The id that the answer to its request had.")
    type: Literal["flow", "template"] = Field(description="The kind of message.")
    status: Status = Field(description="Where the message stands.")
    to: str | None = Field(
        description="The recipient's number, its digits as they were given; `null`: see "
        "`recipient`.",
        examples=["+10000000000"],
    )
    recipient: str | None = Field(
        description="The business-scoped user id that it goes to in place of a number."
    )
    wa_id: str | None = Field(description="The recipient as WhatsApp names it, once it said so.")
    from_: str = Field(alias="from", description="The sender's name.", examples=["sandbox"])
    reply_message_id: str | None = Field(description="The message that this one answers.")
    flow: FlowShape | None = Field(description="The Flow, and the message that asks for it.")
    template: TemplateShape | None = Field(description="With type `template`: what goes out.")
    fallback: TemplateShape | None = Field(
        description="The template that goes out in place of `flow` where the 24-hour window is "
        "shut."
    )
    callback_data: str | None = Field(description="Your own string.")
    priority: Literal["single", "bulk"] = Field(
        description="As its caller gave it: `bulk` messages let single ones and replies go first."
    )
    created_at: Moment = Field(description="When it was accepted.")
    send_at: Moment | None = Field(description="Not sent before this moment.")
    expires_at: Moment | None = Field(description="Not sent after this moment.")
    attempts: list[AttemptShape] = Field(description="Every hand-over to the provider, in order.")
    receipts: list[ReceiptShape] = Field(description="What the provider said later, in order.")
    error: ErrorShape | None = Field(description="Why it failed.")
    responses: list[dict[str, Any]] = Field(
        description="What the person filled in; empty in this version."
    )
    flags: list[Literal["after_failed", "duplicated", "resent", "fallback", "guess"]] = Field(
        description=(
            "`after_failed`: it arrived after a receipt had said that it failed. `duplicated`: "
            "two attempts arrived. `resent`: sent again while an attempt was unknown. `fallback`: "
            "its fallback went out in place of the Flow message. `guess`: its outcome rests on a "
            "receipt that names no attempt."
        )
    )
    warnings: list[WarningShape] = Field(description="Those of the answer to its request.")


class MessageAnswer(Shape):
    """One message."""

    data: MessageShape = Field(description="The message.")


class MessagesAnswer(Shape):
    """A page of messages."""

    data: list[MessageShape] = Field(description="The messages, newest first.")
    next_cursor: str | None = Field(
        description="Send it as `cursor` for the next page; `null` on the last one."
    )


_Skipped = Annotated[
    int, Field(ge=0, description="How many were selected, and past the point where it can be done.")
]


class Cancelled(Shape):
    """What became of the messages that were selected."""

    cancelled: int = Field(ge=0, description="How many were cancelled, or given up as failed.")
    skipped: _Skipped


class CancelledAnswer(Shape):
    """The answer of `POST /messages/cancel`."""

    data: Cancelled


class Retried(Shape):
    """What became of the messages that were selected."""

    retried: int = Field(ge=0, description="How many are queued once more.")
    skipped: _Skipped


class RetriedAnswer(Shape):
    """The answer of `POST /messages/retry`."""

    data: Retried


class FaultShape(Shape):
    """One broken rule."""

    pointer: str = Field(
        description="Where in the request, as a JSON pointer.", examples=["#/flow/param/body"]
    )
    code: str = Field(
        description="Which rule, for programs.",
        examples=["missing"],
        json_schema_extra={"enum": [*FAULT_CODES]},
    )
    detail: str = Field(description="What is wrong and what to do, for people.")


class ProviderShape(Shape):
    """The provider's own words about a refusal."""

    code: str | None = Field(description="Its code, where it gave one.")
    title: str = Field(description="What happened, for people.")
    detail: str | None = Field(description="Its own words.")


class ProblemShape(Shape):
    """What a request is answered with that could not be done (RFC 9457)."""

    type: str = Field(
        description="Which problem: the path of a page that explains it.",
        examples=["/problems/invalid_request"],
        json_schema_extra={"format": "uri-reference"},
    )
    title: str = Field(description="The problem in a few words, the same every time.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong this time.")
    instance: str = Field(
        default_factory=str, description="The path that was asked for, or the message's."
    )
    errors: list[FaultShape] = Field(
        default_factory=list, description="Every broken rule, in the order of the request."
    )
    line: int = Field(default_factory=int, ge=1, description="Where the JSON is broken.")
    column: int = Field(default_factory=int, ge=1, description="Where in that line, in characters.")
    excerpt: str = Field(default_factory=str, description="The text around that place.")
    id: str = Field(
        default_factory=str, description="The message that it is about.", examples=[_MESSAGE_ID]
    )
    reason: str = Field(
        default_factory=str, description="What ended the message.", examples=["expired"]
    )
    provider: ProviderShape | None = Field(None, description="What the provider said.")
