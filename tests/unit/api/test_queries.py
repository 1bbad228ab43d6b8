"""What the query of a list can ask."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alir.api.queries import ListQuery, cursor_of


@given(st.integers(1, (1 << 63) - 1))
def test_a_cursor_leads_back_to_its_place(place: int) -> None:
    assert ListQuery.model_validate({"cursor": cursor_of(place)}).before == place


@pytest.mark.parametrize(
    "cursor", ["", "next", "AAAAAAAAAAA", "AAAAAAAAACo=", "AAAAAAAAACp", "é", "_" * 11, "A" * 999]
)
def test_what_no_page_gave_out_is_no_cursor(cursor: str) -> None:
    assert codes(cursor=cursor) == {"cursor": "invalid_cursor"}


@pytest.mark.parametrize("text", ["+1 (000) 000-0000", " 1 (000) 000-0000", "10000000000"])
def test_a_number_is_found_in_any_form_also_where_its_plus_was_lost(text: str) -> None:
    assert ListQuery.model_validate({"to": text}).to == "+10000000000"


@pytest.mark.parametrize("text", ["2026-11-22T10:30:00+01:00", "2026-11-22T10:30:00 01:00"])
def test_a_moment_is_read_also_where_its_plus_was_lost(text: str) -> None:
    expected = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)

    assert ListQuery.model_validate({"since": text}).since == expected


def test_all_that_is_wrong_is_said_at_once() -> None:
    assert codes(since="yesterday", until="0.5", to="+62xx", cursor="next") == {
        "since": "invalid_time",
        "until": "invalid_time",
        "to": "invalid_number",
        "cursor": "invalid_cursor",
    }


def codes(**query: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        ListQuery.model_validate(query)
    return {str(error["loc"][0]): error["type"] for error in caught.value.errors()}
