"""What holds for every request, and that the JSON schema of one says what `check` does."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.seed import mended

from alir.errors import RequestInvalid
from alir.messages.check import check
from alir.messages.faults import FAULT_CODES, WARNING_CODES
from alir.messages.model import Draft, OnUnknown, Priority
from alir.messages.request import MessageRequest

SCHEMA = MessageRequest.model_json_schema()
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)

TEMPLATES = ("template", "fallback")
FLOWS = ("flow", "template/flow", "fallback/flow")
NAMED = ("name", "language", "flow/token")
#: Rules that a schema cannot say. All others it must know.
BEYOND_A_SCHEMA = {
    ("#/to", "unknown_country_code"),
    ("#/to", "number_rewritten"),
    ("#/send_at", "invalid_time"),  # days and hours that do not exist
    ("#/expires_at", "invalid_time"),
    ("#/expires_at", "conflict"),  # which of two moments comes first
    # A NUL deep inside:
    *((f"#/{place}/data", "control_character") for place in FLOWS),
    *((f"#/{place}/{field}", "placeholder") for place in TEMPLATES for field in NAMED),
    ("#/flow/id", "placeholder"),
    ("#/flow/token", "placeholder"),
    ("#/flow/screen", "placeholder"),
    ("#/from", "placeholder"),
    ("#/reply_message_id", "placeholder"),
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)

IMAGE = "https://example.com/a.png"
LENGTHS = [0, 1, 20, 21, 30, 31, 60, 61, 64, 65, 256, 257, 512, 513, 1024, 1025, 2049]
ANYWHERE: list[object] = [
    *(None, 7, 1.5, True, [], {}, "x", "é😀", "a\nb", "a\tb", "a\0b", "\x85", "{{ X }}"),
    *("x" * length for length in LENGTHS),
]
ACTIONS: list[object] = ["navigate", "data_exchange", "nagivate", "navigate | data_exchange", "x"]
MOMENTS: list[object] = [
    *("2030-01-31T09:00:00Z", "2030-01-31T10:00:00.1239+07:00", "2030-01-31T09:00:00"),
    *("2030-02-30T09:00:00Z", "2030-01-31", "2029-12-31t23:59:59z"),
]
TEMPLATE: dict[str, Any] = {"name": "visit_form", "language": "en_US"}
HEADERS: list[object] = [
    *({"text": "T"}, {"media": IMAGE}, {"type": "media", "text": "T"}, {"type": "text"}),
    {"text": "T", "media": IMAGE},
]
DATA: list[object] = [{"a": 1}, {"a": {"b": ["\0"]}}, {"\0": 1}, {"a": "\0"}]
OF_TEMPLATES: dict[str, list[object]] = {
    "name": ["visit_form"],
    "language": ["en_US", "e", "{{L}}"],
    "header": HEADERS,
    "body": [["a", "b"], [""], [None], ["a\nb"], [1], ["a"] * 20, ["a"] * 21, ["a" * 1025]],
    "button_index": [0, 9, 10, -1, True, 1.0, "1", 2**70],
    "flow": [{"token": "t"}, {"id": "1"}],
    "flow.token": ["t"],
    "flow.data": DATA,
}
#: Values to try in each field, besides those of `ANYWHERE`: right ones and near misses.
TRIED: dict[str, list[object]] = {
    "to": [
        *("+1 (000) 000-0000", "62 821 1234 5678", "5215512345678", "+6282112345678", "1" * 16),
        *("+62 0821 1234 5678", "0821", "+999123456", "+12", "+62821xxxxxx", "(+1)2125550123"),
    ],
    "reply_message_id": ["wamid.A"],
    "recipient": ["US.1349", "US.ENT.a9", "US.ENT.", "us.1", "US.1\n", "US.é", "US." + "1" * 129],
    "type": ["flow", "template", "individual"],
    "template": [TEMPLATE, {"name": "n"}],
    "fallback": [TEMPLATE, {"name": "n"}],
    "flow": [],
    "from": ["main"],
    "send_at": MOMENTS,
    "expires_at": MOMENTS,
    "callback_data": ["order 7"],
    "on_unknown": ["hold", "retry", "hold | retry"],
    "priority": ["single", "bulk"],
    "messaging_product": ["whatsapp"],
    "flow.id": ["987654321"],
    "flow.token": ["{a}"],
    "flow.text": [],
    "flow.action": ACTIONS,
    "flow.screen": [],
    "flow.mode": ["published", "draft", "published|draft"],
    "flow.data": DATA,
    "flow.type": ["flow"],
    "flow.param": [{"body": "B"}],
    "flow.param.body": ["a\r\nb"],
    "flow.param.footer": [],
    "flow.param.header": HEADERS,
    "flow.param.header.type": ["text", "media", "media | text"],
    "flow.param.header.text": [],
    "flow.param.header.media": [
        *(IMAGE, "https://u:p@example.com/", "ftp://x/a", "https://[::1]:80/a?b#c", "http://x y"),
        *("https://", "https://e.example/" + "a" * 2048, "https://e.example/" + "a" * 2030),
    ],
    **{f"{place}.{field}": values for place in TEMPLATES for field, values in OF_TEMPLATES.items()},
}


def put(body: dict[str, Any], field: str, value: object) -> None:
    """Set `field` of `body` where its parents are objects."""
    *parents, key = field.split(".")
    node: object = body
    for parent in parents:
        node = node.get(parent) if isinstance(node, dict) else None
    if isinstance(node, dict):
        node[key] = copy.deepcopy(value)


def right() -> list[dict[str, Any]]:
    """A right request of each kind."""
    flow: dict[str, Any] = mended()
    to_user = {key: value for key, value in flow.items() if key != "to"} | {"recipient": "US.1349"}
    template = {"type": "template", "template": {**TEMPLATE, "flow": {}}}
    return [
        flow,
        to_user,
        flow | {"fallback": {**TEMPLATE, "flow": {}}},
        {key: value for key, value in flow.items() if key != "flow"} | template,
        {key: value for key, value in to_user.items() if key != "flow"} | template,
    ]


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """A right request with up to six fields set, rightly or wrongly."""
    body: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(right())))
    for _ in range(draw(st.integers(0, 6))):
        field = draw(st.sampled_from(list(TRIED)))
        # Mostly what suits the field, so that many requests are right as a whole.
        likely = st.sampled_from(TRIED[field] * 10 + ANYWHERE)
        put(body, field, draw(JSON if draw(st.integers(0, 9)) == 5 else likely))
    return body


def is_text(text: object, at_most: int, *, at_least: int = 1, breaks: str = "") -> bool:
    controls = {chr(code) for code in [*range(0x20), *range(0x7F, 0xA0)]} - set(breaks)
    return isinstance(text, str) and at_least <= len(text) <= at_most and not controls & set(text)


def is_header(header: dict[str, str]) -> bool:
    if header == {"type": "text", "text": header.get("text")}:
        return is_text(header["text"], 60)
    scheme, _, rest = header["media"].partition("://")
    return (
        header == {"type": "media", "media": header["media"]}
        and scheme.lower() in ("http", "https")
        and is_text(rest, 2048)
        and not set(rest) & set(" \\")
        and "@" not in rest.partition("/")[0].partition("?")[0]
    )


def is_kept_moment(moment: datetime) -> bool:
    return moment.tzinfo is UTC and moment.microsecond % 1000 == 0


def broken_rules(draft: Draft) -> list[str]:
    """The design's table, written once more and by other means: what `draft` does not obey."""
    moments = [moment for moment in (draft.send_at, draft.expires_at) if moment is not None]
    optional = [
        (draft.reply_message_id, 1, 512),
        (draft.sender, 1, 64),
        (draft.callback_data, 0, 256),
    ]
    to, recipient = draft.to, draft.recipient
    rules = {
        "type": draft.type == ("flow" if draft.template is None else "template"),
        "kind": bool(draft.flow) is (draft.type == "flow"),
        "fallback": draft.fallback is None or draft.type == "flow",
        "person": (to is None) is not (recipient is None),
        "number": to is None or is_number(to),
        "user id": recipient is None or is_user_id(recipient),
        "optional": all(
            text is None or is_text(text, most, at_least=least) for text, least, most in optional
        ),
        "on_unknown": draft.on_unknown in (None, *OnUnknown),
        "priority": draft.priority in (None, *Priority),
        "moments": all(map(is_kept_moment, moments)) and moments == sorted(set(moments)),
        "warnings": {warning.code for warning in draft.warnings} <= WARNING_CODES.keys(),
        **(flow_rules(draft.flow) if draft.flow else {}),
        **(template_rules(draft.template) if draft.template else {}),
        **(template_rules(draft.fallback) if draft.fallback else {}),
    }
    return [name for name, holds in rules.items() if not holds]


def is_number(to: str) -> bool:
    digits = to[1:]
    return to[0] == "+" and digits[0] != "0" and is_digits(digits) and 7 <= len(digits) <= 15


def is_digits(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def is_user_id(recipient: str) -> bool:
    country, *parent, rest = recipient.split(".")
    return (
        *(len(country), country.isascii(), country.isupper(), country.isalpha()),
        *(parent in ([], ["ENT"]), rest.isascii(), rest.isalnum(), 1 <= len(rest) <= 128),
    ) == (2, *[True] * 7)


def flow_rules(flow: Mapping[str, Any]) -> dict[str, bool]:
    param = flow["param"]
    return {
        "id": is_text(flow["id"], 64),
        "token": is_text(flow["token"], 1024),
        "text": is_text(flow["text"], 30),
        "screen": is_text(flow["screen"], 256),
        "body": is_text(param["body"], 1024, breaks="\r\n"),
        "footer": "footer" not in param or is_text(param["footer"], 60),
        "header": "header" not in param or is_header(param["header"]),
        "action": flow["action"] in ("navigate", "data_exchange"),
        "mode": flow["mode"] in ("published", "draft"),
        "data": "data" not in flow or (flow["data"] != {} and flow["action"] == "navigate"),
        "nul": holds_no_nul(flow),
        "nulls": None not in [*flow.values(), *param.values()],
    }


def template_rules(template: Mapping[str, Any]) -> dict[str, bool]:
    flow, body = template["flow"], template.get("body", ["x"])
    return {
        "template": template.keys() <= {"header", "body"} | BASE and template.keys() >= BASE,
        "template name": is_text(template["name"], 512),
        "template language": is_text(template["language"], 16, at_least=2),
        "template header": "header" not in template or is_header(template["header"]),
        "template body": 0 < len(body) <= 20 and all(is_text(text, 1024) for text in body),
        "button": type(template["button_index"]) is int and 0 <= template["button_index"] <= 9,
        "template flow": flow.keys() <= {"token", "data"} and flow.get("data") != {},
        "template token": "token" not in flow or is_text(flow["token"], 1024),
        "template nul": holds_no_nul(template),
        "template nulls": None not in [*template.values(), *flow.values()],
    }


BASE = {"name", "language", "button_index", "flow"}


def holds_no_nul(value: Mapping[str, Any]) -> bool:
    return "\0" not in json.dumps(value, ensure_ascii=False).replace("\\u0000", "\0")


def outcome(data: object) -> Draft | set[tuple[str, str]]:
    """The draft, or where which rules are broken."""
    try:
        return check(data)
    except RequestInvalid as error:
        return {(fault.pointer, fault.code) for fault in error.faults}


@given(JSON | requests())
def test_any_json_is_a_draft_that_obeys_every_rule_or_a_list_of_faults(data: object) -> None:
    before = repr(data)
    result = outcome(data)

    assert repr(data) == before
    if isinstance(result, Draft):
        assert broken_rules(result) == []
    else:
        assert result
        assert {code for _, code in result} <= FAULT_CODES.keys()


HALF = st.text("\ud800\udfffa", min_size=1, max_size=3)


@given(st.dictionaries(HALF, JSON | HALF) | st.dictionaries(st.just("flow"), HALF | JSON))
def test_not_even_half_characters_raise_anything_else(data: object) -> None:
    assert not isinstance(outcome(data), Draft)


@given(requests())
def test_what_is_taken_fits_the_schema_and_what_fits_it_is_taken(data: dict[str, Any]) -> None:
    result = outcome(data)

    if VALIDATOR.is_valid(data):
        assert isinstance(result, Draft) or result <= BEYOND_A_SCHEMA
    else:
        assert not isinstance(result, Draft)


def test_the_schemas_examples_are_taken_without_a_warning() -> None:
    for example in SCHEMA["examples"]:
        assert check(example).warnings == ()
        assert VALIDATOR.is_valid(example)


MODELS = {"MessageRequest": SCHEMA, **SCHEMA["$defs"]}
PROPERTIES = [
    pytest.param(schema, id=f"{model}.{field}")
    for model in MODELS
    for field, schema in MODELS[model].get("properties", {}).items()
]


@pytest.mark.parametrize("schema", PROPERTIES)
def test_every_field_is_described_and_its_examples_fit(schema: dict[str, Any]) -> None:
    described = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    one = jsonschema_rs.Draft202012Validator({**schema, "$defs": SCHEMA["$defs"]})

    assert described["description"].endswith(".")
    assert all(one.is_valid(example) for example in schema.get("examples", []))


@pytest.mark.parametrize("explanation", [*FAULT_CODES.values(), *WARNING_CODES.values()])
def test_each_code_is_explained_in_one_sentence(explanation: str) -> None:
    assert explanation[0].isupper()
    assert explanation.count(". ") == 0
    assert explanation.endswith(".")
