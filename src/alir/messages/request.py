"""The body of `POST /messages`, field by field.

One description for three readers: `/openapi.json` shows the JSON schema of these models, `explain`
says what pydantic finds wrong by them, and `check` validates with `REQUEST`, which is made of them.
Rules between fields stand in `explain`; where a schema can say them too, it does. `null` means left
out.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.config import JsonDict

from alir.messages import limits
from alir.messages.as_dicts import as_dicts
from alir.messages.examples import EXAMPLES
from alir.messages.model import OnUnknown, Priority
from alir.messages.moment import MOMENT_PATTERN
from alir.messages.phone import NUMBER_PATTERN

# These patterns are read by Python, by Rust (pydantic) and by every reader of /openapi.json,
# so they use only what all of them read alike.
ONE_LINE: Final = r"^[^\u0000-\u001f\u007f-\u009f]*$"
LINES: Final = r"^[^\u0000-\u0009\u000b\u000c\u000e-\u001f\u007f-\u009f]*$"
_BLANK: Final = r"\u0000-\u0020\u007f-\u00a0\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff"
URL: Final = (
    r"^[Hh][Tt][Tt][Pp][Ss]?://"
    rf"(\[[0-9A-Fa-f:.]+\]|[^{_BLANK}/?#@:\\\[\]]+)(:[0-9]{{1,5}})?"
    rf"([/?#][^{_BLANK}\\]*)?$"
)
USER_ID: Final = rf"^[A-Z]{{2}}\.(ENT\.)?[A-Za-z0-9]{{1,{limits.USER_ID}}}$"
_NO_CONTROL: Final[JsonDict] = {
    "pattern": r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$"
}

#: An object that is not empty, as far as a schema can look into it.
_DATA: Final[JsonDict] = {
    "anyOf": [
        {
            "type": "object",
            "minProperties": 1,
            "propertyNames": _NO_CONTROL,
            "additionalProperties": _NO_CONTROL,
        },
        {"type": "null"},
    ]
}

MessageType = Literal["flow", "template"]
HeaderType = Literal["text", "media"]
Action = Literal["navigate", "data_exchange", "nagivate"]
Mode = Literal["published", "draft"]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FlowHeader(_Shape):
    """What stands above the text: a line of text, or an image. Not both."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {
                    "required": ["text"],
                    "properties": {
                        "type": {"enum": ["text", None]},
                        "media": {"type": "null"},
                        "text": {"type": "string"},
                    },
                },
                {
                    "required": ["media"],
                    "properties": {
                        "type": {"enum": ["media", None]},
                        "media": {"type": "string"},
                        "text": {"type": "null"},
                    },
                },
            ],
            "examples": [
                {"type": "text", "text": "Your visit"},
                {"type": "media", "media": "https://example.com/garden.jpg"},
            ],
        }
    )

    type: HeaderType | None = Field(
        None, description="Left out, it is taken from whichever of `media` and `text` is there."
    )
    media: str | None = Field(
        None,
        max_length=limits.MEDIA_URL,
        pattern=URL,
        description="With `media`: the http or https URL of an image, without credentials in it.",
        examples=["https://example.com/garden.jpg"],
    )
    text: str | None = Field(
        None,
        min_length=1,
        max_length=limits.HEADER_TEXT,
        pattern=ONE_LINE,
        description="With `text`: the header's text.",
        examples=["Your visit"],
    )


class FlowParam(_Shape):
    """The texts of the message around its button."""

    header: FlowHeader | None = Field(None, description="An image or a line above the text.")
    body: str = Field(
        min_length=1,
        max_length=limits.BODY,
        pattern=LINES,
        description="The message's text. The only field that may have line breaks.",
        examples=["Pick a time that suits you."],
    )
    footer: str | None = Field(
        None,
        min_length=1,
        max_length=limits.FOOTER,
        pattern=ONE_LINE,
        description="A small line below the text.",
        examples=["It takes a minute"],
    )


class FlowRequest(_Shape):
    """The Flow to open, and the message that asks for it."""

    model_config = ConfigDict(
        json_schema_extra={
            "not": {
                "required": ["action", "data"],
                "properties": {"action": {"const": "data_exchange"}, "data": {"type": "object"}},
            }
        }
    )

    id: str = Field(
        min_length=1,
        max_length=limits.FLOW_ID,
        pattern=ONE_LINE,
        description="The Flow's id. A string, although WhatsApp's ids are digits.",
        examples=["987654321098765"],
    )
    token: str = Field(
        min_length=1,
        max_length=limits.FLOW_TOKEN,
        pattern=ONE_LINE,
        description=(
            "Your own string, passed on unchanged; best a different one for every message. What "
            "the person fills in, with which it comes back, is not in this version."
        ),
        examples=["visit-4711"],
    )
    text: str = Field(
        min_length=1,
        max_length=limits.BUTTON_TEXT,
        pattern=ONE_LINE,
        description=(
            "The button's text. Over 20 characters, or with an emoji, the answer carries a "
            "warning: WhatsApp advises against it."
        ),
        examples=["Choose a time"],
    )
    action: Action | None = Field(
        "navigate",
        description=(
            "`navigate` (the default) opens `screen`; with `data_exchange` the Flow's own "
            "endpoint chooses the first screen. `nagivate` is an accepted misspelling of "
            "`navigate`."
        ),
        examples=["navigate"],
    )
    screen: str = Field(
        min_length=1,
        max_length=limits.SCREEN,
        pattern=ONE_LINE,
        description="The first screen. Not passed on with `data_exchange`.",
        examples=["CHOOSE_TIME"],
    )
    mode: Mode | None = Field(
        "published",
        description="Which revision of the Flow opens: `published` (the default) or `draft`.",
    )
    data: dict[str, Any] | None = Field(
        None,
        description=(
            "Data for the first screen. Not empty, and not with `data_exchange`. No text in it "
            "may hold control characters, but for line breaks and tabs. Fractions travel as IEEE "
            "doubles."
        ),
        json_schema_extra=_DATA,
        examples=[{"branch": "north"}],
    )
    param: FlowParam = Field(description="The texts of the message.")


class TemplateFlow(_Shape):
    """What travels with the template's Flow. Which Flow that is, the template says."""

    token: str | None = Field(
        None,
        min_length=1,
        max_length=limits.FLOW_TOKEN,
        pattern=ONE_LINE,
        description=(
            "The flow token. Left out, a `fallback` has that of the Flow message, and of any other "
            "template WhatsApp makes it `unused`."
        ),
        examples=["visit-4714"],
    )
    data: dict[str, Any] | None = Field(
        None,
        description="Data for the first screen. Not empty, and its texts as those of `flow.data`.",
        json_schema_extra=_DATA,
        examples=[{"branch": "north"}],
    )


def _whole(value: object) -> object:
    """In JSON 1.0 is a whole number too."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_Value = Annotated[str, Field(min_length=1, max_length=limits.TEMPLATE_VALUE, pattern=ONE_LINE)]
_Index = Annotated[int, Field(strict=True, ge=0, le=limits.LAST_BUTTON), BeforeValidator(_whole)]


class TemplateRequest(_Shape):
    """A message template with a Flow button, approved by WhatsApp beforehand."""

    name: str = Field(
        min_length=1,
        max_length=limits.TEMPLATE_NAME,
        pattern=ONE_LINE,
        description="The template's name at WhatsApp.",
        examples=["visit_form"],
    )
    language: str = Field(
        min_length=limits.LANGUAGE_MIN,
        max_length=limits.LANGUAGE,
        pattern=ONE_LINE,
        description="The code of the language that it was approved in.",
        examples=["en_US"],
    )
    header: FlowHeader | None = Field(
        None, description="What fills the variable of the template's header, where it has one."
    )
    body: list[_Value] | None = Field(
        None,
        max_length=limits.TEMPLATE_VALUES,
        description="What fills the variables of the template's body, in their order.",
        examples=[["Ana", "Monday"]],
    )
    button_index: _Index | None = Field(
        0,
        description="The place of the Flow button among the template's buttons, counted from 0.",
        examples=[0],
    )
    flow: TemplateFlow | None = Field(None, description="What travels with the template's Flow.")


def _between_fields(schema: JsonDict) -> None:
    """The rules about which fields go together, for readers of the schema; `explain` has them."""
    null: JsonDict = {"type": "null"}
    there: JsonDict = {"type": "object"}
    text: JsonDict = {"type": "string"}
    kinds: list[tuple[str, JsonDict]] = [
        ("flow", {"type": {"const": "flow"}, "flow": there, "template": null}),
        (
            "template",
            {"type": {"const": "template"}, "flow": null, "template": there, "fallback": null},
        ),
    ]
    people: list[tuple[str, JsonDict]] = [
        ("to", {"to": text, "recipient": null}),
        ("recipient", {"to": null, "recipient": text}),
    ]
    schema["anyOf"] = [
        {"required": [whom, kind], "properties": of_person | of_kind}
        for kind, of_kind in kinds
        for whom, of_person in people
    ]
    schema["examples"] = [*EXAMPLES.values()]


class MessageRequest(_Shape):
    """One Flow message to one person: a Flow message, or a template with a Flow button."""

    model_config = ConfigDict(json_schema_extra=_between_fields)

    to: str | None = Field(
        None,
        description=(
            "The person's WhatsApp id or phone number, with its country code and best with a plus "
            "sign; spaces, hyphens, dots, slashes and brackets are passed over."
        ),
        json_schema_extra={"pattern": NUMBER_PATTERN, "maxLength": limits.NUMBER_TEXT},
        examples=["+1 212 555 0123"],
    )
    recipient: str | None = Field(
        None,
        pattern=USER_ID,
        description=(
            "In place of `to`: the person's business-scoped user id, as WhatsApp gives it to those "
            "who hide their number. Only where the sender's `recipients_by_user_id` is on."
        ),
        examples=["US.13491208655302741918"],
    )
    reply_message_id: str | None = Field(
        None,
        min_length=1,
        max_length=limits.REPLY_MESSAGE_ID,
        pattern=ONE_LINE,
        description=(
            "The message that this one answers, shown above it: an `id` or `request_id` of this "
            "API, or any WhatsApp message id."
        ),
        examples=["wamid.HBgLMTAwMDAwMDAwMDAVAgARGBI"],
    )
    type: MessageType = Field(
        description=(
            "`flow`: a Flow message, while the person's 24-hour window is open. `template`: a "
            "template with a Flow button, at any time."
        )
    )
    flow: FlowRequest | None = Field(
        None, description="With type `flow`: the Flow to open, and the message that asks for it."
    )
    template: TemplateRequest | None = Field(
        None, description="With type `template`: the template, and what it is filled with."
    )
    fallback: TemplateRequest | None = Field(
        None,
        description=(
            "With type `flow`: the template that goes out in its place where the 24-hour window is "
            "shut."
        ),
    )
    sender: str | None = Field(
        None,
        alias="from",
        min_length=1,
        max_length=limits.SENDER_NAME,
        pattern=ONE_LINE,
        description=(
            "The sender's name. Left out, it is the API token's only sender, or its default one."
        ),
        examples=["sandbox"],
    )
    send_at: str | None = Field(
        None,
        description="Not before this moment (RFC 3339, with `Z` or an offset).",
        json_schema_extra={"format": "date-time", "pattern": MOMENT_PATTERN},
        examples=["2030-01-31T09:00:00Z"],
    )
    expires_at: str | None = Field(
        None,
        description="Not after this moment (RFC 3339, with `Z` or an offset); after `send_at`.",
        json_schema_extra={"format": "date-time", "pattern": MOMENT_PATTERN},
        examples=["2030-01-31T18:00:00+07:00"],
    )
    callback_data: str | None = Field(
        None,
        max_length=limits.CALLBACK_DATA,
        pattern=ONE_LINE,
        description="Your own string; this version keeps it and shows it with the message.",
        examples=["order 4711"],
    )
    on_unknown: OnUnknown | None = Field(
        None,
        description=(
            "When nobody can tell whether the provider took the message: `hold` it for you to "
            "decide, or `retry` once, which may send it twice. Left out, the sender's setting "
            "holds."
        ),
    )
    priority: Priority | None = Field(
        Priority.SINGLE,
        description=(
            "`single` (the default) or `bulk`: such a message lets single ones and replies go "
            "first, and still gets one slot in five."
        ),
    )


#: Takes what `MessageRequest` takes. Answers with a new dict, `flow`, `param`, `header` and `data`
#: new ones in it, by the names of the API; what was left out is not there.
REQUEST: Final = as_dicts(MessageRequest)
