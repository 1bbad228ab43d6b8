"""The shapes of answers, for the OpenAPI document; the answers themselves are built as bytes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_MESSAGE_ID = "msg_01JDA3V8Q2Z7K4M9N6P5R1S0TX"
_Moment = Annotated[
    str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-11-22T09:30:00.000Z"])
]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WarningShape(_Shape):
    """Something to know about a request that was taken."""

    code: str = Field(examples=["flow_text_long"])
    pointer: str = Field(examples=["#/flow/text"])
    detail: str


class Accepted(_Shape):
    """What became of the message by the time of the answer."""

    status: Literal["accepted", "queued", "sending", "unknown"] = Field(examples=["accepted"])
    message: Literal["Message Sent!", "Message Queued!"] = Field(examples=["Message Sent!"])
    request_id: str = Field(examples=[_MESSAGE_ID])
    id: str = Field(examples=[_MESSAGE_ID])
    warnings: list[WarningShape] = Field(default_factory=list)


class AcceptedAnswer(_Shape):
    """The answer of `POST /messages`."""

    data: Accepted


class ErrorShape(_Shape):
    """Why an attempt or a message failed."""

    code: str = Field(examples=["provider_refused"])
    provider_code: str | None = Field(examples=["131009"])
    title: str
    detail: str | None


class AttemptShape(_Shape):
    """One hand-over to the provider."""

    number: int = Field(ge=1)
    provider_id: str | None = Field(examples=["wamid.HBgL"])
    begun_at: _Moment
    settled_at: _Moment | None
    outcome: Literal["accepted", "refused", "busy", "unknown"] | None
    error: ErrorShape | None


class ReceiptShape(_Shape):
    """The provider's later word on an attempt."""

    attempt: int = Field(ge=1)
    status: Literal["sent", "delivered", "read", "failed"]
    at: _Moment
    error: ErrorShape | None


class MessageShape(_Shape):
    """One Flow message to one recipient."""

    id: str = Field(examples=[_MESSAGE_ID])
    request_id: str
    type: Literal["flow"]
    status: Literal[
        "queued",
        "sending",
        "accepted",
        "sent",
        "delivered",
        "read",
        "unknown",
        "failed",
        "cancelled",
        "expired",
    ]
    to: str = Field(examples=["+10000000000"])
    wa_id: str | None
    from_: str = Field(alias="from", examples=["sandbox"])
    reply_message_id: str | None
    flow: dict[str, Any]
    template: None = None
    callback_data: str | None
    priority: Literal["single", "bulk"]
    created_at: _Moment
    send_at: _Moment | None
    expires_at: _Moment | None
    attempts: list[AttemptShape]
    receipts: list[ReceiptShape]
    error: ErrorShape | None
    responses: list[dict[str, Any]]
    flags: list[Literal["after_failed", "duplicated", "resent"]]
    warnings: list[WarningShape]


class MessageAnswer(_Shape):
    """One message."""

    data: MessageShape


class MessagesAnswer(_Shape):
    """A page of messages, newest first."""

    data: list[MessageShape]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page.")


class FaultShape(_Shape):
    """One broken rule."""

    pointer: str = Field(examples=["#/flow/param/body"])
    code: str = Field(examples=["missing"])
    detail: str


class ProblemShape(BaseModel):
    """What a request is answered with that could not be done (RFC 9457)."""

    type: str = Field(examples=["/problems/invalid_request"])
    title: str
    status: int
    detail: str
    instance: str | None = None
    errors: list[FaultShape] = Field(default_factory=list)
