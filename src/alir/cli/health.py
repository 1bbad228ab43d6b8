"""What the health of a database comes to, a line for each thing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from alir.cli.counted import counted
from alir.providers.finding import Finding, State
from alir.store.health import ByServer, Health, InFile
from alir.store.migrations import HEAD

#: Free on the disk: below the first it should be looked at, below the second it stops soon.
_LITTLE: Final = 1024 * 1024 * 1024
_TOO_LITTLE: Final = 64 * 1024 * 1024
#: What each unit of sizes is of the one before it.
_A_UNIT: Final = 1024
#: The oldest PostgreSQL that alir is tried with. Source: design, section 6.
OLDEST_SERVER: Final = 14
#: Standbys for which a commit waits, as `pg_stat_replication` calls them.
_SYNCHRONOUS: Final = ("sync", "quorum")
#: Settings of `synchronous_commit` that alir does not leave as they are.
_NOT_ON_DISK: Final = ("off", "local")


def findings(health: Health) -> Iterator[Finding]:
    """How each thing is."""
    match health.kept:
        case InFile() as file:
            yield from _of_file(health, file)
        case ByServer() as server:
            yield from _of_server(health, server)


def _of_file(health: Health, file: InFile) -> Iterator[Finding]:
    yield _of_faults(file)
    if not file.faults:
        yield _of_tables(health, "Is it the right file?")
    free = f"; {in_bytes(file.reusable)} of it free to be used again" if file.reusable else ""
    yield Finding(State.OK, "size", f"{in_bytes(health.size)}{free}")
    yield _of_disk(file)
    yield _of_gateways(health)
    if not file.faults:
        yield _of_contents(health)


def _of_server(health: Health, server: ByServer) -> Iterator[Finding]:
    yield _of_version(server)
    yield _of_durability(server)
    yield _of_standbys(server)
    yield _of_indexes(server)
    yield _of_tables(health, "Is it the right database?")
    yield Finding(State.OK, "size", in_bytes(health.size))
    yield _of_gateways(health)
    yield _of_contents(health)


def _of_faults(file: InFile) -> Finding:
    if not file.faults:
        return Finding(State.OK, "integrity", "no fault was found")
    advice = "Stop alir, keep this file, and restore the last backup."
    return Finding(State.WRONG, "integrity", "; ".join(file.faults), advice)


def _of_tables(health: Health, doubt: str) -> Finding:
    if health.version is None:
        advice = f"{doubt} alir serve and alir db upgrade make the tables."
        return Finding(State.WRONG, "tables", "there are none of alir's", advice)
    if health.version == HEAD:
        return Finding(State.OK, "tables", f"version {HEAD}, up to date")
    if health.version < HEAD:
        said = f"version {health.version}, and this alir's is {HEAD}"
        advice = "alir serve brings them up to date at its start; so does alir db upgrade."
        return Finding(State.WARNING, "tables", said, advice)
    said = f"version {health.version}, of a newer alir; this one knows {HEAD}"
    return Finding(State.WRONG, "tables", said, "Use the alir that wrote it, or a newer one.")


def _of_disk(file: InFile) -> Finding:
    said = f"{in_bytes(file.disk_free)} free"
    if file.disk_free >= _LITTLE:
        return Finding(State.OK, "disk", said)
    state = State.WARNING if file.disk_free >= _TOO_LITTLE else State.WRONG
    advice = "Make room, or keep things for a shorter time: [retention] in the settings."
    return Finding(state, "disk", said, advice)


def _of_gateways(health: Health) -> Finding:
    run = "runs" if len(health.gateways) == 1 else "run"
    # Of a server that is reached by a socket, or from one machine, all of them are called the same.
    named = ", ".join(
        name if number == 1 else name.replace("one", str(number), 1)
        for name, number in Counter(health.gateways).items()
    )
    said = f"{named} {run} on it" if named else "none runs on it"
    return Finding(State.OK, "gateway", said)


def _of_contents(health: Health) -> Finding:
    statuses = ", ".join(f"{status} {count:,}" for status, count in health.messages.items())
    return Finding(State.OK, "contents", counted(health.rows, {"message": statuses}))


def _of_version(server: ByServer) -> Finding:
    said = f"PostgreSQL {server.version}"
    if server.major < OLDEST_SERVER:
        advice = f"alir needs PostgreSQL {OLDEST_SERVER} or newer."
        return Finding(State.WRONG, "server", said, advice)
    if server.is_standby:
        advice = "Name the server that it follows as database, or end that it follows one."
        return Finding(State.WRONG, "server", f"{said}, a standby, which takes no writes", advice)
    return Finding(State.OK, "server", said)


def _of_durability(server: ByServer) -> Finding:
    about = "durability"
    if server.fsync == "off":
        said = "fsync is off: what callers were told is on disk may be lost in a crash"
        return Finding(State.WRONG, about, said, "Set fsync = on, and have the server reload.")
    if server.full_page_writes == "off":
        said = "full_page_writes is off: a crash may leave half a page"
        advice = (
            "Set full_page_writes = on, unless the file system never writes half a page, as ZFS."
        )
        return Finding(State.WARNING, about, said, advice)
    said = f"fsync is on, synchronous_commit is {server.synchronous_commit}"
    if server.synchronous_commit in _NOT_ON_DISK:
        said += ", and alir sets it on where it writes"
    return Finding(State.OK, about, said)


def _of_standbys(server: ByServer) -> Finding:
    about = "standbys"
    if not server.standbys:
        return Finding(State.OK, about, "none is connected")
    if any(standby.sync_state is None for standby in server.standbys):
        said = f"{len(server.standbys)} connected, and this role may not see how"
        advice = "Let it, as a superuser: GRANT pg_monitor TO this role."
        return Finding(State.UNKNOWN, about, said, advice)
    said = ", ".join(f"{standby.name} ({standby.sync_state})" for standby in server.standbys)
    if all(standby.sync_state in _SYNCHRONOUS for standby in server.standbys):
        return Finding(State.OK, about, said)
    advice = (
        "Never fail over to one that is not synchronous: it lacks the last moments, so that "
        "messages that callers were told are on disk would be lost, and others sent twice. "
        "synchronous_standby_names makes a standby synchronous."
    )
    return Finding(State.WARNING, about, said, advice)


def _of_indexes(server: ByServer) -> Finding:
    if not server.invalid_indexes:
        return Finding(State.OK, "indexes", "all are valid")
    said = f"invalid, so that no query uses them: {', '.join(server.invalid_indexes)}"
    advice = (
        "REINDEX INDEX CONCURRENTLY makes each anew; one whose name ends with _ccnew or _ccold is "
        "left over: DROP INDEX."
    )
    return Finding(State.WARNING, "indexes", said, advice)


def in_bytes(size: float) -> str:
    """A size for people.

    >>> in_bytes(532), in_bytes(14_000_000), in_bytes(5_000_000_000)
    ('532 B', '13.4 MiB', '4.7 GiB')
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < _A_UNIT or unit == "GiB":
            break
        size /= _A_UNIT
    return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
