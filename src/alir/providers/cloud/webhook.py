"""The Cloud API's callbacks: who signed them, and what they tell.

Source: Meta, "Webhooks" and the message status reference, read 2026-09-14.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from alir.errors import SendFailure
from alir.ids import ProviderId, SenderName
from alir.messages import life
from alir.messages.model import ReceiptStatus
from alir.providers import lenient
from alir.providers.cloud.wire import error_of, failure_of
from alir.providers.whatsapp import mark
from alir.receipts.model import Heard, Told
from alir.receipts.ports import CallbackRequest, Credentials

NAME = "cloud"
SIGNATURE_HEADER = "x-hub-signature-256"
_SCHEME = "sha256="
#: Digits of Unix seconds that a `datetime` can hold.
_TIMESTAMP_DIGITS = 11
_STATUSES = {status.value: status for status in ReceiptStatus}


@dataclass(frozen=True, slots=True)
class CloudCallbacks:
    """Reads callbacks for the senders of this provider.

    Attributes:
        senders: one entry for each; several may share a secret, none a `phone_number_id`.
    """

    senders: Sequence[Credentials]
    name: str = NAME

    def challenge_answer(self, query: Mapping[str, str]) -> str | None:
        """What the verification handshake must be answered with; None: refuse it."""
        presented = query.get("hub.verify_token", "")
        known = [
            hmac.compare_digest(presented.encode(), sender.verify_token().encode())
            for sender in self.senders
            if sender.verify_token is not None
        ]
        if query.get("hub.mode") != "subscribe" or not any(known):
            return None
        return query.get("hub.challenge", "")

    def signed_by(self, request: CallbackRequest) -> tuple[SenderName, ...]:
        """The senders whose own secret signed exactly these bytes."""
        given = request.headers.get(SIGNATURE_HEADER, "")
        if not given.startswith(_SCHEME):
            return ()
        presented = given.removeprefix(_SCHEME).encode()
        sharing: dict[str, list[SenderName]] = {}
        for sender in self.senders:
            sharing.setdefault(sender.secret(), []).append(sender.name)
        signers: list[SenderName] = []
        for secret, names in sharing.items():
            expected = hmac.new(secret.encode(), request.body, hashlib.sha256).hexdigest()
            if hmac.compare_digest(presented, expected.encode()):
                signers += names
        return tuple(signers)

    def read(
        self, body: bytes, *, senders: Sequence[SenderName], now: datetime
    ) -> list[Told | Heard]:
        """Everything in a callback that is about one of `senders`.

        What is of another kind, or not of the documented form, is passed over: it stays in the
        raw callback, and never spoils the rest.
        """
        allowed = {c.account: c.name for c in self.senders if c.name in senders}
        return [
            one
            for value in _values(lenient.parse(body))
            if (sender := allowed.get(_account(value))) is not None
            for one in told_in(value, sender, now)
        ]

    def failure_of(self, error: Mapping[str, Any]) -> SendFailure:
        """See `Dialect.failure_of`."""
        return failure_of(error)


def told_in(value: Mapping[str, Any], sender: SenderName, now: datetime) -> Iterator[Told | Heard]:
    """What one `value` of a callback tells: first who wrote, then the receipts."""
    for message in _list(value.get("messages")):
        if (heard := _heard(sender, message, now)) is not None:
            yield heard
    for status in _list(value.get("statuses")):
        if (told := _told(sender, status, now)) is not None:
            yield told


def _heard(sender: SenderName, message: Any, now: datetime) -> Heard | None:
    """The person wrote. Who is known by a user id only has no `from`."""
    if not isinstance(message, dict):
        return None
    wa_id, user_id = _text(message.get("from")), _text(message.get("from_user_id"))
    if wa_id is None and user_id is None:
        return None
    return Heard(
        sender=sender,
        at=_moment(message.get("timestamp"), now),
        wa_id=None if wa_id is None else wa_id.removeprefix("+"),
        user_id=user_id,
        wamid=_text(message.get("id")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _values(content: object) -> Iterator[Mapping[str, Any]]:
    for entry in _list(content.get("entry") if isinstance(content, dict) else None):
        for change in _list(entry.get("changes") if isinstance(entry, dict) else None):
            value = change.get("value") if isinstance(change, dict) else None
            if isinstance(value, dict) and change.get("field") == "messages":
                yield value


def _account(value: Mapping[str, Any]) -> str:
    match value:
        case {"metadata": {"phone_number_id": str(account)}}:
            return account
    return ""


def _told(sender: SenderName, status: Any, now: datetime) -> Told | None:
    match status:
        case {"id": str(wamid), "status": str(word)} if wamid and word in _STATUSES:
            errors = _list(status.get("errors"))
            recipient = status.get("recipient_id")
            return Told(
                sender=sender,
                provider_id=ProviderId(wamid),
                status=_STATUSES[word],
                at=_moment(status.get("timestamp"), now),
                mark=mark.read(status.get("biz_opaque_callback_data")),
                wa_id=recipient if isinstance(recipient, str) and recipient else None,
                error=_error(errors[0]) if errors else None,
            )
    return None


def _error(said: Any) -> Mapping[str, Any] | None:
    match said:
        case {"code": int(code)}:
            texts = error_of(code, said)
            return life.error(
                "undelivered",
                str(texts["title"]),
                provider_code=texts["provider_code"],
                detail=texts["details"],
            )
    return None


def _moment(timestamp: object, now: datetime) -> datetime:
    """Unix seconds, given as a string; `now` where that is not what came."""
    text = str(timestamp)
    if not (text.isascii() and text.isdigit() and len(text) <= _TIMESTAMP_DIGITS):
        return now
    return datetime.fromtimestamp(int(text), UTC)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
