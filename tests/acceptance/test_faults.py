"""The fault bench, as short as it goes: each crash point once, and bugs that it must find."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from faults.plan import (
    SOON,
    Carrier,
    Gone,
    Kept,
    KilledOnTheWire,
    Load,
    Run,
    Trouble,
    inside,
    on_the_wire,
)
from faults.points import NAMES, Moment
from faults.stage import Result, play

from alir.role import Role

SEED = 1


def run(kept: Kept, troubles: Sequence[Trouble]) -> Run:
    return Run(
        name=f"short-{kept}",
        kept=kept,
        carrier=Carrier.CLOUD,
        on_unknown="hold",
        troubles=lambda _: troubles,
    )


@pytest.mark.timeout(400)
def test_a_gateway_killed_once_at_each_point_loses_doubles_and_leaves_nothing(
    tmp_path: Path, postgresql_server: str
) -> None:
    chance = Random(SEED)
    everywhere = [*inside(chance), *on_the_wire(chance)]
    some = [*inside(chance, points=("committing", "begun")), *on_the_wire(chance)[:1]]

    async def both() -> tuple[Result, Result]:
        folders = [tmp_path / kept for kept in ("sqlite", "postgresql")]
        for folder in folders:
            folder.mkdir()
        return await asyncio.gather(
            play(run(Kept.SQLITE, everywhere), SEED, folders[0], server=None),
            play(run(Kept.POSTGRESQL, some), SEED, folders[1], server=postgresql_server),
        )

    lite, server = asyncio.run(both())

    assert (lite.broken, server.broken) == ((), ())
    assert lite.kills.total() == len(NAMES)
    assert len(lite.kills.keys() & set(NAMES)) >= len(NAMES) - 1, lite.kills
    assert server.kills.total() == 3
    for result in (lite, server):
        assert result.verdict is not None
        assert result.verdict.accepted > result.kills.total()


@pytest.mark.timeout(180)
def test_a_gateway_split_by_role_loses_and_doubles_nothing_while_its_parts_die_and_stop(
    tmp_path: Path, postgresql_server: str
) -> None:
    parts = (Role.API, Role.DISPATCH, Role.DISPATCH, Role.RELAY, Role.RELAY)
    troubles = [
        Gone(1.0, 0.5, killed=[1], stopped=[3]),
        Gone(1.0, 1.0, killed=[3, 4]),
        Gone(1.0, 0.0, killed=[0], stopped=[2]),
    ]
    split = replace(run(Kept.POSTGRESQL, troubles), processes=parts, senders=2)

    result = asyncio.run(play(split, SEED, tmp_path, server=postgresql_server))

    assert result.broken == ()
    assert result.kills.total() == 4
    assert result.verdict is not None
    assert result.verdict.accepted > 100, result.verdict


#: What must be found, by the bug that is planted.
PLANTED = {
    "begun_again_after_a_restart": r"doubled: msg_\w+ \(no flag\) arrived 2 times",
    "answered_without_storing": r"lost: flow-\d+ was answered 20\d as msg_\w+, and is not stored",
    "parked_never_looked_up": r"stuck: msg_\w+ is accepted, though read was told",
}


@pytest.mark.timeout(240)
def test_planted_bugs_are_found(tmp_path: Path) -> None:
    healthy = run(Kept.SQLITE, [KilledOnTheWire(Moment.TAKEN, 10), Load(0.3)])
    # Receipts that come before the answer, and name no attempt.
    early = {**SOON, "before_answer": ["sent", "delivered", "read"]}

    async def played(bug: str) -> Result:
        folder = tmp_path / bug
        folder.mkdir()
        ill = replace(
            healthy, bug=bug, carrier=Carrier.ROUTE_MOBILE, behaviour=early, calm_seconds=5
        )
        return await play(ill, SEED, folder, server=None)

    async def all_played() -> list[Result]:
        return await asyncio.gather(*map(played, PLANTED))  # a guess takes half a minute each

    for (bug, breaks), result in zip(PLANTED.items(), asyncio.run(all_played()), strict=True):
        assert any(re.fullmatch(breaks, one) for one in result.broken), (bug, result)
