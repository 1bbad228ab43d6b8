from __future__ import annotations

import pytest

from alir.simulator.peers import Peers


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.5", False),
        ("::ffff:10.0.0.5", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_this_machine_is_let_in_and_others_are_not(host: str, allowed: bool) -> None:
    assert Peers().allow(host) is allowed


def test_networks_that_are_named_are_let_in() -> None:
    assert Peers(["10.0.0.0/8"]).allow("10.1.2.3")


def test_something_that_is_no_network_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/99"):
        Peers(["10.0.0.0/99"])
