"""Reading a phone number: WhatsApp's id, or any dialable form with its country code.

Digits are never changed. Where libphonenumber would change them, the caller is asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final, NamedTuple

import phonenumbers

from alir.errors import Fault, RequestInvalid
from alir.messages.limits import DIGITS_MAX, DIGITS_MIN, NUMBER_TEXT, NUMBERS_REMEMBERED
from alir.messages.model import Notice
from alir.strictjson import character_name

#: What `read_number` takes, as a JSON schema can say it. Which country codes exist, and what
#: libphonenumber makes of the digits, is beyond a pattern.
NUMBER_PATTERN: Final = (
    r"^[-(). /]*(\+[-(). /]*)?[1-9]"
    rf"([-(). /]*[0-9]){{{DIGITS_MIN - 1},{DIGITS_MAX - 1}}}[-(). /]*$"
)

_STRANGER: Final = re.compile(r"[^-+0-9(). /]")
#: Names what stays as well: `str.translate` is slow on what its table does not know.
_NO_SEPARATORS: Final = str.maketrans("+0123456789", "+0123456789", "-(). /")


@dataclass(slots=True)
class Number:
    """A phone number as alir sends it. Never changed in place; unfrozen, it is quicker to build.

    Attributes:
        e164: a plus sign and the digits as they were given.
        warnings: what the caller should know about how it was read.
    """

    e164: str
    warnings: tuple[Notice, ...] = ()


def read_number(text: str, pointer: str = "#/to") -> Number:
    """The number that `text` means. `pointer` is where it stands, for faults and warnings.

    Raises:
        RequestInvalid: it is none, or not surely one; with a single fault.

    >>> read_number("+1 (000) 000-0000").e164
    '+10000000000'
    """
    digits = text.removeprefix("+")
    if not digits.isdecimal():
        digits = text.translate(_NO_SEPARATORS).removeprefix("+")
    if not (
        DIGITS_MIN <= len(digits) <= DIGITS_MAX
        and digits.isdecimal()
        and digits.isascii()
        and digits[0] != "0"
        and len(text) <= NUMBER_TEXT
    ):
        raise _not_a_number(text, digits, pointer)
    e164 = f"+{digits}"
    is_ordinary = _is_ordinary(digits)
    if is_ordinary and "+" in text:
        return Number(e164)
    reading = _AS_GIVEN if is_ordinary else _libphonenumber(digits)
    if not reading.has_country:
        raise _refused(
            pointer,
            "unknown_country_code",
            "these digits begin with no country code that exists: write + and the country code "
            "first",
        )
    if reading.other_form is not None:
        raise _refused(
            pointer,
            "number_rewritten",
            "this seems to have a trunk or carrier prefix that is not dialled from abroad: "
            f"if {reading.other_form} is meant, send that",
        )
    return Number(e164, tuple(_warnings(text, e164, pointer, reading)))


def _not_a_number(text: str, digits: str, pointer: str) -> RequestInvalid:
    """Why `text`, of which `digits` are left without separators, is no number."""
    if stranger := _STRANGER.search(text):
        return _refused(
            pointer,
            "invalid_number",
            f"{character_name(stranger[0])} cannot stand in a phone number, only +, digits, "
            "spaces and - ( ) . /",
        )
    if len(text) > NUMBER_TEXT:
        return _refused(pointer, "too_long", f"a number has at most {NUMBER_TEXT} characters")
    if "+" in digits:
        return _refused(pointer, "invalid_number", "a plus sign stands once, before all digits")
    if digits.startswith("00"):
        return _refused(pointer, "use_plus", "write + instead of the leading 00")
    if digits.startswith("0"):
        return _refused(
            pointer,
            "country_code_missing",
            "the country code is missing: write + and the country code instead of the leading 0",
        )
    return _refused(
        pointer,
        "number_length",
        f"a number has {DIGITS_MIN} to {DIGITS_MAX} digits with its country code; "
        f"this one has {len(digits)}",
    )


def _refused(pointer: str, code: str, detail: str) -> RequestInvalid:
    return RequestInvalid([Fault(pointer, code, detail)])


def _warnings(text: str, e164: str, pointer: str, reading: _Reading) -> list[Notice]:
    warnings = []
    if "+" not in text:
        warnings.append(
            Notice(
                "number_without_plus",
                pointer,
                f"read as {e164}; write the plus sign, so that nobody has to guess",
            )
        )
    if not reading.is_possible:
        warnings.append(
            Notice(
                "number_not_possible",
                pointer,
                "no number of that length is known in this country; it is sent as it is",
            )
        )
    return warnings


class _Reading(NamedTuple):
    """What libphonenumber makes of some digits.

    `other_form` is its E.164 where that has other digits.
    """

    has_country: bool
    other_form: str | None
    is_possible: bool


_AS_GIVEN: Final = _Reading(has_country=True, other_form=None, is_possible=True)
_NO_COUNTRY: Final = _Reading(has_country=False, other_form=None, is_possible=False)


class _Country(NamedTuple):
    """What libphonenumber knows of the numbers behind a country code.

    `lengths` are those of whole numbers, with the code; `prefix` matches what is not dialled from
    abroad, and `code` is the length of the country code.
    """

    code: int
    lengths: frozenset[int]
    prefix: re.Pattern[str]


_NEVER: Final = r"(?!)"  #: a pattern that matches nothing


def _is_ordinary(digits: str) -> bool:
    """Is libphonenumber sure to read these digits as given, as a possible number?

    It takes 15 µs for a number, and it changes digits only behind a prefix that it knows.
    """
    country = _country(digits[:3])
    if country is None:
        return False
    code, lengths, prefix = country
    return len(digits) in lengths and prefix.match(digits, code) is None


@cache
def _country(beginning: str) -> _Country | None:
    """The country of the numbers that begin with these three digits. There are 900 at most."""
    for length in (1, 2, 3):
        code = int(beginning[:length])
        if code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            region = phonenumbers.region_code_for_country_code(code)
            plan = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, region)
            if plan is None or plan.general_desc is None:
                return None
            lengths = frozenset(length + each for each in plan.general_desc.possible_length)
            return _Country(length, lengths, re.compile(plan.national_prefix_for_parsing or _NEVER))
    return None


@lru_cache(maxsize=NUMBERS_REMEMBERED)
def _libphonenumber(digits: str) -> _Reading:
    try:
        number = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        # Of 7 to 15 digits after a plus, it refuses only those that begin with no country code.
        return _NO_COUNTRY
    form = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    other_form = None if form == f"+{digits}" else form
    reading = _Reading(
        has_country=True,
        other_form=other_form,
        is_possible=phonenumbers.is_possible_number(number),
    )
    # One shared answer for nearly all numbers keeps the cache small.
    return _AS_GIVEN if reading == _AS_GIVEN else reading
