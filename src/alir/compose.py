"""Build the running gateway from its settings; start it in order, stop it in reverse."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Mapping, Sequence
from datetime import timedelta

from starlette.types import ASGIApp

from alir.api.app import Door, Mounted
from alir.api.ports import Gateway, Handshake, Limits
from alir.clock import Clock, SystemClock
from alir.dispatch.attempt import BusyPolicy
from alir.dispatch.backlog import Backlog
from alir.dispatch.dispatcher import Dispatcher, Dispatchers, DispatchPolicy
from alir.dispatch.housekeeping import Housekeeper
from alir.dispatch.pacing import Pace
from alir.errors import StoreUnavailable
from alir.ids import SenderName
from alir.intake.accept import Intake, SenderRules
from alir.intake.tokens import TokenBook
from alir.intake.waiting import Waiting
from alir.messages.model import Message, Outcome, ReceiptStatus, Status
from alir.observe import Metrics, get_logger
from alir.outbound.http import PooledHttpClient
from alir.providers.registry import PROVIDERS
from alir.providers.sender import Sender
from alir.providers.tools import Tools
from alir.providers.whatsapp.codes import Table
from alir.receipts.inbox import Inbox
from alir.receipts.ports import Dialect
from alir.settings import (
    SANDBOX_NAME,
    Settings,
    sandbox,
    sandbox_wanted,
    simulator_is_on,
)
from alir.simulator.app import build_app
from alir.simulator.simulator import Simulator
from alir.store.callbacks import CallbackStore
from alir.store.database import Database
from alir.store.messages import MessageStore
from alir.store.receipts import ReceiptStore
from alir.store.tokens import TokenStore

#: How often the figures that only the store knows are read.
FIGURES_SECONDS = 5.0
#: Due messages are counted up to here, so that counting costs the same however many wait.
COUNTED_AT_MOST = 100_000
#: How long the store may take to show that it takes writes.
READY_SECONDS = 2.0

_log = get_logger("gateway")


class Figures:
    """What the parts report, as metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def committed(self, size: int, seconds: float) -> None:
        self._metrics.commit_group_size.observe(size)
        self._metrics.commit_seconds.observe(seconds)

    def settled(self, sender: SenderName, outcome: Outcome, seconds: float) -> None:
        self._metrics.outcomes[sender, outcome.value].inc()
        self._metrics.provider_call_seconds[sender].observe(seconds)

    def answered(self, route: str, seconds: float) -> None:
        self._metrics.request_seconds[route].observe(seconds)

    def stored(self, message: Message) -> None:
        self._metrics.messages_accepted[message.sender].inc()

    def received(self, sender: SenderName, status: ReceiptStatus) -> None:
        self._metrics.receipts[sender, status.value].inc()

    def queue(self, sender: SenderName, due: int, age: timedelta, unknown: int) -> None:
        self._metrics.unknown[sender].set(unknown)
        self._metrics.queue_depth[sender].set(due)
        self._metrics.queue_age_seconds[sender].set(age.total_seconds())


class RunningGateway:
    """One gateway: API, dispatch, receipts and the simulator in one process.

    Attributes:
        app: the ASGI application to serve.
        tokens: the API tokens, for the first start.
        sender_names: in the order of the settings.
        has_simulator: whether it runs its own WhatsApp.
    """

    def __init__(self, settings: Settings, *, base_url: str) -> None:
        """Open the store and put the parts together; nothing runs yet.

        Args:
            base_url: where this process is reached from itself, such as `http://127.0.0.1:8080`.

        Raises:
            DatabaseInUse: another gateway runs on this database.
            StoreUnavailable: the database cannot be opened.
        """
        self._settings = settings
        self._clock: Clock = SystemClock()
        self._metrics = Metrics()
        self._figures = Figures(self._metrics)
        self._senders = _senders(settings, base_url)
        self._database = Database.open(settings.database, observe=self._figures)
        self._waiting = Waiting()
        self._backlog = Backlog(self._clock)
        self._messages = MessageStore(self._database, self._clock, changed=self._changed)
        receipts = ReceiptStore(self._database, self._clock, changed=self._changed)
        self.tokens = TokenStore(self._database, self._clock)
        self._http = PooledHttpClient(
            connect_timeout=timedelta(seconds=settings.dispatch.connect_timeout_seconds),
            call_timeout=timedelta(seconds=settings.dispatch.call_timeout_seconds),
        )
        self._codes = {name: kind.codes(settings.error_changes) for name, kind in PROVIDERS.items()}
        self._dispatchers = {
            name: self._dispatcher(name, sender) for name, sender in self._senders.items()
        }
        self._housekeeper = Housekeeper(
            self._messages,
            self._clock,
            unknown_after=timedelta(seconds=settings.dispatch.unknown_after_seconds),
        )
        dialects = _dialects(self._senders, self._codes)
        self._inbox = Inbox(
            dialects,
            CallbackStore(self._database, self._clock),
            receipts,
            self._clock,
            keep_parked=timedelta(days=settings.receipts.parked_days),
            counted=self._figures.received,
        )
        self._simulator = self._make_simulator(base_url) if simulator_is_on(settings) else None
        self._tasks: list[asyncio.Task[None]] = []
        self.app: ASGIApp = Door(self._gateway(dialects), self._mounted())

    @property
    def has_simulator(self) -> bool:
        return self._simulator is not None

    @property
    def sender_names(self) -> tuple[SenderName, ...]:
        return tuple(self._senders)

    async def start(self) -> None:
        """Take over what an earlier process left, then begin to work.

        Raises:
            StoreUnavailable: the database cannot be read or written.
        """
        await self._housekeeper.take_over()
        await self._inbox.take_over()
        if self._simulator is not None:
            await self._simulator.start()
        await self._read_figures()
        self._run(self._inbox.run(), "receipts")
        self._run(self._watch_figures(), "figures")
        self._run(self._housekeeper.run(), "housekeeping")
        if self._settings.dispatch.enabled:
            for name, dispatcher in self._dispatchers.items():
                self._run(dispatcher.run(), f"dispatch {name}")

    def begin_to_stop(self) -> None:
        """Answer who waits, begin no more attempts. Safe to call twice, and from a signal."""
        self._waiting.stop()
        for dispatcher in self._dispatchers.values():
            dispatcher.stop()
        if self._simulator is not None:
            self._simulator.ended.set()

    async def stop(self, grace: timedelta) -> None:
        """Let the calls under way end for `grace`, then close everything.

        What a call leaves without an answer stays begun, and is unknown at the next start.
        """
        self.begin_to_stop()
        await asyncio.gather(*(d.finish(grace) for d in self._dispatchers.values()))
        await self._inbox.finish(timedelta(seconds=1))
        if self._simulator is not None:
            await self._simulator.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.__aexit__(None, None, None)
        await self._database.close()

    def _dispatcher(self, name: SenderName, sender: Sender) -> Dispatcher:
        limits = self._settings.dispatch
        tools = Tools(http=self._http, clock=self._clock, codes=self._codes[sender.provider])
        return Dispatcher(
            name,
            provider=PROVIDERS[sender.provider].provider(sender, tools),
            outbox=self._messages,
            pace=Pace(sender.messages_per_second, limits.rate_share),
            policy=DispatchPolicy(
                busy=BusyPolicy(
                    first_delay=timedelta(seconds=limits.busy_first_delay_seconds),
                    longest_delay=timedelta(seconds=limits.busy_longest_delay_seconds),
                    give_up_after=timedelta(hours=limits.give_up_after_hours),
                ),
                begun_valid=timedelta(seconds=limits.begun_valid_seconds),
                max_calls=limits.max_calls_per_sender,
            ),
            clock=self._clock,
            random=random.random,
            measure=self._figures,
        )

    def _make_simulator(self, base_url: str) -> Simulator:
        return Simulator(
            clock=self._clock,
            http=self._http,
            keep=self._settings.simulator.keep_messages,
            callback_url=f"{base_url}/callbacks/cloud",
        )

    def _mounted(self) -> list[Mounted]:
        if self._simulator is None:
            return []
        networks = [str(network) for network in self._settings.simulator.allow_networks]
        app = build_app(self._simulator, prefix="/simulator", allow_networks=networks)
        return [Mounted("/simulator", app)]

    def _gateway(self, dialects: Sequence[Dialect]) -> Gateway:
        api = self._settings.api
        rules = {
            name: SenderRules(
                sender.on_unknown,
                by_user_id=getattr(sender, "recipients_by_user_id", False),
                refuses_closed_window=sender.closed_window == "refuse",
            )
            for name, sender in self._senders.items()
        }
        return Gateway(
            intake=Intake(self._messages, Dispatchers(self._dispatchers), rules, self._clock),
            messages=self._messages,
            tokens=TokenBook(self.tokens.valid, self._clock),
            waiting=self._waiting,
            inbox=self._inbox,
            callbacks={name: kind.secret_in_path for name, kind in PROVIDERS.items()},
            handshakes={d.name: d for d in dialects if isinstance(d, Handshake)},
            clock=self._clock,
            limits=Limits(
                message_bytes=api.message_limit_kib * 1024,
                callback_bytes=api.callback_limit_mib * 1024 * 1024,
                default_wait=api.default_wait_seconds,
                longest_wait=api.longest_wait_seconds,
            ),
            measure=self._figures,
            expected_wait=self._expected_wait,
            is_ready=self._is_ready,
            metrics=self._metrics.render,
        )

    def _changed(self, message: Message) -> None:
        self._waiting.publish(message)
        self._backlog.changed(message)
        if message.status is Status.QUEUED:
            dispatcher = self._dispatchers.get(message.sender)
            if dispatcher is not None:
                dispatcher.queued()

    def _expected_wait(self, sender: SenderName) -> timedelta:
        known = self._senders.get(sender)  # a repeat may find a message of one that is gone
        per_second = known.messages_per_second * self._settings.dispatch.rate_share if known else 0
        if not per_second:
            return timedelta()
        return timedelta(seconds=self._backlog.due(sender) / per_second)

    async def _is_ready(self) -> str | None:
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._database.write(lambda _: None)
        except (StoreUnavailable, TimeoutError):
            return "the database takes no writes"
        ended = [task.get_name() for task in self._tasks if task.done()]
        return f"stopped: {', '.join(ended)}" if ended else None

    async def _watch_figures(self) -> None:
        while True:
            await self._clock.sleep(FIGURES_SECONDS)
            try:
                await self._read_figures()
            except StoreUnavailable as error:
                _log.warning("figures_failed", reason=str(error))

    async def _read_figures(self) -> None:
        unknown = await self._messages.unknown()
        for sender in self._senders:
            due, oldest = await self._messages.due(sender, at_most=COUNTED_AT_MOST)
            self._backlog.correct(sender, due)
            age = timedelta() if oldest is None else self._clock.now() - oldest
            self._figures.queue(sender, due, age, unknown.get(sender, 0))

    def _run(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(_log_if_broken)
        self._tasks.append(task)


def _senders(settings: Settings, base_url: str) -> Mapping[SenderName, Sender]:
    """The configured senders, and the sandbox where it is wanted."""
    senders: dict[SenderName, Sender] = dict(settings.senders)
    if sandbox_wanted(settings):
        senders[SANDBOX_NAME] = sandbox(settings, f"{base_url}/simulator/graph")
    return senders


def _dialects(senders: Mapping[SenderName, Sender], codes: Mapping[str, Table]) -> list[Dialect]:
    """What reads the callbacks, one for each provider; also for one that has no sender now."""
    return [
        kind.dialect({n: s for n, s in senders.items() if s.provider == provider}, codes[provider])
        for provider, kind in PROVIDERS.items()
    ]


def _log_if_broken(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("task_broke", task=task.get_name(), exc_info=error)
