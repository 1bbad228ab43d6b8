"""The tokens that a log-in gives: JSON Web Tokens, signed with HMAC-SHA-256."""

from __future__ import annotations

import base64
import hmac
from typing import Any

from pydantic_core import from_json, to_json


class TokenBroken(Exception):
    """It is no token of the simulator's."""


class TokenExpired(Exception):
    """Its time is over."""


def issue(username: str, *, key: bytes, now: float, seconds: float) -> str:
    """A token for `username`, good for `seconds` from `now` (seconds since 1970).

    Claims are those that Route Mobile's have. `exp` may have a fraction, as theirs may.
    """
    claims = {
        "user_id": username,
        "username": username,
        "exp": now + seconds,
        "email": f"{username}@example.com",
        "orig_iat": int(now),
        "iat": int(now),
        "customer_id": "simulator",
    }
    head = f"{_encode(to_json({'typ': 'JWT', 'alg': 'HS256'}))}.{_encode(to_json(claims))}"
    return f"{head}.{_sign(head, key)}"


def read(token: str, *, key: bytes, now: float) -> str:
    """The username that `token` was given to.

    Raises:
        TokenBroken: it has another form, or another signature.
        TokenExpired: `now` is its `exp`, or later.
    """
    head, _, signature = token.rpartition(".")
    if not token.isascii() or not hmac.compare_digest(signature, _sign(head, key)):
        raise TokenBroken
    try:
        claims = _decode(head.partition(".")[2])
        username, exp = str(claims["username"]), float(claims["exp"])
    except (ValueError, KeyError, TypeError) as error:
        raise TokenBroken from error
    if now >= exp:
        raise TokenExpired
    return username


def _sign(head: str, key: bytes) -> str:
    return _encode(hmac.digest(key, head.encode(), "sha256"))


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _decode(text: str) -> Any:
    return from_json(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
