from __future__ import annotations

import base64
import json

import pytest

from alir.simulator.routemobile.token import TokenBroken, TokenExpired, issue, read

KEY = b"simulator"
NOW = 1_790_000_000.25


def token() -> str:
    return issue("demo", key=KEY, now=NOW, seconds=3600)


def part(text: str) -> dict[str, object]:
    decoded: dict[str, object] = json.loads(base64.urlsafe_b64decode(text + "==="))
    return decoded


def test_a_token_is_a_json_web_token_that_tells_when_it_ends() -> None:
    head, claims, _ = token().split(".")

    assert part(head) == {"typ": "JWT", "alg": "HS256"}
    found = part(claims)
    assert (found["exp"], found["iat"], found["orig_iat"]) == (NOW + 3600, int(NOW), int(NOW))
    assert found["username"] == "demo"


def test_a_token_is_good_until_the_moment_it_ends() -> None:
    assert read(token(), key=KEY, now=NOW + 3599.99) == "demo"
    with pytest.raises(TokenExpired):
        read(token(), key=KEY, now=NOW + 3600)


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "x",
        "a.b.c",
        "...",
        "é.é.é",
        token()[:-1],
        token()[1:],
        issue("d", key=b"", now=0, seconds=1),
    ],
)
def test_anything_else_is_no_token(broken: str) -> None:
    with pytest.raises(TokenBroken):
        read(broken, key=KEY, now=NOW)
