"""From a request to a message on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from alir import strictjson
from alir.clock import Clock
from alir.errors import (
    AlirError,
    Fault,
    NotFound,
    RequestInvalid,
    SenderForbidden,
    StoreUnavailable,
)
from alir.ids import ProviderId, SenderName, new_message_id
from alir.intake.ports import Dispatch, IdempotencyKey, Messages, Stored
from alir.intake.tokens import ApiToken
from alir.messages.check import check
from alir.messages.faults import pointer
from alir.messages.model import WAMID, Draft, Message, Notice, OnUnknown, Status


class Checked(NamedTuple):
    """A request that breaks no rule, with what was decided about it."""

    draft: Draft
    sender: SenderName
    reply_to: ProviderId | None


class Intake:
    """Checks requests and stores messages.

    Args:
        senders: by name, in the order of the settings, what a message does by default when its
            outcome is unknown.
    """

    def __init__(
        self,
        messages: Messages,
        dispatch: Dispatch,
        senders: Mapping[SenderName, OnUnknown],
        clock: Clock,
    ) -> None:
        self._messages = messages
        self._dispatch = dispatch
        self._senders = senders
        self._clock = clock

    async def check(self, request: object, token: ApiToken) -> Checked:
        """Everything that can be said of a request without storing it.

        Raises:
            SenderForbidden: it names a sender that the API token may not use.
            RequestInvalid: all broken rules at once.
        """
        named = _named_sender(request)
        if named in self._senders and not token.may_use(str(named)):
            raise SenderForbidden("This API token may not use that sender.")
        faults: list[Fault] = []
        sender = choose_sender(named, token, tuple(self._senders))
        if isinstance(sender, Fault):
            faults.append(sender)
        try:
            draft = check(request)
        except RequestInvalid as error:
            raise RequestInvalid(in_order([*error.faults, *faults], request)) from None
        reply = None
        if draft.reply_message_id is not None and not isinstance(sender, Fault):
            reply = await self._reply(draft, draft.reply_message_id, token, sender)
        if isinstance(reply, Fault):
            faults.append(reply)
        if isinstance(sender, Fault) or isinstance(reply, Fault):
            raise RequestInvalid(in_order(faults, request))
        if isinstance(reply, Notice):
            return Checked(replace(draft, warnings=(*draft.warnings, reply)), sender, None)
        return Checked(draft, sender, reply)

    async def accept(
        self, checked: Checked, request: object, token: ApiToken, key: str | None
    ) -> Stored:
        """Store the message; or find the one that an earlier request with this key made.

        Raises:
            RequestInvalid: it has expired already.
            IdempotencyConflict: the key stands for another request.
            StoreUnavailable: nothing was stored, or (`in_doubt`) nobody can say.
        """
        now = self._clock.now()
        draft = checked.draft
        key_and_hash = None
        if key is not None:
            digest = hashlib.sha256(strictjson.canonical(request)).digest()
            key_and_hash = IdempotencyKey(key, digest)
        if draft.expires_at is not None and draft.expires_at <= now:
            # The repeat of a request that was in time is answered like the first.
            earlier = (
                await self._messages.replayed(token.id, key_and_hash) if key_and_hash else None
            )
            if earlier is None:
                raise RequestInvalid([_EXPIRED])
            return Stored(earlier, replayed=True)
        due_at = now if draft.send_at is None else max(draft.send_at, now)
        message = Message(
            id=new_message_id(),
            token_id=token.id,
            sender=checked.sender,
            to=draft.to,
            type=draft.type,
            flow=draft.flow,
            on_unknown=draft.on_unknown or self._senders[checked.sender],
            created_at=now,
            due_at=due_at,
            first_due_at=due_at,
            reply_to=checked.reply_to,
            reply_message_id=draft.reply_message_id,
            callback_data=draft.callback_data,
            priority=draft.priority,
            send_at=draft.send_at,
            expires_at=draft.expires_at,
            warnings=draft.warnings,
        )
        return await self._store(message, key_and_hash, now)

    async def _store(self, message: Message, key: IdempotencyKey | None, now: datetime) -> Stored:
        """Store it, begun already where there is room for it right now."""
        admitted_at = None
        if message.due_at <= now:
            place = self._dispatch.admit(message)
            admitted_at = place.admitted_at
            if place.due_at is not None:
                message = message.but(due_at=place.due_at)
        try:
            stored = await self._messages.accept(message, key, begin=admitted_at is not None)
        except StoreUnavailable as error:
            if admitted_at is not None:
                self._dispatch.dismiss(message, in_doubt=error.in_doubt)
            if error.in_doubt:
                raise StoreUnavailable(str(error), in_doubt=True, message_id=message.id) from error
            raise
        except BaseException as error:
            if admitted_at is not None:
                # Of a caller that was cancelled, the write goes on all the same.
                in_doubt = not isinstance(error, AlirError)
                self._dispatch.dismiss(message, in_doubt=in_doubt)
            raise
        if admitted_at is not None:
            if stored.replayed or stored.message.status is not Status.SENDING:
                self._dispatch.dismiss(message, in_doubt=False)
            else:
                self._dispatch.hand_over(stored.message, admitted_at)
        return stored

    async def _reply(
        self, draft: Draft, replied: str, token: ApiToken, sender: SenderName
    ) -> ProviderId | Notice | Fault:
        """The WhatsApp id that the bubble quotes; a warning where it is not known yet."""
        try:
            message = await self._messages.find(replied)
        except NotFound:
            known = replied.startswith(WAMID)  # incoming ones too, which alir never saw
            return ProviderId(replied) if known else _NO_SUCH_MESSAGE
        if not token.may_use(message.sender):
            return _NO_SUCH_MESSAGE
        if message.to != draft.to or message.sender != sender:
            return _OTHER_CONVERSATION
        wamids = [a.whatsapp_id for a in message.attempts if a.whatsapp_id is not None]
        return wamids[-1] if wamids else _NO_BUBBLE


def in_order(faults: Sequence[Fault], request: object) -> list[Fault]:
    """Faults in the order in which a request has their fields; what it lacks comes last.

    >>> [f.pointer for f in in_order([Fault("#/to", "", ""), Fault("#/from", "", "")], {"from": 1})]
    ['#/from', '#/to']
    """
    keys = list(request) if isinstance(request, dict) else []
    places = {pointer((key,)): place for place, key in enumerate(keys)}

    def place(fault: Fault) -> int:
        outermost = "/".join(fault.pointer.split("/", 2)[:2])
        return places.get(outermost, len(places))

    return sorted(faults, key=place)


def choose_sender(
    named: str | None, token: ApiToken, senders: Sequence[SenderName]
) -> SenderName | Fault:
    """The sender that a request means: the one it names, or the API token's only or default one."""
    allowed = senders if token.senders is None else [s for s in senders if token.may_use(s)]
    if named is None and len(allowed) == 1:
        return allowed[0]
    names = ", ".join(allowed) or "none"
    if named is not None:
        if named in allowed:
            return SenderName(named)
        return Fault(
            "#/from", "unknown_sender", f"There is no sender of that name. Senders: {names}."
        )
    if token.default_sender is not None and token.default_sender in allowed:
        return token.default_sender
    if not allowed:
        return Fault(
            "#/from",
            "missing",
            "This API token can use no sender that is configured; add one to alir.toml, or bind "
            "the API token to another.",
        )
    return Fault(
        "#/from",
        "missing",
        f"This API token has more than one sender and no default: say which. Senders: {names}.",
    )


def _named_sender(request: Any) -> str | None:
    named = request.get("from") if isinstance(request, dict) else None
    return named if isinstance(named, str) else None


_EXPIRED = Fault("#/expires_at", "in_the_past", "This moment has passed already.")
_NO_SUCH_MESSAGE = Fault(
    "#/reply_message_id",
    "unknown_message",
    "alir knows no message with this id. Take the `id` of an earlier answer, or a WhatsApp "
    "message id (wamid…).",
)
_OTHER_CONVERSATION = Fault(
    "#/reply_message_id",
    "other_conversation",
    "That message went to somebody else, or from another sender; a reply stays in its "
    "conversation.",
)
_NO_BUBBLE = Notice(
    "reply_not_shown",
    "#/reply_message_id",
    "The WhatsApp id of that message is not known yet, so this one is sent without quoting it.",
)
