"""From what an error means to what dispatch is told of it: one way for answers and receipts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from alir.errors import PauseAsked, PauseScope, ProviderBusy, ProviderRefused, SendFailure
from alir.messages import life
from alir.providers.whatsapp.codes import Concern, Meaning, Table, meaning_of

#: Digits of a code that is believed to be one; more would be an id, or an attack.
_CODE_DIGITS: Final = 9

_SCOPES: Final[Mapping[Concern, PauseScope]] = {
    Concern.RECIPIENT: PauseScope.RECIPIENT,
    Concern.FLOW: PauseScope.FLOW,
    Concern.SENDER: PauseScope.SENDER,
    Concern.ACCOUNT: PauseScope.ACCOUNT,
}


def failure(
    meaning: Meaning,
    *,
    provider_code: str | None = None,
    details: str | None = None,
    retry_after: timedelta | None = None,
) -> SendFailure:
    """What a message came to whose provider answered with an error that means this.

    Args:
        provider_code: what is shown as the provider's code, where that is not `meaning.code`.
        details: the provider's own words, in alir's terms.
        retry_after: how long the provider asked to wait.
    """
    code = str(meaning.code) if provider_code is None else provider_code
    if not meaning.concern.is_busy:
        return ProviderRefused(
            meaning.title,
            provider_code=code,
            details=details,
            window_shut=meaning.concern is Concern.WINDOW,
        )
    return ProviderBusy(
        meaning.title,
        provider_code=code,
        details=details,
        retry_after=retry_after,
        pauses=_pause(meaning),
        at_most=meaning.tries,
    )


def failure_of_receipt(error: Mapping[str, Any], table: Table) -> SendFailure:
    """What the error of a failed receipt, in alir's shape, would mean as an answer."""
    code = code_of(error.get("provider_code"))
    details = error.get("detail")
    if code is None:
        return ProviderRefused(str(error.get("title") or "Undelivered"), details=details)
    return failure(meaning_of(code, table=table), details=details)


def undelivered(said: object, table: Table, *, detail: str | None = None) -> dict[str, Any]:
    """The error of a failed receipt (`Told.error`), by the code that it says.

    Args:
        said: the code as it came; what is none of any form is no reason.
        detail: the provider's own words.
    """
    if (code := code_of(said)) is None:
        return life.error("undelivered", "The provider gave no reason", detail=detail)
    title = meaning_of(code, table=table).title
    return life.error("undelivered", title, provider_code=str(code), detail=detail)


def code_of(said: object) -> int | None:
    """An error's code, given as a number or as its digits; None where it is neither.

    >>> code_of(131047), code_of("131047"), code_of(True), code_of("soon"), code_of(-1)
    (131047, 131047, None, None, None)
    """
    match said:
        case bool():
            return None
        case int():
            return said if 0 <= said < 10**_CODE_DIGITS else None
        case str() if said.isascii() and said.isdigit() and len(said) <= _CODE_DIGITS:
            return int(said)
    return None


def _pause(meaning: Meaning) -> PauseAsked | None:
    scope = _SCOPES.get(meaning.concern)
    if scope is None:
        return None
    return PauseAsked(scope, meaning.first_wait, meaning.longest_wait)
