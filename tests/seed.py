"""The sample request of the seed document, as it stands there and as a caller would mend it."""

from __future__ import annotations

from typing import Any, Final

#: Pasted: with its comments, its choices, its placeholders, and without two commas.
SAMPLE: Final = """{
    "to": "+62821xxxxxx",
    "reply_message_id": "{{ MESSAGE_ID }}",
    "type": "flow",
    "flow": {
        "id": "FLOW_ID",
        "token": "RANDOM_STRING_FOR_FLOW_TOKEN",
        "text": "FLOW_BUTTON_TEXT",
        "action": "nagivate | data_exchange",
        "screen": "FLOW_SCREEN_NAME",
        "param": {
            "header": {
                "type": "media | text",
                "media": "URL_IMAGE" # if media
                "text": "TEXT_HEADER" # if text
            },
            "body": "TEXT_BODY",
            "footer": "TEXT_FOOTER"       \x20
        }
    }
}"""

NUMBER_FORMATS: Final = (
    "+1-000-000-0000",
    "+1 (000) 000-0000",
    "+1 000 000 0000",
    "+1 (000) 000 0000",
)

TEXT_HEADER: Final = {"type": "text", "text": "TEXT_HEADER"}
MEDIA_HEADER: Final = {"type": "media", "media": "https://example.com/image.png"}


def mended(**changes: Any) -> dict[str, Any]:
    """The sample with its comments, choices and placeholders gone, and `changes` to `flow` made."""
    flow = {
        "id": "FLOW_ID",
        "token": "RANDOM_STRING_FOR_FLOW_TOKEN",
        "text": "FLOW_BUTTON_TEXT",
        "action": "navigate",
        "screen": "FLOW_SCREEN_NAME",
        "param": {"header": TEXT_HEADER, "body": "TEXT_BODY", "footer": "TEXT_FOOTER"},
    }
    return {"to": NUMBER_FORMATS[0], "type": "flow", "flow": flow | changes}
