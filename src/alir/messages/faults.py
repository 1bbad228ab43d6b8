"""The rules that a request can break, and the things it is warned of, each with its code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

from alir.errors import Fault

#: Where something stands in a request: the keys on the way there.
Path = tuple[str, ...]

#: Codes of faults in `errors` of the problem `invalid_request`, and what each means.
FAULT_CODES: Final[Mapping[str, str]] = {
    "missing": "A field that is needed is not there, or is null.",
    "unknown_field": "There is no such field here.",
    "not_supported": "The settings of the sender do not allow it.",
    "wrong_type": "The value is of another JSON type than the field takes.",
    "empty": "The object has nothing in it; leave it out, or fill it.",
    "too_short": "The text has fewer characters than the field needs.",
    "too_long": "The text or list is longer than the field takes.",
    "not_a_choice": "The field takes one of a few values, and this is none of them.",
    "number_too_large": "A whole number is beyond 64 bits; it can be sent as text.",
    "control_character": "The text holds a NUL or another control character.",
    "placeholder": "A placeholder such as {{ MESSAGE_ID }} was not filled in.",
    "conflict": "Two fields contradict each other.",
    "invalid_url": "The text is not an http or https URL that a server could fetch.",
    "invalid_time": "The text is not a moment as RFC 3339 writes it, with Z or an offset.",
    "invalid_number": "The number holds a character that no phone number has.",
    "use_plus": "The number begins with 00; a plus sign belongs there.",
    "country_code_missing": "The number begins with 0, so its country code is missing.",
    "number_length": "The number has too few or too many digits.",
    "unknown_country_code": "The number begins with no country code that exists.",
    "number_rewritten": "The number has digits that are not dialled from abroad.",
    "invalid_user_id": "The text is not a business-scoped user id.",
    "unknown_sender": "No sender of this name is configured, or the API token may not use it.",
    "in_the_past": "The moment has passed already.",
    "unknown_message": "No message has this id.",
    "other_conversation": "The message is one to another person, or from another sender.",
    "invalid_idempotency_key": "An Idempotency-Key is 1 to 255 printable ASCII characters.",
    "window_shut": "The person last wrote more than 24 hours before the message goes out.",
    "repeated": "A parameter of the query came more than once.",
    "wrong_value": "The value is not one that this parameter of the query takes.",
    "invalid_cursor": "The cursor is none that a page before this one gave out.",
}

#: Codes in `warnings` of an answer, and what each means.
WARNING_CODES: Final[Mapping[str, str]] = {
    "number_without_plus": "The number had no plus sign, and was read as if it had one.",
    "number_not_possible": "The number has a length that its country does not use.",
    "button_text_long": "The button's text is longer than WhatsApp advises.",
    "button_text_emoji": "The button's text holds an emoji, which WhatsApp advises against.",
    "reply_not_shown": "The answered message has no WhatsApp id yet, so it is not quoted.",
    "window_shut": "The person last wrote more than 24 hours before the message goes out.",
}


def pointer(path: Path) -> str:
    """`path` as a JSON pointer in the form of a URI fragment (RFC 6901, section 6).

    >>> pointer(("flow", "param", "body")), pointer(()), pointer(("a/b ~c",))
    ('#/flow/param/body', '#', '#/a~1b%20~0c')
    """
    return "#" + "".join(f"/{_escaped(key)}" for key in path)


def _escaped(key: str) -> str:
    unambiguous = key.replace("~", "~0").replace("/", "~1")
    return quote(unambiguous, safe="!$&'()*+,;=:@?")


class Report:
    """Collects every fault of a request. False while there is none."""

    def __init__(self) -> None:
        self._faults: list[tuple[Path, Fault]] = []

    def __bool__(self) -> bool:
        return bool(self._faults)

    def add(self, path: Path, code: str, detail: str) -> None:
        """Note that what stands at `path` breaks the rule `code`."""
        self._faults.append((path, Fault(pointer(path), code, detail)))

    def in_order(self, document: object) -> Sequence[Fault]:
        """The faults in the order of `document`; what is missing comes after what is there."""
        ordered = sorted(self._faults, key=lambda entry: _place(document, entry[0]))
        return [fault for _, fault in ordered]


def _place(document: object, path: Path) -> tuple[int, ...]:
    place, node = [], document
    for key in path:
        keys = list(node) if isinstance(node, dict) else []
        place.append(keys.index(key) if key in keys else len(keys))
        node = node.get(key) if isinstance(node, dict) else None
    return tuple(place)
