"""Route Mobile's requests and answers: pure functions over bytes.

Source: Route Mobile, WhatsApp Business API, OpenAPI 1.8.0 of 2026-02-09. It documents neither a
text in a Flow message's header, nor whether header and footer may be left out, nor `extra` and
`reply_to` with a Flow message, nor what a template's Flow button takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from alir.dispatch.ports import Sent
from alir.errors import (
    OutcomeUnknown,
    PauseAsked,
    PauseScope,
    ProviderBusy,
    ProviderRefused,
    SendFailure,
)
from alir.ids import ProviderId
from alir.messages.model import Message
from alir.providers import lenient
from alir.providers.routemobile.settings import Failed500, RouteMobileSender
from alir.providers.routemobile.words import TemplateField, detail_of
from alir.providers.waits import retry_after
from alir.providers.whatsapp import mark
from alir.providers.whatsapp.codes import Table, meaning_of
from alir.providers.whatsapp.failure import failure
from alir.providers.whatsapp.payload import first_screen

UNAUTHORIZED: Final = 401
_REJECTIONS: Final[Mapping[int, str]] = {
    401: "Route Mobile does not take the token of its own log-in",
    403: "The account is restricted at Route Mobile",
}
_SUCCESSES: Final = range(200, 300)
#: Words for `status` that deny a success. In small letters.
_DENIALS: Final = frozenset({"failed", "failure", "unauthorized", "error"})

#: What only people can mend is tried again so often. The waits are ours.
_ACCOUNT: Final = PauseAsked(
    PauseScope.ACCOUNT, first=timedelta(minutes=1), longest=timedelta(minutes=15)
)
#: While nobody can log in, no message of the number can go out. The waits are ours.
_NO_LOG_IN: Final = PauseAsked(
    PauseScope.SENDER, first=timedelta(seconds=1), longest=timedelta(minutes=1)
)
#: What WhatsApp itself takes where there is no flow token. Source: Meta, "Send a flow".
_NO_FLOW_TOKEN: Final = "unused"  # noqa: S105 - a word of WhatsApp's


# Requests


def build_log_in(username: str, password: str) -> bytes:
    """The body that asks for a token."""
    return orjson.dumps({"username": username, "password": password})


def build_send(message: Message, attempt: int, sender: RouteMobileSender) -> bytes:
    """The body that hands attempt `attempt` of `message` over.

    Raises:
        ProviderRefused: Route Mobile has no place for something in it.
    """
    if message.to is None:
        raise ProviderRefused(
            "Route Mobile takes no user ids", details="recipient: send to a number, with `to`"
        )
    template = message.as_template
    body: dict[str, Any] = {"phone": message.to}
    if sender.send_extra:
        body["extra"] = mark.write(message.id, attempt)
    if template is not None:
        body["media"] = _template(template, at=template_field(message))
        return orjson.dumps(body)
    body |= _flow_message(message.flow, sender)
    if sender.send_reply_to and message.reply_to is not None:
        body["reply_to"] = message.reply_to
    return orjson.dumps(body)


def template_field(message: Message) -> TemplateField:
    """Which field of the message its template is, where it has one."""
    return "template" if message.template is not None else "fallback"


def _flow_message(flow: Mapping[str, Any], sender: RouteMobileSender) -> dict[str, Any]:
    param = flow["param"]
    found: dict[str, Any] = {"enable_acculync": False, "type": "flow", "body": param["body"]}
    if header := param.get("header"):
        found["header"] = _header(header, typed=sender.text_header == "typed")
    if footer := param.get("footer"):
        found["footer"] = footer
    if sender.empty_header_footer == "empty":
        found = {"header": {}, "footer": ""} | found
    return found | {"flow": _flow(flow)}


def _header(header: Mapping[str, str], *, typed: bool) -> dict[str, str]:
    if header["type"] == "media":
        return {"image": header["media"]}
    text = {"text": header["text"]}
    return {"type": "text"} | text if typed else text


def _flow(flow: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "flow_mode": flow["mode"],
        "flow_token": flow["token"],
        "flow_id": flow["id"],
        "flow_cta": flow["text"],
        "flow_action": flow["action"],
        **first_screen(flow),
    }


def _template(template: Mapping[str, Any], *, at: TemplateField) -> dict[str, Any]:
    flow = template["flow"]
    if flow.get("data"):
        raise ProviderRefused(
            "Route Mobile's templates take no data for the first screen",
            details=f"{at}.flow.data: leave it out, or let the Flow's endpoint give the data",
        )
    found: dict[str, Any] = {
        "type": "media_template",
        "template_name": template["name"],
        "lang_code": template["language"],
    }
    # An empty list is refused.
    if header := template.get("header"):
        found["header"] = [_template_header(header)]
    if texts := template.get("body"):
        found["body"] = [{"text": text} for text in texts]
    button = {"button_no": str(template["button_index"]), "flow": flow.get("token")}
    found["button"] = [button | {"flow": button["flow"] or _NO_FLOW_TOKEN}]
    return found


def _template_header(header: Mapping[str, str]) -> dict[str, Any]:
    if header["type"] == "text":
        return {"text": header["text"]}
    name = urlsplit(header["media"]).path.rpartition("/")[2]
    return {"image": {"link": header["media"], "file_name": name or "image"}}


# Answers


def token_in(status: int, body: bytes) -> str | None:
    """The token that the answer to a log-in gives; None: it gives none."""
    match lenient.parse(body):
        case {"JWTAUTH": str(token)} if status in _SUCCESSES and _fits_in_a_header(token):
            return token
    return None


def read_log_in(status: int, headers: Mapping[str, str], body: bytes, *, now: datetime) -> str:
    """The token that a log-in gave. It sends nothing, so no failure of it is unknown.

    Raises:
        ProviderBusy: there is no token.
    """
    token = token_in(status, body)
    if token is not None:
        return token
    code = f"HTTP {status}"
    match status:
        case 400 | 401 | 403 | 422:
            raise ProviderBusy(
                "Route Mobile does not take the user name and password",
                provider_code=code,
                details=detail_of(lenient.parse(body)),
                pauses=_ACCOUNT,
            )
        case 404 | 405:
            raise _nothing_there(code)
    raise ProviderBusy(
        "The log-in at Route Mobile failed",
        provider_code=code,
        retry_after=retry_after(headers, now),
        pauses=_NO_LOG_IN,
    )


def no_log_in(title: str) -> ProviderBusy:
    """The log-in came to no answer."""
    return ProviderBusy(title, pauses=_NO_LOG_IN)


def read_answer(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    codes: Table,
    now: datetime,
    failed_500: Failed500 = "unknown",
    template: TemplateField = "template",
) -> Sent:
    """What Route Mobile's answer to a send means.

    A message was taken where there is a `request_id`. It certainly was not where the answer is one
    that Route Mobile documents for what it did not take. Any other answer, such as a proxy's page,
    says nothing about the message. Nor does its own 500, `{"message", "status": "failed"}`: it is
    documented as a fault within, which may come after the message went on its way.

    Args:
        codes: what error codes mean.
        now: what a date in `Retry-After` is counted from.
        failed_500: what its own 500 is taken for.
        template: which field of the message the template was that went out, if one did.

    Raises:
        ProviderBusy: not taken; safe to try again later.
        ProviderRefused: not taken; it never will be.
        OutcomeUnknown: the answer does not say whether it was taken.
    """
    answer = lenient.parse(body)
    if status in _SUCCESSES:
        match answer:
            case {"request_id": str(request_id), **rest} if request_id and not _denies(rest):
                return Sent(ProviderId(request_id), request_id=request_id)
        raise _unknown(status)
    details = detail_of(answer, template=template)
    if failed_500 == "unknown" and _is_its_own_500(status, answer):
        raise _unknown(status, details)
    wait = retry_after(headers, now)
    raise _failure(status, answer, codes, details=details, wait=wait)


def _failure(
    status: int, answer: object, codes: Table, *, details: str | None, wait: timedelta | None
) -> SendFailure:
    code = f"HTTP {status}"
    meaning = meaning_of(status, http_status=status, table=codes)
    match status:
        case 401 | 403:
            title = _REJECTIONS[status]
            return ProviderBusy(title, provider_code=code, details=details, pauses=_ACCOUNT)
        case 404 | 405:
            return _nothing_there(code)
        case 429:
            return failure(meaning, provider_code=code, retry_after=wait)
        case 500 if _is_its_own_500(status, answer):
            return failure(meaning, provider_code=code, details=details)
        case 400 | 422 if isinstance(answer, dict) and answer:
            title = "Route Mobile refused the message"
            return ProviderRefused(title, provider_code=code, details=details)
    return _unknown(status)


def _nothing_there(code: str) -> ProviderBusy:
    return ProviderBusy(
        "Route Mobile is not at this address",
        provider_code=code,
        details="Look at base_url in the sender's settings.",
        pauses=_ACCOUNT,
    )


def _unknown(status: int, details: str | None = None) -> OutcomeUnknown:
    return OutcomeUnknown(
        "The provider's answer does not say whether it took the message",
        provider_code=f"HTTP {status}",
        details=details,
    )


def _denies(answer: Mapping[Any, object]) -> bool:
    status = answer.get("status")
    return isinstance(status, str) and status.lower() in _DENIALS


def _is_its_own_500(status: int, answer: object) -> bool:
    match status, answer:
        case 500, {"message": str(), **rest}:
            return _denies(rest) and "request_id" not in rest
    return False


def _fits_in_a_header(token: str) -> bool:
    return bool(token) and token.isascii() and token.isprintable() and " " not in token
