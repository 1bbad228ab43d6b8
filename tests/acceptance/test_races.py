"""What races with the sending of a message, over HTTP: one wins, and the answer says which.

The simulator's list is the judge: what was called off is not in it, and what was not is in it once.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.acceptance.polling import eventually
from tests.acceptance.talk import (
    MESSAGES,
    ahead,
    assert_problem,
    at_simulator,
    becomes,
    get,
    message,
    paused,
    running,
    sent,
    somebody,
)

RATE = 40
REFUSED = "+1 5550 131009"
TAKES_AND_HANGS_UP = "+1 5550 000409"
THREADS = 8


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A gateway whose sender is paced, so that there is a queue to race with."""
    config = f"[cloud]\nmessages_per_second = {RATE}"
    with running(tmp_path_factory.mktemp("races"), config) as (_, client):
        yield client


def queued(api: httpx.Client, number: str, count: int, **fields: object) -> list[str]:
    """The ids of new messages to one person, in the order in which they will go."""
    return [sent(api, message(number, **fields), Prefer="respond-async") for _ in range(count)]


def at_once(deed: Callable[[str], httpx.Response], ids: Sequence[str]) -> dict[str, httpx.Response]:
    """What each id was answered, asked over many connections at once."""
    with ThreadPoolExecutor(THREADS) as pool:
        return dict(zip(ids, pool.map(deed, ids), strict=True))


def sent_attempts(api: httpx.Client, number: str) -> Counter[str]:
    """How often the phone got each message, by its id."""
    marks = [each["request"]["biz_opaque_callback_data"] for each in at_simulator(api, number)]
    return Counter(mark.split(":")[1] for mark in marks)


def assert_each_is_cancelled_or_sent(
    api: httpx.Client, number: str, answers: dict[str, httpx.Response]
) -> None:
    cancelled = {each for each, answer in answers.items() if answer.status_code == 200}
    for each, answer in answers.items():
        if each in cancelled:
            assert answer.json()["data"]["status"] == "cancelled"
            assert get(api, each)["status"] == "cancelled"
        else:
            assert "can no longer be cancelled" in assert_problem(answer, 409, "too_late")["detail"]
            becomes(api, each, "read")
    assert 0 < len(cancelled) < len(answers), "there was no race"
    expected = Counter(each for each in answers if each not in cancelled)
    assert sent_attempts(api, number) == expected


@pytest.mark.parametrize("order", ["as they go", "the last first"])
def test_race_of_many_cancels_and_a_paced_sender(api: httpx.Client, order: str) -> None:
    number = somebody()
    with paused(api):
        found = queued(api, number, 3 * RATE)
    if order == "the last first":
        found.reverse()

    answers = at_once(lambda each: api.post(f"{MESSAGES}/{each}/cancel"), found)

    assert_each_is_cancelled_or_sent(api, number, answers)


def test_race_of_cancels_and_send_at(api: httpx.Client) -> None:
    number = somebody()
    found = queued(api, number, RATE, send_at=ahead(1.5))
    eventually(lambda: get(api, found[0])["status"] != "queued")  # so their moment has come

    answers = at_once(lambda each: api.post(f"{MESSAGES}/{each}/cancel"), found)

    assert_each_is_cancelled_or_sent(api, number, answers)


def test_race_of_expires_at_and_the_turn_of_each_message(api: httpx.Client) -> None:
    number = somebody()
    expires_at = time.time() + 5
    with paused(api):
        found = queued(api, number, 2 * RATE, expires_at=ahead(5))
        time.sleep(max(0.0, expires_at - 1 - time.time()))
    ended = {
        each: eventually(lambda: _ended(api, each), within=10)  # noqa: B023 - called at once
        for each in found
    }

    assert set(ended.values()) == {"expired", "read"}, "there was no race"
    expected = Counter(each for each, status in ended.items() if status == "read")
    assert sent_attempts(api, number) == expected
    for each, status in ended.items():
        if status == "expired":
            # Its moment may come between its begin and its call: then it was never handed over.
            never = [attempt["error"]["code"] for attempt in get(api, each)["attempts"]]
            assert never in ([], ["not_handed_over"])
            assert_problem(api.post(f"{MESSAGES}/{each}/cancel"), 409, "too_late")


def _ended(api: httpx.Client, each: str) -> str | None:
    status: str = get(api, each)["status"]
    return status if status in {"expired", "read", "failed", "unknown"} else None


@pytest.mark.parametrize(
    ("recipient", "before"), [(REFUSED, "failed"), (TAKES_AND_HANGS_UP, "unknown")], ids=str
)
def test_race_of_retries_of_one_message(api: httpx.Client, recipient: str, before: str) -> None:
    found = sent(api, message(recipient), Prefer="respond-async")
    becomes(api, found, before)
    with paused(api), ThreadPoolExecutor(THREADS) as pool:
        asked = [pool.submit(api.post, f"{MESSAGES}/{found}/retry") for _ in range(20)]
        answers = [each.result() for each in asked]

    assert sorted(each.status_code for each in answers) == [200] + [409] * 19
    for each in answers:
        if each.status_code == 409:
            assert "queued" in assert_problem(each, 409, "too_late")["detail"]
    eventually(lambda: len(get(api, found)["attempts"]) == 2)
    assert len(becomes(api, found, before)["attempts"]) == 2


def test_race_of_retry_cancel_and_the_sending_of_unknown_messages(api: httpx.Client) -> None:
    sent(api)  # five in a row without an answer would pause the sender
    found = queued(api, TAKES_AND_HANGS_UP, 2)
    for each in found:
        becomes(api, each, "unknown")

    deeds = [f"{each}/{deed}" for each in found for deed in ("retry", "cancel")]
    answers = at_once(lambda path: api.post(f"{MESSAGES}/{path}"), deeds)
    eventually(lambda: not _on_their_way(api, found))

    for path, answer in answers.items():
        assert answer.status_code in {200, 409}, path
    received = sent_attempts(api, TAKES_AND_HANGS_UP)
    for each in found:
        stands = get(api, each)
        assert stands["status"] in {"failed", "unknown"}
        # Each begun attempt is on the phone once, and none that was not begun.
        assert received[each] == _taken(stands)


def _on_their_way(api: httpx.Client, found: Sequence[str]) -> bool:
    return any(get(api, each)["status"] in {"queued", "sending"} for each in found)


def _taken(stands: dict[str, object]) -> int:
    attempts = stands["attempts"]
    assert isinstance(attempts, list)
    return sum(attempt["outcome"] == "unknown" for attempt in attempts)
