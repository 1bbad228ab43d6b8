"""One number of Meta's Cloud API."""

from __future__ import annotations

from alir.dispatch.ports import Sent
from alir.errors import OutcomeUnknown, ProviderBusy, ProviderRefused, SendFailure
from alir.messages.model import Message
from alir.outbound.http import NeverConnected, NoAnswer
from alir.providers.cloud import wire
from alir.providers.cloud.settings import CloudSender
from alir.providers.credential import fingerprint, strike_out
from alir.providers.tools import Tools


class CloudProvider:
    """Sends messages from one number. Holds no state."""

    def __init__(self, sender: CloudSender, tools: Tools) -> None:
        self._sender = sender
        self._tools = tools
        number = f"{sender.graph_version}/{sender.phone_number_id}"
        self._url = f"{sender.graph_url}/{number}/messages"

    def is_ready(self) -> bool:
        """See `Provider.is_ready`: the access token is all that it takes."""
        return True

    async def get_ready(self) -> None:
        """See `Provider.get_ready`."""

    async def send(self, message: Message, attempt: int) -> Sent:
        """Hand over one attempt; see `Provider.send`."""
        if message.to is None and not self._sender.recipients_by_user_id:
            raise ProviderRefused(
                "This sender sends to phone numbers only",
                details="recipient: Meta must have opened user ids for this number; "
                "then set recipients_by_user_id",
            )
        token = self._sender.access_token.reveal()
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        try:
            answer = await self._tools.http.request(
                "POST", self._url, headers=headers, body=wire.build_send(message, attempt)
            )
        except NeverConnected as error:
            raise ProviderBusy("The provider could not be reached") from error
        except NoAnswer as error:
            raise OutcomeUnknown("No answer came back after the request had left") from error
        try:
            return wire.read_answer(
                answer.status,
                answer.headers,
                answer.body,
                codes=self._tools.codes,
                now=self._tools.clock.now(),
            )
        except SendFailure as failure:
            strike_out(failure, token)
            raise

    def credentials(self) -> bytes:
        """See `Provider.credentials`."""
        return fingerprint(self._sender.access_token.reveal())

    def refresh_credentials(self) -> None:
        """See `Provider.refresh_credentials`."""
        self._sender.access_token.expire()
