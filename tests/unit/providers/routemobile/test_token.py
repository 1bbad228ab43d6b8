"""How long a token is used: as it says itself, with room for calls that are on their way."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.clock import START

from alir.providers.routemobile.token import WITHOUT_EXPIRY, used_for

ODD_CLAIMS: list[object] = [{}, [], None, 7, b"\xff", b"{", {"exp": None}]
ODD_ENDS: list[object] = ["soon", True, [], {}, float("nan"), float("inf")]
NOW = START.timestamp()


def a_token(claims: object) -> str:
    content = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return f"head.{base64.urlsafe_b64encode(content).decode().rstrip('=')}.signature"


@pytest.mark.parametrize(
    ("left", "seconds"),
    [(3600, 3540), (3600.5, 3540.5), (120, 60), (100, 50), (10, 5), (1e6, 1e6 - 60)],
)
def test_a_token_is_used_until_a_minute_before_it_ends_or_half_of_a_short_life(
    left: float, seconds: float
) -> None:
    assert used_for(a_token({"exp": NOW + left}), START) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "token",
    [
        *("", "opaque", "a.b", "a.b.c.d", "a.ü.c", "a.!!!!.c", "a.b.c"),
        *(a_token(claims) for claims in ODD_CLAIMS),
        *(a_token({"exp": odd}) for odd in ODD_ENDS),
        a_token(b'{"exp": 1e999}'),
        pytest.param(a_token({"exp": NOW - 5}), id="over by our clock"),
    ],
)
def test_a_token_that_does_not_say_when_it_ends_is_used_for_55_minutes(token: str) -> None:
    assert used_for(token, START) == WITHOUT_EXPIRY == timedelta(minutes=55)


def test_a_token_of_years_is_used_for_one() -> None:
    assert used_for(a_token({"exp": 1e300}), START) == timedelta(days=365, seconds=-60)


@given(st.text(max_size=60) | st.binary(max_size=60).map(a_token))
def test_reading_never_fails(token: str) -> None:
    assert used_for(token, START) > timedelta()
