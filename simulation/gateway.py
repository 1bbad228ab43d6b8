"""The parts of a gateway, put together as `alir.compose` does, in a world of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import timedelta
from functools import cache
from typing import Any, Final, Protocol

from alir.api.answers import answer_of
from alir.api.problems import Problem
from alir.dispatch.aftermath import Aftermath
from alir.dispatch.attempt import BusyPolicy
from alir.dispatch.backlog import Backlog
from alir.dispatch.calls import DispatchPolicy
from alir.dispatch.dispatcher import Dispatcher
from alir.dispatch.dispatchers import Dispatchers
from alir.dispatch.gate import Gate, PairLimit
from alir.dispatch.housekeeping import Housekeeper
from alir.dispatch.pacing import Pace
from alir.dispatch.pauses import Pauses
from alir.errors import SendFailure, StoreUnavailable
from alir.ids import ApiTokenId, EventId, MessageId, SenderName
from alir.intake.accept import Intake, SenderRules
from alir.intake.ports import Stored
from alir.intake.tokens import ApiToken, Scope
from alir.intake.waiting import Waiting
from alir.messages.model import Decision, Message, OnUnknown, Outcome, Status
from alir.outbound.http import HttpClient
from alir.providers.cloud.adapter import CloudProvider
from alir.providers.cloud.settings import CloudSender
from alir.providers.cloud.webhook import CloudCallbacks
from alir.providers.tools import Tools
from alir.providers.whatsapp.codes import meanings
from alir.receipts.inbox import Inbox
from alir.receipts.ports import CallbackRequest
from alir.store.callbacks import CallbackStore
from alir.store.messages import MessageStore
from alir.store.pauses import PauseStore
from alir.store.receipts import ReceiptStore
from simulation.carrier import NUMBERS, SECRETS, TOKENS
from simulation.clocks import SkewedClock
from simulation.disk import SimulatedDatabase
from simulation.network import CALL_SECONDS
from simulation.plan import SENDERS, UNKNOWN_AFTER, Plan

TOKEN: Final = ApiToken(
    id=ApiTokenId("tok_01JABCDEFGHJKMNPQRSTVWXYZ0"), name="caller", scopes=frozenset({Scope.SEND})
)
_BUSY: Final = BusyPolicy(longest_delay=timedelta(seconds=8))
#: As `alir.compose` has it: begun for 5 s, a call, and 10 s for writing down what it came to.
_ATTEMPT_TIME: Final = timedelta(seconds=15 + CALL_SECONDS)
#: No schedule has so many messages.
_QUEUE_LIMIT: Final = 1_000
_GRACE: Final = timedelta(seconds=12)
#: How long a process that ends waits for callbacks that are being applied; as `alir.compose`.
_CALLBACK_GRACE: Final = timedelta(seconds=1)


class Outside(Protocol):
    """What a process is handed in."""

    @property
    def clock(self) -> SkewedClock: ...

    @property
    def http(self) -> HttpClient: ...

    @property
    def database(self) -> SimulatedDatabase: ...

    def random(self) -> float: ...

    def message_id(self) -> MessageId: ...

    def event_id(self) -> EventId: ...


@cache
def _sender(name: str) -> CloudSender:
    return CloudSender.model_validate(
        {
            "provider": "cloud",
            "account": "one",
            "phone_number_id": NUMBERS[name],
            "access_token": TOKENS[name],
            "app_secret": SECRETS[name],
            "graph_url": "https://graph.test",
            "graph_version": "v24.0",
            "recipients_by_user_id": False,
            "messages_per_second": 0,
            "pair_seconds": 0,
            "pair_burst": 1,
            "on_unknown": "hold",
            "closed_window": "warn",
        }
    )


class _Unmeasured:
    """Nobody counts."""

    def settled(self, sender: SenderName, outcome: Outcome, seconds: float) -> None:
        """See `Measure`."""

    def decided(self, sender: SenderName, decision: Decision) -> None:
        """See `Decisions`."""


class Gateway:
    """Intake, queue, dispatch and receipts, as `alir.compose` builds and starts them."""

    def __init__(self, plan: Plan, outside: Outside) -> None:
        clock, database = outside.clock, outside.database
        senders = {SenderName(name): _sender(name) for name in SENDERS}
        codes = meanings()
        tools = Tools(http=outside.http, clock=clock, codes=codes)
        providers = {name: CloudProvider(sender, tools) for name, sender in senders.items()}
        pair = PairLimit(plan.pair_seconds, plan.pair_burst, 0.97)
        gates = {name: Gate(pair) for name in senders}
        self.waiting = Waiting()
        self._backlog = Backlog(clock)
        self._clock = clock
        self._database = database
        self.pauses = Pauses(
            gates,
            providers,
            dict.fromkeys(senders, "one"),
            PauseStore(database, clock, outside.event_id),
            clock,
            changed=self._pause_changed,
        )
        dialect = CloudCallbacks(senders, codes)

        def failure_of(_sender: SenderName, error: Mapping[str, Any]) -> SendFailure:
            return dialect.failure_of(error)

        aftermath = Aftermath(
            failure_of,
            self.pauses,
            policy=_BUSY,
            clock=clock,
            random=outside.random,
            decisions=_Unmeasured(),
        )
        self.messages = MessageStore(database, clock, changed=self._changed, consequences=aftermath)
        receipts = ReceiptStore(database, clock, changed=self._changed, consequences=aftermath)
        policy = DispatchPolicy(busy=_BUSY, max_calls=plan.max_calls)
        self.dispatchers = {
            name: Dispatcher(
                name,
                provider=providers[name],
                outbox=self.messages,
                pace=Pace(plan.per_second, 0.97),
                gate=gates[name],
                pauses=self.pauses,
                policy=policy,
                clock=clock,
                random=outside.random,
                measure=_Unmeasured(),
            )
            for name in senders
        }
        self._housekeeper = Housekeeper(
            self.messages,
            clock,
            attempt_time=_ATTEMPT_TIME,
            unknown_after=timedelta(seconds=UNKNOWN_AFTER),
            decided=aftermath.decided,
        )
        self.inbox = Inbox(
            [dialect],
            CallbackStore(database, clock),
            receipts,
            clock,
            keep_parked=timedelta(days=7),
            counted=lambda _sender, _status: None,
            heard=lambda sender: self.dispatchers[sender].heard_from(),
            missed=self._housekeeper.evidence_missed,
            guessing=() if plan.temper.marks else tuple(senders),
        )
        rules = SenderRules(OnUnknown.HOLD, by_user_id=False, refuses_closed_window=False)
        self.intake = Intake(
            self.messages,
            Dispatchers(self.dispatchers, self._backlog, queue_limit=_QUEUE_LIMIT),
            dict.fromkeys(senders, rules),
            clock,
            outside.message_id,
        )

    async def start(self) -> list[Coroutine[Any, Any, None]]:
        """Take over what an earlier process left; what runs from then on.

        Raises:
            StoreUnavailable: the database cannot be read or written.
        """
        await self.pauses.load()
        await asyncio.gather(*(d.take_over() for d in self.dispatchers.values()))
        await self.inbox.take_over()
        await self._housekeeper.take_over()
        return [
            self.inbox.run(),
            self._housekeeper.run(),
            self.pauses.run(),
            *(dispatcher.run() for dispatcher in self.dispatchers.values()),
        ]

    async def stop(self, running: list[asyncio.Task[None]]) -> None:
        """End as at SIGTERM."""
        self.waiting.stop()
        for dispatcher in self.dispatchers.values():
            dispatcher.stop()
        await asyncio.gather(*(d.finish(_GRACE) for d in self.dispatchers.values()))
        await self.pauses.finish()
        await self.inbox.finish(_CALLBACK_GRACE)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._database.close()

    async def post(self, body: object, key: str | None, wait: float) -> tuple[int, str, bool]:
        """`POST /messages`: status, message id, and whether it is the repeat of an earlier one.

        Raises:
            AlirError: what the door makes a problem of.
        """
        stored: Stored = await self.intake.accept(body, TOKEN, key)
        message = await self.waiting.settled(stored.message, wait)
        answer = answer_of(message)
        status = 409 if isinstance(answer, Problem) else answer[0]
        return status, message.id, stored.replayed

    async def callback(self, request: CallbackRequest) -> bool:
        """`POST /callbacks/cloud`: whether it was answered 200."""
        try:
            return await self.inbox.take("cloud", request)
        except StoreUnavailable:
            return False

    def _pause_changed(self, sender: SenderName) -> None:
        self.dispatchers[sender].wake()

    def _changed(self, message: Message) -> None:
        self.waiting.publish(message)
        self._backlog.changed(message)
        self._housekeeper.changed(message)
        if message.status is Status.QUEUED:
            self.dispatchers[message.sender].queued(message)
