"""A Flow message as the Cloud API takes it, field by field."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from tests.examples import FLOW, a_message
from tests.seed import MEDIA_HEADER, TEXT_HEADER, mended

from alir.ids import ProviderId
from alir.messages.check import check
from alir.messages.model import Draft, Flag, Message
from alir.providers.whatsapp import mark
from alir.providers.whatsapp.payload import body_of

MARK = "alir1:msg_01JABCDEFGHJKMNPQRSTVWXYZ0:1"


def payload(flow: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return body_of(a_message(flow=flow, **fields), mark=MARK)


def test_a_message_with_everything_is_what_the_reference_shows() -> None:
    flow = {
        "id": "987654321098765",
        "token": "01JABCDEF.sig",
        "text": "Choose a time",
        "action": "navigate",
        "screen": "START",
        "mode": "published",
        "data": {"branch": "north"},
        "param": {
            "header": {"type": "text", "text": "Visit booking"},
            "body": "Pick a time that suits you.",
            "footer": "About one minute",
        },
    }

    assert payload(flow, reply_to=ProviderId("wamid.XXXX")) == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "+15551230001",
        "context": {"message_id": "wamid.XXXX"},
        "biz_opaque_callback_data": MARK,
        "type": "interactive",
        "interactive": {
            "type": "flow",
            "header": {"type": "text", "text": "Visit booking"},
            "body": {"text": "Pick a time that suits you."},
            "footer": {"text": "About one minute"},
            "action": {
                "name": "flow",
                "parameters": {
                    "flow_message_version": "3",
                    "flow_id": "987654321098765",
                    "flow_cta": "Choose a time",
                    "flow_token": "01JABCDEF.sig",
                    "mode": "published",
                    "flow_action": "navigate",
                    "flow_action_payload": {"screen": "START", "data": {"branch": "north"}},
                },
            },
        },
    }


def test_what_a_message_does_not_have_is_left_out() -> None:
    found = payload(FLOW)

    assert found.keys() == {
        *("messaging_product", "recipient_type", "to", "type", "interactive"),
        "biz_opaque_callback_data",
    }
    assert found["interactive"].keys() == {"type", "body", "action"}
    parameters = found["interactive"]["action"]["parameters"]
    assert parameters["flow_action_payload"] == {"screen": "START"}


def test_an_image_in_the_header_goes_by_link() -> None:
    header = {"type": "media", "media": "https://example.com/a.png"}
    found = payload({**FLOW, "param": {**FLOW["param"], "header": header}})

    assert found["interactive"]["header"] == {
        "type": "image",
        "image": {"link": "https://example.com/a.png"},
    }


def test_with_data_exchange_there_is_no_payload_at_all() -> None:
    found = payload({**FLOW, "action": "data_exchange"})
    parameters = found["interactive"]["action"]["parameters"]

    assert parameters["flow_action"] == "data_exchange"
    assert "flow_action_payload" not in parameters


def test_a_draft_is_sent_as_a_draft() -> None:
    found = payload({**FLOW, "mode": "draft"})

    assert found["interactive"]["action"]["parameters"]["mode"] == "draft"


# Templates

TEMPLATE: dict[str, Any] = {
    "name": "visit_form",
    "language": "en_US",
    "button_index": 0,
    "flow": {"token": "01JABCDEF.sig", "data": {"branch": "north"}},
}


def template_of(message: Message) -> dict[str, Any]:
    found = body_of(message, mark=MARK)
    assert found["type"] == "template"
    assert "interactive" not in found
    template: dict[str, Any] = found["template"]
    return template


def a_template(**changes: Any) -> Message:
    return a_message(type="template", flow={}, template=TEMPLATE | changes)


def test_a_template_is_what_the_reference_shows() -> None:
    found = body_of(a_template(), mark=MARK)

    assert found == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "+15551230001",
        "type": "template",
        "biz_opaque_callback_data": MARK,
        "template": {
            "name": "visit_form",
            "language": {"code": "en_US"},
            "components": [
                {
                    "type": "button",
                    "sub_type": "flow",
                    "index": "0",
                    "parameters": [
                        {
                            "type": "action",
                            "action": {
                                "flow_token": "01JABCDEF.sig",
                                "flow_action_data": {"branch": "north"},
                            },
                        }
                    ],
                }
            ],
        },
    }


@pytest.mark.parametrize(
    ("flow", "action"),
    [
        ({}, None),
        ({"token": "t"}, {"flow_token": "t"}),
        ({"data": {"a": 1}}, {"flow_action_data": {"a": 1}}),
    ],
)
def test_the_button_is_named_with_or_without_parameters(
    flow: dict[str, Any], action: dict[str, Any] | None
) -> None:
    [button] = template_of(a_template(flow=flow, button_index=2))["components"]

    assert button["index"] == "2"
    parameters = button.get("parameters")
    assert parameters == (None if action is None else [{"type": "action", "action": action}])


@pytest.mark.parametrize(
    ("header", "parameter"),
    [
        ({"type": "text", "text": "Visit"}, {"type": "text", "text": "Visit"}),
        (
            {"type": "media", "media": "https://ex.test/a.png"},
            {"type": "image", "image": {"link": "https://ex.test/a.png"}},
        ),
    ],
)
def test_a_templates_texts_are_components_before_the_button(
    header: dict[str, str], parameter: dict[str, Any]
) -> None:
    components = template_of(a_template(header=header, body=["Ani", "noon"]))["components"]

    assert components[0] == {"type": "header", "parameters": [parameter]}
    assert components[1] == {
        "type": "body",
        "parameters": [{"type": "text", "text": "Ani"}, {"type": "text", "text": "noon"}],
    }
    assert [component["type"] for component in components] == ["header", "body", "button"]


def test_a_fallback_goes_out_once_its_message_says_so() -> None:
    waiting = a_message(fallback=TEMPLATE)

    assert body_of(waiting, mark=MARK)["type"] == "interactive"
    assert template_of(waiting.but(flags=(Flag.FALLBACK,)))["name"] == "visit_form"


def test_a_user_id_is_a_recipient_and_never_stands_in_to() -> None:
    found = body_of(a_message(to=None, recipient="US.1349"), mark=MARK)

    assert found["recipient"] == "US.1349"
    assert "to" not in found


# Whatever may be asked for

_CHOICES: dict[str, list[Any]] = {
    "action": ["navigate", "data_exchange", "nagivate", None],
    "mode": ["published", "draft", None],
    "header": [TEXT_HEADER, MEDIA_HEADER, None],
    "footer": ["Foot", None],
    "data": [{"a": 1}, None],
}


def _asked_for(choice: dict[str, Any]) -> Draft:
    flow = mended()["flow"]
    param = {"body": "Text", "header": choice["header"], "footer": choice["footer"]}
    flow |= {"action": choice["action"], "mode": choice["mode"], "param": param}
    if choice["action"] != "data_exchange":
        flow["data"] = choice["data"]
    return check(mended() | {"flow": flow})


@pytest.mark.parametrize(
    "choice",
    [dict(zip(_CHOICES, choice, strict=True)) for choice in itertools.product(*_CHOICES.values())],
    ids=str,
)
def test_every_request_that_is_taken_becomes_a_payload_within_the_rules(
    choice: dict[str, Any],
) -> None:
    draft = _asked_for(choice)
    found = body_of(a_message(flow=draft.flow, to=draft.to), mark=MARK)
    interactive = found["interactive"]
    parameters = interactive["action"]["parameters"]

    assert found["to"] == "+10000000000"
    assert interactive["type"] == "flow"
    assert ("header" in interactive) is (choice["header"] is not None)
    assert ("footer" in interactive) is (choice["footer"] is not None)
    assert parameters["mode"] == (choice["mode"] or "published")
    assert parameters["flow_action"] in ("navigate", "data_exchange")
    exchanges = choice["action"] == "data_exchange"
    assert ("flow_action_payload" in parameters) is not exchanges
    if not exchanges:
        first = parameters["flow_action_payload"]
        assert first["screen"] == "FLOW_SCREEN_NAME"
        assert first.get("data") == choice["data"]  # never empty: the API refuses {}
    assert None not in _values(found)


def _values(content: Any) -> list[Any]:
    if isinstance(content, dict):
        return [one for value in content.values() for one in _values(value)]
    return [content]


# The mark


def test_a_mark_comes_back_as_what_it_was_made_of() -> None:
    message = a_message()
    written = mark.write(message.id, 17)
    found = mark.read(written)

    assert found is not None
    assert (found.message_id, found.attempt) == (message.id, 17)


def test_a_mark_fits_and_says_nothing_of_people() -> None:
    written = mark.write(a_message().id, 999_999)

    assert len(written) <= 512
    assert "1555" not in written.replace(a_message().id, "")


@pytest.mark.parametrize(
    "text",
    [
        *("", "alir1:", None, 7, ["alir1"], "gw1:01JABCDEF"),
        "alir2:msg_01JABCDEFGHJKMNPQRSTVWXYZ0:1",
        "alir1:msg_01JABCDEFGHJKMNPQRSTVWXYZ0",
        "alir1:msg_01JABCDEFGHJKMNPQRSTVWXYZ0:0",
        "alir1:msg_01JABCDEFGHJKMNPQRSTVWXYZ0:-1",
        "alir1:msg_01JABCDEFGHJKMNPQRSTVWXYZ0:1000000",
        "alir1:msg_01JABCDEFGHJKMNPQRSTVWXYZ0:١",
        "alir1:msg_01JABCDEFGHJKMNPQRSTVWXYZ0:1 ",
        "alir1:msg_01JABCDEFGHJKMNPQRSTVWXYZ0:1\n",
        "alir1:msg_01jabcdefghjkmnpqrstvwxyz0:1",
        "alir1:tok_01JABCDEFGHJKMNPQRSTVWXYZ0:1",
        "x alir1:msg_01JABCDEFGHJKMNPQRSTVWXYZ0:1",
    ],
)
def test_what_alir_did_not_write_is_no_mark(text: object) -> None:
    assert mark.read(text) is None
