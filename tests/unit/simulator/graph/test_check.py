from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.simulator.doubles import ANY_JSON, flow_request, paths, template_request

from alir.simulator.graph.check import Request, check
from alir.simulator.graph.refusal import GraphRefusal

Change = Callable[[dict[str, Any]], object]
INTERACTIVE = ("interactive",)
PARAMETERS = ("interactive", "action", "parameters")
PAYLOAD = (*PARAMETERS, "flow_action_payload")


def put(path: tuple[str, ...], **fields: Any) -> Change:
    """Set fields of the object at `path`; `...` takes a field away."""

    def change(body: dict[str, Any]) -> None:
        target = body
        for key in path:
            target = target[key]
        for name, value in fields.items():
            if value is ...:
                target.pop(name, None)
            else:
                target[name] = value

    return change


def refusal(body: object) -> GraphRefusal:
    with pytest.raises(GraphRefusal) as error:
        check(body)
    return error.value


def test_the_full_request_of_the_reference_is_taken() -> None:
    body = flow_request(
        to="+1 (555) 123-0001",
        context={"message_id": "wamid.X"},
        biz_opaque_callback_data="1.msg_01J.1",
    )

    assert check(body) == Request("+1 (555) 123-0001", "15551230001", "interactive", "1.msg_01J.1")


def test_the_least_that_a_flow_message_needs_is_taken() -> None:
    body = {
        "messaging_product": "whatsapp",
        "to": "6282112345678",
        "type": "interactive",
        "interactive": {
            "type": "flow",
            "body": {"text": "Hello"},
            "action": {
                "name": "flow",
                "parameters": {"flow_message_version": "3", "flow_name": "visit", "flow_cta": "Go"},
            },
        },
    }

    assert check(body).recipient == "6282112345678"


@pytest.mark.parametrize(
    "change",
    [
        put(INTERACTIVE, header={"type": "image", "image": {"link": "https://a.test/b.png"}}),
        put(INTERACTIVE, header={"type": "video", "video": {"id": "123"}}),
        put(
            INTERACTIVE,
            header={"type": "document", "document": {"link": "http://a.test/b", "filename": "b"}},
        ),
        put(INTERACTIVE, header={"type": "text", "text": "😀" * 60, "sub_text": "x" * 60}),
        put(INTERACTIVE, header=...),
        put(INTERACTIVE, footer={"text": "é" * 60}),
        put(INTERACTIVE, body={"text": "😀" * 1024}),
        put(PARAMETERS, flow_cta="x" * 30),
        put(PARAMETERS, mode="draft"),
        put(PARAMETERS, flow_token=...),
        put(PARAMETERS, flow_action=...),
        put(PARAMETERS, flow_action="data_exchange", flow_action_payload=...),
        put(PAYLOAD, data=...),
        put(PAYLOAD, screen=...),
        put((), biz_opaque_callback_data="😀" * 512),
        put((), recipient_type=...),
        put((), context=None),
        put((), recipient="US.1", some_new_field=1),
    ],
)
def test_what_whatsapp_allows_is_taken(change: Change) -> None:
    body = flow_request()
    change(body)

    check(body)


MISSING, WRONG, INVALID, UNSUPPORTED = 131008, 131009, 100, 131051


@pytest.mark.parametrize(
    ("change", "code", "where"),
    [
        (put((), messaging_product=...), MISSING, "messaging_product"),
        (put((), messaging_product="sms"), WRONG, "messaging_product"),
        (put((), recipient_type="group"), WRONG, "recipient_type"),
        (put((), to=...), MISSING, "to"),
        (put((), to=None), MISSING, "to"),
        (put((), to=15551230001), INVALID, "to"),
        (put((), to=""), WRONG, "to"),
        (put((), to="+62821xxxxxx"), WRONG, "to"),
        (put((), to="+1 555 123 000１"), WRONG, "to"),
        (put((), to="15551230001+"), WRONG, "to"),
        (put((), to="123456"), WRONG, "to"),
        (put((), to="1234567890123456"), WRONG, "to"),
        (put((), to=..., recipient=1), INVALID, "recipient"),
        (put((), to=..., recipient="15551230001"), WRONG, "recipient"),
        (put((), to=..., recipient="US."), WRONG, "recipient"),
        (put((), to=..., recipient="US." + "1" * 129), WRONG, "recipient"),
        (put((), to=..., recipient="us.1"), WRONG, "recipient"),
        (put((), to="US.1349"), WRONG, "to"),
        (put((), context="wamid.X"), INVALID, "context"),
        (put((), context={}), MISSING, "context['message_id']"),
        (put((), biz_opaque_callback_data="x" * 513), INVALID, "512"),
        (put((), biz_opaque_callback_data=1), INVALID, "biz_opaque_callback_data"),
        (put((), type=...), MISSING, "type"),
        (put((), type="text"), UNSUPPORTED, "'text'"),
        (put((), interactive=...), MISSING, "interactive"),
        (put((), interactive=[]), INVALID, "interactive"),
        (put(INTERACTIVE, type=...), MISSING, "interactive['type']"),
        (put(INTERACTIVE, type="button"), UNSUPPORTED, "'button'"),
        (put(INTERACTIVE, boddy={}), INVALID, "'boddy'"),
        (put(INTERACTIVE, body=...), MISSING, "interactive['body']"),
        (put(INTERACTIVE, body={}), MISSING, "interactive['body']['text']"),
        (put(INTERACTIVE, body={"text": ""}), WRONG, "interactive['body']['text']"),
        (put(INTERACTIVE, body={"text": "x" * 1025}), INVALID, "1024"),
        (put(INTERACTIVE, body={"text": "x", "size": 1}), INVALID, "'size'"),
        (put(INTERACTIVE, footer={"text": "x" * 61}), INVALID, "60"),
        (put(INTERACTIVE, header={}), MISSING, "interactive['header']['type']"),
        (put(INTERACTIVE, header={"type": "media"}), WRONG, "interactive['header']['type']"),
        (put(INTERACTIVE, header={"type": "text"}), MISSING, "interactive['header']['text']"),
        (put(INTERACTIVE, header={"type": "text", "text": "x" * 61}), INVALID, "60"),
        (
            put(INTERACTIVE, header={"type": "text", "text": "x", "image": {"id": "1"}}),
            INVALID,
            "'image'",
        ),
        (put(INTERACTIVE, header={"type": "image"}), MISSING, "interactive['header']['image']"),
        (put(INTERACTIVE, header={"type": "image", "image": {}}), WRONG, "id and link"),
        (
            put(INTERACTIVE, header={"type": "image", "image": {"id": "1", "link": "https://a"}}),
            WRONG,
            "id and link",
        ),
        (
            put(INTERACTIVE, header={"type": "image", "image": {"link": "ftp://a.test/b"}}),
            WRONG,
            "http or https",
        ),
        (
            put(INTERACTIVE, header={"type": "image", "image": {"link": "https://[a/b"}}),
            WRONG,
            "http or https",
        ),
        (put(INTERACTIVE, action=...), MISSING, "interactive['action']"),
        (put(("interactive", "action"), name="button"), WRONG, "['name']"),
        (put(PARAMETERS, flow_message_version=...), MISSING, "flow_message_version"),
        (put(PARAMETERS, flow_message_version="2"), WRONG, "flow_message_version"),
        (put(PARAMETERS, flow_message_version=3), INVALID, "flow_message_version"),
        (put(PARAMETERS, flow_id=...), MISSING, "flow_name"),
        (put(PARAMETERS, flow_id=987), INVALID, "flow_id"),
        (put(PARAMETERS, flow_name="visit"), WRONG, "only one of"),
        (put(PARAMETERS, flow_cta=...), MISSING, "flow_cta"),
        (put(PARAMETERS, flow_cta="x" * 31), INVALID, "30"),
        (put(PARAMETERS, flow_token=""), WRONG, "flow_token"),
        (put(PARAMETERS, mode="test"), WRONG, "mode"),
        (put(PARAMETERS, flow_action="nagivate"), WRONG, "flow_action"),
        (put(PARAMETERS, flow_action="data_exchange"), WRONG, "flow_action_payload"),
        (put(PARAMETERS, flow_action_payload="{}"), INVALID, "flow_action_payload"),
        (put(PARAMETERS, flow_screen="A"), INVALID, "'flow_screen'"),
        (put(PAYLOAD, data={}), WRONG, "['data']"),
        (put(PAYLOAD, data='{"a": 1}'), INVALID, "['data']"),
        (put(PAYLOAD, screen=1), INVALID, "['screen']"),
        (put(PAYLOAD, params={}), INVALID, "'params'"),
    ],
)
def test_a_broken_rule_gets_the_code_of_its_kind_and_names_the_field(
    change: Change, code: int, where: str
) -> None:
    body = flow_request()
    change(body)

    found = refusal(body)

    assert found.code == code
    assert where in found.details


@pytest.mark.parametrize("body", [None, [], "x", 1])
def test_a_body_that_is_no_object_is_refused(body: object) -> None:
    assert refusal(body).code == INVALID


def test_a_template_with_a_flow_button_is_taken() -> None:
    assert check(template_request()).kind == "template"


@pytest.mark.parametrize(
    "components",
    [
        ...,
        [],
        [{"type": "body", "parameters": [{"type": "text", "text": "Ana"}]}],
        [{"type": "button", "sub_type": "url", "index": "0"}],
    ],
)
def test_a_template_whose_flow_button_is_not_named_is_refused(components: Any) -> None:
    body = template_request()
    put(("template",), components=components)(body)

    found = refusal(body)

    assert found.code == WRONG
    assert "flow button" in found.details


@pytest.mark.parametrize("user_id", ["US.1349", "ID.ENT.7xY", "DE." + "a" * 128])
def test_a_user_id_takes_the_place_of_a_number(user_id: str) -> None:
    body = flow_request(recipient=user_id)
    put((), to=...)(body)

    assert check(body) == Request(user_id, user_id, "interactive", None)


def test_where_both_are_given_the_number_wins() -> None:
    assert check(flow_request("+15551230001", recipient="US.1")).recipient == "15551230001"


def button(**fields: Any) -> Change:
    """Change the template's button."""

    def change(body: dict[str, Any]) -> None:
        put((), **fields)(body["template"]["components"][1])

    return change


@pytest.mark.parametrize(
    ("change", "code", "where"),
    [
        (put((), template=...), MISSING, "template"),
        (put(("template",), name=...), MISSING, "template['name']"),
        (put(("template",), language="en_US"), INVALID, "template['language']"),
        (put(("template",), language={}), MISSING, "template['language']['code']"),
        (put(("template",), components={}), INVALID, "template['components']"),
        (put(("template",), components=["x"]), INVALID, "template['components'][0]"),
        (put(("template",), components=[{"type": "buttons"}]), WRONG, "[0]['type']"),
        (button(sub_type=...), MISSING, "sub_type"),
        (button(sub_type="phone_number"), WRONG, "sub_type"),
        (button(index=...), MISSING, "index"),
        (button(index=0), INVALID, "index"),
        (button(index="10"), WRONG, "index"),
        (button(parameters=[{"type": "text"}]), WRONG, "['type']"),
        (button(parameters=[{"type": "action"}]), MISSING, "['action']"),
        (
            button(parameters=[{"type": "action", "action": {"flow_action_data": "x"}}]),
            INVALID,
            "flow_action_data",
        ),
        (button(parameters=[{"type": "action", "action": {}}] * 2), WRONG, "at most one"),
    ],
)
def test_a_broken_rule_of_a_template_names_the_field(change: Change, code: int, where: str) -> None:
    body = template_request()
    change(body)

    found = refusal(body)

    assert found.code == code
    assert where in found.details


def test_a_flow_button_that_is_only_named_is_taken() -> None:
    body = template_request()
    button(parameters=..., sub_type="FLOW")(body)

    check(body)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_whatever_stands_in_a_field_the_request_is_taken_or_refused(data: st.DataObject) -> None:
    body = data.draw(st.sampled_from([flow_request, template_request]))()
    *path, last = data.draw(st.sampled_from(list(paths(body))))
    target: Any = body
    for step in path:
        target = target[step]
    target[last] = data.draw(ANY_JSON)

    code = None
    try:
        check(body)
    except GraphRefusal as error:
        code = error.code
    assert code in {None, MISSING, WRONG, INVALID, UNSUPPORTED}
