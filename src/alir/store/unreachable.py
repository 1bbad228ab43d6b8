"""Why a PostgreSQL database cannot be had, and what to do about it."""

from __future__ import annotations

from typing import Final

# Source: PostgreSQL 18, appendix A.
_NO_SUCH_DATABASE: Final = "3D000"
_NOT_LET_IN: Final = "28"


def unreachable(error: BaseException) -> str:
    """What befell whoever wanted a session, with what to do where that is known."""
    state = getattr(error, "sqlstate", None) or ""
    if state == _NO_SUCH_DATABASE:
        return f"{error}. Make it first, such as with createdb."
    if state.startswith(_NOT_LET_IN):
        return f"{error}. Are the user and the password in the setting `database` right?"
    if isinstance(error, OSError):
        reason = str(error) or "it does not answer"  # a time-out says nothing
        return f"{reason}. Does the server run, and is its address in the setting `database` right?"
    return str(error)
