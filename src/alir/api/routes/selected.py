"""What can be done about all the messages that filters select."""

from collections.abc import AsyncIterator
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from alir.api.documented import COMMON, needs, problems
from alir.api.ports import Gateway
from alir.api.problems import STORE_RETRY, Problem, Refusal
from alir.api.queries import MOST_FAULTS, FilterQuery, repeated, require_filter
from alir.api.rights import Rights
from alir.api.shapes import CancelledAnswer, RetriedAnswer
from alir.errors import RequestInvalid, StoreUnavailable
from alir.intake.selection import Step
from alir.intake.tokens import ApiToken, Scope


def router(gateway: Gateway, rights: Rights) -> APIRouter:
    """The routes, over this gateway."""
    routes = APIRouter(tags=["messages"])
    Sender = Annotated[ApiToken, Depends(rights.send)]  # noqa: N806 - a type
    Filter = Annotated[FilterQuery, Query()]  # noqa: N806 - a type

    @routes.post(
        "/messages/cancel",
        summary="Cancel many messages",
        openapi_extra=needs(Scope.SEND),
        response_model=CancelledAnswer,
        response_description="How many were cancelled.",
        responses=problems(*COMMON),
    )
    async def cancel_messages(token: Sender, query: Filter, request: Request) -> Response:
        """Take back all that the filters select; at least one filter is needed.

        What is accepted after the call is left alone. It may be called again at any time.
        """
        _check(query, request)
        return await _done(gateway.selection.cancel(query.filters(token)), "cancelled")

    @routes.post(
        "/messages/retry",
        summary="Send many messages again",
        openapi_extra=needs(Scope.SEND),
        response_model=RetriedAnswer,
        response_description="How many were queued once more.",
        responses=problems(*COMMON),
    )
    async def retry_messages(token: Sender, query: Filter, request: Request) -> Response:
        """Queue all that the filters select and that failed or is unknown once more.

        At least one filter is needed. An unknown message may arrive twice.
        """
        _check(query, request)
        return await _done(gateway.selection.retry(query.filters(token)), "retried")

    return routes


def _check(query: FilterQuery, request: Request) -> None:
    if faults := repeated(request.query_params.multi_items()):
        raise RequestInvalid(faults[:MOST_FAULTS])
    require_filter(query)


async def _done(steps: AsyncIterator[Step], what: str) -> Response:
    changed = skipped = 0
    try:
        async for step in steps:
            changed += step.changed
            skipped += step.skipped
    except StoreUnavailable:
        detail = (
            f"The store could not be used any more. {changed} messages were {what} before, perhaps "
            "a few more; repeat it for the others."
        )
        raise Refusal(Problem("store_unavailable", detail, headers=STORE_RETRY)) from None
    answer = {"data": {what: changed, "skipped": skipped}}
    return Response(orjson.dumps(answer), media_type="application/json")
