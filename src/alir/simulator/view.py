"""What the page shows of a phone: plain values, made from what the phones remember. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from alir.clock import from_milliseconds, rfc3339
from alir.messages.model import ReceiptStatus
from alir.simulator.codes import title
from alir.simulator.contents import content_of
from alir.simulator.phones import ROUTE_MOBILE, Call, CallState, Entry, Phone, Receipt, Written
from alir.simulator.recipients import label
from alir.simulator.refused import Refused

PREVIEW_MAX = 80  # characters
#: How many of a phone's last messages a quoted one is looked up in.
QUOTABLE = 1000
COLOURS = 6  # of the circles beside the numbers
#: What people write between the digits of a number.
_NUMBER_SIGNS = re.compile(r"[+ ()\-]")
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
        between: which sender it is from or to, on a phone that has more than one.
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
    between: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """One request that left nothing on any phone."""

    code: str
    to: str
    at: Moment
    why: str
    sender: str


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
    shown = phone.entries[-limit:]
    bubbles = [bubble(entry, known) for entry in shown]
    if len({(entry.provider, entry.sender) for entry in phone.entries}) > 1:
        return [
            replace(each, between=f"{'to' if each.mine else 'from'} {named(entry)}")
            for each, entry in zip(bubbles, shown, strict=True)
        ]
    return bubbles


def named(entry: Entry) -> str:
    """The sender of an entry, and where it is one."""
    return entry.sender + (" at Route Mobile" if entry.provider == ROUTE_MOBILE else "")


def refusal(refused: Refused) -> Refusal:
    """What the page shows of a refused request."""
    digits = _NUMBER_SIGNS.sub("", refused.to)
    return Refusal(
        code=refused.code,
        to=label(digits if digits.isdecimal() else refused.to),
        at=_moment(refused.at),
        why=refused.why,
        sender=refused.sender,
    )


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
    content = content_of(entry)
    failed = next((each for each in entry.receipts if each.code is not None), None)
    return Bubble(
        id=entry.wamid,
        mine=False,
        at=_moment(entry.at),
        header=content.header,
        media=content.media,
        link=content.link,
        quoted=_quoted(content.quotes, known or {}),
        body=content.body,
        footer=content.footer,
        button=content.button,
        facts=content.facts,
        state=_state(entry.receipts),
        failure=_failure(failed),
        history=[_line(receipt) for receipt in entry.receipts],
        trouble=_trouble([receipt.call for receipt in entry.receipts]),
    )


def _quoted(wamid: str | None, known: Mapping[str, Entry]) -> str | None:
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
