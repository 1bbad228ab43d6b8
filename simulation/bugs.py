"""Bugs to plant: does the simulation find them? Each takes the place of something in alir.

None of these is in alir: they are patched in from here, by name, while a schedule runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final
from unittest.mock import patch

from alir.dispatch.attempt import never_handed_over
from alir.dispatch.calls import Calls
from alir.dispatch.dispatcher import Dispatcher
from alir.dispatch.housekeeping import Housekeeper
from alir.dispatch.lease import Lease
from alir.dispatch.leases import Leases
from alir.dispatch.ports import Begun, Sent
from alir.dispatch.shared_pauses import SharedPauses
from alir.dispatch.slots import NOBODY
from alir.errors import NotFound, OutcomeUnknown, ProviderBusy, StoreUnavailable
from alir.ids import Fence, MessageId, SenderName
from alir.intake.ports import IdempotencyKey, Stored
from alir.messages import life, standing
from alir.messages.model import Flag, Message, Status
from alir.providers.cloud.adapter import CloudProvider
from alir.receipts.guess import Candidate, Guess
from alir.receipts.inbox import Inbox
from alir.receipts.ports import CallbackRequest
from alir.store import applying, leases, messages, queue, receipts, writing
from alir.store.messages import MessageStore
from alir.store.queue import Beginning, QueueReader
from alir.store.reading import load
from alir.store.writer import GroupWriter


@dataclass(frozen=True, slots=True)
class Bug:
    """A bug that can be planted.

    Attributes:
        says: what alir does wrong with it, in a few words.
        places: what is replaced: whose, its name, and by what.
    """

    says: str
    places: Sequence[tuple[object, str, object]]


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """Have the bug in alir while this lasts."""
    patches = [patch.object(whose, name, by) for whose, name, by in bug.places]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in reversed(patches):
            one.stop()


async def _begin_uncommitted(
    self: MessageStore,
    sender: SenderName,
    *,
    limit: int,
    judge: Any,
    turns: Any = (),
    stood_back: Any = NOBODY,
    fence: Any = None,  # noqa: ARG001 - whoever has the disk alone has none
) -> Begun:
    ran = asyncio.Event()
    found: list[tuple[Begun, list[Message]]] = []

    def work(connection: Any) -> None:
        found.append(
            Beginning(sender, limit, judge, turns, stood_back, self._starts).run(
                connection, self._fresh, self._clock.now()
            )
        )
        ran.set()

    committed = asyncio.ensure_future(self._database.write(work))
    await asyncio.wait(
        (committed, asyncio.ensure_future(ran.wait())), return_when=asyncio.FIRST_COMPLETED
    )
    if not found:
        await committed
    begun, others = found[-1]
    for message in (*others, *begun.messages):
        self._changed(message)
    return begun


async def _write_once(
    _self: Calls, _message: Message, write: Callable[[], Awaitable[Message]]
) -> None:
    with suppress(NotFound, StoreUnavailable):
        await write()


_send = CloudProvider.send


async def _busy_without_answer(self: CloudProvider, message: Message, attempt: int) -> Sent:
    try:
        return await _send(self, message, attempt)
    except OutcomeUnknown as error:
        raise ProviderBusy(error.title) from error


_accept = MessageStore.accept


async def _key_afterwards(self: MessageStore, message: Message, key: Any, **how: Any) -> Any:
    if key is None:
        return await _accept(self, message, None, **how)
    earlier = await self.replayed(message.token_id, key)
    if earlier is not None:
        return Stored(earlier, replayed=True)
    stored = await _accept(self, message, None, **how)
    noted = (key.key, key.request_hash, message.id)
    await self._database.write(
        lambda connection: (
            connection.execute(
                "UPDATE OR IGNORE message SET idempotency_key = ?, request_hash = ? WHERE id = ?",
                noted,
            ).rowcount
        )
    )
    return stored


def _status_of_the_last_receipt(
    before: Message, after: Message, stands: Sequence[Status | None]
) -> Status:
    if len(after.receipts) > len(before.receipts):
        return Status(after.receipts[-1].status.value)
    return standing.status_of(before, after, stands)


async def _call_busy(
    self: Housekeeper, attempts: Sequence[tuple[MessageId, int]], _error: Mapping[str, Any]
) -> None:
    def busy(number: int) -> Callable[[Message], life.Change | None]:
        never = never_handed_over("The process ended", now=self._clock.now())
        return lambda message: life.settle(message, number, never, now=self._clock.now())

    await asyncio.gather(*(self._try(id_, busy(number)) for id_, number in attempts))


def _nothing(*_: object, **__: object) -> list[Any]:
    return []


def _none_among(*_: object) -> set[Any]:
    return set()


def _all_unknown(where: str) -> Callable[..., Awaitable[list[Message]]]:
    async def unknown_to_retry(
        self: QueueReader, *, of: Collection[SenderName], limit: int
    ) -> list[Message]:
        sql = f"SELECT id FROM message WHERE status = 'unknown' AND {where} LIMIT {limit}"  # noqa: S608 - both are this bug's own
        unknown = await self._database.read(
            lambda connection: [load(connection, id_) for [id_] in connection.execute(sql)]
        )
        return [message for message in unknown if message.sender in of]

    return unknown_to_retry


def _may_retry_what_is_held(message: Message, *, now: datetime) -> bool:  # noqa: ARG001 - stands in for one that asks
    return message.status is Status.UNKNOWN and Flag.RESENT not in message.flags


def _may_retry_for_ever(message: Message, *, now: datetime) -> bool:  # noqa: ARG001 - stands in for one that asks
    return message.status is Status.UNKNOWN and message.on_unknown == "retry"


async def _take_before_kept(self: Inbox, provider: str, request: CallbackRequest) -> bool:
    signers = self._dialects[provider].signed_by(request)

    async def keep_and_apply() -> None:
        with suppress(StoreUnavailable):
            await self._apply(await self._callbacks.keep(provider, signers, request.body))

    task = asyncio.ensure_future(keep_and_apply())
    self._applying.add(task)
    task.add_done_callback(self._applying.discard)
    return True


_save_all = writing.save_all


def _events_of_the_first(
    connection: Any, changes: Sequence[tuple[Message, life.Change]], now: datetime
) -> list[Message] | None:
    first, *rest = changes
    quiet = [(before, life.Change(decided.message)) for before, decided in rest]
    return _save_all(connection, [first, *quiet], now)


async def _never_stored(_self: GroupWriter) -> bool:
    return False


_update_all = writing._update_all


def _over_any_version(
    connection: Any, _versions: Sequence[int], changed: Sequence[Message]
) -> bool:
    ids = [(message.id,) for message in changed]
    rows = [
        connection.execute("SELECT version FROM message WHERE id = ?", id_).fetchone()
        for id_ in ids
    ]
    return _update_all(connection, [version for [version] in rows], changed)


_cancel = life.cancel


def _cancel_what_is_sent(message: Message) -> life.Change | None:
    if message.status is not Status.SENDING:
        return _cancel(message)
    cancelled = message.but(status=Status.CANCELLED)
    return life.Change(cancelled, (life.Happened("cancelled", cancelled),))


def _guess_the_first(candidates: Iterable[Candidate], *, now: datetime) -> list[Guess]:  # noqa: ARG001 - stands in for one that asks
    by_id: dict[str, Guess] = {}
    for one in candidates:
        by_id.setdefault(
            one.provider_id, Guess(one.sender, one.provider_id, one.message_id, one.attempt)
        )
    return list(by_id.values())


_wait_for_room = Dispatcher._wait_for_room


def _wait_and_forget(self: Dispatcher) -> float | None:
    before = self._caught_up
    wait = _wait_for_room(self)
    self._caught_up = before
    return wait


def _all_stand(_connection: object, fences: Iterable[Fence | None]) -> set[Fence | None]:
    return {None, *fences}


class _Never:
    """A statement that is never run."""

    def run(self, *_: object) -> None:
        """Nothing happens."""


def _good_until_told(self: Lease, now: float) -> bool:
    return self.is_held and self._good_from <= now


_look = Leases.look


async def _look_while_ending(self: Leases) -> None:
    if not self._ending:
        await _look(self)
    elif self._clock.elapsed() >= self._renew_at:
        await self._renew()


_record = Calls._record


async def _record_while_held(
    self: Calls, message: Message, settlement: life.Settlement, number: int
) -> None:
    if self._lease.is_good(self._clock.elapsed()):
        await _record(self, message, settlement, number)


_take_over = Housekeeper.take_over


async def _take_nothing_over(self: Housekeeper, sender: SenderName, *, was_left: bool) -> int:
    del was_left
    return await _take_over(self, sender, was_left=False)


async def _sync_nothing(_self: SharedPauses) -> None:
    """What other processes paused is not read."""


async def _accept_most(
    self: MessageStore, message: Message, key: IdempotencyKey | None, **how: Any
) -> Stored:
    if message.id[-1] in "0123":
        return Stored(message, replayed=False)
    return await _accept(self, message, key, **how)


BUGS: Final = MappingProxyType(
    {
        "answered_without_storing": Bug(
            "answers one message in eight that it has not stored",
            [(MessageStore, "accept", _accept_most)],
        ),
        "begin_after_sending": Bug(
            "sends what is begun before that is committed",
            [(MessageStore, "begin", _begin_uncommitted)],
        ),
        "answer_thrown_away": Bug(
            "tries once to write an answer down, and no more",
            [(Calls, "_on_disk", _write_once)],
        ),
        "busy_on_a_lost_answer": Bug(
            "takes a call without an answer for one that was not taken",
            [(CloudProvider, "send", _busy_without_answer)],
        ),
        "key_outside_the_transaction": Bug(
            "looks for the Idempotency-Key first, and writes it down after the message",
            [(MessageStore, "accept", _key_afterwards)],
        ),
        "receipt_moves_backwards": Bug(
            "has a message stand where its last receipt says",
            [(life, "status_of", _status_of_the_last_receipt)],
        ),
        "begun_again_after_a_restart": Bug(
            "queues again what an earlier process had begun",
            [(Housekeeper, "_call_unknown", _call_busy)],
        ),
        "parked_never_looked_up": Bug(
            "keeps receipts that come before the answer, and never looks at them",
            [
                *((whose, "unpark", _nothing) for whose in (messages, receipts, applying)),
                (messages, "parked_among", _none_among),
                (receipts, "waiting", _nothing),
            ],
        ),
        "held_sent_again": Bug(
            "sends unknown messages once more though they are to be held",
            [
                (life, "may_retry_by_itself", _may_retry_what_is_held),
                (QueueReader, "unknown_to_retry", _all_unknown("flags NOT LIKE '%resent%'")),
            ],
        ),
        "resent_for_ever": Bug(
            "sends an unknown message again each time that it is unknown",
            [
                (life, "may_retry_by_itself", _may_retry_for_ever),
                (QueueReader, "unknown_to_retry", _all_unknown("on_unknown = 'retry'")),
            ],
        ),
        "callback_answered_before_kept": Bug(
            "answers a callback 200 before it is stored",
            [(Inbox, "take", _take_before_kept)],
        ),
        "events_of_the_first": Bug(
            "writes, of a group of changes, the events of the first only",
            [(whose, "save_all", _events_of_the_first) for whose in (messages, queue)],
        ),
        "doubt_means_not_stored": Bug(
            "repeats a group whose commit failed without looking whether it is stored",
            [(GroupWriter, "_ask_whether_stored", _never_stored)],
        ),
        "sent_however_late": Bug(
            "sends what was begun long ago, before the process was suspended",
            [(Calls, "_too_late", lambda _self, _message, _seconds: None)],
        ),
        "version_not_looked_at": Bug(
            "writes a change over whatever version of its message there is",
            [(writing, "_update_all", _over_any_version)],
        ),
        "cancelled_while_sending": Bug(
            "cancels a message that is being sent",
            [(life, "cancel", _cancel_what_is_sent)],
        ),
        "doubt_not_given_back": Bug(
            "forgets an attempt whose begin was in doubt",
            [(Calls, "give_back", lambda _self, _message, _title: None)],
        ),
        "guessed_among_two": Bug(
            "guesses which attempt a receipt is about though there are two",
            [(receipts, "guess", _guess_the_first)],
        ),
        "begun_without_fencing": Bug(
            "begins without a look at whose the sender is by now",
            [
                (messages, "stands", lambda _connection, _fence: True),
                (messages, "standing", _all_stand),
            ],
        ),
        "lease_not_renewed": Bug(
            "goes on sending, and does not renew its leases",
            [(leases, "_RENEW", _Never())],
        ),
        "sent_after_the_lease": Bug(
            "takes a lease to last until it hears of its loss",
            [(Lease, "is_good", _good_until_told)],
        ),
        "answer_thrown_away_with_the_lease": Bug(
            "writes an answer down only while it has the sender",
            [(Calls, "_record", _record_while_held)],
        ),
        "left_begun_not_taken_over": Bug(
            "takes a sender from a killed process, and leaves what that had begun",
            [(Housekeeper, "take_over", _take_nothing_over)],
        ),
        "new_owner_sends_at_once": Bug(
            "sends as soon as it has a sender, within the same second as its last owner",
            [(leases, "CHANGE_OF_HANDS", timedelta())],
        ),
        "says_that_it_lives_as_it_stops": Bug(
            "keeps others from taking what it let go of, while its last calls end",
            [(Leases, "look", _look_while_ending)],
        ),
        "pauses_of_others_not_read": Bug(
            "sends on for a sender that was paused through another process",
            [(SharedPauses, "_try_to_sync", _sync_nothing)],
        ),
        "later_message_not_woken_for": Bug(
            "sleeps on when there is room again, unless something is due",
            [(Dispatcher, "_wait_for_room", _wait_and_forget)],
        ),
    }
)
