"""The tables of error codes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alir.providers.whatsapp.codes import (
    Change,
    Concern,
    Meaning,
    changed,
    meaning_of,
    meanings,
    read_rows,
    read_table,
)
from alir.providers.whatsapp.words import what_alir_does
from alir.simulator.codes import error_codes

ROUTE_MOBILE = "alir.providers.routemobile"
_FIRST_CODES = [
    codes[0]
    for package in ("alir.providers.whatsapp", ROUTE_MOBILE)
    for codes, _ in read_rows(package)
]
#: Codes of calls and of blocking people: no answer to a message has them.
_NOT_OF_MESSAGES = (range(138000, 139000), range(139100, 139104))

REFUSED, WINDOW, RETRY = Concern.REFUSED, Concern.WINDOW, Concern.RETRY
RECIPIENT, FLOW, SENDER, ACCOUNT = (
    Concern.RECIPIENT,
    Concern.FLOW,
    Concern.SENDER,
    Concern.ACCOUNT,
)
MENDED_BY_PEOPLE = (60, 900)

#: Codes that are not refused, each with its class, its waits in seconds, and its tries.
_BUSY = {
    **dict.fromkeys([0, 3, 10, 33, 104, 190, 368], (ACCOUNT, MENDED_BY_PEOPLE, None)),
    **dict.fromkeys(range(200, 300), (ACCOUNT, MENDED_BY_PEOPLE, None)),
    **dict.fromkeys(
        [131005, 131031, 131042, 131044, 134011, 139000], (ACCOUNT, MENDED_BY_PEOPLE, None)
    ),
    **dict.fromkeys(
        [131037, 131045, 133000, 133006, 133008, 133009, 133010, 133016],
        (SENDER, MENDED_BY_PEOPLE, None),
    ),
    133015: (SENDER, (300, 900), None),
    **dict.fromkeys([4, 80007, 80008], (ACCOUNT, (60, 3600), None)),
    **dict.fromkeys([2, 131016, 131064, 132015, 133004], (RETRY, None, None)),
    **dict.fromkeys([1, 131000], (RETRY, None, 3)),
    130429: (SENDER, (1, 30), None),
    131048: (SENDER, (3600, 86400), None),
    131057: (SENDER, (60, 120), None),
    131056: (RECIPIENT, (1, 256), None),
    132068: (FLOW, None, None),
    132069: (FLOW, (371, 371), None),
    131047: (WINDOW, None, None),
}
_BUSY_AT_ROUTE_MOBILE = {
    429: (SENDER, (1, 30), None),
    470: (WINDOW, None, None),
    471: (SENDER, (3600, 86400), None),
    500: (RETRY, None, None),
    1000: (RETRY, None, 3),
}
#: The words that name what an error of each class concerns.
_SCOPES = {
    REFUSED: "this message",
    WINDOW: "fallback of this message",
    RETRY: "this message",
    RECIPIENT: "to this recipient from this sender",
    FLOW: "this Flow from this sender",
    SENDER: "nothing from this sender",
    ACCOUNT: "any sender of this account",
}


def seconds(meaning: Meaning) -> tuple[float, float] | None:
    if meaning.first_wait is None or meaning.longest_wait is None:
        assert meaning.first_wait is meaning.longest_wait
        return None
    return meaning.first_wait.total_seconds(), meaning.longest_wait.total_seconds()


@pytest.mark.parametrize(
    ("package", "busy"),
    [("alir.providers.whatsapp", _BUSY), (ROUTE_MOBILE, _BUSY_AT_ROUTE_MOBILE)],
)
def test_each_code_has_the_class_waits_and_tries_that_are_stated_here_or_is_refused(
    package: str, busy: dict[int, object]
) -> None:
    table = read_table(package)

    assert busy.keys() <= table.keys()
    for code, meaning in table.items():
        found = (meaning.concern, seconds(meaning), meaning.tries)
        assert found == busy.get(code, (REFUSED, None, None)), code


@pytest.mark.parametrize("code", _FIRST_CODES)
def test_every_code_says_what_happened_what_alir_does_and_what_to_do(code: int) -> None:
    meaning = meanings(ROUTE_MOBILE)[code]

    assert meaning.code == code
    assert 10 <= len(meaning.title) <= 80
    assert meaning.title == meaning.title.strip()
    assert not meaning.title.endswith(".")
    assert 20 <= len(meaning.advice) <= 160
    assert meaning.advice.endswith(".")
    assert _SCOPES[meaning.concern] in what_alir_does(meaning)


@pytest.mark.parametrize("code", _FIRST_CODES)
def test_only_what_pauses_has_waits_and_only_what_is_busy_has_tries(code: int) -> None:
    meaning = meanings(ROUTE_MOBILE)[code]

    if meaning.first_wait is not None and meaning.longest_wait is not None:
        assert meaning.concern.pauses
        assert timedelta(0) < meaning.first_wait <= meaning.longest_wait
    else:
        # A Flow alone may wait for an operator.
        assert not meaning.concern.pauses or meaning.concern is FLOW
    assert meaning.tries is None or meaning.concern.is_busy


@pytest.mark.parametrize("package", ["alir.providers.whatsapp", ROUTE_MOBILE])
def test_no_code_stands_in_a_table_twice_and_rows_are_in_order(package: str) -> None:
    codes = [code for row, _ in read_rows(package) for code in row]

    assert codes == sorted(set(codes))


def test_every_code_of_a_message_that_the_simulator_can_give_has_a_meaning() -> None:
    unknown = error_codes().keys() - meanings().keys()

    assert {c for c in unknown if not any(c in codes for codes in _NOT_OF_MESSAGES)} == set()


def test_codes_that_nobody_documented_have_none() -> None:
    assert not {-1, 5, 300, 470, 131027, 999999} & meanings().keys()


# Route Mobile's


def test_route_mobile_has_its_own_codes_and_those_of_whatsapp_as_whatsapp_has_them() -> None:
    own = read_table(ROUTE_MOBILE)

    assert not own.keys() & meanings().keys()
    assert meanings(ROUTE_MOBILE) == {**own, **meanings()}
    assert set(own) == {
        *(403, 410, 429, 470, 471, 472, 500),
        *(1000, 1001, 1008, 1009, 1013, 1025, 1026),
    }


# Codes that are not in the table


@pytest.mark.parametrize(
    ("http_status", "is_transient", "expected"),
    [
        (400, False, REFUSED),
        (200, False, REFUSED),
        (None, False, REFUSED),
        (None, True, RETRY),
        (400, True, RETRY),
        (429, True, RETRY),
        (429, False, SENDER),
        (500, False, RETRY),
        (503, False, RETRY),
    ],
)
def test_a_code_that_is_not_in_the_table_is_read_by_its_status(
    http_status: int | None, is_transient: bool, expected: Concern
) -> None:
    found = meaning_of(987654, http_status=http_status, is_transient=is_transient, table=meanings())

    assert (found.code, found.concern) == (987654, expected)
    assert seconds(found) == ((1, 30) if expected is SENDER else None)
    assert found.title
    assert found.advice


@pytest.mark.parametrize("http_status", [200, 400, 429, 500, None])
def test_a_code_of_the_table_is_read_by_the_table_whatever_the_status(
    http_status: int | None,
) -> None:
    for code in (131026, 131016, 190):
        found = meaning_of(code, http_status=http_status, is_transient=True, table=meanings())

        assert found is meanings()[code]


# Changes


def changed_to(code: int, to: Change) -> tuple[Concern, tuple[float, float] | None, int | None]:
    found = changed(meanings(), {code: to})[code]
    return found.concern, seconds(found), found.tries


def change(concern: Concern, first: float | None = None, longest: float | None = None) -> Change:
    return Change(
        concern,
        first_wait=None if first is None else timedelta(seconds=first),
        longest_wait=None if longest is None else timedelta(seconds=longest),
    )


@pytest.mark.parametrize(
    ("code", "to", "expected"),
    [
        (131049, Change(RETRY), (RETRY, None, None)),
        (131049, Change(RETRY, tries=2), (RETRY, None, 2)),
        (190, Change(REFUSED), (REFUSED, None, None)),
        (1, Change(RETRY), (RETRY, None, 3)),
        (1, Change(SENDER), (SENDER, (1, 30), None)),
        (130429, change(SENDER, 2, 60), (SENDER, (2, 60), None)),
        (130429, change(SENDER, longest=60), (SENDER, (1, 60), None)),
        (130429, change(SENDER, first=60), (SENDER, (60, 60), None)),
        (131048, change(SENDER, longest=60), (SENDER, (60, 60), None)),
        (132068, Change(FLOW), (FLOW, None, None)),
        (132068, change(FLOW, first=60), (FLOW, (60, 60), None)),
        (131026, Change(FLOW), (FLOW, (60, 3600), None)),
        (131026, Change(RECIPIENT), (RECIPIENT, (1, 256), None)),
        (131026, change(ACCOUNT, first=5), (ACCOUNT, (5, 900), None)),
        (987654, Change(ACCOUNT), (ACCOUNT, (60, 900), None)),
        (987654, Change(WINDOW), (WINDOW, None, None)),
    ],
)
def test_a_change_says_what_it_says_and_leaves_the_rest_to_the_table_or_the_class(
    code: int, to: Change, expected: object
) -> None:
    assert changed_to(code, to) == expected


def test_changes_make_a_new_table_and_keep_the_words() -> None:
    before = dict(meanings())

    after = changed(meanings(), {131049: Change(RETRY)})

    assert meanings() == before
    assert after[131049].title == before[131049].title
    assert after[131049].advice == before[131049].advice
    assert {code for code in after if after[code] != before[code]} == {131049}
