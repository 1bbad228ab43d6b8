"""Telling a gateway what happened: signed requests, tried again until they are answered 200."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Protocol

from alir.clock import Clock
from alir.outbound.http import HttpClient, NeverConnected, NoAnswer
from alir.simulator.agenda import Agenda
from alir.simulator.behaviour import Batch
from alir.simulator.phones import Call, CallState, Receipt, Received, Written

#: Requests under way at once; Meta calls back concurrently too.
CALLS_AT_ONCE = 64
#: Callbacks that wait for their turn or their next try. Above it new ones are given up, so that
#: a gateway that stays away does not fill the memory.
MOST_WAITING = 100_000
FIRST_WAIT = 1.0  # seconds, before the third try; the second comes at once
LONGEST_WAIT = 60.0  # seconds
#: Source: Meta, "Create a webhook endpoint", copy of 2026-09-11.
TRIED_FOR = timedelta(days=7)
_OK = 200


@dataclass(frozen=True, slots=True)
class Told:
    """One receipt that somebody is to be told of."""

    message: Received
    receipt: Receipt

    @property
    def provider(self) -> str:
        return self.message.provider

    @property
    def sender(self) -> str:
        return self.message.sender

    @property
    def call(self) -> Call:
        return self.receipt.call


@dataclass(frozen=True, slots=True)
class Heard:
    """One text of a person that somebody is to be told of."""

    written: Written

    @property
    def provider(self) -> str:
        return self.written.provider

    @property
    def sender(self) -> str:
        return self.written.sender

    @property
    def call(self) -> Call:
        return self.written.call


Item = Told | Heard


class Dialect(Protocol):
    """How one provider calls back."""

    def url(self, sender: str) -> str | None:
        """Where to tell what concerns this sender; `None`: nobody is told."""
        ...

    def lane(self, item: Item) -> Hashable:
        """What items have in common that may share a request; all of them go to one URL."""
        ...

    def callback(self, items: Sequence[Item]) -> tuple[Mapping[str, str], bytes]:
        """Headers and body of one request that tells all of `items`."""
        ...


@dataclass(slots=True, eq=False)
class _Delivery:
    dialect: Dialect
    items: Sequence[Item]
    begun_at: float  # on the clock's `elapsed`
    tries: int = 0


def wait_before_next(tries: int) -> float:
    """Seconds to wait after `tries` tries that were not answered 200.

    >>> [wait_before_next(tries) for tries in (1, 2, 3, 4, 7, 8, 9, 10_000)]
    [0.0, 1.0, 2.0, 4.0, 32.0, 60.0, 60.0, 60.0]
    """
    if tries == 1:
        return 0.0
    doublings = min(tries - 2, 10)  # enough to reach LONGEST_WAIT
    return min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT)


class Callbacks:
    """Sends callbacks, a limited number at once, and again those not answered 200.

    Attributes:
        batch: how many receipts share a request; settable at any time.
        waiting: deliveries that are neither answered nor given up.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        agenda: Agenda,
        http: HttpClient,
        dialects: Mapping[str, Dialect],
        changed: Callable[[], None],
    ) -> None:
        """`changed` is called whenever the `Call` of an item has changed."""
        self.batch = Batch()
        self.waiting = 0
        self._clock = clock
        self._agenda = agenda
        self._http = http
        self._dialects = dialects
        self._changed = changed
        self._running = False
        self._gathering: dict[Hashable, list[Item]] = {}  # by provider and lane
        self._ready: deque[_Delivery] = deque()
        self._runners: set[asyncio.Task[None]] = set()

    def offer(self, item: Item) -> None:
        """Tell `item` soon, with others where the batch asks for it."""
        if self.batch.size == 1:
            self._dispatch([item])
            return
        lane = (item.provider, self._dialects[item.provider].lane(item))
        gathering = self._gathering.setdefault(lane, [])
        gathering.append(item)
        if len(gathering) >= self.batch.size:
            self._leave(lane, gathering)
        elif len(gathering) == 1:
            leave = partial(self._leave, lane, gathering)
            self._agenda.after(self.batch.window_ms / 1000, leave)

    async def tell_now(self, item: Item) -> None:
        """Tell `item` and return when that was answered, or failed; then it is tried again."""
        delivery = self._enter([item])
        if delivery is not None:
            await self._try(delivery)

    def start(self) -> None:
        """Begin with what was offered."""
        self._running = True
        for _ in range(min(len(self._ready), CALLS_AT_ONCE)):
            self._start_runner()

    async def stop(self) -> None:
        """Cut the requests that are under way, and begin no others."""
        self._running = False
        runners = set(self._runners)
        for runner in runners:
            runner.cancel()
        if runners:
            await asyncio.wait(runners)

    def _leave(self, lane: Hashable, gathered: list[Item]) -> None:
        # The window of a batch that was full earlier ends here with nothing to do.
        if self._gathering.get(lane) is gathered:
            del self._gathering[lane]
            self._dispatch(gathered)

    def _dispatch(self, items: Sequence[Item]) -> None:
        delivery = self._enter(items)
        if delivery is not None:
            self._queue(delivery)

    def _enter(self, items: Sequence[Item]) -> _Delivery | None:
        dialect = self._dialects[items[0].provider]
        if dialect.url(items[0].sender) is None:
            self._mark(items, CallState.NOBODY)
            return None
        if self.waiting >= MOST_WAITING:
            self._mark(
                items, CallState.GIVEN_UP, f"more than {MOST_WAITING} callbacks were waiting"
            )
            return None
        self.waiting += 1
        return _Delivery(dialect, items, self._clock.elapsed())

    def _queue(self, delivery: _Delivery) -> None:
        self._ready.append(delivery)
        if self._running and len(self._runners) < CALLS_AT_ONCE:
            self._start_runner()

    def _start_runner(self) -> None:
        runner = asyncio.create_task(self._run())
        self._runners.add(runner)
        runner.add_done_callback(self._runners.discard)

    async def _run(self) -> None:
        while self._ready:
            await self._try(self._ready.popleft())

    async def _try(self, delivery: _Delivery) -> None:
        url = delivery.dialect.url(delivery.items[0].sender)
        if url is None:
            self._end(delivery, CallState.NOBODY)
            return
        delivery.tries += 1
        for item in delivery.items:
            item.call.tries += 1
        headers, body = delivery.dialect.callback(delivery.items)
        try:
            answer = await self._http.request("POST", url, headers=headers, body=body)
        except (NeverConnected, NoAnswer) as error:
            self._try_again(delivery, type(error).__name__)
        else:
            if answer.status == _OK:
                self._end(delivery, CallState.ANSWERED)
            else:
                self._try_again(delivery, f"HTTP {answer.status}")

    def _try_again(self, delivery: _Delivery, problem: str) -> None:
        wait = wait_before_next(delivery.tries)
        tried_for = self._clock.elapsed() - delivery.begun_at
        if tried_for + wait > TRIED_FOR.total_seconds():
            self._end(delivery, CallState.GIVEN_UP, problem)
            return
        self._mark(delivery.items, CallState.WAITING, problem)
        if wait:
            self._agenda.after(wait, partial(self._queue, delivery))
        else:
            self._queue(delivery)

    def _end(self, delivery: _Delivery, state: CallState, problem: str | None = None) -> None:
        self.waiting -= 1
        self._mark(delivery.items, state, problem)

    def _mark(self, items: Sequence[Item], state: CallState, problem: str | None = None) -> None:
        for item in items:
            item.call.state = state
            item.call.problem = problem
        self._changed()
