"""What operators are told of attempts that were unknown: a counter, and a line of the log each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.acceptance.gateway import RunningGateway
from tests.acceptance.polling import eventually
from tests.acceptance.talk import (
    MESSAGES,
    assert_nothing_of_people,
    becomes,
    get,
    message,
    running,
    sent,
    simulator,
)

NEVER_ANSWERED = "+1 5550 000408"  # arrives, and its receipts come
HANGS_UP = "+1 5550 000409"
CONFIG = """
[dispatch]
connect_timeout_seconds = 1
call_timeout_seconds = 1
unknown_after_seconds = 1
"""


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[RunningGateway, httpx.Client]]:
    with running(tmp_path_factory.mktemp("decisions"), CONFIG) as gateway_and_client:
        yield gateway_and_client


@pytest.fixture(autouse=True)
def _no_row_of_five(both: tuple[RunningGateway, httpx.Client]) -> None:
    sent(both[1])  # answered, so that no five in a row end without an answer


def decisions(gateway: RunningGateway, message_id: str) -> list[dict[str, Any]]:
    """The lines of the log about one message, in order."""
    said = gateway.output().partition("--- stderr\n")[2].splitlines()
    lines = [json.loads(line) for line in said if '"unknown_decided"' in line]
    return [line for line in lines if line["message"] == message_id]


def counted(api: httpx.Client, decision: str) -> float:
    families = text_string_to_metric_families(api.get("/metrics").text)
    [family] = (each for each in families if each.name == "alir_unknown_decisions")
    wanted = {"sender": "sandbox", "decision": decision}
    return sum(sample.value for sample in family.samples if sample.labels == wanted)


def unknown(api: httpx.Client, to: str = HANGS_UP, **fields: Any) -> str:
    found = sent(api, message(to, **fields), Prefer="respond-async")
    becomes(api, found, "unknown")
    return found


def test_what_a_receipt_settles_is_told_as_settled_by_its_mark(
    both: tuple[RunningGateway, httpx.Client],
) -> None:
    gateway, api = both
    before = counted(api, "mark")
    with simulator(api, delays_ms={"sent": 2500, "delivered": None, "read": None}):
        found = unknown(api, NEVER_ANSWERED)
        becomes(api, found, "sent")

    [*_, line] = eventually(lambda: decisions(gateway, found))
    assert (line["decision"], line["status"], line["sender"]) == ("mark", "sent", "sandbox")
    assert counted(api, "mark") == before + 1


def test_what_stays_unknown_is_told_to_be_held_and_then_given_up(
    both: tuple[RunningGateway, httpx.Client],
) -> None:
    gateway, api = both
    before = {decision: counted(api, decision) for decision in ("held", "given_up")}
    found = unknown(api)
    [line] = eventually(lambda: decisions(gateway, found))
    assert (line["decision"], line["level"]) == ("held", "warning")
    api.post(f"{MESSAGES}/{found}/cancel").raise_for_status()

    told = eventually(lambda: lines if len(lines := decisions(gateway, found)) == 2 else None)
    assert [line["decision"] for line in told] == ["held", "given_up"]
    for decision, count in before.items():
        assert counted(api, decision) == count + 1


def test_what_alir_sends_once_more_is_told_and_a_second_unknown_is_held(
    both: tuple[RunningGateway, httpx.Client],
) -> None:
    gateway, api = both
    found = unknown(api, on_unknown="retry")
    told = eventually(
        lambda: lines if len(lines := decisions(gateway, found)) == 2 else None, within=10
    )

    assert [line["decision"] for line in told] == ["retried", "held"]
    assert len(get(api, found)["attempts"]) == 2


def test_what_is_told_of_decisions_names_nobody(
    both: tuple[RunningGateway, httpx.Client],
) -> None:
    gateway, api = both
    found = unknown(api)
    api.post(f"{MESSAGES}/{found}/cancel").raise_for_status()
    eventually(lambda: decisions(gateway, found))

    assert_nothing_of_people(gateway.output().partition("--- stderr\n")[2], "5550000409")
    assert_nothing_of_people(api.get("/metrics").text, "5550000409")
