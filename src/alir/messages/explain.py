"""Every rule that a request breaks, where, and what to do. Slow, and run only where one may be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from alir.errors import Fault, RequestInvalid
from alir.messages.faults import Path, Report, pointer
from alir.messages.limits import LARGEST_WHOLE_NUMBER, LEAST_WHOLE_NUMBER
from alir.messages.moment import read_moment
from alir.messages.phone import read_number
from alir.messages.request import MessageRequest
from alir.messages.shape import PLACEHOLDER, report_shape
from alir.strictjson import character_name

_HEADER: Final[Path] = ("flow", "param", "header")
_DATA: Final[Path] = ("flow", "data")
#: What no text of a Flow's data may hold. Line breaks and tabs may stand in a text for people.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def explain(data: object) -> Sequence[Fault]:
    """What is wrong with `data`, the parsed body of a request, in its order; none if it is right.

    What depends on more than the body (known senders, earlier messages, the time) is not looked at.
    """
    report = Report()
    _report_shape(data, report)
    body = data if isinstance(data, dict) else {}
    flow = _object(body, "flow")
    _check_number(body, report)
    _check_moments(body, report)
    _check_placeholders(body, flow, report)
    _check_header(_object(flow, "param").get("header"), report)
    _check_data(flow, report)
    return report.in_order(data)


def _report_shape(data: object, report: Report) -> None:
    try:
        MessageRequest.model_validate(data)
    except ValidationError as error:
        report_shape(error, report)


def _object(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    child = parent.get(key)
    return child if isinstance(child, dict) else {}


# Rules that pydantic does not know. They look at the body as it came, so that they also speak
# where other rules are broken, and leave alone what is of the wrong type.


def _check_number(body: Mapping[str, Any], report: Report) -> None:
    text = body.get("to")
    if not isinstance(text, str) or PLACEHOLDER.fullmatch(text):
        return
    try:
        read_number(text)
    except RequestInvalid as error:
        for fault in error.faults:
            report.add(("to",), fault.code, fault.detail)


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
    found = list(_values(data))
    texts = (value for value in found if isinstance(value, str))
    if control := next(filter(None, map(_CONTROL.search, texts)), None):
        detail = f"a text in here holds {character_name(control[0])}"
        report.add(_DATA, "control_character", detail)
    if any(
        type(value) is int and not LEAST_WHOLE_NUMBER <= value <= LARGEST_WHOLE_NUMBER
        for value in found
    ):
        detail = "a whole number in here is beyond 64 bits: send it as text"
        report.add(_DATA, "number_too_large", detail)


def _values(data: object) -> Iterator[object]:
    """Every key and value in `data`, at any depth."""
    waiting = [data]
    while waiting:
        value = waiting.pop()
        yield value
        if isinstance(value, dict):
            waiting.extend(value)
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _check_moments(body: Mapping[str, Any], report: Report) -> None:
    send_at, expires_at = _moment(body, "send_at", report), _moment(body, "expires_at", report)
    if send_at and expires_at and expires_at <= send_at:
        report.add(("expires_at",), "conflict", "the message would expire before send_at")


def _moment(body: Mapping[str, Any], name: str, report: Report) -> datetime | None:
    text = body.get(name)
    if not isinstance(text, str):
        return None
    try:
        return read_moment(text, pointer((name,)))
    except RequestInvalid as error:
        for fault in error.faults:
            report.add((name,), fault.code, fault.detail)
        return None
