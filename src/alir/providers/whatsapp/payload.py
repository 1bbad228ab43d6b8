"""A message as the Cloud API takes it: a Flow message, or a template with a Flow button.

Source: Meta, "Send a flow" and the message API reference, read 2026-09-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alir.messages.model import Message

#: The only version of flow messages that is supported.
FLOW_MESSAGE_VERSION = "3"


def body_of(message: Message, *, mark: str) -> dict[str, Any]:
    """The body of `POST /{phone_number_id}/messages`: the Flow message, or its template.

    Args:
        mark: comes back in every receipt; at most 512 characters, nothing personal.
    """
    template = message.as_template
    body: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        # Strictly apart: a user id in `to` is lost without a word.
        **({"to": message.to} if message.to is not None else {"recipient": message.recipient}),
        **(_interactive(message.flow) if template is None else _template(template)),
        "biz_opaque_callback_data": mark,
    }
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
    return {"type": "interactive", "interactive": interactive}


def _parameters(flow: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "flow_message_version": FLOW_MESSAGE_VERSION,
        "flow_id": flow["id"],
        "flow_cta": flow["text"],
        "flow_token": flow["token"],
        "mode": flow["mode"],
        "flow_action": flow["action"],
        **first_screen(flow),
    }


def first_screen(flow: Mapping[str, Any]) -> dict[str, Any]:
    """The `flow_action_payload` of a Flow that opens at a screen, and its data; else nothing.

    With data_exchange the endpoint chooses the screen, and WhatsApp refuses a payload.
    """
    if flow["action"] != "navigate":
        return {}
    data = flow.get("data")
    return {
        "flow_action_payload": {"screen": flow["screen"]} | ({"data": data} if data else {}),
    }


def _header(header: dict[str, str]) -> dict[str, Any]:
    if header["type"] == "media":
        return {"type": "image", "image": {"link": header["media"]}}
    return {"type": "text", "text": header["text"]}


def _template(template: Mapping[str, Any]) -> dict[str, Any]:
    components: list[dict[str, Any]] = []
    if header := template.get("header"):
        components.append({"type": "header", "parameters": [_header(header)]})
    if texts := template.get("body"):
        parameters = [{"type": "text", "text": text} for text in texts]
        components.append({"type": "body", "parameters": parameters})
    components.append(_flow_button(template))
    return {
        "type": "template",
        "template": {
            "name": template["name"],
            "language": {"code": template["language"]},
            "components": components,
        },
    }


def _flow_button(template: Mapping[str, Any]) -> dict[str, Any]:
    """The button that opens the Flow. Unless it is named, even without parameters: 131009."""
    flow = template["flow"]
    action = {"flow_token": flow.get("token"), "flow_action_data": flow.get("data")}
    given = {name: value for name, value in action.items() if value}
    button: dict[str, Any] = {
        "type": "button",
        "sub_type": "flow",
        "index": str(template["button_index"]),
    }
    if given:
        button["parameters"] = [{"type": "action", "action": given}]
    return button
