"""Route Mobile keeps the contract of providers: with its log-in, with and without a mark."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tests.provider_contract.statuses import a_status

from alir.errors import PauseScope
from alir.providers.registry import PROVIDERS
from alir.receipts.ports import CallbackRequest
from alir.testing.messages import MessageKind
from alir.testing.provider import ProviderContract
from alir.testing.samples import Picked, Receipt, busy, refused, taken, unknown
from alir.testing.server import Reply, Request

REQUEST_ID = "f4e3b2a1-0000-4000-8000-000000000001"


class TestRouteMobile(ProviderContract):
    kind = PROVIDERS["routemobile"]
    secrets = ("username", "password")
    callback_secret = "callback_secret"
    messages = frozenset(MessageKind) - {MessageKind.USER_ID, MessageKind.TEMPLATE_DATA}
    others = ({"id": "9", "type": "event", "status": "sent", "timestamp": "1767225570"},)
    answers = (
        taken(
            202,
            {"request_id": REQUEST_ID, "status": "queued"},
            provider_id=REQUEST_ID,
            request_id=REQUEST_ID,
        ),
        refused(400, {"status": "failed", "reason": {"phone": ["Not a valid number."]}}),
        unknown(500, {"message": "Internal error", "status": "failed"}, name="its own 500"),
        busy(429, {"message": "Too many"}, code=429, pauses=PauseScope.SENDER),
        busy(403, {"message": "Forbidden"}, pauses=PauseScope.ACCOUNT),
        busy(401, {"message": "Bad token"}, pauses=PauseScope.ACCOUNT, requests=2, name="401"),
        unknown(202, {"request_id": REQUEST_ID, "status": "failed"}, name="a success that denies"),
    )
    send_extra = False

    def table(self, base_url: str, number: int) -> dict[str, Any]:
        return {
            "provider": "routemobile",
            "base_url": base_url,
            "username": f"user-name-of-{number}",
            "password": f"pass-word-of-{number}",
            "callback_secret": f"callback-secret-of-these-tests-{number}",
            "authorization": "bearer",
            "text_header": "text",
            "empty_header_footer": "omit",
            "send_extra": self.send_extra,
            "send_reply_to": True,
            "failed_500": "unknown",
        }

    def before_send(self, request: Request) -> Reply | None:
        if request.target == "/auth/v1/login/":
            return Reply.http(200, {"JWTAUTH": "jwt"}, keep=True)
        return None

    def picked(self, request: Request) -> Picked:
        body = request.json()
        whom = {"to": body["phone"], "reply_to": body.get("reply_to"), "mark": body.get("extra")}
        if "media" in body:
            return Picked(**whom, **_of_template(body["media"]))
        flow = body["flow"]
        payload = flow.get("flow_action_payload", {})
        header = body.get("header", {})
        return Picked(
            **whom,
            flow_id=flow["flow_id"],
            flow_token=flow["flow_token"],
            button=flow["flow_cta"],
            action=flow["flow_action"],
            screen=payload.get("screen"),
            data=payload.get("data"),
            mode=flow["flow_mode"],
            body=body["body"],
            footer=body.get("footer"),
            header=header.get("text"),
            media=header.get("image"),
        )

    def secured(self, body: bytes, secret: str) -> CallbackRequest:
        return CallbackRequest({}, body, secret)

    def receipt(self, told: Receipt) -> object:
        return a_status(told, mark="extra")

    def wrote(self, wa_id: str, at: datetime) -> object:
        return {"from": f"+{wa_id}", "id": "wamid.IN", "timestamp": str(int(at.timestamp()))}

    def callback(self, items: Sequence[object], number: int) -> bytes:
        return json.dumps(self.enveloped(_lists(items))).encode()

    def enveloped(self, lists: dict[str, Any]) -> dict[str, Any]:
        """In the bare envelope."""
        return lists


class TestRouteMobileWithMarksInMetasEnvelope(TestRouteMobile):
    send_extra = True

    def enveloped(self, lists: dict[str, Any]) -> dict[str, Any]:
        return {"entry": [{"changes": [{"field": "messages", "value": lists}]}]}


def _lists(items: Sequence[object]) -> dict[str, Any]:
    written = [one for one in items if isinstance(one, dict) and "from" in one]
    return {"statuses": [one for one in items if one not in written], "messages": written}


def _of_template(media: Mapping[str, Any]) -> dict[str, Any]:
    [button] = media["button"]
    header = media.get("header", [{}])[0]
    return {
        "template": media["template_name"],
        "language": media["lang_code"],
        "texts": tuple(one["text"] for one in media["body"]),
        "button_index": int(button["button_no"]),
        "flow_token": button["flow"],
        "header": header.get("text"),
        "media": header.get("image", {}).get("link"),
    }
