"""What stands still after a refusal, and what goes on meanwhile, seen over HTTP."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from tests.acceptance.gateway import RunningGateway, free_port
from tests.acceptance.polling import eventually
from tests.acceptance.talk import (
    client,
    get,
    message,
    running,
    send,
    sent,
    simulator,
)

TOO_MANY_TO_ONE: Final = "+1 5550 131056"
#: How much later others may go out because one recipient stands still: what was promised.
AT_MOST_LATER: Final = 0.05  # seconds
MEASURED: Final = 150  # messages to others, with it and without


@pytest.mark.parametrize("comes", ["at_once", "by_receipt"])
def test_a_recipient_that_must_wait_delays_no_other(tmp_path: Path, comes: str) -> None:
    with running(tmp_path) as (_, api), simulator(api, codes={"131056": comes}):
        without = latencies(api, MEASURED)
        slow = [sent(api, message(TOO_MANY_TO_ONE), Prefer="respond-async") for _ in range(20)]
        eventually(lambda: any(was_told_to_wait(api, id_) for id_ in slow))
        with_it = latencies(api, MEASURED)
        waiting = [id_ for id_ in slow if get(api, id_)["status"] == "queued"]
        assert len(waiting) > 1, "hardly anything waited while it was measured"

    assert statistics.median(with_it) <= statistics.median(without) + AT_MOST_LATER
    assert late(with_it) <= late(without) + AT_MOST_LATER


def latencies(api: httpx.Client, count: int) -> list[float]:
    """Seconds until a provider had taken each of some messages, all to different persons."""
    found = []
    for _ in range(count):
        begun = time.perf_counter()
        answer = send(api)
        found.append(time.perf_counter() - begun)
        assert answer.status_code == 200, answer.text[:500]
    return found


def late(seconds: list[float]) -> float:
    """What one in twenty is above."""
    return statistics.quantiles(seconds, n=20)[-1]


def was_told_to_wait(api: httpx.Client, any_id: str) -> bool:
    """Whether 131056 has come, in either way."""
    shown = get(api, any_id)
    errors = [one["error"] for one in (*shown["attempts"], *shown["receipts"])]
    return "131056" in [error["provider_code"] for error in errors if error]


# A token that is refused

CLOUD: Final = """
[simulator]
enabled = true

[senders.main]
provider = "cloud"
phone_number_id = "1065000000"
access_token = {{ file = "secret" }}
app_secret = "simulator"
graph_url = "http://127.0.0.1:{port}/simulator/graph"
"""
ROUTE_MOBILE: Final = """
[simulator]
enabled = true

[senders.main]
provider = "routemobile"
username = "simulator"
password = {{ file = "secret" }}
callback_secret = "a-callback-secret-of-these-tests"
base_url = "http://127.0.0.1:{port}/simulator/routemobile"
"""
WAITING: Final = 30
#: The file is read again every 5 s, and whether that changed anything looked at every second.
SECONDS_TO_NOTICE: Final = 9.0


@pytest.mark.parametrize(
    ("config", "code"),
    [
        pytest.param(CLOUD, "190", id="cloud"),
        pytest.param(ROUTE_MOBILE, "HTTP 403", id="routemobile"),
    ],
)
def test_a_refused_secret_stops_the_sender_and_its_file_starts_it_again(
    tmp_path: Path, config: str, code: str
) -> None:
    secret, port = tmp_path / "secret", free_port()
    secret.write_text("expired\n")
    gateway = RunningGateway(tmp_path, config=config.format(port=port), port=port)
    with gateway, client(gateway, gateway.token) as api:
        first, _ = queued(api, Prefer="wait=1")  # it waits for its answer, and gets none
        others = [queued(api) for _ in range(WAITING)]

        assert max(seconds for _, seconds in others) < 2
        [attempt] = get(api, first["id"])["attempts"]
        assert (attempt["outcome"], attempt["error"]["provider_code"]) == ("busy", code)
        ids = [first["id"], *(one["id"] for one, _ in others)]
        assert all(get(api, id_)["status"] == "queued" for id_ in ids)
        assert all(get(api, id_)["attempts"] == [] for id_ in ids[1:])

        secret.write_text("simulator\n")

        eventually(lambda: all(is_taken(api, id_) for id_ in ids), within=SECONDS_TO_NOTICE)
        attempts = [[one["outcome"] for one in get(api, id_)["attempts"]] for id_ in ids]
        assert sorted(attempts) == [["accepted"]] * WAITING + [["busy", "accepted"]]
        received = api.get("/simulator/api/messages").json()["data"]
        assert Counter(one["to"] for one in received) == Counter(get(api, i)["to"] for i in ids)
        assert send(api, a_message()).status_code == 200


def a_message() -> dict[str, Any]:
    return message(**{"from": "main"})


def queued(api: httpx.Client, **headers: str) -> tuple[dict[str, Any], float]:
    """A message that waits, as it was answered, and how many seconds that took."""
    begun = time.perf_counter()
    answer = send(api, a_message(), **headers)
    took = time.perf_counter() - begun
    assert answer.status_code == 202, answer.text[:500]
    data: dict[str, Any] = answer.json()["data"]
    assert (data["status"], data["message"]) == ("queued", "Message Queued!")
    return data, took


def is_taken(api: httpx.Client, any_id: str) -> bool:
    return get(api, any_id)["status"] in ("accepted", "sent", "delivered", "read")
