"""Requests to copy, each as a whole: in the JSON schema, in the API's document and on its page."""

from __future__ import annotations

from typing import Final

from pydantic.config import JsonDict

#: By name: a header of each type, the fields that a first message does without, and what is less
#: usual.
EXAMPLES: Final[dict[str, JsonDict]] = {
    "text_header": {
        "to": "+1 212 555 0123",
        "type": "flow",
        "flow": {
            "id": "987654321098765",
            "token": "visit-4711",
            "text": "Choose a time",
            "action": "navigate",
            "screen": "CHOOSE_TIME",
            "param": {
                "header": {"type": "text", "text": "Your visit"},
                "body": "Pick a time that suits you.",
                "footer": "It takes a minute",
            },
        },
    },
    "media_header": {
        "to": "+1 000 000 0000",
        "type": "flow",
        "flow": {
            "id": "987654321098765",
            "token": "visit-4712",
            "text": "Choose a time",
            "action": "data_exchange",
            "screen": "CHOOSE_TIME",
            "param": {
                "header": {"type": "media", "media": "https://example.com/garden.jpg"},
                "body": "Pick a time that suits you.",
                "footer": "It takes a minute",
            },
        },
    },
    "reply_sent_later": {
        "to": "+1-000-000-0000",
        "reply_message_id": "wamid.HBgLMTAwMDAwMDAwMDAVAgARGBI",
        "type": "flow",
        "flow": {
            "id": "987654321098765",
            "token": "visit-4713",
            "text": "Choose a time",
            "screen": "CHOOSE_TIME",
            "mode": "draft",
            "data": {"branch": "north", "times": ["09:00", "11:30"]},
            "param": {"body": "Your visit is tomorrow.\nDo you want another time?"},
        },
        "send_at": "2030-01-31T09:00:00Z",
        "expires_at": "2030-01-31T18:00:00+07:00",
        "callback_data": "order 4713",
        "on_unknown": "retry",
        "priority": "bulk",
    },
    "template": {
        "to": "+1 212 555 0123",
        "type": "template",
        "template": {
            "name": "visit_form",
            "language": "en_US",
            "header": {"type": "text", "text": "Your visit"},
            "body": ["Ana", "Monday"],
            "button_index": 0,
            "flow": {"token": "visit-4714", "data": {"branch": "north"}},
        },
    },
    "fallback": {
        "to": "+1 (000) 000 0000",
        "type": "flow",
        "flow": {
            "id": "987654321098765",
            "token": "visit-4715",
            "text": "Choose a time",
            "screen": "CHOOSE_TIME",
            "param": {"body": "Pick a time that suits you."},
        },
        "fallback": {"name": "visit_form", "language": "en_US", "body": ["Ana", "Monday"]},
    },
    "recipient": {
        "recipient": "US.13491208655302741918",
        "type": "flow",
        "flow": {
            "id": "987654321098765",
            "token": "visit-4716",
            "text": "Choose a time",
            "screen": "CHOOSE_TIME",
            "param": {"body": "Pick a time that suits you."},
        },
    },
}
