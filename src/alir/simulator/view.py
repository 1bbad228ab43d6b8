"""What the page shows of a phone: plain values, made from what the phones remember. No I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from alir.clock import from_milliseconds, rfc3339
from alir.messages.model import ReceiptStatus
from alir.simulator.codes import title
from alir.simulator.phones import Call, CallState, Entry, Phone, Receipt, Written
from alir.simulator.recipients import label

PREVIEW_MAX = 80  # characters
#: How many of a phone's last messages a quoted one is looked up in.
QUOTABLE = 1000
COLOURS = 6  # of the circles beside the numbers
_RANK = (
    ReceiptStatus.FAILED,
    ReceiptStatus.SENT,
    ReceiptStatus.DELIVERED,
    ReceiptStatus.READ,
)


@dataclass(frozen=True, slots=True)
class Moment:
    """A time of day: `exact` for programs, `short` (UTC) until the browser knows better."""

    exact: str
    short: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bubble:
    """One message in a chat.

    Attributes:
        mine: written by the person whose phone this is.
        header: its text; of a media header its id.
        media: the kind of media in the header: `image`, `video`, `document`.
        link: where the media is; never loaded by the page itself.
        button: the text on the flow's button.
        facts: name and value of what the button would open.
        state: the furthest of `taken`, `sent`, `delivered`, `read`, `failed`.
        history: what happened to it and when, a line for each receipt.
        trouble: why the gateway does not know of it yet, if so.
    """

    id: str
    mine: bool
    at: Moment
    body: str
    header: str | None = None
    media: str | None = None
    link: str | None = None
    quoted: str | None = None
    footer: str | None = None
    button: str | None = None
    facts: Sequence[tuple[str, str]] = ()
    state: str = "taken"
    failure: str | None = None
    history: Sequence[str] = ()
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One phone in the list."""

    number: str
    label: str
    mark: str
    colour: int
    preview: str
    at: Moment
    state: str
    mine: bool


def row(phone: Phone) -> Row:
    """The phone's line in the list."""
    last = bubble(phone.entries[-1])
    lines = (" ".join((text or "").split()) for text in (last.header, last.body))
    preview = " · ".join(filter(None, lines))
    if len(preview) > PREVIEW_MAX:
        preview = preview[: PREVIEW_MAX - 1] + "…"
    return Row(
        number=phone.number,
        label=label(phone.number),
        mark=phone.number[-2:],
        colour=colour(phone.number),
        preview=preview,
        at=last.at,
        state=last.state,
        mine=last.mine,
    )


def colour(number: str) -> int:
    """The colour of the circle beside a number or user id."""
    return sum(number.encode()) % COLOURS


def chat(phone: Phone, *, limit: int) -> list[Bubble]:
    """The phone's last messages, oldest first."""
    known = {entry.wamid: entry for entry in phone.entries[-QUOTABLE:]}
    return [bubble(entry, known) for entry in phone.entries[-limit:]]


def bubble(entry: Entry, known: Mapping[str, Entry] | None = None) -> Bubble:
    """One message; `known` is where a message that it quotes is looked up."""
    if isinstance(entry, Written):
        return Bubble(
            id=entry.wamid,
            mine=True,
            at=_moment(entry.at),
            body=entry.text,
            state="read" if entry.call.state is CallState.ANSWERED else "sent",
            trouble=_trouble([entry.call]),
        )
    request = _object(from_json(entry.body))
    failed = next((each for each in entry.receipts if each.code is not None), None)
    return Bubble(
        id=entry.wamid,
        mine=False,
        at=_moment(entry.at),
        quoted=_quoted(request, known or {}),
        state=_state(entry.receipts),
        failure=_failure(failed),
        history=[_line(receipt) for receipt in entry.receipts],
        trouble=_trouble([receipt.call for receipt in entry.receipts]),
        **(_flow(request) if entry.kind == "interactive" else _template(request)),
    )


def _flow(request: Mapping[str, Any]) -> dict[str, Any]:
    interactive = _object(request.get("interactive"))
    header = _object(interactive.get("header"))
    kind = header.get("type")
    media = None if kind in (None, "text") else str(kind)
    source = _object(header.get(media)) if media else {}
    parameters = _object(_object(interactive.get("action")).get("parameters"))
    payload = _object(parameters.get("flow_action_payload"))
    facts = {
        "Flow": parameters.get("flow_id") or parameters.get("flow_name"),
        "Token": parameters.get("flow_token"),
        "Action": parameters.get("flow_action", "navigate"),
        "Screen": payload.get("screen"),
        "Data": payload.get("data"),
        "Mode": parameters.get("mode", "published"),
    }
    return {
        "header": source.get("id") if media else header.get("text"),
        "media": media,
        "link": source.get("link"),
        "body": _object(interactive.get("body")).get("text", ""),
        "footer": _object(interactive.get("footer")).get("text"),
        "button": parameters.get("flow_cta"),
        "facts": _facts(facts),
    }


def _template(request: Mapping[str, Any]) -> dict[str, Any]:
    """The simulator knows no template's text, so it shows what the request says of it."""
    template = _object(request.get("template"))
    parts = [_object(part) for part in template.get("components") or ()]
    texts = [
        str(_object(parameter).get("text", ""))
        for part in parts
        for parameter in part.get("parameters") or ()
    ]
    button = next((part for part in parts if part.get("sub_type", "").lower() == "flow"), None)
    given = [_object(each).get("action") for each in (button or {}).get("parameters") or ()]
    action = _object(given[0]) if given else {}
    facts = {
        "Language": _object(template.get("language")).get("code"),
        "Token": action.get("flow_token"),
        "Data": action.get("flow_action_data"),
    }
    return {
        "header": f"Template {template.get('name')}",
        "body": "\n".join(filter(None, texts)),
        "button": "Open the template's flow" if button else None,
        "facts": _facts(facts),
    }


def _facts(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2))
        for name, value in facts.items()
        if value is not None
    ]


def _quoted(request: Mapping[str, Any], known: Mapping[str, Entry]) -> str | None:
    wamid = _object(request.get("context")).get("message_id")
    if wamid is None:
        return None
    quoted = known.get(wamid)
    return "A message that this phone does not have" if quoted is None else bubble(quoted).body


def _state(receipts: Sequence[Receipt]) -> str:
    statuses = [receipt.status for receipt in receipts]
    return max(statuses, key=_RANK.index).value if statuses else "taken"


def _failure(failed: Receipt | None) -> str | None:
    if failed is None or failed.code is None:
        return None
    return f"{failed.code} {title(failed.code)}"


def _line(receipt: Receipt) -> str:
    return f"{receipt.status.value} {rfc3339(from_milliseconds(receipt.at))[11:]}"


def _trouble(calls: Sequence[Call]) -> str | None:
    """What the worst of the callbacks came to, where that is not an answer."""
    troubled = [call for call in calls if call.problem]
    if troubled:
        last = troubled[-1]
        again = "given up" if last.state is CallState.GIVEN_UP else f"tried {last.tries} times"
        return f"Callback not taken: {last.problem}, {again}"
    if any(call.state is CallState.DROPPED for call in calls):
        return "Callback dropped, as the behaviour says"
    return None


def _moment(milliseconds: int) -> Moment:
    exact = rfc3339(from_milliseconds(milliseconds))
    return Moment(exact, exact[11:16])


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
