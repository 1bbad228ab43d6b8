"""The Cloud API's callbacks: who signed them, and what they tell.

Source: Meta, "Webhooks" and the message status reference, read 2026-09-14.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from alir.errors import SendFailure
from alir.ids import SenderName
from alir.providers import lenient
from alir.providers.cloud.settings import CloudSender
from alir.providers.whatsapp.codes import Table
from alir.providers.whatsapp.failure import failure_of_receipt
from alir.providers.whatsapp.told import told_in, values_in
from alir.receipts.model import Heard, Told
from alir.receipts.ports import CallbackForm, CallbackRequest, Signature

NAME: Final = "cloud"
SIGNATURE_HEADER: Final = "x-hub-signature-256"
_SCHEME: Final = "sha256="
_FIELD: Final = "messages"  #: what is subscribed to; the others are about other things
_ABOUT_NOBODY: Final = {"object": "whatsapp_business_account", "entry": []}
#: Made with the simulator's app secret, which is public.
_ITS_DIGEST: Final = hmac.new(b"simulator", json.dumps(_ABOUT_NOBODY).encode(), "sha256")
FORM: Final = CallbackForm(
    signature=Signature(
        header="X-Hub-Signature-256",
        says="HMAC-SHA-256 of the body's bytes, with the app secret of a sender; in the example "
        "with the simulator's, `simulator`.",
        pattern="^sha256=[0-9a-f]{64}$",
        example=f"{_SCHEME}{_ITS_DIGEST.hexdigest()}",
    ),
    example=_ABOUT_NOBODY,
)


class CloudCallbacks:
    """Reads callbacks for the senders of this provider.

    Attributes:
        name: of the provider.
    """

    name: Final = NAME

    def __init__(self, senders: Mapping[SenderName, CloudSender], codes: Table) -> None:
        """Several senders may share a secret, none a `phone_number_id`."""
        self._senders = senders
        self._codes = codes

    def challenge_answer(self, query: Mapping[str, str]) -> str | None:
        """What the verification handshake must be answered with; None: refuse it."""
        presented = query.get("hub.verify_token", "")
        known = [
            hmac.compare_digest(presented.encode(), sender.verify_token.reveal().encode())
            for sender in self._senders.values()
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
        for name, sender in self._senders.items():
            sharing.setdefault(sender.app_secret.reveal(), []).append(name)
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
        allowed = {s.phone_number_id: n for n, s in self._senders.items() if n in senders}
        return [
            one
            for field, value in values_in(lenient.parse(body))
            if field == _FIELD and (sender := allowed.get(_account(value))) is not None
            for one in told_in(value, sender, now, self._codes)
        ]

    def failure_of(self, error: Mapping[str, Any]) -> SendFailure:
        """See `Dialect.failure_of`."""
        return failure_of_receipt(error, self._codes)


def _account(value: Mapping[str, Any]) -> str:
    match value:
        case {"metadata": {"phone_number_id": str(account)}}:
            return account
    return ""
