"""What a provider allows is used to the full and never passed: two senders, and a strict WhatsApp.

The simulator runs alone and takes no more than Meta does. What it received, and when, is what is
judged; what it refused, it counts.
"""

from __future__ import annotations

import json
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

import httpx
import pytest
from tests.acceptance.gateway import RunningGateway, RunningSimulator
from tests.acceptance.polling import eventually
from tests.acceptance.raw_http import post_all, request
from tests.acceptance.talk import MESSAGES, PEOPLE, all_messages, client, message

SENDERS: Final = {"north": "1065000001", "south": "1065000002"}  # name: phone number id
#: Meta's limits of a new number. Source: Meta, "Throughput", read 2026-09-11.
PER_SECOND: Final = 80
META: Final = {"messages_per_second": PER_SECOND, "pair_seconds": 6, "pair_burst": 45}
#: What nobody told alir of.
LOWERED: Final = {"messages_per_second": 40, "pair_seconds": 6, "pair_burst": 1}
#: How much of what is allowed must be used; alir means to use 97 %.
USED: Final = 0.95
#: A run counts if one of so many has no refusal and reaches its rate: where others hold the
#: machine up, calls are delayed by more than any margin. That nothing is lost counts in each.
TRIES: Final = 3
CONNECTIONS: Final = 32
#: Between what persons write to one sender.
BETWEEN_WRITING_SECONDS: Final = 0.25
#: Far longer than any of these runs takes.
WITHIN_SECONDS: Final = 100.0
#: Asking costs the gateway whose pace is measured.
LOOK_SECONDS: Final = 0.5

#: A folder of files that are only in memory, on Linux.
MEMORY: Final = Path("/dev/shm")
SENDER: Final = """
[senders.{name}]
provider = "cloud"
phone_number_id = "{number_id}"
access_token = "simulator"
app_secret = "simulator"
graph_url = "{simulator}/graph"
"""


@dataclass(frozen=True, slots=True)
class Both:
    """A gateway and the simulator that it sends to, each in a process of its own."""

    gateway: RunningGateway
    api: httpx.Client
    whatsapp: httpx.Client

    def limit(self, **limits: int) -> None:
        """From now on the simulator takes no more than this."""
        self.whatsapp.put("/api/behaviour", json={"limits": limits}).raise_for_status()

    def errors(self) -> dict[str, int]:
        """How often the simulator refused with which code."""
        counts: dict[str, int] = self.whatsapp.get("/api/errors").json()["data"]
        return counts

    def received(self, name: str) -> list[dict[str, Any]]:
        """What the simulator took from one sender, oldest first."""
        answer = self.whatsapp.get("/api/messages", params={"sender": SENDERS[name]})
        found: list[dict[str, Any]] = answer.json()["data"]
        return found

    def post(self, messages: Sequence[tuple[str, str]]) -> list[str]:
        """Send to each (sender, recipient), without waiting for WhatsApp; the messages' ids."""
        raw = [
            request(
                self.gateway,
                json.dumps(message(to, **{"from": name})).encode(),
                {"prefer": "respond-async"},
            )
            for name, to in messages
        ]
        answers = post_all(self.gateway, raw, connections=CONNECTIONS)
        assert Counter(answer.status for answer in answers) == {202: len(messages)}
        return [answer.json()["data"]["id"] for answer in answers]

    def await_all_read(self, messages: int) -> None:
        """Until every message that the gateway was ever given is read, so many in all."""
        for status in ("queued", "sending", "accepted", "sent", "delivered"):
            eventually(partial(self._has_none, status), within=WITHIN_SECONDS)
        for status in ("failed", "unknown", "expired", "cancelled"):
            assert not self._page(status=status)["data"]
        assert sum(1 for _ in all_messages(self.api, status="read")) == messages

    def _has_none(self, status: str) -> bool:
        if not self._page(status=status, limit=1)["data"]:
            return True
        time.sleep(LOOK_SECONDS)
        return False

    def _page(self, **query: str | int) -> dict[str, Any]:
        answer = self.api.get(MESSAGES, params=query, timeout=30)
        assert answer.status_code == 200, answer.text
        page: dict[str, Any] = answer.json()
        return page


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """One in memory, where there is such: how long others hold the disk up is not judged here."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        yield Path(name)


@pytest.fixture
def both(folder: Path) -> Iterator[Both]:
    """Two senders at a simulator that takes as much as Meta does."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    options = ["--callback-url", f"{url}/callbacks/cloud"]
    with RunningSimulator(folder, options=options) as simulator:
        tables = [
            SENDER.format(name=name, number_id=number_id, simulator=simulator.url)
            for name, number_id in SENDERS.items()
        ]
        gateway = RunningGateway(folder, config="".join(tables))
        gateway.url = url
        with (
            gateway,
            client(gateway, gateway.token) as api,
            httpx.Client(base_url=simulator.url, timeout=30) as whatsapp,
        ):
            found = Both(gateway, api, whatsapp)
            found.limit(**META)
            yield found


@contextmanager
def persons_writing(both: Both) -> Iterator[dict[str, list[datetime]]]:
    """Persons write to every sender all the time; when they did so to which."""
    written: dict[str, list[datetime]] = {name: [] for name in SENDERS}
    over = Event()

    def write() -> None:
        number = 0
        while not over.wait(BETWEEN_WRITING_SECONDS):
            number += 1
            for name, number_id in SENDERS.items():
                path = f"/api/phones/{PEOPLE}9{number:06}/messages"
                writing = {"text": "Is there a table?", "sender": number_id}
                answer = both.whatsapp.post(path, json=writing)
                written[name].append(datetime.fromisoformat(answer.json()["data"]["written_at"]))

    writer = Thread(target=write)
    writer.start()
    try:
        yield written
    finally:
        over.set()
        writer.join()


def per_second(received: Sequence[dict[str, Any]], heard: Sequence[datetime] = ()) -> float:
    """How many a second there were from the first to the last that came, those heard included."""
    moments = sorted(datetime.fromisoformat(each["received_at"]) for each in received)
    first, last = moments[0], moments[-1]
    meanwhile = sum(first < moment < last for moment in heard)
    return (len(moments) - 1 + meanwhile) / (last - first).total_seconds()


def to_each(persons: int, *, times: int, first: int = 0) -> list[tuple[str, str]]:
    """Each sender to each of so many persons, one after the other, so many times over."""
    numbers = [f"{PEOPLE}{first + number:07}" for number in range(persons)]
    return [(name, to) for _ in range(times) for to in numbers for name in SENDERS]


def assert_each_was_taken_once(both: Both, ids: Sequence[str]) -> None:
    """The simulator took each of these messages, and none of them twice."""
    taken = Counter(
        each["request"]["biz_opaque_callback_data"].split(":")[1]
        for name in SENDERS
        for each in both.received(name)
    )
    assert taken == Counter(ids)


@pytest.mark.timeout(300)
def test_two_thousand_messages_are_never_refused_and_use_what_is_allowed(both: Both) -> None:
    ids: list[str] = []
    runs: list[tuple[float, dict[str, int]]] = []
    for again in range(TRIES):
        ids += both.post(to_each(500, times=2, first=500 * again))
        assert len(ids) == 2000 * (again + 1)
        both.await_all_read(len(ids))
        assert_each_was_taken_once(both, ids)
        rate = min(per_second(both.received(name)[-1000:]) for name in SENDERS)
        if is_clean(both, rate, runs):
            return
    raise AssertionError(f"it was refused, or sent too little a second: {runs}")


def is_clean(both: Both, rate: float, runs: list[tuple[float, dict[str, int]]]) -> bool:
    """Whether nothing was refused in the latest run, and what is allowed was used."""
    before = Counter(runs[-1][1]) if runs else Counter[str]()
    runs.append((rate, both.errors()))
    return not Counter(runs[-1][1]) - before and rate >= USED * PER_SECOND


@pytest.mark.timeout(200)
def test_it_backs_off_where_less_is_allowed_than_it_was_told(both: Both) -> None:
    ids = both.post(to_each(50, times=1))
    both.limit(**LOWERED)
    ids += both.post(to_each(100, times=2, first=1000))
    both.await_all_read(500)

    assert_each_was_taken_once(both, ids)
    refused = both.errors()
    assert refused.keys() == {"130429", "131056"}
    # Calls under way when the first is refused, and those that try whether it is over.
    assert refused["130429"] < 120
    # Every second message of a pair is early, and after the first pause of 4 s early once more.
    assert refused["131056"] < 3 * 200


@pytest.mark.timeout(200)
def test_what_persons_write_counts_as_what_is_sent(both: Both) -> None:
    ids: list[str] = []
    runs: list[tuple[float, dict[str, int]]] = []
    with persons_writing(both) as written:
        for again in range(TRIES):
            ids += both.post(to_each(500, times=1, first=500 * again))
            both.await_all_read(len(ids))
            assert_each_was_taken_once(both, ids)
            rate = min(per_second(both.received(name)[-500:], written[name]) for name in SENDERS)
            if is_clean(both, rate, runs):
                return
    raise AssertionError(f"it was refused, or there were too few a second: {runs}")
