"""Every rule of `POST /messages`, one row each."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.seed import MEDIA_HEADER, NUMBER_FORMATS, SAMPLE, TEXT_HEADER, mended

from alir.errors import Fault, RequestInvalid
from alir.messages.check import check
from alir.messages.faults import FAULT_CODES, WARNING_CODES
from alir.messages.limits import UNKNOWN_FIELDS_NAMED
from alir.messages.model import Draft, OnUnknown, Priority
from alir.strictjson import parse

ABSENT = object()
URL = "https://example.com/a.png"


def changed(**changes: Any) -> dict[str, Any]:
    """The mended sample with `changes` made; `flow__param__body` reaches into objects."""
    body = copy.deepcopy(mended())
    for name, value in changes.items():
        *parents, key = name.rstrip("_").split("__")
        node = body
        for parent in parents:
            node = node[parent]
        if value is ABSENT:
            del node[key]
        else:
            node[key] = value
    return body


def faults(data: object) -> tuple[Fault, ...]:
    with pytest.raises(RequestInvalid) as caught:
        check(data)
    assert {fault.code for fault in caught.value.faults} <= FAULT_CODES.keys()
    return caught.value.faults


def places(data: object) -> list[tuple[str, str]]:
    return [(fault.pointer, fault.code) for fault in faults(data)]


def header(**fields: Any) -> dict[str, Any]:
    return changed(flow__param__header=fields)


def warnings(draft: Draft) -> list[tuple[str, str]]:
    assert {warning.code for warning in draft.warnings} <= WARNING_CODES.keys()
    return [(warning.pointer, warning.code) for warning in draft.warnings]


# The seed's sample


@pytest.mark.parametrize("header", [TEXT_HEADER, MEDIA_HEADER], ids=["text", "media"])
@pytest.mark.parametrize("number", NUMBER_FORMATS)
def test_the_seeds_sample_is_taken_with_each_number_format_and_header(
    number: str, header: dict[str, str]
) -> None:
    draft = check(changed(to=number, flow__param__header=header))

    assert draft == Draft(
        to="+10000000000",
        flow={
            "id": "FLOW_ID",
            "token": "RANDOM_STRING_FOR_FLOW_TOKEN",
            "text": "FLOW_BUTTON_TEXT",
            "action": "navigate",
            "screen": "FLOW_SCREEN_NAME",
            "mode": "published",
            "param": {"header": header, "body": "TEXT_BODY", "footer": "TEXT_FOOTER"},
        },
    )


def test_the_seeds_sample_leads_on_from_json_to_a_message() -> None:
    text = SAMPLE.replace("# if media", ",").replace("# if text", "")
    body: Any = parse(text.encode())

    assert places(body) == [
        ("#/to", "invalid_number"),
        ("#/reply_message_id", "placeholder"),
        ("#/flow/action", "not_a_choice"),
        ("#/flow/param/header", "conflict"),
        ("#/flow/param/header/type", "not_a_choice"),
        ("#/flow/param/header/media", "invalid_url"),
    ]

    body["to"] = "+62 821 1234 5678"
    del body["reply_message_id"]
    body["flow"]["action"] = "nagivate"
    body["flow"]["param"]["header"]["type"] = "text"
    assert places(body) == [
        ("#/flow/param/header/media", "invalid_url"),
        ("#/flow/param/header/media", "conflict"),
    ]

    del body["flow"]["param"]["header"]["media"]
    assert check(body).flow["action"] == "navigate"


# What a draft holds


def test_a_draft_keeps_all_that_may_be_given() -> None:
    draft = check(
        changed(
            from_="main",
            reply_message_id="wamid.ABC",
            callback_data="order 7",
            on_unknown="retry",
            priority="bulk",
            send_at="2030-01-31T09:00:00Z",
            expires_at="2030-01-31T18:00:00.123456+07:00",
            flow__mode="draft",
            flow__data={"branch": "north", "days": [1, 2, None]},
        )
    )

    assert draft.sender == "main"
    assert draft.reply_message_id == "wamid.ABC"
    assert draft.callback_data == "order 7"
    assert draft.on_unknown is OnUnknown.RETRY
    assert draft.priority is Priority.BULK
    assert draft.send_at == datetime(2030, 1, 31, 9, tzinfo=UTC)
    assert draft.expires_at == datetime(2030, 1, 31, 11, 0, 0, 123000, tzinfo=UTC)
    assert draft.expires_at.tzinfo is UTC
    assert draft.flow["mode"] == "draft"
    assert draft.flow["data"] == {"branch": "north", "days": [1, 2, None]}


OPTIONAL = [
    "from_",
    "reply_message_id",
    "callback_data",
    "on_unknown",
    "priority",
    "send_at",
    "expires_at",
    "flow__action",
    "flow__mode",
    "flow__data",
    "flow__param__header",
    "flow__param__footer",
]


@pytest.mark.parametrize("field", OPTIONAL)
def test_null_means_left_out(field: str) -> None:
    present = changed(**{field: None})
    absent = copy.deepcopy(present)
    *parents, key = field.rstrip("_").split("__")
    node = absent
    for parent in parents:
        node = node[parent]
    del node[key]

    assert check(present) == check(absent)


def test_what_is_left_out_is_left_out_of_the_flow_too() -> None:
    draft = check(changed(flow__param={"body": "b"}, flow__action=ABSENT))

    assert draft.flow["param"] == {"body": "b"}
    assert draft.flow["action"] == "navigate"
    assert "data" not in draft.flow


def test_data_exchange_still_names_a_screen() -> None:
    assert check(changed(flow__action="data_exchange")).flow["screen"] == "FLOW_SCREEN_NAME"
    assert places(changed(flow__action="data_exchange", flow__screen=ABSENT)) == [
        ("#/flow/screen", "missing")
    ]


def test_the_seeds_misspelling_means_navigate() -> None:
    assert check(changed(flow__action="nagivate")).flow["action"] == "navigate"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        pytest.param({"text": "T"}, {"type": "text", "text": "T"}, id="text"),
        pytest.param({"media": URL}, {"type": "media", "media": URL}, id="media"),
        pytest.param(
            {"type": None, "text": "T", "media": None}, {"type": "text", "text": "T"}, id="nulls"
        ),
    ],
)
def test_a_headers_type_is_taken_from_what_is_there(
    given: dict[str, Any], kept: dict[str, str]
) -> None:
    assert check(changed(flow__param__header=given)).flow["param"]["header"] == kept


# What is taken, at the edge


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("flow__id", "1" * 64, id="longest-id"),
        pytest.param("flow__token", "t" * 1024, id="longest-token"),
        pytest.param("flow__token", '{"a": "{{b}}"}', id="braces-inside-a-token"),
        pytest.param("flow__screen", "S" * 256, id="longest-screen"),
        pytest.param("flow__param__body", "b" * 1024, id="longest-body"),
        pytest.param("flow__param__body", "😀" * 1024, id="lengths-count-code-points"),
        pytest.param("flow__param__body", "a\nb\r\nc", id="line-breaks-in-the-body"),
        pytest.param("flow__param__body", "Dear {{name}}", id="braces-in-the-body"),
        pytest.param("flow__param__footer", "f" * 60, id="longest-footer"),
        pytest.param("flow__param__header", {"text": "h" * 60}, id="longest-header"),
        pytest.param("flow__data", {"a": {"b": "x\ny"}}, id="line-breaks-in-data"),
        pytest.param("callback_data", "c" * 256, id="longest-callback-data"),
        pytest.param("callback_data", "", id="empty-callback-data"),
        pytest.param("send_at", "2030-01-31t09:00:00.5z", id="small-letters-in-a-time"),
        pytest.param("send_at", "2028-02-29T23:59:59-00:00", id="leap-day"),
        pytest.param("expires_at", "2020-01-01T00:00:00Z", id="the-past-is-not-asked-for"),
    ],
)
def test_what_the_rules_allow_is_taken(field: str, value: object) -> None:
    check(changed(**{field: value}))


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "HTTP://EXAMPLE.COM/a.png",
        "http://localhost:8080/a.png?w=1&h=2#top",
        "https://[2001:db8::1]:443/a.png",
        "https://example.com/a@b:c.png",
        "https://example.com?mail=a@b",
        "https://bücher.example/bild-ü.png",
        "https://example.com/" + "a" * (2048 - 20),
    ],
)
def test_a_web_address_is_taken_for_media(url: str) -> None:
    assert check(header(media=url)).flow["param"]["header"] == {"type": "media", "media": url}


# What is refused


@pytest.mark.parametrize(
    ("body", "word"),
    [
        pytest.param(None, "object", id="null"),
        pytest.param([mended()], "not a list", id="list"),
        pytest.param('{"to": 1}', "twice", id="json-inside-json"),
        pytest.param(7, "object", id="number"),
    ],
)
def test_a_body_that_is_no_object_is_one_fault(body: object, word: str) -> None:
    [fault] = faults(body)

    assert fault.pointer == "#"
    assert word in fault.detail


def test_an_empty_object_misses_three_fields_and_no_more() -> None:
    assert places({}) == [("#/to", "missing"), ("#/type", "missing"), ("#/flow", "missing")]


def test_an_empty_flow_names_what_it_misses() -> None:
    assert places(changed(flow={})) == [
        ("#/flow/id", "missing"),
        ("#/flow/token", "missing"),
        ("#/flow/text", "missing"),
        ("#/flow/screen", "missing"),
        ("#/flow/param", "missing"),
    ]


REQUIRED = [
    "to",
    "type",
    "flow",
    "flow__id",
    "flow__token",
    "flow__text",
    "flow__screen",
    "flow__param",
    "flow__param__body",
]


@pytest.mark.parametrize("value", [ABSENT, None], ids=["absent", "null"])
@pytest.mark.parametrize("field", REQUIRED)
def test_a_needed_field_that_is_absent_or_null_is_missing(field: str, value: object) -> None:
    pointer = "#/" + field.replace("__", "/")

    assert places(changed(**{field: value})) == [(pointer, "missing")]


TOO_LONG = "at most"
CONTROL = "U+0007 CONTROL CHARACTER"


@pytest.mark.parametrize(
    ("field", "value", "code", "hint"),
    [
        pytest.param("to", 6282112345678, "wrong_type", "in quotes", id="number-as-to"),
        pytest.param("to", "", "number_length", "7 to 15", id="empty-to"),
        pytest.param("to", "+62821xxxxxx", "invalid_number", "LETTER X", id="letters-in-to"),
        pytest.param("to", "0821 1234", "country_code_missing", "country code", id="national"),
        pytest.param("to", "{{ NUMBER }}", "placeholder", "phone number", id="placeholder-to"),
        pytest.param("reply_message_id", "", "too_short", "empty", id="empty-reply"),
        pytest.param("reply_message_id", "w" * 513, "too_long", TOO_LONG, id="long-reply"),
        pytest.param("reply_message_id", " {{ID}} ", "placeholder", "leave the", id="reply-{{}}"),
        pytest.param("type", "individual", "not_a_choice", "use flow", id="the-seeds-individual"),
        pytest.param("type", "text", "not_a_choice", "use flow", id="another-type"),
        pytest.param("type", "flow | template", "not_a_choice", "send one", id="two-types"),
        pytest.param("type", "Template", "not_a_choice", "mean template?", id="capital-type"),
        pytest.param("type", 1, "wrong_type", "a text", id="number-as-type"),
        pytest.param("flow", "FLOW_ID", "wrong_type", "an object", id="text-as-flow"),
        pytest.param("flow", [], "wrong_type", "an object", id="list-as-flow"),
        pytest.param("flow__id", 987654321, "wrong_type", "in quotes", id="number-as-id"),
        pytest.param("flow__id", True, "wrong_type", "a text", id="boolean-as-id"),
        pytest.param("flow__id", "", "too_short", "empty", id="empty-id"),
        pytest.param("flow__id", "1" * 65, "too_long", "this has 65", id="long-id"),
        pytest.param("flow__id", "{{ FLOW }}", "placeholder", "a Flow", id="placeholder-id"),
        pytest.param("flow__token", "", "too_short", "empty", id="empty-token"),
        pytest.param("flow__token", "t" * 1025, "too_long", TOO_LONG, id="long-token"),
        pytest.param("flow__token", "{{ T }}", "placeholder", "your own", id="placeholder-token"),
        pytest.param("flow__token", "a\tb", "control_character", "U+0009 TAB", id="tab-in-token"),
        pytest.param("flow__text", "", "too_short", "empty", id="empty-button"),
        pytest.param("flow__text", "b" * 31, "too_long", "this has 31", id="long-button"),
        pytest.param("flow__text", "a\nb", "control_character", "only flow.param.body", id="lines"),
        pytest.param("flow__action", "open", "not_a_choice", "navigate", id="another-action"),
        pytest.param(
            "flow__action", "nagivate | data_exchange", "not_a_choice", "send one", id="choice"
        ),
        pytest.param("flow__action", "Navigate", "not_a_choice", "mean navigate", id="capital"),
        pytest.param("flow__screen", "", "too_short", "empty", id="empty-screen"),
        pytest.param("flow__screen", "S" * 257, "too_long", TOO_LONG, id="long-screen"),
        pytest.param("flow__screen", "{{S}}", "placeholder", "a screen", id="placeholder-screen"),
        pytest.param("flow__mode", "published|draft", "not_a_choice", "send one", id="mode-choice"),
        pytest.param("flow__mode", "publish", "not_a_choice", "mean published", id="near-mode"),
        pytest.param("flow__data", {}, "empty", "leave it out", id="empty-data"),
        pytest.param("flow__data", '{"a": 1}', "wrong_type", "an object", id="text-as-data"),
        pytest.param("flow__data", [1], "wrong_type", "an object", id="list-as-data"),
        pytest.param("flow__data", {"a": [{"b": "\0"}]}, "control_character", "NUL", id="nul-deep"),
        pytest.param("flow__data", {"a": {"\0": 1}}, "control_character", "NUL", id="nul-key"),
        pytest.param("flow__data", {"a": "\b"}, "control_character", "U+0008", id="backspace"),
        pytest.param("flow__data", {"a": "\x0b"}, "control_character", "U+000B", id="tab-down"),
        pytest.param("flow__data", {"a": ["\f"]}, "control_character", "U+000C", id="form-feed"),
        pytest.param("flow__data", {"a\x1b": 1}, "control_character", "U+001B", id="escape-key"),
        pytest.param("flow__data", {"a": "\x7f"}, "control_character", "U+007F", id="delete"),
        pytest.param("flow__data", {"a": "\x80"}, "control_character", "U+0080", id="c1-in-data"),
        pytest.param("flow__data", {"a": "\x9f"}, "control_character", "U+009F", id="c1-last"),
        pytest.param("flow__param", "TEXT", "wrong_type", "an object", id="text-as-param"),
        pytest.param("flow__param__body", "", "too_short", "empty", id="empty-body"),
        pytest.param("flow__param__body", "b" * 1025, "too_long", "1025", id="long-body"),
        pytest.param("flow__param__body", "a\0b", "control_character", "NUL", id="nul-in-body"),
        pytest.param("flow__param__body", "a\tb", "control_character", "TAB", id="tab-in-body"),
        pytest.param("flow__param__body", "\x85", "control_character", "U+0085", id="c1-control"),
        pytest.param("flow__param__body", "\ud800", "control_character", "half", id="surrogate"),
        pytest.param("flow__param__footer", "", "too_short", "empty", id="empty-footer"),
        pytest.param("flow__param__footer", "f" * 61, "too_long", TOO_LONG, id="long-footer"),
        pytest.param("flow__param__footer", "\x07", "control_character", CONTROL, id="bell"),
        pytest.param("flow__param__header", {}, "empty", "leave it out", id="empty-header"),
        pytest.param("flow__param__header", {"text": None}, "empty", "leave", id="null-header"),
        pytest.param("flow__param__header", "H", "wrong_type", "an object", id="text-as-header"),
        pytest.param("from_", "", "too_short", "empty", id="empty-sender"),
        pytest.param("from_", "{{ SENDER }}", "placeholder", "leave the field", id="sender-{{}}"),
        pytest.param("from_", 1, "wrong_type", "in quotes", id="number-as-sender"),
        pytest.param("callback_data", "c" * 257, "too_long", TOO_LONG, id="long-callback-data"),
        pytest.param("callback_data", {"a": 1}, "wrong_type", "a text", id="callback-object"),
        pytest.param("callback_data", "a\nb", "control_character", "LINE FEED", id="callback-line"),
        pytest.param("on_unknown", "hold | retry", "not_a_choice", "send one", id="on-unknown"),
        pytest.param("on_unknown", "drop", "not_a_choice", "hold, retry", id="no-on-unknown"),
        pytest.param("priority", "high", "not_a_choice", "single, bulk", id="no-priority"),
        pytest.param("priority", ["bulk"], "wrong_type", "a text", id="list-as-priority"),
        pytest.param("send_at", 1893456000, "wrong_type", "a text", id="seconds-as-time"),
        pytest.param("send_at", "", "invalid_time", "RFC 3339", id="empty-time"),
        pytest.param("send_at", "tomorrow", "invalid_time", "RFC 3339", id="words-as-time"),
        pytest.param("send_at", "2030-01-31", "invalid_time", "RFC 3339", id="only-a-day"),
        pytest.param("send_at", "2030-01-31 09:00:00Z", "invalid_time", "RFC 3339", id="no-t"),
        pytest.param("send_at", "2030-01-31T09:00Z", "invalid_time", "RFC 3339", id="no-seconds"),
        pytest.param("send_at", "2030-01-31T09:00:00", "invalid_time", "offset", id="no-offset"),
        pytest.param("send_at", "2030-02-30T09:00:00Z", "invalid_time", "no such", id="no-day"),
        pytest.param("send_at", "2030-01-31T09:00:60Z", "invalid_time", "no such", id="leap"),
        pytest.param("send_at", "2030-01-31T24:00:00Z", "invalid_time", "no such", id="hour-24"),
        pytest.param("send_at", "0000-01-01T00:00:00Z", "invalid_time", "no such", id="year-0"),
        pytest.param("send_at", "0001-01-01T00:00:00+01:00", "invalid_time", "no", id="before-1"),
        pytest.param("send_at", "２030-01-31T09:00:00Z", "invalid_time", "RFC", id="wide-digit"),
        pytest.param("expires_at", "2030-01-31T09:00:00", "invalid_time", "offset", id="expiry"),
    ],
)  # fmt: skip
def test_a_broken_rule_is_named_where_it_is_broken(
    field: str, value: object, code: str, hint: str
) -> None:
    [fault] = faults(changed(**{field: value}))

    assert (fault.pointer, fault.code) == ("#/" + field.rstrip("_").replace("__", "/"), code)
    assert hint in fault.detail


@pytest.mark.parametrize(
    ("fields", "place", "code", "hint"),
    [
        pytest.param(
            {"type": "text", "text": "T", "media": URL}, "/media", "conflict", "leave media out",
            id="both-as-text",
        ),
        pytest.param(
            {"type": "media", "text": "T", "media": URL}, "/text", "conflict", "leave text out",
            id="both-as-media",
        ),
        pytest.param(
            {"text": "T", "media": URL}, "", "conflict", "one of them", id="both-without-type"
        ),
        pytest.param({"type": "media"}, "/media", "missing", "type media", id="media-without-url"),
        pytest.param({"type": "text"}, "/text", "missing", "type text", id="text-without-text"),
        pytest.param(
            {"type": "media", "text": "T"}, "/media", "missing", "make its type text",
            id="text-called-media",
        ),
        pytest.param(
            {"type": "text", "media": URL}, "/text", "missing", "make its type media",
            id="media-called-text",
        ),
        pytest.param({"type": "image"}, "/type", "not_a_choice", "text, media", id="another-type"),
        pytest.param(
            {"type": "media | text", "text": "T"}, "/type", "not_a_choice", "send one of them",
            id="a-choice",
        ),
        pytest.param({"text": "h" * 61}, "/text", "too_long", "61", id="long-text"),
        pytest.param({"text": ""}, "/text", "too_short", "empty", id="empty-text"),
        pytest.param({"text": "a\nb"}, "/text", "control_character", "LINE FEED", id="lines"),
        pytest.param({"sub_text": "T"}, "/sub_text", "unknown_field", "text", id="unknown"),
    ],
)  # fmt: skip
def test_a_header_is_text_or_media(
    fields: dict[str, str], place: str, code: str, hint: str
) -> None:
    [fault] = faults(header(**fields))

    assert (fault.pointer, fault.code) == ("#/flow/param/header" + place, code)
    assert hint in fault.detail


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        pytest.param("", "https://", id="empty"),
        pytest.param("URL_IMAGE", "https://", id="the-seeds"),
        pytest.param("ftp://example.com/a.png", "http or https", id="ftp"),
        pytest.param("data:image/png;base64,AAAA", "http or https", id="data"),
        pytest.param("//example.com/a.png", "http or https", id="no-scheme"),
        pytest.param("https:/example.com/a.png", "http or https", id="one-slash"),
        pytest.param("https://", "no host", id="no-host"),
        pytest.param("https:///a.png", "no host", id="only-a-path"),
        pytest.param("https://:443/a.png", "no host", id="only-a-port"),
        pytest.param("https://example.com:port/", "port", id="port-of-letters"),
        pytest.param("https://user:secret@example.com/a.png", "password", id="credentials"),
        pytest.param("https://user@example.com", "password", id="user"),
        pytest.param("https://a:1@b:2@example.com", "password", id="two-signs"),
        pytest.param("https://example.com/a b.png", "U+0020 SPACE", id="space"),
        pytest.param("https://example.com/a\tb", "U+0009 TAB", id="tab"),
        pytest.param("https://example.com/a\n", "LINE FEED", id="line-break"),
        pytest.param("https://example.com/\x00", "NUL", id="nul"),
        pytest.param("https://example.com/\u3000", "IDEOGRAPHIC SPACE", id="wide-space"),
        pytest.param("https://example.com\\@evil.example", "out of place", id="backslash"),
        pytest.param("https://[example.com/", "no host", id="half-a-bracket"),
    ],
)
def test_media_that_is_no_web_address_is_refused(url: str, hint: str) -> None:
    [fault] = faults(header(media=url))

    assert (fault.pointer, fault.code) == ("#/flow/param/header/media", "invalid_url")
    assert hint in fault.detail


def test_a_placeholder_for_media_is_called_one() -> None:
    assert places(header(media="{{ IMAGE }}")) == [("#/flow/param/header/media", "placeholder")]


def test_a_web_address_can_be_too_long_and_wrong_at_once() -> None:
    long = "a" * 2048

    assert places(header(media=f"https://e.example/{long}")) == [
        ("#/flow/param/header/media", "too_long")
    ]
    assert places(header(media=f"ftp://e.example/{long}")) == [
        ("#/flow/param/header/media", "too_long"),
        ("#/flow/param/header/media", "invalid_url"),
    ]


def test_data_with_data_exchange_is_a_conflict() -> None:
    for data in ({"a": 1}, {}):
        body = changed(flow__action="data_exchange", flow__data=data)

        assert places(body) == [("#/flow/data", "conflict")]


@pytest.mark.parametrize(
    "expires_at",
    ["2030-01-31T09:00:00Z", "2030-01-31T08:59:59Z", "2030-01-31T09:00:00.0009Z"],
)
def test_a_message_cannot_expire_before_it_is_sent(expires_at: str) -> None:
    body = changed(send_at="2030-01-31T16:00:00+07:00", expires_at=expires_at)

    assert places(body) == [("#/expires_at", "conflict")]


# Templates, fallbacks and user ids: their rules are tested over HTTP, their hints here


TEMPLATE = {"name": "visit_form", "language": "en_US"}


def by_template(**template: Any) -> dict[str, Any]:
    return {"to": "+10000000000", "type": "template", "template": TEMPLATE | template}


def test_a_template_is_drafted_with_its_defaults_and_without_nulls() -> None:
    draft = check(
        by_template(header=None, body=None, button_index=None, flow=None) | {"flow": None}
    )

    assert draft == Draft(
        to="+10000000000",
        type="template",
        flow={},
        template=TEMPLATE | {"button_index": 0, "flow": {}},
    )


def test_a_fallback_names_the_flow_token_of_its_message_or_its_own() -> None:
    inherited = check(changed(fallback=TEMPLATE)).fallback
    own = check(changed(fallback=TEMPLATE | {"flow": {"token": "t"}})).fallback

    assert inherited is not None
    assert inherited["flow"] == {"token": "RANDOM_STRING_FOR_FLOW_TOKEN"}
    assert own is not None
    assert own["flow"] == {"token": "t"}


@pytest.mark.parametrize("index", [0, 0.0, 9, 9.0])
def test_a_button_is_counted_by_any_whole_number_of_json(index: float) -> None:
    template = check(by_template(button_index=index)).template

    assert template is not None
    assert type(template["button_index"]) is int
    assert template["button_index"] == index


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        (by_template() | {"flow": {"token": "t"}}, "belong in template.flow"),
        (by_template() | {"fallback": TEMPLATE}, "needs no fallback"),
        (changed(template=TEMPLATE), "call it fallback"),
        (by_template(language=7), "such as en_US"),
        (by_template(button_index=True), "a whole number"),
        (by_template(button_index=2**70), "counted from 0"),
        (by_template(flow={"screen": "S"}), "the template itself says it"),
        (by_template(token="t"), "belongs in template.flow"),
        (by_template(components=[]), "alir calls it header, body and flow"),
        (by_template(flow={"flow_action_data": {}}), "alir calls it flow.data"),
        (by_template(langauge="en"), "mean language?"),
        (changed(to=ABSENT, recipient="62812"), "looks like a phone number"),
        (changed(to=ABSENT, recipient="{{ ID }}"), "fill in a business-scoped user id"),
        (changed(to="US.ENT.a9"), "send it as recipient"),
        (changed(recipient="US.1"), "leave to or recipient out"),
        (changed(to=ABSENT), "or recipient in its place"),
    ],
)
def test_what_goes_together_is_hinted_at(body: dict[str, Any], hint: str) -> None:
    [fault] = faults(body)

    assert hint in fault.detail


def test_what_is_to_be_left_out_need_not_be_mended() -> None:
    assert places(by_template() | {"flow": {"id": 1, "data": {}, "x": 1}}) == [
        ("#/flow", "conflict")
    ]


def test_a_missing_or_wrong_type_is_one_fault_where_a_template_is_given() -> None:
    assert places(by_template() | {"type": None}) == [("#/type", "missing")]
    assert places(by_template() | {"type": "individual"}) == [("#/type", "not_a_choice")]


# Unknown fields


@pytest.mark.parametrize(
    ("field", "code", "hint"),
    [
        pytest.param("messaging_product", "unknown_field", "not needed here", id="product"),
        pytest.param("recipient_type", "unknown_field", "not needed here", id="recipient-type"),
        pytest.param("replyMessageId", "unknown_field", "mean reply_message_id?", id="camel-case"),
        pytest.param("sendat", "unknown_field", "mean send_at?", id="near"),
        pytest.param("FROM_", "unknown_field", "mean from?", id="capitals"),
        pytest.param("param", "unknown_field", "belongs in flow", id="one-level-too-high"),
        pytest.param("body", "unknown_field", "belongs in flow.param", id="two-levels"),
        pytest.param("flow_cta", "unknown_field", "alir calls it flow.text", id="whatsapps-name"),
        pytest.param("interactive", "unknown_field", "alir calls it flow", id="interactive"),
        pytest.param("xyzzy", "unknown_field", "known are to, recipient", id="nothing-near"),
        pytest.param("k" * 200, "unknown_field", "known are", id="long"),
        pytest.param("language", "unknown_field", "belongs in template or fallback", id="language"),
        pytest.param("flow__scren", "unknown_field", "mean screen?", id="in-the-flow"),
        pytest.param("flow__type", "unknown_field", "outermost object", id="too-low"),
        pytest.param("flow__fallback", "unknown_field", "outermost object", id="fallback-too-low"),
        pytest.param("flow__param__foter", "unknown_field", "mean footer?", id="in-the-param"),
        pytest.param("flow__param__header__txt", "unknown_field", "mean text?", id="in-the-header"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", [None, "x"], ids=["null", "text"])
def test_an_unknown_field_names_the_one_that_was_likely_meant(
    field: str, code: str, hint: str, value: object
) -> None:
    body = changed()
    *parents, key = field.split("__")
    node = body
    for parent in parents:
        node = node[parent]
    node[key] = value

    [fault] = faults(body)

    assert (fault.pointer, fault.code) == ("#/" + field.replace("__", "/"), code)
    assert hint in fault.detail


def test_unknown_fields_beyond_the_first_few_are_only_counted() -> None:
    body = changed() | {f"x{number}": 1 for number in range(5000)}

    found = faults(body)

    assert len(found) == UNKNOWN_FIELDS_NAMED + 1
    assert any("4980 further" in fault.detail for fault in found)


@pytest.mark.parametrize(
    ("key", "pointer"),
    [
        ("a/b", "#/a~1b"),
        ("a~b", "#/a~0b"),
        ("a b", "#/a%20b"),
        ("é", "#/%C3%A9"),
        ("", "#/"),
    ],
)
def test_pointers_are_escaped(key: str, pointer: str) -> None:
    assert places(changed() | {key: 1}) == [(pointer, "unknown_field")]


# All at once, and in order


def test_all_faults_come_at_once_in_the_order_of_the_body() -> None:
    body = {
        "priority": "high",
        "extra": 1,
        "flow": {
            "data": {},
            "param": {"footer": "f" * 61, "header": {"type": "text", "media": "ftp://x"}},
            "text": "a\0" + "b" * 40,
            "id": 5,
            "token": "",
        },
        "send_at": "later",
        "to": "0821",
    }

    assert places(body) == [
        ("#/priority", "not_a_choice"),
        ("#/extra", "unknown_field"),
        ("#/flow/data", "empty"),
        ("#/flow/param/footer", "too_long"),
        ("#/flow/param/header/media", "invalid_url"),
        ("#/flow/param/header/text", "missing"),
        ("#/flow/param/body", "missing"),
        ("#/flow/text", "too_long"),
        ("#/flow/text", "control_character"),
        ("#/flow/id", "wrong_type"),
        ("#/flow/token", "too_short"),
        ("#/flow/screen", "missing"),
        ("#/send_at", "invalid_time"),
        ("#/to", "country_code_missing"),
        ("#/type", "missing"),
    ]


def test_the_error_itself_repeats_nothing_of_the_request() -> None:
    with pytest.raises(RequestInvalid) as caught:
        check(changed(to="+62 0821 1234 5678", flow__text="Secret" * 9))

    assert str(caught.value) == "2 rule(s) broken: number_rewritten, too_long"


# Warnings


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        pytest.param("b" * 20, [], id="as-long-as-advised"),
        pytest.param("é" * 20, [], id="accents-are-no-emoji"),
        pytest.param("日時を選ぶ", [], id="other-scripts-are-no-emoji"),
        pytest.param("Go ✓ ❝x❞ ➔ ☐ ☎ ❤", [], id="symbols-are-no-emoji"),
        pytest.param("b" * 21, ["button_text_long"], id="longer-than-advised"),
        pytest.param("Go 🎉", ["button_text_emoji"], id="emoji"),
        pytest.param("Go ❤️", ["button_text_emoji"], id="heart"),
        pytest.param("Go ✅", ["button_text_emoji"], id="check-mark"),
        pytest.param("Go ☎️", ["button_text_emoji"], id="symbol-made-emoji"),
        pytest.param("Go ⌚", ["button_text_emoji"], id="watch"),
        pytest.param("Go 1️⃣", ["button_text_emoji"], id="keycap"),
        pytest.param("Go 🇮🇩", ["button_text_emoji"], id="flag"),
        pytest.param("⭐" + "b" * 29, ["button_text_long", "button_text_emoji"], id="both"),
    ],
)
def test_a_button_text_that_whatsapp_advises_against_is_warned_of(
    text: str, codes: list[str]
) -> None:
    draft = check(changed(flow__text=text))

    assert draft.flow["text"] == text
    assert warnings(draft) == [("#/flow/text", code) for code in codes]


def test_warnings_of_the_number_and_of_the_button_come_together() -> None:
    draft = check(changed(to="5215512345678", flow__text="b" * 21))

    assert warnings(draft) == [
        ("#/to", "number_without_plus"),
        ("#/to", "number_not_possible"),
        ("#/flow/text", "button_text_long"),
    ]


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**30])
def test_a_whole_number_beyond_64_bits_in_data_is_refused_and_may_be_sent_as_text(
    number: int,
) -> None:
    request = mended(data={"deep": [{"n": number}]})

    with pytest.raises(RequestInvalid) as refused:
        check(request)

    assert [(f.pointer, f.code) for f in refused.value.faults] == [
        ("#/flow/data", "number_too_large")
    ]
    assert check(mended(data={"deep": [{"n": str(number)}]}))
