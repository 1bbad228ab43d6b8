from __future__ import annotations

import pytest

from alir.simulator.codes import error_codes


@pytest.mark.parametrize(
    ("code", "http", "by_receipt"),
    [
        (0, 401, False),
        (2, 503, False),
        (190, 401, False),
        (200, 403, False),
        (299, 403, False),
        (130429, 400, False),
        (131026, 400, True),
        (131047, 400, True),
        (131050, 400, True),  # no status is known
        (131052, 400, False),  # only of messages that come in
        (131063, 400, False),  # no status is known
        (132001, 404, False),
        (132012, 400, False),
        (134102, 500, False),
        (139006, 400, False),
    ],
)
def test_a_code_has_the_status_and_the_way_of_coming_that_the_reference_gives(
    code: int, http: int, by_receipt: bool
) -> None:
    row = error_codes()[code]

    assert (row.code, row.http, row.by_receipt) == (code, http, by_receipt)


def test_every_code_has_a_title_and_a_status_of_an_error() -> None:
    assert all(row.title and 400 <= row.http < 600 for row in error_codes().values())


@pytest.mark.parametrize("code", [300, 408, 409, 429, 502, 131027, 134103, 999999])
def test_other_numbers_are_no_codes(code: int) -> None:
    assert code not in error_codes()
