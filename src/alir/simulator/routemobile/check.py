"""Is a request to `/wba/v1/messages` one that Route Mobile takes? The rules, without any I/O.

Known are its flow message and its media template. Where the documents say nothing (lengths, text
headers, whether header and footer may be left out), WhatsApp's own rules and the milder reading
hold. Unknown fields are taken or refused as the behaviour says.
Source: routemobile/WhatsApp-Business-API, openapi.yaml 1.8.0: `send_session_flow`,
`/wba/v1/messages`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from alir.simulator.graph.check import BODY_MAX, BUTTON_MAX, FOOTER_MAX, HEADER_MAX, MOST_BUTTONS
from alir.simulator.graph.refusal import WRONG_VALUE
from alir.simulator.routemobile.fields import Fields, without_empty
from alir.simulator.routemobile.refusal import invalid, not_a_payload, unprocessable

TEMPLATE = "media_template"
#: Kinds of template that the documents name and that are not taken.
OTHER_TEMPLATES = ("template", "text_template", "interactive_template")
MEDIA_HEADERS = ("image", "document", "video")

_NUMBER = re.compile(r"\+?[0-9]{7,15}")


@dataclass(frozen=True, slots=True)
class Request:
    """A request that Route Mobile takes.

    Attributes:
        phone: the recipient's digits.
        kind: `interactive` or `template`, as WhatsApp has it.
        extra: what is to come back in receipts.
        fails: the code with which WhatsApp will refuse it, if it is known by now.
    """

    phone: str
    kind: str
    extra: str | None
    fails: int | None = None


def check(body: object, *, strict: bool) -> Request:
    """What the request asks for. `strict`: unknown fields are refused.

    Raises:
        RouteMobileRefusal: with all that is wrong.
    """
    if body == {}:
        raise not_a_payload("payload cannot be empty")
    if not isinstance(body, dict):
        raise not_a_payload("Unable to verify payload type")
    media = body.get("media")
    media_type = media.get("type") if isinstance(media, dict) else None
    fields = Fields(body, {}, strict=strict)
    kind, fails = "interactive", None
    if body.get("type") == "flow":
        _check_flow_message(fields)
    elif media_type == TEMPLATE:
        kind, fails = "template", _check_template_message(fields)
    elif media_type in OTHER_TEMPLATES:
        raise unprocessable({"template_type": [f"Must be one of: {TEMPLATE}."]})
    else:
        raise not_a_payload("Unable to verify payload type")
    phone = _phone(fields)
    extra = fields.text("extra", least=0)
    fields.flag("enable_acculync")
    faults = without_empty(fields.faults)
    if faults or phone is None:
        raise invalid(faults)
    return Request(phone, kind, extra, fails)


def _phone(fields: Fields) -> str | None:
    phone = fields.text("phone", needed=True)
    if phone is not None and not _NUMBER.fullmatch(phone):
        fields.fault("phone", "String does not match expected pattern.")
        return None
    return phone and phone.removeprefix("+")


def _check_flow_message(message: Fields) -> None:
    message.only("phone", "enable_acculync", "type", "header", "body", "footer", "flow")
    message.text("reply_to")
    message.text("body", needed=True, most=BODY_MAX)
    message.text("footer", least=0, most=FOOTER_MAX)
    if header := message.part("header"):
        header.only("type", "text", "image")
        header.text("text", most=HEADER_MAX)
        header.web_link("image")
    if flow := message.part("flow", needed=True):
        _check_flow(flow)


def _check_flow(flow: Fields) -> None:
    flow.only(
        "flow_mode",
        "flow_token",
        "flow_id",
        "flow_cta",
        "flow_action",
        "flow_action_payload",
    )
    flow.text("flow_id", needed=True)
    flow.text("flow_cta", needed=True, most=BUTTON_MAX)
    flow.text("flow_token")
    flow.choice("flow_mode", ("draft", "published"))
    action = flow.choice("flow_action", ("navigate", "data_exchange"))
    if action == "data_exchange" and flow.has("flow_action_payload"):
        flow.fault("flow_action_payload", "Not allowed with flow_action data_exchange.")
        return
    if payload := flow.part("flow_action_payload"):
        payload.only("screen", "data")
        payload.text("screen")
        if payload.has("data") and not payload.is_filled("data"):
            payload.fault("data", "Not a valid mapping type, or an empty one.")


def _check_template_message(message: Fields) -> int | None:
    """The code with which WhatsApp will refuse it, if the Flow button is not named."""
    message.only("phone", "enable_acculync", "extra", "media")
    message.text("reply_to")
    media = message.part("media", needed=True)
    if media is None:
        return None
    media.only(
        "type",
        "template_name",
        "lang_code",
        "header",
        "body",
        "button",
        "carousel",
        "multi_product",
        "limited_time",
        "payment",
    )
    media.text("template_name", needed=True)
    media.text("lang_code", needed=True, least=2)
    if media.is_empty_list("header"):
        media.faults["error"] = "if header key is included, its array value cannot be empty"
    for header in media.parts("header"):
        _check_template_header(header)
    for text in media.parts("body"):
        text.text("text", needed=True)
    buttons = [_check_button(button) for button in media.parts("button")]
    return None if any(buttons) else WRONG_VALUE


def _check_template_header(header: Fields) -> None:
    header.only("text", *MEDIA_HEADERS)
    header.text("text")
    for kind in MEDIA_HEADERS:
        if media := header.part(kind):
            media.web_link("link", needed=True)


def _check_button(button: Fields) -> bool:
    """Whether it is the Flow button."""
    button.choice("button_no", [str(i) for i in range(MOST_BUTTONS)], needed=True)
    button.text("url")
    # Documented as a text without a word on what it means; an object is Meta's form.
    if not button.is_filled("flow"):
        button.text("flow")
    return button.has("flow")


def details(body: dict[str, Any]) -> dict[str, Any]:
    """The credentials of a log-in.

    Raises:
        RouteMobileRefusal: one is missing, or no text.
    """
    fields = Fields(body, {}, strict=False)
    found = {key: fields.text(key, needed=True, most=128) for key in ("username", "password")}
    if fields.faults:
        raise invalid(fields.faults)
    return found
