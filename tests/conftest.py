"""What tests of every kind share: a real PostgreSQL, started once where any of them asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.postgres import postgres_server


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """A real server, by the URL of a database in which others may be made."""
    with postgres_server() as server:
        yield server
