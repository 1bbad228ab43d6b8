"""The contract that every provider keeps, as tests for pytest.

    class TestExample(ProviderContract):
        kind = PROVIDERS["example"]
        …

and pytest tries every line of it. How to write one: docs/how-to/add-a-provider.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from alir.testing import callbacks, ready, secrets, sends
from alir.testing.asked import Asked
from alir.testing.checks import Check
from alir.testing.lines import NO_SECRETS, hold

if TYPE_CHECKING:
    import pytest

__all__ = ["ProviderContract", "checks"]


def checks(asked: Asked) -> Iterator[Check]:
    """Everything that is tried, without pytest."""
    yield from ready.checks(asked)
    yield from sends.checks(asked)
    yield from callbacks.checks(asked)
    yield from secrets.checks(asked)


class ProviderContract(Asked):
    """Subclass it as `Test…`, and say what `Asked` asks."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test for each check."""
        if "check" in metafunc.fixturenames:
            found = list(checks(self))
            metafunc.parametrize("check", found, ids=[check.name for check in found])

    def test_it_keeps_the_contract(self, check: Check, capfd: Any, caplog: Any) -> None:
        """Whatever is tried, no secret is printed or logged meanwhile."""
        check.run()
        written = "".join(capfd.readouterr()) + caplog.text
        for key, secret in secrets.all_of(self).items():
            hold(secret not in written, NO_SECRETS, f"{key} was printed or logged")
