"""Whose each sender is, and how long: pure decisions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st
from tests.examples import MAIN, OTHER

from alir.dispatch.lease import Alive, Lease, LeaseRow, Steps, View, share_out, steps
from alir.ids import Fence, SenderName

NOW = 1_000_000
SENDERS = st.lists(st.sampled_from("abcdefghij"), unique=True).map(
    lambda names: tuple(map(SenderName, names))
)
ALIVE = st.dictionaries(st.sampled_from(("p", "q", "r", "s")), SENDERS)


def view(holder: str | None, *, until: int = NOW + 5_000, alive: str = "p q") -> View:
    """Of one sender, and processes that can all dispatch for it."""
    rows = {} if holder is None else {MAIN: LeaseRow(3, until, holder or None)}
    return _view(dict.fromkeys(alive.split(), (MAIN,)), rows)


def _view(alive: Alive, rows: Mapping[SenderName, LeaseRow]) -> View:
    return View(NOW, alive, rows, callbacks_taken=True, callbacks_applied=True)


OWNER = share_out({"p": (MAIN,), "q": (MAIN,)})[MAIN]
[NOT_OWNER] = {"p", "q"} - {OWNER}


# Whose


@given(ALIVE)
def test_each_sender_is_one_of_those_that_can_dispatch_for_it(
    alive: dict[str, tuple[SenderName, ...]],
) -> None:
    whose = share_out(alive)
    assert set(whose) == {sender for senders in alive.values() for sender in senders}
    for sender, process in whose.items():
        assert sender in alive[process]


@given(SENDERS, st.sets(st.sampled_from("pqrs"), min_size=1))
def test_processes_that_can_do_the_same_share_evenly(
    senders: tuple[SenderName, ...], processes: set[str]
) -> None:
    load = Counter(share_out(dict.fromkeys(processes, senders)).values())
    counts = [load[process] for process in processes]
    assert max(counts) <= -(-len(senders) // len(processes))
    assert sum(counts) == len(senders)


@given(ALIVE)
def test_all_processes_decide_alike(alive: dict[str, tuple[SenderName, ...]]) -> None:
    back_to_front = {name: senders[::-1] for name, senders in reversed(alive.items())}
    assert share_out(back_to_front) == share_out(alive)


# What to do


def test_a_sender_that_nobody_holds_is_taken_by_whom_it_should_be() -> None:
    for free in (None, ""):
        assert steps(view(free), OWNER) == Steps((MAIN,), ())
        assert steps(view(free), NOT_OWNER) == Steps((), ())


def test_a_sender_that_another_holds_is_taken_once_its_lease_is_over() -> None:
    assert steps(view(NOT_OWNER), OWNER) == Steps((), ())
    assert steps(view(NOT_OWNER, until=NOW), OWNER) == Steps((MAIN,), ())
    assert steps(view("gone"), OWNER) == Steps((), ())
    assert steps(view("gone", until=NOW), OWNER) == Steps((MAIN,), ())


def test_a_sender_that_should_be_anothers_is_let_go_of() -> None:
    assert steps(view(NOT_OWNER), NOT_OWNER) == Steps((), (MAIN,))


def test_whoever_is_alone_takes_all() -> None:
    alone = _view({"p": (MAIN, OTHER), "api": ()}, {})
    assert steps(alone, "p") == Steps((MAIN, OTHER), ())
    assert steps(alone, "api") == Steps((), ())


# How long


def test_a_lease_is_good_from_its_beginning_to_its_end() -> None:
    lease = Lease()
    assert not lease.is_good(0)
    lease.take(Fence(MAIN, 1), good_from=10, good_until=18)
    assert [lease.is_good(now) for now in (9.9, 10, 17.9, 18)] == [False, True, True, False]
    lease.prolong(20)
    assert lease.is_good(19)
    lease.end()
    assert not lease.is_good(15)
    assert not lease.is_held
