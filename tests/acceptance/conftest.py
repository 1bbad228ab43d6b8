"""What the acceptance tests share: one gateway for each module, and a client with its token."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from tests.acceptance.gateway import RunningGateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway with no settings, on a database of its own."""
    with RunningGateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture(scope="module")
def api(gateway: RunningGateway) -> Iterator[httpx.Client]:
    """A client of the whole gateway (paths begin with `/`) that sends its API token."""
    headers = {"authorization": f"Bearer {gateway.token}"}
    with httpx.Client(base_url=gateway.url, headers=headers) as client:
        yield client
