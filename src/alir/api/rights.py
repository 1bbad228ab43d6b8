"""Who may use a route."""

from fastapi import Request

from alir.api.door import authenticated, require_scope
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

    async def admin(self, request: Request) -> ApiToken:
        """An API token that may do what touches more than its own messages."""
        return await self._with(Scope.ADMIN, request)

    async def _with(self, scope: Scope, request: Request) -> ApiToken:
        token = await authenticated(request.headers.get("authorization"), self._tokens)
        require_scope(token, scope)
        return token
