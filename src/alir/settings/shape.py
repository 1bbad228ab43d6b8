"""What can be set: one class per table of alir.toml.

No default stands here: `default.toml` holds them all, with what each key is for. A field's
`description` says what is expected, in the words that an error uses after "expected".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, Self, Union

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    create_model,
    model_validator,
)

from alir.ids import SenderName
from alir.providers.cloud.settings import SIMULATED_NUMBER_ID, CloudSender
from alir.providers.registry import PROVIDERS
from alir.providers.sender import Defaults, Sender
from alir.providers.whatsapp.codes import Change, Concern
from alir.retention.model import KeptFor
from alir.tables.fields import (
    URL,
    AboveZero,
    BaseUrl,
    Count,
    DaysKept,
    Number,
    Share,
    Table,
    ZeroOrMore,
)

#: The simulator's own sender. All of it is public. Source: design, section 9.
SANDBOX_NAME: Final = SenderName("sandbox")
SANDBOX_NUMBER_ID: Final = SIMULATED_NUMBER_ID
SANDBOX_SECRET: Final = "simulator"  # noqa: S105 - public on purpose

_SQLITE: Final = "sqlite:///"
_POSTGRESQL: Final = ("postgresql://", "postgres://")
_POSTGRESQL_URL: Final = "postgresql://USER:PASSWORD@HOST/NAME"
_NAMES_DATABASE: Final = re.compile(r"postgres(ql)?://[^/?#]*/[^/?#]+(\?[^#]*)?")
_ERROR_CODE: Final = re.compile(r"0|[1-9][0-9]{0,8}")


def _database(url: str) -> str:
    if url.startswith(_POSTGRESQL):
        if not _NAMES_DATABASE.fullmatch(url) or not url.isprintable():
            raise ValueError(f"expected {_POSTGRESQL_URL}")
        return url
    if url.startswith(("postgresql", "postgres:")):
        raise ValueError(f"a PostgreSQL database is written {_POSTGRESQL_URL}")
    path = url.removeprefix(_SQLITE)
    if path == url or path in {"", "/", ":memory:"} or not path.isprintable() or "?" in path:
        raise ValueError
    return url


def _error_code(text: object) -> int:
    if isinstance(text, str) and _ERROR_CODE.fullmatch(text):
        return int(text)
    raise ValueError('expected an error code, such as "131049"')


ErrorCode = Annotated[int, BeforeValidator(_error_code)]


class Simulator(Table):
    """WhatsApp for one machine."""

    enabled: Literal["auto"] | bool = Field(description='"auto", true or false')
    allow_networks: tuple[IPvAnyNetwork, ...] = Field(
        description='a list of networks, such as ["127.0.0.0/8", "::1/128"]'
    )
    keep_messages: Count
    pair_seconds: ZeroOrMore


class Api(Table):
    """The HTTP door: waits and the sizes of bodies."""

    default_wait_seconds: ZeroOrMore
    longest_wait_seconds: ZeroOrMore
    message_limit_kib: Count
    batch_limit_mib: Count
    callback_limit_mib: Count

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_order(self, "default_wait_seconds", "longest_wait_seconds")
        return self


class Dispatch(Table):
    """Handing messages to providers."""

    enabled: bool = Field(description="true or false")
    max_calls_per_sender: Count
    queue_limit: Count
    rate_share: Share
    connect_timeout_seconds: AboveZero
    call_timeout_seconds: AboveZero
    stop_grace_seconds: ZeroOrMore
    begun_valid_seconds: AboveZero
    busy_first_delay_seconds: AboveZero
    busy_longest_delay_seconds: AboveZero
    give_up_after_hours: AboveZero
    unknown_after_seconds: AboveZero
    lease_seconds: AboveZero

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_order(self, "connect_timeout_seconds", "call_timeout_seconds")
        _check_order(self, "busy_first_delay_seconds", "busy_longest_delay_seconds")
        return self


class Receipts(Table):
    """What providers tell us."""

    parked_days: AboveZero


class Retention(Table):
    """How long things are kept, in days; 0: for ever."""

    message_days: DaysKept
    event_days: DaysKept
    callback_days: DaysKept
    contact_days: DaysKept

    def kept_for(self) -> KeptFor:
        """The same, as purging takes it."""
        return KeptFor(
            messages=_days(self.message_days),
            events=_days(self.event_days),
            callbacks=_days(self.callback_days),
            contacts=_days(self.contact_days),
        )


def _days(days: float) -> timedelta | None:
    return timedelta(days=days) if days else None


_CLASSES: Final = ", ".join(f'"{concern}"' for concern in Concern)


class ErrorClass(Table):
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


class Log(Table):
    """What is written to stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        description='"debug", "info", "warning" or "error"'
    )
    format: Literal["auto", "json", "console"] = Field(description='"auto", "json" or "console"')


class Settings(Errors, Table):
    """Everything that can be set. `alir.settings.load` makes it."""

    database: Annotated[str, AfterValidator(_database)] = Field(
        description='sqlite:/// and a file name, such as "sqlite:///alir.db", or '
        "postgresql://USER:PASSWORD@HOST/NAME"
    )
    host: str = Field(pattern=r"^[^\s/]+$", description='an address, such as "127.0.0.1"')
    port: Annotated[int, Number] = Field(
        ge=0, le=65535, description="a port, a whole number from 0 to 65535"
    )
    public_url: BaseUrl | None = Field(default=None, description=URL)
    simulator: Simulator
    api: Api
    dispatch: Dispatch
    receipts: Receipts
    retention: Retention
    log: Log
    senders: Mapping[SenderName, Sender] = Field(description="tables such as [senders.main]")

    def defaults_of(self, provider: str) -> Defaults:
        """What the senders of a provider share: its own table."""
        defaults: Defaults = getattr(self, provider)
        return defaults


def _with_providers() -> type[Settings]:
    """The settings with a table for each provider, and each sender's table as its provider's."""
    one: Any = Union[tuple(kind.sender for kind in PROVIDERS.values())]  # noqa: UP007 - at run time
    senders = Annotated[one, Field(discriminator="provider")]
    tables: dict[str, Any] = {name: (kind.defaults, ...) for name, kind in PROVIDERS.items()}
    tables["senders"] = (
        Mapping[SenderName, senders],
        Field(description=Settings.model_fields["senders"].description),
    )
    return create_model("Settings", __base__=Settings, **tables)


#: What alir.toml is held against.
SHAPE: Final = _with_providers()


def simulator_is_on(settings: Settings) -> bool:
    """Whether the gateway runs the simulator; `auto`: while every number is the simulator's."""
    if settings.simulator.enabled == "auto":
        return all(sender.is_simulated for sender in settings.senders.values())
    return settings.simulator.enabled


def sandbox_wanted(settings: Settings) -> bool:
    """Whether the gateway adds the sender `sandbox`: no configured one has its number or name."""
    taken = SANDBOX_NAME in settings.senders or any(
        isinstance(sender, CloudSender) and sender.is_simulated
        for sender in settings.senders.values()
    )
    return simulator_is_on(settings) and not taken


def sandbox(settings: Settings, graph_url: str) -> CloudSender:
    """The simulator's own sender; limits and choices as `[cloud]` has them.

    Args:
        graph_url: where the simulator listens, such as `http://127.0.0.1:8080/simulator/graph`.
    """
    shared = settings.defaults_of("cloud").model_dump()
    own = {
        "provider": "cloud",
        "account": SANDBOX_NAME,
        "phone_number_id": SANDBOX_NUMBER_ID,
        "access_token": SANDBOX_SECRET,
        "app_secret": SANDBOX_SECRET,
        "verify_token": SANDBOX_SECRET,
        "graph_url": graph_url,
        "pair_seconds": settings.simulator.pair_seconds,
    }
    return CloudSender.model_validate(shared | own)


def _check_order(table: Table, less: str, more: str) -> None:
    low, high = getattr(table, less), getattr(table, more)
    if low > high:
        raise ValueError(f"{less} ({low:g}) must not be larger than {more} ({high:g})")
