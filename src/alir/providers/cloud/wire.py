"""The Cloud API's requests and answers: pure functions over bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import orjson

from alir.dispatch.ports import Sent
from alir.errors import OutcomeUnknown, ProviderBusy, ProviderRefused, SendFailure
from alir.ids import ProviderId
from alir.messages.model import Message
from alir.providers import lenient
from alir.providers.whatsapp import mark
from alir.providers.whatsapp.codes import meaning_of, meanings
from alir.providers.whatsapp.payload import flow_message

#: The longest of a provider's own words that are kept, in characters.
LONGEST_DETAIL = 1_000
_TOO_MANY_REQUESTS = 429
_NOT_A_SUCCESS = 300
#: Digits of a `Retry-After` that is believed; more would be months.
_RETRY_AFTER_DIGITS = 7

#: The provider writes a field below another in two ways: `body.text` and `body['text']`.
_BRACKETED = re.compile(r"\['(\w+)'\]")
#: The provider's names of fields, and alir's. Longer ones first: one may hold another.
_FIELDS = (
    ("interactive.action.parameters.", ""),
    ("biz_opaque_callback_data", "alir's own mark"),
    ("flow_action_payload.screen", "flow.screen"),
    ("flow_action_payload.data", "flow.data"),
    ("interactive.header.image.link", "flow.param.header.media"),
    ("interactive.header.text", "flow.param.header.text"),
    ("interactive.footer.text", "flow.param.footer"),
    ("interactive.body.text", "flow.param.body"),
    ("flow_action_payload", "flow.screen"),
    ("context.message_id", "reply_message_id"),
    ("flow_action", "flow.action"),
    ("flow_token", "flow.token"),
    ("flow_cta", "flow.text"),
    ("flow_id", "flow.id"),
)


def build_send(message: Message, attempt: int) -> bytes:
    """The body that hands attempt `attempt` of `message` over."""
    return orjson.dumps(flow_message(message, mark=mark.write(message.id, attempt)))


def read_answer(status: int, headers: Mapping[str, str], body: bytes) -> Sent:
    """What the Cloud API's answer to a send means.

    A Graph error is certainly no message. Anything that is neither that nor a message id says
    nothing about whether the message was taken.

    Raises:
        ProviderBusy: not taken; safe to try again later.
        ProviderRefused: not taken; it never will be.
        OutcomeUnknown: the answer does not say whether it was taken.
    """
    answer = lenient.parse(body)
    match answer:
        case {"error": {"code": int(code)} as error} if not isinstance(code, bool):
            raise _failure(status, code, error, _retry_after(headers))
        case {"messages": [{"id": str(wamid)}, *_]} if wamid and status < _NOT_A_SUCCESS:
            return Sent(ProviderId(wamid), _wa_id(answer))
    if status == _TOO_MANY_REQUESTS:
        raise ProviderBusy(
            "The provider asks to slow down",
            provider_code=f"HTTP {status}",
            retry_after=_retry_after(headers),
        )
    raise OutcomeUnknown(
        "The provider's answer does not say whether it took the message",
        provider_code=f"HTTP {status}",
    )


def error_of(code: int, said: Mapping[str, Any]) -> dict[str, str | None]:
    """Title, code and the provider's own words, in alir's terms, of a Graph error object."""
    return {
        "title": meaning_of(code, table=meanings()).title,
        "provider_code": str(code),
        "details": _details(said),
    }


def failure_of(error: Mapping[str, Any]) -> SendFailure:
    """What the error of a failed receipt, in alir's shape, would mean as an answer."""
    code = str(error.get("provider_code") or "")
    said = {"message": error.get("detail")}
    return _failure(400, int(code) if code.isdigit() else -1, said, None)


def _failure(
    status: int, code: int, said: Mapping[str, Any], retry_after: timedelta | None
) -> SendFailure:
    meaning = meaning_of(
        code,
        http_status=status,
        is_transient=said.get("is_transient") is True,
        table=meanings(),
    )
    refused = not meaning.concern.is_busy
    texts = error_of(code, said)
    title, details = str(texts["title"]), texts["details"]
    if refused:
        return ProviderRefused(title, provider_code=str(code), details=details)
    return ProviderBusy(title, provider_code=str(code), details=details, retry_after=retry_after)


def _details(said: Mapping[str, Any]) -> str | None:
    match said:
        case {"error_data": {"details": str(details)}} if details:
            text = details
        case {"error_data": str(details)} if details:
            text = details
        case {"message": str(details)} if details:
            text = details
        case _:
            return None
    text = _BRACKETED.sub(r".\1", text)
    for theirs, ours in _FIELDS:
        text = text.replace(theirs, ours)
    return text[:LONGEST_DETAIL]


def _wa_id(answer: object) -> str | None:
    match answer:
        case {"contacts": [{"wa_id": str(wa_id)}, *_]}:
            return wa_id
    return None


def _retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """The wait that was asked for, where it is given in seconds."""
    value = headers.get("retry-after", "")
    if not (value.isascii() and value.isdigit() and len(value) <= _RETRY_AFTER_DIGITS):
        return None
    return timedelta(seconds=int(value))
