"""Receipts find their attempt by its mark or by the provider's id, or wait for it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from tests.clock import START
from tests.contract.stores import KEEP_PARKED, Backend, Stores, told
from tests.examples import MAIN, OTHER, a_message, begin_due
from tests.running import in_a_loop

from alir.ids import ProviderId
from alir.messages import life
from alir.messages.model import Decision, Message, Outcome, Receipt, ReceiptStatus, Status
from alir.receipts.model import Told
from alir.store.parked import parked_among, unpark
from alir.store.receipts import LARGEST_PORTION

SENT, DELIVERED, READ, FAILED = ReceiptStatus
UNDELIVERED = life.error("undelivered", "Undeliverable", provider_code="131026", detail="…")


@in_a_loop
async def test_a_receipt_finds_its_attempt_by_the_providers_id(database: Backend) -> None:
    async with database.open() as store:
        await store.sent("wamid.other")
        message = await store.sent("wamid.1")
        await store.tell(told(DELIVERED, wa_id="15551230001"))
        after = await store.messages.get(message.id)

        assert (after.status, after.wa_id) == (Status.DELIVERED, "15551230001")
        assert after.receipts == (Receipt(attempt=1, status=DELIVERED, at=START),)
        assert store.changed[-1] == after


@in_a_loop
async def test_a_receipt_finds_its_attempt_by_the_mark_before_any_answer(
    database: Backend,
) -> None:
    async with database.open() as store:
        message = await store.begun()
        await store.tell(told(SENT, of=message, provider_id="wamid.9"))
        after = await store.messages.get(message.id)

        assert after.status is Status.SENT
        assert (after.attempts[0].outcome, after.attempts[0].provider_id) == (
            Outcome.ACCEPTED,
            "wamid.9",
        )
        await store.tell(told(READ, provider_id="wamid.9"))  # from now on without the mark too
        assert (await store.messages.get(message.id)).status is Status.READ


@in_a_loop
async def test_a_mark_says_which_attempt_a_receipt_is_about(database: Backend) -> None:
    async with database.open() as store:
        message = await store.settle(await store.begun(), Outcome.UNKNOWN)
        await store.messages.change(message, lambda m: life.retry(m, now=START))
        await store.messages.begin(MAIN, limit=1, judge=begin_due)
        await store.tell(told(DELIVERED, of=message, attempt=1, provider_id="wamid.1"))
        after = await store.messages.get(message.id)

        assert [a.outcome for a in after.attempts] == [Outcome.ACCEPTED, None]
        assert after.status is Status.DELIVERED


@in_a_loop
async def test_a_failed_receipt_keeps_its_error(database: Backend) -> None:
    async with database.open() as store:
        message = await store.sent()
        await store.tell(told(FAILED, error=UNDELIVERED))
        after = await store.messages.get(message.id)

        assert (after.status, after.error) == (Status.FAILED, UNDELIVERED)
        assert after.receipts[0].error == UNDELIVERED


@in_a_loop
async def test_a_receipt_told_twice_is_kept_once(database: Backend) -> None:
    async with database.open() as store:
        message = await store.sent()
        await store.tell(told(SENT), told(SENT))
        await store.tell(told(SENT))
        after = await store.messages.get(message.id)

        assert [r.status for r in after.receipts] == [SENT]
        types = await store.event_types(message.id)
        assert types == ["message.queued", "message.accepted", "message.sent"]


@in_a_loop
async def test_receipts_of_one_callback_are_applied_in_its_order(database: Backend) -> None:
    async with database.open() as store:
        message = await store.sent()
        await store.tell(told(READ), told(DELIVERED), told(SENT))
        after = await store.messages.get(message.id)

        assert [r.status for r in after.receipts] == [READ, DELIVERED, SENT]
        types = await store.event_types(message.id)
        assert types == ["message.queued", "message.accepted", "message.read"]


@in_a_loop
async def test_one_callback_moves_many_messages(database: Backend) -> None:
    async with database.open() as store:
        messages = [await store.sent(f"wamid.{n}") for n in range(50)]
        strangers = [told(READ, provider_id=f"wamid.stranger{n}") for n in range(50)]
        known = [told(READ, provider_id=f"wamid.{n}") for n in range(50)]
        await store.tell(*[one for pair in zip(strangers, known, strict=True) for one in pair])

        for message in messages:
            assert (await store.messages.get(message.id)).status is Status.READ
        assert await store.parked() == 50


@in_a_loop
async def test_the_receipts_of_many_callbacks_at_once_are_all_kept(database: Backend) -> None:
    async with database.open() as store:
        message = await store.sent()
        await asyncio.gather(*(store.tell(told(status)) for status in list(ReceiptStatus) * 5))
        after = await store.messages.get(message.id)

        assert {r.status for r in after.receipts} == set(ReceiptStatus)
        assert len(after.receipts) == 4
        assert after.status is Status.READ


# Parked


@pytest.mark.parametrize("together", [True, False])
@in_a_loop
async def test_receipts_that_come_together_do_what_they_do_one_by_one(
    database: Backend, together: bool
) -> None:
    async with database.open() as store:
        taken = [await store.sent(f"wamid.{n}") for n in range(4)]
        begun = await store.begun()
        receipts = [
            told(READ, of=taken[0], provider_id="wamid.0"),
            told(SENT, of=taken[0], provider_id="wamid.0"),
            told(SENT, provider_id="wamid.0"),
            told(FAILED, provider_id="wamid.1", error=UNDELIVERED),
            told(SENT, of=begun, provider_id="wamid.9"),
            told(DELIVERED, of=taken[1], provider_id="wamid.1"),
            told(SENT, provider_id="wamid.2", wamid="wamid.other"),
            told(DELIVERED, provider_id="wamid.nobodys"),
            told(READ, provider_id="wamid.2"),
            told(DELIVERED, of=taken[3], attempt=2, provider_id="wamid.3"),
            told(READ, provider_id="wamid.9"),
            told(READ, provider_id="wamid.3"),
        ]
        store.changed.clear()
        if together:
            await asyncio.gather(*(store.tell(one) for one in receipts))
        else:
            for one in receipts:
                await store.tell(one)
        messages = [await store.messages.get(message.id) for message in (*taken, begun)]

        assert [message.status for message in messages] == [
            *(Status.READ, Status.DELIVERED, Status.READ, Status.READ, Status.READ),
        ]
        assert [[one.status for one in message.receipts] for message in messages] == [
            [READ, SENT],
            [FAILED, DELIVERED],
            [SENT, READ],
            [DELIVERED, READ],
            [SENT, READ],
        ]
        # The provider took an attempt of which the store knows nothing, and so two.
        flags = [(), ("after_failed",), (), ("duplicated",), ()]
        assert [message.flags for message in messages] == flags
        told_of = [await store.event_types(message.id) for message in messages]
        assert told_of == [
            ["message.queued", "message.accepted", *(f"message.{one}" for one in events)]
            for events in (
                ["read"],
                ["failed", "delivered"],
                ["sent", "read"],
                ["delivered", "duplicated", "read"],
                ["sent", "read"],
            )
        ]
        assert await store.parked() == 1
        assert await store.unapplied() == []
        assert {one.id: one for one in store.changed} == {one.id: one for one in messages}
        assert store.consequences.seen == [(taken[1].id, 1, "131026")]
        assert len(store.consequences.arrivals) == 9


@in_a_loop
async def test_of_receipts_that_come_together_one_whose_mark_leads_nowhere_keeps_its_place(
    database: Backend,
) -> None:
    async with database.open() as store:
        other, message = [await store.sent(f"wamid.{n}") for n in range(2)]
        await asyncio.gather(
            store.tell(told(FAILED, of=other, attempt=2, provider_id="wamid.1", error=UNDELIVERED)),
            store.tell(told(SENT, provider_id="wamid.1")),
        )
        after = await store.messages.get(message.id)

        assert [one.status for one in after.receipts] == [FAILED, SENT]
        assert (await store.messages.get(other.id)).receipts == ()


@in_a_loop
async def test_a_receipt_before_the_answer_waits_for_the_providers_id(database: Backend) -> None:
    async with database.open() as store:
        message = await store.begun()
        await store.tell(told(READ), told(SENT))
        assert (await store.messages.get(message.id)).status is Status.SENDING
        assert await store.parked() == 2

        after = await store.settle(message, Outcome.ACCEPTED, provider_id="wamid.1")

        assert after.status is Status.READ
        assert [r.status for r in after.receipts] == [READ, SENT]
        assert await store.messages.get(message.id) == after
        assert await store.parked() == 0
        types = await store.event_types(message.id)
        assert types == ["message.queued", "message.accepted", "message.read"]


@in_a_loop
async def test_parked_receipts_outlive_a_restart(database: Backend) -> None:
    async with database.open() as store:
        message = await store.begun()
        await store.tell(told(FAILED, error=UNDELIVERED, wa_id="15551230001"))
    async with database.open() as store:
        after = await store.settle(message, Outcome.ACCEPTED, provider_id="wamid.1")

        assert (after.status, after.error) == (Status.FAILED, UNDELIVERED)
        assert after.wa_id == "15551230001"
        assert after.receipts == (Receipt(attempt=1, status=FAILED, at=START, error=UNDELIVERED),)


@in_a_loop
async def test_the_same_receipt_of_somebody_elses_message_is_parked_once(
    database: Backend,
) -> None:
    async with database.open() as store:
        for _ in range(3):
            await store.tell(told(SENT), told(SENT))
        await store.tell(told(READ), told(SENT, sender=OTHER), told(SENT, provider_id="wamid.2"))

        assert await store.parked() == 4


@in_a_loop
async def test_a_receipt_that_gives_an_attempt_its_id_brings_what_waited_for_it(
    database: Backend,
) -> None:
    async with database.open() as store:
        message = await store.begun()
        await store.tell(told(READ), told(DELIVERED))  # without the mark: parked
        await store.tell(told(SENT, of=message))  # with it: now the id is known
        after = await store.messages.get(message.id)

        assert [r.status for r in after.receipts] == [SENT, READ, DELIVERED]
        assert store.changed[-1] == after
        assert await store.parked() == 0


@pytest.mark.parametrize("count", [1, LARGEST_PORTION, 2 * LARGEST_PORTION + 1])
@in_a_loop
async def test_the_sweep_applies_what_was_parked_though_its_id_is_known(
    database: Backend, count: int
) -> None:
    async with database.open() as store:
        messages = [await store.sent(f"wamid.{n}") for n in range(count)]
        await store.park(*(told(DELIVERED, provider_id=f"wamid.{n}") for n in range(count)))
        await store.park(told(DELIVERED, provider_id="wamid.stranger"))
        await store.receipts.sweep(keep=KEEP_PARKED)

        for message in messages:
            assert (await store.messages.get(message.id)).status is Status.DELIVERED
        assert {m.id for m in store.changed[-count:]} == {m.id for m in messages}
        assert await store.parked() == 1


@pytest.mark.parametrize("days", [6.99, 7.01])
@in_a_loop
async def test_what_nobody_claims_is_forgotten_after_seven_days(
    database: Backend, days: float
) -> None:
    async with database.open() as store:
        count = 2 * LARGEST_PORTION + 1
        await store.park(*(told(SENT, provider_id=f"wamid.{n}") for n in range(count)))
        for _ in range(4):
            store.clock.leap(timedelta(days=days / 4).total_seconds())
            await store.receipts.sweep(keep=KEEP_PARKED)

        assert await store.parked() == (count if days < 7 else 0)


@in_a_loop
async def test_a_parked_receipt_keeps_its_mark(database: Backend) -> None:
    async with database.open() as store:
        receipt = told(READ, of=a_message(), attempt=3, wamid="wamid.2", wa_id="15551230001")
        await store.tell(receipt)

        assert await store.database.write(lambda c: unpark(c, MAIN, receipt.provider_id)) == [
            receipt
        ]


@in_a_loop
async def test_those_of_many_ids_that_receipts_wait_for_are_found_at_once(
    database: Backend,
) -> None:
    async with database.open() as store:
        await store.park(told(SENT), told(READ), told(SENT, sender=OTHER, provider_id="wamid.2"))
        waited_for = (MAIN, ProviderId("wamid.1"))
        ids = [waited_for, (MAIN, ProviderId("wamid.2")), (OTHER, ProviderId("wamid.1"))]

        assert await store.database.read(lambda c: parked_among(c, ids)) == {waited_for}
        assert await store.database.read(lambda c: parked_among(c, ids[1:])) == set()
        assert await store.database.read(lambda c: parked_among(c, [])) == set()


# WhatsApp's id beside the provider's own


async def _learnt(store: Stores, message: Message, wamid: str) -> None:
    """The latest attempt's WhatsApp id has become known."""

    def learn(message: Message) -> life.Change:
        *earlier, latest = message.attempts
        latest = latest._replace(wamid=ProviderId(wamid))
        return life.Change(message.but(attempts=(*earlier, latest)))

    await store.messages.change(message, learn)


@pytest.mark.parametrize(
    "receipt",
    [told(READ, provider_id="wamid.1"), told(READ, provider_id="other", wamid="wamid.1")],
    ids=["alone", "beside another id"],
)
@pytest.mark.parametrize("parked", [False, True])
@in_a_loop
async def test_a_receipt_finds_its_attempt_by_whatsapps_id(
    database: Backend, receipt: Told, parked: bool
) -> None:
    async with database.open() as store:
        message = await store.sent("request-1")
        await _learnt(store, message, "wamid.1")
        if parked:
            await store.park(receipt)
            await store.receipts.sweep(keep=KEEP_PARKED)
        else:
            await store.tell(receipt)

        assert (await store.messages.get(message.id)).status is Status.READ
        assert (await store.messages.find("wamid.1")).id == message.id
        assert await store.parked() == 0


@in_a_loop
async def test_a_receipt_finds_its_attempt_where_only_whatsapps_id_came_with_the_answer(
    database: Backend,
) -> None:
    async with database.open() as store:
        message = await store.sent("wamid.1")
        await store.tell(told(READ, provider_id="request-1", wamid="wamid.1"))

        assert (await store.messages.get(message.id)).status is Status.READ


# Whose receipt


@pytest.mark.parametrize("marked", [False, True], ids=["by id", "by mark"])
@in_a_loop
async def test_a_receipt_that_another_senders_secret_signed_moves_nothing(
    database: Backend, marked: bool
) -> None:
    async with database.open() as store:
        message = await store.sent()
        await store.tell(told(READ, sender=OTHER, of=message if marked else None))
        await store.receipts.sweep(keep=KEEP_PARKED)

        assert await store.messages.get(message.id) == message
        assert message.id not in [m.id for m in store.changed[3:]]


@in_a_loop
async def test_a_parked_receipt_of_another_sender_is_not_taken_for_the_answer(
    database: Backend,
) -> None:
    async with database.open() as store:
        message = await store.begun()
        await store.tell(told(READ, sender=OTHER))
        after = await store.settle(message, Outcome.ACCEPTED, provider_id="wamid.1")

        assert after.status is Status.ACCEPTED


@in_a_loop
async def test_sweeping_does_not_lengthen_the_stay_of_another_senders_receipt(
    database: Backend,
) -> None:
    async with database.open() as store:
        await store.sent()
        await store.tell(told(READ, sender=OTHER))
        for _ in range(8):
            await store.receipts.sweep(keep=KEEP_PARKED)
            store.clock.leap(timedelta(days=1).total_seconds())
        await store.receipts.sweep(keep=KEEP_PARKED)

        assert await store.parked() == 0


@in_a_loop
async def test_where_a_mark_names_nothing_that_is_known_the_id_says_whose_receipt_it_is(
    database: Backend,
) -> None:
    async with database.open() as store:
        message = await store.sent("wamid.1")
        await store.tell(told(READ, of=a_message(), provider_id="wamid.1"))

        assert (await store.messages.get(message.id)).status is Status.READ


@pytest.mark.parametrize("attempt", [2, 99])
@in_a_loop
async def test_a_mark_of_an_attempt_that_never_was_moves_nothing(
    database: Backend, attempt: int
) -> None:
    async with database.open() as store:
        message = await store.begun()
        await store.tell(told(READ, of=message, attempt=attempt))

        assert await store.messages.get(message.id) == message
        assert await store.parked() == 1


# Marks of attempts whose records are lost, as with a backup that was restored


@in_a_loop
async def test_a_receipt_of_a_lost_attempt_takes_the_message_out_of_the_queue(
    database: Backend,
) -> None:
    async with database.open() as store:
        message = await store.accepted()
        await store.tell(told(DELIVERED, of=message, attempt=2, provider_id="wamid.2"))
        after = await store.messages.get(message.id)

        assert after.status is Status.DELIVERED
        assert [a.outcome for a in after.attempts] == [Outcome.UNKNOWN, Outcome.ACCEPTED]
        assert (await store.messages.begin(MAIN, limit=1, judge=begin_due)).messages == ()
        assert (await store.messages.find("wamid.2")).id == message.id
        types = await store.event_types(message.id)
        assert types == ["message.queued", "message.accepted", "message.delivered"]
        assert store.consequences.decisions == [(message.id, Decision.MARK)]


@in_a_loop
async def test_a_parked_mark_is_tried_again_by_the_sweep_once_nothing_is_under_way(
    database: Backend,
) -> None:
    async with database.open() as store:
        message = await store.begun()
        await store.tell(told(READ, of=message, attempt=2))
        await store.receipts.sweep(keep=KEEP_PARKED)
        assert await store.parked() == 1
        await store.settle(message, Outcome.UNKNOWN)
        await store.receipts.sweep(keep=KEEP_PARKED)

        assert (await store.messages.get(message.id)).status is Status.READ
        assert await store.parked() == 0
        assert store.consequences.decisions == [(message.id, Decision.PARKED)]


@pytest.mark.parametrize("attempt", [2, 99_999])
@in_a_loop
async def test_sweeping_does_not_lengthen_the_stay_of_a_mark_that_names_nothing(
    database: Backend, attempt: int
) -> None:
    async with database.open() as store:
        message = await store.begun()
        await store.tell(
            told(READ, of=message, attempt=attempt),
            told(READ, of=a_message(), provider_id="wamid.2"),
            told(READ, of=message, attempt=attempt, sender=OTHER),
            told(FAILED, of=message, attempt=attempt),
        )
        for _ in range(8):
            await store.receipts.sweep(keep=KEEP_PARKED)
            assert (await store.messages.get(message.id)) == message
            store.clock.leap(timedelta(days=1).total_seconds())
        await store.receipts.sweep(keep=KEEP_PARKED)

        assert await store.parked() == 0


# What is said of decisions


@in_a_loop
async def test_every_decision_on_an_unknown_attempt_is_told_once_it_is_on_disk(
    database: Backend,
) -> None:
    async with database.open() as store:
        begun = [await store.begun() for _ in range(5)]
        marked, answered, late, retried, given_up = [
            await store.settle(message, Outcome.UNKNOWN) for message in begun
        ]
        await store.tell(told(SENT, of=marked), told(READ, of=marked))
        await store.settle(answered, Outcome.ACCEPTED, provider_id="wamid.2")
        await store.settle(begun[2], Outcome.ACCEPTED, provider_id="wamid.3")
        await store.messages.change(retried, lambda m: life.retry(m, now=START))
        await store.messages.change(given_up, life.cancel)

        assert store.consequences.decisions == [
            (marked.id, Decision.MARK),
            (answered.id, Decision.ANSWER),
            (late.id, Decision.ANSWER),
            (retried.id, Decision.RETRIED),
            (given_up.id, Decision.GIVEN_UP),
        ]


@in_a_loop
async def test_of_what_was_never_unknown_no_decision_is_told(database: Backend) -> None:
    async with database.open() as store:
        await store.sent()
        await store.tell(told(READ))
        early = await store.begun()
        await store.tell(told(SENT, of=early, provider_id="wamid.2"))
        await store.messages.change(await store.accepted(), life.cancel)

        assert store.consequences.decisions == []


# Callbacks


@in_a_loop
async def test_a_callback_is_kept_as_it_came_until_it_is_applied(database: Backend) -> None:
    bodies = [b'{"object": "whatsapp_business_account"}', b"\x00\xff\xfe", b""]
    async with database.open() as store:
        kept = [await store.callbacks.keep("cloud", [MAIN, OTHER], body) for body in bodies]
        assert [(raw.senders, raw.body) for raw in kept] == [((MAIN, OTHER), b) for b in bodies]
    async with database.open() as store:
        assert await store.unapplied() == kept
        await store.receipts.apply([], callback=kept[1].seq)

        assert await store.unapplied() == [kept[0], kept[2]]
    async with database.open() as store:
        assert await store.unapplied() == [kept[0], kept[2]]


@in_a_loop
async def test_a_callback_is_marked_together_with_what_it_changed(database: Backend) -> None:
    async with database.open() as store:
        message = await store.sent()
        raw = await store.callbacks.keep("cloud", [MAIN], b"{}")
        assert (await store.messages.get(message.id)).status is Status.ACCEPTED

        await store.receipts.apply([told(SENT)], callback=raw.seq)

        assert await store.unapplied() == []
        assert (await store.messages.get(message.id)).status is Status.SENT


@in_a_loop
async def test_a_callback_applied_twice_changes_nothing(database: Backend) -> None:
    async with database.open() as store:
        message = await store.sent()
        raw = await store.callbacks.keep("cloud", [MAIN], b"{}")
        receipts = [told(SENT), told(FAILED), told(READ), told(READ, provider_id="wamid.2")]
        await store.receipts.apply(receipts, callback=raw.seq)
        once = (await store.messages.get(message.id), await store.events(), len(store.changed))
        await store.receipts.apply(receipts, callback=raw.seq)
        twice = (await store.messages.get(message.id), await store.events(), len(store.changed))

        assert twice == once
        assert await store.parked() == 1
