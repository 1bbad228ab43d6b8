"""What the contract asks of the author of a provider."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, ClassVar

from alir.providers.registry import Kind
from alir.receipts.ports import CallbackRequest
from alir.testing.messages import MessageKind
from alir.testing.samples import Answer, Picked, Receipt
from alir.testing.server import Reply, Request


class Asked(ABC):
    """A provider, with samples of all that it says and is told.

    Attributes:
        kind: its entry in the registry.
        secrets: the keys of the sender's table whose secrets a send shows.
        callback_secret: the key of the secret that callbacks are signed with, or that ends their
            path.
        answers: answers to sends after the provider's documents: at least one that takes, one that
            refuses, one that is busy; and each other kind that the provider has.
        messages: the kinds that it takes; all others must be refused.
        others: items of callbacks that are neither receipts nor messages of people.
    """

    kind: ClassVar[Kind[Any]]
    secrets: ClassVar[Sequence[str]]
    callback_secret: ClassVar[str]
    answers: ClassVar[Sequence[Answer]]
    messages: ClassVar[Collection[MessageKind]]
    others: ClassVar[Sequence[object]]

    # Sends

    @abstractmethod
    def table(self, base_url: str, number: int) -> dict[str, Any]:
        """The table of sender `number`, 1 or 2, with everything but what all providers share.

        Args:
            base_url: where the server of the tests listens, such as `http://127.0.0.1:4711`.
            number: the two senders have no id and no secret in common; a secret should be like no
                other text, such as `api-key-of-1`.
        """

    @abstractmethod
    def picked(self, request: Request) -> Picked:
        """What a send says, in alir's words."""

    def before_send(self, request: Request) -> Reply | None:
        """The answer to a request that is no send, such as a log-in; None: it is a send."""
        del request
        return None

    def shows(self, request: Request, secret: str) -> bool:
        """Whether this request, or one before it, was made with this secret.

        As it stands: whether the secret is in it. Override it where a request is signed.
        """
        return secret.encode() in request.raw

    # Callbacks

    @abstractmethod
    def secured(self, body: bytes, secret: str) -> CallbackRequest:
        """A callback as the provider sends it to somebody with this secret."""

    @abstractmethod
    def receipt(self, told: Receipt) -> object:
        """An item of a callback that says this, as the JSON object that the provider sends."""

    @property
    def failed_code(self) -> int | None:
        """A code that failed receipts have: that of the first sample with one."""
        return next((one.code for one in self.answers if one.code is not None), None)

    @abstractmethod
    def wrote(self, wa_id: str, at: datetime) -> object:
        """An item of a callback: this person wrote. None: the provider has no such callbacks."""

    @abstractmethod
    def callback(self, items: Sequence[object], number: int) -> bytes:
        """One callback for sender `number`.

        Args:
            items: made by `receipt` and `wrote`, or out of `others`, or broken in some way. What
                cannot be told to be something else goes where receipts go.
        """
