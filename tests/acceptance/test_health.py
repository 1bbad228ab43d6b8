"""`/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

import re

import httpx
import pytest
from tests.acceptance.polling import eventually
from tests.acceptance.talk import PEOPLE, PRIVATE, becomes, message, send, sent, somebody


def sample(api: httpx.Client, name: str) -> float:
    """The value of one line of the metrics, 0 where there is none."""
    for line in api.get("/metrics").text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.rpartition(" ")[2])
    return 0.0


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_gateway_that_runs_is_healthy_and_ready(api: httpx.Client, path: str) -> None:
    answer = httpx.get(f"{api.base_url}".rstrip("/") + path)  # without an API token

    assert (answer.status_code, answer.text) == (200, "ok\n")


def test_the_metrics_count_what_happened(api: httpx.Client) -> None:
    accepted = 'alir_messages_accepted_total{sender="sandbox"}'
    outcome = 'alir_outcomes_total{outcome="%s",sender="sandbox"}'
    read = 'alir_receipts_total{sender="sandbox",status="read"}'
    before = {
        name: sample(api, name)
        for name in (accepted, outcome % "accepted", outcome % "refused", read)
    }

    becomes(api, sent(api), "read")
    send(api, message("+1 5550 131009"))

    assert sample(api, accepted) == before[accepted] + 2
    assert sample(api, outcome % "accepted") == before[outcome % "accepted"] + 1
    assert sample(api, outcome % "refused") == before[outcome % "refused"] + 1
    eventually(lambda: sample(api, read) == before[read] + 1)


def test_the_metrics_tell_of_the_queue_and_of_how_long_things_took(api: httpx.Client) -> None:
    sent(api)

    text = api.get("/metrics").text

    for name in (
        'alir_queue_depth{sender="sandbox"}',
        'alir_queue_age_seconds{sender="sandbox"}',
        'alir_request_seconds_bucket{le="+Inf",route="send"}',
        'alir_request_seconds_bucket{le="+Inf",route="callback"}',
        'alir_provider_call_seconds_bucket{le="+Inf",sender="sandbox"}',
        'alir_commit_seconds_bucket{le="+Inf"}',
        "process_resident_memory_bytes",
    ):
        assert f"\n{name} " in text


def test_the_metrics_name_no_person(api: httpx.Client) -> None:
    for status in ("read", "failed"):
        number = somebody() if status == "read" else "+1 5550 131026"
        becomes(api, sent(api, message(number, callback_data=PRIVATE)), status)

    answer = api.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert PRIVATE not in answer.text
    labels = " ".join(re.findall(r"\{(.*)\}", answer.text))
    assert PEOPLE.removeprefix("+") not in labels
    assert not re.search(r"\d{7,}", labels)
    assert "msg_" not in labels
