"""What can be set: one class per table of alir.toml.

No default stands here: `default.toml` holds them all, with what each key is for. A field's
`description` says what is expected, in the words that an error uses after "expected".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    ValidationInfo,
    model_validator,
)

from alir.ids import SenderName
from alir.messages.model import OnUnknown
from alir.providers.whatsapp.codes import Change, Concern
from alir.settings.secret import Secret, usable

#: The simulator's own sender. All of it is public. Source: design, section 9.
SANDBOX_NAME: Final = SenderName("sandbox")
SANDBOX_NUMBER_ID: Final = "1065000000"
SANDBOX_SECRET: Final = "simulator"  # noqa: S105 - public on purpose

_SQLITE: Final = "sqlite:///"
_URL_PATTERN: Final = r"^https?://(\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]]+)(:\d{1,5})?(/[^\s?#]*)?$"
_URL: Final = 'an http or https URL without user, query or fragment, such as "https://example.com"'
_ERROR_CODE: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_SECRET_TEXT: Final = 'text, { env = "NAME" } or { file = "/path" }'  # noqa: S105


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


def _without_last_slash(url: str) -> str:
    return url.rstrip("/")


def _database(url: str) -> str:
    if url.startswith(("postgresql:", "postgresql+", "postgres:")):
        raise ValueError("PostgreSQL comes with a later version; until then: sqlite:///FILE")
    path = url.removeprefix(_SQLITE)
    if path == url or path in {"", "/", ":memory:"} or not path.isprintable() or "?" in path:
        raise ValueError
    return url


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


def _error_code(text: object) -> int:
    if isinstance(text, str) and _ERROR_CODE.fullmatch(text):
        return int(text)
    raise ValueError('expected an error code, such as "131049"')


_Number = BeforeValidator(_not_a_truth_value)

#: Numbers whose unit, where they have one, ends their key.
AboveZero = Annotated[
    float, _Number, Field(gt=0, allow_inf_nan=False, description="a number above 0")
]
ZeroOrMore = Annotated[
    float, _Number, Field(ge=0, allow_inf_nan=False, description="a number, 0 or more")
]
Share = Annotated[float, _Number, Field(gt=0, le=1, description="a number above 0, at most 1")]
Count = Annotated[int, _Number, Field(ge=1, description="a whole number, 1 or more")]
SecretText = Annotated[Secret, BeforeValidator(_secret)]
ErrorCode = Annotated[int, BeforeValidator(_error_code)]
BaseUrl = Annotated[str, Field(pattern=_URL_PATTERN), AfterValidator(_without_last_slash)]


class _Table(BaseModel):
    """A table of alir.toml. Made once, never changed; unknown keys are errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True
    )


class Simulator(_Table):
    """WhatsApp for one machine."""

    enabled: Literal["auto"] | bool = Field(description='"auto", true or false')
    allow_networks: tuple[IPvAnyNetwork, ...] = Field(
        description='a list of networks, such as ["127.0.0.0/8", "::1/128"]'
    )
    keep_messages: Count


class Api(_Table):
    """The HTTP door: waits and the sizes of bodies."""

    default_wait_seconds: ZeroOrMore
    longest_wait_seconds: ZeroOrMore
    message_limit_kib: Count
    callback_limit_mib: Count

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_order(self, "default_wait_seconds", "longest_wait_seconds")
        return self


class Dispatch(_Table):
    """Handing messages to providers."""

    enabled: bool = Field(description="true or false")
    max_calls_per_sender: Count
    rate_share: Share
    connect_timeout_seconds: AboveZero
    call_timeout_seconds: AboveZero
    stop_grace_seconds: ZeroOrMore
    begun_valid_seconds: AboveZero
    busy_first_delay_seconds: AboveZero
    busy_longest_delay_seconds: AboveZero
    give_up_after_hours: AboveZero
    unknown_after_seconds: AboveZero

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_order(self, "connect_timeout_seconds", "call_timeout_seconds")
        _check_order(self, "busy_first_delay_seconds", "busy_longest_delay_seconds")
        return self


class Receipts(_Table):
    """What providers tell us."""

    parked_days: AboveZero


_CLASSES: Final = ", ".join(f'"{concern}"' for concern in Concern)


class ErrorClass(_Table):
    """How a code is treated. A class alone may stand for a table that has nothing else."""

    concern: Concern = Field(alias="class", description=f"one of {_CLASSES}")
    first_wait_seconds: AboveZero | None = Field(default=None, description="a number above 0")
    longest_wait_seconds: AboveZero | None = Field(default=None, description="a number above 0")
    tries: Count | None = Field(default=None, description="a whole number, 1 or more")

    @model_validator(mode="before")
    @classmethod
    def _class_alone(cls, said: Any) -> Any:
        match said:
            case str():
                return {"class": said}
            case dict():
                return said
            case _:
                raise ValueError(
                    'expected a class or a table, such as "retry" or { class = "retry" }'
                )

    @model_validator(mode="after")
    def _belongs_to_its_class(self) -> Self:
        first, longest = self.first_wait_seconds, self.longest_wait_seconds
        if not self.concern.pauses and (first or longest):
            raise ValueError(f'the class "{self.concern}" pauses nothing, and takes no wait')
        if not self.concern.is_busy and self.tries:
            raise ValueError(f'the class "{self.concern}" refuses at once, and takes no tries')
        if first and longest:
            _check_order(self, "first_wait_seconds", "longest_wait_seconds")
        return self

    def change(self) -> Change:
        """The same, as tables of codes take it."""
        first, longest = self.first_wait_seconds, self.longest_wait_seconds
        return Change(
            self.concern,
            first_wait=timedelta(seconds=first) if first else None,
            longest_wait=timedelta(seconds=longest) if longest else None,
            tries=self.tries,
        )


class Errors(BaseModel):
    """The part of the settings that says what error codes mean."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    errors: Mapping[ErrorCode, ErrorClass] = Field(description="a table such as [errors]")

    @property
    def error_changes(self) -> dict[int, Change]:
        """The codes that an operator wants treated differently."""
        return {code: said.change() for code, said in self.errors.items()}


class Log(_Table):
    """What is written to stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        description='"debug", "info", "warning" or "error"'
    )
    format: Literal["auto", "json", "console"] = Field(description='"auto", "json" or "console"')


class Cloud(_Table):
    """What every cloud sender has unless it says otherwise."""

    graph_url: BaseUrl = Field(description=_URL)
    graph_version: str = Field(
        pattern=r"^v[1-9]\d{0,2}\.\d{1,2}$", description='a version such as "v24.0"'
    )
    messages_per_second: ZeroOrMore
    on_unknown: OnUnknown = Field(description='"hold" or "retry"')


class CloudSender(Cloud):
    """A business phone number at Meta's Cloud API."""

    provider: Literal["cloud"] = Field(description='"cloud"')
    phone_number_id: str = Field(
        pattern=r"^[0-9]{1,32}$",
        description='the digits of the id in quotes, such as "106500000000000"',
    )
    access_token: SecretText = Field(description=_SECRET_TEXT)
    app_secret: SecretText = Field(description=_SECRET_TEXT)
    verify_token: SecretText | None = Field(default=None, description=_SECRET_TEXT)

    @model_validator(mode="before")
    @classmethod
    def _provider_is_here(cls, table: Any) -> Any:
        if isinstance(table, dict) and table.get("provider") == "routemobile":
            raise ValueError('Route Mobile comes with a later version; until then: "cloud"')
        return table


class Settings(Errors, _Table):
    """Everything that can be set. `alir.settings.load` makes it."""

    database: Annotated[str, AfterValidator(_database)] = Field(
        description='sqlite:/// and a file name, such as "sqlite:///alir.db"'
    )
    host: str = Field(pattern=r"^[^\s/]+$", description='an address, such as "127.0.0.1"')
    port: Annotated[int, _Number] = Field(
        ge=0, le=65535, description="a port, a whole number from 0 to 65535"
    )
    public_url: BaseUrl | None = Field(default=None, description=_URL)
    simulator: Simulator
    api: Api
    dispatch: Dispatch
    receipts: Receipts
    log: Log
    cloud: Cloud
    senders: Mapping[SenderName, CloudSender] = Field(description="tables such as [senders.main]")

    @property
    def database_path(self) -> Path:
        """The file of an SQLite database; relative to the current folder where it is."""
        return Path(self.database.removeprefix(_SQLITE))


def simulator_is_on(settings: Settings) -> bool:
    """Whether the gateway runs the simulator; `auto`: while every number is the simulator's."""
    if settings.simulator.enabled == "auto":
        return all(s.phone_number_id == SANDBOX_NUMBER_ID for s in settings.senders.values())
    return settings.simulator.enabled


def sandbox_wanted(settings: Settings) -> bool:
    """Whether the gateway adds the sender `sandbox`: no configured one has its number or name."""
    taken = SANDBOX_NAME in settings.senders or any(
        sender.phone_number_id == SANDBOX_NUMBER_ID for sender in settings.senders.values()
    )
    return simulator_is_on(settings) and not taken


def sandbox(settings: Settings, graph_url: str) -> CloudSender:
    """The simulator's own sender; limits and choices as `[cloud]` has them.

    Args:
        graph_url: where the simulator listens, such as `http://127.0.0.1:8080/simulator/graph`.
    """
    return CloudSender(
        provider="cloud",
        phone_number_id=SANDBOX_NUMBER_ID,
        access_token=Secret(SANDBOX_SECRET),
        app_secret=Secret(SANDBOX_SECRET),
        verify_token=Secret(SANDBOX_SECRET),
        graph_url=graph_url,
        graph_version=settings.cloud.graph_version,
        messages_per_second=settings.cloud.messages_per_second,
        on_unknown=settings.cloud.on_unknown,
    )


def _check_order(table: _Table, less: str, more: str) -> None:
    low, high = getattr(table, less), getattr(table, more)
    if low > high:
        raise ValueError(f"{less} ({low:g}) must not be larger than {more} ({high:g})")
