"""What Route Mobile says of a sender: its log-in, its callback URL and its number.

Source: Route Mobile, WhatsApp Business API, OpenAPI 1.8.0 of 2026-02-09, log-in and
`wbp-account-details`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from alir.providers import finding
from alir.providers.finding import Finding, Reply, State
from alir.providers.routemobile import wire
from alir.providers.routemobile.settings import RouteMobileSender
from alir.providers.routemobile.words import detail_of
from alir.providers.tools import Tools

_SETTING: Final = "base_url"
_LOG_IN: Final = "log-in"
_ACCOUNT: Final = "account"
_CALLBACK: Final = "callback URL"
_NUMBER: Final = "number"
_QUALITY: Final = "quality"

_PATH: Final = "/callbacks/routemobile/"
_CREDENTIALS: Final = frozenset({400, 401, 403, 422})
_NOTHING_THERE: Final = frozenset({404, 405})
_UNAUTHORIZED: Final = 401
_OK: Final = 200
_JSON: Final[Mapping[str, str]] = {
    "content-type": "application/json",
    "accept": "application/json",
}


async def check(sender: RouteMobileSender, tools: Tools) -> list[Finding]:
    """Ask Route Mobile about a sender; one finding for each thing. Nothing is sent to anybody."""
    password, secret = sender.password.reveal(), sender.callback_secret.reveal()
    body = wire.build_log_in(sender.username.reveal(), password)
    url = f"{sender.base_url}/auth/v1/login/"
    log_in = await finding.ask(tools.http, "POST", url, headers=_JSON, setting=_SETTING, body=body)
    if isinstance(log_in, Finding):
        return [log_in, *finding.not_asked(_LOG_IN, _CALLBACK, _NUMBER, _QUALITY)]
    found = [finding.reached(url), of_log_in(log_in, secrets=(password,))]
    token = wire.token_in(log_in.status, log_in.body)
    if token is None:
        return [*found, *finding.not_asked(_CALLBACK, _NUMBER, _QUALITY)]
    account = await finding.ask(
        tools.http,
        "GET",
        f"{sender.base_url}/wba/management/v1/wbp-account-details",
        headers={
            "authorization": f"Bearer {token}" if sender.authorization == "bearer" else token,
            "accept": "application/json",
        },
        setting=_SETTING,
    )
    if isinstance(account, Finding) or account.status != _OK:
        wrong = of_no_account(account, authorization=sender.authorization)
        return [*found, wrong, *finding.not_asked(_CALLBACK, _NUMBER, _QUALITY)]
    return [*found, *of_account(account.content, callback_secret=secret)]


def of_log_in(reply: Reply, *, secrets: tuple[str, ...]) -> Finding:
    """What the answer to a log-in says.

    Args:
        secrets: what must not be shown, should Route Mobile repeat it.
    """
    if wire.token_in(reply.status, reply.body) is not None:
        return Finding(State.OK, _LOG_IN, "Route Mobile takes user name and password")
    said = finding.words(detail_of(reply.content), secrets=secrets)
    answer = f"(HTTP {reply.status}{f': {said}' if said else ''})"
    if reply.status in _CREDENTIALS:
        why = "Route Mobile does not take user name and password"
        advice = "Compare username and password with Route Mobile's panel. Both right? Then ask "
        advice += "Route Mobile whether the account has been deactivated."
        return Finding(State.WRONG, _LOG_IN, f"{why} {answer}", advice)
    if reply.status in _NOTHING_THERE:
        advice = "Look at base_url in the sender's settings."
        return Finding(State.WRONG, _LOG_IN, f"there is no log-in at this address {answer}", advice)
    return Finding(State.UNKNOWN, _LOG_IN, f"Route Mobile's answer does not tell {answer}")


def of_no_account(reply: Reply | Finding, *, authorization: str) -> Finding:
    """Why the account's details are not to be had."""
    if isinstance(reply, Finding):
        return Finding(State.UNKNOWN, _ACCOUNT, reply.said)
    if reply.status == _UNAUTHORIZED:
        other = "raw" if authorization == "bearer" else "bearer"
        said = f"Route Mobile does not take the token of its own log-in (HTTP {reply.status})"
        return Finding(State.WRONG, _ACCOUNT, said, f'Try authorization = "{other}".')
    said = f"Route Mobile does not tell this user about the account (HTTP {reply.status})"
    return Finding(State.UNKNOWN, _ACCOUNT, said)


def of_account(account: Mapping[str, object], *, callback_secret: str) -> list[Finding]:
    """What the account's details say.

    Args:
        callback_secret: what must end the callback URL; it is never shown.
    """
    number = account.get("phone_number_updates")
    number = number if isinstance(number, dict) else {}
    return [
        of_callback(account.get("callback_url"), callback_secret),
        _of_status(number.get("number_status"), number.get("rejection_reason")),
        finding.of_quality(number.get("number_quality")),
    ]


def of_callback(url: object, callback_secret: str) -> Finding:
    """Whether receipts come to this sender. Whatever path is set may be a secret: none is shown."""
    advice = f"Set it to your public URL and {_PATH}, followed by the sender's callback_secret."
    if not isinstance(url, str) or not url.strip():
        return Finding(State.WRONG, _CALLBACK, "Route Mobile has none, so no receipt comes", advice)
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return Finding(State.WRONG, _CALLBACK, "what Route Mobile has is no URL", advice)
    host = parts.netloc.rpartition("@")[2]
    if parts.path.endswith(f"{_PATH}{callback_secret}"):
        return Finding(State.OK, _CALLBACK, f"it leads to this sender, at {host}")
    if _PATH in parts.path:
        said = f"it leads to alir at {host}, but its end is not this sender's callback_secret"
        return Finding(State.WRONG, _CALLBACK, said, advice)
    return Finding(State.WRONG, _CALLBACK, f"it leads elsewhere, to {host}", advice)


def _of_status(status: object, reason: object) -> Finding:
    said = finding.words(status, secrets=())
    if not said:
        return Finding(State.UNKNOWN, _NUMBER, "Route Mobile did not say how it is")
    if said.upper() == "CONNECTED":
        return Finding(State.OK, _NUMBER, "WhatsApp says that it is connected")
    why = finding.words(reason, secrets=())
    told = f"WhatsApp says {said}{f' ({why})' if why else ''}"
    return Finding(State.WARNING, _NUMBER, told, "Ask Route Mobile what it needs.")
