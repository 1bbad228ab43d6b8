"""Three classes over HTTP: what is urgent goes first, and what can wait is not forgotten."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from tests.acceptance.gateway import RunningGateway
from tests.acceptance.polling import eventually
from tests.acceptance.raw_http import post_all, request
from tests.acceptance.talk import becomes, get, message, running, send, sent, somebody

PER_SECOND = 10
WAITING = 2_000  # bulk messages: more than three minutes at that pace
#: What may be on its way already, and the slot in five of what is lower.
A_FEW = 5
CONFIG = f"""
[cloud]
messages_per_second = {PER_SECOND}
"""


@dataclass(frozen=True)
class Paced:
    """A gateway whose sender is slow, and its simulator."""

    gateway: RunningGateway
    api: httpx.Client

    def queue(self, count: int, **fields: str) -> set[str]:
        """Send to so many persons without waiting for WhatsApp; who they are."""
        people = {somebody() for _ in range(count)}
        bodies = [json.dumps(message(to, **fields)).encode() for to in people]
        raw = [request(self.gateway, body, {"prefer": "respond-async"}) for body in bodies]
        answers = post_all(self.gateway, raw, connections=32)
        assert Counter(answer.status for answer in answers) == {202: count}
        return people

    def received(self) -> list[str]:
        """Whom WhatsApp got messages for, in that order."""
        answer = self.api.get("/simulator/api/messages")
        return [one["to"] for one in answer.json()["data"]]

    def received_from(self, since: int, count: int) -> list[str] | None:
        """So many of them after the first `since`, as soon as there are."""
        received = self.received()[since:]
        return received[:count] if len(received) >= count else None

    def slots_until(self, to: str, since: int) -> int:
        """How many others WhatsApp got before the message to this person, from then on."""
        eventually(lambda: to in self.received()[since:], within=10)
        return self.received()[since:].index(to)


@pytest.fixture(scope="module")
def paced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Paced]:
    """Bulk messages wait for minutes."""
    with running(tmp_path_factory.mktemp("order"), CONFIG) as (gateway, api):
        paced = Paced(gateway, api)
        paced.queue(WAITING, priority="bulk")
        yield paced


def test_a_single_message_goes_before_two_thousand_bulk_ones(paced: Paced) -> None:
    to, since = somebody(), len(paced.received())
    answer = send(paced.api, message(to))

    # It is not told to wait as long as they do: its caller gets the answer at once.
    assert (answer.status_code, answer.json()["data"]["status"]) == (200, "accepted")
    assert paced.slots_until(to, since) <= A_FEW


def test_a_bulk_message_behind_them_is_answered_at_once_and_shows_its_priority(
    paced: Paced,
) -> None:
    answer = send(paced.api, message(priority="bulk"), Prefer="wait=60")

    assert answer.status_code == 202
    assert answer.elapsed.total_seconds() < 5
    shown = get(paced.api, answer.json()["data"]["id"])
    assert (shown["priority"], shown["status"]) == ("bulk", "queued")


def test_while_singles_wait_one_in_five_is_bulk(paced: Paced) -> None:
    singles = paced.queue(4 * PER_SECOND)
    since = len(paced.received())
    received = eventually(lambda: paced.received_from(since, 3 * PER_SECOND), within=10)

    bulk = [to for to in received[5:25] if to not in singles]
    assert len(bulk) == pytest.approx(4, abs=1)


def test_a_reply_goes_before_singles_and_so_does_what_goes_to_who_just_wrote(
    paced: Paced,
) -> None:
    writer, replied = somebody(), somebody()
    becomes(paced.api, sent(paced.api, message(writer)), "read")
    phone = f"/simulator/api/phones/{writer}/messages"
    paced.api.post(phone, json={"text": "Hello?"}).raise_for_status()
    # Once this is read, what came half a second earlier is applied.
    first = sent(paced.api, message(replied))
    becomes(paced.api, first, "read")
    paced.queue(3 * PER_SECOND)
    since = len(paced.received())
    sent(paced.api, message(writer, priority="bulk"), Prefer="respond-async")
    reply = message(replied, reply_message_id=first, priority="bulk")
    answer = send(paced.api, reply)

    assert answer.status_code == 200
    assert get(paced.api, answer.json()["data"]["id"])["priority"] == "bulk"  # as it was asked for
    assert paced.slots_until(replied, since) <= A_FEW
    assert paced.slots_until(writer, since) <= A_FEW
