"""The Cloud API's requests and answers: pure functions over bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import orjson

from alir.dispatch.ports import Sent
from alir.errors import OutcomeUnknown, SendFailure
from alir.ids import ProviderId
from alir.messages.model import Message
from alir.providers import lenient
from alir.providers.waits import retry_after, until_access_is_regained
from alir.providers.whatsapp import mark
from alir.providers.whatsapp.codes import Concern, Meaning, Table, meaning_of
from alir.providers.whatsapp.failure import failure
from alir.providers.whatsapp.naming import words_of
from alir.providers.whatsapp.payload import body_of

_TOO_MANY_REQUESTS: Final = 429
_NOT_A_SUCCESS: Final = 300
#: Whose refusals Meta's usage header may say more about.
_OF_THE_NUMBER: Final = frozenset({Concern.SENDER, Concern.ACCOUNT})


def build_send(message: Message, attempt: int) -> bytes:
    """The body that hands attempt `attempt` of `message` over."""
    return orjson.dumps(body_of(message, mark=mark.write(message.id, attempt)))


def read_answer(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    codes: Table,
    now: datetime,
) -> Sent:
    """What the Cloud API's answer to a send means.

    A Graph error is certainly no message. Anything that is neither that nor a message id says
    nothing about whether the message was taken.

    Args:
        codes: what error codes mean.
        now: what a date in `Retry-After` is counted from.

    Raises:
        ProviderBusy: not taken; safe to try again later.
        ProviderRefused: not taken; it never will be.
        OutcomeUnknown: the answer does not say whether it was taken.
    """
    answer = lenient.parse(body)
    match answer:
        case {"error": {"code": int(code)} as error} if not isinstance(code, bool):
            raise _failure(_meaning(status, code, error, codes), headers, now, words_of(error))
        case {"messages": [{"id": str(wamid)}, *_]} if wamid and status < _NOT_A_SUCCESS:
            return Sent(ProviderId(wamid), _wa_id(answer))
    if status == _TOO_MANY_REQUESTS:
        # Without a code of its own it is read as any 429: the number goes too fast.
        unnamed = _meaning(status, _TOO_MANY_REQUESTS, {}, {})
        meaning = replace(unnamed, title="The provider asks to slow down")
        raise _failure(meaning, headers, now, None, provider_code=f"HTTP {status}")
    raise OutcomeUnknown(
        "The provider's answer does not say whether it took the message",
        provider_code=f"HTTP {status}",
    )


def _meaning(status: int, code: int, error: Mapping[str, Any], codes: Table) -> Meaning:
    transient = error.get("is_transient") is True
    return meaning_of(code, http_status=status, is_transient=transient, table=codes)


def _failure(
    meaning: Meaning,
    headers: Mapping[str, str],
    now: datetime,
    details: str | None,
    *,
    provider_code: str | None = None,
) -> SendFailure:
    asked = retry_after(headers, now)
    if meaning.concern in _OF_THE_NUMBER:
        # What it estimates is of the app's calls, and nothing to do with one recipient or Flow.
        waits = (asked, until_access_is_regained(headers))
        asked = max((wait for wait in waits if wait is not None), default=None)
    return failure(meaning, provider_code=provider_code, details=details, retry_after=asked)


def _wa_id(answer: object) -> str | None:
    match answer:
        case {"contacts": [{"wa_id": str(wa_id)}, *_]}:
            return wa_id
    return None
