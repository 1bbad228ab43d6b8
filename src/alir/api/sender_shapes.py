"""The shapes of answers about senders, for the OpenAPI document."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from alir.api.shapes import Moment, Shape

#: What a sender's name must be, here and in the settings.
SENDER_NAME: Final = r"^[a-z][a-z0-9_-]{0,31}$"

_SPAM_PAUSE: JsonDict = {
    "scope": "sender",
    "flow_id": None,
    "code": "131048",
    "title": "The number's spam limit is reached",
    "advice": "Find out why people block or report the number.",
    "since": "2026-11-22T09:30:00.000Z",
    "until": "2026-11-22T10:30:00.000Z",
}
EXAMPLE_SENDER: JsonDict = {
    "name": "main",
    "provider": "cloud",
    "account": "main",
    "paused": True,
    "why": _SPAM_PAUSE,
    "pauses": [_SPAM_PAUSE],
    "paused_recipients": 2,
    "limits": {"messages_per_second": 80.0, "pair_seconds": 6.0, "pair_burst": 45},
    "queue": {"due": 120, "oldest_due_at": "2026-11-22T09:30:00.412Z", "unknown": 0},
}


class PauseShape(Shape):
    """Something that stands still."""

    scope: Literal["flow", "sender", "account", "operator"] = Field(
        description="`flow`: one Flow of this sender. `sender`: all of it. `account`: all senders "
        "of the account. `operator`: all of it, because a person says so."
    )
    flow_id: str | None = Field(
        description="The Flow, with `flow`; null where a template opens it."
    )
    code: str | None = Field(
        description="The provider's code that asked for it.", examples=["131048"]
    )
    title: str = Field(description="Why, for people; with `operator`, the reason that was given.")
    advice: str | None = Field(description="What to do about it, where alir knows.")
    since: Moment = Field(description="When it began.")
    until: Moment | None = Field(
        description="When one message is let through to see whether it is over; with `operator`, "
        "when it ends. `null`: when somebody resumes the sender."
    )


class LimitsShape(Shape):
    """What the settings allow."""

    messages_per_second: float = Field(ge=0, description="`0`: no limit.")
    pair_seconds: float = Field(
        ge=0, description="Between two messages to one person; `0`: no limit."
    )
    pair_burst: int = Field(ge=1, description="How many may go to one person at once, on credit.")


class QueueShape(Shape):
    """What waits."""

    due: int = Field(
        ge=0, description="Messages whose turn it is, and that wait; counted up to 100,000."
    )
    oldest_due_at: Moment | None = Field(description="Since when the longest of them waits.")
    unknown: int = Field(ge=0, description="Messages of which nobody knows whether they were sent.")


class SenderShape(Shape):
    """A business phone number that sends."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_SENDER]})

    name: str = Field(
        description="As in the settings, and as `from` of a message.",
        examples=["main"],
        json_schema_extra={"pattern": SENDER_NAME},
    )
    provider: str = Field(description="Who carries its messages.", examples=["cloud"])
    account: str = Field(
        description="Senders with the same one are paused together.", examples=["main"]
    )
    paused: bool = Field(description="Whether nothing of it goes out now.")
    why: PauseShape | None = Field(description="What holds all of it, a person's pause first.")
    pauses: list[PauseShape] = Field(description="All that stands still of it, longest first.")
    paused_recipients: int = Field(
        ge=0, description="How many people have to wait, because WhatsApp said so."
    )
    limits: LimitsShape = Field(description="What the settings allow.")
    queue: QueueShape = Field(description="What waits.")


class SenderAnswer(Shape):
    """One sender."""

    data: SenderShape = Field(description="The sender.")


class SendersAnswer(Shape):
    """Every sender that the API token may use."""

    data: list[SenderShape] = Field(description="The senders, in the order of the settings.")
    next_cursor: None = Field(description="There is one page only.")
