"""The core of a gateway, in a world of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import timedelta
from functools import cache
from typing import Any, Final, Protocol

from alir.api.answers import answer_of
from alir.api.problems import Problem
from alir.core import Core, Policy, SenderParts, Sharing, World
from alir.dispatch.attempt import BusyPolicy
from alir.dispatch.calls import DispatchPolicy
from alir.dispatch.gate import PairLimit
from alir.errors import SendFailure, StoreUnavailable
from alir.ids import ApiTokenId, EventId, MessageId, SenderName
from alir.intake.accept import SenderRules
from alir.intake.ports import Stored
from alir.intake.tokens import ApiToken, Scope
from alir.messages.model import Decision, OnUnknown, Outcome, ReceiptStatus
from alir.outbound.http import HttpClient
from alir.providers.cloud.adapter import CloudProvider
from alir.providers.cloud.settings import CloudSender
from alir.providers.cloud.webhook import CloudCallbacks
from alir.providers.tools import Tools
from alir.providers.whatsapp.codes import meanings
from alir.receipts.ports import CallbackRequest
from simulation.carrier import NUMBERS, SECRETS, TOKENS
from simulation.clocks import SkewedClock
from simulation.disk import SimulatedDatabase
from simulation.network import CALL_SECONDS
from simulation.plan import SENDERS, UNKNOWN_AFTER, Plan

TOKEN: Final = ApiToken(
    id=ApiTokenId("tok_01JABCDEFGHJKMNPQRSTVWXYZ0"), name="caller", scopes=frozenset({Scope.SEND})
)
_SHARE: Final = 0.97
_BUSY: Final = BusyPolicy(longest_delay=timedelta(seconds=8))
#: As `alir.compose` has it: begun for 5 s, a call, and 10 s for writing down what it came to.
_ATTEMPT_TIME: Final = timedelta(seconds=15 + CALL_SECONDS)
#: No schedule has so many messages.
_QUEUE_LIMIT: Final = 1_000
#: What calls under way get at a clean stop: as alir's own, 12 s where a call may take 20.
_GRACE: Final = timedelta(seconds=0.6 * CALL_SECONDS)
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

    @property
    def sharing(self) -> Sharing: ...

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

    def received(self, sender: SenderName, status: ReceiptStatus) -> None:
        """See `Counts`."""


class Gateway:
    """Intake, queue, dispatch and receipts, as the gateway has them."""

    def __init__(self, plan: Plan, outside: Outside) -> None:
        senders = {SenderName(name): _sender(name) for name in SENDERS}
        codes = meanings()
        tools = Tools(http=outside.http, clock=outside.clock, codes=codes)
        dialect = CloudCallbacks(senders, codes)
        pair = PairLimit(plan.pair_seconds, plan.pair_burst, _SHARE)
        rules = SenderRules(OnUnknown.HOLD, by_user_id=False, refuses_closed_window=False)

        def failure_of(_sender: SenderName, error: Mapping[str, Any]) -> SendFailure:
            return dialect.failure_of(error)

        self._database = outside.database
        self.core = Core(
            {
                name: SenderParts(
                    provider=CloudProvider(sender, tools),
                    account="one",
                    per_second=plan.per_second,
                    pair=pair,
                    rules=rules,
                    gives_marks=plan.temper.marks,
                )
                for name, sender in senders.items()
            },
            World(
                clock=outside.clock,
                database=outside.database,
                random=outside.random,
                new_message_id=outside.message_id,
                new_event_id=outside.event_id,
            ),
            Policy(
                dispatch=DispatchPolicy(busy=_BUSY, max_calls=plan.max_calls),
                rate_share=_SHARE,
                attempt_time=_ATTEMPT_TIME,
                unknown_after=timedelta(seconds=UNKNOWN_AFTER),
                keep_parked=timedelta(days=7),
                queue_limit=_QUEUE_LIMIT,
            ),
            dialects=[dialect],
            failure_of=failure_of,
            counts=_Unmeasured(),
            sharing=outside.sharing,
        )

    async def start(self) -> list[Coroutine[Any, Any, None]]:
        """Take over what an earlier process left; what runs from then on.

        Raises:
            StoreUnavailable: the database cannot be read or written.
        """
        return [*(await self.core.start()).values()]

    async def stop(self, running: list[asyncio.Task[None]]) -> None:
        """End as at SIGTERM."""
        await self.core.finish(_GRACE)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._database.close()

    async def post(self, body: object, key: str | None, wait: float) -> tuple[int, str, bool]:
        """`POST /messages`: status, message id, and whether it is the repeat of an earlier one.

        Raises:
            AlirError: what the door makes a problem of.
        """
        stored: Stored = await self.core.intake.accept(body, TOKEN, key)
        message = await self.core.waiting.settled(stored.message, wait, replayed=stored.replayed)
        answer = answer_of(message)
        status = 409 if isinstance(answer, Problem) else answer[0]
        return status, message.id, stored.replayed

    async def callback(self, request: CallbackRequest) -> bool:
        """`POST /callbacks/cloud`: whether it was answered 200."""
        try:
            return await self.core.inbox.take("cloud", request)
        except StoreUnavailable:
            return False
