"""One number of Meta's Cloud API."""

from __future__ import annotations

import hashlib

from alir.dispatch.ports import Sent
from alir.errors import OutcomeUnknown, ProviderBusy
from alir.messages.model import Message
from alir.outbound.http import HttpClient, NeverConnected, NoAnswer
from alir.providers.cloud import wire
from alir.providers.credential import Credential


class CloudProvider:
    """Sends messages from one number. Holds no state."""

    def __init__(
        self,
        http: HttpClient,
        *,
        graph_url: str,
        graph_version: str,
        phone_number_id: str,
        access_token: Credential,
    ) -> None:
        self._http = http
        self._url = f"{graph_url.rstrip('/')}/{graph_version}/{phone_number_id}/messages"
        self._access_token = access_token

    async def send(self, message: Message, attempt: int) -> Sent:
        """Hand over one attempt; see `Provider.send`."""
        headers = {
            "authorization": f"Bearer {self._access_token.reveal()}",
            "content-type": "application/json",
        }
        try:
            answer = await self._http.request(
                "POST", self._url, headers=headers, body=wire.build_send(message, attempt)
            )
        except NeverConnected as error:
            raise ProviderBusy("The provider could not be reached") from error
        except NoAnswer as error:
            raise OutcomeUnknown("No answer came back after the request had left") from error
        return wire.read_answer(answer.status, answer.headers, answer.body)

    def credentials(self) -> bytes:
        """See `Provider.credentials`."""
        return hashlib.sha256(self._access_token.reveal().encode()).digest()

    def refresh_credentials(self) -> None:
        """See `Provider.refresh_credentials`."""
        self._access_token.expire()
