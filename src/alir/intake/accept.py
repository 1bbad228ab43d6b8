"""From a request to a message on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, NamedTuple, NoReturn

from alir.clock import Clock
from alir.errors import (
    AlirError,
    Fault,
    IdempotencyConflict,
    NotFound,
    QueueFull,
    RequestInvalid,
    SenderForbidden,
    StoreUnavailable,
)
from alir.ids import MessageId, ProviderId, SenderName, new_message_id
from alir.intake.idempotency import key_of
from alir.intake.ports import Dispatch, IdempotencyKey, Messages, Stored
from alir.intake.tokens import ApiToken
from alir.messages.check import check
from alir.messages.faults import pointer
from alir.messages.model import WAMID, Draft, Message, Notice, OnUnknown, Priority, Status
from alir.messages.moment import read_moment
from alir.messages.phone import read_number

_NONE: Final[Mapping[SenderName, int]] = {}


class Checked(NamedTuple):
    """A request that breaks no rule, with what was decided about it."""

    draft: Draft
    sender: SenderName
    reply_to: ProviderId | None


@dataclass(frozen=True, slots=True)
class SenderRules:
    """What a sender's settings say of the messages that go out from it.

    Attributes:
        on_unknown: what a message does by default when its outcome is unknown.
        by_user_id: whether it may go to a business-scoped user id.
        refuses_closed_window: whether a Flow message is refused where the person's 24-hour window
            is known to be shut; else it is warned of.
    """

    on_unknown: OnUnknown
    by_user_id: bool
    refuses_closed_window: bool


class _Asked(NamedTuple):
    """What of a request is judged by more than the request. None: not there, or not readable.

    Attributes:
        person: the number or the business-scoped user id.
    """

    person: str | None
    recipient: str | None
    reply_message_id: str | None
    expires_at: datetime | None


class Intake:
    """Checks requests and stores messages.

    Args:
        senders: by name, in the order of the settings.
    """

    def __init__(
        self,
        messages: Messages,
        dispatch: Dispatch,
        senders: Mapping[SenderName, SenderRules],
        clock: Clock,
        new_id: Callable[[], MessageId] = new_message_id,
    ) -> None:
        self._messages = messages
        self._dispatch = dispatch
        self._senders = senders
        self._clock = clock
        self._new_id = new_id

    async def accept(self, request: object, token: ApiToken, given_key: str | None) -> Stored:
        """Store a message; or find the one that an earlier request with this key made.

        The repeat of a request that was taken is answered from its message, whatever has become
        of the senders, of the message that it replies to, or of the time since then.

        Args:
            request: the parsed body.
            given_key: the Idempotency-Key as it came, if any.

        Raises:
            SenderForbidden: it names a sender that the API token may not use.
            RequestInvalid: all broken rules at once.
            QueueFull: no more messages of the sender may wait.
            IdempotencyConflict: the key stands for another request.
            StoreUnavailable: nothing was stored, or (`in_doubt`) nobody can say.
        """
        key = None if given_key is None else key_of(given_key, request)
        made = await self.prepare(request, token, key)
        if isinstance(made, Stored):
            return made
        return await self._store(made, key if isinstance(key, IdempotencyKey) else None)

    async def prepare(
        self,
        request: object,
        token: ApiToken,
        key: IdempotencyKey | Fault | None,
        *,
        priority: Priority = Priority.SINGLE,
        beside: Mapping[SenderName, int] = _NONE,
    ) -> Message | Stored:
        """The message that a request asks for, to be stored; or one that it is answered from.

        Args:
            key: the Idempotency-Key, or why it cannot be used.
            priority: where the request says nothing of it.
            beside: how many others are about to be stored with it, by sender.

        Raises:
            As `accept`.
        """
        try:
            sender, draft, asked, faults = self._read(request, token)
            reply = None
            if asked.reply_message_id is not None:
                reply = await self._reply(asked.reply_message_id, asked.person, token, sender)
            faults += [found for found in (sender, reply, key) if isinstance(found, Fault)]
            if faults or draft is None or isinstance(sender, Fault) or isinstance(reply, Fault):
                raise RequestInvalid(in_order(faults, request))  # noqa: TRY301 - a repeat is answered all the same
            checked = _checked(draft, sender, reply)
            if self._dispatch.room(checked.sender) <= beside.get(checked.sender, 0):
                _refuse_for_room()
        except (SenderForbidden, RequestInvalid, QueueFull):
            earlier = None if key is None else await self._earlier(token, key)
            if earlier is None:
                raise
            return Stored(earlier, replayed=True)
        return self._message(checked, token, priority)

    def refuses_shut(self, message: Message) -> bool:
        """Whether it is not to be stored where its window is known to be shut."""
        return self._senders[message.sender].refuses_closed_window

    def _read(
        self, request: object, token: ApiToken
    ) -> tuple[SenderName | Fault, Draft | None, _Asked, list[Fault]]:
        """All that can be said of a request without asking the store.

        Returns:
            Its sender; the draft, where no rule is broken; what else is judged; broken rules.

        Raises:
            SenderForbidden: it names a sender that the API token may not use.
        """
        named = _named_sender(request)
        if named in self._senders and not token.may_use(str(named)):
            raise SenderForbidden("This API token may not use that sender.")
        sender = choose_sender(named, token, tuple(self._senders))
        faults: list[Fault] = []
        draft: Draft | None = None
        try:
            draft = check(request)
            person, recipient = draft.to or draft.recipient, draft.recipient
            asked = _Asked(person, recipient, draft.reply_message_id, draft.expires_at)
        except RequestInvalid as error:
            faults.extend(error.faults)
            asked = _readable(request, error.faults)
        if asked.expires_at is not None and asked.expires_at <= self._clock.now():
            faults.append(_EXPIRED)
        if asked.recipient is not None and not isinstance(sender, Fault):
            faults += () if self._senders[sender].by_user_id else (_BY_USER_ID,)
        return sender, draft, asked, faults

    async def _earlier(self, token: ApiToken, key: IdempotencyKey | Fault) -> Message | None:
        """The message of an earlier, equal request; its key's other requests are not told of."""
        if isinstance(key, Fault):
            return None
        try:
            return await self._messages.replayed(token.id, key)
        except IdempotencyConflict:
            return None

    def _message(self, checked: Checked, token: ApiToken, priority: Priority) -> Message:
        now = self._clock.now()
        draft = checked.draft
        due_at = now if draft.send_at is None else max(draft.send_at, now)
        return Message(
            id=self._new_id(),
            token_id=token.id,
            sender=checked.sender,
            to=draft.to,
            recipient=draft.recipient,
            type=draft.type,
            flow=draft.flow,
            template=draft.template,
            fallback=draft.fallback,
            on_unknown=draft.on_unknown or self._senders[checked.sender].on_unknown,
            created_at=now,
            due_at=due_at,
            first_due_at=due_at,
            reply_to=checked.reply_to,
            reply_message_id=draft.reply_message_id,
            callback_data=draft.callback_data,
            priority=draft.priority or priority,
            send_at=draft.send_at,
            expires_at=draft.expires_at,
            warnings=draft.warnings,
        )

    async def _store(self, message: Message, key: IdempotencyKey | None) -> Stored:
        """Store it, begun already where there is room for it right now."""
        admitted_at = fence = None
        if message.due_at <= message.created_at:
            place = self._dispatch.admit(message)
            admitted_at, fence = place.admitted_at, place.fence
            if place.parked is not None:
                message = message.but(parked=place.parked)
        try:
            stored = await self._messages.accept(
                message,
                key,
                begin=admitted_at is not None,
                fence=fence,
                refuse_shut=self.refuses_shut(message),
            )
        except StoreUnavailable as error:
            if admitted_at is not None:
                self._dispatch.dismiss(message, admitted_at, in_doubt=error.in_doubt)
            if error.in_doubt:
                raise StoreUnavailable(str(error), in_doubt=True, message_id=message.id) from error
            raise
        except BaseException as error:
            if admitted_at is not None:
                # Of a caller that was cancelled, the write goes on all the same.
                in_doubt = not isinstance(error, AlirError)
                self._dispatch.dismiss(message, admitted_at, in_doubt=in_doubt)
            raise
        if stored.doubt is not None:
            if admitted_at is not None:
                was_to_be_begun = stored.message.status is Status.SENDING
                self._dispatch.dismiss(stored.message, admitted_at, in_doubt=was_to_be_begun)
            raise StoreUnavailable(
                str(stored.doubt), in_doubt=True, message_id=message.id
            ) from stored.doubt
        if admitted_at is not None:
            if stored.replayed or stored.message.status is not Status.SENDING:
                self._dispatch.dismiss(message, admitted_at, in_doubt=False)
            else:
                self._dispatch.hand_over(stored.message, admitted_at)
        return stored

    async def _reply(
        self, replied: str, person: str | None, token: ApiToken, sender: SenderName | Fault
    ) -> ProviderId | Notice | Fault:
        """The WhatsApp id that the bubble quotes; a warning where it is not known yet.

        Where nobody can tell to whom or from whom the reply goes, that is not held against it.
        """
        try:
            message = await self._messages.find(replied)
        except NotFound:
            known = replied.startswith(WAMID)  # incoming ones too, which alir never saw
            return ProviderId(replied) if known else _NO_SUCH_MESSAGE
        if not token.may_use(message.sender):
            return _NO_SUCH_MESSAGE
        is_elsewhere = not isinstance(sender, Fault) and message.sender != sender
        if is_elsewhere or (person is not None and message.person != person):
            return _OTHER_CONVERSATION
        wamids = [a.whatsapp_id for a in message.attempts if a.whatsapp_id is not None]
        return wamids[-1] if wamids else _NO_BUBBLE


def _checked(draft: Draft, sender: SenderName, reply: ProviderId | Notice | None) -> Checked:
    if isinstance(reply, Notice):
        return Checked(replace(draft, warnings=(*draft.warnings, reply)), sender, None)
    return Checked(draft, sender, reply)


def _refuse_for_room() -> NoReturn:
    raise QueueFull("As many messages of this sender wait as may.")


def _readable(request: object, faults: Sequence[Fault]) -> _Asked:
    """What can be read of a refused request, so that all that is wrong with it is told at once."""
    body = request if isinstance(request, dict) else {}
    wrong = {fault.pointer for fault in faults}
    to, recipient, replied, expires_at = (
        given if isinstance(given := body.get(name), str) else None
        for name in ("to", "recipient", "reply_message_id", "expires_at")
    )
    if _RECIPIENT in wrong:
        recipient = None
    if _REPLY in wrong:
        replied = None
    person = moment = None
    if to is not None or recipient is not None:
        with suppress(RequestInvalid):
            person = recipient if to is None else read_number(to).e164
    if expires_at is not None:
        with suppress(RequestInvalid):
            moment = read_moment(expires_at, "")
    return _Asked(person, recipient, replied, moment)


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
            "This API token can use no sender that is configured: add one of its senders to "
            "alir.toml, or make an API token for another one with alir token create.",
        )
    return Fault(
        "#/from",
        "missing",
        f"This API token has more than one sender and no default: say which. Senders: {names}.",
    )


def _named_sender(request: Any) -> str | None:
    named = request.get("from") if isinstance(request, dict) else None
    return named if isinstance(named, str) else None


_REPLY = "#/reply_message_id"
_RECIPIENT = "#/recipient"
_EXPIRED = Fault("#/expires_at", "in_the_past", "This moment has passed already.")
_BY_USER_ID = Fault(
    _RECIPIENT,
    "not_supported",
    "This sender does not send to business-scoped user ids. Send to a number; or, at the Cloud API "
    "and once Meta has opened it to the account, set recipients_by_user_id = true for this sender.",
)
_NO_SUCH_MESSAGE = Fault(
    _REPLY,
    "unknown_message",
    "alir knows no message with this id. Take the `id` of an earlier answer, or a WhatsApp "
    "message id (wamid…).",
)
_OTHER_CONVERSATION = Fault(
    _REPLY,
    "other_conversation",
    "That message went to somebody else, or from another sender; a reply stays in its "
    "conversation.",
)
_NO_BUBBLE = Notice(
    "reply_not_shown",
    _REPLY,
    "The WhatsApp id of that message is not known yet, so this one is sent without quoting it.",
)
