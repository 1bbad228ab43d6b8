"""Messages: one, a list of them, and what can still be done about one."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic_core import to_json

from alir.api.documented import COMMON, needs, problems
from alir.api.ports import Gateway
from alir.api.problems import Refusal, invalid_request
from alir.api.rights import Rights
from alir.api.shapes import MessageAnswer, MessagesAnswer
from alir.errors import Fault, NotFound, RequestInvalid
from alir.intake.ports import Filters
from alir.intake.tokens import ApiToken, Scope
from alir.messages import life
from alir.messages.model import Message, Status
from alir.messages.phone import read_number

LARGEST_PAGE = 200
DEFAULT_PAGE = 50
#: No id that alir ever gave out is longer, nor any of WhatsApp's that was ever seen.
LONGEST_ID = 256
_LONGEST_CURSOR = 32
_LONGEST_FILTER = 1024


class ListQuery(BaseModel):
    """What `GET /messages` can be asked."""

    model_config = ConfigDict(extra="forbid")

    status: Status | None = Field(None, description="Where the messages stand.")
    to: str | None = Field(None, max_length=64, description="The recipient's number.")
    flow_id: str | None = Field(None, max_length=_LONGEST_FILTER, description="The Flow's id.")
    flow_token: str | None = Field(None, max_length=_LONGEST_FILTER, description="The flow token.")
    from_: str | None = Field(None, alias="from", max_length=64, description="A sender's name.")
    since: AwareDatetime | None = Field(None, description="Accepted at this moment or later.")
    until: AwareDatetime | None = Field(None, description="Accepted before this moment.")
    limit: int = Field(DEFAULT_PAGE, ge=1, le=LARGEST_PAGE, description="The most on one page.")
    cursor: str | None = Field(
        None, max_length=_LONGEST_CURSOR, description="`next_cursor` of the page before."
    )

    def as_filters(self, token: ApiToken) -> Filters:
        """The filters, narrowed to the senders that the API token may use."""
        return Filters(
            senders=token.senders,
            status=None if self.status is None else self.status.value,
            to=None if self.to is None else _number(self.to),
            flow_id=self.flow_id,
            flow_token=self.flow_token,
            sender=self.from_,
            since=self.since,
            until=self.until,
        )


def router(gateway: Gateway, rights: Rights) -> APIRouter:
    """The routes, over this gateway."""
    routes = APIRouter(tags=["messages"])
    Reader = Annotated[ApiToken, Depends(rights.read)]  # noqa: N806 - a type
    Sender = Annotated[ApiToken, Depends(rights.send)]  # noqa: N806 - a type
    AnyId = Annotated[str, Path(alias="id", max_length=LONGEST_ID)]  # noqa: N806 - a type

    async def visible(any_id: str, token: ApiToken) -> Message:
        message = await gateway.messages.find(any_id)
        if not token.may_use(message.sender):
            raise NotFound("a message of a sender that this API token may not use")
        return message

    @routes.get(
        "/messages",
        summary="List messages",
        openapi_extra=needs(Scope.READ),
        response_model=MessagesAnswer,
        response_description="A page of messages.",
        responses=problems(*COMMON),
    )
    async def list_messages(token: Reader, query: Annotated[ListQuery, Query()]) -> Response:
        """Newest first, narrowed by the filters; `next_cursor` is the next page's `cursor`."""
        before = None if query.cursor is None else _place(query.cursor)
        found, more = await gateway.messages.page(
            query.as_filters(token), limit=query.limit, before=before
        )
        cursor = None if more is None else _cursor(more)
        return _json({"data": [m.as_json() for m in found], "next_cursor": cursor})

    @routes.get(
        "/messages/{id}",
        summary="Get a message",
        openapi_extra=needs(Scope.READ),
        response_model=MessageAnswer,
        response_description="The message.",
        responses=problems(*COMMON, "not_found"),
    )
    async def get_message(any_id: AnyId, token: Reader) -> Response:
        """By its `id`, its `request_id`, or its WhatsApp message id."""
        return _message(await visible(any_id, token))

    @routes.post(
        "/messages/{id}/cancel",
        summary="Cancel a message",
        openapi_extra=needs(Scope.SEND),
        response_model=MessageAnswer,
        response_description="The message as it stands now.",
        responses=problems(*COMMON, "not_found", "too_late"),
    )
    async def cancel_message(any_id: AnyId, token: Sender) -> Response:
        """Take a queued message back. An unknown one ends as failed: it may have arrived."""
        message = await visible(any_id, token)
        return _message(await gateway.messages.change(message, life.cancel))

    @routes.post(
        "/messages/{id}/retry",
        summary="Send a message again",
        openapi_extra=needs(Scope.SEND),
        response_model=MessageAnswer,
        response_description="The message as it stands now.",
        responses=problems(*COMMON, "not_found", "too_late"),
    )
    async def retry_message(any_id: AnyId, token: Sender) -> Response:
        """Queue a failed or unknown message once more. An unknown one may arrive twice."""
        message = await visible(any_id, token)
        now = gateway.clock.now()
        return _message(await gateway.messages.change(message, lambda m: life.retry(m, now=now)))

    return routes


def _number(text: str) -> str:
    """The number as it is stored. In a query string a `+` means a space; so it is read as one."""
    lost_plus = text.startswith(" ")
    try:
        return read_number(f"+{text.strip()}" if lost_plus else text).e164
    except RequestInvalid as error:
        raise Refusal(invalid_request(error.faults)) from None


def _cursor(place: int) -> str:
    return urlsafe_b64encode(place.to_bytes(8)).decode().rstrip("=")


def _place(cursor: str) -> int:
    try:
        place = int.from_bytes(urlsafe_b64decode(f"{cursor}="))
    except (binascii.Error, ValueError):
        place = 0
    if not 0 < place < 1 << 63:
        detail = "Not a cursor: take `next_cursor` of the page before, as it is."
        raise Refusal(invalid_request([Fault("#/cursor", "invalid_cursor", detail)]))
    return place


def _message(message: Message) -> Response:
    return _json({"data": message.as_json()})


def _json(content: object) -> Response:
    return Response(to_json(content), media_type="application/json")
