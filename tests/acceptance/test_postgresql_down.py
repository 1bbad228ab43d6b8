"""PostgreSQL goes away under load, for longer than anybody waits: nothing is lost, all resumes."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.polling import eventually
from tests.acceptance.raw_http import post_all, request
from tests.acceptance.talk import MESSAGES, assert_problem, message, running, send
from tests.postgres import new_database, own_server

CONNECTIONS = 16
#: The issue's own figure.
OUTAGE_SECONDS = 30
#: Of load, before the outage and after it.
LOAD_SECONDS = 2
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

            loading = threading.Thread(target=load)
            loading.start()
            try:
                time.sleep(LOAD_SECONDS)
                server.stop()
                before = len(answered)
                assert_problem(send(api), 503, "store_unavailable")
                time.sleep(OUTAGE_SECONDS)
                server.start()
                eventually(lambda: send(api).status_code == 200, within=15)
                time.sleep(LOAD_SECONDS)
            finally:
                over.set()
                loading.join()

            assert before > A_PORTION, "there was hardly any load"
            assert len(answered) > before + A_PORTION
            assert set(statuses) == {200, 202, 503} or set(statuses) == {200, 503}
            listed: dict[str, Any] = {}
            cursor: dict[str, str] = {}
            while True:
                page = api.get(MESSAGES, params={"limit": "200", **cursor}, timeout=30).json()
                listed |= {each["id"]: each for each in page["data"]}
                if page["next_cursor"] is None:
                    break
                cursor = {"cursor": page["next_cursor"]}
            received = api.get("/simulator/api/messages", timeout=60).json()["data"]
            marks = Counter(
                each["request"]["biz_opaque_callback_data"].split(":")[1] for each in received
            )
            assert set(answered) - set(listed) == set()
            assert set(marks) - set(listed) == set()
            assert max(marks.values()) == 1
            taken = {id_ for id_, each in listed.items() if each["status"] in ("sent", "read")}
            assert taken - set(marks) == set()
