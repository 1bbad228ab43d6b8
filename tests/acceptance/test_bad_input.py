"""Clients that do not behave: slow, cut off, malformed. Nothing is stored, and all others go on."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from tests.acceptance.gateway import API_TOKEN, RunningGateway
from tests.acceptance.polling import eventually
from tests.acceptance.raw_http import Answer, answer_on, connection, exchange, request
from tests.acceptance.talk import (
    MESSAGES,
    PRIVATE,
    assert_nothing_of_people,
    assert_problem,
    at_simulator,
    becomes,
    client,
    flow_message,
    get,
    message,
    running,
    send,
    sent,
    somebody,
)


@pytest.fixture(scope="module", autouse=True)
def _nothing_of_people_is_logged(gateway: RunningGateway) -> Iterator[None]:
    yield
    assert_nothing_of_people(gateway.output(), API_TOKEN)


def stored(api: httpx.Client, number: str) -> int:
    listed = api.get(MESSAGES, params={"to": number}).json()["data"]
    return len(listed)


def whole(gateway: RunningGateway, number: str, **headers: str) -> bytes:
    """A request for a message to `number`, as it goes over the wire."""
    return request(gateway, json.dumps(message(number)).encode(), headers)


def assert_goes_on(api: httpx.Client) -> None:
    assert send(api).status_code == 200


def closed(connected: socket.socket) -> bool:
    """Whether the other side has closed; what it still said is passed over."""
    try:
        while connected.recv(65536):
            pass
    except ConnectionResetError:
        return True
    return True


# Slow and cut off


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99], ids=["in the head", "between", "in the body"])
def test_a_request_that_is_cut_in_the_middle_leaves_nothing(
    gateway: RunningGateway, api: httpx.Client, part: float
) -> None:
    number = somebody()
    raw = whole(gateway, number)

    with connection(gateway) as connected:
        connected.sendall(raw[: int(len(raw) * part)])

    assert_goes_on(api)
    assert stored(api, number) == 0


def test_a_request_that_ends_with_a_reset_leaves_nothing(
    gateway: RunningGateway, api: httpx.Client
) -> None:
    number = somebody()
    raw = whole(gateway, number)

    with connection(gateway) as connected:
        linger_not = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # close() sends RST
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_not)
        connected.sendall(raw[:-1])

    assert_goes_on(api)
    assert stored(api, number) == 0


def test_clients_that_stop_in_the_middle_hold_nobody_up(
    gateway: RunningGateway, api: httpx.Client
) -> None:
    number = somebody()
    raw = whole(gateway, number)
    with ExitStack() as stack:
        slow = [stack.enter_context(connection(gateway)) for _ in range(50)]
        for place, connected in enumerate(slow):
            connected.sendall(raw[: -1 - place])

        for _ in range(5):
            assert_goes_on(api)
        assert stored(api, number) == 0

        slow[0].sendall(raw[-1:])
        assert answer_on(slow[0]).status == 200
    assert stored(api, number) == 1


def test_a_request_that_comes_byte_by_byte_is_taken(
    gateway: RunningGateway, api: httpx.Client
) -> None:
    number = somebody()
    with connection(gateway) as connected:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in whole(gateway, number):
            connected.sendall(bytes([byte]))
        answer = answer_on(connected)

    assert answer.status == 200
    assert stored(api, number) == 1


def test_a_client_that_leaves_before_its_answer_is_served_all_the_same(
    gateway: RunningGateway, api: httpx.Client
) -> None:
    number = somebody()

    with connection(gateway) as connected:
        connected.sendall(whole(gateway, number))

    eventually(lambda: len(at_simulator(api, number)) == 1)
    assert stored(api, number) == 1


def test_two_requests_at_once_on_one_connection_are_both_answered(
    gateway: RunningGateway, api: httpx.Client
) -> None:
    numbers = [somebody(), somebody()]
    with connection(gateway) as connected:
        connected.sendall(b"".join(whole(gateway, number) for number in numbers))
        with connected.makefile("rb") as stream:
            statuses = []
            for _ in numbers:
                statuses.append(int(stream.readline().split()[1]))
                length = 0
                while line := stream.readline().strip().lower():
                    if line.startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                stream.read(length)

    assert statuses == [200, 200]
    assert [stored(api, number) for number in numbers] == [1, 1]


# Malformed


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS"),
        pytest.param(b"GET\r\n\r\n", id="no path"),
        pytest.param(b"POST / HTTP/9.9\r\n\r\n", id="a version that is none"),
        pytest.param(b"\x00" * 1000 + b"\r\n\r\n", id="NULs"),
        pytest.param(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n", id="length x"),
        pytest.param(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -5\r\n\r\n", id="length -5"),
        pytest.param(
            b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
            id="two lengths",
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n"
            b"0\r\n\r\n",
            id="a length and chunks",
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n\r\n",
            id="a chunk of no size",
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n", id="a header without colon"
        ),
    ],
)
def test_what_is_not_http_is_answered_400_or_closed(
    gateway: RunningGateway, api: httpx.Client, raw: bytes
) -> None:
    with connection(gateway) as connected:
        connected.sendall(raw)
        connected.shutdown(socket.SHUT_WR)
        said = connected.recv(65536)

    assert said == b"" or b" 400 " in said.split(b"\r\n")[0]
    assert_goes_on(api)


def test_a_chunked_message_is_taken(gateway: RunningGateway, api: httpx.Client) -> None:
    number = somebody()
    body = json.dumps(message(number)).encode()
    pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    head = request(gateway, b"", {"content-length": "", "transfer-encoding": "chunked"})

    assert exchange(gateway, head + chunked).status == 200
    assert stored(api, number) == 1


def test_a_client_that_asks_before_it_sends_its_body_is_served(
    gateway: RunningGateway, api: httpx.Client
) -> None:
    number = somebody()
    raw = whole(gateway, number, expect="100-continue")
    head, _, body = raw.partition(b"\r\n\r\n")
    with connection(gateway) as connected:
        connected.sendall(head + b"\r\n\r\n")
        assert connected.recv(1024).startswith(b"HTTP/1.1 100 ")
        connected.sendall(body)
        answer = answer_on(connected)

    assert answer.status == 200
    assert stored(api, number) == 1


def test_a_client_that_asks_before_it_sends_10_mb_is_told_no(gateway: RunningGateway) -> None:
    raw = request(gateway, b"", {"content-length": "10485760", "expect": "100-continue"})

    answer = exchange(gateway, raw)

    assert answer.status == 413
    assert answer.json()["type"] == "/problems/payload_too_large"


def test_http_1_0_is_served(gateway: RunningGateway, api: httpx.Client) -> None:
    number = somebody()

    answer = exchange(gateway, whole(gateway, number).replace(b"HTTP/1.1", b"HTTP/1.0", 1))

    assert answer.status == 200
    assert stored(api, number) == 1


def test_headers_without_end_are_refused(gateway: RunningGateway, api: httpx.Client) -> None:
    head = b"POST / HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * 50_000
    with connection(gateway) as connected:
        try:
            connected.sendall(head)
            connected.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was closed meanwhile, which is as well
        assert closed(connected)

    assert_goes_on(api)


@pytest.mark.parametrize(
    "path",
    [
        "//api/whatsapp/v1/messages",
        "/api/whatsapp/v1/messages/../../../../etc/passwd",
        "/api/whatsapp/v1/messages/%2e%2e%2f%2e%2e",
        "/api/whatsapp/v1/messages/%ff%fe",
        "/api/whatsapp/v1/messages/%ed%a0%80",
        "/api/whatsapp/v1/messages/" + "m" * 5000,
        "/simulator/static/../../../../../../etc/passwd",
        "/simulator/static/%2e%2e/%2e%2e/__init__.py",
        "/problems/../../etc/passwd",
        "/problems/<script>alert(1)</script>",
    ],
)
def test_a_path_that_leads_nowhere_is_answered_with_a_client_error(
    gateway: RunningGateway, path: str
) -> None:
    head = f"GET {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {gateway.token}\r\n\r\n"

    answer: Answer = exchange(gateway, head.encode())

    assert answer.status in (400, 404, 422)
    assert b"root:" not in answer.body
    assert b"<script>alert" not in answer.body or answer.headers["content-type"].endswith("json")


@pytest.mark.parametrize("path", ["/simulator", "/simulator/api/messages"])
def test_a_stranger_behind_a_proxy_may_not_use_the_simulator(api: httpx.Client, path: str) -> None:
    answer = api.get(path, headers={"x-forwarded-for": "203.0.113.9"})

    assert answer.status_code == 403


# Hostile, and proper


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("<script>alert(1)</script>", id="markup"),
        pytest.param("'; DROP TABLE message; --", id="SQL"),
        pytest.param("{{ 7 * 7 }} ${7*7} %s %n", id="templates"),
        pytest.param("\u202etxt.exe\u2066", id="directions"),
        pytest.param("a\u0301\u0302\u0303" * 100, id="combined"),
        pytest.param("👩‍👩‍👧‍👦" * 100, id="joined emoji"),
        pytest.param("\ufeff\u200b\u2028\u2029", id="invisible"),
        pytest.param("\U0010ffff\ue000\ufffe", id="beyond all planes"),
        pytest.param("\\u0000\\", id="backslashes"),
    ],
)
def test_any_text_of_unicode_comes_through_unchanged(api: httpx.Client, text: str) -> None:
    body = flow_message(token=text, data={text: [text]})
    body["flow"]["param"] = {"body": text}

    found = sent(api, body)

    [received] = at_simulator(api, body["to"])
    interactive = received["request"]["interactive"]
    assert interactive["body"]["text"] == text
    parameters = interactive["action"]["parameters"]
    assert parameters["flow_token"] == text
    assert parameters["flow_action_payload"]["data"] == {text: [text]}
    assert get(api, found)["flow"]["param"]["body"] == text


def test_line_breaks_and_tabs_in_data_come_through_unchanged(api: httpx.Client) -> None:
    data = {"a\tb": "c\r\nd", "backslashes": "\\b\\f\\u0000"}

    sent(api, body := flow_message(data=data))

    [received] = at_simulator(api, body["to"])
    parameters = received["request"]["interactive"]["action"]["parameters"]
    assert parameters["flow_action_payload"]["data"] == data


def test_64_levels_of_data_are_taken(api: httpx.Client) -> None:
    data: dict[str, object] = {"leaf": 1}
    for _ in range(60):
        data = {"deeper": data}

    body = flow_message(data=data)

    assert send(api, body).status_code == 200
    [received] = at_simulator(api, body["to"])
    parameters = received["request"]["interactive"]["action"]["parameters"]
    assert parameters["flow_action_payload"]["data"] == data


def test_a_thousand_unknown_fields_are_named_up_to_a_point(api: httpx.Client) -> None:
    body = message() | {f"x{n}": n for n in range(1000)}

    answer = send(api, body)

    said = assert_problem(answer, 422, "invalid_request")["errors"]
    assert len(said) < 50
    assert len(answer.content) < 20_000


def test_nothing_of_people_is_logged_at_the_lowest_level(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("debug")
    with running(folder, ALIR_LOG__LEVEL="debug") as (gateway, api):
        number = somebody()
        found = sent(api, message(number, callback_data=PRIVATE))
        get(api, found)
        api.get(MESSAGES, params={"to": number, "flow_token": PRIVATE})
        at_simulator(api, number)
        with client(gateway, "alir_no-such-token") as nobody:
            send(nobody)
        for body in (
            b"{",
            json.dumps(message(number)).encode()[:-1],
            b'{"to": "' + number.encode(),
        ):
            api.post(MESSAGES, content=body, headers={"content-type": "application/json"})
        send(api, message(number + "x"))
        send(api, message("+1 5550 131009"))
        becomes(api, sent(api, message("+1 5550 000502"), Prefer="respond-async"), "unknown")
        sent(api, message("+1 5550 131016"), Prefer="respond-async")
        becomes(api, sent(api, message("+1 5550 131026")), "failed")
        api.post(f"/simulator/api/phones/{number}/messages", json={"text": PRIVATE})
        api.post("/callbacks/cloud", content=json.dumps({"to": number, "text": PRIVATE}))
        httpx.get(f"{gateway.url}/nothing/{number}")

    said = gateway.output()
    assert_nothing_of_people(said, gateway.token, "alir_no-such-token", "15550", "5550")
    assert '"event": "stopped"' in said
