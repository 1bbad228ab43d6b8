"""What Route Mobile says about a request that it refuses, with alir's names of its fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal

from alir.providers.whatsapp.naming import in_alirs_words

Path = tuple[str, ...]

#: The field of the request that the template in it came from.
TemplateField = Literal["template", "fallback"]

#: Where the words stand, the more telling first. A 422 may be the bare map of fields.
_REASONS: Final = ("reason", "error", "errors")
_ENVELOPE: Final = frozenset({*_REASONS, "message", "status", "response"})
#: Deeper than any of its fields lie; what lies deeper is not read.
_DEEPEST: Final = 8

_FIELDS: Final[Mapping[Path, str]] = {
    ("phone",): "to",
    ("reply_to",): "reply_message_id",
    ("extra",): "alir's own mark",
    ("header", "image"): "flow.param.header.media",
    ("header", "text"): "flow.param.header.text",
    ("header",): "flow.param.header",
    ("body",): "flow.param.body",
    ("footer",): "flow.param.footer",
    ("flow", "flow_id"): "flow.id",
    ("flow", "flow_token"): "flow.token",
    ("flow", "flow_cta"): "flow.text",
    ("flow", "flow_mode"): "flow.mode",
    ("flow", "flow_action"): "flow.action",
    ("flow", "flow_action_payload", "screen"): "flow.screen",
    ("flow", "flow_action_payload", "data"): "flow.data",
    ("flow", "flow_action_payload"): "flow.screen",
    ("media", "template_name"): "{template}.name",
    ("media", "lang_code"): "{template}.language",
    ("media", "header"): "{template}.header",
    ("media", "body"): "{template}.body",
    ("media", "button"): "{template}.flow",
}


def detail_of(answer: object, *, template: TemplateField = "template") -> str | None:
    """What an answer says is wrong, in one line; None: nothing.

    Args:
        template: whose fields those of a template are.

    >>> detail_of({"status": "failed", "reason": {"flow": {"flow_cta": ["Not a valid string."]}}})
    'flow.text: Not a valid string.'
    >>> detail_of({"phone": ["Missing data for required field."]})
    'to: Missing data for required field.'
    """
    if not isinstance(answer, dict):
        return None
    said = next((answer[key] for key in _REASONS if answer.get(key)), None)
    if said is None and not _ENVELOPE & answer.keys():
        said = answer
    words = "; ".join(_lines(said, (), template)) if said is not None else ""
    for key in ("message", "status", "response"):
        if not words and isinstance(answer.get(key), str):
            words = in_alirs_words(answer[key])
    return words or None


def field_of(path: Path, template: TemplateField = "template") -> str:
    """The name of a field of the request, by the way to it.

    >>> field_of(("flow", "flow_action_payload", "data", "branch"))
    'flow.data.branch'
    >>> field_of(("media", "url"))
    'media.url'
    >>> field_of(("media", "body"), "fallback")
    'fallback.body'
    """
    for length in range(len(path), 0, -1):
        ours = _FIELDS.get(path[:length])
        if ours is not None:
            return ".".join((ours.format(template=template), *path[length:]))
    return ".".join(path)


def _lines(said: object, at: Path, template: TemplateField) -> Iterator[str]:
    """`field: message` for each message in a map that mirrors the request."""
    match said:
        case str() if said:
            words = in_alirs_words(said)
            yield f"{field_of(at, template)}: {words}" if at else words
        case list() if len(at) < _DEEPEST:
            for one in said:
                if isinstance(one, str | dict):
                    yield from _lines(one, at, template)
        case dict() if len(at) < _DEEPEST:
            for key, below in said.items():
                yield from _lines(below, (*at, key), template)
