"""A secret as providers use it: asked for at each use, so that it can change meanwhile."""

from __future__ import annotations

from typing import Protocol

from alir.errors import SendFailure

_STRUCK_OUT = "[redacted]"
#: What the simulator takes for every secret. It is no secret, and a word that its texts use.
_SIMULATED = "simulator"


class Credential(Protocol):
    """One secret."""

    def reveal(self) -> str:
        """The secret as it stands now."""
        ...

    def expire(self) -> None:
        """Have it read again at its next use, where it stands in a file."""
        ...


def strike_out(failure: SendFailure, *secrets: str) -> None:
    """Take these out of a provider's own words: some repeat the token that they do not accept.

    Those words are kept with the message, and shown to callers. They must be whole here: whoever
    cuts them before, may cut a secret in two. `life.error` cuts them where they are kept.
    """
    for secret in secrets:
        if failure.details is not None and secret not in ("", _SIMULATED):
            failure.details = failure.details.replace(secret, _STRUCK_OUT)
