from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.simulator.doubles import (
    ANY_JSON,
    paths,
    route_mobile_flow,
    route_mobile_template,
)

from alir.simulator.routemobile.check import Request, check
from alir.simulator.routemobile.refusal import RouteMobileRefusal

MISSING = ["Missing data for required field."]
NULL = ["Field may not be null."]
EMPTY = ["Shorter than minimum length 1."]
UNKNOWN = ["Unknown field."]
NO_TEXT = ["Not a valid string."]
NO_URL = ["Not a valid URL."]
NO_NUMBER = ["String does not match expected pattern."]
NO_MAPPING = ["Not a valid mapping type, or an empty one."]


def refusal(body: object, *, strict: bool = False) -> RouteMobileRefusal:
    with pytest.raises(RouteMobileRefusal) as error:
        check(body, strict=strict)
    return error.value


def reason(body: object, *, strict: bool = False) -> object:
    found = refusal(body, strict=strict)
    assert found.http == HTTPStatus.BAD_REQUEST
    return found.body["reason"]


def flow(**changes: Any) -> dict[str, Any]:
    """A flow message with changes to its `flow`; `...` takes a field away."""
    whole = route_mobile_flow()
    merged = whole["flow"] | changes
    return whole | {"flow": {key: value for key, value in merged.items() if value is not ...}}


def without(body: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key not in keys}


@pytest.mark.parametrize("strict", [False, True])
def test_the_documented_messages_are_taken(strict: bool) -> None:
    assert check(route_mobile_flow(), strict=strict) == Request("620000000001", "interactive", None)
    assert check(route_mobile_template(), strict=strict) == Request(
        "620000000001", "template", "ref"
    )


@pytest.mark.parametrize(
    "body",
    [
        without(route_mobile_flow(), "header", "footer", "enable_acculync"),
        route_mobile_flow(phone="620000000001"),
        route_mobile_flow(header={}, footer=""),
        route_mobile_flow(header={"text": "Visit"}),
        route_mobile_flow(header={"type": "text", "text": "Visit"}),
        route_mobile_flow(enable_acculync="false"),
        flow(flow_token=..., flow_action=..., flow_mode=..., flow_action_payload=...),
        flow(flow_action="data_exchange", flow_action_payload=...),
    ],
)
def test_what_is_left_open_is_read_mildly(body: dict[str, Any]) -> None:
    assert check(body, strict=True).kind == "interactive"


def test_extra_and_reply_to_on_a_flow_message_are_taken_unless_unknown_keys_are_refused() -> None:
    body = route_mobile_flow(extra="ref", reply_to="wamid.X")

    assert check(body, strict=False).extra == "ref"
    assert reason(body, strict=True) == {"extra": UNKNOWN, "reply_to": UNKNOWN}


def test_unknown_keys_are_found_at_any_depth() -> None:
    body = flow(flow_name="x", flow_action_payload={"screen": "A", "params": 1})
    body["header"] = {"video": "https://a.test/b"}

    check(body, strict=False)
    assert reason(body, strict=True) == {
        "header": {"video": UNKNOWN},
        "flow": {"flow_name": UNKNOWN, "flow_action_payload": {"params": UNKNOWN}},
    }


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "payload cannot be empty"),
        ([], "Unable to verify payload type"),
        ({"phone": "+620000000001", "text": "hi"}, "Unable to verify payload type"),
        ({"phone": "+620000000001", "media": {"type": "image"}}, "Unable to verify payload type"),
        ({"media": "x"}, "Unable to verify payload type"),
    ],
)
def test_what_is_no_known_message_is_said_in_a_text(body: object, text: str) -> None:
    found = refusal(body)

    assert found.body == {
        "message": "Please check API docs",
        "status": "failure",
        "reason": text,
    }


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({"type": "flow"}, {"phone": MISSING, "body": MISSING, "flow": MISSING}),
        (route_mobile_flow() | {"phone": None}, {"phone": NULL}),
        (route_mobile_flow() | {"phone": 62}, {"phone": NO_TEXT}),
        (route_mobile_flow(phone="+62 000"), {"phone": NO_NUMBER}),
        (route_mobile_flow(body=""), {"body": EMPTY}),
        (route_mobile_flow(body="x" * 1025), {"body": ["Longer than maximum length 1024."]}),
        (route_mobile_flow(footer=None), {"footer": NULL}),
        (route_mobile_flow(header="x"), {"header": {"_schema": ["Invalid input type."]}}),
        (route_mobile_flow(header={"text": ""}), {"header": {"text": EMPTY}}),
        (route_mobile_flow(header={"image": "a.jpg"}), {"header": {"image": NO_URL}}),
        (route_mobile_flow(header={"image": "http://["}), {"header": {"image": NO_URL}}),
        (route_mobile_flow(enable_acculync="no"), {"enable_acculync": ["Not a valid boolean."]}),
        (
            flow(flow_id=1, flow_cta=..., flow_token=""),
            {"flow": {"flow_id": NO_TEXT, "flow_cta": MISSING, "flow_token": EMPTY}},
        ),
        (
            flow(flow_action="go", flow_mode="test"),
            {
                "flow": {
                    "flow_mode": ["Must be one of: draft, published."],
                    "flow_action": ["Must be one of: navigate, data_exchange."],
                }
            },
        ),
        (
            flow(flow_action="data_exchange"),
            {"flow": {"flow_action_payload": ["Not allowed with flow_action data_exchange."]}},
        ),
        (
            flow(flow_action_payload={"screen": "", "data": {}}),
            {
                "flow": {
                    "flow_action_payload": {
                        "screen": EMPTY,
                        "data": NO_MAPPING,
                    }
                }
            },
        ),
        (
            route_mobile_template(lang_code="i", header=[]),
            {
                "media": {
                    "lang_code": ["Shorter than minimum length 2."],
                    "error": "if header key is included, its array value cannot be empty",
                }
            },
        ),
        (
            route_mobile_template(
                header=[{"image": {"link": "x"}}], body=[{"text": "a"}, {}, "b"], button={}
            ),
            {
                "media": {
                    "header": {"0": {"image": {"link": NO_URL}}},
                    "body": {"1": {"text": MISSING}, "2": {"_schema": ["Invalid input type."]}},
                    "button": ["Not a valid list."],
                }
            },
        ),
        (
            route_mobile_template(button=[{"flow": ""}, {"button_no": "1", "url": ""}]),
            {
                "media": {
                    "button": {"0": {"button_no": MISSING, "flow": EMPTY}, "1": {"url": EMPTY}}
                }
            },
        ),
    ],
)
def test_all_broken_rules_are_told_in_a_map_that_mirrors_the_request(
    body: dict[str, Any], faults: dict[str, Any]
) -> None:
    found = refusal(body)

    assert found.http == HTTPStatus.BAD_REQUEST
    assert found.body["status"] == "failed"
    assert found.body["reason"] == faults


def test_a_template_of_another_kind_gets_a_map_that_stands_alone() -> None:
    found = refusal(route_mobile_template(type="text_template"))

    assert found.http == HTTPStatus.UNPROCESSABLE_ENTITY
    assert found.body == {"template_type": ["Must be one of: media_template."]}


def test_a_template_whose_flow_button_is_not_named_is_taken_and_fails_at_whatsapp() -> None:
    assert check(route_mobile_template(button=[]), strict=False).fails == 131009
    assert check(route_mobile_template(), strict=False).fails is None


def test_a_flow_button_may_hold_an_object() -> None:
    button = [{"button_no": "0", "flow": {"flow_token": "t", "flow_action_data": {"a": 1}}}]

    assert check(route_mobile_template(button=button), strict=True).fails is None


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_whatever_stands_in_a_field_the_request_is_taken_or_refused(data: st.DataObject) -> None:
    body = data.draw(st.sampled_from([route_mobile_flow, route_mobile_template]))()
    *path, last = data.draw(st.sampled_from(list(paths(body))))
    target: Any = body
    for step in path:
        target = target[step]
    target[last] = data.draw(ANY_JSON)

    with suppress(RouteMobileRefusal):
        check(body, strict=data.draw(st.booleans()))
