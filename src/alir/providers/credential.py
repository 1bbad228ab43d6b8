"""Secrets in a provider's own words."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from alir.errors import SendFailure

_STRUCK_OUT = "[redacted]"
#: What the simulator takes for every secret. It is no secret, and a word that its texts use.
_SIMULATED = "simulator"


@lru_cache(maxsize=64)
def fingerprint(*secrets: str) -> bytes:
    """What tells whether secrets have changed, and gives none of them away: their SHA-256.

    It is asked for at each call.
    """
    return hashlib.sha256("\0".join(secrets).encode()).digest()


def strike_out(failure: SendFailure, *secrets: str) -> None:
    """Take these out of a provider's own words: some repeat the token that they do not accept.

    Those words are kept with the message, and shown to callers. They must be whole here: whoever
    cuts them before, may cut a secret in two. `life.error` cuts them where they are kept.
    """
    for secret in secrets:
        if failure.details is not None and secret not in ("", _SIMULATED):
            failure.details = failure.details.replace(secret, _STRUCK_OUT)
