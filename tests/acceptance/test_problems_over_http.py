"""Design 3.3 over HTTP: each status of a request that cannot be done, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import httpx
import pytest
from tests.acceptance.gateway import API_TOKEN, RunningGateway
from tests.acceptance.raw_http import exchange, request
from tests.acceptance.talk import (
    CALLBACKS,
    MESSAGES,
    PROBLEM,
    alir,
    assert_nothing_of_people,
    assert_problem,
    client,
    get,
    message,
    new_token,
    send,
    sent,
    simulator,
    somebody,
)

from alir.intake.tokens import generate

JSON = {"content-type": "application/json"}
LARGE = 10 * 1024 * 1024


@pytest.fixture(scope="module", autouse=True)
def _nothing_of_people_is_logged(gateway: RunningGateway) -> Iterator[None]:
    yield
    assert_nothing_of_people(gateway.output(), API_TOKEN)


@pytest.fixture(scope="module")
def reader(gateway: RunningGateway) -> str:
    """An API token that may only read."""
    return new_token(gateway, "reader", "--scope", "read")


@pytest.fixture(scope="module")
def other_sender(gateway: RunningGateway) -> str:
    """An API token that is bound to a sender that is not configured."""
    return new_token(gateway, "other", "--sender", "elsewhere")


# 401


def typo(token: str) -> str:
    return token[:-1] + ("a" if token[-1] != "a" else "b")


@pytest.mark.parametrize(
    ("authorization", "words"),
    [
        pytest.param(None, "missing", id="none"),
        pytest.param("", "Bearer API_TOKEN", id="empty"),
        pytest.param(f"Basic {API_TOKEN}", "Bearer API_TOKEN", id="another scheme"),
        pytest.param(API_TOKEN, "Bearer API_TOKEN", id="no scheme"),
        pytest.param("Bearer", "Bearer API_TOKEN", id="scheme only"),
        pytest.param("Bearer {{ API_TOKEN }}", "placeholder", id="placeholder of the sample"),
        pytest.param("Bearer {{API_TOKEN}}", "placeholder", id="placeholder without spaces"),
        pytest.param("Bearer $ALIR_API_TOKEN", "placeholder", id="variable in single quotes"),
        pytest.param("Bearer $API_TOKEN", "placeholder", id="another variable"),
        pytest.param("Bearer ${ALIR_API_TOKEN}", "placeholder", id="variable in braces"),
        pytest.param("Bearer <API_TOKEN>", "placeholder", id="in angle brackets"),
        pytest.param("Bearer YOUR_API_TOKEN", "placeholder", id="your"),
        pytest.param("Bearer alir_...", "placeholder", id="dots"),
        pytest.param("Bearer alir_…".encode(), "placeholder", id="an ellipsis"),
        pytest.param(f"Bearer {typo(generate())}", "typo", id="typo"),
        pytest.param(f"Bearer {generate()[:-1]}", "typo", id="cut off"),
        pytest.param(f"Bearer {generate()}", "not known", id="of another gateway"),
        pytest.param(f"Bearer {'x' * 32}", "not known", id="made up"),
        pytest.param("Bearer é", "not known", id="not ASCII"),
        pytest.param(f"Bearer {API_TOKEN} {API_TOKEN}", "not known", id="twice"),
        pytest.param(f"Bearer {'x' * 30_000}", "not known", id="endless"),
    ],
)
def test_without_a_valid_api_token_nothing_is_done(
    gateway: RunningGateway, authorization: str | bytes | None, words: str
) -> None:
    if isinstance(authorization, str):
        authorization = authorization.encode("latin-1")
    given = [] if authorization is None else [(b"authorization", authorization)]
    headers = httpx.Headers(given)
    for method, path in (("POST", MESSAGES), ("GET", MESSAGES), ("GET", f"{MESSAGES}/msg_1")):
        answer = httpx.request(
            method,
            f"{gateway.url}{path}",
            headers=headers,
            json=message() if method == "POST" else None,
        )

        assert words in assert_problem(answer, 401, "unauthorized")["detail"]
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_revoked_api_token_is_no_api_token(gateway: RunningGateway) -> None:
    token = new_token(gateway, "gone")
    assert alir(gateway, "token", "revoke", "gone").returncode == 0

    with client(gateway, token) as http:
        answer = send(http)

    assert "revoked" in assert_problem(answer, 401, "unauthorized")["detail"]


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
def test_the_scheme_is_read_in_any_case(gateway: RunningGateway, scheme: str) -> None:
    headers = {"authorization": f"{scheme} {API_TOKEN}"}

    assert httpx.get(f"{gateway.url}{MESSAGES}", headers=headers).status_code == 200


# 413, 415


def test_a_body_above_64_kib_is_too_large(api: httpx.Client) -> None:
    fits = b" " * (64 * 1024 - 2) + b"{}"

    assert assert_problem(api.post(MESSAGES, content=fits, headers=JSON), 422, "invalid_request")
    answer = api.post(MESSAGES, content=fits + b" ", headers=JSON)
    assert "65536 bytes" in assert_problem(answer, 413, "payload_too_large")["detail"]


def chunks(size: int) -> Iterator[bytes]:
    for _ in range(size // 65536):
        yield b" " * 65536


@pytest.mark.parametrize("size", [LARGE, 20 * 1024 * 1024], ids=["10 MB", "20 MB"])
def test_a_huge_body_is_answered_413_and_not_with_a_reset(api: httpx.Client, size: int) -> None:
    answer = api.post(MESSAGES, content=b" " * size, headers=JSON)

    assert_problem(answer, 413, "payload_too_large")


def test_a_huge_body_without_a_declared_length_is_answered_413(api: httpx.Client) -> None:
    answer = api.post(MESSAGES, content=chunks(LARGE), headers=JSON)

    assert_problem(answer, 413, "payload_too_large")


def test_a_huge_callback_is_answered_413(api: httpx.Client) -> None:
    answer = api.post(CALLBACKS, content=b" " * (4 * 1024 * 1024 + 1), headers=JSON)

    assert_problem(answer, 413, "payload_too_large")


@pytest.mark.parametrize(
    "content_type",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("text/plain", id="text"),
        pytest.param("application/x-www-form-urlencoded", id="what curl sends by itself"),
        pytest.param("application/xml", id="XML"),
        pytest.param("application/json-seq", id="something like JSON"),
        pytest.param("application/json; charset=latin-1", id="JSON in latin-1"),
        pytest.param("application/json; version=1; Charset = utf-16", id="JSON in UTF-16"),
    ],
)
def test_a_message_must_say_that_it_is_json(
    gateway: RunningGateway, content_type: str | None
) -> None:
    raw = request(gateway, b"{}", {"content-type": content_type or ""})

    answer = exchange(gateway, raw)

    assert (answer.status, answer.headers["content-type"]) == (415, PROBLEM)
    assert answer.json()["type"] == "/problems/unsupported_media_type"
    assert "application/json" in answer.json()["detail"]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "APPLICATION/JSON",
        "application/json; charset=UTF-8",
        'application/json;charset="utf-8"',
        "application/json; version=1; charset=utf-8",
        'application/json; profile="https://example.com/a;b"',
        "application/json;",
    ],
)
def test_json_is_recognised_however_it_is_written(api: httpx.Client, content_type: str) -> None:
    answer = api.post(MESSAGES, content=b"{}", headers={"content-type": content_type})

    assert_problem(answer, 422, "invalid_request")


# 400


@pytest.mark.parametrize(
    ("body", "line", "column", "words"),
    [
        pytest.param(b"", 1, 1, "empty", id="empty"),
        pytest.param(b" \n ", 2, 2, "empty", id="blank"),
        pytest.param(b"{\n  # hello\n}", 2, 3, "comment", id="comment"),
        pytest.param(b'{"a": 1} // b', 1, 10, "comment", id="comment behind it"),
        pytest.param(b'{"a": /* b */ 1}', 1, 7, "comment", id="comment within"),
        pytest.param(b"{'a': 1}", 1, 2, "single quotes", id="single quotes"),
        pytest.param("{“a”: 1}".encode(), 1, 2, "curly quotes", id="curly quotes"),
        pytest.param(b'{"a": 1 "b": 2}', 1, 8, "comma is missing", id="missing comma"),
        pytest.param(b'{"a": 1,}', 1, 8, "one too many", id="trailing comma"),
        pytest.param(b'{"a": [1,]}', 1, 9, "one too many", id="trailing comma in a list"),
        pytest.param(b'{"a" 1}', 1, 6, "colon", id="missing colon"),
        pytest.param(b"{a: 1}", 1, 2, "double quotes", id="key without quotes"),
        pytest.param(b'{"a": flow}', 1, 7, "double quotes", id="value without quotes"),
        pytest.param(b'{"a": None}', 1, 7, "null", id="Python's None"),
        pytest.param(b'{"a": +62821}', 1, 7, "double quotes", id="a number without quotes"),
        pytest.param(b'{"a": 0821}', 1, 7, "double quotes", id="a number that begins with 0"),
        pytest.param(b'{"a": 1, "a": 2}', 1, 10, "twice", id="key twice"),
        pytest.param(b'{"b": {"a": 1, "\\u0061": 1}}', 1, 16, "twice", id="key twice, escaped"),
        pytest.param(b'{"a": NaN}', 1, 7, "NaN", id="NaN"),
        pytest.param(b'{"a": Infinity}', 1, 7, "Infinity", id="Infinity"),
        pytest.param(b'{"a": -Infinity}', 1, 7, "Infinity", id="-Infinity"),
        pytest.param(b'{"a": 1e999}', 1, 7, "larger", id="a number without bounds"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b"}", 1, 7, "digits", id="5,000 digits"),
        pytest.param(b'{"a": "b', 1, 7, "no closing quote", id="text without end"),
        pytest.param(b'{"a": 1', 1, 8, "too early", id="cut off"),
        pytest.param(b'{"a": "b\nc"}', 1, 9, "line break", id="line break in a text"),
        pytest.param(b'{"a": "b\x00c"}', 1, 9, "NUL", id="NUL in a text"),
        pytest.param(b'{"a": "\\q"}', 1, 8, "backslash", id="wrong escape"),
        pytest.param(b'{"a": "\\ud800"}', 1, 8, "surrogate", id="half of a character"),
        pytest.param(b'{"a": "\\udc00\\ud800"}', 1, 8, "surrogate", id="halves in wrong order"),
        pytest.param(b'{"a": "\xff"}', 1, 8, "UTF-8", id="not UTF-8"),
        pytest.param(b'{"a": "\xed\xa0\x80"}', 1, 8, "UTF-8", id="half of a character in bytes"),
        pytest.param('{"a": 1}'.encode("utf-16"), 1, 1, "UTF-16", id="UTF-16"),
        pytest.param(b"{} {}", 1, 4, "nothing may follow", id="two values"),
        pytest.param(b"{}}", 1, 3, "closing bracket too many", id="a bracket too many"),
        pytest.param(b"[" * 10_000, 1, 65, "64 levels", id="10,000 levels of lists"),
        pytest.param(b'{"a":' * 10_000, 1, 321, "64 levels", id="10,000 levels of objects"),
        pytest.param(b"to=%2B62821&type=flow", 1, 1, "form", id="a form"),
        pytest.param(b"<to>62</to>", 1, 1, "XML", id="XML"),
    ],
)
def test_what_is_not_json_is_answered_with_the_place_and_the_likely_cause(
    api: httpx.Client, body: bytes, line: int, column: int, words: str
) -> None:
    answer = api.post(MESSAGES, content=body, headers=JSON)

    said = assert_problem(answer, 400, "invalid_json")
    assert (said["line"], said["column"]) == (line, column)
    assert words in said["detail"]
    assert said["detail"].startswith(f"Line {line}, column {column}: ")
    assert len(said["excerpt"]) <= 120


def test_the_excerpt_shows_the_text_around_the_fault(api: httpx.Client) -> None:
    answer = api.post(MESSAGES, content=b'{"type": "flow", \'to\': "+1"}', headers=JSON)

    assert "'to': \"+1\"" in assert_problem(answer, 400, "invalid_json")["excerpt"]


def test_a_byte_order_mark_is_passed_over(api: httpx.Client) -> None:
    body = httpx.Request("POST", "http://x", json=message()).content

    answer = api.post(MESSAGES, content=b"\xef\xbb\xbf" + body, headers=JSON)

    assert answer.status_code == 200


# 403, 404, 405


def test_an_api_token_needs_the_scope_of_the_route(
    gateway: RunningGateway, api: httpx.Client, reader: str
) -> None:
    found = sent(api)
    writer = new_token(gateway, "writer", "--scope", "send")

    with client(gateway, reader) as http:
        assert get(http, found)["id"] == found
        for answer in (
            send(http),
            http.post(f"{MESSAGES}/{found}/cancel"),
            http.post(f"{MESSAGES}/{found}/retry"),
        ):
            assert "send" in assert_problem(answer, 403, "scope_missing")["detail"]
    with client(gateway, writer) as http:
        assert send(http).status_code == 200
        for path in (MESSAGES, f"{MESSAGES}/{found}"):
            assert "read" in assert_problem(http.get(path), 403, "scope_missing")["detail"]


def test_an_api_token_may_not_name_a_sender_that_is_not_its_own(
    gateway: RunningGateway, other_sender: str
) -> None:
    with client(gateway, other_sender) as http:
        assert_problem(send(http, message(**{"from": "sandbox"})), 403, "sender_not_allowed")


def test_what_belongs_to_other_senders_is_not_there(
    gateway: RunningGateway, api: httpx.Client, other_sender: str
) -> None:
    found = sent(api)

    with client(gateway, other_sender) as http:
        for answer in (
            http.get(f"{MESSAGES}/{found}"),
            http.post(f"{MESSAGES}/{found}/cancel"),
            http.post(f"{MESSAGES}/{found}/retry"),
        ):
            assert_problem(answer, 404, "not_found")
        assert http.get(MESSAGES).json() == {"data": [], "next_cursor": None}


@pytest.mark.parametrize(
    "any_id",
    ["msg_01JDA3V8Q2Z7K4M9N6P5R1S0TX", "wamid.NONE", "1", "%00", "..%2f..", "é", "' OR 1=1"],
)
def test_an_unknown_id_is_not_found(api: httpx.Client, any_id: str) -> None:
    assert_problem(api.get(f"{MESSAGES}/{any_id}"), 404, "not_found")
    assert_problem(api.post(f"{MESSAGES}/{any_id}/cancel"), 404, "not_found")
    assert_problem(api.post(f"{MESSAGES}/{any_id}/retry"), 404, "not_found")


@pytest.mark.parametrize("path", ["/api", "/api/whatsapp/v2/messages", "/nothing", "/.env"])
def test_an_unknown_path_is_not_found(api: httpx.Client, path: str) -> None:
    assert_problem(api.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", MESSAGES, {"GET", "POST"}),
        ("PUT", MESSAGES, {"GET", "POST"}),
        ("DELETE", f"{MESSAGES}/msg_1", {"GET"}),
        ("GET", f"{MESSAGES}/msg_1/cancel", {"POST"}),
        ("PUT", CALLBACKS, {"GET", "POST"}),
        ("POST", "/healthz", {"GET"}),
    ],
)
def test_another_method_is_answered_with_those_that_there_are(
    api: httpx.Client, method: str, path: str, allowed: set[str]
) -> None:
    answer = api.request(method, path)

    assert_problem(answer, 405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) >= allowed


# 409


def test_a_message_that_arrived_can_neither_be_cancelled_nor_sent_again(api: httpx.Client) -> None:
    found = sent(api)

    for deed in ("cancel", "retry"):
        said = assert_problem(api.post(f"{MESSAGES}/{found}/{deed}"), 409, "too_late")
        assert said["id"] == found


# The order


@pytest.mark.parametrize(
    ("token", "headers", "body", "status"),
    [
        pytest.param("", {"content-type": ""}, b" " * LARGE, 401, id="401 before 413"),
        pytest.param("", {"content-type": ""}, b"{", 401, id="401 before 415 and 400"),
        pytest.param("reader", {"content-type": ""}, b" " * LARGE, 413, id="413 before 415"),
        pytest.param("reader", {"content-type": ""}, b"{", 415, id="415 before 400"),
        pytest.param("reader", {}, b"{", 400, id="400 before 403"),
        pytest.param("reader", {"idempotency-key": "k" * 256}, b"{}", 403, id="403 before 422"),
        pytest.param(
            "other",
            {"idempotency-key": "k" * 256},
            b'{"from": "sandbox"}',
            403,
            id="403 of a sender before 422",
        ),
        pytest.param("first", {"idempotency-key": "k" * 256}, b"{}", 422, id="422 at last"),
    ],
)
def test_the_checks_run_in_the_order_of_the_table(
    gateway: RunningGateway,
    reader: str,
    other_sender: str,
    token: str,
    headers: Mapping[str, str],
    body: bytes,
    status: int,
) -> None:
    known = {"reader": reader, "other": other_sender, "first": gateway.token, "": ""}
    given = {"authorization": f"Bearer {known[token]}" if token else "", **headers}

    answer = exchange(gateway, request(gateway, body, given))

    assert answer.status == status
    assert answer.headers["content-type"] == PROBLEM


# Their form


def test_every_problem_says_what_it_is_about_and_leads_to_a_page_that_explains_it(
    gateway: RunningGateway, api: httpx.Client, reader: str
) -> None:
    with simulator(api), client(gateway, reader) as reading, client(gateway, None) as nobody:
        answers = [
            send(nobody),
            api.post(MESSAGES, content=b"{", headers=JSON),
            send(reading),
            api.get(f"{MESSAGES}/nothing"),
            api.delete(MESSAGES),
            api.post(f"{MESSAGES}/{sent(api)}/cancel"),
            api.post(MESSAGES, content=b" " * 70_000, headers=JSON),
            api.post(MESSAGES, content=b"{}"),
            send(api, {}),
            send(api, message("+15550131009")),
            api.post(CALLBACKS, content=b"{}"),
        ]

    for answer in answers:
        body = answer.json()
        assert answer.headers["content-type"] == PROBLEM
        assert body.keys() >= {"type", "title", "status", "detail", "instance"}
        assert body["status"] == answer.status_code
        assert body["instance"].startswith("/")
        page = nobody_asks(gateway, body["type"])
        assert page.status_code == 200, body["type"]
        assert body["title"] in page.text
    assert len({answer.json()["type"] for answer in answers}) == len(answers)


def nobody_asks(gateway: RunningGateway, path: str) -> httpx.Response:
    return httpx.get(f"{gateway.url}{path}", headers={"accept": "text/html"})


def test_nothing_is_stored_of_a_request_that_was_refused(api: httpx.Client) -> None:
    number = somebody()
    bodies = [message(number, type="individual"), message(number, flow={}), message(number, x=1)]

    for body in bodies:
        assert_problem(send(api, body, Idempotency_Key="refused"), 422, "invalid_request")

    assert api.get(MESSAGES, params={"to": number}).json()["data"] == []
    taken = send(api, message(number), Idempotency_Key="refused")
    assert taken.status_code == 200
    assert "idempotency-replayed" not in taken.headers
