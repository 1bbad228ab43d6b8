"""Removes what is older than it is kept: a little at a time, so that nobody waits for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import datetime

from alir.clock import Clock
from alir.errors import StoreUnavailable
from alir.observe import get_logger
from alir.retention.model import KeptFor, Kind
from alir.retention.ports import Aged, Place, Stretch

#: Once a day, the first time soon after a start: a gateway that is started daily purges too.
PERIOD_SECONDS = 24 * 60 * 60.0
FIRST_SECONDS = 10.0
#: After the store could not be written.
AGAIN_SECONDS = 60 * 60.0
#: What one step looks at, and so removes at most. A step runs on the thread that accepts and sends,
#: and holds it for a millisecond or two: a message stands in six indexes and has rows below it.
STEP_MESSAGES = 20
STEP_ROWS = 100
#: Between two steps at least; and how much longer than the step took, so that purging takes up no
#: more than a tenth of what the store can do, however slow it is.
PAUSE_SECONDS = 0.02
REST_FACTOR = 9

_log = get_logger("retention")


class Purger:
    """Walks through what is stored, from its oldest end, and removes what may go."""

    def __init__(self, store: Aged, clock: Clock, kept_for: KeptFor) -> None:
        self._store = store
        self._clock = clock
        self._kept_for = kept_for

    async def run(self) -> None:
        """Purge once a day, for ever."""
        wait = FIRST_SECONDS
        while True:
            await self._clock.sleep(wait)
            wait = PERIOD_SECONDS
            try:
                removed = await self.purge()
            except StoreUnavailable as error:
                _log.warning("purge_failed", reason=str(error))
                wait = AGAIN_SECONDS
            except Exception as fault:
                # A fault of alir's own, for once; its text may hold a person's number.
                _log.error("purge_broke", fault=type(fault).__name__)
            else:
                if removed:
                    _log.info("purged", rows={kind.value: n for kind, n in removed.items()})

    async def purge(self) -> Mapping[Kind, int]:
        """Remove everything that is old by now; how many things of each kind that were.

        Raises:
            StoreUnavailable: what was removed before stays so; another time goes on.
        """
        removed: Counter[Kind] = Counter()
        for kind, before in self._kept_for.ends(self._clock.now()).items():
            async for after, stretch in self._walk(kind, before):
                if not stretch.old or stretch.upto is None:
                    continue
                begun = self._clock.elapsed()
                removed[kind] += await self._store.remove(
                    kind, before=before, after=after, upto=stretch.upto
                )
                took = self._clock.elapsed() - begun
                await self._clock.sleep(max(PAUSE_SECONDS, took * REST_FACTOR))
        return {kind: count for kind, count in removed.items() if count}

    async def count(self) -> Mapping[Kind, int]:
        """How many things of each kind `purge` would remove; nothing is removed.

        Aliases of people of whom a purge would leave nothing are not counted yet.
        """
        ends = self._kept_for.ends(self._clock.now())
        found = {
            kind: sum([stretch.old async for _, stretch in self._walk(kind, before)])
            for kind, before in ends.items()
        }
        return {kind: count for kind, count in found.items() if count}

    async def _walk(
        self, kind: Kind, before: datetime
    ) -> AsyncIterator[tuple[Place | None, Stretch]]:
        """Each stretch, and what it lies behind."""
        limit = STEP_MESSAGES if kind is Kind.MESSAGES else STEP_ROWS
        after: Place | None = None
        more = True
        while more:
            stretch = await self._store.look(kind, before=before, after=after, limit=limit)
            yield after, stretch
            after, more = stretch.upto, stretch.more
