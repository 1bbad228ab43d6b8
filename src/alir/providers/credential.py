"""Secrets in a provider's own words."""

from __future__ import annotations

from alir.errors import SendFailure

_STRUCK_OUT = "[redacted]"
#: What the simulator takes for every secret. It is no secret, and a word that its texts use.
_SIMULATED = "simulator"


def strike_out(failure: SendFailure, *secrets: str) -> None:
    """Take these out of a provider's own words: some repeat the token that they do not accept.

    Those words are kept with the message, and shown to callers. They must be whole here: whoever
    cuts them before, may cut a secret in two. `life.error` cuts them where they are kept.
    """
    for secret in secrets:
        if failure.details is not None and secret not in ("", _SIMULATED):
            failure.details = failure.details.replace(secret, _STRUCK_OUT)
