"""What callbacks tell, in the objects that every provider hands on from WhatsApp.

Source: Meta, "Webhooks" and the message status reference, read 2026-09-14. Route Mobile adds
`message_id`, `extra` and the statuses of templates: Route Mobile, WhatsApp Business API, callbacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from alir.ids import ProviderId, SenderName
from alir.messages import life
from alir.messages.model import WAMID, ReceiptStatus
from alir.providers import lenient
from alir.providers.whatsapp import mark
from alir.providers.whatsapp.codes import Table
from alir.providers.whatsapp.failure import code_of, undelivered
from alir.providers.whatsapp.naming import words_of
from alir.receipts.model import Heard, Told

_STATUSES: Final = {status.value: status for status in ReceiptStatus}
#: Of a template's approval or pause, in the list of receipts.
_NO_RECEIPT: Final = "event"

Value = Mapping[str, Any]  #: what holds `statuses` and `messages`


def told_in(
    value: Value, sender: SenderName, now: datetime, table: Table
) -> Iterator[Told | Heard]:
    """What one `value` of a callback tells: first who wrote, then the receipts.

    What is of another kind, or not of the documented form, is passed over, item by item.
    """
    people = _people(value)
    for message in as_list(value.get("messages")):
        if (heard := _heard(sender, message, now, people)) is not None:
            yield heard
    for status in as_list(value.get("statuses")):
        if (told := _told(sender, status, now, people, table)) is not None:
            yield told


def values_in(content: object) -> Iterator[tuple[object, Value]]:
    """Every `value` of a callback in Meta's envelope, each with its `field`."""
    for entry in as_list(content.get("entry") if isinstance(content, dict) else None):
        for change in as_list(entry.get("changes") if isinstance(entry, dict) else None):
            value = change.get("value") if isinstance(change, dict) else None
            if isinstance(value, dict):
                yield change.get("field"), value


def as_list(value: object) -> list[Any]:
    """The list that this is, or an empty one."""
    return value if isinstance(value, list) else []


class _People(NamedTuple):
    """Whom a callback names by digits and by user id, each found by the other."""

    digits: Mapping[str, str]
    user_ids: Mapping[str, str]


def _people(value: Value) -> _People:
    """Source: Meta, "Business-scoped user IDs": `contacts` has `wa_id` and `user_id`."""
    digits, user_ids = {}, {}
    for contact in as_list(value.get("contacts")):
        match contact:
            case {"wa_id": str(said), "user_id": str(user_id)} if said and user_id:
                wa_id = said.removeprefix("+")
                digits[user_id], user_ids[wa_id] = wa_id, user_id
    return _People(digits, user_ids)


def _heard(sender: SenderName, message: Any, now: datetime, people: _People) -> Heard | None:
    """The person wrote. Who is known by a user id only has no `from`."""
    if not isinstance(message, dict):
        return None
    wa_id, user_id = _digits(message.get("from")), _text(message.get("from_user_id"))
    wa_id = wa_id or people.digits.get(user_id or "")
    user_id = user_id or people.user_ids.get(wa_id or "")
    if wa_id is None and user_id is None:
        return None
    ids = (_text(message.get("message_id")), _text(message.get("id")))
    return Heard(
        sender=sender,
        at=lenient.moment(message.get("timestamp"), now),
        wa_id=wa_id,
        user_id=user_id,
        wamid=next((one for one in ids if one is not None and one.startswith(WAMID)), None),
    )


def _told(
    sender: SenderName, status: Any, now: datetime, people: _People, table: Table
) -> Told | None:
    match status:
        case {"type": kind} if kind == _NO_RECEIPT:
            return None
        case {"id": str(id_), "status": str(word)} if id_ and word in _STATUSES:
            wa_id, wamid = _digits(status.get("recipient_id")), _text(status.get("message_id"))
            user_id = _text(status.get("recipient_user_id"))
            said = status.get("biz_opaque_callback_data", status.get("extra"))
            return Told(
                sender=sender,
                provider_id=ProviderId(id_),
                status=_STATUSES[word],
                at=lenient.moment(status.get("timestamp"), now),
                mark=mark.read(said),
                wa_id=wa_id,
                user_id=user_id or people.user_ids.get(wa_id or ""),
                wamid=None if wamid is None else ProviderId(wamid),
                error=_error(_STATUSES[word], as_list(status.get("errors")), table),
            )
    return None


def _error(status: ReceiptStatus, errors: list[Any], table: Table) -> Mapping[str, Any] | None:
    """The first error with a code; of a failed receipt there always is one."""
    for said in errors:
        if isinstance(said, dict) and code_of(said.get("code")) is not None:
            return undelivered(said["code"], table, detail=words_of(said))
    if status is ReceiptStatus.FAILED:
        return life.error("undelivered", "WhatsApp gave no reason")
    return None


def _digits(value: object) -> str | None:
    """Of a number, with or without its plus sign."""
    text = _text(value)
    return None if text is None else text.removeprefix("+")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
