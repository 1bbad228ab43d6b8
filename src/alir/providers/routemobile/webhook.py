"""Route Mobile's callbacks: whose they are, and what they tell.

Nothing signs them: who knows the secret in the path is believed.

Source: Route Mobile, WhatsApp Business API, OpenAPI 1.8.0 of 2026-02-09, `/callbacks`.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from alir.errors import SendFailure
from alir.ids import SenderName
from alir.messages.model import WAMID
from alir.providers import lenient
from alir.providers.routemobile.settings import RouteMobileSender
from alir.providers.whatsapp.codes import Table
from alir.providers.whatsapp.failure import failure_of_receipt
from alir.providers.whatsapp.told import Value, told_in, values_in
from alir.receipts.model import Heard, Told
from alir.receipts.ports import CallbackForm, CallbackRequest

NAME: Final = "routemobile"
FORM: Final = CallbackForm(
    example={
        "statuses": [
            {
                "id": "00000000-f142-11eb-8e02-000000000000",
                "recipient_id": "620000000001",
                "status": "delivered",
                "timestamp": "1790000000",
                "type": "message",
            }
        ],
        "brand_msisdn": "620000000009",
    }
)


class RouteMobileCallbacks:
    """Reads callbacks for the senders of this provider.

    Attributes:
        name: of the provider.
    """

    name: Final = NAME

    def __init__(self, senders: Mapping[SenderName, RouteMobileSender], codes: Table) -> None:
        """No two senders share a `callback_secret`: nothing else tells their callbacks apart."""
        self._senders = senders
        self._codes = codes

    def signed_by(self, request: CallbackRequest) -> tuple[SenderName, ...]:
        """The senders whose own secret ends the path."""
        presented = (request.secret or "").encode(errors="replace")
        # Each is compared, so that the time tells nothing.
        return tuple(
            name
            for name, sender in self._senders.items()
            if hmac.compare_digest(presented, sender.callback_secret.reveal().encode())
        )

    def read(
        self, body: bytes, *, senders: Sequence[SenderName], now: datetime
    ) -> list[Told | Heard]:
        """Everything that a callback tells about `senders`.

        What is of another kind, or not of a documented form, is passed over: it stays in the raw
        callback, and never spoils the rest.
        """
        values = list(_values(lenient.parse(body)))
        return [
            one
            for sender in senders
            if sender in self._senders
            for value in values
            for one in map(_with_wamid, told_in(value, sender, now, self._codes))
        ]

    def failure_of(self, error: Mapping[str, Any]) -> SendFailure:
        """See `Dialect.failure_of`."""
        return failure_of_receipt(error, self._codes)


def _values(content: object) -> Iterator[Value]:
    """What holds the items, in each of the three envelopes: bare, in `data`, in Meta's own."""
    if not isinstance(content, dict):
        return
    yield content
    data = content.get("data")
    if isinstance(data, dict):
        yield data
    yield from (value for _, value in values_in(content))


def _with_wamid(told: Told | Heard) -> Told | Heard:
    """The same; in Meta's own envelope the id is WhatsApp's, not Route Mobile's."""
    if isinstance(told, Told) and told.wamid is None and told.provider_id.startswith(WAMID):
        return replace(told, wamid=told.provider_id)
    return told
