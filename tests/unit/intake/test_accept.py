"""From a request to a message on disk: whose it is, what it answers, when it is due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from tests.clock import START, FakeClock
from tests.examples import MAIN, OTHER, TOKEN, a_message
from tests.running import in_a_loop
from tests.seed import mended

from alir.errors import (
    AlirError,
    Fault,
    IdempotencyConflict,
    NotFound,
    QueueFull,
    RequestInvalid,
    SenderForbidden,
    StoreUnavailable,
)
from alir.ids import ApiTokenId, Fence, MessageId, ProviderId, SenderName
from alir.intake.accept import Intake, SenderRules, choose_sender
from alir.intake.ports import Filters, IdempotencyKey, New, Selected, Stored
from alir.intake.tokens import ApiToken, Scope
from alir.messages import life
from alir.messages.model import Attempt, Message, OnUnknown, Status

THIRD = SenderName("third")
HOLD = SenderRules(OnUnknown.HOLD, by_user_id=False, refuses_closed_window=False)
RETRY = replace(HOLD, on_unknown=OnUnknown.RETRY, by_user_id=True)
SENDERS = {MAIN: HOLD, OTHER: RETRY, THIRD: HOLD}


def a_token(
    senders: tuple[SenderName, ...] | None = None, default: SenderName | None = None
) -> ApiToken:
    return ApiToken(
        id=TOKEN, name="shop", scopes=frozenset(Scope), senders=senders, default_sender=default
    )


class Store:
    """Messages in memory, and what storing the next one raises."""

    def __init__(self) -> None:
        self.messages: dict[str, Message] = {}
        self.keys: dict[tuple[str, str], tuple[bytes, Message]] = {}
        self.fault: BaseException | None = None
        self.begins = True
        self.doubts = False
        self.open = asyncio.Event()
        self.open.set()

    async def accept(
        self,
        message: Message,
        key: IdempotencyKey | None,
        *,
        begin: bool = False,
        fence: Fence | None = None,
        refuse_shut: bool = False,
    ) -> Stored:
        assert fence is None or begin
        await self.open.wait()
        if self.fault is not None:
            raise self.fault
        if key is not None and (found := await self.replayed(message.token_id, key)):
            return Stored(found, replayed=True)
        stands = life.begin(message, now=START).message if begin and self.begins else message
        if self.doubts:
            return Stored(stands, replayed=False, doubt=StoreUnavailable("lost", in_doubt=True))
        self.messages[message.id] = stands
        if key is not None:
            self.keys[message.token_id, key.key] = (key.request_hash, stands)
        return Stored(stands, replayed=False)

    async def replayed(self, token: ApiTokenId, key: IdempotencyKey) -> Message | None:
        found = self.keys.get((token, key.key))
        if found is None:
            return None
        if found[0] != key.request_hash:
            raise IdempotencyConflict("another request")
        return found[1]

    async def find(self, any_id: str) -> Message:
        if any_id not in self.messages:
            raise NotFound("no message has this id")
        return self.messages[any_id]

    async def get(self, message_id: MessageId) -> Message:
        return self.messages[message_id]

    async def accept_all(self, new: Sequence[New]) -> list[Stored | AlirError]:
        answers: list[Stored | AlirError] = []
        for message, key, refuse_shut in new:
            try:
                answers.append(await self.accept(message, key, refuse_shut=refuse_shut))
            except AlirError as error:
                answers.append(error)
        return answers

    async def newest(self) -> int:
        raise NotImplementedError

    async def next_place(self, after: int) -> int:
        raise NotImplementedError  # nothing is selected here

    async def selected(self, filters: Filters, *, after: int, to: int) -> list[Selected]:
        raise NotImplementedError

    async def page(self, filters: Filters, *, limit: int, before: int | None) -> Any:
        raise NotImplementedError

    async def change(self, message: Any, decide: Callable[[Message], Any]) -> Message:
        raise NotImplementedError


class Place(NamedTuple):
    admitted_at: float | None = None
    parked: str | None = None
    fence: Fence | None = None


class Places:
    """A dispatch that admits as many as it has places.

    Attributes:
        rooms: how many messages of a sender may wait; else a million.
        lined_up: messages that were about to be stored to wait.
        handed_over, dismissed: which messages; of the dismissed, whether they are in doubt.
    """

    def __init__(self, places: int = 10) -> None:
        self.places = places
        self.rooms: dict[SenderName, int] = {}
        self.lined_up: list[MessageId] = []
        self.must_wait: dict[str, str] = {}
        self.handed_over: list[MessageId] = []
        self.dismissed: list[tuple[MessageId, bool]] = []

    def admit(self, message: Message) -> Place:
        if message.person in self.must_wait:
            return Place(parked=self.must_wait[message.person])
        if self.places == 0:
            return Place()
        self.places -= 1
        return Place(admitted_at=7.0)

    def line_up(self, message: Message) -> str | None:
        self.lined_up.append(message.id)
        return self.must_wait.get(message.person)

    def room(self, sender: SenderName) -> int:
        return self.rooms.get(sender, 1_000_000)

    def hand_over(self, message: Message, admitted_at: float) -> None:
        assert admitted_at == 7.0
        assert message.status is Status.SENDING
        self.places += 1
        self.handed_over.append(message.id)

    def dismiss(self, message: Message, admitted_at: float, *, in_doubt: bool) -> None:
        assert admitted_at == 7.0
        self.places += 1
        self.dismissed.append((message.id, in_doubt))


class World:
    def __init__(self, places: int = 10) -> None:
        self.clock = FakeClock()
        self.store = Store()
        self.dispatch = Places(places)
        self.restart(SENDERS)

    def restart(self, senders: Mapping[SenderName, SenderRules]) -> None:
        """With these senders from now on, and the same messages."""
        self.intake = Intake(self.store, self.dispatch, senders, self.clock)

    async def post(
        self,
        token: ApiToken | None = None,
        key: str | None = None,
        **changes: Any,
    ) -> Stored:
        request = mended() | {"from": "main"} | changes
        return await self.intake.accept(request, token or a_token(), key)


async def faults(
    world: World, token: ApiToken | None = None, key: str | None = None, **changes: Any
) -> list[Fault]:
    with pytest.raises(RequestInvalid) as caught:
        await world.post(token, key, **changes)
    return list(caught.value.faults)


# Whose it is


@pytest.mark.parametrize(
    ("named", "token", "expected"),
    [
        ("main", a_token(), MAIN),
        ("other", a_token((MAIN, OTHER)), OTHER),
        (None, a_token((OTHER,)), OTHER),
        (None, a_token((MAIN, OTHER), default=OTHER), OTHER),
        (None, a_token(default=THIRD), THIRD),
        ("main", a_token(default=THIRD), MAIN),
        (None, a_token((SenderName("gone"), THIRD)), THIRD),
    ],
)
def test_the_sender_is_the_one_named_or_the_tokens_only_or_default_one(
    named: str | None, token: ApiToken, expected: SenderName
) -> None:
    assert choose_sender(named, token, tuple(SENDERS)) == expected


@pytest.mark.parametrize(
    ("named", "token", "code", "told"),
    [
        ("nobody", a_token(), "unknown_sender", "main, other, third"),
        ("Main", a_token((MAIN, OTHER)), "unknown_sender", "main, other"),
        (None, a_token(), "missing", "main, other, third"),
        (None, a_token((MAIN, OTHER)), "missing", "main, other"),
        (None, a_token((MAIN, OTHER), default=THIRD), "missing", "main, other"),
        (None, a_token(()), "missing", "no sender"),
        (None, a_token((SenderName("gone"),)), "missing", "no sender"),
    ],
)
def test_where_no_sender_is_clear_the_error_lists_those_that_may_be_used(
    named: str | None, token: ApiToken, code: str, told: str
) -> None:
    fault = choose_sender(named, token, tuple(SENDERS))

    assert isinstance(fault, Fault)
    assert (fault.pointer, fault.code) == ("#/from", code)
    assert told in fault.detail
    assert "third" not in fault.detail or token.may_use("third")


@in_a_loop
async def test_a_sender_that_the_token_may_not_use_is_forbidden_before_anything_else() -> None:
    world = World()
    with pytest.raises(SenderForbidden):
        await world.post(a_token((MAIN,)), **{"from": "other", "to": "nonsense"})


@in_a_loop
async def test_the_faults_of_the_sender_come_with_all_others() -> None:
    asked: dict[str, Any] = {"from": "nobody", "to": "0800"}
    found = await faults(World(), **asked)

    assert [fault.pointer for fault in found] == ["#/to", "#/from"]


@in_a_loop
async def test_a_message_is_stored_with_what_was_asked_and_who_asked() -> None:
    world = World()
    message = (await world.post(callback_data="order 7", priority="bulk")).message

    assert (message.token_id, message.sender, message.to) == (TOKEN, MAIN, "+10000000000")
    assert (message.callback_data, message.priority) == ("order 7", "bulk")
    assert message.created_at == START


@pytest.mark.parametrize(
    ("sender", "asked", "expected"),
    [
        ("main", None, OnUnknown.HOLD),
        ("other", None, OnUnknown.RETRY),
        ("other", "hold", OnUnknown.HOLD),
        ("main", "retry", OnUnknown.RETRY),
    ],
)
@in_a_loop
async def test_on_unknown_is_the_requests_else_the_senders(
    sender: str, asked: str | None, expected: OnUnknown
) -> None:
    changes: dict[str, Any] = {"from": sender, "on_unknown": asked}
    stored = await World().post(**changes)

    assert stored.message.on_unknown is expected


# To whom, and as what


USER_ID = "US.13491208655302741918"


@in_a_loop
async def test_a_user_id_in_place_of_a_number_is_the_senders_to_allow() -> None:
    world = World()
    asked: dict[str, Any] = {"to": None, "recipient": USER_ID}
    allowed = asked | {"from": "other"}
    stored = await world.post(**allowed)
    [fault] = await faults(world, **asked)

    assert (stored.message.to, stored.message.recipient) == (None, USER_ID)
    assert stored.message.person == USER_ID
    assert (fault.pointer, fault.code) == ("#/recipient", "not_supported")
    assert "by_user_id = true" in fault.detail


@in_a_loop
async def test_that_a_sender_takes_no_user_id_is_told_with_all_else() -> None:
    asked: dict[str, Any] = {"to": None, "recipient": USER_ID, "priority": "high"}
    wrong: dict[str, Any] = {"to": None, "recipient": "us.1"}
    from_nobody = asked | {"from": "nobody"}

    found = await faults(World(), **asked)

    assert {f.pointer: f.code for f in found} == {
        "#/recipient": "not_supported",
        "#/priority": "not_a_choice",
    }
    assert [f.code for f in await faults(World(), **wrong)] == ["invalid_user_id"]
    assert [f.pointer for f in await faults(World(), **from_nobody)] == ["#/from", "#/priority"]


@in_a_loop
async def test_templates_are_stored_as_they_were_asked_for() -> None:
    template = {"name": "visit_form", "language": "en_US"}
    kept = template | {"button_index": 0}
    token = mended()["flow"]["token"]
    asked: dict[str, Any] = {"type": "template", "flow": None, "template": template}
    as_template = (await World().post(**asked)).message
    as_fallback = (await World().post(fallback=template)).message

    assert (as_template.type, as_template.flow) == ("template", {})
    assert as_template.template == kept | {"flow": {}}
    assert (as_fallback.type, as_fallback.template) == ("flow", None)
    assert as_fallback.fallback == kept | {"flow": {"token": token}}


# When it is due


@pytest.mark.parametrize(
    ("send_at", "due_in"),
    [(None, 0), ("2026-01-01T00:01:00Z", 60), ("2025-12-31T23:00:00Z", 0)],
)
@in_a_loop
async def test_a_message_is_due_at_its_moment_or_now(send_at: str | None, due_in: int) -> None:
    message = (await World().post(send_at=send_at)).message

    due_at = START + timedelta(seconds=due_in)
    assert (message.due_at, message.first_due_at) == (due_at, due_at)


@in_a_loop
async def test_what_has_expired_already_is_refused() -> None:
    world = World()
    [fault] = await faults(world, expires_at="2026-01-01T00:00:00Z")

    assert (fault.pointer, fault.code) == ("#/expires_at", "in_the_past")
    assert world.store.messages == {}


@in_a_loop
async def test_the_repeat_of_a_request_that_was_in_time_is_answered_like_the_first() -> None:
    world = World()
    asked: dict[str, Any] = {"expires_at": "2026-01-01T00:00:10Z"}
    first = await world.post(key="k", **asked)
    world.clock.leap(60)
    again = await world.post(key="k", **asked)

    assert (again.message.id, again.replayed) == (first.message.id, True)
    assert len(await faults(world, expires_at="2026-01-01T00:00:10Z")) == 1


# Idempotency


@in_a_loop
async def test_the_same_request_with_its_keys_in_another_order_is_the_same() -> None:
    world = World()
    request = mended() | {"from": "main"}
    first = await world.post(key="k")
    turned = dict(reversed(request.items()))
    again = await world.intake.accept(turned, a_token(), "k")

    assert (again.message.id, again.replayed) == (first.message.id, True)


@in_a_loop
async def test_another_request_with_the_same_key_is_a_conflict() -> None:
    world = World()
    await world.post(key="k")
    with pytest.raises(IdempotencyConflict):
        await world.post(key="k", callback_data="another")


@pytest.mark.parametrize(
    ("named", "left"),
    [
        (None, {MAIN: HOLD, OTHER: HOLD}),
        ("main", {OTHER: HOLD}),
    ],
    ids=["a second sender came", "the sender it names is gone"],
)
@in_a_loop
async def test_a_repeat_is_answered_like_the_first_after_the_senders_changed(
    named: str | None, left: Mapping[SenderName, SenderRules]
) -> None:
    world = World()
    world.restart({MAIN: HOLD})
    asked: dict[str, Any] = {"from": named}
    first = await world.post(key="k", **asked)

    world.restart(left)

    assert await world.post(key="k", **asked) == Stored(first.message, replayed=True)
    assert [f.pointer for f in await faults(world, key="another", **asked)] == ["#/from"]


@in_a_loop
async def test_another_request_with_the_same_key_hears_its_own_faults_first() -> None:
    world = World()
    await world.post(key="k")

    assert [f.pointer for f in await faults(world, key="k", to="0812")] == ["#/to"]


@in_a_loop
async def test_what_depends_on_more_than_the_body_is_told_with_all_else() -> None:
    world = World()
    asked: dict[str, Any] = {
        "from": "nobody",
        "to": "0812",
        "reply_message_id": "msg_01JABCDEFGHJKMNPQRSTVWXYZ0",
        "expires_at": "2026-01-01T00:00:00Z",
    }
    found = await faults(world, key="", **asked)

    assert {fault.pointer: fault.code for fault in found} == {
        "#/to": "country_code_missing",
        "#/from": "unknown_sender",
        "#/reply_message_id": "unknown_message",
        "#/expires_at": "in_the_past",
        "#/Idempotency-Key": "invalid_idempotency_key",
    }


@in_a_loop
async def test_a_reply_is_not_judged_by_a_number_or_sender_that_is_wrong_itself() -> None:
    world = World()
    earlier = a_sent_message(world)
    asked: dict[str, Any] = {"from": "nobody", "to": "0812", "reply_message_id": earlier.id}

    assert [f.pointer for f in await faults(world, **asked)] == ["#/to", "#/from"]


@in_a_loop
async def test_what_can_be_no_id_is_not_looked_up() -> None:
    [fault] = await faults(World(), reply_message_id="{{ MESSAGE_ID }}")

    assert fault.code == "placeholder"


# What it answers


def a_sent_message(world: World, provider_id: str | None = "wamid.1", **fields: Any) -> Message:
    attempt = Attempt(
        number=1,
        begun_at=START,
        provider_id=None if provider_id is None else ProviderId(provider_id),
    )
    message = a_message(**({"to": "+10000000000", "attempts": (attempt,)} | fields))
    world.store.messages[message.id] = message
    if provider_id is not None:
        world.store.messages[provider_id] = message
    return message


@pytest.mark.parametrize("by", ["id", "wamid"])
@in_a_loop
async def test_a_reply_quotes_the_whatsapp_id_of_the_message_it_names(by: str) -> None:
    world = World()
    earlier = a_sent_message(world)
    stored = await world.post(reply_message_id=earlier.id if by == "id" else "wamid.1")

    assert stored.message.reply_to == "wamid.1"
    assert stored.message.warnings == ()


@pytest.mark.parametrize(
    ("earlier", "changes", "is_same"),
    [
        ({"to": None, "recipient": USER_ID}, {"to": None, "recipient": USER_ID}, True),
        ({"to": None, "recipient": USER_ID}, {"to": None, "recipient": "US.2"}, False),
        ({"to": None, "recipient": USER_ID}, {}, False),
        ({}, {"to": None, "recipient": USER_ID}, False),
        ({"to": None, "recipient": USER_ID}, {"to": None, "recipient": "US.2", "flow": 7}, False),
        ({"to": None, "recipient": USER_ID}, {"to": None, "recipient": "us.2", "flow": 7}, True),
    ],
)
@in_a_loop
async def test_a_reply_stays_with_its_person_by_number_or_by_user_id(
    earlier: dict[str, Any], changes: dict[str, Any], is_same: bool
) -> None:
    world = World()
    replied = a_sent_message(world, sender=OTHER, **earlier).id
    asked: dict[str, Any] = {"from": "other", "reply_message_id": replied} | changes
    try:
        await world.post(**asked)
    except RequestInvalid as error:
        codes = {fault.code for fault in error.faults}
    else:
        codes = set()

    assert ("other_conversation" not in codes) is is_same


@in_a_loop
async def test_a_whatsapp_id_that_alir_never_saw_is_passed_on() -> None:
    stored = await World().post(reply_message_id="wamid.incoming")

    assert stored.message.reply_to == "wamid.incoming"


@in_a_loop
async def test_a_reply_to_a_message_without_a_whatsapp_id_goes_without_the_bubble() -> None:
    world = World()
    earlier = a_sent_message(world, provider_id=None)
    message = (await world.post(reply_message_id=earlier.id)).message

    assert message.reply_to is None
    assert message.reply_message_id == earlier.id
    assert [warning.code for warning in message.warnings] == ["reply_not_shown"]


@pytest.mark.parametrize(
    ("fields", "token", "code"),
    [
        ({"to": "+15551239999"}, a_token(), "other_conversation"),
        ({"sender": OTHER}, a_token(), "other_conversation"),
        ({"sender": OTHER}, a_token((MAIN,)), "unknown_message"),
    ],
)
@in_a_loop
async def test_a_reply_stays_in_its_conversation(
    fields: dict[str, Any], token: ApiToken, code: str
) -> None:
    world = World()
    earlier = a_sent_message(world, **fields)
    [fault] = await faults(world, token, reply_message_id=earlier.id)

    assert (fault.pointer, fault.code) == ("#/reply_message_id", code)


@in_a_loop
async def test_a_reply_to_what_alir_does_not_know_is_an_error() -> None:
    [fault] = await faults(World(), reply_message_id="msg_01JABCDEFGHJKMNPQRSTVWXYZ0")

    assert (fault.pointer, fault.code) == ("#/reply_message_id", "unknown_message")


# Begun with the write that stores it


@in_a_loop
async def test_where_there_is_a_place_the_message_is_stored_as_begun_and_handed_over() -> None:
    world = World()
    stored = await world.post()

    assert stored.message.status is Status.SENDING
    assert world.dispatch.handed_over == [stored.message.id]
    assert world.dispatch.places == 10


@in_a_loop
async def test_without_a_place_the_message_queues() -> None:
    world = World(places=0)
    stored = await world.post()

    assert stored.message.status is Status.QUEUED
    assert world.dispatch.handed_over == []


@in_a_loop
async def test_what_is_due_later_queues_and_takes_no_place() -> None:
    world = World()
    at = datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
    stored = await world.post(send_at=at.isoformat())

    assert stored.message.status is Status.QUEUED
    assert (world.dispatch.handed_over, world.dispatch.places) == ([], 10)


@in_a_loop
async def test_a_repeat_gives_its_place_back_and_sends_nothing() -> None:
    world = World()
    first = await world.post(key="k")
    await world.post(key="k")

    assert world.dispatch.handed_over == [first.message.id]
    assert [in_doubt for _, in_doubt in world.dispatch.dismissed] == [False]
    assert world.dispatch.places == 10


@pytest.mark.parametrize(
    ("fault", "in_doubt"),
    [
        (StoreUnavailable("full"), False),
        (StoreUnavailable("lost", in_doubt=True), True),
        (IdempotencyConflict("another"), False),
        (RuntimeError("a fault of alir's own"), True),
        (asyncio.CancelledError(), True),
    ],
    ids=str,
)
@in_a_loop
async def test_a_message_that_was_not_surely_stored_gives_its_place_back_and_is_not_sent(
    fault: BaseException, in_doubt: bool
) -> None:
    world = World()
    world.store.fault = fault
    with pytest.raises(type(fault)):
        await world.post()

    assert world.dispatch.handed_over == []
    assert [doubt for _, doubt in world.dispatch.dismissed] == [in_doubt]
    assert world.dispatch.places == 10


@in_a_loop
async def test_a_doubt_says_which_message_it_is_about() -> None:
    world = World()
    world.store.fault = StoreUnavailable("lost", in_doubt=True)
    with pytest.raises(StoreUnavailable) as caught:
        await world.post()

    assert caught.value.in_doubt
    assert caught.value.message_id == world.dispatch.dismissed[0][0]


@pytest.mark.parametrize("begins", [True, False])
@in_a_loop
async def test_only_an_attempt_that_was_to_be_begun_with_its_message_is_given_back(
    begins: bool,
) -> None:
    world = World()
    world.store.doubts, world.store.begins = True, begins
    with pytest.raises(StoreUnavailable) as caught:
        await world.post()

    assert caught.value.in_doubt
    [(dismissed, in_doubt)] = world.dispatch.dismissed
    assert caught.value.message_id == dismissed
    assert in_doubt is begins
    assert (world.dispatch.handed_over, world.dispatch.places) == ([], 10)


@in_a_loop
async def test_a_caller_that_is_cancelled_while_it_is_stored_gives_its_place_back() -> None:
    world = World()
    world.store.open.clear()
    posting = asyncio.create_task(world.post())
    await asyncio.sleep(0)
    assert world.dispatch.places == 9
    posting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await posting

    assert world.dispatch.places == 10
    assert [doubt for _, doubt in world.dispatch.dismissed] == [True]


# A full queue


@in_a_loop
async def test_a_full_queue_takes_nothing_and_nothing_is_stored() -> None:
    world = World()
    world.dispatch.rooms = {MAIN: 0}

    with pytest.raises(QueueFull):
        await world.post()
    assert await faults(world, to="letters")  # what is wrong with the request is told first
    assert world.store.messages == {}
    elsewhere: dict[str, Any] = {"from": "other"}
    assert (await world.post(**elsewhere)).message.sender == OTHER

    world.dispatch.rooms = {MAIN: 1}
    assert (await world.post()).message.sender == MAIN


@in_a_loop
async def test_what_was_taken_before_is_answered_from_a_full_queue() -> None:
    world = World()
    taken = await world.post(key="order-1")
    world.dispatch.rooms = {MAIN: 0}

    assert await world.post(key="order-1") == Stored(taken.message, replayed=True)
    with pytest.raises(QueueFull):
        await world.post(key="order-1", callback_data="another body")
