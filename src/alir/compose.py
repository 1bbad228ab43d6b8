"""Build the running gateway from its settings; start it in order, stop it in reverse."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

from starlette.types import ASGIApp

from alir.api.app import Door, Mounted
from alir.api.ports import Gateway, Handshake, Limits
from alir.clock import Clock, SystemClock
from alir.core import Core, Policy, SenderParts, Sharing, World
from alir.dispatch.aftermath import FailureOf
from alir.dispatch.attempt import BusyPolicy
from alir.dispatch.calls import DispatchPolicy
from alir.dispatch.gate import PairLimit
from alir.dispatch.pause import STARTED_PAUSED, Pause
from alir.dispatch.ports import Provider
from alir.dispatch.senders import COUNTED_AT_MOST, About, SenderDesk
from alir.errors import PauseScope, ProviderRefused, SendFailure, StoreUnavailable
from alir.figures import Figures
from alir.ids import SenderName
from alir.intake.accept import SenderRules
from alir.intake.selection import Selection
from alir.intake.tokens import TokenBook
from alir.observe import Metrics, get_logger
from alir.outbound.http import PooledHttpClient
from alir.providers.registry import PROVIDERS
from alir.providers.sender import Sender
from alir.providers.tools import Tools
from alir.providers.whatsapp.codes import Table
from alir.providers.whatsapp.words import advice_of
from alir.receipts.ports import Dialect
from alir.retention.purger import Purger
from alir.role import Role
from alir.settings import (
    SANDBOX_NAME,
    Settings,
    sandbox,
    sandbox_wanted,
    simulator_is_on,
)
from alir.simulator.app import build_app
from alir.simulator.simulator import Simulator
from alir.store.aged import AgedStore
from alir.store.database import file_of, open_database, open_wakeups
from alir.store.leases import LeaseStore
from alir.store.tokens import TokenStore

#: How often the figures that only the store knows are read.
FIGURES_SECONDS = 5.0
#: How long the store may take to show that it takes writes.
READY_SECONDS = 2.0
#: How much longer than a call may last its outcome may take to be on disk.
SETTLING = timedelta(seconds=10)

_log = get_logger("gateway")


class RunningGateway:
    """One gateway: API, dispatch, receipts and the simulator in one process.

    Attributes:
        app: the ASGI application to serve.
        tokens: the API tokens, for the first start.
        sender_names: in the order of the settings.
        has_simulator: whether it runs its own WhatsApp.
    """

    def __init__(self, settings: Settings, *, base_url: str, role: Role = Role.ALL) -> None:
        """Open the store and put the parts together; nothing runs yet.

        Args:
            base_url: where this process is reached from itself, such as `http://127.0.0.1:8080`.

        Raises:
            DatabaseInUse: another gateway runs on this database.
            StoreUnavailable: the database cannot be opened.
        """
        self._settings = settings
        self._role = role
        self._clock: Clock = SystemClock()
        self._metrics = Metrics()
        self._figures = Figures(self._metrics)
        self._senders = _senders(settings, base_url)
        self._database = open_database(settings.database, observe=self._figures)
        self.tokens = TokenStore(self._database, self._clock)
        self._http = PooledHttpClient(
            connect_timeout=timedelta(seconds=settings.dispatch.connect_timeout_seconds),
            call_timeout=timedelta(seconds=settings.dispatch.call_timeout_seconds),
        )
        self._codes = {name: kind.codes(settings.error_changes) for name, kind in PROVIDERS.items()}
        self._providers = {name: self._provider(sender) for name, sender in self._senders.items()}
        dialects = _dialects(self._senders, self._codes)
        self._core = Core(
            {name: self._parts(name, sender) for name, sender in self._senders.items()},
            World(clock=self._clock, database=self._database, random=random.random),
            self._policy(),
            dialects=dialects,
            failure_of=self._failure_of(dialects),
            counts=self._figures,
            sharing=self._sharing(),
            accepts=role.accepts,
            dispatches=settings.dispatch.enabled and role.dispatches,
            relays=role.relays,
        )
        self._desk = SenderDesk(
            {name: _about(sender) for name, sender in self._senders.items()},
            self._core.pauses,
            self._core.shared_pauses,
            self._core.messages,
            self._advice,
        )
        self._metrics.watch_pauses(self._desk.paused)
        kept_for = settings.retention.kept_for()
        self._purger = Purger(AgedStore(self._database), self._clock, kept_for)
        self._simulator = self._make_simulator(base_url) if simulator_is_on(settings) else None
        self._tasks: list[asyncio.Task[None]] = []
        self.app: ASGIApp = Door(self._gateway(dialects), self._mounted(), accepts=role.accepts)

    @property
    def has_simulator(self) -> bool:
        return self._simulator is not None

    @property
    def sender_names(self) -> tuple[SenderName, ...]:
        return tuple(self._senders)

    @property
    def senders_held(self) -> tuple[SenderName, ...]:
        """The senders that a person has paused."""
        return tuple(
            name
            for name, scope, count in self._desk.paused()
            if count and scope is PauseScope.OPERATOR
        )

    async def start(self, *, paused: bool = False) -> None:
        """Take over what an earlier process left, then begin to work.

        Args:
            paused: pause every sender first, as an operator does, until somebody resumes it.

        Raises:
            DatabaseInUse: another gateway runs on this database.
            StoreUnavailable: the database cannot be read or written.
        """
        await self._database.own()
        running = await self._core.start(paused=STARTED_PAUSED if paused else None)
        if self._simulator is not None:
            await self._simulator.start()
        await self._read_figures()
        for name, work in running.items():
            self._run(work, name)
        self._run(self._watch_figures(), "figures")
        if self._role.relays:
            self._run(self._purger.run(), "purge")

    def begin_to_stop(self) -> None:
        """Answer who waits, begin no more attempts, and let others have the senders at once.

        Safe to call twice, and from a signal that the loop handles.
        """
        self._core.begin_to_stop()
        if self._simulator is not None:
            self._simulator.ended.set()

    async def stop(self, grace: timedelta) -> None:
        """Let the calls under way end for `grace`, then close everything.

        What a call leaves without an answer stays begun, and is unknown at the next start.
        """
        self.begin_to_stop()
        await self._core.finish(grace)
        if self._simulator is not None:
            await self._simulator.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.__aexit__(None, None, None)
        await self._database.close()

    def _parts(self, name: SenderName, sender: Sender) -> SenderParts:
        return SenderParts(
            provider=self._providers[name],
            account=sender.account,
            per_second=sender.messages_per_second,
            pair=self._pair_limit(sender),
            rules=SenderRules(
                sender.on_unknown,
                by_user_id=sender.by_user_id,
                refuses_closed_window=sender.closed_window == "refuse",
            ),
            gives_marks=sender.gives_marks,
        )

    def _policy(self) -> Policy:
        limits = self._settings.dispatch
        busy = BusyPolicy(
            first_delay=timedelta(seconds=limits.busy_first_delay_seconds),
            longest_delay=timedelta(seconds=limits.busy_longest_delay_seconds),
            give_up_after=timedelta(hours=limits.give_up_after_hours),
        )
        at_most = timedelta(seconds=limits.begun_valid_seconds + limits.call_timeout_seconds)
        return Policy(
            dispatch=DispatchPolicy(
                busy=busy,
                begun_valid=timedelta(seconds=limits.begun_valid_seconds),
                max_calls=limits.max_calls_per_sender,
            ),
            rate_share=limits.rate_share,
            attempt_time=at_most + SETTLING,
            unknown_after=timedelta(seconds=limits.unknown_after_seconds),
            keep_parked=timedelta(days=self._settings.receipts.parked_days),
            queue_limit=limits.queue_limit,
        )

    def _sharing(self) -> Sharing | None:
        """What this process needs beside others; none: it has its database to itself."""
        if file_of(self._settings.database) is not None:
            return None
        process = f"{self._role}-{uuid4().hex}"
        return Sharing(
            process=process,
            wakeups=open_wakeups(
                self._settings.database, process, has_peers=lambda: self._core.has_peers
            ),
            leases=LeaseStore(self._database),
            lasts=timedelta(seconds=self._settings.dispatch.lease_seconds),
        )

    def _failure_of(self, dialects: Sequence[Dialect]) -> FailureOf:
        by_name = {dialect.name: dialect for dialect in dialects}

        def failure_of(sender: SenderName, error: Mapping[str, Any]) -> SendFailure:
            known = self._senders.get(sender)  # it may be one that is gone from the settings
            if known is None:
                return ProviderRefused("A message of a sender that is gone failed")
            return by_name[known.provider].failure_of(error)

        return failure_of

    def _provider(self, sender: Sender) -> Provider:
        tools = Tools(http=self._http, clock=self._clock, codes=self._codes[sender.provider])
        provider: Provider = PROVIDERS[sender.provider].provider(sender, tools)
        return provider

    def _pair_limit(self, sender: Sender) -> PairLimit:
        share = self._settings.dispatch.rate_share
        return PairLimit(sender.pair_seconds, sender.pair_burst, share)

    def _advice(self, pause: Pause) -> str | None:
        if pause.scope is PauseScope.OPERATOR:
            return (
                None if pause.until else f"To let it send again: alir sender resume {pause.sender}"
            )
        known = advice_of(pause.code, self._codes[self._senders[pause.sender].provider])
        if known is None and pause.scope is PauseScope.ACCOUNT:
            return f"Run alir sender check {pause.sender}: it says what is wrong."
        return known

    def _make_simulator(self, base_url: str) -> Simulator:
        return Simulator(
            clock=self._clock,
            http=self._http,
            keep=self._settings.simulator.keep_messages,
            callback_url=f"{base_url}/callbacks/cloud",
            routemobile_callback_urls={
                user: f"{base_url}{sender.callback_path}"
                for sender in self._senders.values()
                if (user := sender.simulated_user) is not None
            },
        )

    def _mounted(self) -> list[Mounted]:
        if self._simulator is None:
            return []
        networks = [str(network) for network in self._settings.simulator.allow_networks]
        app = build_app(self._simulator, prefix="/simulator", allow_networks=networks)
        return [Mounted("/simulator", app)]

    def _gateway(self, dialects: Sequence[Dialect]) -> Gateway:
        api = self._settings.api
        core = self._core
        return Gateway(
            intake=core.intake,
            batches=core.batches,
            messages=core.messages,
            selection=Selection(core.messages, self._clock),
            tokens=TokenBook(self.tokens.valid, self._clock),
            waiting=core.waiting,
            senders=self._desk,
            inbox=core.inbox,
            callbacks=PROVIDERS,
            handshakes={d.name: d for d in dialects if isinstance(d, Handshake)},
            clock=self._clock,
            limits=Limits(
                message_bytes=api.message_limit_kib * 1024,
                batch_bytes=api.batch_limit_mib * 1024 * 1024,
                callback_bytes=api.callback_limit_mib * 1024 * 1024,
                default_wait=api.default_wait_seconds,
                longest_wait=api.longest_wait_seconds,
            ),
            measure=self._figures,
            expected_wait=core.expected_wait,
            is_ready=self._is_ready,
            metrics=self._metrics.render,
        )

    async def _is_ready(self) -> str | None:
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._database.try_out()
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
            except Exception as fault:
                # A fault of alir's own, for once: by what is counted here a queue is full.
                _log.error("figures_broke", exc_info=fault)

    async def _read_figures(self) -> None:
        unknown, queued = await self._core.messages.unknown(), await self._core.messages.queued()
        for sender in self._senders:
            due = await self._core.messages.due(sender, at_most=COUNTED_AT_MOST)
            self._core.backlog.correct(sender, due=due.counts, queued=queued.get(sender, 0))
            oldest = due.oldest_at
            age = timedelta() if oldest is None else self._clock.now() - oldest
            self._figures.queue(sender, due.up_to(COUNTED_AT_MOST), age, unknown.get(sender, 0))
        await self._core.shared_pauses.count_recipients()

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


def _about(sender: Sender) -> About:
    return About(
        provider=sender.provider,
        account=sender.account,
        messages_per_second=sender.messages_per_second,
        pair_seconds=sender.pair_seconds,
        pair_burst=sender.pair_burst,
    )


def _dialects(senders: Mapping[SenderName, Sender], codes: Mapping[str, Table]) -> list[Dialect]:
    """What reads the callbacks, one for each provider; also for one that has no sender now."""
    return [
        kind.dialect({n: s for n, s in senders.items() if s.provider == provider}, codes[provider])
        for provider, kind in PROVIDERS.items()
    ]


def _log_if_broken(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("task_broke", task=task.get_name(), exc_info=error)
