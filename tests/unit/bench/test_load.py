"""The bench's own load generator against the bench's own provider, in one process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import TypeVar

import uvloop
from bench.load import Job, Report, perform, quantiles_ms
from bench.provider import Connection, Ledger

T = TypeVar("T")


def run(work: Coroutine[object, object, T]) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def perform_against(
    ledger: Ledger, *, count: int | None = None, rate: float | None = None
) -> Report:
    async def both() -> Report:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(ledger), "127.0.0.1", 0)
        async with server:
            job = Job(
                port=server.sockets[0].getsockname()[1],
                path="/v24.0/1/messages",
                headers={"Authorization": "Bearer bench"},
                bodies=[json.dumps({"biz_opaque_callback_data": mark}) for mark in "abc"],
                connections=4,
                seconds=0.1 if count is None else 30,
                count=count,
                rate=rate,
            )
            return await perform(job)

    return run(both())


def test_a_closed_load_makes_exactly_the_requests_it_was_asked_for() -> None:
    ledger = Ledger()

    report = perform_against(ledger, count=50)

    assert report.statuses == {"200": 50}
    assert report.lost == 0
    assert ledger.counts() == {"requests": 50, "messages": 3}


def test_an_open_load_offers_its_rate_whatever_the_answers_do() -> None:
    ledger = Ledger()

    report = perform_against(ledger, rate=200)

    assert report.statuses == {"200": 20}
    assert ledger.counts()["requests"] == 20
    assert set(report.late_ms) == {"p50", "p99", "max"}


def test_quantiles_are_values_that_occurred_and_p99_rounds_up() -> None:
    assert quantiles_ms([0.003, 0.001, 0.002]) == {"p50": 2.0, "p99": 3.0, "max": 3.0}
    assert quantiles_ms([]) == {}


def test_the_provider_counts_a_message_that_comes_twice_once() -> None:
    ledger = Ledger()

    first = json.loads(ledger.take(b'{"to": "+12015550100", "biz_opaque_callback_data": "m/1"}'))
    second = json.loads(ledger.take(b'{"biz_opaque_callback_data":"m/1"}'))
    ledger.take(b"{}")

    assert ledger.counts() == {"requests": 3, "messages": 2}
    assert first["contacts"][0]["wa_id"] == "12015550100"
    assert first["messages"][0]["id"] != second["messages"][0]["id"]
