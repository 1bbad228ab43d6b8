"""The JSON that Graph answers and calls back with. No I/O."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from alir.messages.model import ReceiptStatus
from alir.simulator.callbacks import Heard, Item, Told
from alir.simulator.codes import error_codes
from alir.simulator.gate import PAIR_RATE_REACHED, THROUGHPUT_REACHED
from alir.simulator.graph.check import Request
from alir.simulator.magic import WINDOW_SHUT
from alir.simulator.phones import Written
from alir.simulator.recipients import is_user_id

#: Of the WhatsApp Business account that all senders of the simulator belong to.
ACCOUNT_ID = "1065000000000001"
DISPLAY_NUMBER = "15550001065"
ERROR_PAGE = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/"


def new_trace_id() -> str:
    """An id as `fbtrace_id` has."""
    return f"A{secrets.token_urlsafe(16)}"


def accepted(request: Request, *, wamid: str) -> bytes:
    """The answer to a message that was taken. Who is known by user id only has no `wa_id`."""
    message = {"id": wamid}
    if request.kind == "template":
        message["message_status"] = "accepted"
    return to_json(
        {
            "messaging_product": "whatsapp",
            "contacts": [{"input": request.written} | _person(request.recipient)],
            "messages": [message],
        }
    )


def error(code: int, *, title: str, details: str) -> bytes:
    """The answer to a request that was refused."""
    return to_json(
        {
            "error": {
                "message": f"(#{code}) {title}",
                "type": "OAuthException",
                "code": code,
                "error_data": {"messaging_product": "whatsapp", "details": details},
                "fbtrace_id": new_trace_id(),
            }
        }
    )


def node_error(code: int, *, message: str, subcode: int | None) -> bytes:
    """The answer to a request that Graph itself refused, before WhatsApp came in."""
    error: dict[str, Any] = {"message": message, "type": "GraphMethodException", "code": code}
    if subcode is not None:
        error["error_subcode"] = subcode
    return to_json({"error": error | {"fbtrace_id": new_trace_id()}})


def error_without_code(message: str) -> bytes:
    """The answer of something in front of WhatsApp."""
    return to_json(
        {"error": {"message": message, "type": "OAuthException", "fbtrace_id": new_trace_id()}}
    )


def sign(app_secret: str, body: bytes) -> str:
    """The value of `X-Hub-Signature-256` for exactly these bytes."""
    return "sha256=" + hmac.digest(app_secret.encode(), body, "sha256").hex()


def callback(items: Sequence[Item]) -> bytes:
    """The body of one callback. Non-ASCII is escaped as `\\uXXXX`, as Meta does."""
    by_sender: dict[str, list[Item]] = {}
    for item in items:
        by_sender.setdefault(item.sender, []).append(item)
    changes = [
        {"field": "messages", "value": _value(sender, its)} for sender, its in by_sender.items()
    ]
    envelope = {
        "object": "whatsapp_business_account",
        "entry": [{"id": ACCOUNT_ID, "changes": changes}],
    }
    return to_json(envelope, ensure_ascii=True)


def _value(sender: str, items: Sequence[Item]) -> dict[str, Any]:
    value: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": DISPLAY_NUMBER, "phone_number_id": sender},
    }
    contacts = [contact for item in items for contact in _contacts(item)]
    messages = [_message(item.written) for item in items if isinstance(item, Heard)]
    statuses = [_status(item) for item in items if isinstance(item, Told)]
    parts = {"contacts": contacts, "messages": messages, "statuses": statuses}
    return value | {key: part for key, part in parts.items() if part}


def _contacts(item: Item) -> list[dict[str, Any]]:
    """A failed receipt names no contact; the others name it without its profile."""
    if isinstance(item, Heard):
        return [{"profile": {"name": item.written.name}} | _person(item.written.phone)]
    if item.receipt.status is ReceiptStatus.FAILED:
        return []
    return [_person(item.message.phone)]


def _person(recipient: str) -> dict[str, Any]:
    return {"user_id" if is_user_id(recipient) else "wa_id": recipient}


def _message(written: Written) -> dict[str, Any]:
    return {
        "from_user_id" if is_user_id(written.phone) else "from": written.phone,
        "id": written.wamid,
        "timestamp": _seconds(written.at),
        "type": "text",
        "text": {"body": written.text},
    }


def _status(told: Told) -> dict[str, Any]:
    message, receipt = told.message, told.receipt
    status: dict[str, Any] = {
        "id": message.wamid,
        "status": receipt.status.value,
        "timestamp": _seconds(receipt.at),
        "recipient_user_id" if is_user_id(message.phone) else "recipient_id": message.phone,
    }
    if message.mark is not None:
        status["biz_opaque_callback_data"] = message.mark
    if receipt.status in (ReceiptStatus.SENT, ReceiptStatus.DELIVERED):
        status["pricing"] = _PRICING[message.kind]
    if receipt.code is not None:
        status["errors"] = [_failure(receipt.code)]
    return status


_PRICING: Mapping[str, Mapping[str, Any]] = {
    "interactive": {
        "billable": False,
        "pricing_model": "PMP",
        "type": "free_customer_service",
        "category": "service",
    },
    "template": {
        "billable": True,
        "pricing_model": "PMP",
        "type": "regular",
        "category": "utility",
    },
}


def _failure(code: int) -> dict[str, Any]:
    title = error_codes()[code].title
    return {
        "code": code,
        "title": title,
        "message": title,
        "error_data": {"details": why(code, name=f"error {code}")},
        "href": ERROR_PAGE,
    }


def why(code: int, *, name: str = "this error") -> str:
    """The details of an error that the simulator makes up."""
    return f"The recipient's number asked the simulator for {name}{_ALSO.get(code, '')}."


_ALSO: Mapping[int, str] = {
    THROUGHPUT_REACHED: ", or the limit messages_per_second is reached",
    PAIR_RATE_REACHED: ", or the limit of pair_seconds and pair_burst is reached",
    WINDOW_SHUT: ", or the person has not written to this sender within 24 hours",
}


def _seconds(milliseconds: int) -> str:
    return str(milliseconds // 1000)
