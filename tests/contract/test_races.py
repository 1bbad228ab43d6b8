"""Two that want something of one message at once, each with a writer of its own: one wins.

The other is told so, and what is on disk is what the winner was told. Each race is run many times,
now the one being a little earlier and now the other.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from tests.clock import START
from tests.contract.stores import (
    ACCEPTED,
    KEEP_PARKED,
    ROUNDS,
    Backend,
    Consequences,
    Deed,
    Stores,
    race,
    told,
    two_writers,
)
from tests.examples import MAIN, a_message, begin_due
from tests.running import in_a_loop

from alir.dispatch.ports import Begun
from alir.errors import TooLate
from alir.ids import MessageId
from alir.intake.elsewhere import Elsewhere
from alir.intake.ports import IdempotencyKey, New
from alir.intake.waiting import Waiting
from alir.messages import life
from alir.messages.life import Change, Settlement
from alir.messages.model import Flag, Message, OnUnknown, Outcome, ReceiptStatus, Status
from alir.receipts.guess import GUESS_AFTER
from alir.store.callbacks import CLAIM_SECONDS, LARGEST_PAGE
from alir.store.messages import MessageStore

SENT, DELIVERED, READ, FAILED = ReceiptStatus
LONG = 5.0


def begin(store: Stores) -> Deed:
    return partial(store.messages.begin, MAIN, limit=100, judge=begin_due)


def cancel(store: Stores, message: Message) -> Deed:
    return partial(store.messages.change, message, life.cancel)


def retry(store: Stores, message: Message) -> Deed:
    now = store.clock.now()
    return partial(store.messages.change, message, lambda m: life.retry(m, now=now))


def tell(store: Stores, *receipts: Any) -> Deed:
    return partial(store.tell, *receipts)


def was_begun(begun: Begun, message: Message) -> bool:
    return message.id in [one.id for one in begun.messages]


async def unknown(store: Stores, **fields: Any) -> Message:
    return await store.settle(await store.begun(**fields), Outcome.UNKNOWN)


# Cancel


@pytest.mark.parametrize("at_send_at", [False, True], ids=["due", "at send_at"])
@in_a_loop
async def test_race_of_cancel_and_begin(database: Backend, at_send_at: bool) -> None:
    async with two_writers(database) as (api, dispatch):
        for round_ in range(ROUNDS):
            send_at = api.clock.now() + timedelta(seconds=1)
            due = {"send_at": send_at, "due_at": send_at} if at_send_at else {}
            message = await api.accepted(**due)
            api.clock.leap(1)
            cancelled, begun = await race(round_, cancel(api, message), begin(dispatch))
            stands = await api.messages.get(message.id)

            if isinstance(cancelled, TooLate):
                assert was_begun(begun, message)
                assert cancelled.status == stands.status == Status.SENDING
            else:
                assert not was_begun(begun, message)
                assert cancelled == stands
                assert (stands.status, stands.attempts) == (Status.CANCELLED, ())


@pytest.mark.parametrize("steps", [1, 2, 50], ids=["handed in", "begun", "later"])
@in_a_loop
async def test_race_of_cancel_while_the_commit_of_the_begin_is_under_way(
    database: Backend, steps: int
) -> None:
    async with database.open() as store:
        message = await store.accepted()
        beginning = asyncio.ensure_future(begin(store)())
        for _ in range(steps):
            await asyncio.sleep(0)
        with pytest.raises(TooLate) as caught:
            await cancel(store, message)()

        assert caught.value.status == "sending"
        assert was_begun(await beginning, message)


@pytest.mark.parametrize("steps", [1, 2, 50], ids=["handed in", "begun", "later"])
@in_a_loop
async def test_race_of_begin_while_the_commit_of_the_cancel_is_under_way(
    database: Backend, steps: int
) -> None:
    async with database.open() as store:
        message = await store.accepted()
        cancelling = asyncio.ensure_future(cancel(store, message)())
        for _ in range(steps):
            await asyncio.sleep(0)
        begun = await begin(store)()

        assert begun.messages == ()
        assert (await cancelling).status is Status.CANCELLED


@in_a_loop
async def test_race_of_many_cancels_and_many_begins(database: Backend) -> None:
    async with two_writers(database) as (api, dispatch):
        messages = [await api.accepted() for _ in range(60)]
        results = await asyncio.gather(
            *(cancel(api, message)() for message in reversed(messages)),
            *(dispatch.messages.begin(MAIN, limit=3, judge=begin_due) for _ in range(20)),
            return_exceptions=True,
        )

        answers = dict(zip(reversed([m.id for m in messages]), results[:60], strict=True))
        begun = Counter(m.id for one in results[60:] for m in one.messages)  # type: ignore[union-attr]
        assert set(begun.values()) <= {1}
        for id_, answer in answers.items():
            assert isinstance(answer, TooLate if id_ in begun else Message)


@in_a_loop
async def test_race_of_many_begins_of_two_writers(database: Backend) -> None:
    async with two_writers(database) as (one, other):
        stored = [await one.accepted() for _ in range(100)]
        results = await asyncio.gather(
            *(store.messages.begin(MAIN, limit=7, judge=begin_due) for store in (one, other) * 10)
        )

        begun = Counter(message.id for each in results for message in each.messages)
        assert set(begun.values()) == {1}
        assert set(begun) == {message.id for message in stored}


@in_a_loop
async def test_race_of_giving_up_and_a_receipt(database: Backend) -> None:
    async with two_writers(database) as (api, relay):
        for round_ in range(ROUNDS):
            message = await unknown(api)
            receipt = told(DELIVERED, of=message, provider_id=f"wamid.{round_}")
            given_up, _ = await race(round_, cancel(api, message), tell(relay, receipt))
            stands = await api.messages.get(message.id)

            assert stands.status is Status.DELIVERED
            if isinstance(given_up, TooLate):
                assert (given_up.status, stands.flags) == ("delivered", ())
            else:
                assert given_up.error is not None
                assert given_up.error["code"] == life.GIVEN_UP
                assert stands.flags == (Flag.AFTER_FAILED,)


# Retry


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.REFUSED])
@in_a_loop
async def test_race_of_two_retries(database: Backend, outcome: Outcome) -> None:
    async with two_writers(database) as (one, other):
        for round_ in range(ROUNDS):
            message = await one.settle(await one.begun(), outcome)
            results = await race(round_, retry(one, message), retry(other, message))

            [won] = [result for result in results if isinstance(result, Message)]
            [lost] = [result for result in results if isinstance(result, TooLate)]
            assert (won.status, lost.status) == (Status.QUEUED, "queued")
            types = await one.event_types(message.id)
            assert types.count("message.queued") == 2  # the first was that of accepting it


@in_a_loop
async def test_race_of_the_retry_of_alir_itself_and_that_of_the_api(database: Backend) -> None:
    def by_itself(message: Message) -> Change | None:
        may = life.may_retry_by_itself(message, now=START)
        return life.retry(message, now=START) if may else None

    async with two_writers(database) as (api, dispatch):
        for round_ in range(ROUNDS):
            message = await unknown(api, on_unknown=OnUnknown.RETRY)
            itself = partial(dispatch.messages.change, message, by_itself)
            asked, _ = await race(round_, retry(api, message), itself)

            stands = await api.messages.get(message.id)
            assert stands.status is Status.QUEUED
            assert isinstance(asked, TooLate) or asked == stands
            types = await api.event_types(message.id)
            assert types.count("message.queued") == 2


@in_a_loop
async def test_race_of_retry_and_give_up(database: Backend) -> None:
    async with two_writers(database) as (one, other):
        for round_ in range(ROUNDS):
            message = await unknown(one)
            retried, given_up = await race(round_, retry(one, message), cancel(other, message))
            stands = await one.messages.get(message.id)

            # A queued message that may have arrived can be given up; one given up be sent again.
            order = await one.event_types(message.id)
            assert isinstance(retried, Message)
            assert isinstance(given_up, Message)
            assert order[-1] == f"message.{stands.status}"
            last = retried if stands.status is Status.QUEUED else given_up
            assert last == stands


@in_a_loop
async def test_race_of_a_receipt_and_the_writing_of_a_retry(database: Backend) -> None:
    async with two_writers(database) as (api, relay):
        for round_ in range(ROUNDS):
            message = await unknown(api)
            receipt = told(SENT, of=message, provider_id=f"wamid.{round_}")
            retried, _ = await race(round_, retry(api, message), tell(relay, receipt))
            stands = await api.messages.get(message.id)
            begun = await begin(api)()

            assert (stands.status, len(stands.attempts)) == (Status.SENT, 1)
            assert begun.messages == (), "sent again though a receipt had come"
            assert isinstance(retried, TooLate) or retried.status is Status.QUEUED
            if isinstance(retried, TooLate):
                assert retried.status == "sent"


@in_a_loop
async def test_race_of_a_receipt_and_the_begin_after_a_retry(database: Backend) -> None:
    async with two_writers(database) as (dispatch, relay):
        for round_ in range(ROUNDS):
            message = await unknown(dispatch)
            await retry(dispatch, message)()
            receipt = told(SENT, of=message, provider_id=f"wamid.{round_}")
            begun, _ = await race(round_, begin(dispatch), tell(relay, receipt))
            stands = await dispatch.messages.get(message.id)

            assert stands.status is Status.SENT
            assert len(stands.attempts) == (2 if was_begun(begun, message) else 1)
            # Nothing is begun after the receipt; what was begun before it arrives too.
            assert (Flag.RESENT in stands.flags) is was_begun(begun, message)
            if was_begun(begun, message):
                await dispatch.settle(stands, Outcome.ACCEPTED)
                after = await dispatch.messages.get(message.id)
                assert Flag.DUPLICATED in after.flags


@in_a_loop
async def test_race_of_the_late_answer_and_a_retry(database: Backend) -> None:
    async with two_writers(database) as (dispatch, api):
        for round_ in range(ROUNDS):
            begun = await dispatch.begun()
            message = await dispatch.settle(begun, Outcome.UNKNOWN)
            answer = partial(
                dispatch.settle, begun, Outcome.ACCEPTED, provider_id=f"wamid.{round_}"
            )
            _, retried = await race(round_, answer, retry(api, message))
            stands = await api.messages.get(message.id)

            assert stands.status is Status.ACCEPTED
            assert (await begin(dispatch)()).messages == ()
            assert isinstance(retried, TooLate) or retried.status is Status.QUEUED


# Expiry


@in_a_loop
async def test_race_of_expiry_and_begin_at_the_very_moment(database: Backend) -> None:
    async with two_writers(database) as (dispatch, housekeeper):
        for round_ in range(ROUNDS):
            now = dispatch.clock.now()
            message = await dispatch.accepted(expires_at=now)
            early = now - timedelta(milliseconds=1)  # by the clock of who begins

            def judge(
                message: Message, *, window_shut: bool, head_of: str | None = None
            ) -> Change | None:
                return life.expire(message, now=early) or life.begin(message, now=early)  # noqa: B023

            lapse = partial(
                housekeeper.messages.change,
                message.id,
                lambda m: life.expire(m, now=now),  # noqa: B023
            )
            begin_early = partial(dispatch.messages.begin, MAIN, limit=100, judge=judge)
            begun, expired = await race(round_, begin_early, lapse)
            stands = await dispatch.messages.get(message.id)

            assert stands == expired
            if was_begun(begun, message):
                assert stands.status is Status.SENDING
            else:
                assert (stands.status, stands.attempts) == (Status.EXPIRED, ())


@in_a_loop
async def test_race_of_expiry_and_cancel(database: Backend) -> None:
    async with two_writers(database) as (api, housekeeper):
        for round_ in range(ROUNDS):
            now = api.clock.now()
            message = await api.accepted(expires_at=now)
            lapse = partial(
                housekeeper.messages.change,
                message.id,
                lambda m: life.expire(m, now=now),  # noqa: B023
            )
            cancelled, expired = await race(round_, cancel(api, message), lapse)
            stands = await api.messages.get(message.id)

            assert stands == expired
            if isinstance(cancelled, TooLate):
                assert cancelled.status == stands.status == Status.EXPIRED
            else:
                assert cancelled == stands
                assert stands.status is Status.CANCELLED


# Receipts


@in_a_loop
async def test_race_of_the_same_receipt_from_two_callbacks(database: Backend) -> None:
    async with two_writers(database) as (one, other):
        for round_ in range(ROUNDS):
            message = await unknown(one)
            receipt = told(READ, of=message, provider_id=f"wamid.{round_}")
            await race(round_, tell(one, receipt), tell(other, receipt))
            stands = await one.messages.get(message.id)

            assert [r.status for r in stands.receipts] == [READ]
            types = await one.event_types(message.id)
            assert types[2:] == ["message.accepted", "message.read"]
        arrivals = [*one.consequences.arrivals, *other.consequences.arrivals]
        assert len(arrivals) == ROUNDS
        assert len([*one.consequences.decisions, *other.consequences.decisions]) == ROUNDS


@pytest.mark.parametrize("of", ["what nobody claimed", "claims that ran out"])
@in_a_loop
async def test_race_of_two_relays(database: Backend, of: str) -> None:
    count = 3 * LARGEST_PAGE + 7

    async def claim_all(relay: Stores) -> list[int]:
        claimed: list[int] = []
        while page := await relay.callbacks.claim():
            claimed += [raw.seq for raw in page]
        return claimed

    async with two_writers(database) as (one, other):
        keep = partial(one.callbacks.keep, "cloud", [MAIN], b"{}", claim=False)
        kept = await asyncio.gather(*(keep() for _ in range(count)))
        if of == "claims that ran out":  # of one that was killed
            await one.callbacks.claim()
            one.clock.leap(CLAIM_SECONDS)
        results = await asyncio.gather(*(claim_all(relay) for relay in (one, other) for _ in "123"))

        claimed = Counter(seq for result in results for seq in result)
        assert claimed == Counter(raw.seq for raw in kept)
        assert all(result == sorted(result) for result in results)


@in_a_loop
async def test_race_of_different_receipts_from_two_callbacks(database: Backend) -> None:
    async with two_writers(database) as (one, other):
        for round_ in range(ROUNDS):
            message = await one.begun()
            sent, read = (
                told(status, of=message, provider_id=f"wamid.{round_}") for status in (SENT, READ)
            )
            await race(round_, tell(one, sent), tell(other, read))
            stands = await one.messages.get(message.id)

            assert stands.status is Status.READ
            assert {r.status for r in stands.receipts} == {SENT, READ}
            types = await one.event_types(message.id)
            assert types.count("message.accepted") == 1


@in_a_loop
async def test_race_of_the_answer_and_the_receipt_that_waits_for_it(database: Backend) -> None:
    async with two_writers(database) as (dispatch, relay):
        for round_ in range(ROUNDS):
            message = await dispatch.begun()
            receipt = told(READ, provider_id=f"wamid.{round_}")  # names it by its id alone
            answer = partial(
                dispatch.settle, message, Outcome.ACCEPTED, provider_id=f"wamid.{round_}"
            )
            await race(round_, answer, tell(relay, receipt))
            await relay.receipts.sweep(keep=KEEP_PARKED)

            assert (await dispatch.messages.get(message.id)).status is Status.READ
        assert await dispatch.parked() == 0


@in_a_loop
async def test_race_of_two_sweeps(database: Backend) -> None:
    async with two_writers(database) as (one, other):
        message = await one.sent("wamid.1")
        await one.park(told(READ), told(DELIVERED))
        await race(
            0,
            partial(one.receipts.sweep, keep=KEEP_PARKED),
            partial(other.receipts.sweep, keep=KEEP_PARKED),
        )

        stands = await one.messages.get(message.id)
        assert [r.status for r in stands.receipts] == [READ, DELIVERED]
        assert await one.parked() == 0


@in_a_loop
async def test_race_of_a_guess_and_the_answer(database: Backend) -> None:
    async with two_writers(database) as (dispatch, relay):
        for round_ in range(ROUNDS):
            person = f"1555123{round_:04}"
            message = await dispatch.begun(to=f"+{person}")
            theirs = told(SENT, provider_id=f"somebody-elses-{round_}", wa_id=person)
            await relay.tell(theirs)
            relay.clock.leap(GUESS_AFTER.total_seconds())
            answer = partial(
                dispatch.settle, message, Outcome.ACCEPTED, provider_id=f"request-{round_}"
            )
            await race(round_, answer, partial(relay.receipts.guess, [MAIN]))
            stands = await dispatch.messages.get(message.id)

            guessed = Flag.GUESS in stands.flags
            assert stands.status is (Status.SENT if guessed else Status.ACCEPTED)
            expected = f"somebody-elses-{round_}" if guessed else f"request-{round_}"
            assert stands.attempts[0].provider_id == expected


# The same request, twice


@in_a_loop
async def test_race_of_one_request_at_two_processes(database: Backend) -> None:
    async with two_writers(database) as (one, other):
        for round_ in range(ROUNDS):
            key = IdempotencyKey(f"order-{round_}", b"h" * 32)
            first, second = a_message(), a_message()
            answers = await race(
                round_,
                partial(one.messages.accept, first, key),
                partial(other.messages.accept, second, key),
            )
            assert sorted(stored.replayed for stored in answers) == [False, True]
            assert len({stored.message.id for stored in answers}) == 1


@in_a_loop
async def test_race_of_a_repeat_and_the_settling_of_its_message(database: Backend) -> None:
    """In one commit group, the repeat is told how the message stood before."""
    async with database.open() as store:

        def look(message_id: MessageId) -> None:
            elsewhere.look(message_id)

        waiting = Waiting(look)
        messages = MessageStore(
            store.database, store.clock, changed=waiting.publish, consequences=Consequences()
        )
        elsewhere = Elsewhere(waiting, messages, store.clock, has_peers=lambda: False)
        looking = asyncio.create_task(elsewhere.run())

        async def repeat(key: IdempotencyKey) -> Message:
            found = await messages.accept(a_message(), key)
            return await waiting.settled(found.message, LONG, replayed=found.replayed)

        for round_ in range(ROUNDS):
            key = IdempotencyKey(f"order-{round_}", b"h" * 32)
            begun = (await messages.accept(a_message(), key, begin=True)).message
            # All three are one group, and what is accepted is written first in it.
            deeds = [
                messages.settle(begun, Settlement(outcome=ACCEPTED), number=1),
                repeat(key),
            ]
            first, second = deeds if round_ % 2 == 0 else reversed(deeds)
            before = messages.accept(a_message(), None)
            _, *answers = await asyncio.gather(before, first, second)
            assert [answer.status for answer in answers] == [Status.ACCEPTED] * 2
        looking.cancel()


@in_a_loop
async def test_race_of_batches_with_the_same_keys_at_two_processes(database: Backend) -> None:
    async with two_writers(database) as (one, other):
        for round_ in range(ROUNDS):
            keys = [IdempotencyKey(f"order-{round_}-{n}", b"h" * 32) for n in range(20)]
            batch, again = (
                [New(a_message(), key) for key in some] for some in (keys, reversed(keys))
            )
            answers, repeated = await race(
                round_,
                partial(one.messages.accept_all, batch),
                partial(other.messages.accept_all, again),
            )
            for stored, twin in zip(answers, reversed(repeated), strict=True):
                assert stored.message.id == twin.message.id
                assert sorted((stored.replayed, twin.replayed)) == [False, True]
