"""The quick answer of `check` and the full one of `explain` are about the same rules."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.seed import mended

from alir.errors import Fault, RequestInvalid
from alir.messages.check import check
from alir.messages.explain import explain
from alir.messages.moment import read_moment
from alir.messages.phone import read_number
from alir.messages.request import FlowRequest, MessageRequest, TemplateRequest

IMAGE = "https://example.com/a.png"
TEXTS = [
    "x",
    "x" * 21,
    "é😀",
    "a\nb",
    "a\0b",
    "{{ X }}",
    "{{X}} ",
    "a {{b}}",
    "}}{{",
    "",
    "x" * 2000,
]
HEADERS: list[Any] = [
    *({"text": "T"}, {"media": IMAGE}, {"type": "text", "text": "T"}, {"type": "text"}, {}),
    *({"type": "media", "media": IMAGE, "text": None}, {"type": "media", "text": "T"}),
    *({"type": None, "text": "T"}, {"text": "T", "media": IMAGE}, {"media": None, "text": None}),
    {"type": "text", "text": "T", "kind": "T"},
]
DATA: list[Any] = [
    *({"a": 1}, {}, {"a": ["\0"]}, {"a": {"\0": 1}}, {"a": "\\u0000"}, {"a": 2**64}),
    *({"a": "\ud800"}, {"a": "\ud800\0"}, {"a": [2**64, "\0"]}, {"a": "\\\0"}),
]
MOMENTS: list[Any] = [
    "2030-01-31T09:00:00Z",
    "2030-01-31T16:00:00.0009+07:00",
    "2031-02-30T09:00:00Z",
]
TEMPLATE: dict[str, Any] = {"name": "visit_form", "language": "en_US"}
TEMPLATES = ("template", "fallback")
IN_TEMPLATES: dict[str, list[Any]] = {
    "name": TEXTS,
    "language": ["en_US", "e", {"code": "en"}, *TEXTS],
    "header": HEADERS,
    "body": [[], ["a", "b"], [""], [None], ["a\nb"], [1], "a", ["a"] * 20, ["a"] * 21],
    "button_index": [0, 9, 10, -1, True, 1.0, "1", 2**70],
    "flow": [{}, [], {"token": "t"}, {"token": "{{ T }}"}, {"id": "1"}, {"action": "navigate"}],
    "flow.token": TEXTS,
    "flow.data": DATA,
}
#: What each field may hold in these tests, besides null and nothing at all.
TRIED: dict[str, list[Any]] = {
    "to": ["+6282112345678", "6282112345678", "5215512345678", "+62 0821", "{{ TO }}"],
    "recipient": ["US.1349", "US.ENT.a9", "+6282112345678", "us.1", "US.", "{{ ID }}"],
    "type": ["flow", "template", "individual"],
    "template": [TEMPLATE, {}, {"name": "n"}],
    "fallback": [TEMPLATE, {}, []],
    "from": ["main", *TEXTS],
    "reply_message_id": ["wamid.A", *TEXTS],
    "callback_data": TEXTS,
    "on_unknown": ["hold", "retry", "x"],
    "priority": ["single", "bulk", "x"],
    "send_at": MOMENTS,
    "expires_at": MOMENTS,
    "extra": [1],
    "flow.id": TEXTS,
    "flow.token": TEXTS,
    "flow.text": TEXTS,
    "flow.screen": TEXTS,
    "flow.action": ["navigate", "nagivate", "data_exchange", "x"],
    "flow.mode": ["draft", "published", "x"],
    "flow.data": DATA,
    "flow.extra": [1],
    "flow.param": [{"body": "B"}, []],
    "flow.param.body": TEXTS,
    "flow.param.footer": TEXTS,
    "flow.param.header": HEADERS,
    **{f"{place}.{field}": values for place in TEMPLATES for field, values in IN_TEMPLATES.items()},
}


def put(body: dict[str, Any], field: str, value: object) -> None:
    *parents, key = field.split(".")
    node: Any = body
    for parent in parents:
        node = node[parent] if isinstance(node, dict) and parent in node else None
    if isinstance(node, dict):
        node[key] = copy.deepcopy(value)


def bodies() -> list[dict[str, Any]]:
    """Right requests of each kind."""
    flow, template = mended(), {**TEMPLATE, "flow": {"token": "t", "data": {"a": 1}}}
    person = {key: value for key, value in flow.items() if key != "flow"} | {"type": "template"}
    to_user = {key: value for key, value in flow.items() if key != "to"} | {"recipient": "US.1349"}
    return [
        flow,
        flow | {"fallback": {**TEMPLATE, "flow": {}}},
        to_user,
        person | {"template": template},
    ]


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """A right request with up to four fields set, so that many are right as a whole."""
    body: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(bodies())))
    for field in draw(st.lists(st.sampled_from(list(TRIED)), max_size=4)):
        put(body, field, draw(st.sampled_from([*TRIED[field], None])))
    return body


def refused(data: object) -> Sequence[Fault]:
    """The faults that `check` raises; none where it takes the request."""
    try:
        check(data)
    except RequestInvalid as error:
        assert error.faults  # noqa: PT017 - a refusal without a reason would read like consent
        return error.faults
    return ()


def drafted(data: dict[str, Any]) -> dict[str, Any]:
    """What a right request becomes, taken from the models of `request` and not from `REQUEST`."""
    asked = MessageRequest.model_validate(data)
    flow = asked.flow and drafted_flow(asked.flow)
    token = flow["token"] if flow else None
    return {
        "to": asked.to and read_number(asked.to).e164,
        "recipient": asked.recipient,
        "type": asked.type,
        "flow": flow or {},
        "template": asked.template and drafted_template(asked.template, None),
        "fallback": asked.fallback and drafted_template(asked.fallback, token),
        "sender": asked.sender,
        "reply_message_id": asked.reply_message_id,
        "callback_data": asked.callback_data,
        "on_unknown": asked.on_unknown,
        "priority": asked.priority if "priority" in asked.model_fields_set else None,
        "send_at": asked.send_at and read_moment(asked.send_at, "#"),
        "expires_at": asked.expires_at and read_moment(asked.expires_at, "#"),
    }


def drafted_flow(asked: FlowRequest) -> dict[str, Any]:
    flow: dict[str, Any] = asked.model_dump(exclude_none=True)
    typed(flow["param"])
    flow["action"] = {"data_exchange": "data_exchange"}.get(flow.get("action", ""), "navigate")
    flow.setdefault("mode", "published")
    if asked.data is not None:
        flow["data"] = asked.data  # with the nulls inside
    return flow


def drafted_template(asked: TemplateRequest, token: str | None) -> dict[str, Any]:
    template = {"button_index": 0, "flow": {}, **asked.model_dump(exclude_none=True)}
    typed(template)
    if not template.get("body"):
        template.pop("body", None)
    if asked.flow and asked.flow.data is not None:
        template["flow"]["data"] = asked.flow.data
    if token is not None:
        template["flow"].setdefault("token", token)
    return template


def typed(around: dict[str, Any]) -> None:
    """Give the header in there, if there is one, its type."""
    header = around.pop("header", None)
    if header is not None:
        around["header"] = {"type": "media" if "media" in header else "text", **header}


@example(mended(data={"a": "\\u0000"}))
@example(mended(token='{"a": "{{b}}"}'))
@given(requests())
def test_a_request_is_taken_just_where_no_fault_can_be_explained(data: dict[str, Any]) -> None:
    found = explain(data)

    assert list(refused(data)) == list(found)
    if not found:
        draft = check(data)
        assert {name: getattr(draft, name) for name in drafted(data)} == drafted(data)


@pytest.mark.parametrize("field", TRIED)
def test_each_value_alone_is_taken_just_where_no_fault_can_be_explained(field: str) -> None:
    for body in bodies():
        for value in [*TRIED[field], None]:
            data = copy.deepcopy(body)
            put(data, field, value)
            assert list(refused(data)) == list(explain(data))


def test_the_shown_flow_has_its_fields_in_one_order() -> None:
    flow = dict(reversed(mended(data={"a": 1}, mode="draft").pop("flow").items()))

    shown = json.dumps(check(mended() | {"flow": flow}).flow)

    assert list(json.loads(shown)) == [
        *("id", "token", "text", "action", "screen", "mode", "param", "data")
    ]


@st.composite
def international(draw: st.DrawFn) -> str:
    """A plus, a country code and digits, often with what is dialled only inside the country."""
    code = draw(st.sampled_from(list(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)))
    prefix = draw(st.sampled_from(["", "", "0", "1", "8", "9", "06", "15", "044"]))
    return f"+{code}{prefix}{draw(st.from_regex('[0-9]{6,9}', fullmatch=True))}"


@given(international())
def test_a_number_is_taken_without_a_word_just_where_libphonenumber_has_none(text: str) -> None:
    reading = phonenumbers.parse(text)
    form = phonenumbers.format_number(reading, phonenumbers.PhoneNumberFormat.E164)
    try:
        number = read_number(text)
    except RequestInvalid as error:
        [fault] = error.faults
        assert fault.code == (
            "number_length" if len(text) > 16 or len(text) < 8 else "number_rewritten"
        )
        assert form != text or fault.code == "number_length"
    else:
        assert form == number.e164 == text
        assert phonenumbers.is_possible_number(reading) is (number.warnings == ())
