"""What Route Mobile's answers say of a sender."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from alir.providers.finding import Finding, Reply, State
from alir.providers.routemobile.check import of_account, of_callback, of_log_in, of_no_account

SECRET = "the-callback-secret-of-these-tests"
PASSWORD = "the-password-of-these-tests"
OK, WRONG, WARNING, UNKNOWN = State.OK, State.WRONG, State.WARNING, State.UNKNOWN


def reply(content: dict[str, Any], status: int) -> Reply:
    return Reply(status, content, orjson.dumps(content))


@pytest.mark.parametrize(
    ("content", "status", "state"),
    [
        ({"JWTAUTH": "a.b.c"}, 201, OK),
        ({"status": f"wrong password {PASSWORD}"}, 403, WRONG),
        ({"message": "no"}, 401, WRONG),
        ({"message": "nothing here"}, 404, WRONG),
        ({"message": "slow down"}, 429, UNKNOWN),
        ({"message": "broken"}, 500, UNKNOWN),
        ({}, 200, UNKNOWN),
    ],
)
def test_a_log_in_tells_whether_user_and_password_are_right(
    content: dict[str, Any], status: int, state: State
) -> None:
    found = of_log_in(reply(content, status), secrets=(PASSWORD,))

    assert found.state is state
    assert PASSWORD not in found.line()
    assert (found.advice is not None) is (state is WRONG)


@pytest.mark.parametrize(
    ("url", "state", "said"),
    [
        (f"https://alir.test/callbacks/routemobile/{SECRET}", OK, "at alir.test"),
        (f"https://alir.test/behind/callbacks/routemobile/{SECRET}", OK, "at alir.test"),
        ("https://alir.test/callbacks/routemobile/another", WRONG, "not this sender's"),
        (f"https://alir.test/callbacks/routemobile/{SECRET}/", WRONG, "not this sender's"),
        (f"https://alir.test/callbacks/routemobile/x{SECRET}", WRONG, "not this sender's"),
        (f"https://u:p@other.test/hook/{SECRET}", WRONG, "to other.test"),
        ("", WRONG, "has none"),
        (None, WRONG, "has none"),
        ("http://[", WRONG, "no URL"),
    ],
)
def test_a_callback_url_is_right_only_where_it_ends_with_the_secret(
    url: object, state: State, said: str
) -> None:
    found = of_callback(url, SECRET)

    assert found.state is state
    assert said in found.said
    for secret in (SECRET, "another", "u:p"):
        assert secret not in found.line()


def test_an_account_tells_how_its_number_is() -> None:
    number = {"number_status": "FLAGGED", "rejection_reason": "Spam", "number_quality": "low"}

    found = of_account({"phone_number_updates": number}, callback_secret=SECRET)

    assert [(each.about, each.state) for each in found] == [
        ("callback URL", WRONG),
        ("number", WARNING),
        ("quality", WARNING),
    ]
    assert "FLAGGED (Spam)" in found[1].said
    assert [each.state for each in of_account({}, callback_secret=SECRET)[1:]] == [UNKNOWN] * 2


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (reply({}, 401), WRONG),
        (reply({}, 403), UNKNOWN),
        (Finding(WRONG, "connection", "nobody there"), UNKNOWN),
    ],
)
def test_details_that_are_not_to_be_had_are_explained(
    answer: Reply | Finding, state: State
) -> None:
    found = of_no_account(answer, authorization="raw")

    assert found.state is state
    assert state is UNKNOWN or 'authorization = "bearer"' in str(found.advice)
