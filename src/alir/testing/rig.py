"""One sender of a provider, the server that it calls, and an event loop of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self

from alir.dispatch.ports import Provider, Sent
from alir.errors import OutcomeUnknown, ProviderBusy, ProviderRefused, SendFailure
from alir.ids import SenderName
from alir.messages.model import Message
from alir.outbound.http import PooledHttpClient
from alir.providers.sender import Sender
from alir.providers.tools import Tools
from alir.providers.whatsapp.codes import Table
from alir.receipts.ports import Dialect
from alir.tables.fields import Surroundings
from alir.tables.secret import Secret
from alir.testing.asked import Asked
from alir.testing.clock import HandClock
from alir.testing.lines import ONLY_FAILURES, READY, ContractBroken
from alir.testing.messages import MAIN, OTHER, a_message
from alir.testing.server import HANG_UP, Reply, Request, Server

End = Sent | SendFailure  #: what a send came to

#: What every provider's table has. Nothing here matters to the contract.
_SHARED: Final[Mapping[str, Any]] = {
    "account": "contract",
    "messages_per_second": 80,
    "pair_seconds": 6,
    "pair_burst": 45,
    "on_unknown": "hold",
    "closed_window": "warn",
}
#: A call that hangs on this machine for so long is stuck, in seconds.
_STUCK: Final = 20.0
_CALL_TIMEOUT: Final = timedelta(seconds=10)
_NOWHERE: Final = "http://127.0.0.1:9"


def sender_of(
    asked: Asked,
    number: int = 1,
    *,
    url: str = _NOWHERE,
    changes: Mapping[str, Any] | None = None,
    clock: HandClock | None = None,
) -> Sender:
    """The table of a sender, checked as alir checks it.

    Args:
        changes: of its keys; a secret may be `{"file": …}`, which is then read by `clock`.
    """
    fields = dict(_SHARED) | asked.table(url, number) | dict(changes or {})
    surroundings = Surroundings(environ={}, elapsed=(clock or HandClock()).elapsed)
    sender: Sender = asked.kind.sender.model_validate(fields, context=surroundings)
    return sender


def codes_of(asked: Asked) -> Table:
    """What its error codes mean, as it ships."""
    return asked.kind.codes({})


def dialect_of(asked: Asked, senders: Mapping[SenderName, Sender] | None = None) -> Dialect:
    """What reads the callbacks of `senders`, or of both that the author gives."""
    both = {MAIN: sender_of(asked, 1), OTHER: sender_of(asked, 2)}
    return asked.kind.dialect(both if senders is None else senders, codes_of(asked))


def secrets_of(sender: Sender) -> dict[str, str]:
    """Every secret in a sender's table, by its key."""
    values = {key: getattr(sender, key) for key in type(sender).model_fields}
    return {key: value.reveal() for key, value in values.items() if isinstance(value, Secret)}


@dataclass(frozen=True, slots=True)
class Caught:
    """What a send came to, with the requests that it made.

    Attributes:
        sends: those that were no log-in or the like.
    """

    end: End
    sends: tuple[Request, ...]

    @property
    def what(self) -> str:
        """In a few words, for people."""
        if isinstance(self.end, Sent):
            return f"Sent(provider_id={self.end.provider_id!r})"
        return f"{type(self.end).__name__}({str(self.end)!r})"


class Rig:
    """Use as a context manager.

    Attributes:
        provider: what is tried.
        clock: the one that it is given.
        requests: every request that the server has read.
        sends: those of them that were no log-in or the like.
    """

    provider: Provider

    def __init__(
        self,
        asked: Asked,
        *,
        changes: Mapping[str, Any] | None = None,
        call_timeout: timedelta = _CALL_TIMEOUT,
    ) -> None:
        self._asked = asked
        self._changes = changes
        self._call_timeout = call_timeout
        self._runner = asyncio.Runner()
        self._server = Server(self._answer)
        self._open = ExitStack()
        self._replies: list[Reply] = []
        self._instead: Reply | None = None
        self.clock = HandClock()
        self.requests: list[Request] = []
        self.sends: list[Request] = []

    def __enter__(self) -> Self:
        self._open.enter_context(self._runner)
        self._run(self._server.start())
        self._open.callback(self.stop_server)
        http = self._run(self._client())
        self._open.callback(lambda: self._run(http.__aexit__(None, None, None)))
        sender = sender_of(
            self._asked, url=self._server.url, changes=self._changes, clock=self.clock
        )
        tools = Tools(http=http, clock=self.clock, codes=codes_of(self._asked))
        self.provider = self._asked.kind.provider(sender, tools)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    @property
    def url(self) -> str:
        """Where the server listens."""
        return self._server.url

    def stop_server(self) -> None:
        """Nothing listens at its port from here on."""
        self._run(self._server.stop())

    def send(self, *replies: Reply, message: Message | None = None, attempt: int = 1) -> Caught:
        """Hand a message over.

        Args:
            replies: what the server answers to the first send that it reads, to the second, …;
                the last one also to all after it.

        Raises:
            ContractBroken: it raised something else than it may.
        """
        self._replies = list(replies)
        before = len(self.sends)
        end = self._run(self._send(message or a_message(), attempt))
        return Caught(end, tuple(self.sends[before:]))

    def get_ready(self, *, instead: Reply | None = None) -> ProviderBusy | None:
        """Have the provider get ready; why it did not, where it says so.

        Args:
            instead: what the server answers to whatever is no send, such as a log-in.

        Raises:
            ContractBroken: it raised something else than it may.
        """
        # So is a send answered, which does not belong here.
        self._instead, self._replies = instead, [HANG_UP]
        try:
            self._run(self._get_ready())
        except ProviderBusy as failure:
            return failure
        except Exception as error:
            raise ContractBroken(READY, f"{type(error).__name__}: {error}") from error
        finally:
            self._instead = None
        return None

    async def _get_ready(self) -> None:
        async with asyncio.timeout(_STUCK):
            await self.provider.get_ready()

    async def _send(self, message: Message, attempt: int) -> End:
        try:
            async with asyncio.timeout(_STUCK):
                sent = await self.provider.send(message, attempt)
        except (ProviderBusy, ProviderRefused, OutcomeUnknown) as failure:
            return failure
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
            raise ContractBroken(ONLY_FAILURES, found) from error
        if not isinstance(sent, Sent):
            raise ContractBroken(ONLY_FAILURES, f"send returned {sent!r}")
        return sent

    def _answer(self, request: Request) -> Reply:
        self.requests.append(request)
        own = self._asked.before_send(request)
        if own is not None:
            return self._instead or own
        self.sends.append(request)
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]

    async def _client(self) -> PooledHttpClient:
        return PooledHttpClient(call_timeout=self._call_timeout)

    def _run(self, work: Any) -> Any:
        return self._runner.run(work)
