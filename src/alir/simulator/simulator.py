"""WhatsApp for one machine, put together."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from alir.clock import Clock
from alir.outbound.http import HttpClient
from alir.simulator.agenda import Agenda
from alir.simulator.behaviour import Behaviour
from alir.simulator.callbacks import Callbacks
from alir.simulator.carrier import Carrier
from alir.simulator.graph.dialect import GraphDialect
from alir.simulator.graph.route import GraphRoute
from alir.simulator.graph.wire import new_wamid
from alir.simulator.phones import Phones, Written

#: The simulator's credentials are fixed and public; who may use it is decided by network.
ACCESS_TOKEN = "simulator"  # noqa: S105
APP_SECRET = "simulator"  # noqa: S105
VERIFY_TOKEN = "simulator"  # noqa: S105
#: The phone number id of the sender `sandbox`. Any other is taken too.
PHONE_NUMBER_ID = "1065000000"
#: How many messages a simulator inside the gateway remembers.
KEEP = 10_000


class Simulator:
    """Takes messages as WhatsApp does, and calls back. Its app is `simulator.app.build_app`.

    Attributes:
        phones: what every phone received.
        carrier: what is done with a message; also holds the behaviour.
        graph: answers what comes to the look-alike of the Graph API.
        ended: set when the end has begun; whatever would hold a request open lets it go.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        http: HttpClient,
        keep: int | None = KEEP,
        callback_url: str | None = None,
    ) -> None:
        """`http` carries the callbacks; its owner closes it after `stop`.

        Args:
            keep: how many messages are remembered; `None` for all.

        Raises:
            ValueError: `callback_url` is not an http or https URL.
        """
        self.phones = Phones(keep=keep)
        self.ended = asyncio.Event()
        self._dialect = GraphDialect(app_secret=APP_SECRET)
        self.callback_url = callback_url
        self._agenda = Agenda(clock)
        self.callbacks = Callbacks(
            clock=clock,
            agenda=self._agenda,
            http=http,
            dialects={"cloud": self._dialect},
            changed=self.phones.changed,
        )
        self.carrier = Carrier(
            clock=clock, agenda=self._agenda, phones=self.phones, callbacks=self.callbacks
        )
        self.clock = clock
        self.graph = GraphRoute(
            self.carrier, clock=clock, access_token=ACCESS_TOKEN, ended=self.ended
        )
        self._work: asyncio.Task[None] | None = None

    @property
    def callback_url(self) -> str | None:
        """Where callbacks of provider `cloud` go; `None`: nobody is told."""
        return self._dialect.callback_url

    @callback_url.setter
    def callback_url(self, url: str | None) -> None:
        if url is not None:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError(f"a callback URL must be an http or https URL, not {url!r}")
        self._dialect.callback_url = url

    @property
    def behaviour(self) -> Behaviour:
        """How it behaves; settable at any time."""
        return self.carrier.behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self.carrier.behaviour = behaviour

    def write(self, *, phone: str, sender: str, text: str, name: str) -> Written:
        """The person at `phone` (digits) writes `text` to `sender`."""
        written = Written(
            wamid=new_wamid(),
            provider="cloud",
            sender=sender,
            phone=phone,
            at=self.carrier.now(),
            text=text,
            name=name,
        )
        self.carrier.write(written)
        return written

    async def start(self) -> None:
        """Begin: receipts come and callbacks leave from now on."""
        self.callbacks.start()
        self._work = asyncio.create_task(self._agenda.run())

    def end_streams(self) -> None:
        """Let go of every request that is held open; the rest goes on.

        For a server that waits for its requests before it stops.
        """
        self.ended.set()

    async def stop(self) -> None:
        """End everything at once. Receipts that have not come yet never will."""
        self.end_streams()
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])
            self._work = None
        await self.callbacks.stop()
