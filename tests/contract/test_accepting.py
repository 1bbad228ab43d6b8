"""A message is stored once, found by every id that was given out, and survives a restart."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from tests.clock import START
from tests.contract.stores import Backend, Stores
from tests.examples import FLOW, MAIN, OTHER, TOKEN, a_message, begin_due
from tests.running import in_a_loop

from alir.errors import IdempotencyConflict, NotFound, RequestInvalid, StoreUnavailable
from alir.ids import ApiTokenId, MessageId, ProviderId, new_message_id
from alir.intake.ports import Filters, IdempotencyKey, New, Stored
from alir.messages.model import (
    Message,
    Notice,
    OnUnknown,
    Outcome,
    Priority,
    QueueClass,
    Status,
)
from alir.receipts.model import Heard
from alir.store import tables, writer
from alir.store.sql import run
from alir.store.tables import STRETCH_PLACES

KEY = IdempotencyKey("order-1", b"h" * 32)
OTHER_BODY = IdempotencyKey("order-1", b"x" * 32)
OTHER_TOKEN = ApiTokenId("tok_01JZZZZZZZZZZZZZZZZZZZZZZZ")


def a_full_message() -> Message:
    """Every field that a new message can have."""
    return a_message(
        flow={
            **FLOW,
            "action": "navigate",
            "data": {"visits": [1, -2.5, True, None, {"ünï": "cødé 🙂\u2028"}], "": ""},
            "param": {
                "header": {"type": "media", "media": "https://example.com/a.png"},
                "body": "Line one\nline two \x7f",
                "footer": "Foot",
            },
        },
        on_unknown=OnUnknown.RETRY,
        reply_to=ProviderId("wamid.earlier"),
        reply_message_id="msg_earlier",
        callback_data='{"order": 7}',
        priority=Priority.BULK,
        queue_class=QueueClass.REPLY,
        send_at=START + timedelta(hours=1, milliseconds=7),
        due_at=START + timedelta(hours=1, milliseconds=7),
        expires_at=START + timedelta(days=30),
        warnings=(Notice("number_read", "#/to", "Read as if it began with a plus sign."),),
    )


# Storing


@in_a_loop
async def test_a_message_is_stored_as_it_is_and_told_of_once(database: Backend) -> None:
    message = a_full_message()
    async with database.open() as store:
        stored = await store.messages.accept(message, None)

        assert (stored.message, stored.replayed) == (message, False)
        assert store.changed == [message]
    async with database.open() as store:
        assert await store.messages.get(message.id) == message


@pytest.mark.parametrize(
    "number",
    [0, -1, 2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1, 0.1, 1e-300, 1.7976931348623157e308],
)
@in_a_loop
async def test_numbers_in_the_flows_data_stay_as_they_were(database: Backend, number: Any) -> None:
    message = a_message(flow={**FLOW, "data": {"n": number}})
    async with database.open() as store:
        await store.messages.accept(message, None)
        [event] = await store.events()
    async with database.open() as store:
        found = (await store.messages.get(message.id)).flow["data"]["n"]

    assert (found, type(found)) == (number, type(number))
    assert event["data"]["flow"]["data"]["n"] == number


@in_a_loop
async def test_a_stored_message_comes_with_its_event(database: Backend) -> None:
    message = a_full_message()
    async with database.open() as store:
        await store.messages.accept(message, None)

        [event] = await store.events()
        assert event["type"] == "message.queued"
        assert event["data"]["id"] == message.id
        assert event["data"]["status"] == "queued"
        assert event["data"]["callback_data"] == '{"order": 7}'


@pytest.mark.parametrize("begin", [False, True])
@in_a_loop
async def test_many_messages_stored_at_once_are_each_stored_once_with_one_event(
    database: Backend, begin: bool
) -> None:
    messages = [a_message(to=f"+1555123{n:04}") for n in range(250)]
    async with database.open() as store:
        stored = await asyncio.gather(
            *(store.messages.accept(message, None, begin=begin) for message in messages)
        )

        assert [s.message.id for s in stored] == [m.id for m in messages]
        for one in stored:
            assert await store.messages.get(one.message.id) == one.message
        events = await store.events()
        assert sorted(e["data"]["id"] for e in events) == sorted(m.id for m in messages)


# Storing what is begun already


@in_a_loop
async def test_a_message_can_be_stored_and_begun_with_one_write(database: Backend) -> None:
    message = a_full_message()
    async with database.open() as store:
        store.clock.leap(1.5)
        stored = await store.messages.accept(message, None, begin=True)

        assert not stored.replayed
        assert stored.message.status is Status.SENDING
        [attempt] = stored.message.attempts
        assert (attempt.number, attempt.begun_at) == (1, START + timedelta(seconds=1.5))
        assert (await store.messages.begin(MAIN, limit=10, judge=begin_due)).messages == ()
    async with database.open() as store:
        assert await store.messages.get(message.id) == stored.message
        assert await store.messages.left_begun() == [(message.id, 1)]
        [event] = await store.events()
        assert (event["type"], event["data"]["status"]) == ("message.queued", "queued")
        assert event["data"]["attempts"] == []


@in_a_loop
async def test_a_message_stored_as_begun_lives_on_like_any_other(database: Backend) -> None:
    async with database.open() as store:
        begun = (await store.messages.accept(a_message(), None, begin=True)).message
        queued = await store.settle(begun, Outcome.BUSY, due_at=START)
        [again] = (await store.messages.begin(MAIN, limit=10, judge=begin_due)).messages
        done = await store.settle(again, Outcome.ACCEPTED, provider_id="wamid.1")

        assert queued.status is Status.QUEUED
        assert [a.outcome for a in done.attempts] == [Outcome.BUSY, Outcome.ACCEPTED]
        assert await store.messages.get(begun.id) == done
        ids = await store.event_ids()
        assert len(ids) == len(set(ids)) == 2


@in_a_loop
async def test_a_repeat_begins_nothing(database: Backend) -> None:
    async with database.open() as store:
        first = await store.messages.accept(a_message(), KEY)
        again = await store.messages.accept(a_message(), KEY, begin=True)

        assert (again.message, again.replayed) == (first.message, True)
        assert await store.messages.left_begun() == []


# Idempotency


@in_a_loop
async def test_the_same_key_and_body_find_the_first_message(database: Backend) -> None:
    first, second = a_message(), a_message()
    async with database.open() as store:
        await store.messages.accept(first, KEY)
        again = await store.messages.accept(second, KEY)

        assert (again.message.id, again.replayed) == (first.id, True)
        assert len(store.changed) == 1
        assert len(await store.events()) == 1
        with pytest.raises(NotFound):
            await store.messages.get(second.id)


@in_a_loop
async def test_a_repeat_is_answered_with_the_message_as_it_stands_now(database: Backend) -> None:
    async with database.open() as store:
        stored = await store.messages.accept(a_message(), KEY)
        [begun] = (await store.messages.begin(MAIN, limit=1, judge=begin_due)).messages
        await store.settle(begun, Outcome.ACCEPTED, provider_id="wamid.1")

        again = await store.messages.accept(a_message(), KEY)
        assert again.message.id == stored.message.id
        assert again.message.status is Status.ACCEPTED
        assert len(again.message.attempts) == 1
        assert await store.messages.replayed(TOKEN, KEY) == again.message


@in_a_loop
async def test_the_same_key_with_another_body_is_a_conflict(database: Backend) -> None:
    other = a_message()
    async with database.open() as store:
        await store.messages.accept(a_message(), KEY)
        with pytest.raises(IdempotencyConflict):
            await store.messages.accept(other, OTHER_BODY)
        with pytest.raises(IdempotencyConflict):
            await store.messages.replayed(TOKEN, OTHER_BODY)
        with pytest.raises(NotFound):
            await store.messages.get(other.id)


@in_a_loop
async def test_keys_belong_to_one_api_token(database: Backend) -> None:
    async with database.open() as store:
        first = await store.messages.accept(a_message(), KEY)
        second = await store.messages.accept(a_message(token_id=OTHER_TOKEN), OTHER_BODY)

        assert not second.replayed
        assert first.message.id != second.message.id
        assert await store.messages.replayed(OTHER_TOKEN, OTHER_BODY) == second.message
        assert await store.messages.replayed(ApiTokenId("tok_3"), KEY) is None


@in_a_loop
async def test_messages_without_a_key_are_never_taken_for_each_other(database: Backend) -> None:
    async with database.open() as store:
        stored = [await store.messages.accept(a_message(), None) for _ in range(3)]

        assert not any(s.replayed for s in stored)


@in_a_loop
async def test_keys_outlive_a_restart(database: Backend) -> None:
    async with database.open() as store:
        first = await store.messages.accept(a_message(), KEY)
    async with database.open() as store:
        again = await store.messages.accept(a_message(), KEY)

        assert (again.message.id, again.replayed) == (first.message.id, True)


@in_a_loop
async def test_two_hundred_requests_with_one_key_at_once_make_one_message(
    database: Backend,
) -> None:
    async with database.open() as store:
        stored = await asyncio.gather(
            *(store.messages.accept(a_message(), KEY) for _ in range(200))
        )

        assert len({s.message.id for s in stored}) == 1
        assert [s.replayed for s in stored].count(False) == 1
        assert len(await store.events()) == 1


@in_a_loop
async def test_requests_at_once_with_one_key_and_two_bodies_make_one_message(
    database: Backend,
) -> None:
    async with database.open() as store:
        results = await asyncio.gather(
            *(store.messages.accept(a_message(), key) for key in [KEY, OTHER_BODY] * 50),
            return_exceptions=True,
        )

        conflicts = [r for r in results if isinstance(r, IdempotencyConflict)]
        assert len(conflicts) == 50
        assert len(await store.events()) == 1


@in_a_loop
async def test_each_of_many_keys_at_once_finds_its_own_message(database: Backend) -> None:
    keys = [IdempotencyKey(f"order-{n}", bytes([n]) * 32) for n in range(50)]
    async with database.open() as store:

        async def all_at_once() -> list[Stored]:
            some = [store.messages.accept(a_message(), key) for key in (*keys, None, None)]
            return await asyncio.gather(*some)

        first = await all_at_once()
        again = await all_at_once()

        assert [s.replayed for s in first] == [False] * 52
        assert [s.replayed for s in again] == [True] * 50 + [False] * 2
        assert [s.message.id for s in again[:50]] == [s.message.id for s in first[:50]]


@in_a_loop
async def test_the_key_of_a_message_that_was_refused_stands_for_nothing_at_once(
    database: Backend,
) -> None:
    async with database.open() as store:
        await store.tell(Heard(sender=MAIN, at=START, wa_id="15551230001"))
        await store.clock.advance(25 * 3600)
        refused, stored, replayed = await asyncio.gather(
            store.messages.accept(a_message(), KEY, refuse_shut=True),
            store.messages.accept(a_message(), KEY),
            store.messages.accept(a_message(), KEY),
            return_exceptions=True,
        )

        assert isinstance(refused, RequestInvalid)
        assert isinstance(stored, Stored)
        assert isinstance(replayed, Stored)
        assert (stored.replayed, replayed.replayed) == (False, True)


# Finding


@in_a_loop
async def test_every_id_that_was_given_out_finds_the_message(database: Backend) -> None:
    async with database.open() as store:
        await store.accepted()
        message = await store.sent("wamid.HBgL=")

        for any_id in (message.id, "wamid.HBgL="):
            assert await store.messages.find(any_id) == message


@pytest.mark.parametrize(
    "any_id", ["", "msg_", "wamid.unknown", "%", "\x00", str(new_message_id())]
)
@in_a_loop
async def test_what_was_never_given_out_finds_nothing(database: Backend, any_id: str) -> None:
    async with database.open() as store:
        await store.sent()
        with pytest.raises(NotFound):
            await store.messages.find(any_id)
        with pytest.raises(NotFound):
            await store.messages.get(MessageId(any_id))


# Lists


async def _listed(store: Stores, filters: Filters, *, limit: int = 200) -> list[MessageId]:
    found, more = await store.messages.page(filters, limit=limit, before=None)
    assert more is None
    return [message.id for message in found]


async def _spread(store: Stores, factor: int) -> None:
    """Have the places of all messages lie apart, as if so many were stored between them."""
    apart = update(tables.message).values(seq=tables.message.c.seq * factor)
    await store.database.write(lambda connection: run(connection, apart).rowcount)


@in_a_loop
async def test_a_list_is_newest_first_and_goes_on_at_its_cursor(database: Backend) -> None:
    async with database.open() as store:
        ids = [(await store.accepted()).id for _ in range(7)]
        pages: list[list[MessageId]] = []
        before = None
        while True:
            page, before = await store.messages.page(Filters(), limit=3, before=before)
            pages.append([message.id for message in page])
            await store.accepted()  # what comes in meanwhile moves no page
            if before is None:
                break

        assert [len(page) for page in pages] == [3, 3, 1]
        assert [id_ for page in pages for id_ in page] == ids[::-1]


@in_a_loop
async def test_a_page_that_ends_exactly_has_no_cursor(database: Backend) -> None:
    async with database.open() as store:
        for _ in range(3):
            await store.accepted()
        found, more = await store.messages.page(Filters(), limit=3, before=None)

        assert (len(found), more) == (3, None)
        assert await store.messages.page(Filters(to="+1"), limit=3, before=None) == ([], None)


@in_a_loop
async def test_a_list_shows_messages_whole(database: Backend) -> None:
    async with database.open() as store:
        message = await store.sent()
        [found], _ = await store.messages.page(Filters(), limit=1, before=None)

        assert found == message


@in_a_loop
async def test_every_filter_selects_what_it_names_and_all_apply_together(
    database: Backend,
) -> None:
    async with database.open() as store:
        plain = await store.accepted()
        to = await store.accepted(to="+15551230002")
        flow = await store.accepted(flow={**FLOW, "id": "2"})
        token = await store.accepted(flow={**FLOW, "token": "visit-2"})
        other = await store.begun(sender=OTHER)
        store.clock.leap(60)
        late = await store.accepted()
        minute = START + timedelta(minutes=1)

        newest_first = [late.id, other.id, token.id, flow.id, to.id, plain.id]
        assert await _listed(store, Filters()) == newest_first
        assert await _listed(store, Filters(to="+15551230002")) == [to.id]
        assert await _listed(store, Filters(flow_id="2")) == [flow.id]
        assert await _listed(store, Filters(flow_token="visit-2")) == [token.id]
        assert await _listed(store, Filters(sender=OTHER)) == [other.id]
        assert await _listed(store, Filters(status="sending")) == [other.id]
        assert await _listed(store, Filters(since=minute)) == [late.id]
        assert await _listed(store, Filters(until=minute)) == newest_first[1:]
        assert await _listed(store, Filters(since=START, until=START)) == []
        assert await _listed(store, Filters(status="queued", since=minute)) == [late.id]
        assert await _listed(store, Filters(status="failed")) == []


@in_a_loop
async def test_a_flow_token_is_found_however_far_apart_its_messages_were_stored(
    database: Backend,
) -> None:
    async with database.open() as store:
        mine = []
        for _ in range(6):
            mine.append(await store.accepted(flow={**FLOW, "token": "mine"}))
            await store.accepted()
        await _spread(store, STRETCH_PLACES * 5)
        filters = Filters(flow_token="mine")

        listed: list[str] = []
        before = None
        while not listed or before is not None:
            page, before = await store.messages.page(filters, limit=2, before=before)
            listed += [message.id for message in page]
        newest = await store.messages.newest()
        selected = await store.messages.selected(filters, after=0, to=newest)

        assert listed == [message.id for message in reversed(mine)]
        assert [one.id for one in selected] == [message.id for message in mine]
        assert await _listed(store, Filters(flow_token="mine", to="+15551230002")) == []
        assert await _listed(store, Filters(flow_token="nobody's")) == []


@in_a_loop
async def test_in_an_empty_store_no_flow_token_is_found(database: Backend) -> None:
    async with database.open() as store:
        assert await _listed(store, Filters(flow_token="mine")) == []


@in_a_loop
async def test_a_flow_token_that_all_messages_have_is_listed_newest_first(
    database: Backend,
) -> None:
    async with database.open() as store:
        messages = [await store.accepted() for _ in range(5)]
        newest_first = [message.id for message in reversed(messages)]

        page, before = await store.messages.page(
            Filters(flow_token="visit-1"), limit=3, before=None
        )

        assert [message.id for message in page] == newest_first[:3]
        rest, end = await store.messages.page(Filters(flow_token="visit-1"), limit=3, before=before)
        assert [message.id for message in rest] == newest_first[3:]
        assert end is None


@in_a_loop
async def test_a_list_is_narrowed_to_the_senders_that_may_be_seen(database: Backend) -> None:
    async with database.open() as store:
        mine = await store.accepted()
        other = await store.accepted(sender=OTHER)

        assert await _listed(store, Filters(senders=[MAIN])) == [mine.id]
        assert await _listed(store, Filters(senders=[MAIN, OTHER])) == [other.id, mine.id]
        assert await _listed(store, Filters(senders=[])) == []
        assert await _listed(store, Filters(senders=[MAIN], sender=OTHER)) == []


# While writes wait


@in_a_loop
async def test_while_writes_wait_too_long_neither_messages_nor_callbacks_are_taken(
    database: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "LONGEST_WAIT_SECONDS", 0.0)
    async with database.open() as store:
        # Both databases write by a link, of which those who use them know nothing.
        link = store.database._writer._link  # type: ignore[attr-defined]
        commit, asked, answers = link.commit, asyncio.Event(), asyncio.Event()

        async def commit_slowly() -> None:
            asked.set()
            await answers.wait()
            await commit()

        monkeypatch.setattr(link, "commit", commit_slowly)  # no real disk is slow when asked to be
        first = asyncio.ensure_future(store.messages.accept(a_message(), None))
        await asked.wait()
        second = asyncio.ensure_future(store.messages.accept(a_message(), None))
        await asyncio.sleep(0)
        late = a_message()
        with pytest.raises(StoreUnavailable):
            await store.messages.accept(late, None)
        [in_batch] = await store.messages.accept_all([New(late)])
        with pytest.raises(StoreUnavailable):
            await store.callbacks.keep("cloud", [MAIN], b"{}")
        answers.set()
        stored = await asyncio.gather(first, second)

        assert isinstance(in_batch, StoreUnavailable)
        assert not in_batch.in_doubt
        assert not await store.callbacks.claim()
        page = await store.messages.page(Filters(), limit=10, before=None)
        assert {one.message.id for one in stored} == {message.id for message in page[0]}
