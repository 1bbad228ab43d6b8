"""What an operator sees of each sender, and does with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from alir.clock import rfc3339
from alir.dispatch.pause import Pause
from alir.dispatch.pauses import Pauses
from alir.dispatch.ports import Due
from alir.dispatch.shared_pauses import SharedPauses
from alir.errors import PauseScope
from alir.ids import SenderName

#: Due messages are counted up to here, so that counting costs the same however many wait.
COUNTED_AT_MOST: Final = 100_000

#: What holds a whole sender; the first of them that there is says why.
_WHOLE: Final = (PauseScope.OPERATOR, PauseScope.ACCOUNT, PauseScope.SENDER)

#: What to do about a pause, where anybody knows.
Advice = Callable[[Pause], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the settings say of a sender, without its secrets.

    Attributes:
        messages_per_second: 0: no limit. So with `pair_seconds`.
    """

    provider: str
    account: str
    messages_per_second: float
    pair_seconds: float
    pair_burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What waits at a sender.

    Attributes:
        due: counted up to `COUNTED_AT_MOST`.
        oldest_due_at: since when the longest of them has been due.
        unknown: of how many messages nobody knows whether they were sent.
        paused_recipients: how many people have to wait, because WhatsApp asked for it.
    """

    due: int
    oldest_due_at: datetime | None
    unknown: int
    paused_recipients: int


class Figures(Protocol):
    """What the store knows of queues."""

    async def due(self, sender: SenderName, *, at_most: int) -> Due:
        """What is due, up to `at_most` messages of each class counted."""
        ...

    async def unknown(self) -> dict[SenderName, int]:
        """How many messages of each sender are unknown; none of them: left out."""
        ...


def as_json(
    name: SenderName, about: About, pauses: Sequence[Pause], queue: Queue, advice: Advice
) -> dict[str, Any]:
    """A sender as the API shows it: nothing secret in it, and nobody's number.

    Args:
        pauses: of this sender, longest first.
    """
    shown = [pause for pause in pauses if pause.scope is not PauseScope.RECIPIENT]
    why = why_paused(shown)
    return {
        "name": name,
        "provider": about.provider,
        "account": about.account,
        "paused": why is not None,
        "why": None if why is None else _shown(why, advice),
        "pauses": [_shown(pause, advice) for pause in shown],
        "paused_recipients": queue.paused_recipients,
        "limits": {
            "messages_per_second": about.messages_per_second,
            "pair_seconds": about.pair_seconds,
            "pair_burst": about.pair_burst,
        },
        "queue": {
            "due": queue.due,
            "oldest_due_at": _moment(queue.oldest_due_at),
            "unknown": queue.unknown,
        },
    }


def why_paused(pauses: Sequence[Pause]) -> Pause | None:
    """What holds a whole sender: a person's word first, then what is widest; None: nothing."""
    whole = [pause for pause in pauses if pause.scope in _WHOLE]
    return min(whole, key=lambda pause: _WHOLE.index(pause.scope), default=None)


def ended_by_resuming(
    name: SenderName, pauses: Sequence[Pause], accounts: Mapping[SenderName, str]
) -> list[Pause]:
    """Which of all senders' pauses end where one sender is resumed: also those of its account."""
    return [
        pause
        for pause in pauses
        if pause.sender == name
        or (pause.scope is PauseScope.ACCOUNT and accounts.get(pause.sender) == accounts.get(name))
    ]


def _shown(pause: Pause, advice: Advice) -> dict[str, Any]:
    return {
        "scope": pause.scope.value,
        "flow_id": pause.flow_id,
        "code": pause.code,
        "title": pause.title,
        "advice": advice(pause),
        "since": rfc3339(pause.since),
        "until": _moment(pause.until),
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


class SenderDesk:
    """The senders of a running gateway.

    Attributes:
        names: in the order of the settings.
    """

    def __init__(
        self,
        senders: Mapping[SenderName, About],
        pauses: Pauses,
        shared: SharedPauses,
        figures: Figures,
        advice: Advice,
    ) -> None:
        self.names = tuple(senders)
        self._senders = senders
        self._pauses = pauses
        self._shared = shared
        self._figures = figures
        self._advice = advice

    async def show(self, names: Sequence[SenderName]) -> list[dict[str, Any]]:
        """These senders as the API shows them.

        Raises:
            StoreUnavailable: the queues cannot be counted now.
        """
        unknown = await self._figures.unknown()
        await self._shared.count_recipients()
        return [await self._show(name, unknown.get(name, 0)) for name in names]

    async def pause(self, name: SenderName, *, title: str, until: datetime | None) -> None:
        """Let nothing of it through, or say anew why and until when; see `Pauses.pause`."""
        await self._pauses.pause(name, title=title, until=until)

    async def resume(self, name: SenderName) -> None:
        """End everything that stands still of it; see `SharedPauses.resume`."""
        await self._shared.resume(name)

    def paused(self) -> list[tuple[SenderName, PauseScope, int]]:
        """How many pauses of each scope each sender has; see `SharedPauses.recipients`."""
        counted = []
        for name in self.names:
            counts = Counter(pause.scope for pause in self._pauses.of(name))
            counts[PauseScope.RECIPIENT] = self._shared.recipients(name)
            counted += [(name, scope, counts[scope]) for scope in PauseScope]
        return counted

    async def _show(self, name: SenderName, unknown: int) -> dict[str, Any]:
        due = await self._figures.due(name, at_most=COUNTED_AT_MOST)
        count = due.up_to(COUNTED_AT_MOST)
        queue = Queue(
            due=count,
            oldest_due_at=due.oldest_at,
            unknown=unknown,
            paused_recipients=self._shared.recipients(name),
        )
        pauses = self._pauses.of(name)
        return as_json(name, self._senders[name], pauses, queue, self._advice)
