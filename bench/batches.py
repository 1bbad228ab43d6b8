"""A batch of 1,000 messages beside the same 1,000 one by one, and whom it holds up meanwhile."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.contenders import Posting
from bench.rounds import Single

MESSAGES = 1_000
_TAKEN = 202


def in_batches(port: int, posting: Posting) -> Single:
    """One round, over one connection, on a server that sends nothing."""
    bodies = [posting.bodies[n % len(posting.bodies)] for n in range(MESSAGES)]
    problems: list[str] = []
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = posting.headers | {"Content-Type": "application/json"}

    def post(path: str, body: str) -> bytes:
        client.request("POST", path, body.encode(), headers)
        answer = client.getresponse()
        said = answer.read()
        if answer.status not in (200, _TAKEN):
            problems.append(f"{path} was answered {answer.status}")
        return said

    post(posting.path, bodies[0])  # opens the connection
    begun = time.perf_counter()
    for body in bodies:
        post(posting.path, body)
    one_by_one = time.perf_counter() - begun

    batch = f"[{','.join(bodies)}]"
    with _somebody_else(port) as waits:
        begun = time.perf_counter()
        said = post(f"{posting.path}/batch", batch)
        together = time.perf_counter() - begun
    taken = sum(item["status"] == _TAKEN for item in json.loads(said)["data"])
    if taken != MESSAGES:
        problems.append(f"of a batch of {MESSAGES} only {taken} were taken")
    client.close()
    figures = {
        "messages": 2.0 * MESSAGES,
        "batch_ms": together * 1000,
        "one_by_one_ms": one_by_one * 1000,
        "times": one_by_one / together,
        "others_waited_ms": max(waits) * 1000,
    }
    return Single(figures=figures, problems=problems)


@contextmanager
def _somebody_else(port: int) -> Iterator[list[float]]:
    """Somebody who asks over and over whether it is alive: the seconds that each answer took."""
    waits: list[float] = []
    has_begun, is_over = threading.Event(), threading.Event()

    def ask() -> None:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while not is_over.is_set():
            begun = time.perf_counter()
            client.request("GET", "/healthz")
            client.getresponse().read()
            waits.append(time.perf_counter() - begun)
            has_begun.set()
        client.close()

    asking = threading.Thread(target=ask)
    asking.start()
    has_begun.wait(timeout=60)
    try:
        yield waits
    finally:
        is_over.set()
        asking.join()
