from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from pydantic import ValidationError

from alir.messages.model import ReceiptStatus
from alir.simulator.behaviour import ARRIVES, FAILS, GAP, Behaviour, Comes, plan
from alir.simulator.codes import error_codes

MESSAGES = 500


def planned(settings: str, *, seed: int = 1) -> list[tuple[float, ...]]:
    """For many messages: the moments of the first callbacks about sent, delivered and read."""
    behaviour = Behaviour.model_validate_json(settings)
    chance = Random(seed)
    return [
        tuple(each.after + each.calls[0] for each in plan(behaviour, ARRIVES, chance))
        for _ in range(MESSAGES)
    ]


def test_receipts_come_after_50_150_and_400_milliseconds_unless_told_otherwise() -> None:
    assert set(planned("{}")) == {(0.05, 0.15, 0.4)}


def test_delays_can_be_set_and_null_means_never() -> None:
    assert set(planned('{"delays_ms": {"sent": 0, "delivered": 1500, "read": null}}')) == {
        (0.0, 1.5)
    }


def test_jitter_makes_callbacks_late_but_never_early_or_too_late() -> None:
    for sent, delivered, read in planned('{"jitter_ms": 100}'):
        assert 0.05 <= sent < 0.15
        assert 0.15 <= delivered < 0.25
        assert 0.4 <= read < 0.5


def test_reordering_lets_callbacks_come_in_every_wrong_order_and_no_right_one() -> None:
    orders = {
        tuple(sorted(range(3), key=moments.__getitem__)) for moments in planned('{"reorder": 1}')
    }

    assert len(orders) == 5
    assert (0, 1, 2) not in orders


def test_reordered_callbacks_leave_apart_and_never_before_what_they_tell() -> None:
    for moments in planned('{"reorder": 1}'):
        first, second, third = sorted(moments)
        assert first >= 0.4
        assert second - first == pytest.approx(GAP)
        assert third - second == pytest.approx(GAP)


def test_a_probability_is_the_share_of_messages_that_are_reordered() -> None:
    right = Counter(moments == (0.05, 0.15, 0.4) for moments in planned('{"reorder": 0.3}'))

    assert 0.6 * MESSAGES < right[True] < 0.8 * MESSAGES


def test_dropping_takes_its_share_of_the_callbacks() -> None:
    behaviour = Behaviour(drop=0.25)
    chance = Random(1)
    calls = [each.calls for _ in range(MESSAGES) for each in plan(behaviour, ARRIVES, chance)]

    assert 0.2 < calls.count(()) / len(calls) < 0.3


def test_repeating_adds_the_callbacks_asked_for() -> None:
    behaviour = Behaviour.model_validate_json('{"repeat": {"probability": 1, "times": 2}}')

    [failed] = plan(behaviour, FAILS, Random(1))

    assert failed.calls == (0.0, GAP, 2 * GAP)


def test_what_comes_before_the_answer_comes_at_once_whatever_else_is_set() -> None:
    behaviour = Behaviour.model_validate_json(
        '{"before_answer": ["sent"], "jitter_ms": 1000, "reorder": 1}'
    )

    sent, *others = plan(behaviour, ARRIVES, Random(1))

    assert (sent.before_answer, sent.after, sent.calls) == (True, 0.0, (0.0,))
    assert not any(each.before_answer for each in others)


def test_the_same_seed_gives_the_same_fate() -> None:
    settings = '{"jitter_ms": 50, "reorder": 0.5, "repeat": {"probability": 0.5}}'

    assert planned(settings, seed=7) == planned(settings, seed=7)
    assert planned(settings, seed=7) != planned(settings, seed=8)


@pytest.mark.parametrize(
    ("settings", "certain"),
    [
        ("{}", True),
        ('{"drop": 1}', True),
        ('{"repeat": {"probability": 1}}', True),
        ('{"drop": 0.5}', False),
        ('{"reorder": 1}', False),
        ('{"jitter_ms": 1}', False),
    ],
)
def test_a_behaviour_knows_whether_anything_is_left_to_chance(settings: str, certain: bool) -> None:
    assert Behaviour.model_validate_json(settings).certain is certain


def test_how_a_code_comes_is_the_tables_unless_it_is_set() -> None:
    behaviour = Behaviour.model_validate_json(
        '{"codes": {"131056": "by_receipt", "131026": "at_once"}}'
    )

    codes = error_codes()
    assert behaviour.comes(codes[131056]) is Comes.BY_RECEIPT
    assert behaviour.comes(codes[131026]) is Comes.AT_ONCE
    assert behaviour.comes(codes[131049]) is Comes.BY_RECEIPT
    assert behaviour.comes(codes[190]) is Comes.AT_ONCE


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ('{"dorp": 0.5}', ("dorp",)),
        ('{"drop": 1.5}', ("drop",)),
        ('{"drop": "1"}', ("drop",)),
        ('{"drop": NaN}', ("drop",)),
        ('{"delays_ms": {"sent": -1}}', ("delays_ms", "sent")),
        ('{"delays_ms": {"seen": 1}}', ("delays_ms", "seen")),
        ('{"batch": {"size": 0}}', ("batch", "size")),
        ('{"batch": {"size": 1001}}', ("batch", "size")),
        ('{"repeat": {"times": 0}}', ("repeat", "times")),
        ('{"before_answer": ["seen"]}', ("before_answer", 0)),
        ('{"codes": {"131027": "at_once"}}', ("codes",)),
        ('{"codes": {"0131026": "at_once"}}', ("codes",)),
        ('{"codes": {"131026": "later"}}', ("codes", "131026")),
        ('{"seed": 1.5}', ("seed",)),
        ('{"limits": {"messages_per_second": 0}}', ("limits", "messages_per_second")),
        ('{"limits": {"pair_seconds": 0}}', ("limits", "pair_seconds")),
        ('{"limits": {"pair_burst": 0}}', ("limits", "pair_burst")),
        ('{"window": 1}', ("window",)),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(settings: str, where: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as error:
        Behaviour.model_validate_json(settings)

    assert [each["loc"] for each in error.value.errors()] == [where]


def test_every_status_of_a_receipt_has_a_delay() -> None:
    assert set(Behaviour().delays_ms.model_dump()) == {status.value for status in ReceiptStatus}
