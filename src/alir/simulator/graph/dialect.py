"""Calling back as Meta does."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from alir.simulator.callbacks import Item
from alir.simulator.graph import wire


class GraphDialect:
    """Signed callbacks in Meta's envelope.

    Attributes:
        callback_url: where they go; settable at any time. `None`: nobody is told.
    """

    def __init__(self, *, app_secret: str, callback_url: str | None = None) -> None:
        self.callback_url = callback_url
        self._app_secret = app_secret

    def url(self, sender: str) -> str | None:  # noqa: ARG002 (an app has one URL for all)
        return self.callback_url

    def lane(self, item: Item) -> Hashable:  # noqa: ARG002 (a request may tell of all senders)
        return None

    def callback(self, items: Sequence[Item]) -> tuple[Mapping[str, str], bytes]:
        body = wire.callback(items)
        headers = {
            "content-type": "application/json",
            "x-hub-signature-256": wire.sign(self._app_secret, body),
        }
        return headers, body
