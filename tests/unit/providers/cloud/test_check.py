"""What Graph's answers say of a sender."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from alir.providers.cloud.check import of_health, of_number, of_secret, of_subscription
from alir.providers.cloud.check import of_throughput as throughput
from alir.providers.finding import Finding, Reply, State
from alir.providers.whatsapp.codes import meanings

TOKEN = "EAAa-token-of-these-tests"
OK, WRONG, WARNING, UNKNOWN = State.OK, State.WRONG, State.WARNING, State.UNKNOWN


def reply(content: dict[str, Any], status: int = 200) -> Reply:
    return Reply(status, content, orjson.dumps(content))


def error(code: int, subcode: int | None = None, message: str = "No") -> Reply:
    return reply({"error": {"code": code, "error_subcode": subcode, "message": message}}, 400)


def states(found: list[Finding]) -> dict[str, State]:
    return {each.about: each.state for each in found}


@pytest.mark.parametrize(
    ("answer", "token", "number"),
    [
        (reply({"id": "1", "display_phone_number": "+1"}), OK, OK),
        (error(190), WRONG, UNKNOWN),
        (error(102), WRONG, UNKNOWN),
        (error(10), WRONG, UNKNOWN),
        (error(200), WRONG, UNKNOWN),
        (error(104), WRONG, UNKNOWN),
        (error(100, 33), OK, WRONG),
        (error(803), OK, WRONG),
        (error(100), UNKNOWN, UNKNOWN),
        (error(80007), UNKNOWN, UNKNOWN),
        (error(2), UNKNOWN, UNKNOWN),
    ],
)
def test_an_error_about_the_number_tells_what_is_wrong(
    answer: Reply, token: State, number: State | None
) -> None:
    found = of_number(answer, meanings(), secrets=(TOKEN,))

    assert states(found).get("access token") is token
    assert states(found).get("number id") is number
    assert all(each.advice for each in found if each.state is WRONG)


def test_a_token_that_meta_repeats_is_not_shown() -> None:
    answer = error(190, message=f"Malformed access token {TOKEN}")

    lines = "\n".join(each.line() for each in of_number(answer, meanings(), secrets=(TOKEN,)))

    assert "Malformed access token [secret]" in lines
    assert TOKEN not in lines


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (reply({"id": "1"}), OK),
        (error(100), WRONG),
        (error(104), WRONG),
        (error(4), UNKNOWN),
        (Finding(WRONG, "connection", "nobody there"), UNKNOWN),
    ],
)
def test_a_proof_that_is_refused_means_another_app_secret(
    answer: Reply | Finding, state: State
) -> None:
    assert of_secret(answer).state is state


@pytest.mark.parametrize(
    ("level", "per_second", "state"),
    [
        ("STANDARD", 80, OK),
        ("STANDARD", 20, OK),
        ("STANDARD", 81, WARNING),
        ("STANDARD", 0, WARNING),
        ("HIGH", 1000, OK),
        ("HIGH", 1001, WARNING),
        ("NOT_APPLICABLE", 80, UNKNOWN),
        (None, 80, UNKNOWN),
    ],
)
def test_more_than_meta_allows_is_warned_of(
    level: str | None, per_second: float, state: State
) -> None:
    assert throughput({"throughput": {"level": level}}, per_second).state is state


def test_health_is_told_for_each_entity_with_its_reasons() -> None:
    entities = [
        {"entity_type": "PHONE_NUMBER", "id": "1", "can_send_message": "AVAILABLE"},
        {
            "entity_type": "WABA",
            "id": "2",
            "can_send_message": "LIMITED",
            "additional_info": ["Your business is not verified."],
        },
        {
            "entity_type": "BUSINESS",
            "id": "3",
            "can_send_message": "BLOCKED",
            "errors": [
                {
                    "error_code": 141006,
                    "error_description": "There is a payment issue.",
                    "possible_solution": "Pay.",
                }
            ],
        },
        {"entity_type": "NEW_KIND", "id": "4", "can_send_message": 7},
    ]

    found = of_health({"health_status": {"entities": entities}})

    assert [each.line() for each in found] == [
        "ok       health of the number: can send",
        "warning  health of the account: can send, with limits (Your business is not verified)",
        "wrong    health of the business: cannot send (141006: There is a payment issue: Pay)",
        "unknown  health of the new_kind: Meta says nothing",
    ]
    assert [each.state for each in of_health({"health_status": []})] == [UNKNOWN]


def apps(*ids: str) -> Reply:
    return reply({"data": [{"whatsapp_business_api_data": {"id": each}} for each in ids]})


@pytest.mark.parametrize(
    ("answer", "ours", "state"),
    [
        (apps("7", "8"), ["8"], OK),
        (apps(), ["8"], WRONG),
        (apps("7"), ["8"], WRONG),
        (apps("7"), [], UNKNOWN),
        (error(10), ["8"], UNKNOWN),
        (reply({"data": None}), ["8"], UNKNOWN),
        (Finding(WRONG, "connection", "nobody there"), ["8"], UNKNOWN),
    ],
)
def test_callbacks_come_only_to_an_app_that_is_subscribed(
    answer: Reply | Finding, ours: list[str], state: State
) -> None:
    assert of_subscription(answer, "2", ours).state is state
