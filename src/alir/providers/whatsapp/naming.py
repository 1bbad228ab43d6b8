"""A provider's own words, with its names of fields turned into alir's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

#: WhatsApp writes a field below another in two ways: `body.text` and `body['text']`.
_BRACKETED = re.compile(r"\['(\w+)'\]")
#: WhatsApp's names of fields, and alir's. Longer ones first: one may hold another.
_FIELDS: Final = (
    ("interactive.action.parameters.", ""),
    ("biz_opaque_callback_data", "alir's own mark"),
    ("flow_action_payload.screen", "flow.screen"),
    ("flow_action_payload.data", "flow.data"),
    ("interactive.header.image.link", "flow.param.header.media"),
    ("interactive.header.text", "flow.param.header.text"),
    ("interactive.footer.text", "flow.param.footer"),
    ("interactive.body.text", "flow.param.body"),
    ("flow_action_payload", "flow.screen"),
    ("context.message_id", "reply_message_id"),
    ("flow_action_data", "flow.data"),
    ("flow_action", "flow.action"),
    ("flow_token", "flow.token"),
    ("flow_mode", "flow.mode"),
    ("flow_cta", "flow.text"),
    ("flow_id", "flow.id"),
)


def in_alirs_words(text: str) -> str:
    """The same with alir's names of fields.

    It is not cut here: what a cut leaves of a secret would be found by nobody; see `strike_out`.

    >>> in_alirs_words("Param interactive['action']['parameters']['flow_cta'] is empty.")
    'Param flow.text is empty.'
    """
    text = _BRACKETED.sub(r".\1", text)
    for theirs, ours in _FIELDS:
        text = text.replace(theirs, ours)
    return text


def words_of(error: Mapping[str, Any]) -> str | None:
    """What an error object of WhatsApp says, in alir's terms; None: nothing."""
    below = error.get("error_data")
    details = below.get("details") if isinstance(below, dict) else below
    said = (details, error.get("message"), error.get("title"))
    text = next((one for one in said if isinstance(one, str) and one), None)
    return None if text is None else in_alirs_words(text)
