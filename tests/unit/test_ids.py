"""Identifiers: one form each, never twice, in the order of time."""

from __future__ import annotations

import re
import time

import pytest

from alir.ids import event_id, new_api_token_id, new_message_id

#: Crockford's base 32: no I, L, O or U. The first digit holds the three highest of 128 bits.
ULID = r"[0-7][0-9A-HJKMNP-TV-Z]{25}"
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def _milliseconds(ulid: str) -> int:
    """The moment in a ULID, read as its specification says."""
    value = 0
    for digit in ulid[:10]:
        value = value * 32 + _DIGITS.index(digit)
    return value


@pytest.mark.parametrize(("make", "prefix"), [(new_message_id, "msg"), (new_api_token_id, "tok")])
def test_a_new_id_is_its_prefix_and_a_ulid(make: object, prefix: str) -> None:
    assert callable(make)
    assert re.fullmatch(rf"{prefix}_{ULID}", make())


def test_no_id_is_made_twice() -> None:
    made = [new_message_id() for _ in range(20_000)]

    assert len(set(made)) == len(made)


def test_an_id_holds_the_moment_at_which_it_was_made() -> None:
    before = time.time_ns() // 1_000_000
    made = _milliseconds(new_message_id().removeprefix("msg_"))
    after = time.time_ns() // 1_000_000

    assert before <= made <= after


def test_ids_of_later_milliseconds_sort_after_earlier_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = [0, 1, 31, 32, 33, 1023, 1024, 2**40, 1_767_225_600_000, 2**48 - 1]
    made = []
    for moment in moments:
        monkeypatch.setattr(time, "time_ns", lambda moment=moment: moment * 1_000_000)
        made.append(new_message_id())

    assert made == sorted(made)
    assert [_milliseconds(id_.removeprefix("msg_")) for id_ in made] == moments


def test_all_eighty_other_bits_are_random() -> None:
    rests = [int_of(new_message_id()[-16:]) for _ in range(200)]
    ever_set, ever_clear = 0, 0
    for rest in rests:
        ever_set |= rest
        ever_clear |= ~rest

    every_bit = 2**80 - 1
    assert ever_set & every_bit == ever_clear & every_bit == every_bit


def int_of(digits: str) -> int:
    value = 0
    for digit in digits:
        value = value * 32 + _DIGITS.index(digit)
    return value


def test_each_event_of_a_message_has_an_id_of_its_own_that_is_always_the_same() -> None:
    one, other = new_message_id(), new_message_id()
    made = {
        event_id(message, version, position)
        for message in (one, other)
        for version in (1, 2, 11)
        for position in (0, 1, 2)
    }

    assert len(made) == 18
    assert event_id(one, 1, 0) in made
    assert event_id(one, 1, 0).startswith(f"evt_{one.removeprefix('msg_')}")
