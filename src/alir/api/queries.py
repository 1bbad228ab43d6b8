"""What the query of a list can ask. A query is checked like a body: all its faults at once."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from alir.errors import Fault, RequestInvalid
from alir.intake.ports import Filters
from alir.intake.tokens import ApiToken
from alir.messages.faults import FAULT_CODES, pointer
from alir.messages.limits import FLOW_ID, FLOW_TOKEN, NUMBER_TEXT, SENDER_NAME
from alir.messages.model import Status
from alir.messages.moment import MOMENT_PATTERN, read_moment
from alir.messages.phone import NUMBER_PATTERN, read_number
from alir.messages.shape import LONGEST_GUESSED

LARGEST_PAGE: Final = 200
DEFAULT_PAGE: Final = 50
#: Of a query's broken rules, how many are told: a long query must not make a far longer answer.
MOST_FAULTS: Final = 50
_CURSOR_LENGTH: Final = 11  #: of 8 bytes in base64


def cursor_of(place: int) -> str:
    """The cursor of the page that begins before `place`.

    >>> cursor_of(42)
    'AAAAAAAAACo'
    """
    return urlsafe_b64encode(place.to_bytes(8)).decode().rstrip("=")


def _place(cursor: str) -> int:
    try:
        place = int.from_bytes(urlsafe_b64decode(f"{cursor}="))
    except (binascii.Error, ValueError):
        place = 0
    if not 0 < place < 1 << 63 or cursor != cursor_of(place):
        detail = "no cursor: take next_cursor of the page before, as it is"
        raise RequestInvalid([Fault("#/cursor", "invalid_cursor", detail)])
    return place


# A `+` that is not written %2B arrives as a space.


def _number(text: str) -> str:
    return read_number(f"+{text.strip()}" if text.startswith(" ") else text).e164


def _moment(text: str) -> datetime:
    return read_moment(text.replace(" ", "+"), "#")


def _checked_by(read: Callable[[str], object]) -> BeforeValidator:
    """Let `read` make the value, and its fault pydantic's."""

    def validate(text: str) -> object:
        try:
            return read(text)
        except RequestInvalid as error:
            fault = error.faults[0]
            raise PydanticCustomError(fault.code, "{detail}", {"detail": fault.detail}) from None

    return BeforeValidator(validate)


_Number = Annotated[str, _checked_by(_number)]
_Moment = Annotated[datetime, _checked_by(_moment)]
_Cursor = Annotated[
    int,
    _checked_by(_place),
    WithJsonSchema({"type": "string", "pattern": f"^[A-Za-z0-9_-]{{{_CURSOR_LENGTH}}}$"}),
]


class FilterQuery(BaseModel):
    """What selects messages. All that is given must hold."""

    model_config = ConfigDict(extra="forbid")

    status: Status | None = Field(None, description="Where the messages stand.")
    to: _Number | None = Field(
        None,
        description="The recipient's number, in any form that `POST /messages` takes.",
        json_schema_extra={"maxLength": NUMBER_TEXT, "pattern": NUMBER_PATTERN},
        examples=["+10000000000"],
    )
    flow_id: str | None = Field(None, max_length=FLOW_ID, description="The Flow's id.")
    flow_token: str | None = Field(None, max_length=FLOW_TOKEN, description="The flow token.")
    from_: str | None = Field(
        None, alias="from", max_length=SENDER_NAME, description="A sender's name."
    )
    since: _Moment | None = Field(
        None,
        description="Accepted at this moment or later.",
        json_schema_extra={"pattern": MOMENT_PATTERN},
        examples=["2026-11-22T09:30:00Z"],
    )
    until: _Moment | None = Field(
        None,
        description="Accepted before this moment.",
        json_schema_extra={"pattern": MOMENT_PATTERN},
        examples=["2026-11-22T18:00:00+07:00"],
    )

    def filters(self, token: ApiToken) -> Filters:
        """The filters, narrowed to the senders that the API token may use."""
        return Filters(
            senders=token.senders,
            status=None if self.status is None else self.status.value,
            to=self.to,
            flow_id=self.flow_id,
            flow_token=self.flow_token,
            sender=self.from_,
            since=self.since,
            until=self.until,
        )


class ListQuery(FilterQuery):
    """What `GET /messages` can be asked."""

    limit: int = Field(DEFAULT_PAGE, ge=1, le=LARGEST_PAGE, description="The most on one page.")
    before: _Cursor | None = Field(
        None,
        alias="cursor",
        description="`next_cursor` of the page before.",
        examples=["AAAAAAAAACo"],
    )


def require_filter(query: FilterQuery) -> None:
    """Raise `RequestInvalid` where a query selects every message there is."""
    if not query.model_fields_set:
        detail = (
            f"say which messages, in the query: {', '.join(FILTERS)}. All that there are: until, "
            "with a moment that lies ahead"
        )
        raise RequestInvalid([Fault("#", "missing", detail)])


def repeated(parameters: Iterable[tuple[str, str]]) -> list[Fault]:
    """A fault for each parameter that came more than once: which one counts, nobody can tell."""
    times = Counter(name for name, _ in parameters)
    detail = "this parameter came more than once: send it once"
    return [Fault(pointer((n,)), "repeated", detail) for n, count in times.items() if count > 1]


def query_fault(found: Mapping[str, Any]) -> Fault:
    """What pydantic found wrong with a parameter, in alir's words."""
    kind, context = found["type"], found.get("ctx", {})
    name = ".".join(str(key) for key in found["loc"][1:])
    if kind == "extra_forbidden":
        code, detail = "unknown_field", _unknown(name)
    elif kind in ("enum", "literal_error"):
        code, detail = "not_a_choice", f"it must be one of {', '.join(Status)}"
    elif kind == "string_too_long":
        size = len(found["input"])
        code, detail = "too_long", f"at most {context['max_length']} characters; this has {size}"
    elif kind in FAULT_CODES and "detail" in context:
        code, detail = kind, context["detail"]
    elif name == "limit":
        code, detail = "wrong_value", f"a whole number from 1 to {LARGEST_PAGE} belongs here"
    else:
        code, detail = "wrong_value", "this is none of the values that the parameter takes"
    return Fault(pointer((name,)), code, detail)


def _unknown(name: str) -> str:
    if name in PARAMETERS:
        return "pages are of the list only; this goes through all that the filters select"
    near = get_close_matches(name.lower(), PARAMETERS, n=1) if len(name) <= LONGEST_GUESSED else []
    meant = f"did you mean {near[0]}?" if near else f"known are {', '.join(PARAMETERS)}"
    return f"there is no such parameter here; {meant}"


def _names(query: type[FilterQuery]) -> list[str]:
    return [field.alias or name for name, field in query.model_fields.items()]


#: The names of the filters.
FILTERS: Final = _names(FilterQuery)
#: The names of all parameters.
PARAMETERS: Final = _names(ListQuery)
