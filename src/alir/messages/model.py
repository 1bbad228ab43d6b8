"""A message, its attempts and its receipts: frozen records, no I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Self

from alir.clock import rfc3339
from alir.ids import ApiTokenId, MessageId, ProviderId, SenderName

WAMID = "wamid"  #: every message id of WhatsApp begins so


class Status(StrEnum):
    """Where a message stands, as far as alir can know."""

    QUEUED = "queued"  #: Stored; waits for its turn, its `send_at` or a busy provider.
    SENDING = "sending"  #: An attempt is begun; its answer is not known yet.
    ACCEPTED = "accepted"  #: The provider took it.
    SENT = "sent"  #: WhatsApp sent it on.
    DELIVERED = "delivered"  #: It reached a device of the recipient.
    READ = "read"  #: The recipient saw it.
    UNKNOWN = "unknown"  #: An attempt left, and nothing readable came back.
    FAILED = "failed"  #: Refused, given up, or undeliverable.
    CANCELLED = "cancelled"  #: Taken back before an attempt.
    EXPIRED = "expired"  #: `expires_at` passed before an attempt could be made.


class Outcome(StrEnum):
    """What an attempt came to."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    BUSY = "busy"
    UNKNOWN = "unknown"


class ReceiptStatus(StrEnum):
    """A provider's later word on an attempt."""

    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


class OnUnknown(StrEnum):
    """What to do with an attempt whose outcome stays unknown."""

    HOLD = "hold"
    RETRY = "retry"


class Decision(StrEnum):
    """What was decided about an attempt that was unknown, or by what it was settled."""

    MARK = "mark"  #: a receipt names it
    PARKED = "parked"  #: a receipt names it that was parked
    GUESS = "guess"  #: a parked receipt can be about no other
    ANSWER = "answer"  #: the provider's own answer came late
    HELD = "held"  #: no evidence came in time: it waits for a person
    RETRIED = "retried"  #: the message is queued once more, by `on_unknown` or by the API
    GIVEN_UP = "given_up"  #: somebody cancelled the message


class Priority(StrEnum):
    """How urgent its caller says that a message is."""

    SINGLE = "single"
    BULK = "bulk"


class QueueClass(StrEnum):
    """The classes of a sender's queue, highest first; see `order.class_of`."""

    REPLY = "reply"
    SINGLE = "single"
    BULK = "bulk"


class Flag:
    """What a caller should know about a message besides its status."""

    AFTER_FAILED = "after_failed"  #: delivered or read came after failed
    DUPLICATED = "duplicated"  #: two attempts arrived
    RESENT = "resent"  #: sent again while an earlier attempt was unknown
    FALLBACK = "fallback"  #: goes out as its fallback template: the window was shut
    GUESS = "guess"  #: an outcome rests on a receipt that names no attempt


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a caller should know about a request that was taken.

    Attributes:
        pointer: where, as a JSON pointer in fragment form.
    """

    code: str
    pointer: str
    detail: str

    def as_json(self) -> dict[str, str]:
        return {"code": self.code, "pointer": self.pointer, "detail": self.detail}


@dataclass(slots=True, kw_only=True)
class Draft:
    """A checked request for a message: every rule of the API holds, nothing is stored yet.

    Never changed in place, but not frozen: that costs a microsecond for each, on the way that
    every message takes before it is answered.

    Attributes:
        to: E.164 with its plus sign, the digits as the caller gave them; or none, and `recipient`.
        recipient: a business-scoped user id, in place of `to`.
        flow: the `flow` object with defaults filled in and nulls left out: `id`, `token`, `text`,
            `action` (`navigate` or `data_exchange`), `screen`, `mode`, `param` (`body`; optional
            `footer`, and `header` as `{"type": "text", "text"}` or `{"type": "media", "media"}`),
            optional `data`. Empty where the type is `template`.
        template: where the type is `template`, nulls left out: `name`, `language`, `button_index`,
            `flow` (optional `token` and `data`), optional `header` as above and `body`, a list of
            texts.
        fallback: such a template, which goes out in place of `flow` where the window is shut.
        sender: the name given in `from`, if any.
    """

    to: str | None
    flow: Mapping[str, Any]
    type: str = "flow"
    recipient: str | None = None
    template: Mapping[str, Any] | None = None
    fallback: Mapping[str, Any] | None = None
    sender: SenderName | None = None
    reply_message_id: str | None = None
    callback_data: str | None = None
    on_unknown: OnUnknown | None = None
    priority: Priority | None = None
    send_at: datetime | None = None
    expires_at: datetime | None = None
    warnings: tuple[Notice, ...] = ()


class Attempt(NamedTuple):
    """One hand-over of a message to a provider.

    Attributes:
        number: from 1.
        outcome: none while the call is under way.
        provider_id: the provider's own id of the message; at the Cloud API that is WhatsApp's.
        wamid: WhatsApp's id, learnt from receipts where the provider's own is another.
        error: for people and programs: `{"code", "provider_code", "title", "detail"}`.
    """

    number: int
    begun_at: datetime
    settled_at: datetime | None = None
    outcome: Outcome | None = None
    provider_id: ProviderId | None = None
    error: Mapping[str, Any] | None = None
    wamid: ProviderId | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "provider_id": self.provider_id,
            "begun_at": rfc3339(self.begun_at),
            "settled_at": _moment(self.settled_at),
            "outcome": self.outcome,
            "error": self.error,
        }

    @property
    def is_open(self) -> bool:
        """Whether nobody has said what it came to: it is on its way, or unknown."""
        return self.outcome is None or self.outcome is Outcome.UNKNOWN

    @property
    def whatsapp_id(self) -> ProviderId | None:
        """WhatsApp's id of the message, as far as it is known."""
        known = self.provider_id is not None and self.provider_id.startswith(WAMID)
        return self.provider_id if known else self.wamid


class Receipt(NamedTuple):
    """A provider's later word on an attempt.

    Attributes:
        attempt: the attempt's number.
        at: when it happened, by the provider's clock.
    """

    attempt: int
    status: ReceiptStatus
    at: datetime
    error: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "attempt": self.attempt,
            "status": self.status,
            "at": rfc3339(self.at),
            "error": self.error,
        }


@dataclass(kw_only=True)
class Message:
    """One Flow message to one recipient. Never changed in place; see `life`.

    Neither frozen nor with slots, for what that costs on a record of this size: a frozen one takes
    five times as long to build, and `but`, which copies the whole `__dict__`, takes a tenth of
    `dataclasses.replace`. Every message goes through both several times.

    Attributes:
        token_id: the API token that it was accepted from.
        to: E.164 with its plus sign; none where `recipient` stands in its place.
        wa_id: the recipient as WhatsApp names it, once an answer has said so.
        flow, template, fallback: as in `Draft`.
        provider_request_id: what the provider gives callers as the id of their request.
        reply_to: the WhatsApp id that the bubble quotes, if any.
        due_at: when it may be begun next; meaningful while queued.
        first_due_at: when it was first allowed to be begun; giving up counts from here.
        queue_class: which messages it goes before; decided when it is stored, and then kept.
        parked: where it waits for its turn while it is queued, if its recipient or its Flow must
            wait; such a message is not due, whatever `due_at` says.
        tries: how often it was queued again after a busy answer, in a row.
        error: why it failed, as in `Attempt`.
        version: counts the changes; a write says which one it was decided upon.
    """

    id: MessageId
    token_id: ApiTokenId
    sender: SenderName
    to: str | None
    flow: Mapping[str, Any]
    on_unknown: OnUnknown
    created_at: datetime
    due_at: datetime
    first_due_at: datetime
    type: str = "flow"
    recipient: str | None = None
    template: Mapping[str, Any] | None = None
    fallback: Mapping[str, Any] | None = None
    provider_request_id: str | None = None
    parked: str | None = None
    status: Status = Status.QUEUED
    wa_id: str | None = None
    reply_to: ProviderId | None = None
    reply_message_id: str | None = None
    callback_data: str | None = None
    priority: Priority = Priority.SINGLE
    queue_class: QueueClass = QueueClass.SINGLE
    send_at: datetime | None = None
    expires_at: datetime | None = None
    tries: int = 0
    version: int = 1
    error: Mapping[str, Any] | None = None
    flags: tuple[str, ...] = ()
    warnings: tuple[Notice, ...] = ()
    attempts: tuple[Attempt, ...] = field(default=())
    receipts: tuple[Receipt, ...] = field(default=())

    @property
    def request_id(self) -> str:
        """The seed's `request_id`: the provider's where it gives one to callers, else `id`."""
        return self.provider_request_id or self.id

    @property
    def person(self) -> str:
        """Whom it goes to: the number, or the business-scoped user id."""
        return self.to or self.recipient or ""

    @property
    def flow_id(self) -> str | None:
        """The Flow that it opens; of a template only WhatsApp knows that."""
        return self.flow.get("id")

    @property
    def flow_token(self) -> str | None:
        """The flow token that travels with it."""
        if self.template is not None:
            token: str | None = self.template["flow"].get("token")
            return token
        return self.flow.get("token")

    @property
    def as_template(self) -> Mapping[str, Any] | None:
        """The template that goes out now; none: the Flow message does."""
        return self.fallback if Flag.FALLBACK in self.flags else self.template

    def but(self, **changes: Any) -> Self:
        """The same message with these fields changed.

        Raises:
            TypeError: there is no such field.
        """
        fields = self.__dict__.copy()  # twice as quick as filling an empty one
        fields.update(changes)
        if len(fields) != len(self.__dict__):
            raise TypeError(f"a message has no field {changes.keys() - self.__dict__.keys()}")
        other = object.__new__(type(self))
        other.__dict__ = fields
        return other

    def attempt(self, number: int) -> Attempt | None:
        """The attempt of that number, if there is one."""
        return self.attempts[number - 1] if 0 < number <= len(self.attempts) else None

    def as_json(self) -> dict[str, Any]:
        """The message as the API, events and webhooks show it."""
        return {
            "id": self.id,
            "request_id": self.request_id,
            "type": self.type,
            "status": self.status,
            "to": self.to,
            "recipient": self.recipient,
            "wa_id": self.wa_id,
            "from": self.sender,
            "reply_message_id": self.reply_message_id,
            "flow": self.flow or None,
            "template": self.template,
            "fallback": self.fallback,
            "callback_data": self.callback_data,
            "priority": self.priority,
            "created_at": rfc3339(self.created_at),
            "send_at": _moment(self.send_at),
            "expires_at": _moment(self.expires_at),
            "attempts": [a.as_json() for a in self.attempts] if self.attempts else [],
            "receipts": [r.as_json() for r in self.receipts] if self.receipts else [],
            "error": self.error,
            "responses": [],
            "flags": list(self.flags),
            "warnings": [w.as_json() for w in self.warnings] if self.warnings else [],
        }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
