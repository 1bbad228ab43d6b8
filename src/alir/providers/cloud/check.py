"""What Meta says of a sender: its token, its number, its secret, its health and its callbacks.

Source: Meta, "Messaging health status", "Throughput", "Secure Graph API calls" and the
`subscribed_apps` edge, read 2026-09-11.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from alir.providers import finding
from alir.providers.cloud.settings import CloudSender
from alir.providers.finding import Finding, Reply, State
from alir.providers.tools import Tools
from alir.providers.whatsapp.codes import Table
from alir.providers.whatsapp.naming import words_of

_FIELDS: Final = "id,display_phone_number,verified_name,quality_rating,throughput,health_status"
_SETTING: Final = "graph_url"

_TOKEN, _NUMBER, _SECRET = "access token", "number id", "app secret"
_THROUGHPUT, _HEALTH, _WEBHOOK = "throughput", "health", "webhook subscription"

#: Graph's codes.
_NO_TOKEN: Final = frozenset({102, 190})
_NO_PERMISSION: Final = frozenset({3, 10, *range(200, 300)})
_TOO_FAST: Final = frozenset({4, 17, 613, 80007, 80008, 130429})
_PROOF_NEEDED: Final = 104
_INVALID, _NOT_THERE, _NO_SUCH_ALIAS = 100, 33, 803

#: Messages a second by level of throughput. Source: Meta, "Throughput".
_LEVELS: Final[Mapping[str, int]] = {"STANDARD": 80, "HIGH": 1000}
_ENTITIES: Final[Mapping[str, str]] = {
    "PHONE_NUMBER": "number",
    "WABA": "account",
    "BUSINESS": "business",
    "APP": "app",
}
_HEALTH_STATES: Final[Mapping[object, tuple[State, str]]] = {
    "AVAILABLE": (State.OK, "can send"),
    "LIMITED": (State.WARNING, "can send, with limits"),
    "BLOCKED": (State.WRONG, "cannot send"),
}


async def check(sender: CloudSender, tools: Tools) -> list[Finding]:
    """Ask Meta about a sender; one finding for each thing. Nothing is sent to anybody."""
    token, secret = sender.access_token.reveal(), sender.app_secret.reveal()
    base = f"{sender.graph_url}/{sender.graph_version}"

    async def get(node: str, **query: str) -> Reply | Finding:
        url = f"{base}/{node}{'?' if query else ''}{urlencode(query)}"
        headers = {"authorization": f"Bearer {token}"}
        return await finding.ask(tools.http, "GET", url, headers=headers, setting=_SETTING)

    number = await get(sender.phone_number_id, fields=_FIELDS)
    if isinstance(number, Reply) and not _is_graphs(number):
        number = finding.stranger(base, number, setting=_SETTING)
    if isinstance(number, Finding):
        return [number, *finding.not_asked(_TOKEN, _NUMBER, _SECRET, _HEALTH, _WEBHOOK)]
    found = [finding.reached(base), *of_number(number, tools.codes, secrets=(token, secret))]
    if any(each.state is not State.OK for each in found):
        return [*found, *finding.not_asked(_SECRET, _HEALTH, _WEBHOOK)]
    proof = hmac.digest(secret.encode(), token.encode(), "sha256").hex()
    found.append(of_secret(await get(sender.phone_number_id, fields="id", appsecret_proof=proof)))
    found.append(finding.of_quality(number.content.get("quality_rating")))
    found.append(of_throughput(number.content, sender.messages_per_second))
    found += of_health(number.content)
    accounts, apps = _ids(number.content, "WABA"), _ids(number.content, "APP")
    if not accounts:
        said = "Meta did not say which account the number belongs to"
        found.append(Finding(State.UNKNOWN, _WEBHOOK, said))
    for account in accounts:
        found.append(of_subscription(await get(f"{account}/subscribed_apps"), account, apps))
    return found


def of_number(reply: Reply, codes: Table, *, secrets: Sequence[str]) -> list[Finding]:
    """What an answer about the phone number says of the access token and of the number's id.

    Args:
        codes: what error codes mean.
        secrets: what must not be shown, should Meta repeat it.
    """
    error = _error(reply)
    if error is None:
        name = _words(reply.content.get("verified_name")) or "no name"
        known_as = f"Meta knows it as {_words(reply.content.get('display_phone_number'))} ({name})"
        return [
            Finding(State.OK, _TOKEN, "Meta takes it"),
            Finding(State.OK, _NUMBER, known_as),
        ]
    code, subcode = error.get("code"), error.get("error_subcode")
    said = finding.words(words_of(error), secrets=secrets)
    answer = f"(Meta's error {code}: {said})"
    if code in _NO_TOKEN or code in _NO_PERMISSION:
        known = codes.get(code) if isinstance(code, int) else None
        why = "Meta does not take it" if code in _NO_TOKEN else "it may not do this"
        advice = known.advice if known else "Give its system user this account and permission."
        token = Finding(State.WRONG, _TOKEN, f"{why} {answer}", advice)
        return [token, *finding.not_asked(_NUMBER)]
    if code == _PROOF_NEEDED:
        why = "the app demands a proof made with the app secret, and alir sends none"
        advice = "Switch off Require app secret in the app's advanced settings."
        token = Finding(State.WRONG, _TOKEN, f"{why} {answer}", advice)
        return [token, *finding.not_asked(_NUMBER)]
    if (code, subcode) == (_INVALID, _NOT_THERE) or code == _NO_SUCH_ALIAS:
        why = "Meta knows no such number, or the access token may not see it"
        advice = (
            "Compare phone_number_id with the app's dashboard (it is not the number itself), and "
            "give the token's system user the number's account."
        )
        return [
            Finding(State.OK, _TOKEN, "Meta takes it"),
            Finding(State.WRONG, _NUMBER, f"{why} {answer}", advice),
        ]
    why = "Meta asks to slow down" if code in _TOO_FAST else "Meta's answer does not tell"
    return [Finding(State.UNKNOWN, about, f"{why} {answer}") for about in (_TOKEN, _NUMBER)]


def of_secret(reply: Reply | Finding) -> Finding:
    """What an answer to a request with a proof, which was well without one, says of the secret."""
    if isinstance(reply, Finding):
        return Finding(State.UNKNOWN, _SECRET, reply.said)
    error = _error(reply)
    if error is None:
        return Finding(State.OK, _SECRET, "Meta takes a proof that is made with it")
    if error.get("code") not in (_INVALID, _PROOF_NEEDED):
        said = f"Meta's answer does not tell (error {error.get('code')})"
        return Finding(State.UNKNOWN, _SECRET, said)
    said = "it is not that of the app that gave the access token, so no callback would be believed"
    advice = "Copy it anew from the app's dashboard, App settings, Basic."
    return Finding(State.WRONG, _SECRET, said, advice)


def of_throughput(number: Mapping[str, object], per_second: float) -> Finding:
    """Whether `messages_per_second` is what Meta allows."""
    match number.get("throughput"):
        case {"level": str(level)} if level in _LEVELS:
            allowed = _LEVELS[level]
        case _:
            return Finding(State.UNKNOWN, _THROUGHPUT, "Meta did not say how much it allows")
    ours = f"messages_per_second is {per_second:g}" if per_second else "alir has no limit set"
    said = f"Meta allows {allowed} messages a second ({level}), and {ours}"
    if per_second and per_second <= allowed:
        return Finding(State.OK, _THROUGHPUT, said)
    return Finding(State.WARNING, _THROUGHPUT, said, f"Set messages_per_second to {allowed}.")


def of_health(number: Mapping[str, object]) -> list[Finding]:
    """Whether Meta lets the number, its account, business and app send, and why not."""
    found = [_of_entity(entity) for entity in _entities(number)]
    return found or [Finding(State.UNKNOWN, _HEALTH, "Meta did not say")]


def of_subscription(reply: Reply | Finding, account: str, apps: Sequence[str]) -> Finding:
    """Whether the app gets the callbacks of the account.

    Args:
        apps: the app's id; none: Meta did not say it.
    """
    advice = f"Subscribe it: POST /{account}/subscribed_apps with its access token."
    if isinstance(reply, Finding):
        return Finding(State.UNKNOWN, _WEBHOOK, reply.said)
    error, listed = _error(reply), reply.content.get("data")
    if error is not None or not isinstance(listed, list):
        code = None if error is None else error.get("code")
        said = f"Meta does not tell (error {code})"
        need = "The access token needs the permission whatsapp_business_management for this."
        return Finding(State.UNKNOWN, _WEBHOOK, said, need)
    subscribed = set(_subscribed(listed))
    if not subscribed:
        return Finding(State.WRONG, _WEBHOOK, f"no app gets callbacks of account {account}", advice)
    if not apps:
        said = "some app gets the callbacks; Meta did not say whether it is this one"
        return Finding(State.UNKNOWN, _WEBHOOK, said)
    if subscribed.isdisjoint(apps):
        said = f"other apps get the callbacks of account {account}, this one does not"
        return Finding(State.WRONG, _WEBHOOK, said, advice)
    return Finding(State.OK, _WEBHOOK, f"the app gets the callbacks of account {account}")


def _of_entity(entity: Mapping[str, object]) -> Finding:
    kind = _words(entity.get("entity_type"))
    about = f"{_HEALTH} of the {_ENTITIES.get(kind, kind.lower())}"
    can_send = entity.get("can_send_message")
    known = _HEALTH_STATES.get(can_send) if isinstance(can_send, str) else None
    if known is None:
        return Finding(State.UNKNOWN, about, f"Meta says {_words(can_send) or 'nothing'}")
    state, said = known
    reasons = "; ".join(_reasons(entity))
    return Finding(state, about, f"{said} ({reasons})" if reasons else said)


def _reasons(entity: Mapping[str, object]) -> Iterator[str]:
    for error in _objects(entity.get("errors")):
        yield ": ".join(
            word
            for key in ("error_code", "error_description", "possible_solution")
            if (word := _words(str(error.get(key) or "")))
        )
    more = entity.get("additional_info")
    yield from (word for each in (more if isinstance(more, list) else ()) if (word := _words(each)))


def _entities(number: Mapping[str, object]) -> list[Mapping[str, Any]]:
    health = number.get("health_status")
    return _objects(health.get("entities")) if isinstance(health, dict) else []


def _ids(number: Mapping[str, object], kind: str) -> list[str]:
    """The ids of the entities of a kind; digits, and so safe in a path."""
    ids = (e.get("id") for e in _entities(number) if e.get("entity_type") == kind)
    return [one for one in ids if isinstance(one, str) and one.isascii() and one.isdigit()]


def _subscribed(listed: list[object]) -> Iterator[str]:
    for one in listed:
        match one:
            case {"whatsapp_business_api_data": {"id": str(app)}}:
                yield app


def _objects(listed: object) -> list[Mapping[str, Any]]:
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _is_graphs(reply: Reply) -> bool:
    """Whether it is an answer of Graph's: a node, or an error with a code."""
    match reply.content:
        case {"error": {"code": int()}} | {"id": str()}:
            return True
    return False


def _error(reply: Reply) -> Mapping[str, Any] | None:
    """The error of an answer; an empty one where its status alone says that there is one."""
    error = reply.content.get("error")
    if isinstance(error, dict):
        return error
    return {} if reply.status >= 300 else None  # noqa: PLR2004 - no success


def _words(said: object) -> str:
    return finding.words(said, secrets=())
