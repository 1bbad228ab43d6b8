"""Every provider that there is, one line each. Nothing else knows one by its name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from alir.dispatch.ports import Provider
from alir.ids import SenderName
from alir.providers.cloud import check as cloud_check
from alir.providers.cloud import webhook as cloud_webhook
from alir.providers.cloud.adapter import CloudProvider
from alir.providers.cloud.settings import CloudDefaults, CloudSender
from alir.providers.finding import Finding
from alir.providers.routemobile import check as routemobile_check
from alir.providers.routemobile import webhook as routemobile_webhook
from alir.providers.routemobile.adapter import RouteMobileProvider
from alir.providers.routemobile.settings import RouteMobileDefaults, RouteMobileSender
from alir.providers.sender import Defaults, Sender
from alir.providers.tools import Tools
from alir.providers.whatsapp.codes import Change, Table, changed, meanings
from alir.receipts.ports import UNSAID, CallbackForm, Dialect

S = TypeVar("S", bound=Sender)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[S]):
    """How one provider is set up.

    Attributes:
        title: its name, for people.
        defaults: the table with its name: what all its senders share.
        sender: the table of one of its senders.
        provider: makes what hands over the messages of one sender.
        dialect: makes what reads the callbacks of all its senders, which are given by name.
        check: asks the provider about one of its senders, and sends nothing.
        secret_in_path: whether a secret ends the path of its callbacks, because nothing signs them.
        form: what its callbacks look like, for the API's reference.
        own_codes: the package with its `codes.tsv`, where it has error codes besides WhatsApp's.
    """

    title: str
    defaults: type[Defaults]
    sender: type[S]
    provider: Callable[[S, Tools], Provider]
    dialect: Callable[[Mapping[SenderName, S], Table], Dialect]
    check: Callable[[S, Tools], Awaitable[list[Finding]]]
    secret_in_path: bool = False
    form: CallbackForm = UNSAID
    own_codes: str | None = None

    def codes(self, changes: Mapping[int, Change]) -> Table:
        """What its error codes mean, with what the operator wants treated differently."""
        return changed(meanings(self.own_codes), changes)


PROVIDERS: Final[Mapping[str, Kind[Any]]] = MappingProxyType(
    {
        "cloud": Kind(
            title="Cloud API",
            defaults=CloudDefaults,
            sender=CloudSender,
            provider=CloudProvider,
            dialect=cloud_webhook.CloudCallbacks,
            check=cloud_check.check,
            form=cloud_webhook.FORM,
        ),
        "routemobile": Kind(
            title="Route Mobile",
            defaults=RouteMobileDefaults,
            sender=RouteMobileSender,
            provider=RouteMobileProvider,
            dialect=routemobile_webhook.RouteMobileCallbacks,
            check=routemobile_check.check,
            secret_in_path=True,
            form=routemobile_webhook.FORM,
            own_codes="alir.providers.routemobile",
        ),
    }
)
