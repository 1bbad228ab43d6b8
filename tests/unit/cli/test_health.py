"""What `alir db check` says of a database, from what it found."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from alir.cli.health import findings
from alir.store.health import Health, InFile
from alir.store.migrations import HEAD


@pytest.mark.parametrize(
    ("gateways", "said"),
    [
        ([], "none runs on it"),
        (["process 4711"], "process 4711 runs on it"),
        (["one"], "one runs on it"),
        (["one", "one", "one"], "3 run on it"),
        (["one at 10.0.0.7", "one at 10.0.0.8"], "one at 10.0.0.7, one at 10.0.0.8 run on it"),
        (["one at 10.0.0.7", "one at 10.0.0.7"], "2 at 10.0.0.7 run on it"),
    ],
)
def test_gateways_of_one_address_are_numbered(gateways: Sequence[str], said: str) -> None:
    kept = InFile(faults=[], reusable=0, disk_free=1 << 40)
    health = Health(version=HEAD, size=1, gateways=gateways, rows={}, messages={}, kept=kept)

    found = {finding.about: finding.said for finding in findings(health)}

    assert found["gateway"] == said
