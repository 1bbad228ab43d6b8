"""One number at Route Mobile."""

from __future__ import annotations

from typing import Final

from alir.dispatch.ports import Sent
from alir.errors import OutcomeUnknown, ProviderBusy, SendFailure
from alir.messages.model import Message
from alir.outbound.http import Answer, NeverConnected, NoAnswer
from alir.providers.credential import strike_out
from alir.providers.routemobile import wire
from alir.providers.routemobile.login import LogIn
from alir.providers.routemobile.settings import RouteMobileSender
from alir.providers.tools import Tools

#: A begun message must leave soon or not at all (design, section 5, point 4). There is a token when
#: it is sent, which may have been ended before its time: where the new one comes so long after the
#: call, in seconds, the message is queued again, and finds the token there.
LONGEST_FOR_A_TOKEN: Final = 3.0


class RouteMobileProvider:
    """Sends messages from one number, and logs in for that when it must."""

    def __init__(self, sender: RouteMobileSender, tools: Tools) -> None:
        self._sender = sender
        self._tools = tools
        self._log_in = LogIn(sender, tools)
        self._url = f"{sender.base_url}/wba/v1/messages"

    def is_ready(self) -> bool:
        """See `Provider.is_ready`: it is while there is a token that is good for a while."""
        return self._log_in.known_token() is not None

    async def get_ready(self) -> None:
        """Log in; see `Provider.get_ready`."""
        await self._log_in.token()

    async def send(self, message: Message, attempt: int) -> Sent:
        """Hand over one attempt; see `Provider.send`."""
        body = wire.build_send(message, attempt, self._sender)
        begun = self._tools.clock.elapsed()
        token, answer = await self._post(body, begun)
        if answer.status == wire.UNAUTHORIZED:
            # Certainly not taken. The token may have been ended before its time.
            self._log_in.reject(token)
            token, answer = await self._post(body, begun)
            if answer.status == wire.UNAUTHORIZED:
                self._log_in.reject(token)
        try:
            return wire.read_answer(
                answer.status,
                answer.headers,
                answer.body,
                codes=self._tools.codes,
                now=self._tools.clock.now(),
                failed_500=self._sender.failed_500,
                template=wire.template_field(message),
            )
        except SendFailure as failure:
            own = (self._sender.username.reveal(), self._sender.password.reveal())
            strike_out(failure, token, *own)
            raise

    def credentials(self) -> bytes:
        """See `Provider.credentials`."""
        return self._log_in.fingerprint()

    def refresh_credentials(self) -> None:
        """See `Provider.refresh_credentials`."""
        self._sender.username.expire()
        self._sender.password.expire()

    async def _post(self, body: bytes, begun: float) -> tuple[str, Answer]:
        """The answer, and the token that was used."""
        token = await self._log_in.token()
        if self._tools.clock.elapsed() - begun > LONGEST_FOR_A_TOKEN:
            raise ProviderBusy("The log-in took long, so the message was not sent yet")
        bearer = self._sender.authorization == "bearer"
        headers = {
            "authorization": f"Bearer {token}" if bearer else token,
            "content-type": "application/json",
            "accept": "application/json",
        }
        try:
            answer = await self._tools.http.request("POST", self._url, headers=headers, body=body)
        except NeverConnected as error:
            raise ProviderBusy("The provider could not be reached") from error
        except NoAnswer as error:
            raise OutcomeUnknown("No answer came back after the request had left") from error
        return token, answer
