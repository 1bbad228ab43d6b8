"""WhatsApp for one machine, put together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

from alir.clock import Clock
from alir.outbound.http import HttpClient
from alir.simulator.agenda import Agenda
from alir.simulator.behaviour import Behaviour
from alir.simulator.callbacks import Callbacks
from alir.simulator.carrier import Carrier
from alir.simulator.graph.dialect import GraphDialect
from alir.simulator.graph.route import GraphRoute
from alir.simulator.ids import new_request_id, new_wamid
from alir.simulator.phones import CLOUD, ROUTE_MOBILE, Phones, Written
from alir.simulator.routemobile.dialect import RouteMobileDialect
from alir.simulator.routemobile.route import RouteMobileRoute

#: The simulator's credentials are fixed and public; who may use it is decided by network.
ACCESS_TOKEN = "simulator"  # noqa: S105 - public
APP_SECRET = "simulator"  # noqa: S105 - public
VERIFY_TOKEN = "simulator"  # noqa: S105 - public
#: The phone number id of the sender `sandbox`. Any other is taken too.
PHONE_NUMBER_ID = "1065000000"
#: Of Route Mobile. Any other username is taken too, with this password.
USERNAME = "simulator"
PASSWORD = "simulator"  # noqa: S105 - public
#: How many messages a simulator inside the gateway remembers.
KEEP = 10_000


class Simulator:
    """Takes messages as WhatsApp does, and calls back. Its app is `simulator.app.build_app`.

    Attributes:
        phones: what every phone received.
        carrier: what is done with a message; also holds the behaviour.
        graph: answers what comes to the look-alike of the Graph API.
        routemobile: answers what comes to the look-alike of Route Mobile.
        ended: set when the end has begun; whatever would hold a request open lets it go.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        http: HttpClient,
        keep: int | None = KEEP,
        callback_url: str | None = None,
        routemobile_callback_url: str | None = None,
        routemobile_callback_urls: Mapping[str, str] | None = None,
    ) -> None:
        """`http` carries the callbacks; its owner closes it after `stop`.

        Args:
            keep: how many messages are remembered; `None` for all.
            callback_url: where callbacks of provider `cloud` go; `None`: nobody is told.
            routemobile_callback_urls: by username; all others have `routemobile_callback_url`.

        Raises:
            ValueError: one of the callback URLs is not an http or https URL.
        """
        self.phones = Phones(keep=keep)
        self.ended = asyncio.Event()
        self._dialect = GraphDialect(app_secret=APP_SECRET)
        self._routemobile_dialect = RouteMobileDialect(
            lambda: self.behaviour.routemobile,
            callback_urls={
                user: _checked(url) for user, url in (routemobile_callback_urls or {}).items()
            },
        )
        self.callback_url = callback_url
        self.routemobile_callback_url = routemobile_callback_url
        self._agenda = Agenda(clock)
        self.callbacks = Callbacks(
            clock=clock,
            agenda=self._agenda,
            http=http,
            dialects={CLOUD: self._dialect, ROUTE_MOBILE: self._routemobile_dialect},
            changed=self.phones.changed,
        )
        self.carrier = Carrier(
            clock=clock, agenda=self._agenda, phones=self.phones, callbacks=self.callbacks
        )
        self.clock = clock
        self.graph = GraphRoute(
            self.carrier,
            clock=clock,
            access_token=ACCESS_TOKEN,
            app_secret=APP_SECRET,
            ended=self.ended,
        )
        self.routemobile = RouteMobileRoute(
            self.carrier,
            clock=clock,
            dialect=self._routemobile_dialect,
            password=PASSWORD,
            ended=self.ended,
        )
        self._work: asyncio.Task[None] | None = None

    @property
    def callback_url(self) -> str | None:
        """Where callbacks of provider `cloud` go; `None`: nobody is told."""
        return self._dialect.callback_url

    @callback_url.setter
    def callback_url(self, url: str | None) -> None:
        self._dialect.callback_url = None if url is None else _checked(url)

    @property
    def routemobile_callback_url(self) -> str | None:
        """Where callbacks go for users of Route Mobile without a URL of their own."""
        return self._routemobile_dialect.callback_url

    @routemobile_callback_url.setter
    def routemobile_callback_url(self, url: str | None) -> None:
        self._routemobile_dialect.callback_url = None if url is None else _checked(url)

    @property
    def routemobile_callback_urls(self) -> Mapping[str, str]:
        """Where callbacks go for some users of Route Mobile, by username."""
        return self._routemobile_dialect.callback_urls

    @property
    def behaviour(self) -> Behaviour:
        """How it behaves; settable at any time."""
        return self.carrier.behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self.carrier.behaviour = behaviour

    def write(self, *, phone: str, sender: str, text: str, name: str) -> Written:
        """The person at `phone` (digits, or a user id) writes `text` to `sender`."""
        provider = self._provider_of(phone, sender)
        written = Written(
            wamid=new_wamid(),
            provider=provider,
            request_id=new_request_id() if provider == ROUTE_MOBILE else None,
            sender=sender,
            phone=phone,
            at=self.carrier.now(),
            text=text,
            name=name,
        )
        self.carrier.write(written)
        return written

    def _provider_of(self, phone: str, sender: str) -> str:
        """Who carries messages for `sender`, as far as can be seen."""
        last = self.phones.last_received(phone)
        if last is not None and last.sender == sender:
            return last.provider
        users = {USERNAME, *self.routemobile.users, *self.routemobile_callback_urls}
        return ROUTE_MOBILE if sender in users else CLOUD

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


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"a callback URL must be an http or https URL, not {url!r}")
    return url
