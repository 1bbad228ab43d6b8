"""What the writer of broken JSON likely meant, judged by what stands where something else should.

Each function is asked about the index `at` of `text`, which is past white space and may be the end.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

LONGEST_NAME: Final = 40  #: characters of a key that a hint repeats

QUOTE_IT: Final = "put it in double quotes"
TRAILING_COMMA: Final = "this comma is one too many: nothing follows it"
CUT_OFF: Final = "the body ends too early: was it cut off, or is a bracket missing?"
UNCLOSED_TEXT: Final = "the text that begins here has no closing quote"
BACKSLASH: Final = "a backslash that is meant as one is written twice: \\\\"
HALF_CHARACTER: Final = "this is half of a character (a surrogate); its other half is missing"
NOT_UTF_8: Final = "this is not UTF-8: send the body in UTF-8"
WIDE: Final = "this looks like UTF-16 or UTF-32: send the body in UTF-8"
NOT_A_NUMBER: Final = (
    f"this is not a number as JSON writes it; a phone number or an id is a text: {QUOTE_IT}"
)
NUMBERISH: Final = re.compile(r"[-+.\w]")

_COMMENT: Final = "this is a comment, and JSON has none: take it out, up to the end of the line"
_CURLY_QUOTES: Final = 'these are curly quotes: JSON takes only straight ones, "'
_PLACEHOLDER: Final = "this is a placeholder: fill in your own value"
_NO_NUMBER: Final = "JSON has no NaN and no Infinity: send null, or leave the field out"
_WORD: Final = re.compile(r"[^\W\d][\w$.-]*+")
_FORM: Final = re.compile(r"[A-Za-z_][\w.-]*+=")

#: By how they begin: things that stand nowhere in JSON, outside its texts.
_STRAYS: Final = {
    "#": _COMMENT,
    "//": _COMMENT,
    "/*": "this is a comment, and JSON has none: take it out",
    "'": 'these are single quotes: JSON takes only double ones, "',
    "`": 'this is a backtick: JSON takes only double quotes, "',
    "“": _CURLY_QUOTES,
    "”": _CURLY_QUOTES,
    "„": _CURLY_QUOTES,
    "‘": _CURLY_QUOTES,
    "’": _CURLY_QUOTES,
    "\xa0": "this is a no-break space: JSON takes only ordinary ones",
    "\ufeff": "this is a byte order mark: it may stand only before everything else",
    "\0": WIDE,
    '\\"': "the quotes around a text have no backslash before them",
}

_WORDS: Final = {
    "none": "this is Python's None: JSON writes null",
    "nil": "JSON writes null",
    "undefined": "JSON has no undefined: send null, or leave the field out",
    "null": "JSON writes null in small letters",
    "true": "JSON writes true in small letters",
    "false": "JSON writes false in small letters",
    "nan": _NO_NUMBER,
    "infinity": _NO_NUMBER,
    "inf": _NO_NUMBER,
}

_IN_TEXT: Final = {
    "\n": "a line break inside a text is written \\n; or the closing quote is missing",
    "\r": "a line break inside a text is written \\r or \\n; or the closing quote is missing",
    "\t": "a tab inside a text is written \\t",
    "\0": "no text may hold a NUL (is the body UTF-16? send UTF-8)",
}

_CONTROLS: Final = {"\0": "NUL", "\t": "TAB", "\n": "LINE FEED", "\r": "CARRIAGE RETURN"}


def character_name(character: str) -> str:
    """How a fault names a character that people may not see, or mistake for another.

    >>> character_name("x"), character_name("１"), character_name("\\t")
    ('U+0078 LATIN SMALL LETTER X', 'U+FF11 FULLWIDTH DIGIT ONE', 'U+0009 TAB')
    """
    name = _CONTROLS.get(character) or unicodedata.name(character, "")
    if not name and unicodedata.category(character) == "Cc":
        name = "CONTROL CHARACTER"
    return f"U+{ord(character):04X} {name}".rstrip()


def shortened(name: str) -> str:
    """A key as a hint repeats it."""
    return name if len(name) <= LONGEST_NAME else name[:LONGEST_NAME] + "…"


def key_twice(name: str, first_line: int) -> str:
    """For a key that its object had already, in line `first_line`."""
    return f'the key "{shortened(name)}" is here twice; the first stands in line {first_line}'


def inside_text(char: str) -> str:
    """For a control character between quotes."""
    return _IN_TEXT.get(char) or f"{character_name(char)} cannot stand in a text"


def instead_of_value(text: str, at: int, *, is_root: bool) -> str:
    """Where a value should begin."""
    if is_root and (said := _instead_of_json(text, at)):
        return said
    if word := _WORD.match(text, at):
        return _WORDS.get(word[0].lower(), "a text needs double quotes around it")
    if text.startswith("-Infinity", at):
        return _NO_NUMBER
    if NUMBERISH.match(text, at):
        return NOT_A_NUMBER
    return _stray(text, at) or "a value is missing here"


def _instead_of_json(text: str, at: int) -> str | None:
    if at == len(text):
        return "the body is empty: send a JSON object"
    if _FORM.match(text, at):
        return "this is a form, not JSON: send a JSON object"
    if text.startswith("<", at):
        return "this is XML or HTML: send a JSON object"
    return None


def instead_of_key(text: str, at: int) -> str:
    """Where a key should begin."""
    if NUMBERISH.match(text, at):
        return (
            "a key needs double quotes around it (a shell may have taken them away: "
            "send the body from a file)"
        )
    if text.startswith(",", at):
        return "there is a comma too many"
    if text.startswith("{", at) and text[at - 1] == "{":
        return _PLACEHOLDER
    return _stray(text, at) or "a key in double quotes is missing here"


def instead_of_colon(text: str, at: int) -> str:
    """Where the colon after a key should be."""
    if text.startswith((",", "}"), at):
        return "the key before this has no value"
    return _stray(text, at) or "the colon between a key and its value is missing here"


def instead_of_comma(text: str, at: int) -> str | None:
    """Where a comma or a closing bracket should be; none where the comma was likely forgotten."""
    if text.startswith(("]", "}"), at):
        return "this bracket does not fit the one that was opened last"
    if text.startswith((";", "="), at):
        return "a comma belongs here"
    if text.startswith(":", at):
        return "a colon stands only between a key and its value, and a key only inside { }"
    return _stray(text, at)


def missing_comma(text: str, last_end: int) -> str:
    """For what follows a value that ended at `last_end`, without a comma."""
    if text[last_end - 1] == '"' and _WORD.match(text, last_end):
        return 'a quote inside a text is written \\"; or a comma is missing here'
    return "a comma is missing here"


def instead_of_end(text: str, at: int) -> str:
    """Where the text should have ended."""
    if text.startswith(("]", "}"), at):
        return "there is a closing bracket too many"
    return _stray(text, at) or "nothing may follow the JSON value that ended before this"


def _stray(text: str, at: int) -> str | None:
    if at == len(text):
        return CUT_OFF
    for beginning, likely in _STRAYS.items():
        if text.startswith(beginning, at):
            return likely
    return None
