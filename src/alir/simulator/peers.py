"""Who may talk to the simulator: its credentials are public, so the network decides."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

THIS_MACHINE = ("127.0.0.0/8", "::1/128")
_REMEMBERED = 1024  # addresses


class Peers:
    """The networks that requests are taken from.

    Raises:
        ValueError: one of `networks` is not a network such as `10.0.0.0/8`.
    """

    def __init__(self, networks: Iterable[str] = THIS_MACHINE) -> None:
        self.networks: tuple[IPv4Network | IPv6Network, ...] = tuple(
            ip_network(network) for network in networks
        )
        # Every request asks, and nearly all come from a handful of addresses.
        self.allow = lru_cache(_REMEMBERED)(self._allow)

    def _allow(self, host: str) -> bool:
        """Whether the address `host` is in one of the networks; a name never is."""
        try:
            address = ip_address(host)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self.networks)
