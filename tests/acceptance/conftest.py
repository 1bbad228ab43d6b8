"""What the acceptance tests share: one gateway for each module, and a client with its token."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from tests.acceptance.gateway import RunningGateway
from tests.acceptance.talk import running

TWO_SENDERS = """
[simulator]
enabled = true

[senders.jakarta]
provider = "cloud"
phone_number_id = "1065000002"
access_token = "simulator"
app_secret = "simulator"
graph_url = "http://127.0.0.1:9"
"""


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


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningGateway, httpx.Client]]:
    """A gateway with the senders `jakarta` (whom nobody carries) and `sandbox`."""
    with running(tmp_path_factory.mktemp("two"), TWO_SENDERS) as both:
        yield both
