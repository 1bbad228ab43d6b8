"""A Flow message, or a template with a Flow button, as the Cloud API takes it.

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
    body: dict[str, Any] = {"messaging_product": "whatsapp", "recipient_type": "individual"}
    if message.recipient is None:
        body["to"] = message.to
    else:
        body["recipient"] = message.recipient
    template = message.as_template
    if template is None:
        body["type"] = "interactive"
        body["interactive"] = _interactive(message.flow)
    else:
        body["type"] = "template"
        body["template"] = _template(template)
    body["biz_opaque_callback_data"] = mark
    if message.reply_to is not None:
        body["context"] = {"message_id": message.reply_to}
    return body


def _interactive(flow: Mapping[str, Any]) -> dict[str, Any]:
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
    return interactive


def _template(template: Mapping[str, Any]) -> dict[str, Any]:
    flow = template["flow"]
    # Without the button's component Meta answers 131009, even where it has no parameters.
    button: dict[str, Any] = {
        "type": "button",
        "sub_type": "flow",
        "index": str(template["button_index"]),
    }
    names = (("flow_token", "token"), ("flow_action_data", "data"))
    if action := {theirs: flow[ours] for theirs, ours in names if ours in flow}:
        button["parameters"] = [{"type": "action", "action": action}]
    components = [button]
    if body := template.get("body"):
        texts = [{"type": "text", "text": text} for text in body]
        components.insert(0, {"type": "body", "parameters": texts})
    if header := template.get("header"):
        components.insert(0, {"type": "header", "parameters": [_header(header)]})
    return {
        "name": template["name"],
        "language": {"code": template["language"]},
        "components": components,
    }


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
