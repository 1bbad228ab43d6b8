"""`POST /messages/batch`: many messages in one request, and an answer for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import orjson
from starlette.types import Receive, Scope, Send

from alir import strictjson
from alir.api import door
from alir.api.answers import answer_of
from alir.api.door import (
    JSON,
    Disconnected,
    Request,
    authenticated,
    require_scope,
    required_type,
    respond,
    respond_problem,
)
from alir.api.ports import Gateway
from alir.api.problems import BATCH_RETRY, Problem, Refusal, problem_of
from alir.api.room import Room
from alir.clock import Breath
from alir.errors import AlirError, Fault, RequestInvalid
from alir.intake.batch import MOST_MESSAGES
from alir.intake.idempotency import HEADER
from alir.intake.ports import Stored
from alir.intake.tokens import ApiToken
from alir.intake.tokens import Scope as TokenScope
from alir.strictjson import Element

NDJSON: Final = "application/x-ndjson"

#: Memory for the bodies of batches, those that are still on their way included: eight of the
#: largest, or some hundreds of the usual size. Past that a batch is refused before it is read.
ROOM_BYTES = 128 * 1024 * 1024
#: How many batches are taken at once, out of bodies that are here: what is made of a body takes up
#: some times as much memory.
AT_ONCE: Final = 4
#: How long a batch that is here waits for its turn: a hundred of the usual size have theirs in it.
TURN_SECONDS = 10.0
#: After so much is read the event loop gets to do other things: 1 ms.
_STEP_BYTES: Final = 64 * 1024
#: What a message costs whose text is short, in bytes that cost the same.
_BYTES_OF_EACH: Final = 500


class SendBatch:
    """The endpoint, as an ASGI application."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._room = Room(ROOM_BYTES)
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = self._gateway.clock.elapsed()
        request = Request(scope, receive)
        try:
            token = await authenticated(request.header(b"authorization"), self._gateway.tokens)
            answers = await self._take(request, token)
            await respond(send, 200, orjson.dumps({"data": self._items(answers, request.path)}))
        except Disconnected:
            return  # nobody is there to be answered, and nothing was stored
        except Refusal as refusal:
            await respond_problem(send, refusal.problem, request.path)
        except AlirError as error:
            await respond_problem(send, problem_of(error), request.path)
        finally:
            self._gateway.measure.answered("batch", self._gateway.clock.elapsed() - begun)

    async def _take(self, request: Request, token: ApiToken) -> list[Stored | AlirError]:
        limit = self._gateway.limits.batch_bytes
        size = limit if request.declared is None else min(request.declared, limit)
        if not self._room.has(size):
            await request.drain()
            detail = "Too many batches are on their way; nothing of this one was stored."
            headers = BATCH_RETRY | {"connection": "close"}
            raise Refusal(Problem("too_many_batches", detail, headers=headers))
        with self._room.taken(size):
            body = await request.body(limit=limit, seconds=door.BODY_SECONDS)
            form = required_type(request.header(b"content-type"), JSON, NDJSON)
            async with self._turn():
                elements = await self._read(body, form)
                require_scope(token, TokenScope.SEND)
                _require_batch(elements, request)
                return await self._gateway.batches.accept(elements, token)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            detail = f"Other batches came first for {TURN_SECONDS:g} seconds; nothing was stored."
            raise Refusal(Problem("too_many_batches", detail, headers=BATCH_RETRY)) from None
        try:
            yield
        finally:
            self._turns.release()

    async def _read(self, body: bytes, form: str) -> list[Element]:
        """The messages of the body; where there are too many, one more than there may be."""
        largest = self._gateway.limits.message_bytes
        elements: list[Element] = []
        breath = Breath(_STEP_BYTES)
        for element in _elements(body, form, largest):
            if element is not None:
                elements.append(element)
            if len(elements) > MOST_MESSAGES:
                break
            await breath.after(_STEP_BYTES if element is None else element.size + _BYTES_OF_EACH)
        return elements

    def _items(self, answers: list[Stored | AlirError], path: str) -> list[dict[str, Any]]:
        for answer in answers:
            if isinstance(answer, Stored) and not answer.replayed:
                self._gateway.measure.stored(answer.message)
        return [_item(index, answer, path) for index, answer in enumerate(answers)]


def _elements(body: bytes, form: str, largest: int) -> Iterator[Element | None]:
    if form == NDJSON:
        return strictjson.parse_lines(body, largest=largest)
    if strictjson.is_array(body):
        return strictjson.parse_elements(body, largest=largest)
    if len(body) <= largest:
        strictjson.parse(body)  # a fault of its JSON is told first
    detail = (
        "a list of messages belongs here, [ … ]; with one message a line, say "
        f"Content-Type: {NDJSON}"
    )
    raise RequestInvalid([Fault("#", "wrong_type", detail)])


def _require_batch(elements: list[Element], request: Request) -> None:
    """Raise `RequestInvalid` unless there are messages, and not too many."""
    faults = []
    if not elements:
        faults.append(Fault("#", "too_short", "a batch has at least one message"))
    if len(elements) > MOST_MESSAGES:
        detail = f"at most {MOST_MESSAGES} messages; send the others in another batch"
        faults.append(Fault("#", "too_long", detail))
    if request.header(b"idempotency-key") is not None:
        detail = "give each message of a batch its own idempotency_key, beside `to`"
        faults.append(Fault(HEADER, "not_supported", detail))
    if faults:
        raise RequestInvalid(faults)


def _item(index: int, answer: Stored | AlirError, path: str) -> dict[str, Any]:
    """What the single request would have been answered with."""
    if isinstance(answer, Stored):
        found = answer_of(answer.message)
        instance = f"{path.removesuffix('/batch')}/{answer.message.id}"
        if not isinstance(found, Problem):
            status, body = found
            return {"index": index, "status": status, **body}
    else:
        found, instance = problem_of(answer), path
    return {"index": index, "status": found.status, "problem": found.as_json(instance)}
