"""Many messages at once: each is checked by itself, and all are stored together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from alir.clock import Breath
from alir.errors import AlirError, Fault
from alir.ids import SenderName
from alir.intake.accept import Intake
from alir.intake.idempotency import key_of
from alir.intake.ports import Dispatch, IdempotencyKey, Messages, New, Stored
from alir.intake.tokens import ApiToken
from alir.messages.model import Message, Priority
from alir.strictjson import Element

#: The most in one batch. Source: design, section 3.4.
MOST_MESSAGES: Final = 1_000

#: After so much is checked the event loop gets to do other things: some 30 messages of the usual
#: size, 2 ms; or one of the largest.
_STEP_BYTES: Final = 64 * 1024
#: What a message costs whose text is short, in bytes that cost the same.
_BYTES_OF_EACH: Final = 1_500

_KEY: Final = "idempotency_key"
_KEY_POINTER: Final = f"#/{_KEY}"


class Batches:
    """Stores batches of messages. None of them is begun with that; they wait for their turn."""

    def __init__(self, intake: Intake, messages: Messages, dispatch: Dispatch) -> None:
        self._intake = intake
        self._messages = messages
        self._dispatch = dispatch

    async def accept(
        self, elements: Sequence[Element], token: ApiToken
    ) -> list[Stored | AlirError]:
        """What became of each, in their order; the errors are those of `Intake.accept`.

        Args:
            elements: requests, each with its own `idempotency_key` if any; or what is wrong with
                one, which is answered as it is.
        """
        made: list[New | Stored | AlirError] = []
        of_sender: Counter[SenderName] = Counter()
        breath = Breath(_STEP_BYTES)
        for value, size in elements:
            one = await self._prepare(value, token, of_sender)
            if isinstance(one, New):
                of_sender[one.message.sender] += 1
            made.append(one)
            await breath.after(size + _BYTES_OF_EACH)
        new = [self._lined_up(one) for one in made if isinstance(one, New)]
        stored = iter(await self._messages.accept_all(new))
        return [next(stored) if isinstance(one, New) else one for one in made]

    async def _prepare(
        self, value: object, token: ApiToken, beside: Counter[SenderName]
    ) -> New | Stored | AlirError:
        if isinstance(value, AlirError):
            return value
        request, key = _parted(value)
        try:
            made = await self._intake.prepare(
                request, token, key, priority=Priority.BULK, beside=beside
            )
        except AlirError as error:
            return error  # of this one; it is no other's
        if isinstance(made, Stored):
            return made
        usable = key if isinstance(key, IdempotencyKey) else None
        return New(made, usable, refuse_shut=self._intake.refuses_shut(made))

    def _lined_up(self, new: New) -> New:
        message: Message = new.message
        if message.due_at > message.created_at:
            return new
        parked = self._dispatch.line_up(message)
        return new if parked is None else new._replace(message=message.but(parked=parked))


def _parted(value: object) -> tuple[object, IdempotencyKey | Fault | None]:
    """A request as `POST /messages` takes it, and its key: the same as in the header there."""
    if not isinstance(value, dict) or _KEY not in value:
        return value, None
    request = {name: each for name, each in value.items() if name != _KEY}
    given = value[_KEY]
    if given is None:
        return request, None
    if not isinstance(given, str):
        return request, Fault(_KEY_POINTER, "wrong_type", "a text belongs here")
    return request, key_of(given, request, at=_KEY_POINTER)
