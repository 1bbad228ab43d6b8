"""What authors of providers give samples of: answers, receipts, and what a request says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto

import orjson

from alir.errors import PauseScope
from alir.messages.model import ReceiptStatus
from alir.testing.server import Reply


class Means(Enum):
    """What a message came to."""

    TAKEN = auto()
    REFUSED = auto()
    WINDOW_SHUT = auto()
    BUSY = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer to a send, after the provider's documents. The functions below make them.

    Attributes:
        name: shown in the name of the test.
        body: bytes as they are; anything else is written as JSON.
        pauses: what stands still besides this message, where it is busy.
        code: the error's code, where failed receipts have codes of the same table.
        requests: how many sends the provider sees, the message being taken by none but the last.
        retry_after: the wait that it asks for, where that must be heeded.
        provider_id, wa_id, request_id: what `Sent` must say.
    """

    name: str
    status: int
    body: object
    means: Means
    headers: Mapping[str, str] = field(default_factory=dict)
    pauses: PauseScope | None = None
    code: int | None = None
    requests: int = 1
    retry_after: timedelta | None = None
    provider_id: str = ""
    wa_id: str | None = None
    request_id: str | None = None

    @property
    def content(self) -> bytes:
        """The body as it goes over the line."""
        return self.body if isinstance(self.body, bytes) else orjson.dumps(self.body)

    def reply(self, *, keep: bool = False) -> Reply:
        """As the server plays it."""
        return Reply.http(self.status, self.content, headers=self.headers, keep=keep)


def taken(
    status: int,
    body: object,
    *,
    provider_id: str,
    wa_id: str | None = None,
    request_id: str | None = None,
    name: str = "taken",
) -> Answer:
    """The provider took the message."""
    return Answer(
        name=name,
        status=status,
        body=body,
        means=Means.TAKEN,
        provider_id=provider_id,
        wa_id=wa_id,
        request_id=request_id,
    )


def refused(status: int, body: object, *, code: int | None = None, name: str = "refused") -> Answer:
    """The provider did not take it, and never will."""
    return Answer(name=name, status=status, body=body, means=Means.REFUSED, code=code)


def window_shut(
    status: int, body: object, *, code: int | None = None, name: str = "window shut"
) -> Answer:
    """Refused, because the person last wrote more than 24 hours ago."""
    return Answer(name=name, status=status, body=body, means=Means.WINDOW_SHUT, code=code)


def busy(
    status: int,
    body: object,
    *,
    pauses: PauseScope | None = None,
    code: int | None = None,
    headers: Mapping[str, str] | None = None,
    retry_after: timedelta | None = None,
    requests: int = 1,
    name: str = "",
) -> Answer:
    """The provider certainly did not take it; later it may."""
    return Answer(
        name=name or f"busy, pauses {pauses or 'nothing'}",
        status=status,
        body=body,
        means=Means.BUSY,
        pauses=pauses,
        code=code,
        headers=headers or {},
        retry_after=retry_after,
        requests=requests,
    )


def unknown(status: int, body: object, *, name: str = "unknown") -> Answer:
    """Nobody can say whether the provider took it."""
    return Answer(name=name, status=status, body=body, means=Means.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a receipt is to say.

    Attributes:
        provider_id: the id of the message, as `Sent` had it.
        wa_id: the recipient's digits; leave them out where the provider's receipts have none. Where
            the item has them, `Told.wa_id` must have them too.
        mark: what `picked` found in the request; None: leave it out.
        code: why it failed; None of any other status.
    """

    status: ReceiptStatus
    provider_id: str
    at: datetime
    wa_id: str
    mark: str | None = None
    code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """What a request says, in alir's words; None: it says nothing of the kind.

    Attributes:
        to: the recipient's number; a plus sign before it does not matter.
        user_id: the recipient's business-scoped user id.
        header, media: the header's text, or the URL of its image.
        data: for the first screen, as the JSON object that the message has.
        button_index: of the template's Flow button, from 0.
        texts: of a template's body, in order.
        mark: of the attempt, unread.
        sender: whose message it is, as a value of sender 1's table, such as its number; the
            suite looks at it where it is given.
    """

    to: str | None = None
    user_id: str | None = None
    reply_to: str | None = None
    flow_id: str | None = None
    flow_token: str | None = None
    button: str | None = None
    action: str | None = None
    screen: str | None = None
    data: object = None
    mode: str | None = None
    header: str | None = None
    media: str | None = None
    body: str | None = None
    footer: str | None = None
    template: str | None = None
    language: str | None = None
    button_index: int | None = None
    texts: Sequence[str] | None = None
    mark: str | None = None
    sender: str | None = None
