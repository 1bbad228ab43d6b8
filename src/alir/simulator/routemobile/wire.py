"""The JSON that Route Mobile answers and calls back with. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from alir.clock import from_milliseconds
from alir.messages.model import ReceiptStatus
from alir.simulator.behaviour import Envelope, RouteMobile
from alir.simulator.callbacks import Heard, Item, Told
from alir.simulator.codes import title
from alir.simulator.graph.wire import ACCOUNT_ID, DISPLAY_NUMBER

QUALITY = "high"


def logged_in(username: str, token: str) -> bytes:
    """The answer to a log-in."""
    user = {
        "username": username,
        "first_name": "Sandbox",
        "last_name": "User",
        "email": f"{username}@example.com",
        "phone_number": f"+{DISPLAY_NUMBER}",
        "password_reset": False,
        "is_active": True,
        "is_staff": False,
        "ip": "1stepauth",
        "child_user": False,
        "parent_username": "",
    }
    return to_json({"JWTAUTH": token, "user_data": user})


def accepted(request_id: str) -> bytes:
    """The answer to a message that was taken."""
    return to_json(
        {
            "message": "message received successfully",
            "status": "processing",
            "request_id": request_id,
        }
    )


def account(username: str, callback_url: str | None) -> bytes:
    """The account's details: those of the documented fields that say how it fares."""
    return to_json(
        {
            "callback_url": callback_url or "",
            "send_status": "True",
            "available_verticals": ["OTHER"],
            "account_hosting": "cloud",
            "user_details": {
                "client_msisdn": DISPLAY_NUMBER,
                "waba_id": ACCOUNT_ID,
                "catalog_id": "",
            },
            "health_check_details": {
                "health_check": {
                    "username": username,
                    "health": "CONNECTED",
                    "response_status_code": 200,
                },
                "meta": {"api_status": "stable", "version": "24.0"},
            },
            "phone_number_updates": {
                "waba_id": ACCOUNT_ID,
                "number_quality": QUALITY,
                "messaging_limit": "TIER_1K",
                "number_status": "CONNECTED",
                "rejection_reason": None,
                "verified_name": "alir simulator",
            },
            "waba_updates": {
                "waba_status": "CONNECTED",
                "waba_quality": QUALITY,
                "waba_id": ACCOUNT_ID,
            },
        }
    )


def callback(items: Sequence[Item], style: RouteMobile) -> bytes:
    """The body of one callback: receipts of one sender, or one text of a person."""
    flat = _flat(items, style)
    match style.envelope:
        case Envelope.FLAT:
            return to_json(flat)
        case Envelope.WRAPPED:
            return to_json(_wrapped(flat, items[-1]))
        case Envelope.META:
            return to_json(_as_meta(flat, items[-1]))


def _flat(items: Sequence[Item], style: RouteMobile) -> dict[str, Any]:
    heard = [item.written for item in items if isinstance(item, Heard)]
    if heard:
        return {
            "contacts": [{"profile": {"name": each.name}, "wa_id": each.phone} for each in heard],
            "messages": [
                {
                    "from": each.phone,
                    "id": each.request_id,
                    "message_id": each.wamid,
                    "timestamp": _seconds(each.at),
                    "type": "text",
                    "text": {"body": each.text},
                }
                for each in heard
            ],
            "brand_msisdn": DISPLAY_NUMBER,
            "request_id": heard[0].request_id,
        }
    told = [item for item in items if isinstance(item, Told)]
    statuses = {each.receipt.status for each in told}
    flat: dict[str, Any] = {"statuses": [_status(each, style) for each in told]}
    # The documented samples: failures stand alone, and `read` has one number more.
    if statuses != {ReceiptStatus.FAILED}:
        flat["brand_msisdn"] = DISPLAY_NUMBER
    if ReceiptStatus.READ in statuses:
        flat["display_no"] = DISPLAY_NUMBER
    return flat


def _status(told: Told, style: RouteMobile) -> dict[str, Any]:
    message, receipt = told.message, told.receipt
    status: dict[str, Any] = {
        "id": message.request_id,
        "recipient_id": message.phone,
        "status": receipt.status.value,
        "timestamp": _seconds(receipt.at),
        "type": "message",
        "extra": message.mark or "",
    }
    if receipt.status in style.wamid_in:
        status["message_id"] = message.wamid
    if receipt.status in (ReceiptStatus.SENT, ReceiptStatus.DELIVERED):
        status["pricing"] = _PRICING
    if receipt.code is not None:
        del status["type"]
        status["errors"] = [{"code": receipt.code, "title": title(receipt.code)}]
    return status


_PRICING: Mapping[str, str] = {
    "billable": "true",
    "category": "user_initiated",
    "pricing_model": "CBP",
}


def _wrapped(flat: Mapping[str, Any], item: Item) -> dict[str, Any]:
    phone, at = _who_and_when(item)
    return {
        "contact_no": phone,
        "data": flat,
        "time": from_milliseconds(at).strftime("%Y-%m-%d %H:%M:%S.%f"),
        "source": "FROM_CALLBACK",
    }


def _as_meta(flat: Mapping[str, Any], item: Item) -> dict[str, Any]:
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": DISPLAY_NUMBER, "phone_number_id": item.sender},
        **flat,
    }
    change = {"field": "messages", "value": value}
    entry = {"id": ACCOUNT_ID, "changes": [change]}
    return {"object": "whatsapp_business_account", "entry": [entry]}


def _who_and_when(item: Item) -> tuple[str, int]:
    if isinstance(item, Heard):
        return item.written.phone, item.written.at
    return item.message.phone, item.receipt.at


def _seconds(milliseconds: int) -> str:
    return str(milliseconds // 1000)
