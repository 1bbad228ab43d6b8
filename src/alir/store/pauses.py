"""The pauses on disk, and the events of senders that tell of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from sqlalchemy import bindparam, delete, func, select

from alir.clock import Clock, from_milliseconds, to_milliseconds
from alir.dispatch.pause import Pause
from alir.errors import PauseScope
from alir.events.types import SENDER_PAUSED, SENDER_RESUMED
from alir.ids import EventId, SenderName, new_event_id
from alir.store import rows, tables
from alir.store.database import Database
from alir.store.sql import Connection, Statement, upsert
from alir.store.writing import put_event

_p = tables.pause.c
_MILLISECOND = timedelta(milliseconds=1)

_PUT = Statement(
    upsert(
        tables.pause,
        replaced=[c.name for c in tables.pause.c if not c.primary_key],
    )
)
_REMOVE = Statement(
    delete(tables.pause).where(*(c == bindparam(c.name) for c in tables.pause.primary_key))
)
# An operator may just have been told that it lasts longer.
_END = Statement(
    delete(tables.pause).where(
        *(c == bindparam(c.name) for c in tables.pause.primary_key),
        _p.until == bindparam("until_"),
    )
)
# Asked every second, like what time does to messages.
_ALL = Statement(select(*tables.pause.c))
_OF = Statement(select(*tables.pause.c).where(_p.sender == bindparam("sender")))
_BUT_RECIPIENTS = Statement(select(*tables.pause.c).where(_p.scope != PauseScope.RECIPIENT.value))
_RECIPIENTS = Statement(
    select(_p.sender, func.count())
    .where(_p.scope == PauseScope.RECIPIENT.value)
    .group_by(_p.sender)
)


class PauseStore:
    """The pauses of one database.

    `changed` is told of each sender one of whose pauses was changed here, once that is on disk.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        new_id: Callable[[], EventId] = new_event_id,
        *,
        changed: Callable[[SenderName], None] = lambda _sender: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._new_id = new_id
        self._changed = changed

    async def put(self, pause: Pause, *, is_new: bool) -> None:
        """Store it, or what it has become; of a new one users are told."""

        def work(connection: Connection) -> None:
            _PUT.run(connection, _row(pause))
            if is_new:
                self._tell(connection, SENDER_PAUSED, pause)

        await self._database.write(work)
        self._changed(pause.sender)

    async def remove(self, pause: Pause) -> None:
        """It is over, and users are told, once."""
        await self._remove(_REMOVE, pause, _place(pause))

    async def end(self, pause: Pause) -> None:
        """Remove one whose time is over, unless what is stored has another end by now."""
        if pause.until is not None:
            until = to_milliseconds(pause.until)
            await self._remove(_END, pause, {**_place(pause), "until_": until})

    async def _remove(
        self, statement: Statement, pause: Pause, values: Mapping[str, object]
    ) -> None:
        def work(connection: Connection) -> None:
            if statement.run(connection, values).rowcount:
                self._tell(connection, SENDER_RESUMED, pause)

        await self._database.write(work)
        self._changed(pause.sender)

    async def of(self, sender: SenderName) -> list[Pause]:
        """Every pause of one sender."""
        return await self._database.read(
            lambda connection: [_pause(row) for row in _OF.run(connection, {"sender": sender})]
        )

    async def all(self, *, but_recipients: bool = False) -> list[Pause]:
        """Every pause of every sender; on request without those of recipients, which are many."""
        pauses = _BUT_RECIPIENTS if but_recipients else _ALL
        return await self._database.read(
            lambda connection: [_pause(row) for row in pauses.run(connection, {})]
        )

    async def recipients(self) -> dict[SenderName, int]:
        """How many pauses of recipients each sender has; none: left out."""
        return await self._database.read(
            lambda connection: dict(_RECIPIENTS.run(connection, {}).fetchall())
        )

    def _tell(self, connection: Connection, kind: str, pause: Pause) -> None:
        if pause.scope is PauseScope.RECIPIENT:
            return  # one person's pace is nothing to be told of, and many come and go
        put_event(
            connection,
            {
                "id": self._new_id(),
                "type": kind,
                "message_id": None,
                "at": to_milliseconds(self._clock.now()),
                "data": rows.text({"sender": pause.sender, **pause.as_json()}),
            },
        )


def _place(pause: Pause) -> dict[str, object]:
    return {"sender": pause.sender, "scope": pause.scope.value, "key": pause.key}


def _row(pause: Pause) -> dict[str, object]:
    return {
        **_place(pause),
        "code": pause.code,
        "title": pause.title,
        "since": to_milliseconds(pause.since),
        "until": None if pause.until is None else to_milliseconds(pause.until),
        "wait": pause.wait // _MILLISECOND,
        "tells_from": None if pause.tells_from is None else to_milliseconds(pause.tells_from),
        "by_receipt": int(pause.by_receipt),
        "strikes": pause.strikes,
    }


def _pause(row: rows.Row) -> Pause:
    sender, scope, key, code, title, since, until, wait, tells_from, by_receipt, strikes = row
    return Pause(
        sender=sender,
        scope=PauseScope(scope),
        key=key,
        code=code,
        title=title,
        since=from_milliseconds(since),
        until=None if until is None else from_milliseconds(until),
        wait=wait * _MILLISECOND,
        tells_from=None if tells_from is None else from_milliseconds(tells_from),
        by_receipt=bool(by_receipt),
        strikes=strikes,
    )
