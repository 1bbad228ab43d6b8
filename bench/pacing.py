"""What keeping a sender inside its limits costs a message: in the process, piece by piece.

Each piece is called as the hot path calls it, for the dearer of its two ways: a message that waits
in the queue is asked about when it comes and once more when it is begun.
"""

from __future__ import annotations

import gc
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median

from alir.dispatch.gate import Gate, PairLimit
from alir.dispatch.places import Places, place
from alir.errors import PauseScope, SendFailure
from alir.ids import SenderName
from alir.messages import window
from alir.providers.whatsapp.codes import meaning_of, meanings
from alir.providers.whatsapp.failure import failure
from alir.receipts.model import Heard
from alir.store.contacts import anybody_heard, hear, heard_at
from alir.store.database import open_database
from alir.store.sqlite import connect
from bench.processes import BenchFailed
from bench.rounds import Round

#: Who wrote to the sender before; every second message goes to one of them.
CONTACTS = 100_000
#: Different ones in the rounds from end to end: more than the messages of most rounds.
RECIPIENTS = 20_000
PAIR_SECONDS = 6.0
_SENDER = SenderName("bench")
_NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
#: Between two messages on the gate's clock, so that some 12,000 recipients owe at any time.
_STEP_SECONDS = 0.0005
_FLOW_ID = "1029384756102938"
#: What a refused message is most often refused with, a busy kind, and one that nobody knows.
_CODES = (131047, 131056, 131026, 130429, 999_999)
_BAD_REQUEST = 400
#: Messages to a transaction, for which it is asked once whether anybody ever wrote.
_GROUP = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacing:
    """What it costs, in microseconds of CPU a message.

    Attributes:
        pieces: of each piece in the process, by name: the medians.
        runs: every run's sum of the pieces.
        unpaced, paced: the rounds from end to end, taken in turns.
    """

    pieces: dict[str, float]
    runs: list[float]
    unpaced: list[Round]
    paced: list[Round]

    @property
    def together_us(self) -> float:
        """The pieces' sum."""
        return sum(self.pieces.values())

    @property
    def differences_us(self) -> list[float]:
        """What a message cost more in each paced round than in the unpaced one beside it."""
        return [
            1e6 / paced.per_cpu_second - 1e6 / unpaced.per_cpu_second
            for unpaced, paced in zip(self.unpaced, self.paced, strict=True)
        ]

    def problems(self) -> list[str]:
        """What should not have happened, each with where it did."""
        return [
            f"{name}, round {number}: {problem}"
            for name, rounds in (("unpaced", self.unpaced), ("paced", self.paced))
            for number, one in enumerate(rounds, 1)
            for problem in one.problems
        ]


def in_process(folder: Path, *, messages: int, runs: int) -> tuple[dict[str, float], list[float]]:
    """Microseconds of CPU a message of each piece (medians), and each run's sum."""
    with (
        tempfile.TemporaryDirectory(prefix="alir-bench-pacing-", dir=folder) as scratch,
        closing(_with_contacts(Path(scratch, "contacts.db"))) as connection,
    ):
        taken = [
            {
                "pauses and pairs": _each_us(_gate(messages), messages),
                "24-hour window": _each_us(_windows(connection, messages), messages),
                "error table": _each_us(_table(messages), messages),
            }
            for _ in range(runs)
        ]
    pieces = {name: median(run[name] for run in taken) for name in taken[0]}
    return pieces, [sum(run.values()) for run in taken]


def _each_us(work: Callable[[], None], messages: int) -> float:
    gc.collect()
    began = time.process_time()
    work()
    return 1e6 * (time.process_time() - began) / messages


def _numbers(count: int) -> Sequence[str]:
    return [f"+1555{number:07}" for number in range(count)]


def _places(person: str) -> Places:
    return Places(place(PauseScope.RECIPIENT, person), place(PauseScope.FLOW, _FLOW_ID))


def _gate(messages: int) -> Callable[[], None]:
    """As `Turns` does, at the admission and again when it is begun, while another stands still."""
    gate = Gate(PairLimit(PAIR_SECONDS, share=0.97))
    gate.shut(PauseScope.RECIPIENT, "+15559999999", 1e9, wait=4)
    people = _numbers(messages)

    def work() -> None:
        now = 0.0
        for person in people:
            now += _STEP_SECONDS
            places = _places(person)
            if gate.blocked(places, now) is not None:
                raise BenchFailed("a recipient waits who was sent nothing")
            if not gate.is_open or gate.room(now) is not None:
                raise BenchFailed("the gate is shut")
            places = _places(person)
            if gate.blocked(places, now) is not None:
                raise BenchFailed("a recipient waits who was sent nothing")
            gate.take(places, now)
            if not gate.anything_shut:
                raise BenchFailed("nobody stands still")

    return work


def _with_contacts(path: Path) -> sqlite3.Connection:
    """A database as the gateway makes it, in which so many persons wrote lately."""
    open_database(f"sqlite:///{path}", exclusive=False)
    connection = connect(path)
    heard = [
        Heard(
            sender=_SENDER,
            wa_id=number.removeprefix("+"),
            user_id=None,
            at=_NOW - timedelta(minutes=place % 2000),  # up to 33 hours: some windows are shut
            wamid=None,
        )
        for place, number in enumerate(_numbers(CONTACTS))
    ]
    connection.execute("BEGIN IMMEDIATE")
    hear(connection, heard)
    connection.execute("COMMIT")
    return connection


def _windows(connection: sqlite3.Connection, messages: int) -> Callable[[], None]:
    """As `MessageStore` does it: when a message is stored, and when one with a fallback begins."""
    chance = Random(1)
    # From twice as many as there are contacts: every second one never wrote.
    people = [f"+1555{chance.randrange(2 * CONTACTS):07}" for _ in range(messages)]

    def work() -> None:
        for group in _groups(people):
            connection.execute("BEGIN IMMEDIATE")
            for _ in ("stored", "begun"):
                if not anybody_heard(connection):
                    raise BenchFailed("the contacts are gone")
                for person in group:
                    window.is_shut(heard_at(connection, _SENDER, person), _NOW)
            connection.execute("ROLLBACK")

    return work


def _groups(people: Sequence[str]) -> Iterator[Sequence[str]]:
    return (people[at : at + _GROUP] for at in range(0, len(people), _GROUP))


def _table(messages: int) -> Callable[[], None]:
    """As the Cloud API's answers are read; as if every message were refused."""
    table = meanings()

    def work() -> None:
        for number in range(messages):
            code = _CODES[number % len(_CODES)]
            meaning = meaning_of(code, http_status=_BAD_REQUEST, table=table)
            if not isinstance(failure(meaning, details="words"), SendFailure):
                raise BenchFailed("an error means nothing")

    return work
