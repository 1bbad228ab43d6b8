"""What is older than it is kept goes, with all that belongs to it, and nothing else does."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.clock import START, Restless
from tests.contract.stores import ROUNDS, Backend, Stores, race, told, two_writers
from tests.examples import MAIN, TOKEN, a_message, begin_due
from tests.running import in_a_loop

from alir.errors import NotFound
from alir.intake.ports import IdempotencyKey
from alir.messages import life
from alir.messages.model import Message, Outcome, ReceiptStatus, Status
from alir.receipts.model import Heard
from alir.retention import purger
from alir.retention.model import KeptFor, Kind
from alir.retention.purger import Purger
from alir.store import tables
from alir.store.contacts import Learnt, heard_at, learn
from alir.store.sql import run

SENT, DELIVERED, READ, FAILED = ReceiptStatus
DAY = timedelta(days=1)
KEPT = KeptFor(messages=10 * DAY, events=5 * DAY, callbacks=2 * DAY, contacts=10 * DAY)
FOR_EVER = KeptFor(messages=None, events=None, callbacks=None, contacts=None)
UNTOUCHED = (
    tables.api_token,
    tables.commit_group,
    tables.pause,
    tables.process,
    tables.queue_count,
    tables.sender_lease,
)


def the_purger(store: Stores, kept_for: KeptFor = KEPT) -> Purger:
    return Purger(store.aged, Restless(store.clock), kept_for)


async def purge(store: Stores, kept_for: KeptFor = KEPT) -> dict[Kind, int]:
    return dict(await the_purger(store, kept_for).purge())


def days(store: Stores, count: float) -> None:
    store.clock.leap(count * 86_400)


async def counts(store: Stores) -> dict[str, int]:
    """How many rows each table has."""

    def work(connection: Any) -> dict[str, int]:
        return {
            name: run(connection, select(func.count()).select_from(table)).fetchone()[0]
            for name, table in tables.metadata.tables.items()
            if table not in UNTOUCHED
        }

    return await store.database.read(work)


@in_a_loop
async def test_a_message_that_ended_long_ago_goes_with_all_that_belongs_to_it(
    database: Backend,
) -> None:
    async with database.open() as store:
        old = await store.sent("wamid.1")
        await store.tell(told(SENT), told(DELIVERED), told(READ))
        days(store, 9)
        younger = await store.sent("wamid.2")
        await store.tell(told(READ, provider_id="wamid.2"))
        assert (
            await purge(
                store, KeptFor(messages=10 * DAY, events=None, callbacks=None, contacts=None)
            )
            == {}
        )
        days(store, 1.01)
        removed = await purge(store)

        assert removed == {Kind.MESSAGES: 1, Kind.EVENTS: 5, Kind.CALLBACKS: 1}
        assert not await store.is_there(old)
        left = await store.messages.get(younger.id)
        assert (left.status, len(left.attempts), len(left.receipts)) == (Status.READ, 1, 1)
        assert await counts(store) == {
            "message": 1,
            "attempt": 1,
            "receipt": 1,
            "event": 3,
            "callback": 1,
            "parked_receipt": 0,
            "contact": 0,
            "alias": 0,
        }


@pytest.mark.parametrize("status", Status)
@in_a_loop
async def test_only_what_has_ended_or_was_taken_grows_old(
    database: Backend, status: Status
) -> None:
    async with database.open() as store:
        message = await _standing(store, status)
        assert (await store.messages.get(message.id)).status is status
        days(store, 1000)
        await purge(store)

        stays = status in (Status.QUEUED, Status.SENDING, Status.UNKNOWN)
        assert await store.is_there(message) == stays


async def _standing(store: Stores, status: Status) -> Message:
    now = START + DAY
    match status:
        case Status.QUEUED:
            return await store.accepted()
        case Status.CANCELLED:
            return await store.messages.change((await store.accepted()).id, life.cancel)
        case Status.EXPIRED:
            message = await store.accepted(expires_at=START)
            return await store.messages.change(message.id, lambda m: life.expire(m, now=now))
        case Status.SENDING:
            return await store.begun()
        case Status.UNKNOWN | Status.FAILED:
            outcome = Outcome.UNKNOWN if status is Status.UNKNOWN else Outcome.REFUSED
            return await store.settle(await store.begun(), outcome)
    message = await store.sent()
    if status is not Status.ACCEPTED:
        await store.tell(told(ReceiptStatus(status.value)))
    return message


@in_a_loop
async def test_a_message_that_was_sent_late_counts_from_when_it_went(database: Backend) -> None:
    async with database.open() as store:
        waited = await store.accepted()  # its sender was paused, say
        ahead = await store.accepted(due_at=START + 100 * DAY, first_due_at=START + 100 * DAY)
        days(store, 95)
        await store.settle(await _begin(store, waited), Outcome.REFUSED)
        await store.messages.change(ahead.id, life.cancel)
        days(store, 9)
        await purge(store)
        assert await store.is_there(waited)
        days(store, 2)
        await purge(store)
        assert not await store.is_there(waited)
        assert await store.is_there(ahead)  # cancelled, but due less than ten days ago
        days(store, 5)
        await purge(store)
        assert not await store.is_there(ahead)


async def _begin(store: Stores, message: Message) -> Message:
    def judge(message: Message, *, window_shut: bool, head_of: str | None = None) -> life.Change:
        return life.begin(message, now=store.clock.now())

    begun = await store.messages.begin(MAIN, limit=100, judge=judge)
    return next(one for one in begun.messages if one.id == message.id)


@in_a_loop
async def test_a_message_with_an_attempt_on_the_wire_stays_though_another_one_arrived(
    database: Backend,
) -> None:
    async with database.open() as store:
        message = await store.settle(await store.begun(), Outcome.UNKNOWN)
        now = store.clock.now()
        await store.messages.change(message.id, lambda m: life.retry(m, now=now))
        await _begin(store, message)
        await store.tell(told(DELIVERED, of=message))
        assert (await store.messages.get(message.id)).status is Status.DELIVERED
        days(store, 1000)
        await purge(store)

        assert await store.is_there(message)


@in_a_loop
async def test_an_idempotency_key_protects_for_as_long_as_its_message_is_kept(
    database: Backend,
) -> None:
    key = IdempotencyKey("order-1", b"h" * 32)
    async with database.open() as store:
        first = (await store.messages.accept(a_message(), key)).message
        await store.settle(await _begin(store, first), Outcome.REFUSED)
        days(store, 9)
        await purge(store)
        again = await store.messages.accept(a_message(), key)
        assert (again.message.id, again.replayed) == (first.id, True)
        days(store, 2)
        await purge(store)
        assert await store.messages.replayed(TOKEN, key) is None
        assert not (await store.messages.accept(a_message(), key)).replayed


@in_a_loop
async def test_what_may_not_go_hides_nothing_that_lies_behind_it(
    database: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purger, "STEP_MESSAGES", 3)
    async with database.open() as store:
        held = [await store.accepted() for _ in range(7)]
        old = [await store.sent(f"wamid.{n}", sender="other") for n in range(7)]
        held.append(await store.accepted())
        days(store, 11)
        young = await store.sent("wamid.young", sender="other")
        removed = await purge(store)

        assert removed[Kind.MESSAGES] == 7
        assert [await store.is_there(message) for message in old] == [False] * 7
        assert all([await store.is_there(message) for message in (*held, young)])


@in_a_loop
async def test_a_message_from_when_the_clock_was_wrong_keeps_nothing_behind_it(
    database: Backend,
) -> None:
    async with database.open() as store:
        ahead = START + 1000 * DAY
        wrong = await store.accepted(created_at=ahead, due_at=ahead, first_due_at=ahead)
        old = await store.sent()
        days(store, 11)
        await purge(store)

        assert not await store.is_there(old)
        assert await store.is_there(wrong)


@in_a_loop
async def test_a_callback_that_is_not_applied_stays(database: Backend) -> None:
    async with database.open() as store:
        left = await store.callbacks.keep("cloud", [MAIN], b"{}")
        await store.tell()
        days(store, 3)
        assert await purge(store) == {Kind.CALLBACKS: 1}
        assert await store.unapplied() == [left]


@in_a_loop
async def test_when_a_person_last_wrote_is_forgotten_with_the_persons_other_names(
    database: Backend,
) -> None:
    async with database.open() as store:
        await store.tell(Heard(sender=MAIN, at=START, wa_id="15551230001", user_id="US.1"))
        await store.database.write(
            lambda c: learn(c, [Learnt(MAIN, "+15551230002", "15551230001")])
        )
        days(store, 8)
        await store.tell(
            Heard(sender=MAIN, at=store.clock.now(), wa_id="15551230009", user_id="US.9")
        )
        days(store, 3)
        removed = await purge(store)

        assert removed == {Kind.CALLBACKS: 2, Kind.CONTACTS: 2, Kind.ALIASES: 2}
        assert await store.database.read(lambda c: heard_at(c, MAIN, "+15551230001")) is None
        assert await store.database.read(lambda c: heard_at(c, MAIN, "US.9")) == START + 8 * DAY


@in_a_loop
async def test_the_other_name_of_a_number_stays_while_a_message_to_it_does(
    database: Backend,
) -> None:
    async with database.open() as store:
        await store.sent("wamid.1", to="+15551230002", wa_id="15551230001")
        await store.settle(
            await store.begun(to="+15551230002"),
            Outcome.ACCEPTED,
            provider_id="wamid.2",
            wa_id="15551230001",
        )
        days(store, 9)
        await store.sent("wamid.3", to="+15551230002")
        days(store, 9)
        assert Kind.ALIASES not in await purge(store)
        assert (await counts(store))["alias"] == 1
        days(store, 2)
        assert (await purge(store))[Kind.ALIASES] == 1


@in_a_loop
async def test_whose_user_id_it_is_stays_known_while_a_message_to_it_does(
    database: Backend,
) -> None:
    async with database.open() as store:
        await store.tell(Heard(sender=MAIN, at=START, wa_id="15551230001", user_id="US.1"))
        days(store, 5)
        await store.sent(to=None, recipient="US.1")
        days(store, 9)
        removed = await purge(store)
        assert removed[Kind.CONTACTS] == 2
        assert Kind.ALIASES not in removed
        days(store, 2)
        assert (await purge(store))[Kind.ALIASES] == 1


@in_a_loop
async def test_what_is_kept_for_ever_is_never_purged(database: Backend) -> None:
    async with database.open() as store:
        await store.sent()
        await store.tell(told(READ))
        await store.tell(Heard(sender=MAIN, at=START, wa_id="15551230001", user_id="US.1"))
        days(store, 10_000)
        before = await counts(store)

        assert await purge(store, FOR_EVER) == {}
        assert await counts(store) == before


@in_a_loop
async def test_counting_says_what_a_purge_removes_and_removes_nothing(database: Backend) -> None:
    async with database.open() as store:
        await store.sent()
        await store.tell(told(READ))
        await store.accepted()
        await store.tell(Heard(sender=MAIN, at=START, wa_id="15551230001"))
        days(store, 11)
        before = await counts(store)
        counted = await the_purger(store).count()

        assert await counts(store) == before
        assert counted == await purge(store)
        assert counted == {
            Kind.MESSAGES: 1,
            Kind.EVENTS: 4,
            Kind.CALLBACKS: 2,
            Kind.CONTACTS: 1,
        }


@in_a_loop
async def test_race_a_message_that_is_retried_after_the_look_is_not_removed(
    database: Backend,
) -> None:
    async with database.open() as store:
        message = await store.settle(await store.begun(), Outcome.REFUSED)
        gone = await store.sent("wamid.2")
        days(store, 11)
        before = store.clock.now() - 10 * DAY
        stretch = await store.aged.look(Kind.MESSAGES, before=before, after=None, limit=10)
        assert stretch.old == 2
        assert stretch.upto is not None
        now = store.clock.now()
        await store.messages.change(message.id, lambda m: life.retry(m, now=now))
        removed = await store.aged.remove(
            Kind.MESSAGES, before=before, after=None, upto=stretch.upto
        )

        assert removed == 1
        assert not await store.is_there(gone)
        assert [
            one.id for one in (await store.messages.begin(MAIN, limit=9, judge=begin_due)).messages
        ] == [message.id]


@in_a_loop
async def test_race_of_retry_in_one_process_and_purge_in_another(database: Backend) -> None:
    async with two_writers(database) as (gateway, aside):
        for round_ in range(ROUNDS):
            message = await gateway.settle(await gateway.begun(), Outcome.REFUSED)
            days(gateway, 11)

            async def retry(message: Message = message) -> Message | None:
                now = gateway.clock.now()
                try:
                    return await gateway.messages.change(
                        message.id, lambda m: life.retry(m, now=now)
                    )
                except NotFound:
                    return None

            retried, _ = await race(round_, retry, partial(purge, aside))

            assert await gateway.is_there(message) == (retried is not None)
            if retried is not None:
                begun = await _begin(gateway, retried)
                await gateway.settle(begun, Outcome.REFUSED)


@in_a_loop
async def test_a_receipt_of_a_message_that_is_purged_is_kept_as_a_strangers(
    database: Backend,
) -> None:
    async with database.open() as store:
        message = await store.sent()
        days(store, 11)
        await purge(store)
        await store.tell(told(READ, of=message))

        assert await store.parked() == 1
        assert not await store.is_there(message)
