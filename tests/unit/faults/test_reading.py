"""The provider's book, read while things move."""

from __future__ import annotations

from faults.books import Arrived
from faults.reading import Calls


def test_of_what_arrived_by_now_only_that_counts_as_told_which_was_told_before() -> None:
    before = Calls({"wamid.1": Arrived("flow-1", ("sent",))}, waiting=2)
    after = Calls(
        {"wamid.1": Arrived("flow-1", ("sent", "read")), "wamid.2": Arrived("flow-2", ("sent",))},
        waiting=0,
    )

    assert after.told_by(before) == [Arrived("flow-1", ("sent",)), Arrived("flow-2")]
