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
from alir.messages.request import USER_ID, MessageRequest
from alir.messages.shape import HEADERS, PLACEHOLDER, TEMPLATES, report_shape
from alir.strictjson import character_name

#: What is handed to a first screen: of the Flow message, and of templates.
_DATA: Final[tuple[Path, ...]] = (("flow", "data"), *((name, "flow", "data") for name in TEMPLATES))
#: What no text of a Flow's data may hold. Line breaks and tabs may stand in a text for people.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def explain(data: object) -> Sequence[Fault]:
    """What is wrong with `data`, the parsed body of a request, in its order; none if it is right.

    What depends on more than the body (known senders, earlier messages, the time) is not looked at.
    """
    report = Report()
    body = data if isinstance(data, dict) else {}
    unwanted = _unwanted(body)
    for name, why in unwanted.items():
        report.add((name,), "conflict", why)
    if unwanted:
        # What is to be left out need not be mended first.
        body = {name: value for name, value in body.items() if name not in unwanted}
    if isinstance(data, dict):
        _check_person(body, report)
    _report_shape(body if unwanted else data, report)
    if isinstance(data, dict):
        _check_kind(body, report)
    _check_number(body, report)
    _check_moments(body, report)
    _check_placeholders(body, report)
    for path in HEADERS:
        _check_header(body, path, report)
    for path in _DATA:
        _check_data(body, path, report)
    return report.in_order(data)


def _report_shape(data: object, report: Report) -> None:
    try:
        MessageRequest.model_validate(data)
    except ValidationError as error:
        report_shape(error, report)


def _at(body: Mapping[str, Any], path: Path) -> object:
    """What stands at `path`; None where there is no such place."""
    found: object = body
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found


# Rules that pydantic does not know. They look at the body as it came, so that they also speak
# where other rules are broken, and leave alone what is of the wrong type.


def _unwanted(body: Mapping[str, Any]) -> Mapping[str, str]:
    """The outermost fields that contradict the type, and what to do about each."""
    reasons = _CONTRADICTIONS.get(str(body.get("type")), {})
    return {name: reasons[name] for name in body if name in reasons and body[name] is not None}


_CONTRADICTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "flow": {
        "template": "with type flow there is no template: leave it out; or call it fallback, if "
        "it is to go out where the 24-hour window is shut",
    },
    "template": {
        "flow": "with type template the template says which Flow opens: leave flow out; its token "
        "and data belong in template.flow",
        "fallback": "a template goes out at any time and needs no fallback: leave it out",
    },
}


def _check_person(body: Mapping[str, Any], report: Report) -> None:
    to, recipient = body.get("to"), body.get("recipient")
    if to is None and recipient is None:
        report.add(("to",), "missing", "this field is needed: a number; or recipient in its place")
    elif to is not None and recipient is not None:
        detail = "a message goes to a number or to a user id: leave to or recipient out"
        report.add(("recipient",), "conflict", detail)


def _check_kind(body: Mapping[str, Any], report: Report) -> None:
    kind, flow, template = (body.get(name) for name in ("type", "flow", "template"))
    if kind == "template":
        if template is None:
            report.add(("template",), "missing", "this field is needed with type template")
    elif flow is None and (kind == "flow" or template is None):
        # Where the type is missing or wrong, a template alone says what is meant.
        report.add(("flow",), "missing", "this field is needed")


def _check_number(body: Mapping[str, Any], report: Report) -> None:
    text = body.get("to")
    if not isinstance(text, str) or PLACEHOLDER.fullmatch(text):
        return
    if _USER_ID.fullmatch(text):
        detail = "this is a business-scoped user id: send it as recipient"
        report.add(("to",), "invalid_number", detail)
        return
    try:
        read_number(text)
    except RequestInvalid as error:
        for fault in error.faults:
            report.add(("to",), fault.code, fault.detail)


_USER_ID: Final = re.compile(USER_ID)
_PLACEHOLDER_PATHS: Final[Mapping[Path, str]] = {
    ("to",): "fill in a phone number",
    ("reply_message_id",): "fill in the id of an earlier message, or leave the field out",
    ("from",): "fill in the name of a sender, or leave the field out",
    ("flow", "id"): "fill in the id of a Flow",
    ("flow", "token"): "fill in a string of your own",
    ("flow", "screen"): "fill in the id of a screen of the Flow",
    **{(name, "name"): "fill in the name of a template" for name in TEMPLATES},
    **{(name, "language"): "fill in the code of a language" for name in TEMPLATES},
    **{(name, "flow", "token"): "fill in a string of your own" for name in TEMPLATES},
}


def _check_placeholders(body: Mapping[str, Any], report: Report) -> None:
    for path, advice in _PLACEHOLDER_PATHS.items():
        value = _at(body, path)
        if isinstance(value, str) and "{{" in value and PLACEHOLDER.fullmatch(value):
            report.add(path, "placeholder", f"this is a placeholder: {advice}")


def _check_header(body: Mapping[str, Any], path: Path, report: Report) -> None:
    header = _at(body, path)
    if not isinstance(header, dict):
        return
    kind = header.get("type")
    given = [name for name in ("media", "text") if header.get(name) is not None]
    if len(given) > 1:
        if kind in ("media", "text"):
            unwanted = "text" if kind == "media" else "media"
            detail = f"a header has media or text, and its type says {kind}: leave {unwanted} out"
            report.add((*path, unwanted), "conflict", detail)
        else:
            report.add(path, "conflict", "a header has media or text: leave one of them out")
    elif kind in ("media", "text") and kind not in given:
        instead = f"; or make its type {given[0]}" if given else ""
        report.add((*path, kind), "missing", f"a header of type {kind} needs this{instead}")
    elif not given and kind is None and header.keys() <= {"type", "media", "text"}:
        report.add(path, "empty", "give the header media or text, or leave it out")


def _check_data(body: Mapping[str, Any], path: Path, report: Report) -> None:
    data = _at(body, path)
    if not isinstance(data, dict):
        return
    if _at(body, (*path[:-1], "action")) == "data_exchange":
        detail = "with data_exchange the Flow's endpoint gives the first screen: leave data out"
        report.add(path, "conflict", detail)
    elif not data:
        report.add(path, "empty", "data must not be empty: leave it out")
    found = list(_values(data))
    texts = (value for value in found if isinstance(value, str))
    if control := next(filter(None, map(_CONTROL.search, texts)), None):
        detail = f"a text in here holds {character_name(control[0])}"
        report.add(path, "control_character", detail)
    if any(
        type(value) is int and not LEAST_WHOLE_NUMBER <= value <= LARGEST_WHOLE_NUMBER
        for value in found
    ):
        detail = "a whole number in here is beyond 64 bits: send it as text"
        report.add(path, "number_too_large", detail)


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
