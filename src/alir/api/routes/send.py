"""`POST /messages`: the hot route, bytes in and bytes out."""

from __future__ import annotations

from typing import NamedTuple

import orjson
from starlette.types import Receive, Scope, Send

from alir import strictjson
from alir.api import door
from alir.api.answers import answer_of
from alir.api.door import (
    Disconnected,
    Request,
    authenticated,
    known_holder,
    require_json,
    require_scope,
    respond,
    respond_problem,
)
from alir.api.ports import Gateway
from alir.api.prefer import Preference, preference
from alir.api.problems import Problem, Refusal, problem_of
from alir.errors import AlirError
from alir.intake.tokens import Scope as TokenScope
from alir.messages.model import Message, Status


class _Taken(NamedTuple):
    """A request that was stored, and how its caller wants to be answered."""

    message: Message
    replayed: bool
    wanted: Preference


class SendMessage:
    """The endpoint, as an ASGI application."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = self._gateway.clock.elapsed()
        request = Request(scope, receive)
        try:
            await self._answer(send, await self._take(request))
        except Disconnected:
            return  # nobody is there to be answered, and nothing was stored
        except Refusal as refusal:
            await respond_problem(send, refusal.problem, request.path)
        except AlirError as error:
            await respond_problem(send, problem_of(error), request.path)
        finally:
            self._gateway.measure.answered("send", self._gateway.clock.elapsed() - begun)

    async def _take(self, request: Request) -> _Taken:
        gateway = self._gateway
        bearer = request.header(b"authorization")
        token = known_holder(bearer, gateway.tokens) or await authenticated(bearer, gateway.tokens)
        body = await request.body(limit=gateway.limits.message_bytes, seconds=door.BODY_SECONDS)
        require_json(request.header(b"content-type"))
        content = strictjson.parse(body)
        require_scope(token, TokenScope.SEND)
        wanted = preference(
            request.every(b"prefer"),
            default=gateway.limits.default_wait,
            longest=gateway.limits.longest_wait,
        )
        key = request.header(b"idempotency-key")
        stored = await gateway.intake.accept(content, token, key)
        if not stored.replayed:
            gateway.measure.stored(stored.message)
        return _Taken(stored.message, stored.replayed, wanted)

    async def _answer(self, send: Send, taken: _Taken) -> None:
        message, seconds = taken.message, self._wait(taken)
        if seconds:
            message = await self._gateway.waiting.settled(message, seconds, replayed=taken.replayed)
        answer = answer_of(message)
        headers = []
        if taken.wanted.applied is not None:
            headers.append(("preference-applied", taken.wanted.applied))
        if taken.replayed:
            headers.append(("idempotency-replayed", "true"))
        if isinstance(answer, Problem):
            problem = Problem(answer.code, answer.detail, answer.more, dict(headers))
            await respond_problem(send, problem, f"/api/whatsapp/v1/messages/{message.id}")
        else:
            status, body = answer
            await respond(send, status, orjson.dumps(body), headers=headers)

    def _wait(self, taken: _Taken) -> float:
        """How long to wait: not at all where it is known not to be settled in time.

        What waits for a busy provider is waited for like anything else: that a repeat finds it
        so is no reason to be answered sooner than the first.
        """
        message, seconds = taken.message, taken.wanted.seconds
        if not seconds or message.status is not Status.QUEUED:
            return seconds
        if message.send_at is not None and message.send_at > self._gateway.clock.now():
            return 0
        if self._gateway.expected_wait(message).total_seconds() > seconds:
            return 0
        return seconds
