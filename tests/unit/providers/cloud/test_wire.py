"""What the Cloud API's answers mean: a success only with a message id, certain only where it is."""

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

from alir.dispatch.ports import Sent
from alir.errors import OutcomeUnknown, PauseScope, ProviderBusy, ProviderRefused, SendFailure
from alir.ids import ProviderId
from alir.providers.cloud.wire import build_send, read_answer
from alir.providers.whatsapp.codes import Change, Concern, changed, meanings
from alir.simulator.codes import DEFAULT_HTTP, error_codes

WAMID = "wamid.HBgLMTU1NTEyMzAwMDEVAgARGBI5QQ=="
TAKEN = {
    "messaging_product": "whatsapp",
    "contacts": [{"input": "+15551230001", "wa_id": "15551230001"}],
    "messages": [{"id": WAMID}],
}


def graph_error(code: Any, **more: Any) -> dict[str, Any]:
    error = {
        "message": f"(#{code}) Something",
        "type": "OAuthException",
        "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": "What is wrong."},
        "error_subcode": 2494010,
        "fbtrace_id": "Aabc",
    }
    return {"error": error | more}


def read(status: int, headers: Mapping[str, str], body: bytes) -> Sent:
    return read_answer(status, headers, body, codes=meanings(), now=START)


def failure(status: int, content: object, **headers: str) -> SendFailure:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    with pytest.raises(SendFailure) as caught:
        read(status, names, body)
    return caught.value


# Taken


def test_a_message_id_is_a_success() -> None:
    assert read(200, {}, json.dumps(TAKEN).encode()) == Sent(ProviderId(WAMID), "15551230001")


@pytest.mark.parametrize(
    "content",
    [
        {"messages": [{"id": WAMID}]},
        {"messages": [{"id": WAMID}], "contacts": []},
        {"messages": [{"id": WAMID}], "contacts": [{"input": "x", "user_id": "US.1"}]},
        {"messages": [{"id": WAMID}], "contacts": [{"wa_id": 15551230001}]},
        {"messages": [{"id": WAMID}], "contacts": "none", "meta": {"api_status": "stable"}},
        {"messages": [{"id": WAMID, "message_status": "accepted", "group_id": "1"}]},
        {"messages": [{"id": WAMID}, {"id": "wamid.2"}]},
        {"error": None, "messages": [{"id": WAMID}]},
    ],
    ids=str,
)
def test_all_but_the_message_id_is_optional(content: object) -> None:
    assert read(200, {}, json.dumps(content).encode()) == Sent(ProviderId(WAMID))


# Not taken


@pytest.mark.parametrize("code", meanings())
def test_every_known_code_is_read_by_its_class_whatever_its_status(code: int) -> None:
    known = error_codes().get(code)
    expected = ProviderBusy if meanings()[code].concern.is_busy else ProviderRefused
    for status in {known.http if known else DEFAULT_HTTP, 200, 400, 500}:
        found = failure(status, graph_error(code))

        assert type(found) is expected
        assert found.provider_code == str(code)
        assert found.title == meanings()[code].title
        assert found.details == "What is wrong."


@pytest.mark.parametrize(
    ("status", "more", "expected"),
    [
        (400, {}, ProviderRefused),
        (403, {}, ProviderRefused),
        (404, {"is_transient": False}, ProviderRefused),
        (200, {}, ProviderRefused),
        (400, {"is_transient": True}, ProviderBusy),
        (400, {"is_transient": "true"}, ProviderRefused),
        (429, {}, ProviderBusy),
        (500, {}, ProviderBusy),
        (503, {"is_transient": False}, ProviderBusy),
    ],
)
def test_a_code_that_nobody_knows_is_read_by_its_status(
    status: int, more: dict[str, Any], expected: type[SendFailure]
) -> None:
    found = failure(status, graph_error(987654, **more))

    assert type(found) is expected
    assert found.provider_code == "987654"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("30", timedelta(seconds=30)),
        ("0", timedelta(0)),
        ("9999999", timedelta(seconds=9_999_999)),
        *((value, None) for value in ("", "99999999", "-1", "1.5", "soon", "１")),
        ("Thu, 01 Jan 2026 00:01:00 GMT", timedelta(minutes=1)),
        ("Wed, 31 Dec 2025 00:01:00 GMT", timedelta(0)),
        ("Thu, 99 Jan 2026 00:01:00 GMT", None),
    ],
)
@pytest.mark.parametrize("content", [b"<html>Slow down</html>", b"", graph_error(130429)], ids=str)
def test_too_many_requests_is_busy_for_as_long_as_it_says(
    content: object, asked: str, expected: timedelta | None
) -> None:
    found = failure(429, content, retry_after=asked)

    assert type(found) is ProviderBusy
    assert found.retry_after == expected


def test_without_a_wait_too_many_requests_is_busy_all_the_same() -> None:
    found = failure(429, b"")

    assert (type(found), found.retry_after) == (ProviderBusy, None)
    assert found.provider_code == "HTTP 429"


def test_too_many_requests_without_a_code_pauses_the_sender() -> None:
    found = failure(429, b"<html>Slow down</html>")

    assert isinstance(found, ProviderBusy)
    assert found.pauses is not None
    assert found.pauses.scope is PauseScope.SENDER


@pytest.mark.parametrize(
    ("code", "scope"),
    [
        (131056, PauseScope.RECIPIENT),
        (132069, PauseScope.FLOW),
        (130429, PauseScope.SENDER),
        (190, PauseScope.ACCOUNT),
        (131016, None),
    ],
)
def test_a_busy_answer_says_what_waits_with_the_message(
    code: int, scope: PauseScope | None
) -> None:
    found = failure(400, graph_error(code))

    assert isinstance(found, ProviderBusy)
    assert (found.pauses and found.pauses.scope) is scope


def test_a_shut_window_is_told_apart_from_other_refusals() -> None:
    window, other = failure(400, graph_error(131047)), failure(400, graph_error(131026))

    assert isinstance(window, ProviderRefused)
    assert isinstance(other, ProviderRefused)
    assert (window.window_shut, other.window_shut) == (True, False)


def test_the_operators_word_on_a_code_counts() -> None:
    codes = changed(meanings(), {131049: Change(Concern.RETRY, tries=2)})
    body = json.dumps(graph_error(131049)).encode()
    with pytest.raises(ProviderBusy) as caught:
        read_answer(400, {}, body, codes=codes, now=START)

    assert caught.value.at_most == 2


def usage(*minutes: object) -> str:
    uses = [
        {"type": "whatsapp", "call_count": 100, "estimated_time_to_regain_access": each}
        for each in minutes
    ]
    return json.dumps({"110000000000001": uses[:1], "110000000000002": uses[1:]})


@pytest.mark.parametrize(
    ("code", "headers", "expected"),
    [
        (4, {"x-business-use-case-usage": usage(0, 19)}, timedelta(minutes=19)),
        (130429, {"x-business-use-case-usage": usage(2, 1)}, timedelta(minutes=2)),
        (4, {"x-business-use-case-usage": usage(1), "retry-after": "90"}, timedelta(seconds=90)),
        (4, {"x-business-use-case-usage": usage(2), "retry-after": "90"}, timedelta(minutes=2)),
        (131056, {"x-business-use-case-usage": usage(19)}, None),
        *(
            (4, {"x-business-use-case-usage": odd}, None)
            for odd in (
                "",
                "{",
                "[]",
                "7",
                usage(0),
                usage(-1, True),
                usage("19", 10**9),
                usage([]),
            )
        ),
    ],
)
def test_the_usage_header_says_how_long_a_number_or_account_has_to_wait(
    code: int, headers: dict[str, str], expected: timedelta | None
) -> None:
    with pytest.raises(ProviderBusy) as caught:
        read(400, headers, json.dumps(graph_error(code)).encode())

    assert caught.value.retry_after == expected


# Nobody knows

_DEEP = b"[" * 100_000 + b"]" * 100_000
UNREADABLE = {
    "nothing": b"",
    "a proxy's page": b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>",
    "half of an answer": json.dumps(TAKEN).encode()[:-20],
    "text": b"OK",
    "not text": bytes(range(256)),
    "null": b"null",
    "a number": b"1",
    "a list": b"[]",
    "a list of answers": json.dumps([TAKEN]).encode(),
    "an empty object": b"{}",
    "very deep": _DEEP,
    "no messages": b'{"messages": []}',
    "a message without an id": b'{"messages": [{}]}',
    "an empty id": b'{"messages": [{"id": ""}]}',
    "an id that is a number": b'{"messages": [{"id": 7}]}',
    "an id elsewhere": b'{"id": "wamid.1"}',
    "messages that are none": b'{"messages": {"id": "wamid.1"}}',
    "an error that is a text": b'{"error": "something"}',
    "an error without a code": b'{"error": {"message": "something"}}',
    "a code that is a text": b'{"error": {"code": "131026"}}',
    "a code that is a truth value": b'{"error": {"code": true}}',
    "a code beyond all codes": b'{"error": {"code": ' + b"9" * 5000 + b"}}",
    "a huge body": b'{"padding": "' + b"x" * 5_000_000 + b'"}',
}


@pytest.mark.parametrize("status", [200, 202, 302, 400, 401, 404, 500, 502, 504])
@pytest.mark.parametrize("name", UNREADABLE)
def test_an_answer_that_does_not_say_is_unknown(name: str, status: int) -> None:
    found = failure(status, UNREADABLE[name])

    assert type(found) is OutcomeUnknown
    assert found.provider_code == f"HTTP {status}"


@pytest.mark.parametrize("status", [300, 302, 400, 404, 500, 502])
def test_a_message_id_with_a_status_that_denies_it_is_unknown(status: int) -> None:
    assert type(failure(status, TAKEN)) is OutcomeUnknown


def test_an_error_beside_a_message_id_is_an_error() -> None:
    assert type(failure(200, TAKEN | graph_error(131026))) is ProviderRefused


@given(status=st.integers(100, 599), body=st.binary(max_size=200))
def test_no_body_at_all_breaks_it_and_none_without_an_id_is_a_success(
    status: int, body: bytes
) -> None:
    assert isinstance(failure(status, body), OutcomeUnknown | ProviderBusy)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(WAMID),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "code", "messages", "id", "contacts", "wa_id", "error_data"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(status=st.integers(200, 599), content=_json)
def test_whatever_the_shape_only_a_message_id_is_a_success(status: int, content: object) -> None:
    try:
        sent = read(status, {}, json.dumps(content).encode())
    except SendFailure:
        return
    assert isinstance(content, dict)
    assert sent.provider_id == content["messages"][0]["id"] != ""
    assert status < 300


# The provider's words


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("Parameter flow_id is invalid", "Parameter flow.id is invalid"),
        ("flow_cta is too long", "flow.text is too long"),
        ("flow_token is missing", "flow.token is missing"),
        ("flow_action is not one of", "flow.action is not one of"),
        ("flow_action_payload.screen is unknown", "flow.screen is unknown"),
        ("flow_action_payload.data is empty", "flow.data is empty"),
        (
            "interactive.action.parameters.flow_action_payload.screen: unknown",
            "flow.screen: unknown",
        ),
        ("flow_action_payload is not allowed", "flow.screen is not allowed"),
        ("interactive.body.text is longer than 1024", "flow.param.body is longer than 1024"),
        ("interactive.header.text is empty", "flow.param.header.text is empty"),
        ("interactive.footer.text is empty", "flow.param.footer is empty"),
        (
            "Param interactive['action']['parameters']['flow_cta'] must not be empty.",
            "Param flow.text must not be empty.",
        ),
        (
            "Param interactive['header']['image']['link'] must be a URL.",
            "Param flow.param.header.media must be a URL.",
        ),
        ("context.message_id is not known", "reply_message_id is not known"),
        ("The recipient is a landline", "The recipient is a landline"),
    ],
)
def test_fields_are_called_by_alirs_names(theirs: str, ours: str) -> None:
    found = failure(400, graph_error(100, error_data={"details": theirs}))

    assert found.details == ours


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"error_data": {"details": "d"}}, "d"),
        ({"error_data": "as text"}, "as text"),
        ({"error_data": {}}, "(#100) Something"),
        ({"error_data": None}, "(#100) Something"),
        ({"error_data": {"details": ""}}, "(#100) Something"),
        ({"error_data": {"details": 7}, "message": ""}, None),
        ({"error_data": [], "message": None}, None),
    ],
)
def test_the_words_are_taken_from_wherever_they_stand(
    more: dict[str, Any], expected: str | None
) -> None:
    assert failure(400, graph_error(100, **more)).details == expected


def test_long_words_stay_whole_so_that_a_secret_in_them_can_be_found() -> None:
    found = failure(400, graph_error(100, error_data={"details": "x" * 100_000}))

    assert found.details == "x" * 100_000


# The request


def test_the_request_is_utf_8_json_with_the_mark_of_its_attempt() -> None:
    message = a_message(flow={**FLOW, "data": {"größe": "🙂", "n": 2**53 + 1}})
    body = json.loads(build_send(message, 3))

    assert body["biz_opaque_callback_data"] == f"alir1:{message.id}:3"
    parameters = body["interactive"]["action"]["parameters"]
    assert parameters["flow_action_payload"]["data"] == {"größe": "🙂", "n": 2**53 + 1}
