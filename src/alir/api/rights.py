"""Who may use a route, and how its document says so."""

from typing import Any

from fastapi import Request

from alir.api.door import authenticated, require_scope
from alir.api.problems import MEDIA_TYPE, TYPES
from alir.api.shapes import ProblemShape
from alir.intake.tokens import ApiToken, Scope, TokenBook


class Rights:
    """Dependencies that answer with the API token of a request, or end it."""

    def __init__(self, tokens: TokenBook) -> None:
        self._tokens = tokens

    async def read(self, request: Request) -> ApiToken:
        """An API token that may read."""
        return await self._with(Scope.READ, request)

    async def send(self, request: Request) -> ApiToken:
        """An API token that may send."""
        return await self._with(Scope.SEND, request)

    async def _with(self, scope: Scope, request: Request) -> ApiToken:
        token = await authenticated(request.headers, self._tokens)
        require_scope(token, scope)
        return token


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems of a route, for its document."""
    return {
        status: {
            "description": "; ".join(k.title for k in TYPES.values() if k.status == status),
            "content": {MEDIA_TYPE: {"schema": _schema_reference()}},
        }
        for status in statuses
    }


def _schema_reference() -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{ProblemShape.__name__}"}
