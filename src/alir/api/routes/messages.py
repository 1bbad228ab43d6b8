"""Messages: one, a list of them, and what can still be done about one."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from starlette.convertors import StringConvertor, register_url_convertor

from alir.api.documented import COMMON, needs, problems
from alir.api.ports import Gateway
from alir.api.queries import MOST_FAULTS, ListQuery, cursor_of, repeated
from alir.api.rights import Rights
from alir.api.shapes import MessageAnswer, MessagesAnswer
from alir.errors import NotFound, RequestInvalid
from alir.intake.tokens import ApiToken, Scope
from alir.messages import life
from alir.messages.limits import REPLY_MESSAGE_ID
from alir.messages.model import Message


class AnyIdConvertor(StringConvertor):
    """An id in a path. WhatsApp's are base64, which has slashes; `%2F` is one by now.

    The names of what is done to many messages are none.
    """

    regex = r"wamid\..+|(?!(?:batch|cancel|retry)(?:/|$))[^/]+"


def router(gateway: Gateway, rights: Rights) -> APIRouter:
    """The routes, over this gateway."""
    register_url_convertor("any_id", AnyIdConvertor())
    routes = APIRouter(tags=["messages"])
    Reader = Annotated[ApiToken, Depends(rights.read)]  # noqa: N806 - a type
    Sender = Annotated[ApiToken, Depends(rights.send)]  # noqa: N806 - a type
    AnyId = Annotated[  # noqa: N806 - a type
        str,
        Path(
            alias="id",
            description="Any id of the message: `id`, `request_id`, or WhatsApp's.",
            examples=["msg_01JDA3V8Q2Z7K4M9N6P5R1S0TX"],
        ),
    ]

    async def visible(any_id: str, token: ApiToken) -> Message:
        if len(any_id) > REPLY_MESSAGE_ID:
            raise NotFound("no message has an id of this length")
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
    async def list_messages(
        token: Reader, query: Annotated[ListQuery, Query()], request: Request
    ) -> Response:
        """Newest first, narrowed by the filters; `next_cursor` is the next page's `cursor`."""
        if faults := repeated(request.query_params.multi_items()):
            raise RequestInvalid(faults[:MOST_FAULTS])
        found, more = await gateway.messages.page(
            query.filters(token), limit=query.limit, before=query.before
        )
        next_cursor = None if more is None else cursor_of(more)
        return _json({"data": [m.as_json() for m in found], "next_cursor": next_cursor})

    @routes.get(
        "/messages/{id:any_id}",
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
        "/messages/{id:any_id}/cancel",
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
        "/messages/{id:any_id}/retry",
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


def _message(message: Message) -> Response:
    return _json({"data": message.as_json()})


def _json(content: object) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")
