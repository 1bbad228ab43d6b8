"""A table of alir.toml, and the kinds of values that stand in one.

A field's `description` says what is expected, in the words that an error uses after "expected".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
)

from alir.tables.secret import Secret, usable

_URL_PATTERN: Final = r"^https?://(\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]]+)(:\d{1,5})?(/[^\s?#]*)?$"
#: What is expected of a URL.
URL: Final = 'an http or https URL without user, query or fragment, such as "https://example.com"'
#: What is expected of a secret.
SECRET_TEXT: Final = 'text, { env = "NAME" } or { file = "/path" }'  # noqa: S105 - the form of one


class Table(BaseModel):
    """A table of alir.toml. Made once, never changed; unknown keys are errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True
    )


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What secrets are looked up in.

    Attributes:
        elapsed: seconds since some fixed moment, for secrets in files.
    """

    environ: Mapping[str, str]
    elapsed: Callable[[], float]


# An empty ValueError means: the field's description says it all.


def _not_a_truth_value(value: object) -> object:
    if isinstance(value, bool):  # Python, and so pydantic, takes true for 1
        raise ValueError  # noqa: TRY004 - pydantic collects ValueErrors only
    return value


def _a_day_at_least(days: float) -> float:
    if 0 < days < 1:
        raise ValueError
    return days


def _without_last_slash(url: str) -> str:
    return url.rstrip("/")


def _secret(value: object, info: ValidationInfo[Surroundings]) -> object:
    match value:
        case str():
            return Secret(usable(value))
        case {"env": str(name), **rest} if not rest:
            return Secret(_from_environment(name, info.context.environ))
        case {"file": str(path), **rest} if not rest:
            return _from_file(Path(path), info.context.elapsed)
        case _:
            return value


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        raise ValueError(f"the environment variable {name} is not set")
    try:
        return usable(environ[name].removesuffix("\n"))
    except ValueError as error:
        raise ValueError(f"the environment variable {name} {error}") from None


def _from_file(path: Path, elapsed: Callable[[], float]) -> Secret:
    try:
        return Secret.in_file(path, elapsed)
    except OSError as error:
        raise ValueError(f"the file {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"the file {path} {error}") from None


Number = BeforeValidator(_not_a_truth_value)

#: Numbers whose unit, where they have one, ends their key.
AboveZero = Annotated[
    float, Number, Field(gt=0, allow_inf_nan=False, description="a number above 0")
]
ZeroOrMore = Annotated[
    float, Number, Field(ge=0, allow_inf_nan=False, description="a number, 0 or more")
]
Share = Annotated[float, Number, Field(gt=0, le=1, description="a number above 0, at most 1")]
Count = Annotated[int, Number, Field(ge=1, description="a whole number, 1 or more")]
#: How long something is kept; 0: for ever. Below a day, what a repeat or a receipt needs would go.
DaysKept = Annotated[
    float,
    Number,
    AfterValidator(_a_day_at_least),
    Field(ge=0, allow_inf_nan=False, description="a number of days, 1 or more, or 0 for ever"),
]
Switch = Annotated[bool, Field(description="true or false")]
SecretText = Annotated[Secret, BeforeValidator(_secret), Field(description=SECRET_TEXT)]
BaseUrl = Annotated[
    str, Field(pattern=_URL_PATTERN, description=URL), AfterValidator(_without_last_slash)
]
