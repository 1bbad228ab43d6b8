"""A database that takes no writes for a while: nothing is half accepted, nothing is lost."""

from __future__ import annotations

import hmac
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
from tests.acceptance.gateway import RunningGateway
from tests.acceptance.polling import eventually
from tests.acceptance.talk import (
    CALLBACKS,
    MESSAGES,
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


def signature(body: bytes) -> dict[str, str]:
    digest = hmac.digest(b"simulator", body, "sha256").hex()
    return {"x-hub-signature-256": f"sha256={digest}"}


@contextmanager
def held(gateway: RunningGateway) -> Iterator[None]:
    """Nobody else can write to the gateway's database inside this context."""
    with closing(sqlite3.connect(gateway.folder / "alir.db", isolation_level=None)) as holder:
        holder.execute("PRAGMA busy_timeout = 10000")
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.execute("ROLLBACK")


def test_while_the_store_takes_nothing_requests_are_answered_503_and_forgotten(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as (gateway, api), ThreadPoolExecutor(4) as aside:
        before = sent(api)
        becomes(api, before, "read")
        number = somebody()
        with held(gateway):
            asked = aside.submit(send, api, message(number), Idempotency_Key="held")
            ready = aside.submit(httpx.get, f"{gateway.url}/readyz", timeout=30)
            cancelled = aside.submit(api.post, f"{MESSAGES}/{before}/cancel", timeout=30)
            called = aside.submit(
                api.post, CALLBACKS, headers=signature(b"{}"), content=b"{}", timeout=30
            )

            for _ in range(10):  # nobody else is held up
                assert httpx.get(f"{gateway.url}/healthz", timeout=1).status_code == 200
            refused = asked.result(30)
            said = assert_problem(refused, 503, "store_unavailable")
            assert int(refused.headers["retry-after"]) > 0
            assert "id" not in said
            assert ready.result(30).status_code == 503
            assert_problem(cancelled.result(30), 503, "store_unavailable")
            assert_problem(called.result(30), 503, "store_unavailable")
            assert get(api, before)["status"] == "read"  # what is there can still be read

        assert api.get(MESSAGES, params={"to": number}).json()["data"] == []
        again = send(api, message(number), Idempotency_Key="held")
        assert again.status_code == 200
        assert "idempotency-replayed" not in again.headers
        assert len(at_simulator(api, number)) == 1
        assert httpx.get(f"{gateway.url}/readyz").status_code == 200


def test_receipts_that_come_while_the_store_takes_nothing_are_told_again(tmp_path: Path) -> None:
    with running(tmp_path) as (gateway, api):
        with simulator(api, delays_ms={"sent": 300, "delivered": 350, "read": 400}):
            found = sent(api)
        with held(gateway):
            assert get(api, found)["status"] == "accepted"
            deadline = time.monotonic() + 20
            while not any(
                receipt["callback"]["tries"] > 1
                for receipt in at_simulator(api, get(api, found)["to"])[0]["receipts"]
            ):
                assert time.monotonic() < deadline

        becomes(api, found, "read", within=15)
        # Each is told again for itself, so that one may come after `read`.
        eventually(lambda: len(get(api, found)["receipts"]) == 3, within=15)
