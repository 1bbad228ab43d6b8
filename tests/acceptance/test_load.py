"""Many messages at once: each reaches the provider exactly once."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

from tests.acceptance.polling import eventually
from tests.acceptance.raw_http import post_all, request
from tests.acceptance.talk import MESSAGES, message, running

MANY = 10_000
CONNECTIONS = 256
SECONDS = 60


def test_ten_thousand_messages_over_256_connections_reach_the_simulator_once_each(
    tmp_path: Path,
) -> None:
    settings = {
        "ALIR_CLOUD__MESSAGES_PER_SECOND": "0",
        "ALIR_SIMULATOR__KEEP_MESSAGES": str(3 * MANY),
    }
    with running(tmp_path, **settings) as (gateway, api):
        requests = [
            request(gateway, json.dumps(message(f"+62813{n:07}")).encode()) for n in range(MANY)
        ]
        begun = time.monotonic()

        answers = post_all(gateway, requests, connections=CONNECTIONS)

        took = time.monotonic() - begun
        assert Counter(answer.status for answer in answers) == {200: MANY}
        ids = [answer.json()["data"]["id"] for answer in answers]
        assert len(set(ids)) == MANY
        received = api.get("/simulator/api/messages", timeout=30).json()["data"]
        marks = Counter(each["request"]["biz_opaque_callback_data"] for each in received)
        assert marks == Counter(f"alir1:{each}:1" for each in ids)
        numbers = Counter(each["request"]["to"] for each in received)
        assert set(numbers.values()) == {1}
        assert took < SECONDS

        def all_read() -> bool:
            listed = api.get(MESSAGES, params={"status": "read", "limit": 1}).json()["data"]
            waiting = [
                api.get(MESSAGES, params={"status": status, "limit": 1}).json()["data"]
                for status in ("queued", "sending", "accepted", "sent", "delivered")
            ]
            return bool(listed) and not any(waiting)

        eventually(all_read, within=SECONDS)
