"""Is this request a message that can be sent?

Two steps. A fast one, which every message goes through: one pass of pydantic's over the body, a
few tests that find all that could break a rule beyond that, and the `Draft`. Only where it is in
doubt, `explain` looks closely and finds every fault, or none: what is wrong, it alone decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson
from pydantic import ValidationError

from alir.errors import RequestInvalid
from alir.messages.emoji import EMOJI
from alir.messages.explain import explain
from alir.messages.faults import Path, pointer
from alir.messages.limits import BUTTON_TEXT_ADVISED
from alir.messages.model import Draft, Notice
from alir.messages.moment import read_moment
from alir.messages.phone import read_number
from alir.messages.request import REQUEST

_TEXT: Final[Path] = ("flow", "text")

Object = Mapping[str, Any]


def check(data: object) -> Draft:
    """The message that `data`, the parsed body of a request, asks for.

    What depends on more than the body (known senders, earlier messages, the time) is not looked at.

    Raises:
        RequestInvalid: a rule is broken; every broken one is listed, in the order of the body.
    """
    try:
        request = REQUEST.validate_python(data)
        draft = _draft(request)
    except (ValidationError, RequestInvalid, _Contradictory):
        raise RequestInvalid(explain(data)) from None
    if _is_doubtful(draft, request) and (faults := explain(data)):
        raise RequestInvalid(faults)
    return draft


class _Contradictory(Exception):
    """Fields that do not go together, or of which one is missing."""


# Each of these tests is quicker than the rule of `explain` that it stands for, and may be coarser.


def _is_doubtful(draft: Draft, request: Object) -> bool:
    """May `draft`, whose fields are all right by themselves, break a rule all the same?"""
    sender, replied = draft.sender, draft.reply_message_id
    send_at, expires_at = draft.send_at, draft.expires_at
    return (
        (sender is not None and "{{" in sender)
        or (replied is not None and "{{" in replied)
        or (send_at is not None and expires_at is not None and expires_at <= send_at)
        or (draft.template is None and _is_doubtful_flow(draft.flow, request["flow"]["param"]))
        or (draft.template is not None and _is_doubtful_template(request["template"]))
        or (draft.fallback is not None and _is_doubtful_template(request["fallback"]))
    )


def _is_doubtful_flow(flow: Object, given: Object) -> bool:
    return (
        "{{" in flow["id"]
        or "{{" in flow["token"]
        or "{{" in flow["screen"]
        or ("data" in flow and _is_doubtful_data(flow["data"], flow["action"]))
        or _is_odd(given.get("header"))
    )


def _is_doubtful_template(given: Object) -> bool:
    flow = given.get("flow") or {}
    token, data = flow.get("token"), flow.get("data")
    return (
        "{{" in given["name"]
        or "{{" in given["language"]
        or (token is not None and "{{" in token)
        or (data is not None and _is_doubtful_data(data))
        or _is_odd(given.get("header"))
    )


#: Control characters in JSON as orjson writes it: those below U+0020 escaped, others in UTF-8.
_CONTROL: Final = re.compile(rb"\\u00|\\[bf]|\x7f|\xc2[\x80-\x9f]")


def _is_doubtful_data(data: object, action: str = "navigate") -> bool:
    if not data or action == "data_exchange":
        return True
    try:
        return _CONTROL.search(orjson.dumps(data)) is not None
    except TypeError:  # what is no JSON to orjson, such as a whole number beyond 64 bits
        return True


def _is_odd(header: Object | None) -> bool:
    """Is it anything but one of text and media, with that for its type, or none?"""
    if header is None:
        return False
    kind, media, text = header.get("type"), header.get("media"), header.get("text")
    if media is None:
        return text is None or kind == "media"
    return text is not None or kind == "text"


# What the request becomes


def _draft(request: Object) -> Draft:
    get = request.get
    to, recipient = get("to"), get("recipient")
    flow, template, fallback = get("flow"), get("template"), get("fallback")
    if (to is None) is (recipient is None) or not (
        (flow is not None and template is None)
        if request["type"] == "flow"
        else (template is not None and flow is None and fallback is None)
    ):
        raise _Contradictory
    number = None if to is None else read_number(to)
    send_at, expires_at = get("send_at"), get("expires_at")
    warnings, token = () if number is None else number.warnings, None
    if flow is not None:
        warnings += _button_warnings(flow["text"])
        token = flow["token"]
    return Draft(
        to=None if number is None else number.e164,
        recipient=recipient,
        type=request["type"],
        flow={} if flow is None else _flow(flow),
        template=None if template is None else _template(template, None),
        fallback=None if fallback is None else _template(fallback, token),
        sender=get("from"),
        reply_message_id=get("reply_message_id"),
        callback_data=get("callback_data"),
        on_unknown=get("on_unknown"),
        priority=get("priority"),
        send_at=None if send_at is None else read_moment(send_at, "#/send_at"),
        expires_at=None if expires_at is None else read_moment(expires_at, "#/expires_at"),
        warnings=warnings,
    )


def _flow(given: Object) -> dict[str, Any]:
    flow = {
        "id": given["id"],
        "token": given["token"],
        "text": given["text"],
        "action": "data_exchange" if given.get("action") == "data_exchange" else "navigate",
        "screen": given["screen"],
        "mode": given.get("mode") or "published",
        "param": _param(given["param"]),
    }
    data = given.get("data")
    if data is not None:
        flow["data"] = data
    return flow


def _template(given: Object, token: str | None) -> dict[str, Any]:
    """A template; where it names no flow token, its Flow gets `token`."""
    header, body, flow = given.get("header"), given.get("body"), given.get("flow") or {}
    template: dict[str, Any] = {"name": given["name"], "language": given["language"]}
    if header is not None:
        template["header"] = _header(header)
    if body:
        template["body"] = body
    template["button_index"] = given.get("button_index") or 0
    template["flow"] = {
        name: value
        for name, value in (("token", flow.get("token") or token), ("data", flow.get("data")))
        if value is not None
    }
    return template


def _param(given: Object) -> dict[str, Any]:
    param = {"body": given["body"]}
    header, footer = given.get("header"), given.get("footer")
    if header is not None:
        param["header"] = _header(header)
    if footer is not None:
        param["footer"] = footer
    return param


def _header(given: Object) -> dict[str, str | None]:
    media = given.get("media")
    if media is not None:
        return {"type": "media", "media": media}
    return {"type": "text", "text": given.get("text")}


def _button_warnings(text: str) -> tuple[Notice, ...]:
    if len(text) <= BUTTON_TEXT_ADVISED and text.isascii():
        return ()
    warnings = []
    if len(text) > BUTTON_TEXT_ADVISED:
        detail = (
            f"longer than {BUTTON_TEXT_ADVISED} characters, which WhatsApp advises against; "
            "some phones cut it off, and Route Mobile may refuse it"
        )
        warnings.append(Notice("button_text_long", pointer(_TEXT), detail))
    if EMOJI.search(text):
        detail = "an emoji, which WhatsApp advises against; Route Mobile may refuse it"
        warnings.append(Notice("button_text_emoji", pointer(_TEXT), detail))
    return tuple(warnings)
