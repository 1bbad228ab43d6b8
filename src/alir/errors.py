"""Every error that alir raises on purpose.

AlirError
├── SettingsInvalid          alir.toml or the environment holds something that cannot be used
├── DatabaseInUse            another gateway runs on this SQLite file
├── LeaseLost                the sender is another process's by now; nothing was begun
├── StoreUnavailable         the store could not take or give something; later it may
├── JsonInvalid              a body is not JSON; says where and what is likely wrong
├── BodyTooLarge             a value is larger than it may be, and was not read
├── RequestInvalid           a request breaks one or more rules; lists every one of them
├── SenderForbidden          the API token may not use the sender that the request names
├── IdempotencyConflict      an Idempotency-Key came again with another body
├── QueueFull                as many messages of the sender wait as may; later there is room
├── NameTaken                something else has this name or value already
├── NotFound                 no such thing, or not one that this API token may see
├── TooLate                  the message is past the point where this can be done
└── SendFailure              a provider did not confirm a message
    ├── ProviderBusy         not taken; safe to try again later
    ├── ProviderRefused      not taken; trying again cannot help
    └── OutcomeUnknown       perhaps taken; trying again might send it twice

Each class answers "try again?" as data, in `retryable`. HTTP statuses stand in `api/problems.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar


class AlirError(Exception):
    """Base class: catch it to catch everything that alir raises on purpose.

    `code` is public (problems, logs, events) and is never renamed or reused.
    `retryable` says whether the same thing, done again later, can succeed without harm.
    """

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False


class SettingsInvalid(AlirError):
    """alir.toml or the environment holds something that cannot be used.

    Attributes:
        problems: one line each: where (file or variable, key) and what was expected.
    """

    code = "settings_invalid"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class DatabaseInUse(AlirError):
    """Another gateway runs on this SQLite file."""

    code = "database_in_use"
    retryable = True


class LeaseLost(AlirError):
    """The sender is another process's by now: nothing of it is begun here."""

    code = "lease_lost"
    retryable = False


class StoreUnavailable(AlirError):
    """The store could not take or give something.

    Attributes:
        in_doubt: true where a commit was under way and nobody knows whether it took effect;
            false where certainly nothing was stored.
        message_id: of the message whose storing is in doubt, where it is one.
    """

    code = "store_unavailable"
    retryable = True

    def __init__(
        self, message: str, *, in_doubt: bool = False, message_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.in_doubt = in_doubt
        self.message_id = message_id


class JsonInvalid(AlirError):
    """A body is not JSON, or holds what JSON leaves open: a key twice, `NaN`, half an emoji.

    Attributes:
        line, column: where, both from 1; columns count characters.
        excerpt: the text around the place, 20 characters either way. It is the caller's own text:
            it goes into the answer and never into a log.
        likely: what is likely wrong and what to do, for people.
    """

    code = "invalid_json"

    def __init__(self, likely: str, *, line: int, column: int, excerpt: str) -> None:
        super().__init__(f"not JSON: line {line}, column {column}")
        self.likely = likely
        self.line = line
        self.column = column
        self.excerpt = excerpt


class BodyTooLarge(AlirError):
    """A value of a body is larger than it may be, and was not read."""

    code = "payload_too_large"


@dataclass(frozen=True, slots=True)
class Fault:
    """One broken rule of a request.

    Attributes:
        pointer: where, as a JSON pointer in fragment form (`#/flow/param/body`).
        code: which rule, for programs; listed on the problem page `invalid_request`.
        detail: what is wrong and what to do, for people. Never repeats numbers or texts of people.
    """

    pointer: str
    code: str
    detail: str


class RequestInvalid(AlirError):
    """A request breaks one or more rules; `faults` lists every one of them, in document order."""

    code = "invalid_request"

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(f"{len(faults)} rule(s) broken: {', '.join(f.code for f in faults)}")
        self.faults = tuple(faults)


class SenderForbidden(AlirError):
    """The API token may not use the sender that the request names."""

    code = "sender_not_allowed"


class IdempotencyConflict(AlirError):
    """An Idempotency-Key came again with another body."""

    code = "idempotency_conflict"


class QueueFull(AlirError):
    """As many messages of the sender wait as may; later there is room."""

    code = "queue_full"
    retryable = True


class NameTaken(AlirError):
    """Something else has this name or value already."""

    code = "name_taken"


class NotFound(AlirError):
    """No such thing, or not one that this API token may see."""

    code = "not_found"


class TooLate(AlirError):
    """The message is past the point where this can be done.

    Attributes:
        message_id, status: of the message, as it stands.
    """

    code = "too_late"

    def __init__(self, detail: str, *, message_id: str, status: str) -> None:
        super().__init__(detail)
        self.message_id = message_id
        self.status = status


class PauseScope(StrEnum):
    """What stands still while something is paused."""

    RECIPIENT = "recipient"  #: one sender's messages to one recipient
    FLOW = "flow"  #: one sender's messages with one Flow
    SENDER = "sender"  #: everything of one number
    ACCOUNT = "account"  #: everything of all numbers of one account
    OPERATOR = "operator"  #: everything of one number, because a person said so


@dataclass(frozen=True, slots=True)
class PauseAsked:
    """What a provider's answer says must stand still.

    Attributes:
        first: how long at first; none: until an operator resumes it.
        longest: each further refusal makes it longer, up to this.
    """

    scope: PauseScope
    first: timedelta | None
    longest: timedelta | None


class SendFailure(AlirError):
    """A provider did not confirm a message. The subclass says whether to try again.

    Attributes:
        provider_code: the provider's own error code, where it gave one.
        title: a short, fixed text for people.
        details: the provider's own words, translated to alir's fields where that is possible.
        retry_after: how long the provider asked to wait, where it did.
    """

    code = "send_failure"

    def __init__(
        self,
        title: str,
        *,
        provider_code: str | None = None,
        details: str | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(title)
        self.title = title
        self.provider_code = provider_code
        self.details = details
        self.retry_after = retry_after


class ProviderBusy(SendFailure):
    """Not taken; safe to try again later.

    Attributes:
        pauses: what else must wait, where it is more than this message.
        at_most: after so many busy answers in a row it counts as refused; none: no such end.
    """

    code = "provider_busy"
    retryable = True

    def __init__(
        self,
        title: str,
        *,
        provider_code: str | None = None,
        details: str | None = None,
        retry_after: timedelta | None = None,
        pauses: PauseAsked | None = None,
        at_most: int | None = None,
    ) -> None:
        super().__init__(
            title, provider_code=provider_code, details=details, retry_after=retry_after
        )
        self.pauses = pauses
        self.at_most = at_most


class ProviderRefused(SendFailure):
    """Not taken; trying again cannot help.

    Attributes:
        window_shut: the person last wrote too long ago; a template would have been taken.
    """

    code = "provider_refused"

    def __init__(
        self,
        title: str,
        *,
        provider_code: str | None = None,
        details: str | None = None,
        window_shut: bool = False,
    ) -> None:
        super().__init__(title, provider_code=provider_code, details=details)
        self.window_shut = window_shut


class OutcomeUnknown(SendFailure):
    """Perhaps taken; trying again might send it twice."""

    code = "outcome_unknown"
