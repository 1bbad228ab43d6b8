"""Every provider that there is, one line each. Nothing else knows one by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from alir.dispatch.ports import Provider
from alir.ids import SenderName
from alir.providers.cloud.adapter import CloudProvider
from alir.providers.cloud.settings import CloudDefaults, CloudSender
from alir.providers.cloud.webhook import CloudCallbacks
from alir.providers.routemobile.adapter import RouteMobileProvider
from alir.providers.routemobile.settings import RouteMobileDefaults, RouteMobileSender
from alir.providers.routemobile.webhook import RouteMobileCallbacks
from alir.providers.sender import Defaults, Sender
from alir.providers.tools import Tools
from alir.providers.whatsapp.codes import Change, Table, changed, meanings
from alir.receipts.ports import Dialect

S = TypeVar("S", bound=Sender)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[S]):
    """How one provider is set up.

    Attributes:
        defaults: the table with its name: what all its senders share.
        sender: the table of one of its senders.
        provider: makes what hands over the messages of one sender.
        dialect: makes what reads the callbacks of all its senders, which are given by name.
        secret_in_path: whether a secret ends the path of its callbacks, because nothing signs them.
        own_codes: the package with its `codes.tsv`, where it has error codes besides WhatsApp's.
    """

    defaults: type[Defaults]
    sender: type[S]
    provider: Callable[[S, Tools], Provider]
    dialect: Callable[[Mapping[SenderName, S], Table], Dialect]
    secret_in_path: bool = False
    own_codes: str | None = None

    def codes(self, changes: Mapping[int, Change]) -> Table:
        """What its error codes mean, with what the operator wants treated differently."""
        return changed(meanings(self.own_codes), changes)


PROVIDERS: Final[Mapping[str, Kind[Any]]] = MappingProxyType(
    {
        "cloud": Kind(
            defaults=CloudDefaults,
            sender=CloudSender,
            provider=CloudProvider,
            dialect=CloudCallbacks,
        ),
        "routemobile": Kind(
            defaults=RouteMobileDefaults,
            sender=RouteMobileSender,
            provider=RouteMobileProvider,
            dialect=RouteMobileCallbacks,
            secret_in_path=True,
            own_codes="alir.providers.routemobile",
        ),
    }
)
