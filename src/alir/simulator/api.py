"""The simulator's own API: what came, what a person writes, how WhatsApp behaves."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from alir.clock import from_milliseconds, rfc3339, to_milliseconds
from alir.errors import Fault
from alir.simulator.asgi import BodyTooLarge, ClientGone, read_body
from alir.simulator.behaviour import Behaviour
from alir.simulator.codes import title
from alir.simulator.phones import Call, Receipt, Received
from alir.simulator.problems import Problem
from alir.simulator.recipients import is_user_id, label
from alir.simulator.simulator import PHONE_NUMBER_ID, Simulator

BODY_MAX = 64 * 1024  # bytes
TEXT_MAX = 4096  # characters, as in WhatsApp
NAME_MAX = 128
#: Messages written between two looks at what else is to be done.
CHUNK = 500
DEFAULT_NAME = "Sandbox Person"

_DIGITS = range(7, 16)
#: A time zone whose plus sign became a space on its way through a query string.
_LOST_PLUS = re.compile(r" (?=[0-9]{2}:[0-9]{2}$)")
_Shape = TypeVar("_Shape", bound=BaseModel)


class Writing(BaseModel):
    """What a person writes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: Annotated[str, StringConstraints(min_length=1, max_length=TEXT_MAX)]
    sender: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    name: Annotated[str, StringConstraints(min_length=1, max_length=NAME_MAX)] = DEFAULT_NAME


def api_routes(simulator: Simulator) -> list[Route]:
    """The routes below `/api`."""
    api = Api(simulator)
    return [
        Route("/api/messages", api.list_messages, methods=["GET"]),
        Route("/api/messages", api.forget_messages, methods=["DELETE"]),
        Route("/api/errors", api.count_errors, methods=["GET"]),
        Route("/api/phones/{number}/messages", api.write, methods=["POST"]),
        Route("/api/behaviour", api.get_behaviour, methods=["GET"]),
        Route("/api/behaviour", api.set_behaviour, methods=["PUT"]),
    ]


class Api:
    """The endpoints. Each raises `Problem` for a request that it cannot answer."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def list_messages(self, request: Request) -> Response:
        """Messages that came, oldest first; filters `to`, `sender`, `since`."""
        _know_only(request, "to", "sender", "since")
        to = request.query_params.get("to")
        sender = request.query_params.get("sender")
        since = request.query_params.get("since")
        messages = self._simulator.phones.received(None if to is None else recipient(to, "#/to"))
        if sender is not None:
            messages = [message for message in messages if message.sender == sender]
        if since is not None:
            start = _moment(since)
            messages = [message for message in messages if message.at >= start]
        return StreamingResponse(_listing(messages), media_type="application/json")

    async def forget_messages(self, request: Request) -> Response:
        """Forgets all messages, errors and debts. Receipts that are under way still come."""
        _know_only(request)
        self._simulator.carrier.forget()
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def count_errors(self, request: Request) -> Response:
        """How often each error code was given."""
        _know_only(request)
        errors = self._simulator.carrier.errors
        return _data({str(code): errors[code] for code in sorted(errors)})

    async def write(self, request: Request) -> Response:
        """The person at a phone writes to the sender that last wrote to it, or to `sender`."""
        _know_only(request, "sender")
        phone = recipient(request.path_params["number"], "#/number")
        writing = await _read(request, Writing)
        last = self._simulator.phones.last_received(phone)
        sender = writing.sender or request.query_params.get("sender") or (last and last.sender)
        if not sender:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "No sender has written to this phone yet, so say which one the person writes to:"
                f' "sender": "{PHONE_NUMBER_ID}" in the body, or ?sender={PHONE_NUMBER_ID}.',
            )
        written = self._simulator.write(
            phone=phone, sender=sender, text=writing.text, name=writing.name
        )
        return _data(
            {
                "wamid": written.wamid,
                "provider": written.provider,
                "from": label(phone),
                "sender": sender,
                "written_at": rfc3339(from_milliseconds(written.at)),
                "text": written.text,
            }
        )

    async def get_behaviour(self, request: Request) -> Response:
        """How WhatsApp behaves."""
        _know_only(request)
        return _data(self._simulator.behaviour.model_dump(mode="json"))

    async def set_behaviour(self, request: Request) -> Response:
        """Sets the whole behaviour; what is left out gets its default."""
        _know_only(request)
        self._simulator.behaviour = await _read(request, Behaviour)
        return await self.get_behaviour(request)


def recipient(written: str, pointer: str) -> str:
    """A user id as it is, or the digits of a phone number; `+`, spaces and the like are ignored.

    Raises:
        Problem: it has letters, or too few or too many digits.
    """
    if is_user_id(written):
        return written
    found = re.sub(r"[+ ()./\\-]", "", written)
    if not (found.isascii() and found.isdigit() and len(found) in _DIGITS):
        detail = (
            "A phone number has a country code and 7 to 15 digits in all, such as +15551230001."
        )
        fault = Fault(pointer, "invalid_number", detail)
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, [fault])
    return found


def receipt_json(receipt: Receipt) -> dict[str, Any]:
    """A receipt, its error where there is one, and how telling of it went."""
    shown: dict[str, Any] = {
        "status": receipt.status.value,
        "at": rfc3339(from_milliseconds(receipt.at)),
    }
    if receipt.code is not None:
        shown["error"] = {"code": receipt.code, "title": title(receipt.code)}
    return shown | {"callback": _call_json(receipt.call)}


def _call_json(call: Call) -> dict[str, Any]:
    return {"state": call.state.value, "tries": call.tries, "problem": call.problem}


async def _listing(messages: Sequence[Received]) -> AsyncIterator[bytes]:
    yield b'{"data":['
    for start in range(0, len(messages), CHUNK):
        part = b",".join(_message_json(message) for message in messages[start : start + CHUNK])
        yield b"," + part if start else part
        await asyncio.sleep(0)
    yield b"]}"


def _message_json(message: Received) -> bytes:
    shown = to_json(
        {
            "wamid": message.wamid,
            "provider": message.provider,
            "sender": message.sender,
            "to": label(message.phone),
            "received_at": rfc3339(from_milliseconds(message.at)),
            "receipts": [receipt_json(receipt) for receipt in message.receipts],
        }
    )
    # The body was JSON when it came, so it goes in as it is.
    return b'%s,"request":%s}' % (shown[:-1], message.body)


def _data(value: object) -> Response:
    return Response(to_json({"data": value}), media_type="application/json")


def _know_only(request: Request, *known: str) -> None:
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        choices = ", ".join(known) or "none"
        faults = [
            Fault(f"#/{name[:64]}", "unknown_parameter", f"Known here: {choices}.")
            for name in unknown
        ]
        detail = f"Unknown query parameter; known here: {choices}."
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, faults)


def _moment(text: str) -> int:
    """Milliseconds since 1970 of an RFC 3339 moment."""
    try:
        moment = datetime.fromisoformat(_LOST_PLUS.sub("+", text))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        detail = "since must be a moment with a time zone, such as 2026-01-31T08:00:00Z."
        fault = Fault("#/since", "invalid_moment", detail)
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, [fault])
    return to_milliseconds(moment)


async def _read(request: Request, shape: type[_Shape]) -> _Shape:
    """The body as `shape`. It must say that it is JSON: pages of other sites cannot."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        detail = "Send the body as JSON, with Content-Type: application/json."
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
    try:
        body = await read_body(request.receive, most=BODY_MAX)
    except BodyTooLarge:
        detail = f"The body may have {BODY_MAX} bytes at most."
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail) from None
    except ClientGone:
        raise Problem(HTTPStatus.BAD_REQUEST, "The request was cut off.") from None
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        raise _invalid(error) from error


def _invalid(error: ValidationError) -> Problem:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if any(each["type"] == "json_invalid" for each in found):
        return Problem(HTTPStatus.BAD_REQUEST, found[0]["msg"])
    faults = [
        Fault("#" + "".join(f"/{step}" for step in each["loc"]), each["type"], each["msg"])
        for each in found
    ]
    detail = f"{len(faults)} thing(s) in the body cannot be used; see errors."
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, faults)
