"""`/callbacks/cloud`: what Meta tells. Stored raw, answered, then applied."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from alir.api import door
from alir.api.door import Disconnected, Request, respond, respond_problem
from alir.api.ports import Gateway
from alir.api.problems import Problem, Refusal, problem_of
from alir.errors import StoreUnavailable
from alir.receipts.ports import CallbackRequest

PROVIDER = "cloud"


class CloudCallback:
    """`POST`: a callback."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = self._gateway
        begun = gateway.clock.elapsed()
        request = Request(scope, receive)
        try:
            body = await request.body(
                limit=gateway.limits.callback_bytes, seconds=door.CALLBACK_BODY_SECONDS
            )
            if await gateway.inbox.take(PROVIDER, CallbackRequest(request.headers(), body)):
                await respond(send, 200, b"", media_type="text/plain")
            else:
                detail = "X-Hub-Signature-256 is not that of any sender's app secret."
                await respond_problem(send, Problem("bad_signature", detail), request.path)
        except Disconnected:
            return  # Meta sends it again
        except Refusal as refusal:
            await respond_problem(send, refusal.problem, request.path)
        except StoreUnavailable as error:
            await respond_problem(send, problem_of(error), request.path)
        finally:
            gateway.measure.answered("callback", gateway.clock.elapsed() - begun)


class CloudHandshake:
    """`GET`: Meta checks the callback URL, and wants its challenge back as it sent it."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        query = dict(parse_qsl(request.query.decode("latin-1"), keep_blank_values=True))
        challenge = self._gateway.handshake.challenge_answer(query)
        if challenge is None:
            detail = "hub.verify_token is not the verify_token of any sender, or none is set."
            await respond_problem(send, Problem("not_found", detail), request.path)
        else:
            await respond(send, 200, challenge.encode(), media_type="text/plain; charset=utf-8")
