"""Senders: how they fare, and what an operator can do about it."""

from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Path, Request, Response

from alir import strictjson
from alir.api import door
from alir.api.documented import COMMON, needs, problems
from alir.api.ports import Gateway
from alir.api.problems import Problem, Refusal
from alir.api.rights import Rights
from alir.api.sender_shapes import SENDER_NAME, SenderAnswer, SendersAnswer
from alir.ids import SenderName
from alir.intake.pausing import EXAMPLE, PauseRequest, PauseWanted, read_pause
from alir.intake.tokens import ApiToken, Scope

#: Far more than a pause has to say, in bytes.
BODY_LIMIT: Final = 16 * 1024

_PAUSE_BODY: Final[dict[str, Any]] = {
    "required": False,
    "content": {
        "application/json": {
            "schema": {"$ref": f"#/components/schemas/{PauseRequest.__name__}"},
            "example": EXAMPLE,
        }
    },
}
_OF_A_BODY: Final = (
    "invalid_json",
    "request_timeout",
    "payload_too_large",
    "unsupported_media_type",
)


def router(gateway: Gateway, rights: Rights) -> APIRouter:
    """The routes, over this gateway."""
    routes = APIRouter(tags=["senders"])
    senders = gateway.senders
    Reader = Annotated[ApiToken, Depends(rights.read)]  # noqa: N806 - a type
    Admin = Annotated[ApiToken, Depends(rights.admin)]  # noqa: N806 - a type
    Name = Annotated[  # noqa: N806 - a type
        str,
        Path(
            description="The sender's name, as in the settings.",
            json_schema_extra={"pattern": SENDER_NAME},
            examples=["sandbox"],
        ),
    ]

    def visible(name: str, token: ApiToken) -> SenderName:
        if name not in senders.names or not token.may_use(name):
            mine = ", ".join(one for one in senders.names if token.may_use(one)) or "none"
            detail = f"No sender that you may use has this name. Senders: {mine}."
            raise Refusal(Problem("not_found", detail))
        return SenderName(name)

    async def shown(sender: SenderName) -> Response:
        [found] = await senders.show([sender])
        return _json({"data": found})

    @routes.get(
        "/senders",
        summary="List senders",
        openapi_extra=needs(Scope.READ),
        response_model=SendersAnswer,
        response_description="All of them.",
        responses=problems(*COMMON),
    )
    async def list_senders(token: Reader) -> Response:
        """Those that the API token may use: what holds them, their limits, and what waits."""
        mine = [name for name in senders.names if token.may_use(name)]
        return _json({"data": await senders.show(mine), "next_cursor": None})

    @routes.post(
        "/senders/{name}/pause",
        summary="Pause a sender",
        openapi_extra=needs(Scope.ADMIN) | {"requestBody": _PAUSE_BODY},
        response_model=SenderAnswer,
        response_description="The sender as it stands now.",
        responses=problems(*COMMON, *_OF_A_BODY, "not_found"),
    )
    async def pause_sender(name: Name, request: Request) -> Response:
        """Nothing of it goes out until somebody resumes it, or until the moment in `until`.

        Messages to it are taken all the same, and wait. A second pause changes reason and end of
        the first.
        """
        token, asked = await _asked(request, gateway)
        sender = visible(name, token)
        await senders.pause(sender, title=asked.title, until=asked.until)
        return await shown(sender)

    @routes.post(
        "/senders/{name}/resume",
        summary="Resume a sender",
        openapi_extra=needs(Scope.ADMIN),
        response_model=SenderAnswer,
        response_description="The sender as it stands now.",
        responses=problems(*COMMON, "not_found"),
    )
    async def resume_sender(name: Name, token: Admin) -> Response:
        """End all that holds it, whoever began it: what holds the account, for all its senders."""
        sender = visible(name, token)
        await senders.resume(sender)
        return await shown(sender)

    return routes


async def _asked(request: Request, gateway: Gateway) -> tuple[ApiToken, PauseWanted]:
    """Who wants the pause, and what it is to be; checked in the order of the hot routes."""
    incoming = door.Request(request.scope, request.receive)
    token = await door.authenticated(incoming.header(b"authorization"), gateway.tokens)
    body = await incoming.body(limit=BODY_LIMIT, seconds=door.BODY_SECONDS)
    content: object = {}
    if body:
        door.require_json(incoming.header(b"content-type"))
        content = strictjson.parse(body)
    door.require_scope(token, Scope.ADMIN)
    return token, read_pause(content, now=gateway.clock.now())


def _json(content: object) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")
