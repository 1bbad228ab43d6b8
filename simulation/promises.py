"""The promises, checked upon three books: what callers were answered, what the store holds, and
what the provider got. Nothing here asks alir's own functions: they may be what is wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from sqlite3 import Row
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from alir.clock import to_milliseconds
from simulation.callers import UNAVAILABLE
from simulation.carrier import Arrival
from simulation.clocks import moment
from simulation.network import Departure

if TYPE_CHECKING:
    from simulation.disk import Disk
    from simulation.process import Process
    from simulation.world import World

#: An attempt that was begun longer ago must not leave any more. Source: design, section 5.
BEGUN_VALID: Final = 5.0
#: A process that heard an answer and lived on for so long has it on disk, whatever the disk did.
_SETTLED_WITHIN: Final = 15.0
#: So much later than its caller would wait an answer may come: the writer's patience, twice, while
#: the disk or the whole process stands still.
_LATE_ANSWER: Final = 25.0
#: What was under way in a process that stood still has left so soon after it woke up.
_AWAKE: Final = 0.001
#: How long a lease lasts that nobody renews. Source: design, section 5.
LEASE_SECONDS: Final = 8.0
#: A clock that is a thousandth slow takes a lease to last by so much longer, and a little more.
_LEASE_SLACK_MS: Final = 20
#: How often a process looks for what an operator has paused through another one, how long it takes
#: to read that, and how long a disk may fail.
PAUSE_LOOK: Final = 1.0
PAUSE_SLACK: Final = 7.0
_OK: Final = 200
_SUCCESS: Final = 300

_RANK: Final = {"unknown": 0, "accepted": 1, "sent": 2, "delivered": 3, "read": 4}
_ARRIVED: Final = frozenset({"accepted", "sent", "delivered", "read"})
#: Which statuses users may be told next. Source: design, section 4.
_NEXT: Final[Mapping[str, frozenset[str]]] = {
    "": frozenset({"queued"}),
    "queued": frozenset({"queued", "unknown", "failed", "cancelled", "expired"}) | _ARRIVED,
    # Queued where a process that stood still tells late that it never handed it over.
    "unknown": frozenset({"queued", "failed"}) | _ARRIVED,
    # Where it fails after that and an earlier attempt is unknown, it is unknown again.
    "accepted": frozenset({"queued", "sent", "delivered", "read", "failed", "unknown"}),
    "sent": frozenset({"queued", "delivered", "read", "failed", "unknown"}),
    "delivered": frozenset({"read"}),
    "read": frozenset(),
    "failed": frozenset({"queued"}) | _ARRIVED,
    "cancelled": frozenset(),
    "expired": frozenset(),
}
_PARKED_AND_KNOWN: Final = (
    "SELECT DISTINCT p.provider_id FROM parked_receipt p"
    " JOIN attempt a ON a.provider_id = p.provider_id"
)
_PENDING: Final = frozenset({"queued", "sending"})


class Paused(NamedTuple):
    """When an operator was told that a sender stands still, and by which process."""

    at: float
    by: int


@dataclass(slots=True)
class Kept:
    """A message as the store holds it: its row, and what belongs to it.

    Attributes:
        events: what users are told: the name, without `message.`, and the data.
    """

    row: Row
    attempts: list[Row] = field(default_factory=list)
    receipts: list[Row] = field(default_factory=list)
    events: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def flags(self) -> list[str]:
        flags: list[str] = orjson.loads(self.row["flags"])
        return flags

    def stands(self, attempt: int) -> str | None:
        """How far an attempt came, by what is stored of it."""
        told = {one["status"] for one in self.receipts if one["attempt"] == attempt}
        for status in ("read", "delivered", "failed", "sent"):
            if status in told:
                return status
        outcome = self.attempts[attempt - 1]["outcome"]
        return {"refused": "failed", "busy": None}.get(outcome, outcome)


def at_departure(
    departure: Departure, process: Process, disk: Disk, paused: Mapping[str, Paused]
) -> Iterator[str]:
    """What is wrong with a request that leaves a process now.

    Args:
        paused: the senders of which an operator was told that they stand still.
    """
    name = f"{departure.message}, attempt {departure.attempt}"
    found = disk.look(
        "SELECT a.outcome, a.begun_at, m.status, m.flags, m.sender FROM attempt a"
        " JOIN message m ON m.id = a.message_id WHERE a.message_id = ? AND a.number = ?",
        departure.message,
        departure.attempt,
    )
    if not found:
        yield f"sent before it was begun on disk: {name}"
        return
    [(outcome, begun_at, status, flags, sender)] = found
    departure.sender = sender
    yield from _lease_at(departure, process, disk)
    if outcome is not None and "guess" not in flags:
        yield f"sent after its attempt was settled as {outcome}: {name}"
    if sender in paused and _knows(process, paused[sender], departure.at):
        yield f"sent although its sender is paused: {name}"
    if status in {"cancelled", "expired"}:
        yield f"sent although it is {status}: {name}"
    clock = process.clock
    begun = clock.milliseconds() / 1000 - begun_at / 1000
    was_set = clock.set_at is not None and clock.set_at > departure.at - begun - BEGUN_VALID
    if begun > BEGUN_VALID + 0.1 and not was_set:
        yield f"sent {begun:.1f} s after it was begun: {name}"


def _lease_at(departure: Departure, process: Process, disk: Disk) -> Iterator[str]:
    """Whose the sender is by the store, when a request of it leaves a process."""
    name = f"{departure.message}, attempt {departure.attempt}"
    now = to_milliseconds(moment(departure.at))
    query = "SELECT holder, until FROM sender_lease WHERE sender = ?"
    for holder, until in disk.look(query, departure.sender):
        taken_at = until - LEASE_SECONDS * 1000
        if holder is None:
            yield f"sent for a sender that its process had let go of: {name}"
        elif holder != process.name and now > taken_at + _LEASE_SLACK_MS:
            yield f"sent for a sender that is another process's by now: {name}"
        elif holder == process.name and now > until + _LEASE_SLACK_MS:
            yield f"sent after the lease was over: {name}"


def _knows(process: Process, paused: Paused, now: float) -> bool:
    """Whether a process must know by now of a pause of which it, or another one, was told."""
    looks_within = 2 * (PAUSE_LOOK + process.clock.latest) + PAUSE_SLACK + process.stood_still
    return paused.by == process.number or now > paused.at + looks_within


def still_held(left: Mapping[str, int], disk: Disk, seconds: float) -> Iterator[str]:
    """Which senders nobody took over that a process left so many seconds ago.

    Args:
        left: their fencing numbers.
    """
    for sender, fence in disk.look("SELECT sender, fence FROM sender_lease"):
        if left.get(sender) == fence:
            yield f"nobody took {sender} over within {seconds:.1f} s"


def broken_by(world: World) -> list[str]:
    """Every promise that a schedule broke, in words, once it has come to rest."""
    kept = _store_of(world.disk)
    broken: list[str] = []
    if not world.came_to_rest:
        broken += _stuck(world, kept)
    broken += _answers(world, kept)
    broken += _sendings(world, kept)
    broken += _receipts(world, kept)
    broken += _pace(world)
    broken += _begins(world)
    broken += _left_begun(world, kept)
    for message in kept.values():
        broken += _events(message)
        broken += _states(message)
    return broken


def _stuck(world: World, kept: Mapping[str, Kept]) -> Iterator[str]:
    pending = [m.row for m in kept.values() if m.row["status"] in _PENDING]
    waiting = [
        m.row
        for m in kept.values()
        if m.row["status"] == "unknown" and m.row["on_unknown"] == "retry"
    ]
    for row in (*pending, *waiting):
        yield f"stuck as {row['status']}: {row['id']}"
    for asked in world.callers.asked.values():
        serving = any(process.serving for process in world.places)
        if asked.calls > len(asked.answers) and serving:
            yield f"stuck without an answer: {asked.request.token}"
    for [wamid] in world.disk.look(_PARKED_AND_KNOWN):
        yield f"stuck as parked, though its attempt is known: {wamid}"
    if world.carrier.untold:
        yield f"stuck: {world.carrier.untold} callbacks that nobody takes"
    yield "stuck: it never comes to rest"


def _answers(world: World, kept: Mapping[str, Kept]) -> Iterator[str]:
    """What callers were answered, beside the store."""
    by_token: dict[str, list[Kept]] = defaultdict(list)
    for message in kept.values():
        by_token[orjson.loads(message.row["flow"])["token"]].append(message)
    for token, asked in world.callers.asked.items():
        found = by_token[token]
        if len(found) > 1:
            yield f"doubled: {len(found)} messages of the one request {token}"
        ids = {message.row["id"] for message in found}
        for status, id_ in asked.answers:
            if status < _SUCCESS and id_ not in ids:
                yield f"lost: {token} was answered {status}, and is not stored"
            elif status == _OK and not _was_told(kept[str(id_)], "accepted"):
                yield f"answered as accepted, and never was: {id_}"
        refusals = [answer for answer in asked.answers if answer == (UNAVAILABLE, None)]
        if found and len(refusals) == asked.calls:
            yield f"answered 503 as not stored, and is: {token}"
        stood_still = max(process.stood_still for process in world.processes)
        if asked.latest > _LATE_ANSWER + stood_still:
            yield f"answered {asked.latest:.0f} s later than its caller would wait: {token}"
    for done in world.callers.done:
        if done.kind == "cancel" and done.status == "cancelled":
            cancelled = kept.get(done.message)
            stands = "not stored" if cancelled is None else cancelled.row["status"]
            if stands != "cancelled":
                yield f"cancelled, and then {stands}: {done.message}"


def _was_told(message: Kept, status: str) -> bool:
    return any(name == status for name, _ in message.events)


def _times_sent_again(message: Kept) -> int:
    """How often it was queued right after it was unknown, and not because an answer came late."""
    return sum(
        (before, name) == ("unknown", "queued") and data["attempts"][-1]["outcome"] == "unknown"
        for (before, _), (name, data) in pairwise(message.events)
    )


def _sendings(world: World, kept: Mapping[str, Kept]) -> Iterator[str]:
    """What left, and what the provider got, beside the store."""
    arrived: dict[str, list[Arrival]] = defaultdict(list)
    for arrival in world.carrier.arrivals:
        arrived[arrival.message].append(arrival)
    left = [(d.message, d.attempt) for d in world.network.departures]
    for message_id, attempt in {one for one in left if left.count(one) > 1}:
        yield f"sent twice as one attempt: {message_id}, attempt {attempt}"
    retries = [done.message for done in world.callers.done if done.kind == "retry"]
    asked_again = set(retries)
    for message_id, arrivals in arrived.items():
        message = kept.get(message_id)
        if message is None:
            yield f"sent, and not stored: {message_id}"
            continue
        reached = [arrival for arrival in arrivals if arrival.reached_the_person]
        if len(reached) > 1:
            may = message.row["on_unknown"] == "retry" or message_id in asked_again
            if not may:
                yield f"doubled, though it was to be held: {message_id}"
            elif not {"resent", "duplicated"} & set(message.flags):
                yield f"doubled without a flag: {message_id}"
        if message.row["status"] in {"cancelled", "expired"} and any(
            arrival.reached_the_person for arrival in arrivals
        ):
            yield f"{message.row['status']}, and the person has it: {message_id}"
    for message_id, message in kept.items():
        may_be = (message.row["on_unknown"] == "retry") + retries.count(message_id)
        if _times_sent_again(message) > may_be:
            yield f"sent again more often than asked for while unknown: {message_id}"
    for departure in world.network.departures:
        yield from _settled(departure, world, kept, arrived[departure.message])


def _settled(
    departure: Departure, world: World, kept: Mapping[str, Kept], arrivals: Sequence[Arrival]
) -> Iterator[str]:
    """Whether an attempt came to what its process heard."""
    name = f"{departure.message}, attempt {departure.attempt}"
    message = kept.get(departure.message)
    if message is None or departure.attempt > len(message.attempts):
        yield f"sent, and its attempt is not stored: {name}"
        return
    attempt = message.attempts[departure.attempt - 1]
    outcome = attempt["outcome"]
    mine = [arrival for arrival in arrivals if arrival.attempt == departure.attempt]
    was_taken = any(arrival.wamid is not None for arrival in mine)
    if outcome == "accepted" and not was_taken:
        yield f"called accepted, and nobody took it: {name}"
    if attempt["provider_id"] not in {None, *(arrival.wamid for arrival in mine)}:
        yield f"takes another message's id for its own: {name}"
    if outcome in {"busy", "refused"} and departure.answer != "refused":
        yield f"called {outcome}, and may have arrived: {name}"
    if outcome is None:
        yield f"never settled: {name}"
    process = world.processes[departure.process - 1]
    heard_at = departure.heard_at
    if heard_at is None:
        return
    lived_until = world.loop.time() if process.lives else process.ended_at or 0.0
    lived_until -= process.stood_still
    if process.was_killed and lived_until < heard_at + _SETTLED_WITHIN:
        return
    if outcome in {None, "unknown"} and lived_until >= heard_at + _SETTLED_WITHIN:
        yield f"its answer ({departure.answer}) was thrown away: {name}"
    if departure.answer == "taken" and outcome == "accepted" and attempt["provider_id"] is None:
        yield f"its provider's id was thrown away: {name}"


def _pace(world: World) -> Iterator[str]:
    """Whether more left for a sender within a second than it may, whichever process sent it.

    But for what leaves as its process wakes up: what had its turn before leaves beside what has
    it then.
    """
    limit = int(world.plan.per_second)
    moments: dict[str, list[float]] = defaultdict(list)
    for departure in world.network.departures:
        process = world.processes[departure.process - 1]
        if any(at <= departure.at < at + _AWAKE for at in process.woke_at):
            continue
        moments[departure.sender].append(departure.at)
    for sender, times in moments.items() if limit else ():
        for first, last in zip(times, times[limit:], strict=False):
            if last < first + 1.0:
                yield f"{sender} sent more than {limit} within {last - first:.3f} s"


def _begins(world: World) -> Iterator[str]:
    """Whether each attempt was begun by the process that had the sender."""
    begins = "SELECT message_id, number, writer, holder FROM begun_by WHERE holder IS NOT writer"
    for message_id, number, writer, holder in world.disk.look(begins):
        whose = "nobody's" if holder is None else f"{holder}'s"
        yield f"begun by {writer} while the sender was {whose}: {message_id}, attempt {number}"


def _left_begun(world: World, kept: Mapping[str, Kept]) -> Iterator[str]:
    """Whether anything was found begun only because it was overdue.

    What a process had begun that handed its sender on in order, and then ended, may be.
    """
    leases = {
        sender: (holder, fence)
        for sender, holder, fence in world.disk.look(
            "SELECT sender, holder, fence FROM sender_lease"
        )
    }
    by_name = {process.name: process for process in world.processes}
    begun_by = {
        (message_id, number): (writer, fence)
        for message_id, number, writer, fence in world.disk.look(
            "SELECT message_id, number, writer, fence FROM begun_by"
        )
    }
    for message_id, message in kept.items():
        sender = message.row["sender"]
        for attempt in message.attempts:
            error = attempt["error"]
            if error is None or orjson.loads(error)["code"] != "overdue":
                continue
            number = attempt["number"]
            writer, fence = begun_by[message_id, number]
            if by_name[writer].left.get(sender) == fence:
                yield f"left begun by a process that died: {message_id}, attempt {number}"
            elif leases[sender] == (writer, fence):
                yield f"left begun by a process that lives: {message_id}, attempt {number}"


def _receipts(world: World, kept: Mapping[str, Kept]) -> Iterator[str]:
    """What the provider told, and was answered 200, beside the store."""
    parked = {
        (row[0], row[1])
        for row in world.disk.look("SELECT provider_id, status FROM parked_receipt")
    }
    for arrival in world.carrier.arrivals:
        message = kept.get(arrival.message)
        if message is None or arrival.attempt > len(message.attempts):
            continue
        attempt = message.attempts[arrival.attempt - 1]
        is_known = world.plan.temper.marks or attempt["provider_id"] == arrival.wamid
        stored = {one["status"] for one in message.receipts if one["attempt"] == arrival.attempt}
        for step in arrival.told:
            if step in stored or (not is_known and (arrival.wamid, step) in parked):
                continue
            if not is_known and "guess" in message.flags:
                continue
            yield f"a receipt is lost ({step}): {arrival.message}, attempt {arrival.attempt}"


def _events(message: Kept) -> Iterator[str]:
    """Whether users were told what became of a message, in an order that may be."""
    id_ = message.row["id"]
    before = ""
    outcomes: dict[int, str] = {}
    arrived = False
    failed = 0
    for name, data in message.events:
        if name == "duplicated":
            continue
        known_failed, failed = failed, sum(r["status"] == "failed" for r in data["receipts"])
        # Where the furthest of two attempts fails, a message stands where the other one does.
        fell_back = failed > known_failed and before in {"accepted", "sent"} and name in _ARRIVED
        if name not in _NEXT[before] and not fell_back:
            yield f"moved from {before or 'nothing'} to {name}: {id_}"
        if name in _ARRIVED - {"accepted"} and not arrived:
            yield f"told {name} before accepted: {id_}"
        arrived = arrived or name == "accepted"
        if data["status"] != name:
            yield f"told {name} of a message that stood as {data['status']}: {id_}"
        if name == "unknown" and all(a["outcome"] != "unknown" for a in data["attempts"]):
            yield f"told unknown, and no attempt is: {id_}"
        for attempt in data["attempts"]:
            known = outcomes.get(attempt["number"])
            if known not in {None, "unknown", attempt["outcome"]}:
                yield f"an attempt was {known}, then {attempt['outcome']}: {id_}"
            outcomes[attempt["number"]] = attempt["outcome"]
        before = name
    status = message.row["status"]
    if status not in _PENDING and before != status:
        yield f"stands as {status}, and users were told {before}: {id_}"


def _states(message: Kept) -> Iterator[str]:
    """Whether a message stands where its attempts say."""
    row = message.row
    id_ = row["id"]
    if [attempt["number"] for attempt in message.attempts] != list(range(1, row["attempts"] + 1)):
        yield f"its attempts are not numbered from 1 to {row['attempts']}: {id_}"
        return
    stands = [message.stands(attempt["number"]) for attempt in message.attempts]
    furthest = max((_RANK.get(stood or "", -1) for stood in stands), default=-1)
    reached = next((status for status, rank in _RANK.items() if rank == furthest), None)
    if reached in _ARRIVED and row["status"] not in (reached, *_PENDING):
        yield f"stands as {row['status']}, and came as far as {reached}: {id_}"
    if row["status"] in _ARRIVED and row["status"] != reached:
        yield f"stands as {row['status']}, and came as far as {reached or 'nothing'}: {id_}"
    if row["status"] in {"cancelled", "expired"} and reached == "unknown":
        yield f"{row['status']}, though an attempt is unknown: {id_}"
    arrivals = sum(stood in _ARRIVED for stood in stands)
    if arrivals > 1 and "duplicated" not in message.flags:
        yield f"arrived {arrivals} times without a flag: {id_}"


def _store_of(disk: Disk) -> dict[str, Kept]:
    """The store's book."""
    kept = {row["id"]: Kept(row) for row in _rows(disk, "message", "seq")}
    for row in _rows(disk, "attempt", "message_id, number"):
        kept[row["message_id"]].attempts.append(row)
    for row in _rows(disk, "receipt", "message_id, position"):
        kept[row["message_id"]].receipts.append(row)
    for row in _rows(disk, "event", "number"):
        if row["message_id"] is not None:
            name = row["type"].removeprefix("message.")
            kept[row["message_id"]].events.append((name, orjson.loads(row["data"])))
    return kept


def _rows(disk: Disk, table: str, order: str) -> Iterator[Row]:
    cursor = disk.platter.reader.cursor()
    cursor.row_factory = Row
    return iter(cursor.execute(f"SELECT * FROM {table} ORDER BY {order}"))  # noqa: S608 - alir's own tables
