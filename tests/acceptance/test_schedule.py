"""When a message goes out, over HTTP: `send_at`, `expires_at`, cancel, retry, and the rate."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median

import httpx
import pytest
from tests.acceptance.gateway import RunningGateway
from tests.acceptance.polling import eventually
from tests.acceptance.talk import (
    MESSAGES,
    SILENT,
    ahead,
    assert_problem,
    at_simulator,
    becomes,
    get,
    message,
    running,
    send,
    sent,
    simulator,
    somebody,
)

from alir.clock import rfc3339

RATE = 20
BUSY = "+1 5550 131016"
PROXY_PAGE = "+1 5550 000502"


@pytest.fixture(scope="module")
def impatient(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[RunningGateway, httpx.Client]]:
    """A gateway that tries again soon, and whose sender may send `RATE` messages a second."""
    config = f"""
    [dispatch]
    busy_first_delay_seconds = 0.1
    busy_longest_delay_seconds = 0.2
    unknown_after_seconds = 0.5

    [cloud]
    messages_per_second = {RATE}
    """
    with running(tmp_path_factory.mktemp("impatient"), config) as both:
        yield both


@pytest.fixture(scope="module")
def api(impatient: tuple[RunningGateway, httpx.Client]) -> httpx.Client:
    return impatient[1]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


# send_at


def test_a_message_goes_out_at_send_at_and_not_before(api: httpx.Client) -> None:
    number = somebody()
    send_at = ahead(1)
    found = sent(api, message(number, send_at=send_at))
    assert get(api, found)["status"] == "queued"
    assert at_simulator(api, number) == []

    becomes(api, found, "read")

    [received] = at_simulator(api, number)
    late = moment(received["received_at"]) - moment(send_at)
    assert timedelta() <= late < timedelta(seconds=1)


def test_what_is_to_go_out_later_holds_nobody_up(api: httpx.Client) -> None:
    number = somebody()
    later = sent(api, message(number, send_at=ahead(3600)))

    assert send(api, message(number)).status_code == 200
    assert get(api, later)["status"] == "queued"


def test_send_at_may_have_any_offset(api: httpx.Client) -> None:
    at = (datetime.now(UTC) + timedelta(seconds=0.5)).astimezone(
        tz=datetime.strptime("+0700", "%z").tzinfo
    )
    found = sent(api, message(send_at=at.isoformat()))

    assert moment(becomes(api, found, "read")["send_at"]) <= at


# expires_at


def test_a_message_that_expires_while_its_provider_is_busy_is_tried_no_more(
    api: httpx.Client,
) -> None:
    found = sent(api, message(BUSY, expires_at=ahead(0.5)), Prefer="respond-async")

    expired = becomes(api, found, "expired")

    assert expired["error"]["code"] == "expired"
    assert {attempt["outcome"] for attempt in expired["attempts"]} == {"busy"}
    for deed in ("cancel", "retry"):
        assert_problem(api.post(f"{MESSAGES}/{found}/{deed}"), 409, "too_late")


def test_a_message_expires_while_it_waits_for_its_turn(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("held-back")
    with running(folder, ALIR_DISPATCH__ENABLED="false") as (gateway, api):
        number = somebody()
        found = sent(api, message(number, expires_at=ahead(1)), Prefer="respond-async")
        eventually(lambda: rfc3339(datetime.now(UTC)) > get(api, found)["expires_at"])
        gateway.stop()

    with running(folder) as (_, api):
        assert becomes(api, found, "expired")["attempts"] == []
        assert at_simulator(api, number) == []


def test_a_message_that_was_sent_in_time_does_not_expire(api: httpx.Client) -> None:
    expires_at = ahead(1)
    found = sent(api, message(expires_at=expires_at))
    eventually(lambda: rfc3339(datetime.now(UTC)) > expires_at)

    assert becomes(api, found, "read")["error"] is None


# cancel


def test_a_message_that_is_cancelled_before_its_time_is_never_sent(api: httpx.Client) -> None:
    number = somebody()
    send_at = ahead(0.7)
    found = sent(api, message(number, send_at=send_at))

    cancelled = api.post(f"{MESSAGES}/{found}/cancel")

    assert cancelled.status_code == 200
    assert cancelled.json()["data"]["status"] == "cancelled"
    assert cancelled.json()["data"]["attempts"] == []
    follower = sent(api, message(number, send_at=ahead(0.8)))
    becomes(api, follower, "read")
    assert [each["request"]["biz_opaque_callback_data"] for each in at_simulator(api, number)] == [
        f"alir1:{follower}:1"
    ]
    assert get(api, found)["status"] == "cancelled"


def test_to_cancel_twice_is_as_good_as_once(api: httpx.Client) -> None:
    found = sent(api, message(send_at=ahead(3600)))

    for _ in range(2):
        assert api.post(f"{MESSAGES}/{found}/cancel").status_code == 200


def test_a_cancelled_message_cannot_be_sent_again(api: httpx.Client) -> None:
    found = sent(api, message(send_at=ahead(3600)))
    api.post(f"{MESSAGES}/{found}/cancel").raise_for_status()

    assert_problem(api.post(f"{MESSAGES}/{found}/retry"), 409, "too_late")


def test_a_message_under_way_cannot_be_cancelled(api: httpx.Client) -> None:
    with simulator(api, delays_ms=SILENT):
        found = sent(api, message("+1 5550 000408"), Prefer="respond-async")
        becomes(api, found, "sending")

        for deed in ("cancel", "retry"):
            assert_problem(api.post(f"{MESSAGES}/{found}/{deed}"), 409, "too_late")


def test_an_unknown_message_that_is_cancelled_has_failed_and_not_been_cancelled(
    api: httpx.Client,
) -> None:
    found = sent(api, message(PROXY_PAGE), Prefer="respond-async")
    becomes(api, found, "unknown")

    given_up = api.post(f"{MESSAGES}/{found}/cancel").json()["data"]

    assert (given_up["status"], given_up["error"]["code"]) == ("failed", "given_up")
    assert_problem(api.post(f"{MESSAGES}/{found}/cancel"), 409, "too_late")


# retry


def test_of_many_who_retry_at_once_one_does(tmp_path: Path) -> None:
    with running(tmp_path) as (_, api):
        failed = assert_problem(send(api, message("+1 5550 131009")), 422, "refused")["id"]

    with (
        running(tmp_path, ALIR_DISPATCH__ENABLED="false") as (_, api),
        ThreadPoolExecutor(20) as pool,
    ):
        retries = [pool.submit(api.post, f"{MESSAGES}/{failed}/retry") for _ in range(20)]
        statuses = sorted(each.result().status_code for each in retries)

        assert statuses == [200] + [409] * 19


def test_a_failed_message_is_sent_again_when_asked(api: httpx.Client) -> None:
    found = assert_problem(send(api, message("+1 5550 131009")), 422, "refused")["id"]

    again = api.post(f"{MESSAGES}/{found}/retry")

    assert again.status_code == 200
    assert again.json()["data"]["status"] == "queued"
    failed = becomes(api, found, "failed")
    assert [attempt["outcome"] for attempt in failed["attempts"]] == ["refused", "refused"]
    assert failed["flags"] == []


def test_an_unknown_message_is_sent_again_when_asked_and_flagged(api: httpx.Client) -> None:
    with simulator(api, delays_ms=SILENT):
        found = sent(api, message("+1 5550 000409"), Prefer="respond-async")
        becomes(api, found, "unknown")

        assert api.post(f"{MESSAGES}/{found}/retry").status_code == 200

        eventually(lambda: len(get(api, found)["attempts"]) == 2)
        held = becomes(api, found, "unknown")
    assert held["flags"] == ["resent"]
    assert [attempt["outcome"] for attempt in held["attempts"]] == ["unknown", "unknown"]


def test_an_unknown_message_is_held_unless_it_says_retry(api: httpx.Client) -> None:
    before = len(at_simulator(api, "+1 5550 000409"))
    with simulator(api, delays_ms=SILENT):
        held = sent(api, message("+1 5550 000409"), Prefer="respond-async")
        retried = message("+1 5550 000409", on_unknown="retry")
        resent = sent(api, retried, Prefer="respond-async")

        eventually(lambda: len(get(api, resent)["attempts"]) == 2)
        assert becomes(api, resent, "unknown")["flags"] == ["resent"]
        assert len(get(api, held)["attempts"]) == 1
        assert get(api, held)["status"] == "unknown"
    assert len(at_simulator(api, "+1 5550 000409")) == before + 3


# The rate


def test_a_sender_sends_evenly_and_never_above_its_rate(api: httpx.Client) -> None:
    number = somebody()
    for _ in range(4 * RATE):
        sent(api, message(number), Prefer="respond-async")

    eventually(lambda: len(at_simulator(api, number)) == 4 * RATE, within=10)

    moments = [moment(each["received_at"]) for each in at_simulator(api, number)]
    assert moments == sorted(moments)
    for first, one_too_many in zip(moments, moments[RATE:], strict=False):
        assert one_too_many - first >= timedelta(seconds=1)
    gaps = [(after - before).total_seconds() for before, after in pairwise(moments)]
    assert 1 / median(gaps) >= 0.9 * RATE
