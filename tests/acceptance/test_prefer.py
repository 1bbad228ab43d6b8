"""`Prefer` over HTTP, as RFC 7240 has it: how long a caller waits, and what it is told of that."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest
from tests.acceptance.gateway import RunningGateway
from tests.acceptance.raw_http import exchange, request
from tests.acceptance.talk import message, running, send, sent

BUSY = "+1 5550 131016"  # tried again and again, and never taken


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        pytest.param("wait=20", "wait=20", id="a wait"),
        pytest.param("wait=60", "wait=60", id="the longest wait"),
        pytest.param("wait=61", "wait=60", id="a longer wait is clamped"),
        pytest.param("wait=99999999999999999999", "wait=60", id="an endless wait is clamped"),
        pytest.param('wait="20"', "wait=20", id="in quotes"),
        pytest.param("wait = 20", "wait=20", id="with spaces"),
        pytest.param("WAIT=20", "wait=20", id="in capitals"),
        pytest.param("wait=20; strictly", "wait=20", id="with a parameter"),
        pytest.param("return=minimal, wait=20", "wait=20", id="beside others"),
        pytest.param("wait=20, wait=1", "wait=20", id="of two the first one counts"),
        pytest.param("return=minimal", None, id="others only"),
        pytest.param("wait=-1", None, id="a negative wait"),
        pytest.param("wait=-1, wait=20", None, id="a negative wait first"),
        pytest.param('for="a, wait=1", wait=20', "wait=20", id="beside one in quotes"),
        pytest.param('wait=20; note="a, b;c"', "wait=20", id="with a parameter in quotes"),
        pytest.param("wait=1.5", None, id="half a second"),
        pytest.param("wait=soon", None, id="a word"),
        pytest.param("wait=", None, id="nothing"),
        pytest.param("wait", None, id="no value"),
        pytest.param("", None, id="empty"),
        pytest.param(", ,;", None, id="no preference at all"),
    ],
)
def test_the_answer_says_which_preference_was_applied(
    api: httpx.Client, prefer: str, applied: str | None
) -> None:
    answer = send(api, Prefer=prefer)

    assert answer.status_code == 200
    assert answer.headers.get("preference-applied") == applied


@pytest.mark.parametrize(
    ("prefer", "applied", "seconds"),
    [
        pytest.param("wait=0", "wait=0", 0, id="wait=0"),
        pytest.param("respond-async", "respond-async", 0, id="respond-async"),
        pytest.param("Respond-Async", "respond-async", 0, id="respond-async in capitals"),
        pytest.param("wait=1", "wait=1", 1, id="wait=1"),
        pytest.param("respond-async, wait=1", "respond-async, wait=1", 1, id="both"),
    ],
)
def test_the_caller_waits_as_long_as_it_prefers(
    api: httpx.Client, prefer: str, applied: str, seconds: int
) -> None:
    begun = time.monotonic()
    answer = send(api, message(BUSY), Prefer=prefer)
    took = time.monotonic() - begun

    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == applied
    assert seconds <= took < seconds + 1


def test_preferences_may_stand_in_several_headers(gateway: RunningGateway) -> None:
    body = httpx.Request("POST", "http://x", json=message(BUSY)).content
    raw = request(gateway, body).replace(
        b"\r\nhost:", b"\r\nprefer: return=minimal\r\nprefer: respond-async\r\nhost:", 1
    )

    answer = exchange(gateway, raw)

    assert (answer.status, answer.headers.get("preference-applied")) == (202, "respond-async")


def test_a_problem_says_it_too(api: httpx.Client) -> None:
    answer = send(api, message("+1 5550 131009"), Prefer="wait=20")

    assert answer.status_code == 422
    assert answer.headers["preference-applied"] == "wait=20"


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A gateway whose sender may send 2 messages a second."""
    folder = tmp_path_factory.mktemp("slow")
    with running(folder, ALIR_CLOUD__MESSAGES_PER_SECOND="2") as (_, api):
        yield api


def test_who_would_wait_longer_than_it_prefers_is_answered_at_once(slow: httpx.Client) -> None:
    for _ in range(8):
        sent(slow, Prefer="respond-async")

    begun = time.monotonic()
    answer = send(slow, Prefer="wait=2")
    took = time.monotonic() - begun

    assert (answer.status_code, answer.json()["data"]["status"]) == (202, "queued")
    assert answer.headers["preference-applied"] == "wait=2"
    assert took < 1

    patient = send(slow, Prefer="wait=20")
    assert patient.status_code == 200
