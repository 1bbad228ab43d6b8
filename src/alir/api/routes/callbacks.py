"""`/callbacks/…`: what providers tell. Stored raw, answered, then applied."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from alir.api import door
from alir.api.door import Disconnected, Request, respond, respond_problem
from alir.api.ports import CallbackRoute, Gateway
from alir.api.problems import Problem, Refusal, problem_of
from alir.errors import StoreUnavailable
from alir.receipts.ports import CallbackRequest

#: The parameter of the path, where a secret stands in it.
SECRET: Final = "secret"  # noqa: S105 - a name

#: As if there were no such path: what is wrong with a guess is nobody's business.
_NO_SUCH_SECRET: Final = Problem("not_found", "There is nothing at this path; see /docs.")


class Callback:
    """`POST`: a callback of one provider."""

    def __init__(self, gateway: Gateway, provider: str) -> None:
        self._gateway = gateway
        self._provider = provider
        self._refusal = _refusal(gateway.callbacks[provider])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = self._gateway
        begun = gateway.clock.elapsed()
        request = Request(scope, receive)
        secret = scope.get("path_params", {}).get(SECRET)
        try:
            body = await request.body(
                limit=gateway.limits.callback_bytes, seconds=door.CALLBACK_BODY_SECONDS
            )
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
