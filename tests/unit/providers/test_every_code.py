"""Every error code, as an answer and as a failed receipt, from the provider's bytes to what
becomes of the message, what stands still and until when, and what users and operators are told."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from tests.clock import START, idle
from tests.examples import FLOW, MAIN, OTHER, TEMPLATE
from tests.running import in_a_loop
from tests.senders import a_cloud_sender, a_route_mobile_sender
from tests.unit.dispatch.doubles import World
from tests.unit.providers.every_code import (
    BUSY,
    FLOW_SLOW,
    PEOPLE,
    REFUSED,
    ROUTE_MOBILE,
    THROUGHPUT,
    WHATSAPP,
    Effect,
    Row,
    ends,
)
from typer.testing import CliRunner

from alir.cli.main import app
from alir.dispatch.aftermath import Aftermath
from alir.dispatch.attempt import BusyPolicy
from alir.errors import SendFailure
from alir.messages.model import Message, Outcome, Status
from alir.providers.cloud import wire as cloud
from alir.providers.registry import PROVIDERS
from alir.providers.routemobile import wire as route_mobile
from alir.providers.whatsapp import mark
from alir.receipts.model import Told
from alir.receipts.ports import Dialect

CODES = {name: kind.codes({}) for name, kind in PROVIDERS.items()}
CLOUD = PROVIDERS["cloud"].dialect({MAIN: a_cloud_sender()}, CODES["cloud"])
RM = PROVIDERS["routemobile"].dialect({MAIN: a_route_mobile_sender()}, CODES["routemobile"])
DETAILS = "The number of the room is 12"
OTHER_FLOW = {**FLOW, "id": "111111111111111"}

ANSWERS = ends(WHATSAPP)
RECEIPTS = [
    *(pytest.param(CLOUD, code, row, id=f"cloud-{code}") for code, row in ANSWERS.items()),
    *(
        pytest.param(RM, code, row, id=f"routemobile-{code}")
        for code, row in (ends(ROUTE_MOBILE) | ANSWERS).items()
    ),
]
#: What each class lets stand still: the person's other messages, the Flow's, the sender's, and
#: another sender of the account.
STANDS_STILL = {
    "refused": (False, False, False, False),
    "window": (False, False, False, False),
    "retry": (False, False, False, False),
    "recipient": (True, False, False, False),
    "flow": (False, True, False, False),
    "sender": (True, True, True, False),
    "account": (True, True, True, True),
}
DAYS = 3 * 24 * 3600  # seconds


def graph_error(code: int | None, **more: Any) -> bytes:
    """An answer as the Graph API gives it."""
    said = {"message": f"(#{code}) Refused", "type": "OAuthException", "fbtrace_id": "A1"}
    data = {"messaging_product": "whatsapp", "details": DETAILS}
    coded = {} if code is None else {"code": code}
    return json.dumps({"error": said | coded | {"error_data": data} | more}).encode()


def cloud_failure(status: int, body: bytes, **headers: str) -> SendFailure:
    return _failure(cloud, "cloud", status, body, headers)


def route_mobile_failure(status: int, body: bytes, **reading: Any) -> SendFailure:
    return _failure(route_mobile, "routemobile", status, body, {}, **reading)


def _failure(
    wire: Any, name: str, status: int, body: bytes, headers: Mapping[str, str], **reading: Any
) -> SendFailure:
    """What an answer's bytes are read as."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    with pytest.raises(SendFailure) as raised:
        wire.read_answer(status, named, body, codes=CODES[name], now=START, **reading)
    return raised.value


def a_receipt(dialect: Dialect, message: Message, code: int | None) -> Told:
    """A callback with one receipt of the message's latest attempt, read: failed, or sent."""
    attempt = message.attempts[-1]
    status: dict[str, Any] = {
        "id": attempt.provider_id,
        "recipient_id": "15551230001",
        "status": "sent" if code is None else "failed",
        "timestamp": "1767225600",
    }
    error = {"code": code, "title": "Refused", "message": "Refused"}
    if dialect is CLOUD:
        status["biz_opaque_callback_data"] = mark.write(message.id, attempt.number)
        if code is not None:
            status["errors"] = [error | {"error_data": {"details": DETAILS}}]
        value = {"metadata": {"phone_number_id": "1065550001"}, "statuses": [status]}
        body: dict[str, Any] = {"entry": [{"changes": [{"field": "messages", "value": value}]}]}
    else:
        if code is not None:
            status["errors"] = [{"code": code, "title": DETAILS}]
        body = {"statuses": [status | {"extra": ""}]}
    [told] = dialect.read(json.dumps(body).encode(), senders=(MAIN,), now=message.created_at)
    assert isinstance(told, Told)
    return told


async def fail(world: World, message: Message, dialect: Dialect, code: int) -> Told:
    """Let the latest attempt of `message` fail by receipt, as the store applies one."""
    return await receive(world, message, dialect, code)


async def receive(world: World, message: Message, dialect: Dialect, code: int | None) -> Told:
    """A receipt of the latest attempt of `message`: that it failed so, or (None) was sent on."""
    aftermath = Aftermath(
        lambda _, error: dialect.failure_of(error),
        world.pauses,
        policy=BusyPolicy(),
        clock=world.clock,
        random=lambda: 0.0,
        decisions=world.outcomes,
    )
    now, before = world.clock.now(), world.stands(message)
    told = a_receipt(dialect, before, code)
    number = len(before.attempts)
    again = None if code is None else aftermath.again(before, told.error)
    after = await world.outbox.change(message.id, told.received_by(number, now, again))
    if code is None:
        aftermath.arrived(after, number)
    else:
        aftermath.failed(after, number, told.error)
    await idle()
    return told


def calls(world: World, message: Message) -> int:
    """How often the provider was given this message."""
    return sum(id_ == message.id for _, id_, _ in world.provider.sent)


def events(world: World, message: Message) -> list[str]:
    """What users were told of it, after that it is queued."""
    return [name for id_, name in world.outbox.told if id_ == message.id]


def is_still(world: World, message: Message) -> bool:
    return world.stands(message).status is Status.QUEUED and not calls(world, message)


async def bystanders(world: World) -> list[Message]:
    """Others in the queue: of the same person, with the same Flow, and neither."""
    return [
        await world.queue(flow=OTHER_FLOW),
        await world.queue(to="+15551230002"),
        await world.queue(to="+15551230003", flow=OTHER_FLOW),
    ]


async def assert_tried_after(world: World, seconds: float, *, going: int = 0) -> None:
    """One message is tried at that time, and not before; if it is taken, `going` follow it."""
    before = len(world.provider.sent)
    await world.advance(seconds - 0.02)
    assert len(world.provider.sent) == before
    await world.advance(0.04)
    assert len(world.provider.sent) == before + 1 + going


async def assert_stands_still(world: World, effect: Effect) -> list[Message]:
    """That just what the class says stands still, until when, and that users are told."""
    others = await bystanders(world)
    still = [is_still(world, other) for other in others] + [not world.gates[OTHER].is_open]
    assert tuple(still) == STANDS_STILL[effect.concern]
    reach = {"account": (MAIN, OTHER)}.get(effect.concern, (MAIN,))
    paused = any(still)
    assert world.pause_store.told == [("paused", effect.concern)] * len(reach) * paused
    for sender in reach if paused else ():
        [pause] = world.pauses.of(sender)
        assert (pause.scope.value, pause.strikes) == (effect.concern, 1)
        lasts = pause.until and (pause.until - pause.since).total_seconds()
        assert lasts == (effect.waits[0] if effect.waits else None)
    return others


def assert_says(error: Mapping[str, Any] | None, provider_code: str, says: str) -> None:
    assert error is not None
    assert error["provider_code"] == provider_code
    assert says in error["title"]


# As answers


@pytest.mark.parametrize("code", ANSWERS)
@in_a_loop
async def test_the_answer(code: int) -> None:
    row = ANSWERS[code]
    failure = cloud_failure(row.http, graph_error(code))
    assert failure.details == DETAILS

    await assert_answer_does(failure, row.effect, provider_code=str(code), says=row.says)


async def assert_answer_does(
    failure: SendFailure, effect: Effect, *, provider_code: str, says: str
) -> None:
    """What the answer does to a message, to others, and when it is tried again."""
    async with World(senders=(MAIN, OTHER)) as world:
        world.provider.answers.append(failure)
        message = await world.queue()
        stands = world.stands(message)
        assert_says(stands.attempts[0].error, provider_code, says)
        assert stands.attempts[0].error["detail"] == failure.details  # type: ignore[index]
        others = await assert_stands_still(world, effect)
        if effect.concern in ("refused", "window"):
            assert (stands.status, stands.attempts[0].outcome) == (Status.FAILED, Outcome.REFUSED)
            assert stands.error == stands.attempts[0].error
            assert events(world, message) == ["failed"]
            return
        assert (stands.status, stands.attempts[0].outcome) == (Status.QUEUED, Outcome.BUSY)
        assert (stands.error, events(world, message)) == (None, [])
        if not effect.waits:
            await assert_waits_for_an_operator(world, message)
        for wait in effect.waits[:-1]:
            world.provider.answers.append(failure)
            await assert_tried_after(world, wait)
        if effect.tries is None:
            await assert_goes_on(world, message, others, effect)
        else:
            world.provider.answers.append(failure)
            await assert_refused_in_the_end(world, message, effect)


async def assert_waits_for_an_operator(world: World, message: Message) -> None:
    await world.advance(DAYS)
    assert world.stands(message).status is Status.QUEUED
    assert calls(world, message) == 1
    await world.shared_pauses.resume(MAIN)
    await world.advance(300)
    assert world.stands(message).status is Status.ACCEPTED


async def assert_goes_on(
    world: World, message: Message, others: Sequence[Message], effect: Effect
) -> None:
    """Once it is taken, nothing was lost, and everything that stood still goes too."""
    if effect == FLOW_SLOW:
        for wait in [effect.waits[-1]] * 2:
            await assert_tried_after(world, wait)  # its next one goes after the same wait
    elif effect.waits:
        waiting = [world.stands(one).status for one in others].count(Status.QUEUED)
        await assert_tried_after(world, effect.waits[-1], going=waiting)
    for one in (message, *others):
        outcomes = [attempt.outcome for attempt in world.stands(one).attempts]
        assert (outcomes[-1], outcomes.count(Outcome.ACCEPTED)) == (Outcome.ACCEPTED, 1)
        assert events(world, one) == ["accepted"]
    is_slow = effect == FLOW_SLOW  # for a day
    assert [p.scope.value for p in world.pauses.of(MAIN)] == ["flow"] * is_slow
    ended = [name for name, _ in world.pause_store.told].count("resumed")
    begun = [name for name, _ in world.pause_store.told].count("paused")
    assert ended == (0 if is_slow else begun)


async def assert_refused_in_the_end(world: World, message: Message, effect: Effect) -> None:
    await assert_tried_after(world, effect.waits[-1])
    stands = world.stands(message)
    assert stands.status is Status.FAILED
    assert [a.outcome for a in stands.attempts] == [Outcome.BUSY, Outcome.BUSY, Outcome.REFUSED]
    assert len(stands.attempts) == effect.tries
    assert events(world, message) == ["failed"]


@pytest.mark.parametrize(
    ("status", "body", "effect", "code", "says"),
    [
        (500, graph_error(987654), BUSY, "987654", "does not know"),
        (400, graph_error(987654, is_transient=True), BUSY, "987654", "does not know"),
        (400, graph_error(987654), REFUSED, "987654", "does not know"),
        (429, graph_error(987654), THROUGHPUT, "987654", "does not know"),
        (429, graph_error(None), THROUGHPUT, "HTTP 429", "asks to slow down"),
        (429, b"<html>Too many</html>", THROUGHPUT, "HTTP 429", "asks to slow down"),
    ],
)
@in_a_loop
async def test_an_answer_with_a_code_that_nobody_documented_goes_by_its_status(
    status: int, body: bytes, effect: Effect, code: str, says: str
) -> None:
    await assert_answer_does(cloud_failure(status, body), effect, provider_code=code, says=says)


#: Every error that Route Mobile documents for a send, and those of its general page: 403 and 429.
ROUTE_MOBILE_ANSWERS = [
    (400, {"message": "The browser (or proxy) sent a request"}, REFUSED, "refused the message"),
    (400, {"message": "m", "status": "failure", "reason": "r"}, REFUSED, "refused the message"),
    (400, {"status": "failed", "reason": {"body": ["Too long."]}}, REFUSED, "refused the message"),
    (401, {"message": "m", "status": "Failed", "reason": "r"}, PEOPLE, "does not take the token"),
    (401, {"status": "Unauthorized"}, PEOPLE, "does not take the token"),
    (401, {"response": "Unauthorized"}, PEOPLE, "does not take the token"),
    (403, {"status": "restricted"}, PEOPLE, "account is restricted"),
    (404, {"message": "The requested URL was not found"}, PEOPLE, "not at this address"),
    (404, {"status": "EXCEPTION_404_NOT_FOUND"}, PEOPLE, "not at this address"),
    (422, {"template_type": ["Must be one of: a."]}, REFUSED, "refused the message"),
    (422, {"message": "m", "error": {"phone": ["Wrong."]}}, REFUSED, "refused the message"),
    (429, {"message": "Too Many Requests"}, THROUGHPUT, "Too many messages"),
]
OWN_500 = b'{"message": "unable to process", "status": "failed"}'


@pytest.mark.parametrize(("status", "body", "effect", "says"), ROUTE_MOBILE_ANSWERS)
@in_a_loop
async def test_the_answer_of_route_mobile(
    status: int, body: dict[str, Any], effect: Effect, says: str
) -> None:
    failure = route_mobile_failure(status, json.dumps(body).encode())

    await assert_answer_does(failure, effect, provider_code=f"HTTP {status}", says=says)


@in_a_loop
async def test_route_mobiles_own_500_leaves_it_open_whether_the_message_was_taken() -> None:
    async with World() as world:
        world.provider.answers.append(route_mobile_failure(500, OWN_500))
        message = await world.queue()

        assert world.stands(message).status is Status.UNKNOWN
        assert_says(world.stands(message).attempts[0].error, "HTTP 500", "does not say")


@in_a_loop
async def test_route_mobiles_own_500_is_tried_again_where_the_sender_says_that_it_may_be() -> None:
    failure = route_mobile_failure(500, OWN_500, failed_500="busy")

    says = "fault at Route Mobile"
    await assert_answer_does(failure, BUSY, provider_code="HTTP 500", says=says)


# As failed receipts


@pytest.mark.parametrize(("dialect", "code", "row"), RECEIPTS)
@in_a_loop
async def test_the_failed_receipt(dialect: Dialect, code: int, row: Row) -> None:
    effect = row.effect
    async with World(senders=(MAIN, OTHER)) as world:
        message = await world.queue()
        told = await fail(world, message, dialect, code)
        stands = world.stands(message)
        assert_says(told.error, str(code), row.says)
        assert told.error is not None
        assert told.error["detail"] == DETAILS
        assert stands.receipts[0].error == told.error
        if effect.concern in ("refused", "window"):
            await assert_stands_still(world, effect)
            assert (stands.status, stands.error) == (Status.FAILED, told.error)
            assert events(world, message) == ["accepted", "failed"]
            return
        assert (stands.status, stands.error) == (Status.QUEUED, None)
        assert events(world, message) == ["accepted", "queued"]
        others = await assert_stands_still(world, effect)
        if effect.waits:
            await assert_tried_after(world, effect.waits[0])
        else:
            await assert_waits_for_an_operator(world, message)
        if effect.concern in ("sender", "account"):
            await assert_goes_on_once_one_is_sent(world, others, dialect)
        await world.run_for(750, step=50)
        arrived = {Status.ACCEPTED, Status.SENT}
        assert {world.stands(one).status for one in (message, *others)} <= arrived
        await assert_fails_for_the_same_reason(world, message, dialect, code)


async def assert_goes_on_once_one_is_sent(
    world: World, others: Sequence[Message], dialect: Dialect
) -> None:
    """That the one which was let through was taken tells nothing; that it was sent on does."""
    tried, *waiting = others
    assert [world.stands(one).status for one in others] == [
        Status.ACCEPTED,
        *[Status.QUEUED] * len(waiting),
    ]
    await receive(world, tried, dialect, None)
    assert world.stands(tried).status is Status.SENT
    assert [world.stands(one).status for one in waiting] == [Status.ACCEPTED] * len(waiting)


async def assert_fails_for_the_same_reason(
    world: World, message: Message, dialect: Dialect, code: int
) -> None:
    """The same receipt of the second attempt ends it: it goes again once a reason."""
    await fail(world, message, dialect, code)
    assert world.stands(message).status is Status.FAILED
    assert events(world, message) == ["accepted", "queued", "accepted", "failed"]
    assert calls(world, message) == 2


@pytest.mark.parametrize(("dialect", "code"), [(CLOUD, 131047), (RM, 131047), (RM, 470)])
@in_a_loop
async def test_the_failed_receipt_of_a_shut_window_sends_the_fallback_once(
    dialect: Dialect, code: int
) -> None:
    async with World(senders=(MAIN, OTHER)) as world:
        message = await world.queue(fallback=TEMPLATE)
        await fail(world, message, dialect, code)
        assert world.stands(message).status is Status.ACCEPTED
        assert world.stands(message).flags == ("fallback",)
        assert events(world, message) == ["accepted", "queued", "accepted"]
        assert world.pause_store.told == []

        await assert_fails_for_the_same_reason(world, message, dialect, code)


@in_a_loop
async def test_the_answer_that_the_window_is_shut_sends_the_fallback_once() -> None:
    shut = cloud_failure(400, graph_error(131047))
    async with World(senders=(MAIN, OTHER)) as world:
        world.provider.answers.extend([shut, shut])
        message = await world.queue(fallback=TEMPLATE)
        assert (world.stands(message).status, calls(world, message)) == (Status.FAILED, 2)
        assert events(world, message) == ["failed"]

        world.provider.answers.append(shut)
        other = await world.queue(fallback=TEMPLATE)
        assert (world.stands(other).status, calls(world, other)) == (Status.ACCEPTED, 2)
        assert world.stands(other).flags == ("fallback",)


# The table as a whole


@pytest.mark.parametrize(
    ("provider", "rows"), [("cloud", WHATSAPP), ("routemobile", WHATSAPP + ROUTE_MOBILE)]
)
def test_every_code_of_the_table_is_expected_here_and_the_other_way_round(
    provider: str, rows: tuple[Row, ...]
) -> None:
    expected = {code: row for row in rows for code in row.codes}

    assert CODES[provider].keys() == expected.keys()
    for code, meaning in CODES[provider].items():
        row = expected[code]
        assert (meaning.concern.value, meaning.tries) == (row.effect.concern, row.effect.tries)
        assert row.says in meaning.title


@pytest.mark.parametrize("row", WHATSAPP + ROUTE_MOBILE, ids=lambda row: str(row.codes[0]))
def test_an_operator_is_told_what_happened_and_what_to_do(
    row: Row, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.chdir(str(tmp_path))  # where no alir.toml is
    ran = CliRunner().invoke(app, ["explain", str(row.codes[0])])
    # A code that providers have in different meanings has a part for each.
    parts = [" ".join(part.split()) for part in re.split(r"(?m)^(?=\d)", ran.stdout) if part]
    [said] = [part for part in parts if row.says in part.partition(" class ")[0]]
    _, found, rest = said.partition(f" class {row.effect.concern}: ")
    _, _, advice = rest.partition(" what to do ")

    assert found
    assert row.advises in advice
