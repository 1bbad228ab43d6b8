"""Is this request a message that can be sent? Says every fault at once, not the first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import ValidationError

from alir.errors import RequestInvalid
from alir.ids import SenderName
from alir.messages.faults import Path, Report, pointer
from alir.messages.limits import BUTTON_TEXT_ADVISED
from alir.messages.model import Draft, Notice, Priority
from alir.messages.phone import Number, read_number
from alir.messages.request import FlowHeader, FlowRequest, MessageRequest
from alir.messages.shape import PLACEHOLDER, report_shape

_HEADER: Final[Path] = ("flow", "param", "header")
_DATA: Final[Path] = ("flow", "data")
_TEXT: Final[Path] = ("flow", "text")


def check(data: object) -> Draft:
    """The message that `data`, the parsed body of a request, asks for.

    What depends on more than the body (known senders, earlier messages, the time) is not looked at.

    Raises:
        RequestInvalid: a rule is broken; every broken one is listed, in the order of the body.
    """
    report = Report()
    request = _shaped(data, report)
    body = data if isinstance(data, dict) else {}
    flow = _object(body, "flow")
    number = _number(body, report)
    send_at, expires_at = _moments(body, report)
    _check_placeholders(body, flow, report)
    _check_header(_object(flow, "param").get("header"), report)
    _check_data(flow, report)
    if report or request is None or number is None:
        raise RequestInvalid(report.in_order(data))
    return Draft(
        to=number.e164,
        flow=_flow(request.flow),
        sender=None if request.sender is None else SenderName(request.sender),
        reply_message_id=request.reply_message_id,
        callback_data=request.callback_data,
        on_unknown=request.on_unknown,
        priority=request.priority or Priority.SINGLE,
        send_at=send_at,
        expires_at=expires_at,
        warnings=number.warnings + _button_warnings(request.flow.text),
    )


def _shaped(data: object, report: Report) -> MessageRequest | None:
    try:
        return MessageRequest.model_validate(data)
    except ValidationError as error:
        report_shape(error, report)
        return None


def _object(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    child = parent.get(key)
    return child if isinstance(child, dict) else {}


# Rules that pydantic does not know. They look at the body as it came, so that they also speak
# where other rules are broken, and leave alone what is of the wrong type.


def _number(body: Mapping[str, Any], report: Report) -> Number | None:
    text = body.get("to")
    if not isinstance(text, str) or PLACEHOLDER.fullmatch(text):
        return None
    try:
        return read_number(text)
    except RequestInvalid as error:
        for fault in error.faults:
            report.add(("to",), fault.code, fault.detail)
        return None


_PLACEHOLDER_PATHS: Final[Mapping[Path, str]] = {
    ("to",): "fill in a phone number",
    ("reply_message_id",): "fill in the id of an earlier message, or leave the field out",
    ("from",): "fill in the name of a sender, or leave the field out",
    ("flow", "id"): "fill in the id of a Flow",
    ("flow", "token"): "fill in a string of your own",
    ("flow", "screen"): "fill in the id of a screen of the Flow",
}


def _check_placeholders(body: Mapping[str, Any], flow: Mapping[str, Any], report: Report) -> None:
    for path, advice in _PLACEHOLDER_PATHS.items():
        value = (flow if path[0] == "flow" else body).get(path[-1])
        if isinstance(value, str) and "{{" in value and PLACEHOLDER.fullmatch(value):
            report.add(path, "placeholder", f"this is a placeholder: {advice}")


def _check_header(header: object, report: Report) -> None:
    if not isinstance(header, dict):
        return
    kind = header.get("type")
    given = [name for name in ("media", "text") if header.get(name) is not None]
    if len(given) > 1:
        if kind in ("media", "text"):
            unwanted = "text" if kind == "media" else "media"
            detail = f"a header has media or text, and its type says {kind}: leave {unwanted} out"
            report.add((*_HEADER, unwanted), "conflict", detail)
        else:
            report.add(_HEADER, "conflict", "a header has media or text: leave one of them out")
    elif kind in ("media", "text") and kind not in given:
        instead = f"; or make its type {given[0]}" if given else ""
        report.add((*_HEADER, kind), "missing", f"a header of type {kind} needs this{instead}")
    elif not given and kind is None and header.keys() <= {"type", "media", "text"}:
        report.add(_HEADER, "empty", "give the header media or text, or leave it out")


def _check_data(flow: Mapping[str, Any], report: Report) -> None:
    data = flow.get("data")
    if not isinstance(data, dict):
        return
    if flow.get("action") == "data_exchange":
        detail = "with data_exchange the Flow's endpoint gives the first screen: leave data out"
        report.add(_DATA, "conflict", detail)
    elif not data:
        report.add(_DATA, "empty", "data must not be empty: leave it out")
    if _holds_nul(data):
        report.add(_DATA, "control_character", "a text in here holds U+0000 NUL")


def _holds_nul(data: object) -> bool:
    waiting = [data]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            waiting += node.keys()
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
        elif isinstance(node, str) and "\0" in node:
            return True
    return False


#: RFC 3339, section 5.6. Without the last group it is a moment of nobody knows where.
_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(Z|[+-]\d\d:\d\d)?", re.ASCII | re.IGNORECASE
)


def _moments(body: Mapping[str, Any], report: Report) -> tuple[datetime | None, datetime | None]:
    send_at, expires_at = _moment(body, "send_at", report), _moment(body, "expires_at", report)
    if send_at and expires_at and expires_at <= send_at:
        report.add(("expires_at",), "conflict", "the message would expire before send_at")
    return send_at, expires_at


def _moment(body: Mapping[str, Any], name: str, report: Report) -> datetime | None:
    text = body.get(name)
    if not isinstance(text, str):
        return None
    written = _MOMENT.fullmatch(text)
    if written is None:
        detail = "write it like 2030-01-31T09:00:00Z (RFC 3339)"
    elif written[1] is None:
        detail = "the offset is missing: add Z for UTC, or one such as +07:00"
    else:
        try:
            moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            detail = "there is no such day or time"
        else:
            # Cut to milliseconds, as the store keeps it.
            return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    report.add((name,), "invalid_time", detail)
    return None


# What the checked request becomes


def _flow(request: FlowRequest) -> dict[str, Any]:
    param: dict[str, Any] = {"body": request.param.body}
    if request.param.header is not None:
        param["header"] = _header(request.param.header)
    if request.param.footer is not None:
        param["footer"] = request.param.footer
    flow = {
        "id": request.id,
        "token": request.token,
        "text": request.text,
        "action": "data_exchange" if request.action == "data_exchange" else "navigate",
        "screen": request.screen,
        "mode": request.mode or "published",
        "param": param,
    }
    if request.data is not None:
        flow["data"] = request.data
    return flow


def _header(header: FlowHeader) -> dict[str, Any]:
    if header.media is not None:
        return {"type": "media", "media": header.media}
    return {"type": "text", "text": header.text}


#: Characters that are drawn as emoji by themselves (Unicode 16, emoji-data.txt; the ranges are
#: rounded to their blocks), and U+FE0F and U+20E3, which make emoji of others.
_EMOJI: Final = re.compile(
    "[\u231a-\u231b\u23e9-\u23f3\u25fd-\u25fe\u2600-\u27bf\u2b1b-\u2b1c\u2b50\u2b55\ufe0f\u20e3"
    "\U0001f000-\U0001faff]"
)


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
    if _EMOJI.search(text):
        detail = "an emoji, which WhatsApp advises against; Route Mobile may refuse it"
        warnings.append(Notice("button_text_emoji", pointer(_TEXT), detail))
    return tuple(warnings)
