"""Three books, compared: what callers were answered, what is stored, what the provider got.

A pure function over plain records. It asks none of alir's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

SUCCESS: Final = range(200, 300)
OK: Final = 200
UNAVAILABLE: Final = 503
#: How far a message has come, once a provider has taken it.
_FURTHEST: Final = ("accepted", "sent", "delivered", "read")
#: Of a message that is still to be sent, or just being sent.
UNDER_WAY: Final = frozenset({"queued", "sending"})
#: Beyond one, only where alir says so of the message.
_MAY_ARRIVE_TWICE: Final = frozenset({"resent", "duplicated"})


class Answer(NamedTuple):
    """What a caller was answered.

    Attributes:
        id: the message's, where the answer has one.
    """

    status: int
    id: str | None


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, perhaps made several times over.

    Attributes:
        token: its flow token, which no other has, and by which it is found in the other books.
        key: its Idempotency-Key; none: it was made once, whatever became of it.
        answers: all that were read, in their order.
    """

    token: str
    key: str | None
    answers: Sequence[Answer]


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as the API tells of it."""

    id: str
    token: str
    status: str
    flags: frozenset[str]
    attempts: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """A call that the provider took.

    Attributes:
        told: the receipts of it whose callbacks were answered 200.
    """

    token: str
    told: Sequence[str] = ()


Entry = TypeVar("Entry", Stored, Arrived)


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be of a run.

    Attributes:
        resends: whether what is unknown is sent once more (`on_unknown = "retry"`).
        marks: whether each receipt names the attempt that it is about.
        on_the_wire: how many attempts may have been without an answer when something broke.
    """

    resends: bool
    marks: bool
    on_the_wire: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of all that was asked for.

    Attributes:
        accepted: requests that were answered below 300.
        unknown: messages of which nobody can know whether they arrived.
        resent: messages that went out again, and say so.
        lost, doubled, stuck: what is wrong, each in words.
    """

    accepted: int
    unknown: int
    resent: int
    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    stuck: tuple[str, ...]

    @property
    def broken(self) -> tuple[str, ...]:
        """All that is wrong."""
        named = {"lost": self.lost, "doubled": self.doubled, "stuck": self.stuck}
        return tuple(f"{name}: {what}" for name, found in named.items() for what in found)


def compare(
    asked: Sequence[Asked],
    stored: Sequence[Stored],
    arrived: Sequence[Arrived],
    rules: Rules,
) -> Verdict:
    """What was lost, doubled, is unknown, or stuck, of all that callers asked for."""
    kept, came = _by_token(stored), _by_token(arrived)
    lost: list[str] = []
    doubled: list[str] = []
    stuck: list[str] = []
    for request in asked:
        found = kept.get(request.token, [])
        lost += _lost_answers(request, found, came.get(request.token, []))
        doubled += _two_of_one(request, found)
        if request.key is not None and not request.answers:
            stuck.append(f"{request.token} was never answered")
    for token in came.keys() - kept.keys():
        lost.append(f"{token} arrived, and is not stored")
    unknown = 0
    for message in stored:
        calls = came.get(message.token, [])
        lost += _lost_calls(message, calls)
        doubled += _too_many_calls(message, calls, rules)
        waits = list(_waits(message, calls, rules))
        stuck += waits
        unknown += message.status == "unknown" and not waits
    if unknown > rules.on_the_wire:
        stuck.append(f"{unknown} are unknown, and only {rules.on_the_wire} were on the wire")
    return Verdict(
        accepted=sum(any(a.status in SUCCESS for a in each.answers) for each in asked),
        unknown=unknown,
        resent=sum("resent" in message.flags for message in stored),
        lost=tuple(lost),
        doubled=tuple(doubled),
        stuck=tuple(stuck),
    )


def _lost_answers(
    request: Asked, kept: Sequence[Stored], calls: Sequence[Arrived]
) -> Iterator[str]:
    ids = {message.id for message in kept}
    for status, id_ in request.answers:
        if status == UNAVAILABLE:
            continue  # with an id: nobody could say whether it was stored
        if id_ is None:
            yield f"{request.token} breaks no rule, and was answered {status}"
        elif id_ not in ids:
            yield f"{request.token} was answered {status} as {id_}, and is not stored"
        elif status == OK and not calls:
            yield f"{id_} was answered as sent, and never arrived"


def _two_of_one(request: Asked, kept: Sequence[Stored]) -> Iterator[str]:
    if len(kept) > 1:
        yield f"{request.token} is stored as {len(kept)} messages"
    if kept and request.key is None and tuple(request.answers) == (Answer(UNAVAILABLE, None),):
        yield f"{request.token} was answered 503 as not stored, and is; whoever asks again has two"
    ids = {a.id for a in request.answers if a.id is not None and a.status != UNAVAILABLE}
    if len(ids) > 1:
        yield f"{request.token} was answered as {len(ids)} messages"


def _lost_calls(message: Stored, calls: Sequence[Arrived]) -> Iterator[str]:
    if message.status in _FURTHEST and not calls:
        yield f"{message.id} stands as {message.status}, and never arrived"
    elif message.status in ("failed", "cancelled", "expired"):
        yield f"{message.id} is {message.status}, which nobody asked for"


def _too_many_calls(message: Stored, calls: Sequence[Arrived], rules: Rules) -> Iterator[str]:
    may = 2 if rules.resends and message.flags & _MAY_ARRIVE_TWICE else 1
    if len(calls) > may:
        flags = ", ".join(sorted(message.flags)) or "no flag"
        yield f"{message.id} ({flags}) arrived {len(calls)} times"
    elif len(calls) > message.attempts:
        yield f"{message.id} arrived {len(calls)} times in {message.attempts} attempts"


def _waits(message: Stored, calls: Sequence[Arrived], rules: Rules) -> Iterator[str]:
    """Why a message is not at rest, where it is not."""
    told = [status for call in calls for status in call.told]
    # Without a mark, nothing says which of two attempts a receipt is about.
    is_clear = rules.marks or message.attempts == 1
    match message.status:
        case status if status in UNDER_WAY:
            yield f"{message.id} is {status}"
        case "unknown" if told and is_clear:
            yield f"{message.id} is unknown, though its receipts were taken"
        case "unknown" if rules.resends and "resent" not in message.flags:
            yield f"{message.id} is unknown, and was to be sent once more"
        case status if status in _FURTHEST and told and is_clear:
            furthest = max(map(_FURTHEST.index, told))
            if _FURTHEST.index(status) < furthest:
                yield f"{message.id} is {status}, though {_FURTHEST[furthest]} was told"


def _by_token(entries: Sequence[Entry]) -> Mapping[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.token, []).append(entry)
    return found
