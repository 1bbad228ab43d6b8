"""What pydantic says of a request, in alir's words: where, which rule, what to do."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from alir.messages.faults import Path, Report
from alir.messages.limits import LAST_BUTTON, UNKNOWN_FIELDS_NAMED
from alir.messages.model import OnUnknown, Priority
from alir.messages.request import (
    URL,
    FlowHeader,
    FlowParam,
    FlowRequest,
    HeaderType,
    MessageRequest,
    MessageType,
    Mode,
    TemplateFlow,
    TemplateRequest,
)
from alir.strictjson import character_name

LONGEST_GUESSED: Final = 40  #: characters of a name or value for which a near one is sought

Said = tuple[str, str]  # code, detail

#: Where headers and templates stand.
HEADERS: Final[tuple[Path, ...]] = (
    ("flow", "param", "header"),
    ("template", "header"),
    ("fallback", "header"),
)
TEMPLATES: Final = ("template", "fallback")
_TEMPLATE_FLOWS: Final = tuple((name, "flow") for name in TEMPLATES)
_MEDIA: Final = frozenset((*header, "media") for header in HEADERS)
_BODY: Final[Path] = ("flow", "param", "body")
_RECIPIENT: Final[Path] = ("recipient",)

_FIELDS: Final[Mapping[Path, type[BaseModel]]] = {
    (): MessageRequest,
    ("flow",): FlowRequest,
    ("flow", "param"): FlowParam,
    **{(name,): TemplateRequest for name in TEMPLATES},
    **dict.fromkeys(_TEMPLATE_FLOWS, TemplateFlow),
    **dict.fromkeys(HEADERS, FlowHeader),
}
_KNOWN: Final[Mapping[Path, list[str]]] = {
    path: [field.alias or name for name, field in model.model_fields.items()]
    for path, model in _FIELDS.items()
}
_CHOICES: Final[Mapping[Path, tuple[str, ...]]] = {
    ("type",): get_args(MessageType),
    ("flow", "action"): ("navigate", "data_exchange"),
    ("flow", "mode"): get_args(Mode),
    **{(*header, "type"): get_args(HeaderType) for header in HEADERS},
    ("on_unknown",): tuple(OnUnknown),
    ("priority",): tuple(Priority),
}

_NOT_NEEDED: Final = frozenset({"messaging_product", "recipient_type", "flow_message_version"})
#: Fields of WhatsApp's own API, and what alir calls them.
_OTHER_NAMES: Final = {
    "interactive": "flow",
    "context": "reply_message_id",
    "biz_opaque_callback_data": "callback_data",
    "flow_id": "flow.id",
    "flow_token": "flow.token",
    "flow_cta": "flow.text",
    "flow_action": "flow.action",
    "flow_action_payload": "flow.screen and flow.data",
    "flow_action_data": "flow.data",
    "components": "header, body and flow",
}


def report_shape(error: ValidationError, report: Report) -> None:
    """Put everything that `error` found wrong into `report`."""
    unknown: Counter[Path] = Counter()
    for found in error.errors(include_url=False):
        path = tuple(str(key) for key in found["loc"])
        if found["type"] == "extra_forbidden":
            unknown[path[:-1]] += 1
            if unknown[path[:-1]] > UNKNOWN_FIELDS_NAMED:
                continue
        for code, detail in _said(path, found):
            report.add(path, code, detail)
    for path, count in unknown.items():
        if count > UNKNOWN_FIELDS_NAMED:
            further = count - UNKNOWN_FIELDS_NAMED
            report.add(path, "unknown_field", f"{further} further unknown field(s) in here")


def _said(path: Path, found: ErrorDetails) -> Iterator[Said]:
    value = found["input"]
    is_item = path[-1:] != () and path[-1].isdigit()
    if value is None and path and not is_item and found["type"] != "extra_forbidden":
        yield _MISSING
    else:
        yield from _TRANSLATIONS[found["type"]](path, value, found.get("ctx", {}))


_MISSING: Final = ("missing", "this field is needed")


def _missing(_path: Path, _value: object, _context: Mapping[str, Any]) -> Iterator[Said]:
    yield _MISSING


def _no_object(path: Path, value: object, _context: Mapping[str, Any]) -> Iterator[Said]:
    if path:
        yield "wrong_type", "an object belongs here: { … }"
    elif isinstance(value, str):
        yield (
            "wrong_type",
            "the body must be a JSON object, and this is a text: was it turned into JSON twice?",
        )
    elif isinstance(value, list):
        yield (
            "wrong_type",
            "the body must be one JSON object, not a list: "
            "many messages are sent to /messages/batch",
        )
    else:
        yield "wrong_type", "the body must be a JSON object"


def _no_text(path: Path, value: object, _context: Mapping[str, Any]) -> Iterator[Said]:
    if path[-1] == "language":
        yield "wrong_type", "the code of a language belongs here, such as en_US"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield "wrong_type", "a text belongs here, not a number: put it in quotes"
    else:
        yield "wrong_type", "a text belongs here"


def _half_character(_path: Path, _value: object, _context: Mapping[str, Any]) -> Iterator[Said]:
    yield "control_character", "half of a character (a surrogate) stands in this text"


def _no_list(_path: Path, _value: object, _context: Mapping[str, Any]) -> Iterator[Said]:
    yield "wrong_type", "a list of texts belongs here: [ … ]"


def _too_many(_path: Path, value: object, context: Mapping[str, Any]) -> Iterator[Said]:
    count = len(value) if isinstance(value, list) else context["actual_length"]
    yield "too_long", f"at most {context['max_length']} texts; this has {count}"


def _no_index(_path: Path, value: object, _context: Mapping[str, Any]) -> Iterator[Said]:
    if isinstance(value, int) and not isinstance(value, bool):
        yield "not_a_choice", f"it must be 0 to {LAST_BUTTON}: buttons are counted from 0"
    else:
        yield "wrong_type", f"a whole number belongs here, 0 to {LAST_BUTTON}, without quotes"


def _too_short(path: Path, value: str, context: Mapping[str, Any]) -> Iterator[Said]:
    if value:
        yield "too_short", f"at least {context['min_length']} characters; this has {len(value)}"
        yield from _control_character(path, value)
    else:
        yield "too_short", "this text must not be empty"


def _too_long(path: Path, value: str, context: Mapping[str, Any]) -> Iterator[Said]:
    yield "too_long", f"at most {context['max_length']} characters; this has {len(value)}"
    if path not in _MEDIA:
        yield from _control_character(path, value)
    elif not re.fullmatch(URL, value):
        yield _url(value)


def _pattern(path: Path, value: str, _context: Mapping[str, Any]) -> Iterator[Said]:
    if path == _RECIPIENT:
        yield _no_user_id(value)
    else:
        yield _url(value) if path in _MEDIA else next(_control_character(path, value))


_LIKE_A_NUMBER: Final = re.compile(r"[-+(). /]*[0-9][-+(). /0-9]*")


def _no_user_id(value: str) -> Said:
    if PLACEHOLDER.fullmatch(value):
        return "placeholder", "this is a placeholder: fill in a business-scoped user id"
    if _LIKE_A_NUMBER.fullmatch(value):
        return "invalid_user_id", "this looks like a phone number: send it as to"
    return (
        "invalid_user_id",
        "a business-scoped user id is two capital letters, a dot, and letters and digits, such as "
        "US.13491208655302741918; send it as WhatsApp gave it",
    )


_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_LINES: Final = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def _control_character(path: Path, value: str) -> Iterator[Said]:
    if found := (_CONTROL_IN_LINES if path == _BODY else _CONTROL).search(value):
        detail = f"{character_name(found[0])} cannot stand in this text"
        if found[0] in "\r\n":
            detail += ": only flow.param.body has line breaks"
        yield "control_character", detail


PLACEHOLDER: Final = re.compile(r"\s*\{\{.*\}\}\s*", re.DOTALL)
_SCHEME: Final = re.compile(r"https?://", re.IGNORECASE)
_AUTHORITY: Final = re.compile(r"[^/?#\\]*")


def _url(value: str) -> Said:
    if PLACEHOLDER.fullmatch(value):
        return "placeholder", "this is a placeholder: fill in the URL of an image"
    if found := re.search(r"\s", value) or _CONTROL.search(value):
        return "invalid_url", f"{character_name(found[0])} cannot stand in a URL"
    scheme = _SCHEME.match(value)
    if scheme is None:
        return "invalid_url", "an http or https URL of an image belongs here: https://…"
    authority = _AUTHORITY.match(value, scheme.end())
    if authority and "@" in authority[0]:
        return "invalid_url", "a URL with a user name or password in it is not passed on"
    return "invalid_url", "this URL has no host that could be asked, or a port or \\ out of place"


def _no_choice(path: Path, value: object, _context: Mapping[str, Any]) -> Iterator[Said]:
    choices = _CHOICES[path]
    one_of = "one of " + ", ".join(choices)
    if not isinstance(value, str):
        yield "wrong_type", f"a text belongs here: {one_of}"
        return
    parts = [part.strip() for part in value.split("|")]
    if len(parts) > 1 and set(parts) <= {*choices, "nagivate"}:
        yield "not_a_choice", f"this is a choice: send one of them ({', '.join(choices)})"
    elif near := _near(value.strip(), choices):
        yield "not_a_choice", f"did you mean {near}? It must be {one_of}"
    elif path == ("type",):
        yield "not_a_choice", "use flow, or template: there is no other type"
    else:
        yield "not_a_choice", f"it must be {one_of}"


def _unknown_field(path: Path, _value: object, _context: Mapping[str, Any]) -> Iterator[Said]:
    *parent, name = path
    known = _KNOWN[tuple(parent)]
    elsewhere = [place for place, names in _KNOWN.items() if name in names]
    if name in _NOT_NEEDED:
        yield "unknown_field", "not needed here: leave it out"
    elif tuple(parent) in _TEMPLATE_FLOWS and name in _KNOWN["flow",]:
        yield "unknown_field", "not needed here: the template itself says it"
    elif other := _OTHER_NAMES.get(name):
        yield "unknown_field", f"there is no such field here; alir calls it {other}"
    elif elsewhere:
        inside = [place for place in elsewhere if path[0] in TEMPLATES and place[:1] == path[:1]]
        places = " or ".join(
            ".".join(place) or "the outermost object" for place in inside or elsewhere
        )
        yield "unknown_field", f"there is no such field here; it belongs in {places}"
    elif near := _near(name, known):
        yield "unknown_field", f"there is no such field here; did you mean {near}?"
    else:
        yield "unknown_field", f"there is no such field here; known are {', '.join(known)}"


def _near(name: str, known: list[str] | tuple[str, ...]) -> str | None:
    if len(name) > LONGEST_GUESSED:
        return None
    return next(iter(get_close_matches(name.lower(), known, n=1)), None)


#: By pydantic's types of errors: all that the models of `request` can bring about.
_TRANSLATIONS: Final[Mapping[str, Callable[[Path, Any, Mapping[str, Any]], Iterator[Said]]]] = {
    "missing": _missing,
    "extra_forbidden": _unknown_field,
    "model_type": _no_object,
    "dict_type": _no_object,
    "string_type": _no_text,
    "string_unicode": _half_character,
    "string_too_short": _too_short,
    "string_too_long": _too_long,
    "string_pattern_mismatch": _pattern,
    "literal_error": _no_choice,
    "list_type": _no_list,
    "too_long": _too_many,
    "int_type": _no_index,
    "greater_than_equal": _no_index,
    "less_than_equal": _no_index,
    "enum": _no_choice,
}
