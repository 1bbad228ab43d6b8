"""Design 3.1, the table of answers, over HTTP: what became of a message until its answer is due."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from tests.acceptance.gateway import API_TOKEN
from tests.acceptance.polling import eventually
from tests.acceptance.talk import (
    MESSAGES,
    SILENT,
    assert_nothing_of_people,
    assert_problem,
    at_simulator,
    becomes,
    get,
    message,
    running,
    send,
    sent,
    simulator,
)

from alir.clock import rfc3339

BUSY = "+1 5550 131016"  # the provider says so each time
REFUSED = "+1 5550 131009"
UNDELIVERABLE = "+1 5550 131026"  # said by a receipt
NO_ANSWER = "+1 5550 000408"  # taken, and never answered
HANGS_UP = "+1 5550 000409"
PROXY_PAGE = "+1 5550 000502"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A gateway that is soon out of patience with a busy provider."""
    config = """
    [dispatch]
    busy_first_delay_seconds = 0.1
    busy_longest_delay_seconds = 0.2
    """
    with running(tmp_path_factory.mktemp("answers"), config) as (gateway, client):
        yield client
        assert_nothing_of_people(gateway.output(), API_TOKEN)


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    """Runs requests that wait, while the test goes on."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


def soon(seconds: float) -> str:
    """A moment so far ahead, as RFC 3339 writes it."""
    return rfc3339(datetime.now(UTC) + timedelta(seconds=seconds))


class Timed:
    """How long the block took, in seconds."""

    def __enter__(self) -> Timed:
        self._begun = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self._begun


def newest(api: httpx.Client, to: str) -> str | None:
    listed = api.get(MESSAGES, params={"to": to}).json()["data"]
    return listed[0]["id"] if listed else None


# 200


def test_a_message_that_was_taken_is_sent(api: httpx.Client) -> None:
    answer = send(api)

    assert answer.status_code == 200
    data = answer.json()["data"]
    assert (data["status"], data["message"]) == ("accepted", "Message Sent!")
    assert data["request_id"] == data["id"]


@pytest.mark.parametrize("early", [["sent"], ["sent", "delivered"], ["sent", "delivered", "read"]])
def test_it_is_accepted_whatever_receipts_say_already(api: httpx.Client, early: list[str]) -> None:
    with simulator(
        api, before_answer=early, delays_ms=dict.fromkeys(("sent", "delivered", "read"), 5000)
    ):
        answer = send(api)

    assert answer.status_code == 200
    assert answer.json()["data"]["status"] == "accepted"
    becomes(api, answer.json()["data"]["id"], early[-1])


def test_it_is_accepted_also_where_a_receipt_says_already_that_it_failed(
    api: httpx.Client,
) -> None:
    with simulator(api, before_answer=["failed"]):
        answer = send(api, message(UNDELIVERABLE))

    assert answer.status_code == 200
    failed = becomes(api, answer.json()["data"]["id"], "failed")
    assert failed["error"]["provider_code"] == "131026"


# 422


def test_a_message_that_was_refused_for_good_is_answered_with_the_providers_code(
    api: httpx.Client,
) -> None:
    answer = send(api, message(REFUSED))

    said = assert_problem(answer, 422, "refused")
    assert said["provider"]["code"] == "131009"
    assert said["provider"]["title"]
    assert said["provider"]["detail"]
    shown = get(api, said["id"])
    assert shown["status"] == "failed"
    assert shown["error"]["provider_code"] == "131009"
    assert said["instance"] == f"{MESSAGES}/{said['id']}"


def test_the_providers_words_name_the_fields_as_alir_does(api: httpx.Client) -> None:
    body = message()
    body["flow"]["param"]["header"] = {"type": "media", "media": "http://[:::]/image.png"}

    said = assert_problem(send(api, body), 422, "refused")

    assert said["provider"] == {
        "code": "131009",
        "title": "A parameter's value is not valid",
        "detail": "Param flow.param.header.media must be an http or https URL.",
    }


# 202


@pytest.mark.parametrize("to", [BUSY, HANGS_UP, PROXY_PAGE, NO_ANSWER])
def test_respond_async_is_answered_at_once(api: httpx.Client, to: str) -> None:
    with Timed() as took:
        answer = send(api, message(to), Prefer="respond-async")

    assert answer.status_code == 202
    assert took.seconds < 1
    data = answer.json()["data"]
    assert data["status"] in ("queued", "sending")
    assert data["message"] == "Message Queued!"
    assert data["request_id"] == data["id"]


def test_what_is_to_be_sent_later_is_answered_at_once(api: httpx.Client) -> None:
    with Timed() as took:
        answer = send(api, message(send_at=soon(3600)), Prefer="wait=30")

    assert (answer.status_code, answer.json()["data"]["status"]) == (202, "queued")
    assert took.seconds < 1


def test_a_send_at_that_has_passed_is_now(api: httpx.Client) -> None:
    assert send(api, message(send_at=soon(-3600))).status_code == 200


@pytest.mark.parametrize(
    ("to", "status"),
    [(BUSY, {"queued", "sending"}), (NO_ANSWER, {"sending"}), (PROXY_PAGE, {"unknown"})],
)
def test_what_is_not_settled_when_the_wait_is_over_is_answered_as_it_stands(
    api: httpx.Client, to: str, status: set[str]
) -> None:
    with simulator(api, delays_ms=SILENT), Timed() as took:
        answer = send(api, message(to), Prefer="wait=1")

    assert answer.status_code == 202
    assert answer.json()["data"]["status"] in status
    assert answer.json()["data"]["message"] == "Message Queued!"
    assert 1 <= took.seconds < 3


def test_the_wait_is_10_seconds_where_nobody_says_otherwise(api: httpx.Client) -> None:
    with Timed() as took:
        answer = send(api, message(PROXY_PAGE))

    assert (answer.status_code, answer.json()["data"]["status"]) == (202, "unknown")
    assert 10 <= took.seconds < 12
    assert "preference-applied" not in answer.headers


def test_a_receipt_that_comes_while_the_caller_waits_is_an_answer(api: httpx.Client) -> None:
    with simulator(api, delays_ms={"sent": 300, "delivered": 5000, "read": 5000}), Timed() as took:
        answer = send(api, message(NO_ANSWER))

    assert (answer.status_code, answer.json()["data"]["status"]) == (200, "accepted")
    assert took.seconds < 5


# 409


def waiting_for(
    api: httpx.Client, aside: ThreadPoolExecutor, number: str, **fields: object
) -> tuple[Future[httpx.Response], str]:
    """A request that waits for what becomes of a message to `number`, and the message's id."""
    before = newest(api, number)

    def new() -> str | None:
        found = newest(api, number)
        return found if found != before else None

    asked = aside.submit(send, api, message(number, **fields), Prefer="wait=30")
    return asked, eventually(new)


def test_a_message_that_somebody_cancels_meanwhile_has_ended(
    api: httpx.Client, aside: ThreadPoolExecutor
) -> None:
    asked, found = waiting_for(api, aside, BUSY)

    eventually(lambda: api.post(f"{MESSAGES}/{found}/cancel").status_code == 200)

    said = assert_problem(asked.result(5), 409, "message_ended")
    assert (said["id"], said["reason"]) == (found, "cancelled")
    assert get(api, found)["status"] == "cancelled"


def test_a_message_that_expires_meanwhile_has_ended(
    api: httpx.Client, aside: ThreadPoolExecutor
) -> None:
    asked, found = waiting_for(api, aside, BUSY, expires_at=soon(1))

    said = assert_problem(asked.result(10), 409, "message_ended")
    assert (said["id"], said["reason"]) == (found, "expired")
    assert get(api, found)["status"] == "expired"


def test_a_message_that_is_given_up_while_unknown_has_ended_as_failed(
    api: httpx.Client, aside: ThreadPoolExecutor
) -> None:
    asked, found = waiting_for(api, aside, PROXY_PAGE)
    becomes(api, found, "unknown")

    assert api.post(f"{MESSAGES}/{found}/cancel").json()["data"]["status"] == "failed"

    said = assert_problem(asked.result(5), 409, "message_ended")
    assert (said["id"], said["reason"]) == (found, "given_up")


def test_a_message_whose_provider_stays_busy_for_too_long_has_ended(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    config = """
    [dispatch]
    busy_first_delay_seconds = 0.2
    busy_longest_delay_seconds = 0.4
    give_up_after_hours = 0.0003
    """
    with running(tmp_path_factory.mktemp("gives-up"), config) as (_, api):
        said = assert_problem(send(api, message(BUSY)), 409, "message_ended")

        assert said["reason"] == "gave_up"
        failed = get(api, said["id"])
        assert (failed["status"], failed["error"]["code"]) == ("failed", "gave_up")
        assert failed["error"]["provider_code"] == "131016"
        assert {attempt["outcome"] for attempt in failed["attempts"]} == {"busy"}
        assert at_simulator(api, BUSY) == []


# Ids, and what lies between


def test_every_id_ever_given_out_finds_the_message(api: httpx.Client) -> None:
    data = send(api).json()["data"]
    [attempt] = get(api, data["id"])["attempts"]

    for any_id in (data["id"], data["request_id"], attempt["provider_id"]):
        assert get(api, any_id)["id"] == data["id"]


def test_a_message_is_followed_to_read_within_3_seconds(api: httpx.Client) -> None:
    assert becomes(api, sent(api), "read", within=3)["wa_id"]


def test_a_caller_that_goes_away_while_it_waits_leaves_the_message_as_it_is(
    api: httpx.Client,
) -> None:
    before = newest(api, BUSY)
    with pytest.raises(httpx.ReadTimeout):
        api.post(MESSAGES, json=message(BUSY), timeout=0.5)

    found = newest(api, BUSY)
    assert found
    assert found != before
    eventually(lambda: len(get(api, found)["attempts"]) > 2)
    eventually(lambda: api.post(f"{MESSAGES}/{found}/cancel").status_code == 200)
