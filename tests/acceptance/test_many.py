"""`POST /messages/cancel` and `/retry`: all that the filters select, and nobody else's."""

from __future__ import annotations

import httpx
import pytest
from tests.acceptance.gateway import RunningGateway
from tests.acceptance.talk import (
    MESSAGES,
    assert_problem,
    becomes,
    client,
    errors,
    get,
    message,
    new_token,
    send,
    sent,
    somebody,
)

LATER = "2999-01-01T00:00:00Z"
#: The simulator refuses whatever goes to this number.
REFUSED = "+15550131009"


def done(answer: httpx.Response) -> dict[str, int]:
    assert answer.status_code == 200, answer.text
    counts: dict[str, int] = answer.json()["data"]
    return counts


def test_what_waits_for_a_person_is_cancelled_and_what_went_out_is_skipped(
    api: httpx.Client,
) -> None:
    person, other = somebody(), somebody()
    gone = sent(api, message(person))
    becomes(api, gone, "read")
    waiting = [sent(api, message(person, send_at=LATER)) for _ in range(3)]
    others = sent(api, message(other, send_at=LATER))

    counts = done(api.post(f"{MESSAGES}/cancel", params={"to": person}))

    assert counts == {"cancelled": 3, "skipped": 1}
    assert {get(api, each)["status"] for each in waiting} == {"cancelled"}
    assert get(api, gone)["status"] == "read"
    assert get(api, others)["status"] == "queued"
    again = done(api.post(f"{MESSAGES}/cancel", params={"to": person}))
    assert again == {"cancelled": 0, "skipped": 4}


def test_what_failed_is_queued_once_more_and_sent_again(api: httpx.Client) -> None:
    failed = [send(api, message(REFUSED)).json()["id"] for _ in range(3)]

    counts = done(api.post(f"{MESSAGES}/retry", params={"to": REFUSED, "status": "failed"}))

    assert counts == {"retried": 3, "skipped": 0}
    for each in failed:
        becomes(api, each, "failed")
        assert len(get(api, each)["attempts"]) == 2


@pytest.mark.parametrize("deed", ["cancel", "retry"])
def test_a_call_without_a_filter_is_refused_and_says_which_there_are(
    api: httpx.Client, deed: str
) -> None:
    waiting = sent(api, message(send_at=LATER))

    answer = api.post(f"{MESSAGES}/{deed}", json={"status": "queued"})

    assert errors(answer) == {"#": "missing"}
    said = answer.json()["errors"][0]["detail"]
    assert "in the query: status, to, flow_id, flow_token, from, since, until" in said
    assert get(api, waiting)["status"] == "queued"


def test_what_is_wrong_with_the_filters_is_told_all_at_once(api: httpx.Client) -> None:
    query = "status=waiting&to=x&until=2999-01-01T00:00:00Z&until=2999-01-02T00:00:00Z&limit=5&x=1"

    answer = api.post(f"{MESSAGES}/cancel?{query}")

    assert errors(answer) == {
        "#/status": "not_a_choice",
        "#/to": "invalid_number",
        "#/limit": "unknown_field",
        "#/x": "unknown_field",
        "#/until": "repeated",
    }
    details = {fault["pointer"]: fault["detail"] for fault in answer.json()["errors"]}
    assert "pages are of the list only" in details["#/limit"]


def test_only_messages_of_the_tokens_senders_are_touched(
    two: tuple[RunningGateway, httpx.Client],
) -> None:
    gateway, api = two
    person = somebody()
    mine = sent(api, message(person, send_at=LATER, **{"from": "jakarta"}))
    theirs = sent(api, message(person, send_at=LATER, **{"from": "sandbox"}))
    bound = new_token(gateway, "bound", "--scope", "send", "--sender", "jakarta")
    with client(gateway, bound) as other:
        assert done(other.post(f"{MESSAGES}/cancel", params={"from": "sandbox"})) == {
            "cancelled": 0,
            "skipped": 0,
        }
        counts = done(other.post(f"{MESSAGES}/cancel", params={"until": LATER}))

    assert counts == {"cancelled": 1, "skipped": 0}
    assert get(api, mine)["status"] == "cancelled"
    assert get(api, theirs)["status"] == "queued"


def test_it_needs_the_right_to_send(two: tuple[RunningGateway, httpx.Client]) -> None:
    gateway, _ = two
    with client(gateway, new_token(gateway, "reader", "--scope", "read")) as reader:
        for deed in ("cancel", "retry"):
            assert_problem(
                reader.post(f"{MESSAGES}/{deed}", params={"to": "1"}), 403, "scope_missing"
            )
