"""PostgreSQL goes away under load, for longer than anybody waits: nothing is lost, all resumes."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.acceptance.polling import eventually
from tests.acceptance.raw_http import post_all, request
from tests.acceptance.talk import all_messages, assert_problem, message, running, send
from tests.postgres import new_database, own_server

CONNECTIONS = 16
#: The issue's own figure.
OUTAGE_SECONDS = 30
#: That are answered before the outage, and after it.
MESSAGES_OF_LOAD = 500
A_PORTION = 50


@pytest.mark.timeout(240)
def test_postgresql_stopped_under_load_loses_nothing_and_all_resumes_by_itself(
    tmp_path: Path,
) -> None:
    statuses: Counter[int] = Counter()
    answered: dict[str, int] = {}
    over = threading.Event()
    with own_server() as server, new_database(server.url) as url:
        environment = {
            "ALIR_DATABASE": url,
            "ALIR_CLOUD__MESSAGES_PER_SECOND": "0",
            "ALIR_SIMULATOR__KEEP_MESSAGES": "100000",
        }
        with running(tmp_path, **environment) as (gateway, api):

            def load() -> None:
                number = 0
                while not over.is_set():
                    bodies = [message(f"+62813{number + n:07}") for n in range(A_PORTION)]
                    number += A_PORTION
                    raw = [request(gateway, json.dumps(body).encode()) for body in bodies]
                    for answer in post_all(gateway, raw, connections=CONNECTIONS):
                        statuses[answer.status] += 1
                        if answer.status < 300:
                            answered[answer.json()["data"]["id"]] = answer.status

            with ThreadPoolExecutor(1) as aside:
                loading = aside.submit(load)
                try:
                    eventually(lambda: len(answered) > MESSAGES_OF_LOAD, within=30)
                    server.stop()
                    before = len(answered)
                    assert_problem(send(api), 503, "store_unavailable")
                    time.sleep(OUTAGE_SECONDS)
                    server.start()
                    eventually(lambda: send(api).status_code == 200, within=15)
                    eventually(lambda: len(answered) > before + MESSAGES_OF_LOAD, within=30)
                finally:
                    over.set()
                loading.result()

            assert set(statuses) == {200, 202, 503} or set(statuses) == {200, 503}
            listed = eventually(lambda: all_once_quiet(api), within=60)
            received = api.get("/simulator/api/messages", timeout=60).json()["data"]
            marks = Counter(
                each["request"]["biz_opaque_callback_data"].split(":")[1] for each in received
            )
            assert set(answered) - set(listed) == set()
            assert set(marks) - set(listed) == set()
            assert max(marks.values()) == 1
            sent_on = {id_ for id_, each in listed.items() if each["status"] == "read"}
            assert sent_on - set(marks) == set()
            assert {each["status"] for each in listed.values()} <= {"read", "unknown"}


def all_once_quiet(api: httpx.Client) -> dict[str, Any] | None:
    """Every message by its id, once none is queued or on its way."""
    listed = {each["id"]: each for each in all_messages(api)}
    at_rest = all(each["status"] in {"read", "unknown", "failed"} for each in listed.values())
    return listed if at_rest else None
