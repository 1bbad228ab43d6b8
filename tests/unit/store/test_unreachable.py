"""What alir says where a PostgreSQL database cannot be had."""

from __future__ import annotations

import asyncpg
import pytest

from alir.store.unreachable import unreachable


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ConnectionRefusedError(111, "Connect call failed"),
            "[Errno 111] Connect call failed. Does the server run, and is its address in the "
            "setting `database` right?",
        ),
        (
            TimeoutError(),
            "it does not answer. Does the server run, and is its address in the setting "
            "`database` right?",
        ),
        (
            asyncpg.InvalidCatalogNameError('database "alir" does not exist'),
            'database "alir" does not exist. Make it first, such as with createdb.',
        ),
        (
            asyncpg.InvalidPasswordError("password authentication failed"),
            "password authentication failed. Are the user and the password in the setting "
            "`database` right?",
        ),
        (asyncpg.TooManyConnectionsError("too many clients"), "too many clients"),
    ],
)
def test_what_befell_a_session_is_told_with_what_to_do(error: Exception, said: str) -> None:
    assert unreachable(error) == said
