"""Meta's Cloud API keeps the contract of providers."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from tests.provider_contract.statuses import a_status

from alir.errors import PauseScope
from alir.providers.registry import PROVIDERS
from alir.receipts.ports import CallbackRequest
from alir.testing.messages import MessageKind
from alir.testing.provider import ProviderContract
from alir.testing.samples import Picked, Receipt, busy, refused, taken, unknown, window_shut
from alir.testing.server import Request


def graph_error(code: int, **more: Any) -> dict[str, Any]:
    """An error of the Graph API."""
    return {"error": {"message": f"(#{code}) Something", "code": code, "fbtrace_id": "A1"} | more}


class TestCloud(ProviderContract):
    kind = PROVIDERS["cloud"]
    secrets = ("access_token",)
    callback_secret = "app_secret"
    messages = frozenset(MessageKind)
    others = (
        {"id": "contract-9", "status": "warning", "timestamp": "1767225570"},
        {"id": "contract-9", "status": "deleted", "timestamp": "1767225570"},
    )
    answers = (
        taken(
            200,
            {
                "messaging_product": "whatsapp",
                "contacts": [{"input": "+15550100001", "wa_id": "15550100001"}],
                "messages": [{"id": "wamid.TAKEN"}],
            },
            provider_id="wamid.TAKEN",
            wa_id="15550100001",
        ),
        refused(400, graph_error(131009, error_data={"details": "flow_id"}), code=131009),
        window_shut(400, graph_error(131047), code=131047),
        busy(503, graph_error(131016), code=131016),
        busy(500, graph_error(131000), code=131000, name="busy, three times at most"),
        busy(400, graph_error(131056), code=131056, pauses=PauseScope.RECIPIENT),
        busy(400, graph_error(132068), code=132068, pauses=PauseScope.FLOW),
        busy(
            429,
            graph_error(130429),
            code=130429,
            pauses=PauseScope.SENDER,
            headers={"Retry-After": "30"},
            retry_after=timedelta(seconds=30),
        ),
        busy(401, graph_error(190), code=190, pauses=PauseScope.ACCOUNT),
        busy(429, b"", pauses=PauseScope.SENDER, name="429 without a code"),
        unknown(400, {"error": {"message": "no code"}}),
    )

    def table(self, base_url: str, number: int) -> dict[str, Any]:
        return {
            "provider": "cloud",
            "phone_number_id": f"106555000{number}",
            "access_token": f"access-token-of-{number}",
            "app_secret": f"app-secret-of-{number}",
            "verify_token": f"verify-token-of-{number}",
            "graph_url": base_url,
            "graph_version": "v24.0",
            "recipients_by_user_id": True,
        }

    def picked(self, request: Request) -> Picked:
        body = request.json()
        whom = {
            "to": body.get("to"),
            "user_id": body.get("recipient"),
            "reply_to": body.get("context", {}).get("message_id"),
            "mark": body.get("biz_opaque_callback_data"),
            "sender": request.target.split("/")[2],
        }
        if body["type"] == "template":
            return Picked(**whom, **_of_template(body["template"]))
        said = body["interactive"]
        action = said["action"]["parameters"]
        payload = action.get("flow_action_payload", {})
        return Picked(
            **whom,
            flow_id=action["flow_id"],
            flow_token=action["flow_token"],
            button=action["flow_cta"],
            action=action["flow_action"],
            screen=payload.get("screen"),
            data=payload.get("data"),
            mode=action["mode"],
            body=said["body"]["text"],
            footer=said.get("footer", {}).get("text"),
            **_of_header(said.get("header", {})),
        )

    def secured(self, body: bytes, secret: str) -> CallbackRequest:
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return CallbackRequest({"x-hub-signature-256": f"sha256={digest}"}, body)

    def receipt(self, told: Receipt) -> object:
        return a_status(told, mark="biz_opaque_callback_data")

    def wrote(self, wa_id: str, at: datetime) -> object:
        return {"from": wa_id, "id": "wamid.IN", "timestamp": str(int(at.timestamp()))}

    def callback(self, items: Sequence[object], number: int) -> bytes:
        written = [one for one in items if isinstance(one, dict) and "from" in one]
        value = {
            "messaging_product": "whatsapp",
            "metadata": {"phone_number_id": f"106555000{number}"},
            "statuses": [one for one in items if one not in written],
            "messages": written,
        }
        change = {"field": "messages", "value": value}
        return json.dumps({"entry": [{"id": "1", "changes": [change]}]}).encode()


def _of_header(header: Mapping[str, Any]) -> dict[str, Any]:
    return {"header": header.get("text"), "media": header.get("image", {}).get("link")}


def _of_template(template: Mapping[str, Any]) -> dict[str, Any]:
    parts = {one["type"]: one for one in template["components"]}
    action = parts["button"]["parameters"][0]["action"]
    header = parts.get("header", {}).get("parameters", [{}])[0]
    return {
        "template": template["name"],
        "language": template["language"]["code"],
        "texts": tuple(one["text"] for one in parts["body"]["parameters"]),
        "button_index": int(parts["button"]["index"]),
        "flow_token": action["flow_token"],
        "data": action.get("flow_action_data"),
        **_of_header(header),
    }
