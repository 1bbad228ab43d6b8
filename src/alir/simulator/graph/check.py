"""Is a request to `/messages` one that WhatsApp takes? The rules, without any I/O.

Codes: 131008 for what is missing, 131009 for a value that is not allowed, 100 for what does not
fit the schema (an unknown key, a wrong type, too long). The first broken rule is told, as Graph
does. Unknown keys at the top level are ignored, as Graph ignores them.
Source: `facebook/openapi`, business-messaging-api v23.0; Meta, "Sending a Flow", 2026-09-11.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from alir.simulator.graph.fields import Fields
from alir.simulator.graph.refusal import UNSUPPORTED_TYPE, GraphRefusal, invalid, missing, wrong
from alir.simulator.recipients import is_user_id

HEADER_MAX = 60
BODY_MAX = 1024
FOOTER_MAX = 60
BUTTON_MAX = 30
MARK_MAX = 512
MOST_BUTTONS = 10
FLOW_MESSAGE_VERSION = "3"
MEDIA_HEADERS = ("image", "video", "document")
BUTTON_KINDS = (
    "booking_confirmation",
    "catalog",
    "copy_code",
    "flow",
    "mpm",
    "order_details",
    "quick_reply",
    "reminder",
    "url",
    "voice_call",
)

_NUMBER = re.compile(r"\+?[0-9 ()\-]+")
_DIGITS = range(7, 16)  # E.164 has at most 15


@dataclass(frozen=True, slots=True)
class Request:
    """A request that WhatsApp takes.

    Attributes:
        written: the recipient as it was written.
        recipient: its digits, or the business-scoped user id.
        kind: `interactive` or `template`.
        mark: what is to come back in receipts (`biz_opaque_callback_data`).
    """

    written: str
    recipient: str
    kind: str
    mark: str | None


def check(body: object) -> Request:
    """What the request asks for.

    Raises:
        GraphRefusal: the first rule that it breaks.
    """
    if not isinstance(body, dict):
        raise invalid("The request body must be a JSON object.")
    fields = Fields(body, "")
    fields.choice("messaging_product", ("whatsapp",))
    if fields.has("recipient_type"):
        fields.choice("recipient_type", ("individual",))
    written, recipient = _recipient(fields)
    if fields.has("context"):
        fields.part("context").text("message_id")
    mark = fields.optional_text("biz_opaque_callback_data", most=MARK_MAX)
    kind = fields.text("type")
    if kind == "interactive":
        _check_interactive(fields.part("interactive"))
    elif kind == "template":
        _check_template(fields.part("template"))
    else:
        raise _unsupported(f"type {kind[:32]!r}")
    return Request(written, recipient, kind, mark)


def _unsupported(what: str) -> GraphRefusal:
    return GraphRefusal(
        UNSUPPORTED_TYPE,
        f"The simulator takes interactive flow messages and templates, not {what}.",
    )


def _recipient(fields: Fields) -> tuple[str, str]:
    """As written, and as digits or user id. Where both fields are there, `to` wins, as at Meta."""
    if not fields.has("to") and fields.has("recipient"):
        user_id = fields.text("recipient")
        if not is_user_id(user_id):
            raise wrong("Param recipient must be a business-scoped user id, such as US.1349.")
        return user_id, user_id
    to = fields.text("to")
    digits = "".join(filter(str.isdigit, to))
    if not _NUMBER.fullmatch(to) or len(digits) not in _DIGITS:
        raise wrong("Param to must be a phone number: +, digits, spaces, hyphens, parentheses.")
    return to, digits


def _check_interactive(interactive: Fields) -> None:
    kind = interactive.text("type")
    if kind != "flow":
        raise _unsupported(f"interactive messages of type {kind[:32]!r}")
    interactive.only("type", "header", "body", "footer", "action")
    if interactive.has("header"):
        _check_header(interactive.part("header"))
    interactive.part("body").only("text").text("text", most=BODY_MAX)
    if interactive.has("footer"):
        interactive.part("footer").only("text").text("text", most=FOOTER_MAX)
    action = interactive.part("action").only("name", "parameters")
    action.choice("name", ("flow",))
    _check_parameters(action.part("parameters"))


def _check_header(header: Fields) -> None:
    kind = header.choice("type", ("text", *MEDIA_HEADERS))
    header.only("type", "sub_text", kind)
    header.optional_text("sub_text", most=HEADER_MAX)
    if kind == "text":
        header.text("text", most=HEADER_MAX)
        return
    media = header.part(kind).only("id", "link", "filename")
    if media.has("id") == media.has("link"):
        raise wrong(f"Param {media.path} must have exactly one of id and link.")
    if media.has("link"):
        media.web_link("link")
    else:
        media.text("id")


def _check_parameters(parameters: Fields) -> None:
    parameters.only(
        "flow_message_version",
        "flow_id",
        "flow_name",
        "flow_cta",
        "flow_token",
        "mode",
        "flow_action",
        "flow_action_payload",
    )
    parameters.choice("flow_message_version", (FLOW_MESSAGE_VERSION,))
    if not parameters.has("flow_id") and not parameters.has("flow_name"):
        raise missing(f"{parameters.path_of('flow_id')} or {parameters.path_of('flow_name')}")
    if parameters.has("flow_id") and parameters.has("flow_name"):
        raise wrong(f"Param {parameters.path} must have only one of flow_id and flow_name.")
    parameters.optional_text("flow_id")
    parameters.optional_text("flow_name")
    parameters.text("flow_cta", most=BUTTON_MAX)
    parameters.optional_text("flow_token")
    if parameters.has("mode"):
        parameters.choice("mode", ("draft", "published"))
    action = "navigate"
    if parameters.has("flow_action"):
        action = parameters.choice("flow_action", ("navigate", "data_exchange"))
    if parameters.has("flow_action_payload"):
        if action != "navigate":
            raise wrong(
                f"Param {parameters.path_of('flow_action_payload')} is not allowed"
                " when flow_action is data_exchange."
            )
        payload = parameters.part("flow_action_payload").only("screen", "data")
        payload.optional_text("screen")
        if payload.has("data"):
            payload.filled_part("data")


def _check_template(template: Fields) -> None:
    template.only("name", "language", "components", "namespace")
    template.text("name")
    template.part("language").only("code", "policy").text("code")
    components = template.parts("components")
    for component in components:
        kind = component.text("type").lower()
        if kind == "button":
            _check_button(component)
        elif kind in ("header", "body"):
            component.only("type", "parameters")
            for parameter in component.parts("parameters"):
                parameter.text("type")
        else:
            path = component.path_of("type")
            raise wrong(f"Param {path} must be one of {{header, body, button}}.")
    if not any(_is_flow_button(component) for component in components):
        # Every template here has a Flow button. Meta wants it named even without parameters.
        raise wrong(
            f"Param {template.path_of('components')} must name the flow button:"
            ' {"type": "button", "sub_type": "flow", "index": "0"}.'
        )


def _is_flow_button(component: Fields) -> bool:
    return component.text("type").lower() == "button" and (
        component.text("sub_type").lower() == "flow"
    )


def _check_button(button: Fields) -> None:
    button.only("type", "sub_type", "index", "parameters")
    kind = button.text("sub_type").lower()
    if kind not in BUTTON_KINDS:
        names = ", ".join(BUTTON_KINDS)
        raise wrong(f"Param {button.path_of('sub_type')} must be one of {{{names}}}.")
    button.choice("index", [str(i) for i in range(MOST_BUTTONS)])
    parameters = button.parts("parameters")
    if kind != "flow":
        return
    if len(parameters) > 1:
        raise wrong(f"Param {button.path_of('parameters')} must have at most one item.")
    for parameter in parameters:
        parameter.only("type", "action").choice("type", ("action",))
        action = parameter.part("action").only("flow_token", "flow_action_data")
        action.optional_text("flow_token")
        if action.has("flow_action_data"):
            action.part("flow_action_data")
