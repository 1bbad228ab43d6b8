"""A message of each kind, and what a request must say for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from typing import Any, Final

from alir.ids import ApiTokenId, ProviderId, SenderName, new_message_id
from alir.messages.model import Flag, Message, OnUnknown
from alir.testing.clock import START
from alir.testing.samples import Picked

MAIN: Final = SenderName("main")
OTHER: Final = SenderName("other")

TO: Final = "+15550100001"
DIGITS: Final = TO.removeprefix("+")


class MessageKind(StrEnum):
    """The kinds of messages that there are; a provider names those that it takes."""

    FLOW = "flow"  #: body, button and screen
    TEXT_HEADER = "text header"  #: and a footer
    MEDIA_HEADER = "media header"
    FLOW_DATA = "flow data"  #: for the first screen
    DATA_EXCHANGE = "data_exchange"  #: the endpoint chooses the screen
    DRAFT = "draft"  #: of a Flow that is not published
    REPLY = "reply"  #: quotes an earlier message; where it is not taken, it is sent without
    TEMPLATE = "template"  #: with texts and a Flow button
    TEMPLATE_HEADER = "template header"  #: an image
    TEMPLATE_DATA = "template data"  #: for the first screen
    FALLBACK = "fallback"  #: a Flow message whose template goes out in its place, with texts
    USER_ID = "user id"  #: to a business-scoped user id in place of a number


#: Those that are templates when they go out.
TEMPLATES: Final = frozenset(kind for kind in MessageKind if kind.startswith("template")) | {
    MessageKind.FALLBACK
}

_FLOW: Final[Mapping[str, Any]] = {
    "id": "987654321098765",
    "token": "contract-token-1",
    "text": "Choose a time",
    "action": "navigate",
    "screen": "START",
    "mode": "published",
    "param": {"body": "Pick a time that suits you, Zoë 🙂."},
}
_TEMPLATE: Final[Mapping[str, Any]] = {
    "name": "visit_form",
    "language": "en_US",
    "button_index": 1,
    "body": ["Zoë", "Monday"],
    "flow": {"token": "contract-token-2"},
}
_DATA: Final[Mapping[str, Any]] = {"branch": "north", "seats": 2}
_IMAGE: Final[Mapping[str, str]] = {"type": "media", "media": "https://example.com/a/picture.jpg"}
_FLOW_CHANGES: Final[Mapping[MessageKind, Mapping[str, Any]]] = {
    MessageKind.TEXT_HEADER: {
        "param": {
            "header": {"type": "text", "text": "Your visit"},
            "body": "Pick a time.",
            "footer": "Example Clinic",
        }
    },
    MessageKind.MEDIA_HEADER: {"param": {"header": _IMAGE, "body": "Pick a time."}},
    MessageKind.FLOW_DATA: {"data": _DATA},
    MessageKind.DATA_EXCHANGE: {"action": "data_exchange"},
    MessageKind.DRAFT: {"mode": "draft"},
}
_TEMPLATE_CHANGES: Final[Mapping[MessageKind, Mapping[str, Any]]] = {
    MessageKind.TEMPLATE: {},
    MessageKind.TEMPLATE_HEADER: {"header": _IMAGE},
    MessageKind.TEMPLATE_DATA: {"flow": {"token": "contract-token-2", "data": _DATA}},
}


def a_message(kind: MessageKind = MessageKind.FLOW) -> Message:
    """A message of this kind; it breaks no rule, and has an id of its own."""
    shape: dict[str, Any] = {"flow": dict(_FLOW) | dict(_FLOW_CHANGES.get(kind, {}))}
    if kind in _TEMPLATE_CHANGES:
        template = dict(_TEMPLATE) | dict(_TEMPLATE_CHANGES[kind])
        shape = {"type": "template", "flow": {}, "template": template}
    elif kind is MessageKind.FALLBACK:
        shape |= {"fallback": _TEMPLATE, "flags": (Flag.FALLBACK,)}
    elif kind is MessageKind.REPLY:
        shape |= {"reply_to": ProviderId("wamid.REPLIED")}
    to: dict[str, Any] = {"to": TO}
    if kind is MessageKind.USER_ID:
        to = {"to": None, "recipient": "US.1349"}
    return Message(
        id=new_message_id(),
        token_id=ApiTokenId("tok_01JABCDEFGHJKMNPQRSTVWXYZ0"),
        sender=MAIN,
        on_unknown=OnUnknown.HOLD,
        created_at=START,
        due_at=START,
        first_due_at=START,
        **to,
        **shape,
    )


def said_by(message: Message) -> Picked:
    """What the request for it must say; its mark aside."""
    whom: dict[str, Any] = {
        "to": message.to,
        "user_id": message.recipient,
        "reply_to": message.reply_to,
    }
    template = message.as_template
    if template is not None:
        return Picked(**whom, **_of_template(template))
    flow, param = message.flow, message.flow["param"]
    header = param.get("header", {})
    return Picked(
        **whom,
        flow_id=flow["id"],
        flow_token=flow["token"],
        button=flow["text"],
        action=flow["action"],
        # With data_exchange the endpoint chooses the screen, and WhatsApp refuses one.
        screen=flow["screen"] if flow["action"] == "navigate" else None,
        data=flow.get("data"),
        mode=flow["mode"],
        header=header.get("text"),
        media=header.get("media"),
        body=param["body"],
        footer=param.get("footer"),
    )


def differences(picked: Picked, message: Message) -> list[str]:
    """Where a request does not say what it must; the mark and the sender aside."""
    expected = said_by(message)
    pairs = {
        one.name: (getattr(picked, one.name), getattr(expected, one.name))
        for one in fields(Picked)
        if one.name not in ("mark", "sender")
    }
    if isinstance(picked.texts, list):
        pairs["texts"] = (tuple(picked.texts), expected.texts)
    to, wanted = pairs.pop("to")
    if to is None or wanted is None or to.removeprefix("+") != wanted.removeprefix("+"):
        pairs["to"] = (to, wanted)
    return [
        f"{name} is {found!r} in the request, as `picked` reads it, and {wanted!r} in the message"
        for name, (found, wanted) in pairs.items()
        if found != wanted
    ]


def _of_template(template: Mapping[str, Any]) -> dict[str, Any]:
    header = template.get("header", {})
    return {
        "template": template["name"],
        "language": template["language"],
        "button_index": template["button_index"],
        "texts": tuple(template["body"]),
        "header": header.get("text"),
        "media": header.get("media"),
        "flow_token": template["flow"]["token"],
        "data": template["flow"].get("data"),
    }
