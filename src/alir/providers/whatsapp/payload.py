"""A Flow message as the Cloud API takes it.

Source: Meta, "Send a flow" and the message API reference, read 2026-09-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alir.messages.model import Message

#: The only version of flow messages that is supported.
FLOW_MESSAGE_VERSION = "3"


def flow_message(message: Message, *, mark: str) -> dict[str, Any]:
    """The body of `POST /{phone_number_id}/messages`.

    Args:
        mark: comes back in every receipt; at most 512 characters, nothing personal.
    """
    flow = message.flow
    param = flow["param"]
    interactive: dict[str, Any] = {
        "type": "flow",
        "body": {"text": param["body"]},
        "action": {"name": "flow", "parameters": _parameters(flow)},
    }
    if header := param.get("header"):
        interactive["header"] = _header(header)
    if footer := param.get("footer"):
        interactive["footer"] = {"text": footer}
    body: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": message.to,
        "type": "interactive",
        "interactive": interactive,
        "biz_opaque_callback_data": mark,
    }
    if message.reply_to is not None:
        body["context"] = {"message_id": message.reply_to}
    return body


def _parameters(flow: Mapping[str, Any]) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "flow_message_version": FLOW_MESSAGE_VERSION,
        "flow_id": flow["id"],
        "flow_cta": flow["text"],
        "flow_token": flow["token"],
        "mode": flow["mode"],
        "flow_action": flow["action"],
    }
    if flow["action"] == "navigate":
        # With data_exchange the endpoint chooses the screen, and the API refuses a payload.
        payload: dict[str, Any] = {"screen": flow["screen"]}
        if data := flow.get("data"):
            payload["data"] = data
        parameters["flow_action_payload"] = payload
    return parameters


def _header(header: dict[str, str]) -> dict[str, Any]:
    if header["type"] == "media":
        return {"type": "image", "image": {"link": header["media"]}}
    return {"type": "text", "text": header["text"]}
