"""What an HTTP status means that came without an error code, as in the code `HTTP 403`."""

from __future__ import annotations

from typing import NamedTuple

_UNKNOWN = "counts this message as unknown, because the provider may have it."
_HOLDS_ACCOUNT = (
    "At Route Mobile: queues this message again and sends nothing from any sender of this account "
    "for 60 s, twice as long with each further refusal, at most 15 min. At the Cloud API, which "
    f"gives a code with what it refuses: {_UNKNOWN}"
)
_HOLDS_NO_LOG_IN = (
    "Where Route Mobile answers so to a log-in: queues this message again and sends nothing from "
    "this sender for 1 s, twice as long with each further such answer, at most 60 s. Else "
    f"{_UNKNOWN}"
)


class BareStatus(NamedTuple):
    """What an HTTP status means where nothing else tells."""

    title: str
    what_alir_does: str
    advice: str


def bare_status(status: int) -> BareStatus:
    """What follows from a status, in answers to messages and to log-ins, at any provider."""
    match status:
        case 401 | 403:
            return BareStatus(
                "The provider does not take the credentials, or has restricted the account",
                _HOLDS_ACCOUNT,
                "Run `alir sender check NAME`; mend what it names, and run "
                "`alir sender resume NAME`.",
            )
        case 404 | 405:
            return BareStatus(
                "The provider is not at this address",
                _HOLDS_ACCOUNT,
                "Look at base_url, or graph_url, in the sender's settings, and run "
                "`alir sender check NAME`.",
            )
        case 400 | 422:
            return BareStatus(
                "The provider does not take the request",
                "At Route Mobile: counts this message as failed where the answer says why; where "
                f"it is the answer to a log-in, does as with HTTP 403. Else {_UNKNOWN}",
                "Read error.detail of the message: it has the provider's words. Of a log-in they "
                "are about user name and password: run `alir sender check NAME`.",
            )
        case 429:
            return BareStatus(
                "The provider asks to slow down",
                "Queues this message again and sends nothing from this sender for 1 s, twice as "
                "long with each further refusal, at most 30 s (at a log-in: at most 60 s); longer "
                "where the provider asks it. What [errors] says of 429 holds at Route Mobile.",
                "Set messages_per_second to what the provider allows this number.",
            )
        case _ if status >= 500:  # noqa: PLR2004 - HTTP's own classes
            return BareStatus(
                "A fault at the provider, or at a proxy on the way",
                f'{_HOLDS_NO_LOG_IN} With failed_500 = "busy", or where [errors] says so of 500, '
                "Route Mobile's own 500 is tried again.",
                "Wait: it passes by itself, or the provider's support knows of it. What is unknown "
                "may get a receipt yet; look for it before you send it anew.",
            )
    return BareStatus(
        "An answer that does not say whether the message was taken",
        _HOLDS_NO_LOG_IN,
        "Run `alir sender check NAME`: it says whether something else answers at the address.",
    )
