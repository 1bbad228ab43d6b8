"""Calling back as Route Mobile does: to one URL for each user, and without a signature."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

from alir.simulator.behaviour import RouteMobile
from alir.simulator.callbacks import Heard, Item
from alir.simulator.routemobile import wire


class RouteMobileDialect:
    """Callbacks in the envelope that the behaviour wants.

    Attributes:
        callback_url: where they go for users without a URL of their own; `None`: nowhere.
        callback_urls: by username.
    """

    def __init__(
        self, style: Callable[[], RouteMobile], *, callback_urls: Mapping[str, str]
    ) -> None:
        self.callback_url: str | None = None
        self.callback_urls = dict(callback_urls)
        self._style = style

    def url(self, sender: str) -> str | None:
        return self.callback_urls.get(sender, self.callback_url)

    def lane(self, item: Item) -> Hashable:
        """Receipts of one user share requests; what persons write comes alone."""
        return item.written.wamid if isinstance(item, Heard) else (item.sender,)

    def callback(self, items: Sequence[Item]) -> tuple[Mapping[str, str], bytes]:
        return {"content-type": "application/json"}, wire.callback(items, self._style())
