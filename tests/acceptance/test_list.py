"""`GET /messages` over HTTP: filters, pages, and who sees what."""

from __future__ import annotations

import re
from typing import Any

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


def ids(api: httpx.Client, **filters: str | int) -> list[str]:
    answer = api.get(MESSAGES, params=filters)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["data"]]


def test_the_newest_comes_first_and_looks_as_by_itself(api: httpx.Client) -> None:
    number = somebody()
    found = [sent(api, message(number)) for _ in range(3)]
    for each in found:
        becomes(api, each, "read")

    listed = api.get(MESSAGES, params={"to": number}).json()

    assert listed["next_cursor"] is None
    assert listed["data"] == [get(api, each) for each in reversed(found)]


def test_each_filter_selects_what_it_names(api: httpx.Client) -> None:
    number = somebody()
    one = message(number)
    one["flow"] = one["flow"] | {"id": "4711", "token": "visit-4711"}
    first = sent(api, one)
    second = sent(api, message(number))
    failed = assert_problem(send(api, message("+1 5550 131009")), 422, "refused")["id"]
    between = get(api, second)["created_at"]
    for each in (first, second):
        becomes(api, each, "read")

    assert ids(api, to=number) == [second, first]
    assert ids(api, flow_id="4711") == [first]
    assert ids(api, flow_token="visit-4711") == [first]
    assert ids(api, to=number, status="read") == [second, first]
    assert ids(api, to=number, status="queued") == []
    assert failed in ids(api, status="failed")
    assert ids(api, to=number, **{"from": "sandbox"}) == [second, first]
    assert ids(api, to=number, **{"from": "nobody"}) == []
    assert first not in ids(api, since=between)
    assert ids(api, to=number, since=between) == [second]
    assert ids(api, to=number, until=between) == [first]
    assert ids(api, to=number, flow_id="4711", status="failed") == []


def test_a_walk_along_the_cursors_meets_every_message_once(api: httpx.Client) -> None:
    number = somebody()
    found = [sent(api, message(number), Prefer="respond-async") for _ in range(7)]

    pages: list[dict[str, Any]] = []
    cursor: str | None = None
    while not pages or cursor:
        filters = {"to": number, "limit": "3"} | ({"cursor": cursor} if cursor else {})
        pages.append(api.get(MESSAGES, params=filters).json())
        cursor = pages[-1]["next_cursor"]
        if len(pages) == 1:  # what comes meanwhile does not move the pages to come
            sent(api, message(number), Prefer="respond-async")

    assert [len(page["data"]) for page in pages] == [3, 3, 1]
    assert [each["id"] for page in pages for each in page["data"]] == found[::-1]


def test_a_last_page_that_is_full_has_no_next_one(api: httpx.Client) -> None:
    number = somebody()
    for _ in range(4):
        sent(api, message(number), Prefer="respond-async")

    page = api.get(MESSAGES, params={"to": number, "limit": 4}).json()

    assert (len(page["data"]), page["next_cursor"]) == (4, None)


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=", "#/limit"),
        ("limit=1.5", "#/limit"),
        ("limit=0", "#/limit"),
        ("limit=201", "#/limit"),
        ("limit=-1", "#/limit"),
        ("limit=many", "#/limit"),
        ("status=gone", "#/status"),
        ("since=yesterday", "#/since"),
        ("since=2026-01-01T00:00:00", "#/since"),
        ("until=9999999999999999", "#/until"),
        ("cursor=", "#/cursor"),
        ("cursor=next", "#/cursor"),
        ("cursor=%FF%00", "#/cursor"),
        ("cursor=AAAAAAAAAAA", "#/cursor"),
        ("cursor=__________8", "#/cursor"),
        ("to=0821", "#/to"),
        ("to=%2B62821xxxxxx", "#/to"),
        ("to=", "#/to"),
        ("too=%2B628211234567", "#/too"),
    ],
)
def test_a_query_that_means_nothing_is_refused_where_it_does(
    api: httpx.Client, query: str, pointer: str
) -> None:
    said = assert_problem(api.get(f"{MESSAGES}?{query}"), 422, "invalid_request")

    assert [error["pointer"] for error in said["errors"]] == [pointer]
    assert not re.search("[Ii]nput|[Ss]tring|[Vv]alid", said["errors"][0]["detail"])


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ("limit=many", "wrong_value", "a whole number from 1 to 200"),
        ("limit=201", "wrong_value", "a whole number from 1 to 200"),
        ("status=gone", "not_a_choice", "one of queued, sending, accepted"),
        (f"flow_id={'1' * 65}", "too_long", "at most 64 characters; this has 65"),
        ("to=0821", "country_code_missing", "the country code is missing"),
        ("cursor=next", "invalid_cursor", "next_cursor"),
        ("stats=read", "unknown_field", "did you mean status?"),
        ("zzz=1", "unknown_field", "known are status, to, flow_id"),
        ("status=read&status=sent", "repeated", "send it once"),
        ("limit=5&limit=5", "repeated", "send it once"),
    ],
)
def test_a_query_is_told_what_is_wrong_in_plain_words(
    api: httpx.Client, query: str, code: str, words: str
) -> None:
    [said] = assert_problem(api.get(f"{MESSAGES}?{query}"), 422, "invalid_request")["errors"]

    assert said["code"] == code
    assert words in said["detail"]


def test_all_faults_of_a_query_are_told_at_once(api: httpx.Client) -> None:
    answer = api.get(f"{MESSAGES}?limit=0&status=read&status=sent&since=now&too=1")

    assert errors(answer) == {
        "#/limit": "wrong_value",
        "#/status": "repeated",
        "#/since": "invalid_time",
        "#/too": "unknown_field",
    }


@pytest.mark.parametrize("length", [257, 512, 513, 5000])
@pytest.mark.parametrize("change", ["", "/cancel", "/retry"])
def test_an_id_of_any_length_that_no_message_has_is_not_found(
    api: httpx.Client, length: int, change: str
) -> None:
    method = "POST" if change else "GET"

    answer = api.request(method, f"{MESSAGES}/wamid.{'x' * (length - 6)}{change}")

    assert_problem(answer, 404, "not_found")


@pytest.mark.parametrize("limit", [1, 200])
def test_the_shortest_and_the_longest_page_are_given(api: httpx.Client, limit: int) -> None:
    assert api.get(MESSAGES, params={"limit": limit}).status_code == 200


# Several senders


def test_a_request_that_names_no_sender_is_told_which_there_are(
    two: tuple[RunningGateway, httpx.Client],
) -> None:
    _, api = two

    [error] = assert_problem(send(api), 422, "invalid_request")["errors"]

    assert (error["pointer"], error["code"]) == ("#/from", "missing")
    assert "jakarta, sandbox" in error["detail"]
    assert send(api, message(**{"from": "sandbox"})).status_code == 200


def test_an_api_token_sends_from_its_only_or_its_default_sender(
    two: tuple[RunningGateway, httpx.Client],
) -> None:
    gateway, api = two
    only = new_token(gateway, "only", "--sender", "sandbox")
    default = new_token(gateway, "default", "--default-sender", "sandbox")

    for token in (only, default):
        with client(gateway, token) as http:
            assert get(api, sent(http))["from"] == "sandbox"


def test_messages_of_other_senders_are_not_seen(two: tuple[RunningGateway, httpx.Client]) -> None:
    gateway, api = two
    number = somebody()
    mine = sent(api, message(number, **{"from": "sandbox"}))
    theirs = sent(api, message(number, **{"from": "jakarta"}), Prefer="respond-async")
    token = new_token(gateway, "sandbox-only", "--sender", "sandbox")

    with client(gateway, token) as http:
        assert ids(http, to=number) == [mine]
        assert ids(http, to=number, **{"from": "jakarta"}) == []
        for answer in (
            http.get(f"{MESSAGES}/{theirs}"),
            http.post(f"{MESSAGES}/{theirs}/cancel"),
            http.post(f"{MESSAGES}/{theirs}/retry"),
        ):
            assert_problem(answer, 404, "not_found")
        reply = send(http, message(number, reply_message_id=theirs))
        [error] = assert_problem(reply, 422, "invalid_request")["errors"]
        assert error["code"] == "unknown_message"
        refused = send(http, message(number, **{"from": "jakarta"}))
        assert_problem(refused, 403, "sender_not_allowed")
    assert ids(api, to=number) == [theirs, mine]


def test_a_message_of_another_sender_cannot_be_quoted(
    two: tuple[RunningGateway, httpx.Client],
) -> None:
    _, api = two
    number = somebody()
    earlier = sent(api, message(number, **{"from": "sandbox"}))

    answer = send(api, message(number, reply_message_id=earlier, **{"from": "jakarta"}))

    [error] = assert_problem(answer, 422, "invalid_request")["errors"]
    assert error["code"] == "other_conversation"
