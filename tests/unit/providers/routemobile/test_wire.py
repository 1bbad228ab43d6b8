"""What goes out to Route Mobile, and what each of its answers means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.clock import START
from tests.examples import FLOW, a_message
from tests.senders import a_route_mobile_sender

from alir.dispatch.ports import Sent
from alir.errors import OutcomeUnknown, PauseScope, ProviderBusy, ProviderRefused, SendFailure
from alir.ids import ProviderId
from alir.messages.model import Flag, Message
from alir.providers.routemobile.wire import build_send, read_answer, read_log_in
from alir.providers.whatsapp.codes import Change, Concern, changed, meanings

CODES = meanings("alir.providers.routemobile")
REQUEST_ID = "00000000-f142-11eb-8e02-000000000000"
TAKEN: dict[str, object] = {
    "message": "message received successfully",
    "status": "processing",
    "request_id": REQUEST_ID,
}


NO_IDS: list[object] = [None, "", 7, []]


def sent(message: Message, **settings: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(build_send(message, 1, a_route_mobile_sender(**settings)))
    return body


def as_bytes(content: object) -> bytes:
    return content if isinstance(content, bytes) else json.dumps(content).encode()


def failure(
    status: int, content: object, headers: Mapping[str, str] | None = None, **reading: Any
) -> SendFailure:
    with pytest.raises(SendFailure) as caught:
        read_answer(status, headers or {}, as_bytes(content), codes=CODES, now=START, **reading)
    return caught.value


# The request

WHOLE: dict[str, Any] = FLOW | {
    "data": {"name": "Ani"},
    "param": {
        "header": {"type": "media", "media": "https://ex.test/banner.jpg"},
        "body": "Please fill in the form",
        "footer": "Example Clinic",
    },
}


def test_a_flow_message_is_what_the_documents_show() -> None:
    assert sent(a_message(to="+620000000001", flow=WHOLE)) == {
        "phone": "+620000000001",
        "enable_acculync": False,
        "type": "flow",
        "header": {"image": "https://ex.test/banner.jpg"},
        "body": "Please fill in the form",
        "footer": "Example Clinic",
        "flow": {
            "flow_mode": "published",
            "flow_token": "visit-1",
            "flow_id": "987654321098765",
            "flow_cta": "Choose a time",
            "flow_action": "navigate",
            "flow_action_payload": {"screen": "START", "data": {"name": "Ani"}},
        },
    }


def test_with_data_exchange_there_is_no_payload() -> None:
    body = sent(a_message(flow=FLOW | {"action": "data_exchange", "mode": "draft"}))

    assert "flow_action_payload" not in body["flow"]
    assert body["flow"]["flow_mode"] == "draft"


@pytest.mark.parametrize(
    ("settings", "header", "footer"),
    [
        ({}, None, None),
        ({"empty_header_footer": "empty"}, {}, ""),
    ],
)
def test_what_a_message_does_not_have_is_left_out_or_empty_as_set(
    settings: dict[str, Any], header: object, footer: object
) -> None:
    body = sent(a_message(), **settings)

    assert (body.get("header"), body.get("footer")) == (header, footer)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"text": "Visit"}),
        ({"text_header": "typed"}, {"type": "text", "text": "Visit"}),
        ({"empty_header_footer": "empty"}, {"text": "Visit"}),
    ],
)
def test_a_text_header_is_written_as_set(
    settings: dict[str, Any], expected: dict[str, str]
) -> None:
    header = {"type": "text", "text": "Visit"}
    message = a_message(flow=FLOW | {"param": {"body": "B", "header": header}})

    assert sent(message, **settings)["header"] == expected


def test_the_mark_and_the_reply_travel_only_where_that_is_set() -> None:
    message = a_message(reply_to=ProviderId("wamid.X"))

    plain, both = sent(message), sent(message, send_extra=True)
    neither = sent(message, send_reply_to=False)

    assert plain["reply_to"] == both["reply_to"] == "wamid.X"
    assert both["extra"] == f"alir1:{message.id}:1"
    assert "extra" not in plain
    assert "reply_to" not in neither


TEMPLATE: dict[str, Any] = {
    "name": "visit",
    "language": "id",
    "button_index": 1,
    "header": {"type": "media", "media": "https://ex.test/a/b.jpg?x=1"},
    "body": ["Ani", "tomorrow"],
    "flow": {"token": "visit-1"},
}


def test_a_template_is_what_the_documents_show() -> None:
    message = a_message(type="template", flow={}, template=TEMPLATE, to="+620000000001")

    assert sent(message, send_extra=True) == {
        "phone": "+620000000001",
        "extra": f"alir1:{message.id}:1",
        "media": {
            "type": "media_template",
            "template_name": "visit",
            "lang_code": "id",
            "header": [{"image": {"link": "https://ex.test/a/b.jpg?x=1", "file_name": "b.jpg"}}],
            "body": [{"text": "Ani"}, {"text": "tomorrow"}],
            "button": [{"button_no": "1", "flow": "visit-1"}],
        },
    }


def test_a_template_has_no_empty_lists_and_always_names_its_button() -> None:
    template = {"name": "visit", "language": "id", "button_index": 0, "flow": {}}
    message = a_message(fallback=template, flags=(Flag.FALLBACK,))

    assert sent(message)["media"] == {
        "type": "media_template",
        "template_name": "visit",
        "lang_code": "id",
        "button": [{"button_no": "0", "flow": "unused"}],
    }


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (a_message(to=None, recipient="US.1"), "recipient"),
        (
            a_message(template=TEMPLATE | {"flow": {"data": {"a": 1}}}, type="template", flow={}),
            "template.flow.data",
        ),
        (
            a_message(fallback=TEMPLATE | {"flow": {"data": {"a": 1}}}, flags=(Flag.FALLBACK,)),
            "fallback.flow.data",
        ),
    ],
)
def test_what_route_mobile_has_no_place_for_is_refused_before_it_is_sent(
    message: Message, named: str
) -> None:
    with pytest.raises(ProviderRefused) as caught:
        sent(message)

    assert (caught.value.details or "").startswith(named)


# Taken


@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_request_id_is_a_success(status: int) -> None:
    answer = read_answer(status, {}, as_bytes(TAKEN), codes=CODES, now=START)

    assert answer == Sent(ProviderId(REQUEST_ID), request_id=REQUEST_ID)


# Not taken

_DOCS = "Please refer to the documents"


@pytest.mark.parametrize(
    ("status", "content", "details"),
    [
        (
            400,
            {"message": "The browser sent a request that..."},
            "The browser sent a request that...",
        ),
        (
            400,
            {"message": _DOCS, "status": "failure", "reason": "Unable to verify payload type"},
            "Unable to verify payload type",
        ),
        (
            400,
            {
                "message": _DOCS,
                "status": "failed",
                "reason": {"flow": {"flow_cta": ["Not a valid string."], "flow_id": ["Missing."]}},
            },
            "flow.text: Not a valid string.; flow.id: Missing.",
        ),
        (400, {"status": "failed", "reason": {"phone": ["Bad."]}}, "to: Bad."),
        (
            400,
            {"reason": {"header": {"image": ["Not a valid URL."]}}},
            "flow.param.header.media: Not a valid URL.",
        ),
        (
            400,
            {"reason": {"flow": {"flow_action_payload": {"data": {"x": ["Unknown field."]}}}}},
            "flow.data.x: Unknown field.",
        ),
        (400, {"reason": {"extra": ["Unknown field."]}}, "alir's own mark: Unknown field."),
        (400, {"reason": {"media": {"button": {"0": ["No."]}}}}, "template.flow.0: No."),
        (422, {"template_type": ["Must be one of: text."]}, "template_type: Must be one of: text."),
        (
            422,
            {"message": "m", "status": "failed", "error": {"footer": ["Too long."]}},
            "flow.param.footer: Too long.",
        ),
        (422, {"message": "m", "errors": [{"body": ["Too long."]}]}, "flow.param.body: Too long."),
        (400, {"reason": {"body": {"a": 7}}, "message": "m"}, "m"),
        (400, {"reason": 7, "status": "failed"}, "failed"),
        (400, {"unknown": 1}, None),
    ],
)
def test_what_it_refuses_is_refused_with_alirs_names_of_fields(
    status: int, content: object, details: str | None
) -> None:
    found = failure(status, content)

    assert type(found) is ProviderRefused
    assert found.details == details
    assert found.provider_code == f"HTTP {status}"


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize(
    ("reason", "details"),
    [
        ({"media": {"button": {"0": ["No."]}}}, "fallback.flow.0: No."),
        ({"media": {"template_name": ["No."]}}, "fallback.name: No."),
        ({"media": {"lang_code": ["No."]}}, "fallback.language: No."),
        ({"media": {"header": {"0": ["No."]}}}, "fallback.header.0: No."),
        ({"media": {"body": ["{template} no."]}}, "fallback.body: {template} no."),
        ({"phone": ["No."]}, "to: No."),
    ],
)
def test_what_it_refuses_in_a_fallback_is_named_after_the_fallback(
    status: int, reason: object, details: str
) -> None:
    found = failure(status, {"message": "m", "reason": reason}, template="fallback")

    assert found.details == details


@pytest.mark.parametrize(
    ("status", "content", "scope"),
    [
        (401, {"message": "m", "status": "Failed", "reason": "signature"}, PauseScope.ACCOUNT),
        (401, {"status": "Unauthorized"}, PauseScope.ACCOUNT),
        (401, {"response": "Unauthorized"}, PauseScope.ACCOUNT),
        (401, b"<html>", PauseScope.ACCOUNT),
        (403, {"status": "account restricted"}, PauseScope.ACCOUNT),
        (404, {"message": "The requested URL was not found"}, PauseScope.ACCOUNT),
        (404, {"status": "EXCEPTION_404_NOT_FOUND"}, PauseScope.ACCOUNT),
        (404, b"<html>", PauseScope.ACCOUNT),
        (429, {"message": "slow down"}, PauseScope.SENDER),
        (429, b"", PauseScope.SENDER),
    ],
)
def test_what_may_be_taken_later_is_busy_and_says_what_waits(
    status: int, content: object, scope: PauseScope
) -> None:
    found = failure(status, content)

    assert isinstance(found, ProviderBusy)
    assert found.pauses is not None
    assert found.pauses.scope is scope
    assert found.pauses.first is not None


def test_too_many_requests_is_busy_for_as_long_as_it_says() -> None:
    found = failure(429, b"", {"retry-after": "30"})

    assert isinstance(found, ProviderBusy)
    assert found.retry_after == timedelta(seconds=30)


OWN_500 = {"message": "Internal error", "status": "failed"}


def test_its_own_500_is_unknown_with_its_words_since_the_message_may_be_on_its_way() -> None:
    found = failure(500, OWN_500)

    assert type(found) is OutcomeUnknown
    assert (found.provider_code, found.details) == ("HTTP 500", "Internal error")


def test_its_own_500_is_busy_where_the_sender_says_so_and_no_other_500_is() -> None:
    found = failure(500, OWN_500, failed_500="busy")

    assert isinstance(found, ProviderBusy)
    assert (found.pauses, found.provider_code) == (None, "HTTP 500")
    for content in (b"<html>", {"message": "m"}, TAKEN | {"status": "failed"}):
        assert type(failure(500, content, failed_500="busy")) is OutcomeUnknown


def test_the_operators_word_on_its_codes_counts() -> None:
    codes = changed(CODES, {500: Change(Concern.REFUSED)})

    with pytest.raises(ProviderRefused):
        read_answer(500, {}, as_bytes(OWN_500), codes=codes, now=START, failed_500="busy")


# Nobody knows


@pytest.mark.parametrize(
    ("status", "content"),
    [
        *((status, b"<html>") for status in (200, 202, 302, 400, 422, 500, 502, 503, 504)),
        *((status, b"") for status in (200, 202, 400, 500)),
        *((202, content) for content in ({}, [], "x", {"status": "processing"}, [TAKEN])),
        *((202, TAKEN | {"request_id": odd}) for odd in NO_IDS),
        (202, TAKEN | {"status": "failed"}),
        (200, {"message": "m", "status": "failed"}),
        (400, {}),
        (400, []),
        (500, TAKEN | {"status": "failed"}),
        (500, {"message": "Internal error"}),
        (500, {"message": "m", "status": "processing"}),
        (500, {"message": "m", "status": ["failed"]}),
        (502, {"message": "m", "status": "failed"}),
        (503, TAKEN),
        (302, TAKEN),
    ],
)
def test_an_answer_that_does_not_say_is_unknown(status: int, content: object) -> None:
    assert type(failure(status, content)) is OutcomeUnknown


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("failed"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["message", "status", "reason", "error", "errors", "request_id", "flow"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(status=st.integers(100, 599), content=_json | st.binary(max_size=100))
def test_whatever_comes_only_a_request_id_is_a_success(status: int, content: object) -> None:
    try:
        answer = read_answer(status, {}, as_bytes(content), codes=CODES, now=START)
    except SendFailure:
        return
    assert isinstance(content, dict)
    assert answer.provider_id == content["request_id"] != ""
    assert 200 <= status < 300


def test_a_very_deep_reason_is_read_as_far_as_fields_go() -> None:
    body = b'{"message": "m", "reason": ' + b'{"a": [' * 400 + b'"Bad."' + b"]}" * 400 + b"}"

    assert failure(400, body).details == "m"


# The log-in


@pytest.mark.parametrize("status", [200, 201])
def test_a_log_in_gives_a_token(status: int) -> None:
    assert read_log_in(status, {}, as_bytes({"JWTAUTH": "a.b.c"}), now=START) == "a.b.c"


@pytest.mark.parametrize(
    ("status", "content", "scope"),
    [
        (403, {"status": "Unable to log in with provided credentials."}, PauseScope.ACCOUNT),
        (401, b"", PauseScope.ACCOUNT),
        (400, {"username": ["Required."]}, PauseScope.ACCOUNT),
        (404, b"<html>", PauseScope.ACCOUNT),
        (429, b"", PauseScope.SENDER),
        (500, {"status": "exception"}, PauseScope.SENDER),
        (502, b"<html>", PauseScope.SENDER),
        (201, b"", PauseScope.SENDER),
        (201, {"JWTAUTH": ""}, PauseScope.SENDER),
        (201, {"JWTAUTH": "a b"}, PauseScope.SENDER),
        (201, {"JWTAUTH": "a\r\nx: y"}, PauseScope.SENDER),
        (201, {"JWTAUTH": 7}, PauseScope.SENDER),
        (403, {"JWTAUTH": "a.b.c"}, PauseScope.ACCOUNT),
    ],
)
def test_a_log_in_without_a_token_is_busy_whatever_it_says(
    status: int, content: object, scope: PauseScope
) -> None:
    with pytest.raises(ProviderBusy) as caught:
        read_log_in(status, {}, as_bytes(content), now=START)

    assert caught.value.pauses is not None
    assert caught.value.pauses.scope is scope
