"""What a person who pauses a sender may say about it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from alir.errors import RequestInvalid
from alir.messages.faults import Report, pointer
from alir.messages.limits import UNKNOWN_FIELDS_NAMED
from alir.messages.moment import MOMENT_PATTERN, read_moment
from alir.messages.request import ONE_LINE
from alir.strictjson import character_name

#: Characters of a reason; alir's own.
LONGEST_REASON: Final = 200
#: What stands where a pause has no reason.
NO_REASON: Final = "Paused by an operator"

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


EXAMPLE: Final[JsonDict] = {"reason": "The shop is closed", "until": "2030-01-31T09:00:00Z"}


class PauseRequest(BaseModel):
    """Why a sender is paused, and for how long. The body may be left out."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE]})

    reason: (
        Annotated[str, Field(min_length=1, max_length=LONGEST_REASON, pattern=ONE_LINE)] | None
    ) = Field(None, description="Why, for people.", examples=["The shop is closed"])
    until: str | None = Field(
        None,
        description="It ends by itself at this moment, which lies ahead (RFC 3339, with `Z` or an "
        "offset). Left out: somebody resumes it.",
        json_schema_extra={"format": "date-time", "pattern": MOMENT_PATTERN},
        examples=["2030-01-31T09:00:00Z"],
    )


class PauseWanted(NamedTuple):
    """A pause that a person wants.

    Attributes:
        until: when it ends by itself; none: somebody resumes it.
    """

    title: str
    until: datetime | None


def read_pause(content: object, *, now: datetime) -> PauseWanted:
    """What the parsed body of a request asks for; `{}` where there is none.

    Raises:
        RequestInvalid: with every rule that is broken, in the order of the body.
    """
    report = Report()
    body = content if isinstance(content, dict) else {}
    if not isinstance(content, dict):
        report.add((), "wrong_type", "the body must be a JSON object")
    _check_names(body, report)
    reason = _reason(body.get("reason"), report)
    until = _until(body.get("until"), now, report)
    if report:
        raise RequestInvalid(report.in_order(content))
    return PauseWanted(NO_REASON if reason is None else reason, until)


def _check_names(body: dict[str, Any], report: Report) -> None:
    known = [*PauseRequest.model_fields]
    unknown = [name for name in body if name not in known]
    for name in unknown[:UNKNOWN_FIELDS_NAMED]:
        detail = f"there is no such field here; known are {', '.join(known)}"
        report.add((name,), "unknown_field", detail)
    if further := len(unknown[UNKNOWN_FIELDS_NAMED:]):
        report.add((), "unknown_field", f"{further} further unknown field(s) in here")


def _reason(given: object, report: Report) -> str | None:
    path = ("reason",)
    if given is None:
        return None
    if not isinstance(given, str):
        report.add(path, "wrong_type", "a text belongs here")
        return None
    if not given:
        report.add(path, "too_short", "this text must not be empty")
    if len(given) > LONGEST_REASON:
        detail = f"at most {LONGEST_REASON} characters; this has {len(given)}"
        report.add(path, "too_long", detail)
    if found := _CONTROL.search(given):
        detail = f"{character_name(found[0])} cannot stand in this text"
        report.add(path, "control_character", detail)
    return given


def _until(given: object, now: datetime, report: Report) -> datetime | None:
    path = ("until",)
    if given is None:
        return None
    if not isinstance(given, str):
        report.add(path, "wrong_type", "a text belongs here, such as 2030-01-31T09:00:00Z")
        return None
    try:
        until = read_moment(given, pointer(path))
    except RequestInvalid as error:
        for fault in error.faults:
            report.add(path, fault.code, fault.detail)
        return None
    if until <= now:
        report.add(path, "in_the_past", "this moment has passed: name one that lies ahead")
    return until
