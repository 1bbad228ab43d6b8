"""`/callbacks/…`: what providers tell. Stored raw, answered, then applied."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from alir.api import door
from alir.api.connection import is_here
from alir.api.door import Disconnected, Request, respond, respond_problem
from alir.api.ports import CallbackRoute, Gateway
from alir.api.problems import CALLBACK_RETRY, Problem, Refusal, problem_of
from alir.api.room import NoRoom, Room
from alir.errors import StoreUnavailable
from alir.receipts.ports import CallbackRequest

#: The parameter of the path, where a secret stands in it.
SECRET: Final = "secret"  # noqa: S105 - a name

#: Memory for bodies of callbacks that are not here to their end, of which nobody knows yet who
#: sent them: twenty of the largest that Meta sends, which have 3 MB. Those of the usual size, some
#: hundred bytes, are here with their head, and need none of it.
ROOM_BYTES = 64 * 1024 * 1024

#: As if there were no such path: what is wrong with a guess is nobody's business.
_NO_SUCH_SECRET: Final = Problem("not_found", "There is nothing at this path; see /docs.")


class Callback:
    """`POST`: a callback of one provider.

    Args:
        room: for the bodies of all providers' callbacks that are not here to their end.
    """

    def __init__(self, gateway: Gateway, provider: str, room: Room) -> None:
        self._gateway = gateway
        self._provider = provider
        self._room = room
        self._route = gateway.callbacks[provider]
        self._refusal = _refusal(self._route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = self._gateway
        begun = gateway.clock.elapsed()
        request = Request(scope, receive)
        secret = scope.get("path_params", {}).get(SECRET)
        try:
            if is_here(receive):
                body = await request.body(
                    limit=gateway.limits.callback_bytes, seconds=door.CALLBACK_BODY_SECONDS
                )
            else:
                body = await self._arrival(request, secret)
            callback = CallbackRequest(request.headers(), body, secret)
            if await gateway.inbox.take(self._provider, callback):
                await respond(send, 200, b"", media_type="text/plain")
            else:
                await respond_problem(send, self._refusal, request.path)
        except Disconnected:
            return  # the provider sends it again
        except Refusal as refusal:
            await respond_problem(send, refusal.problem, request.path)
        except StoreUnavailable as error:
            await respond_problem(send, problem_of(error), request.path)
        finally:
            gateway.measure.answered("callback", gateway.clock.elapsed() - begun)

    async def _arrival(self, request: Request, secret: str | None) -> bytes:
        """The body of a callback that is still on its way.

        Raises:
            Refusal: as of `Request.body`; nobody's secret will show, whatever comes; or there is
                no room for it.
            Disconnected: the provider went away.
        """
        limit, seconds = self._gateway.limits.callback_bytes, door.CALLBACK_BODY_SECONDS
        if not self._may_be_signed(request, secret):
            # Its sender is answered as if it had come whole.
            await request.body(limit=limit, seconds=seconds, keep=False)
            raise Refusal(self._refusal)
        try:
            with self._room.share() as share:
                return await request.body(limit=limit, seconds=seconds, share=share)
        except NoRoom:
            pass  # what came of it is forgotten by the time that the rest is thrown away
        self._gateway.inbox.turned_away()
        await request.drain()
        detail = "Too many callbacks are on their way; nothing of this one was stored."
        headers = CALLBACK_RETRY | {"connection": "close"}
        raise Refusal(Problem("too_many_callbacks", detail, headers=headers))

    def _may_be_signed(self, request: Request, secret: str | None) -> bool:
        """Whether somebody's secret may show once the body is here."""
        if self._route.secret_in_path:
            shown = CallbackRequest(request.headers(), b"", secret)
            return self._gateway.inbox.knows(self._provider, shown)
        signature = self._route.form.signature
        return signature is None or request.header(signature.header.lower().encode()) is not None


def _refusal(route: CallbackRoute) -> Problem:
    """What a callback is answered that nobody's secret shows."""
    if route.secret_in_path:
        return _NO_SUCH_SECRET
    signature = route.form.signature
    what = "The callback" if signature is None else signature.header
    return Problem("bad_signature", f"{what} is not made with the secret of any sender.")


class HandshakeAnswer:
    """`GET`: a provider checks the callback URL, and wants its challenge back as it sent it."""

    def __init__(self, gateway: Gateway, provider: str) -> None:
        self._handshake = gateway.handshakes[provider]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        query = dict(parse_qsl(request.query.decode("latin-1"), keep_blank_values=True))
        challenge = self._handshake.challenge_answer(query)
        if challenge is None:
            detail = "hub.verify_token is not the verify_token of any sender, or none is set."
            await respond_problem(send, Problem("not_found", detail), request.path)
        else:
            await respond(send, 200, challenge.encode(), media_type="text/plain; charset=utf-8")
