"""Messages, attempts and receipts to rows and back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson

from alir.clock import from_milliseconds, to_milliseconds
from alir.messages.model import (
    Attempt,
    Message,
    Notice,
    OnUnknown,
    Outcome,
    Priority,
    QueueClass,
    Receipt,
    ReceiptStatus,
    Status,
)
from alir.store import tables

_m, _a, _r = tables.message.c, tables.attempt.c, tables.receipt.c

#: What is read of a message, in the order in which `message_of` takes it apart.
MESSAGE_COLUMNS = (
    _m.id,
    _m.token_id,
    _m.sender,
    _m.status,
    _m.type,
    _m.to,
    _m.flow,
    _m.on_unknown,
    _m.priority,
    _m.queue_class,
    _m.created_at,
    _m.due_at,
    _m.first_due_at,
    _m.attempts,
    _m.tries,
    _m.version,
    _m.flags,
    _m.warnings,
    _m.wa_id,
    _m.reply_to,
    _m.reply_message_id,
    _m.callback_data,
    _m.send_at,
    _m.expires_at,
    _m.error,
    _m.recipient,
    _m.template,
    _m.fallback,
    _m.request_id,
    _m.parked,
)
#: Where `message_of` finds how many attempts there are.
ATTEMPTS_POSITION = MESSAGE_COLUMNS.index(_m.attempts)
ATTEMPT_COLUMNS = (
    _a.number,
    _a.begun_at,
    _a.settled_at,
    _a.outcome,
    _a.provider_id,
    _a.error,
    _a.wamid,
)
RECEIPT_COLUMNS = (_r.attempt, _r.status, _r.at, _r.error)

Row = Sequence[Any]


def message_of(
    row: Row, attempts: tuple[Attempt, ...] = (), receipts: tuple[Receipt, ...] = ()
) -> Message:
    """The message of a row of `MESSAGE_COLUMNS`."""
    (
        id_,
        token_id,
        sender,
        status,
        type_,
        to,
        flow,
        on_unknown,
        priority,
        queue_class,
        created_at,
        due_at,
        first_due_at,
        _,
        tries,
        version,
        flags,
        warnings,
        wa_id,
        reply_to,
        reply_message_id,
        callback_data,
        send_at,
        expires_at,
        error,
        recipient,
        template,
        fallback,
        request_id,
        parked,
    ) = row
    return Message(
        id=id_,
        token_id=token_id,
        sender=sender,
        status=Status(status),
        type=type_,
        to=to,
        flow=_parsed(flow) or {},
        on_unknown=OnUnknown(on_unknown),
        priority=Priority(priority),
        queue_class=QueueClass(queue_class),
        created_at=from_milliseconds(created_at),
        due_at=from_milliseconds(due_at),
        first_due_at=from_milliseconds(first_due_at),
        tries=tries,
        version=version,
        flags=() if flags == "[]" else tuple(orjson.loads(flags)),
        warnings=() if warnings == "[]" else tuple(Notice(**w) for w in orjson.loads(warnings)),
        wa_id=wa_id,
        reply_to=reply_to,
        reply_message_id=reply_message_id,
        callback_data=callback_data,
        send_at=_moment(send_at),
        expires_at=_moment(expires_at),
        error=_parsed(error),
        recipient=recipient,
        template=_parsed(template),
        fallback=_parsed(fallback),
        provider_request_id=request_id,
        parked=parked,
        attempts=attempts,
        receipts=receipts,
    )


def message_row(message: Message) -> dict[str, Any]:
    """The columns of a new message, but its key and what is null."""
    row = changing_columns(message)
    row["id"] = message.id
    row["token_id"] = message.token_id
    row["type"] = message.type
    row["sender"] = message.sender
    row["on_unknown"] = message.on_unknown.value
    row["priority"] = message.priority.value
    row["queue_class"] = message.queue_class.value
    row["created_at"] = to_milliseconds(message.created_at)
    row["warnings"] = text([w.as_json() for w in message.warnings]) if message.warnings else "[]"
    row["version"] = message.version
    if message.to is not None:
        row["to"] = message.to
    if message.recipient is not None:
        row["recipient"] = message.recipient
    if message.flow:
        row["flow"] = text(message.flow)
        row["flow_id"] = message.flow_id
    flow_token = message.flow_token
    if flow_token is not None:
        row["flow_token"] = flow_token
    if message.template is not None:
        row["template"] = text(message.template)
    if message.fallback is not None:
        row["fallback"] = text(message.fallback)
    if message.reply_to is not None:
        row["reply_to"] = message.reply_to
    if message.reply_message_id is not None:
        row["reply_message_id"] = message.reply_message_id
    if message.callback_data is not None:
        row["callback_data"] = message.callback_data
    if message.send_at is not None:
        row["send_at"] = to_milliseconds(message.send_at)
    if message.expires_at is not None:
        row["expires_at"] = to_milliseconds(message.expires_at)
    return row


def changing_columns(message: Message) -> dict[str, Any]:
    """The columns that a message's life changes, but for `version` and what is null."""
    due_at = to_milliseconds(message.due_at)
    is_first = message.first_due_at is message.due_at
    row = {
        "status": message.status.value,
        "due_at": due_at,
        "first_due_at": due_at if is_first else to_milliseconds(message.first_due_at),
        "attempts": len(message.attempts),
        "tries": message.tries,
        "flags": text(message.flags) if message.flags else "[]",
    }
    if message.wa_id is not None:
        row["wa_id"] = message.wa_id
    if message.error is not None:
        row["error"] = text(message.error)
    if message.provider_request_id is not None:
        row["request_id"] = message.provider_request_id
    if message.parked is not None:
        row["parked"] = message.parked
    return row


def attempt_of(row: Row) -> Attempt:
    """The attempt of a row of `ATTEMPT_COLUMNS`."""
    number, begun_at, settled_at, outcome, provider_id, error, wamid = row
    return Attempt(
        number=number,
        begun_at=from_milliseconds(begun_at),
        settled_at=_moment(settled_at),
        outcome=None if outcome is None else Outcome(outcome),
        provider_id=provider_id,
        error=_parsed(error),
        wamid=wamid,
    )


def attempt_row(message_id: str, attempt: Attempt) -> dict[str, Any]:
    """The columns of an attempt, but what is null."""
    row: dict[str, Any] = {
        "message_id": message_id,
        "number": attempt.number,
        "begun_at": to_milliseconds(attempt.begun_at),
    }
    if attempt.settled_at is not None:
        row["settled_at"] = to_milliseconds(attempt.settled_at)
    if attempt.outcome is not None:
        row["outcome"] = attempt.outcome.value
    if attempt.provider_id is not None:
        row["provider_id"] = attempt.provider_id
    if attempt.error is not None:
        row["error"] = text(attempt.error)
    if attempt.wamid is not None:
        row["wamid"] = attempt.wamid
    return row


def receipt_of(row: Row) -> Receipt:
    """The receipt of a row of `RECEIPT_COLUMNS`."""
    attempt, status, at, error = row
    return Receipt(
        attempt=attempt,
        status=ReceiptStatus(status),
        at=from_milliseconds(at),
        error=_parsed(error),
    )


def receipt_row(message_id: str, receipt: Receipt, position: int) -> dict[str, Any]:
    """The columns of a receipt, but what is null."""
    row: dict[str, Any] = {
        "message_id": message_id,
        "attempt": receipt.attempt,
        "status": receipt.status.value,
        "at": to_milliseconds(receipt.at),
        "position": position,
    }
    if receipt.error is not None:
        row["error"] = text(receipt.error)
    return row


def text(value: object) -> str:
    """`value` as JSON text."""
    return orjson.dumps(value).decode()


def _parsed(value: str | None) -> Any:
    return None if value is None else orjson.loads(value)


def _moment(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else from_milliseconds(milliseconds)
