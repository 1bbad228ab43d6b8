"""Design 3.1, the table of fields, over HTTP: what each takes, what it refuses, what goes out."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from tests.acceptance.talk import (
    MESSAGES,
    PRIVATE,
    assert_problem,
    at_simulator,
    becomes,
    errors,
    flow_message,
    get,
    message,
    send,
    sent,
    somebody,
)

TOMORROW_OF_TIME = "2099-01-31T09:00:00Z"


def with_param(**changes: Any) -> dict[str, Any]:
    """A message with `changes` to its `flow.param`."""
    return flow_message(param=message()["flow"]["param"] | changes)


def with_header(**header: Any) -> dict[str, Any]:
    """A message with this `flow.param.header`."""
    return with_param(header=header)


def without(*path: str) -> dict[str, Any]:
    """A message that lacks the field at `path`."""
    whole = message()
    parent = whole
    for key in path[:-1]:
        parent[key] = dict(parent[key])
        parent = parent[key]
    del parent[path[-1]]
    return whole


def at(body: dict[str, Any], *path: str | int) -> Any:
    found: Any = body
    for key in path:
        found = found[key]
    return found


INTERACTIVE = ("interactive",)
PARAMETERS = ("interactive", "action", "parameters")
HEADER = ("interactive", "header")


@pytest.mark.parametrize(
    ("body", "path", "expected"),
    [
        pytest.param(
            flow_message(id="1" * 64), (*PARAMETERS, "flow_id"), "1" * 64, id="id of 64 characters"
        ),
        pytest.param(flow_message(id="7"), (*PARAMETERS, "flow_id"), "7", id="id of 1 character"),
        pytest.param(
            flow_message(token="t" * 1024),
            (*PARAMETERS, "flow_token"),
            "t" * 1024,
            id="token of 1024 characters",
        ),
        pytest.param(
            flow_message(token='  {"a": "é😀"} '),
            (*PARAMETERS, "flow_token"),
            '  {"a": "é😀"} ',
            id="token passed on unchanged",
        ),
        pytest.param(
            flow_message(text="b" * 20), (*PARAMETERS, "flow_cta"), "b" * 20, id="button of 20"
        ),
        pytest.param(
            flow_message(text="b" * 30), (*PARAMETERS, "flow_cta"), "b" * 30, id="button of 30"
        ),
        pytest.param(
            flow_message(action="nagivate"),
            (*PARAMETERS, "flow_action"),
            "navigate",
            id="nagivate means navigate",
        ),
        pytest.param(
            without("flow", "action"),
            (*PARAMETERS, "flow_action"),
            "navigate",
            id="navigate is the default",
        ),
        pytest.param(
            flow_message(screen="S" * 256),
            (*PARAMETERS, "flow_action_payload"),
            {"screen": "S" * 256},
            id="screen of 256 characters",
        ),
        pytest.param(
            flow_message(data={"branch": "north", "days": [1, 2.5, None, True]}),
            (*PARAMETERS, "flow_action_payload", "data"),
            {"branch": "north", "days": [1, 2.5, None, True]},
            id="data for the first screen",
        ),
        pytest.param(
            flow_message(data={"n": [2**64 - 1, -(2**63), 1e308, 0.1, 12345678901234567890]}),
            (*PARAMETERS, "flow_action_payload", "data", "n"),
            [2**64 - 1, -(2**63), 1e308, 0.1, 12345678901234567890],
            id="large numbers in the data",
        ),
        pytest.param(flow_message(mode="draft"), (*PARAMETERS, "mode"), "draft", id="draft"),
        pytest.param(
            message(),
            (*PARAMETERS, "mode"),
            "published",
            id="published is the default",
        ),
        pytest.param(
            with_header(type="text", text="h" * 60),
            HEADER,
            {"type": "text", "text": "h" * 60},
            id="text header of 60 characters",
        ),
        pytest.param(
            with_header(text="Hello"),
            HEADER,
            {"type": "text", "text": "Hello"},
            id="header type taken from text",
        ),
        pytest.param(
            with_header(media="http://example.com/a.png?b=c#d"),
            HEADER,
            {"type": "image", "image": {"link": "http://example.com/a.png?b=c#d"}},
            id="header type taken from media",
        ),
        pytest.param(
            with_header(type="media", media="HTTPS://example.com:8443/" + "i" * 2023),
            HEADER,
            {"type": "image", "image": {"link": "HTTPS://example.com:8443/" + "i" * 2023}},
            id="media URL of 2048 characters",
        ),
        pytest.param(
            with_header(type="text", text="Hello", media=None),
            HEADER,
            {"type": "text", "text": "Hello"},
            id="null means left out",
        ),
        pytest.param(
            with_param(body="b" * 1024),
            (*INTERACTIVE, "body", "text"),
            "b" * 1024,
            id="body of 1024",
        ),
        pytest.param(
            with_param(body="😀" * 1024),
            (*INTERACTIVE, "body", "text"),
            "😀" * 1024,
            id="characters are code points",
        ),
        pytest.param(
            with_param(body="one\r\ntwo\nthree"),
            (*INTERACTIVE, "body", "text"),
            "one\r\ntwo\nthree",
            id="line breaks in the body",
        ),
        pytest.param(
            with_param(footer="f" * 60),
            (*INTERACTIVE, "footer", "text"),
            "f" * 60,
            id="footer of 60",
        ),
    ],
)
def test_a_field_is_taken_and_reaches_the_provider(
    api: httpx.Client, body: dict[str, Any], path: tuple[str, ...], expected: object
) -> None:
    answer = send(api, body)

    assert answer.status_code == 200, answer.text
    [received] = at_simulator(api, body["to"])
    assert at(received["request"], *path) == expected


def template_message(to: str | None = None, **template: Any) -> dict[str, Any]:
    """A message by a template that has the fields it needs, and these."""
    given = {"name": "visit_form", "language": "en_US"} | template
    return {"to": to or somebody(), "type": "template", "template": given}


def with_fallback(**fallback: Any) -> dict[str, Any]:
    """A Flow message with a fallback that has the fields it needs, and these."""
    return message(fallback={"name": "visit_form", "language": "en_US"} | fallback)


BUTTON = ("template", "components", -1)
ACTION = (*BUTTON, "parameters", 0, "action")


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        pytest.param({"name": "n" * 512}, ("template", "name"), "n" * 512, id="name of 512"),
        pytest.param({"language": "en"}, ("template", "language", "code"), "en", id="language"),
        pytest.param(
            {},
            ("template", "components"),
            [{"type": "button", "sub_type": "flow", "index": "0"}],
            id="the button is named",
        ),
        pytest.param({"button_index": 9}, (*BUTTON, "index"), "9", id="another button"),
        pytest.param(
            {"flow": {"token": "t" * 1024}}, ACTION, {"flow_token": "t" * 1024}, id="flow token"
        ),
        pytest.param(
            {"flow": {"data": {"a": None}}}, ACTION, {"flow_action_data": {"a": None}}, id="data"
        ),
        pytest.param(
            {"body": ["Ana", "é" * 1024]},
            ("template", "components", 0),
            {
                "type": "body",
                "parameters": [
                    {"type": "text", "text": "Ana"},
                    {"type": "text", "text": "é" * 1024},
                ],
            },
            id="body",
        ),
        pytest.param(
            {"header": {"media": "https://example.com/a.png"}, "body": []},
            ("template", "components", 0),
            {
                "type": "header",
                "parameters": [{"type": "image", "image": {"link": "https://example.com/a.png"}}],
            },
            id="header",
        ),
    ],
)
def test_a_field_of_a_template_is_taken_and_reaches_the_provider(
    api: httpx.Client, template: dict[str, Any], path: tuple[str | int, ...], expected: object
) -> None:
    body = template_message(**template)

    assert send(api, body).status_code == 200

    [received] = at_simulator(api, body["to"])
    assert received["request"]["type"] == "template"
    assert at(received["request"], *path) == expected


def test_a_template_is_shown_with_what_it_left_out(api: httpx.Client) -> None:
    shown = becomes(api, sent(api, template_message(body=["Ana"])), "read")

    assert (shown["type"], shown["flow"], shown["fallback"]) == ("template", None, None)
    assert shown["template"] == {
        "name": "visit_form",
        "language": "en_US",
        "body": ["Ana"],
        "button_index": 0,
        "flow": {},
    }


def test_a_fallback_is_kept_with_the_flow_token_and_the_flow_message_goes_out(
    api: httpx.Client,
) -> None:
    body = with_fallback()

    shown = get(api, sent(api, body))

    assert shown["fallback"]["flow"] == {"token": body["flow"]["token"]}
    assert (shown["type"], shown["template"]) == ("flow", None)
    [received] = at_simulator(api, body["to"])
    assert received["request"]["type"] == "interactive"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            {"to": "+6281299", "type": "template"}, {"#/template": "missing"}, id="no template"
        ),
        pytest.param(
            template_message() | {"flow": {"token": "t"}}, {"#/flow": "conflict"}, id="a flow too"
        ),
        pytest.param(
            template_message() | {"fallback": {"name": 1}},
            {"#/fallback": "conflict"},
            id="a template with a fallback",
        ),
        pytest.param(
            message(template={"name": "n"}), {"#/template": "conflict"}, id="a flow, and a template"
        ),
        pytest.param(
            template_message() | {"type": None}, {"#/type": "missing"}, id="a template, no type"
        ),
        pytest.param(
            {"to": "+6281299", "type": "template", "template": {}},
            {"#/template/name": "missing", "#/template/language": "missing"},
            id="an empty template",
        ),
        pytest.param(
            template_message(name="n" * 513), {"#/template/name": "too_long"}, id="name of 513"
        ),
        pytest.param(
            template_message(name="{{ NAME }}"), {"#/template/name": "placeholder"}, id="no name"
        ),
        pytest.param(
            template_message(language="e"), {"#/template/language": "too_short"}, id="language of 1"
        ),
        pytest.param(
            template_message(language={"code": "en_US"}),
            {"#/template/language": "wrong_type"},
            id="language as WhatsApp has it",
        ),
        pytest.param(
            template_message(body="Ana"), {"#/template/body": "wrong_type"}, id="body is a text"
        ),
        pytest.param(
            template_message(body=["Ana"] * 21), {"#/template/body": "too_long"}, id="body of 21"
        ),
        pytest.param(
            template_message(body=["", "a" * 1025, 7, None, "a\nb", "Ana"]),
            {
                "#/template/body/0": "too_short",
                "#/template/body/1": "too_long",
                "#/template/body/2": "wrong_type",
                "#/template/body/3": "wrong_type",
                "#/template/body/4": "control_character",
            },
            id="texts of the body",
        ),
        pytest.param(
            template_message(button_index=10),
            {"#/template/button_index": "not_a_choice"},
            id="the eleventh button",
        ),
        pytest.param(
            template_message(button_index="0"),
            {"#/template/button_index": "wrong_type"},
            id="index in quotes",
        ),
        pytest.param(
            template_message(header={"type": "media", "text": "T"}),
            {"#/template/header/media": "missing"},
            id="header without media",
        ),
        pytest.param(
            template_message(header={"media": "ftp://example.com/a"}),
            {"#/template/header/media": "invalid_url"},
            id="header with no URL",
        ),
        pytest.param(
            template_message(flow={"id": "1", "token": "", "data": {}}),
            {
                "#/template/flow/id": "unknown_field",
                "#/template/flow/token": "too_short",
                "#/template/flow/data": "empty",
            },
            id="what travels with its flow",
        ),
        pytest.param(
            with_fallback(flow={"data": {"a": "\0"}}, components=[]),
            {
                "#/fallback/components": "unknown_field",
                "#/fallback/flow/data": "control_character",
            },
            id="the same in a fallback",
        ),
    ],
)
def test_a_template_that_breaks_a_rule_is_refused_where_it_does(
    api: httpx.Client, body: dict[str, Any], expected: dict[str, str]
) -> None:
    assert errors(send(api, body)) == expected


USER_ID = "US.13491208655302741918"


@pytest.mark.parametrize(
    ("changes", "expected", "hint"),
    [
        pytest.param(
            {"to": None, "recipient": USER_ID},
            {"#/recipient": "not_supported"},
            "recipients_by_user_id",
            id="a sender that does not allow it",
        ),
        pytest.param(
            {"to": None, "recipient": "+62 812 1000 000"},
            {"#/recipient": "invalid_user_id"},
            "send it as to",
            id="a number as recipient",
        ),
        pytest.param(
            {"to": None, "recipient": "US.1-2"},
            {"#/recipient": "invalid_user_id"},
            "two capital letters",
            id="no user id",
        ),
        pytest.param(
            {"to": USER_ID},
            {"#/to": "invalid_number"},
            "send it as recipient",
            id="a user id as to",
        ),
        pytest.param(
            {"to": None}, {"#/to": "missing"}, "recipient in its place", id="neither of the two"
        ),
    ],
)
def test_a_user_id_and_a_number_are_kept_apart(
    api: httpx.Client, changes: dict[str, Any], expected: dict[str, str], hint: str
) -> None:
    answer = send(api, message() | changes)

    assert errors(answer) == expected
    assert hint in answer.json()["errors"][0]["detail"]


def test_a_message_goes_to_a_number_or_to_a_user_id(api: httpx.Client) -> None:
    found = assert_problem(send(api, message(recipient=USER_ID)), 422, "invalid_request")["errors"]

    assert ("#/recipient", "conflict") in [(each["pointer"], each["code"]) for each in found]


def test_what_may_be_left_out_is_left_out_at_the_provider_too(api: httpx.Client) -> None:
    body = without("flow", "param", "header")
    del body["flow"]["param"]["footer"]

    sent(api, body)

    [received] = at_simulator(api, body["to"])
    assert received["request"]["interactive"].keys() == {"type", "body", "action"}
    assert "context" not in received["request"]


def test_with_data_exchange_the_endpoint_chooses_the_screen(api: httpx.Client) -> None:
    body = flow_message(action="data_exchange")

    found = sent(api, body)

    [received] = at_simulator(api, body["to"])
    parameters = received["request"]["interactive"]["action"]["parameters"]
    assert parameters["flow_action"] == "data_exchange"
    assert "flow_action_payload" not in parameters
    assert get(api, found)["flow"]["screen"] == "FLOW_SCREEN_NAME"


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        pytest.param("b" * 20, [], id="20 characters"),
        pytest.param("b" * 21, ["button_text_long"], id="21 characters"),
        pytest.param("Book 📅", ["button_text_emoji"], id="an emoji"),
        pytest.param("Book ✓ ➔", [], id="symbols"),
        pytest.param("❤️" * 15, ["button_text_long", "button_text_emoji"], id="both"),
        pytest.param("Réserver une visite", [], id="accents"),
        pytest.param("予約する", [], id="Japanese"),
    ],
)
def test_a_button_that_whatsapp_advises_against_is_sent_with_a_warning(
    api: httpx.Client, text: str, codes: list[str]
) -> None:
    data = send(api, flow_message(text=text)).json()["data"]

    assert [warning["code"] for warning in data.get("warnings", [])] == codes
    assert {w["pointer"] for w in data.get("warnings", [])} <= {"#/flow/text"}
    assert [w["code"] for w in get(api, data["id"])["warnings"]] == codes


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(without("to"), {"#/to": "missing"}, id="no to"),
        pytest.param(without("type"), {"#/type": "missing"}, id="no type"),
        pytest.param(without("flow"), {"#/flow": "missing"}, id="no flow is one error"),
        pytest.param(message(flow=None), {"#/flow": "missing"}, id="a flow that is null"),
        pytest.param(without("flow", "id"), {"#/flow/id": "missing"}, id="no id"),
        pytest.param(without("flow", "token"), {"#/flow/token": "missing"}, id="no token"),
        pytest.param(without("flow", "text"), {"#/flow/text": "missing"}, id="no text"),
        pytest.param(without("flow", "screen"), {"#/flow/screen": "missing"}, id="no screen"),
        pytest.param(without("flow", "param"), {"#/flow/param": "missing"}, id="no param"),
        pytest.param(
            without("flow", "param", "body"), {"#/flow/param/body": "missing"}, id="no body"
        ),
        pytest.param(
            flow_message(id=987654321098765), {"#/flow/id": "wrong_type"}, id="id is a number"
        ),
        pytest.param(flow_message(id=""), {"#/flow/id": "too_short"}, id="id is empty"),
        pytest.param(flow_message(id="1" * 65), {"#/flow/id": "too_long"}, id="id of 65"),
        pytest.param(flow_message(token=""), {"#/flow/token": "too_short"}, id="token is empty"),
        pytest.param(
            flow_message(token="t" * 1025), {"#/flow/token": "too_long"}, id="token of 1025"
        ),
        pytest.param(flow_message(text=""), {"#/flow/text": "too_short"}, id="button is empty"),
        pytest.param(flow_message(text="b" * 31), {"#/flow/text": "too_long"}, id="button of 31"),
        pytest.param(flow_message(screen=""), {"#/flow/screen": "too_short"}, id="screen is empty"),
        pytest.param(
            flow_message(screen="s" * 257), {"#/flow/screen": "too_long"}, id="screen of 257"
        ),
        pytest.param(
            flow_message(action="open"), {"#/flow/action": "not_a_choice"}, id="another action"
        ),
        pytest.param(flow_message(mode="live"), {"#/flow/mode": "not_a_choice"}, id="another mode"),
        pytest.param(flow_message(data={}), {"#/flow/data": "empty"}, id="data is empty"),
        pytest.param(flow_message(data="{}"), {"#/flow/data": "wrong_type"}, id="data is a text"),
        pytest.param(flow_message(data=[1]), {"#/flow/data": "wrong_type"}, id="data is a list"),
        pytest.param(
            flow_message(data={"n": 2**64}),
            {"#/flow/data": "number_too_large"},
            id="a number beyond 64 bits in data",
        ),
        pytest.param(
            flow_message(action="data_exchange", data={"a": 1}),
            {"#/flow/data": "conflict"},
            id="data with data_exchange",
        ),
        pytest.param(flow_message(param=[]), {"#/flow/param": "wrong_type"}, id="param is a list"),
        pytest.param(with_param(header={}), {"#/flow/param/header": "empty"}, id="header is empty"),
        pytest.param(
            with_param(header="Hi"), {"#/flow/param/header": "wrong_type"}, id="header is a text"
        ),
        pytest.param(
            with_header(type="image", text="Hi"),
            {"#/flow/param/header/type": "not_a_choice"},
            id="header type image",
        ),
        pytest.param(
            with_header(type="media"), {"#/flow/param/header/media": "missing"}, id="no media"
        ),
        pytest.param(
            with_header(type="text"), {"#/flow/param/header/text": "missing"}, id="no header text"
        ),
        pytest.param(
            with_header(type="text", media="https://example.com/a"),
            {"#/flow/param/header/text": "missing"},
            id="media in a text header",
        ),
        pytest.param(
            with_header(type="media", media="https://example.com/a", text="Hi"),
            {"#/flow/param/header/text": "conflict"},
            id="media and text: leave text out",
        ),
        pytest.param(
            with_header(type="text", media="https://example.com/a", text="Hi"),
            {"#/flow/param/header/media": "conflict"},
            id="text and media: leave media out",
        ),
        pytest.param(
            with_header(media="https://example.com/a", text="Hi"),
            {"#/flow/param/header": "conflict"},
            id="media and text, no type",
        ),
        pytest.param(
            with_header(text=""), {"#/flow/param/header/text": "too_short"}, id="header text empty"
        ),
        pytest.param(
            with_header(text="h" * 61), {"#/flow/param/header/text": "too_long"}, id="header of 61"
        ),
        pytest.param(with_param(body=""), {"#/flow/param/body": "too_short"}, id="body is empty"),
        pytest.param(
            with_param(body="b" * 1025), {"#/flow/param/body": "too_long"}, id="body of 1025"
        ),
        pytest.param(
            with_param(footer=""), {"#/flow/param/footer": "too_short"}, id="footer is empty"
        ),
        pytest.param(
            with_param(footer="f" * 61), {"#/flow/param/footer": "too_long"}, id="footer of 61"
        ),
        pytest.param(
            with_param(body="a\x00b"), {"#/flow/param/body": "control_character"}, id="NUL in body"
        ),
        pytest.param(
            with_param(body="a\tb"), {"#/flow/param/body": "control_character"}, id="tab in body"
        ),
        pytest.param(
            with_param(footer="a\nb"),
            {"#/flow/param/footer": "control_character"},
            id="line break in footer",
        ),
        pytest.param(
            with_header(text="a\nb"),
            {"#/flow/param/header/text": "control_character"},
            id="line break in header",
        ),
        pytest.param(
            flow_message(token="a\x00"), {"#/flow/token": "control_character"}, id="NUL in token"
        ),
        pytest.param(
            flow_message(data={"a": {"b": ["\x00"]}}),
            {"#/flow/data": "control_character"},
            id="NUL deep in data",
        ),
        pytest.param(
            flow_message(data={"a": {"\x1b": 1}}),
            {"#/flow/data": "control_character"},
            id="ESC in a key of data",
        ),
        pytest.param(
            message(callback_data="c" * 257),
            {"#/callback_data": "too_long"},
            id="callback_data of 257",
        ),
        pytest.param(
            message(callback_data={"order": 1}),
            {"#/callback_data": "wrong_type"},
            id="callback_data is an object",
        ),
        pytest.param(
            message(on_unknown="resend"), {"#/on_unknown": "not_a_choice"}, id="another on_unknown"
        ),
        pytest.param(
            message(priority="high"), {"#/priority": "not_a_choice"}, id="another priority"
        ),
        pytest.param(
            message(**{"from": "nobody"}), {"#/from": "unknown_sender"}, id="unknown sender"
        ),
        pytest.param(
            message(send_at="tomorrow"), {"#/send_at": "invalid_time"}, id="send_at in words"
        ),
        pytest.param(
            message(send_at=4073328000), {"#/send_at": "wrong_type"}, id="send_at as a number"
        ),
        pytest.param(
            message(send_at="2099-01-31T09:00:00"),
            {"#/send_at": "invalid_time"},
            id="send_at without an offset",
        ),
        pytest.param(
            message(send_at="2099-02-30T09:00:00Z"),
            {"#/send_at": "invalid_time"},
            id="send_at on a day that is not",
        ),
        pytest.param(
            message(send_at=TOMORROW_OF_TIME, expires_at=TOMORROW_OF_TIME),
            {"#/expires_at": "conflict"},
            id="expires before it is sent",
        ),
        pytest.param(
            message(expires_at="2020-01-01T00:00:00Z"),
            {"#/expires_at": "in_the_past"},
            id="expired already",
        ),
    ],
)
def test_a_broken_rule_is_named_where_it_is_broken(
    api: httpx.Client, body: dict[str, Any], expected: dict[str, str]
) -> None:
    assert errors(send(api, body)) == expected


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        pytest.param(message(type="individual"), "use flow", id="individual"),
        pytest.param(message(type="flow | template"), "send one of them", id="a choice of types"),
        pytest.param(message(type="text"), "use flow, or template", id="another type"),
        pytest.param(message(type="tempalte"), "did you mean template?", id="misspelled type"),
        pytest.param(flow_message(id=987654321098765), "put it in quotes", id="number as id"),
        pytest.param(
            flow_message(action="navigate | data_exchange"),
            "this is a choice: send one of them",
            id="a choice of actions",
        ),
        pytest.param(flow_message(action="naviagte"), "did you mean navigate?", id="misspelled"),
        pytest.param(
            with_header(type="text", media="https://a.example/", text="Hi"),
            "leave media out",
            id="media and text",
        ),
        pytest.param(
            message(messaging_product="whatsapp"), "not needed here", id="messaging_product"
        ),
        pytest.param(message(recipient_type="individual"), "not needed here", id="recipient_type"),
        pytest.param(message(reply_to="wamid.1"), "reply_message_id", id="reply_to"),
        pytest.param(message(callbackdata="x"), "callback_data", id="callbackdata"),
        pytest.param(flow_message(buton="x"), "there is no such field", id="unknown in flow"),
        pytest.param(flow_message(body="Hi"), "flow.param", id="body in the wrong place"),
        pytest.param(with_param(footr="Hi"), "did you mean footer?", id="footr"),
        pytest.param(with_header(text="Hi", txt="Hi"), "did you mean text?", id="txt"),
        pytest.param(message(recipient="ID.123"), "leave to or recipient out", id="recipient too"),
        pytest.param(message(**{"from": "nobody"}), "sandbox", id="senders are listed"),
    ],
)
def test_the_error_says_what_to_do(api: httpx.Client, body: dict[str, Any], hint: str) -> None:
    [error] = assert_problem(send(api, body), 422, "invalid_request")["errors"]

    assert hint in error["detail"]


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("ftp://example.com/a.png", id="ftp"),
        pytest.param("file:///etc/passwd", id="file"),
        pytest.param("data:image/png;base64,AAAA", id="data"),
        pytest.param("javascript:alert(1)", id="javascript"),
        pytest.param("example.com/a.png", id="no scheme"),
        pytest.param("https://", id="no host"),
        pytest.param("https:///a.png", id="empty host"),
        pytest.param("https://user@example.com/a.png", id="a user"),
        pytest.param("https://user:password@example.com/a.png", id="a user and a password"),
        pytest.param("https://example.com/a b.png", id="a space"),
        pytest.param("https://example.com/a\nb.png", id="a line break"),
        pytest.param("https://example.com\\@evil.example/", id="a backslash"),
        pytest.param("https://example.com:port/", id="a port that is none"),
        pytest.param(" https://example.com/a.png", id="a space before"),
        pytest.param("URL_IMAGE", id="the sample's"),
    ],
)
def test_only_a_url_of_the_web_without_credentials_is_passed_on(
    api: httpx.Client, url: str
) -> None:
    assert errors(send(api, with_header(type="media", media=url))) == {
        "#/flow/param/header/media": "invalid_url"
    }


def test_a_media_url_of_2049_characters_is_too_long(api: httpx.Client) -> None:
    url = "https://example.com/" + "i" * 2029

    assert errors(send(api, with_header(media=url))) == {"#/flow/param/header/media": "too_long"}


@pytest.mark.parametrize(
    ("body", "hint"),
    [([], "list"), ("{}", "twice"), (7, "object"), (None, "object"), (True, "object")],
    ids=["a list", "a text", "a number", "null", "a truth value"],
)
def test_the_body_must_be_an_object(api: httpx.Client, body: object, hint: str) -> None:
    headers = {"content-type": "application/json"}
    answer = api.post(MESSAGES, content=json.dumps(body), headers=headers)

    [error] = assert_problem(answer, 422, "invalid_request")["errors"]
    assert (error["pointer"], error["code"]) == ("#", "wrong_type")
    assert hint in error["detail"]


def test_everything_that_is_wrong_is_said_at_once(api: httpx.Client) -> None:
    body = {
        "to": "0821",
        "messaging_product": "whatsapp",
        "type": "individual",
        "from": "nobody",
        "send_at": "soon",
        "flow": {
            "id": 1,
            "text": "b" * 31,
            "action": "nagivate | data_exchange",
            "screen": "",
            "param": {"header": {}, "footer": "\x07"},
        },
    }

    assert errors(send(api, body)) == {
        "#/to": "country_code_missing",
        "#/messaging_product": "unknown_field",
        "#/type": "not_a_choice",
        "#/from": "unknown_sender",
        "#/send_at": "invalid_time",
        "#/flow/id": "wrong_type",
        "#/flow/text": "too_long",
        "#/flow/action": "not_a_choice",
        "#/flow/screen": "too_short",
        "#/flow/token": "missing",
        "#/flow/param/header": "empty",
        "#/flow/param/footer": "control_character",
        "#/flow/param/body": "missing",
    }


def test_what_is_beyond_the_sample_is_kept_and_shown(api: httpx.Client) -> None:
    number = somebody()
    body = message(
        number,
        **{"from": "sandbox"},
        callback_data=f"{PRIVATE} 4711",
        on_unknown="retry",
        priority="bulk",
        expires_at="2099-01-31T18:00:00+07:00",
    )

    shown = becomes(api, sent(api, body), "read")

    assert shown.keys() == {
        *("id", "request_id", "type", "status", "to", "wa_id", "from", "flow", "template"),
        *("callback_data", "priority", "created_at", "send_at", "expires_at", "attempts"),
        *("receipts", "error", "responses", "flags", "warnings", "reply_message_id"),
        *("recipient", "fallback"),
    }
    assert shown["from"] == "sandbox"
    assert shown["callback_data"] == f"{PRIVATE} 4711"
    assert shown["priority"] == "bulk"
    assert shown["expires_at"] == "2099-01-31T11:00:00.000Z"
    assert shown["flow"] == body["flow"] | {"mode": "published"}
    assert (shown["error"], shown["send_at"]) == (None, None)
    assert (shown["recipient"], shown["template"], shown["fallback"]) == (None, None, None)
    assert (shown["responses"], shown["flags"], shown["warnings"]) == ([], [], [])
    [attempt] = shown["attempts"]
    assert attempt["number"] == 1
    assert attempt["outcome"] == "accepted"
    assert attempt["begun_at"] <= attempt["settled_at"]
    assert attempt["provider_id"].startswith("wamid.")
    assert [each["status"] for each in shown["receipts"]] == ["sent", "delivered", "read"]
    assert {each["attempt"] for each in shown["receipts"]} == {1}
