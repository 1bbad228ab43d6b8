"""The Idempotency-Key: what may be one, and when two requests are the same."""

from __future__ import annotations

import hashlib
from typing import Final

from alir import strictjson
from alir.errors import Fault
from alir.intake.ports import IdempotencyKey

LONGEST_KEY: Final = 255
_FIRST_PRINTABLE, _LAST_PRINTABLE = " ", "~"
#: Headers stand among the faults of a request by their names, as the parameters of a query do.
HEADER: Final = "#/Idempotency-Key"


def key_of(given: str, request: object, *, at: str = HEADER) -> IdempotencyKey | Fault:
    """The key, with the hash of the request that it stands for; or why it cannot be used.

    Args:
        at: where it was given, as a JSON pointer in fragment form.
    """
    if len(given) > LONGEST_KEY:
        detail = f"at most {LONGEST_KEY} characters; this has {len(given)}"
    elif not given or not all(_FIRST_PRINTABLE <= c <= _LAST_PRINTABLE for c in given):
        detail = "a key is printable ASCII characters, at least one; a UUID does well"
    else:
        return IdempotencyKey(given, hashlib.sha256(strictjson.canonical(_meant(request))).digest())
    return Fault(at, "invalid_idempotency_key", detail)


def _meant(request: object) -> object:
    """The request without the nulls that mean left out; those in a Flow's `data` mean themselves.

    >>> _meant({"from": None, "flow": {"mode": None, "data": {"a": None}}})
    {'flow': {'data': {'a': None}}}
    """
    if not isinstance(request, dict):
        return request
    return {
        name: value if name == "data" else _meant(value)
        for name, value in request.items()
        if value is not None
    }
