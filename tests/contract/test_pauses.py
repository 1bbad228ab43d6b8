"""Pauses on disk are what they were in memory, and those of recipients can be left out."""

from __future__ import annotations

from datetime import timedelta

from tests.clock import START
from tests.contract.stores import Backend
from tests.examples import MAIN, OTHER
from tests.running import in_a_loop

from alir.dispatch.pause import Pause, Strike, by_operator, struck
from alir.errors import PauseAsked, PauseScope
from alir.ids import SenderName


def begun(scope: PauseScope, key: str, sender: SenderName = MAIN) -> Pause:
    """A pause with moments that no disk keeps."""
    odd = timedelta(seconds=1, microseconds=1234)
    asked = PauseAsked(scope, odd, odd)
    strike = Strike(asked=asked, code="1", title="Too many", begun_at=START)
    return struck(None, strike, sender=sender, key=key, now=START + odd)


@in_a_loop
async def test_a_pause_is_read_as_it_was_put(database: Backend) -> None:
    sender = begun(PauseScope.SENDER, "")
    recipient = begun(PauseScope.RECIPIENT, "+15551230001")
    async with database.open() as store:
        for pause in (sender, recipient):
            await store.pauses.put(pause, is_new=True)
        found = await store.pauses.all()

        assert sorted(found, key=lambda pause: pause.scope, reverse=True) == [sender, recipient]
        assert await store.pauses.all(but_recipients=True) == [sender]


@in_a_loop
async def test_a_pause_whose_time_is_over_ends_unless_it_has_another_end_by_now(
    database: Backend,
) -> None:
    until = START + timedelta(seconds=10)
    short = by_operator(None, sender=MAIN, title="Holiday", until=until, now=START)
    longer = by_operator(short, sender=MAIN, title="Holiday", until=None, now=START)
    async with database.open() as store:
        for stored, left in ((longer, [longer]), (short, [])):
            await store.pauses.put(stored, is_new=True)
            await store.pauses.end(short)
            assert await store.pauses.all() == left


@in_a_loop
async def test_recipients_are_counted_by_sender_and_nothing_else_is(database: Backend) -> None:
    first, second = "+12125550101", "+12125550102"
    async with database.open() as store:
        assert await store.pauses.recipients() == {}
        for pause in (
            begun(PauseScope.SENDER, ""),
            begun(PauseScope.FLOW, "4711", OTHER),
            begun(PauseScope.RECIPIENT, first),
            begun(PauseScope.RECIPIENT, second),
        ):
            await store.pauses.put(pause, is_new=True)
        assert await store.pauses.recipients() == {MAIN: 2}

        await store.pauses.put(begun(PauseScope.RECIPIENT, first, OTHER), is_new=True)
        await store.pauses.remove(begun(PauseScope.RECIPIENT, first))
        assert await store.pauses.recipients() == {MAIN: 1, OTHER: 1}
