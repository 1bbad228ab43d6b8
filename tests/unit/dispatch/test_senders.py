"""What is shown of a sender, as a pure function of its pauses."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.clock import START
from tests.examples import MAIN

from alir.dispatch.pause import Pause
from alir.dispatch.senders import About, Queue, as_json, why_paused
from alir.errors import PauseScope

ABOUT = About(
    provider="cloud", account="shop", messages_per_second=80, pair_seconds=6, pair_burst=45
)
QUEUE = Queue(due=3, oldest_due_at=START, unknown=1, paused_recipients=2)


def pause(scope: PauseScope, key: str = "", *, after: float = 0) -> Pause:
    since = START + timedelta(seconds=after)
    return Pause(sender=MAIN, scope=scope, key=key, title=f"why {scope}", since=since)


@pytest.mark.parametrize(
    ("scopes", "why"),
    [
        ([], None),
        ([PauseScope.RECIPIENT, PauseScope.FLOW], None),
        ([PauseScope.SENDER], PauseScope.SENDER),
        ([PauseScope.SENDER, PauseScope.ACCOUNT], PauseScope.ACCOUNT),
        ([PauseScope.ACCOUNT, PauseScope.SENDER, PauseScope.OPERATOR], PauseScope.OPERATOR),
    ],
)
def test_a_persons_word_comes_first_and_then_what_is_widest(
    scopes: list[PauseScope], why: PauseScope | None
) -> None:
    found = why_paused([pause(scope) for scope in scopes])

    assert (found and found.scope) == why


def test_recipients_are_counted_and_flows_are_named() -> None:
    pauses = [
        pause(PauseScope.RECIPIENT, "+10000000000"),
        pause(PauseScope.RECIPIENT, "+10000000001"),
        pause(PauseScope.FLOW, "4711", after=5),
    ]

    shown = as_json(MAIN, ABOUT, pauses, QUEUE, lambda pause: f"about {pause.key}")

    assert shown["paused"] is False
    assert shown["paused_recipients"] == 2
    assert shown["pauses"] == [
        {
            "scope": "flow",
            "flow_id": "4711",
            "code": None,
            "title": "why flow",
            "advice": "about 4711",
            "since": "2026-01-01T00:00:05.000Z",
            "until": None,
        }
    ]
    assert "+1000000000" not in str(shown)
    assert shown["queue"] == {"due": 3, "oldest_due_at": "2026-01-01T00:00:00.000Z", "unknown": 1}


def test_the_flow_of_a_template_is_not_named_for_nobody_here_knows_it() -> None:
    shown = as_json(MAIN, ABOUT, [pause(PauseScope.FLOW, "template:visit")], QUEUE, lambda _: None)

    [only] = shown["pauses"]
    assert (only["scope"], only["flow_id"], only["title"]) == ("flow", None, "why flow")
    assert shown["paused"] is False
