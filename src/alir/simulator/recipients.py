"""Who a message goes to: a phone number, or a user id where the number is hidden."""

from __future__ import annotations

import re

#: Source: Meta, "Business-scoped user IDs", copy of 2026-05-07: the country, a dot, up to 128
#: letters and digits; the form with `ENT` is that of linked portfolios.
_USER_ID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")


def is_user_id(recipient: str) -> bool:
    """Whether this is a business-scoped user id.

    >>> is_user_id("US.1349"), is_user_id("ID.ENT.7x"), is_user_id("15551230001")
    (True, True, False)
    """
    return _USER_ID.fullmatch(recipient) is not None


def label(recipient: str) -> str:
    """A number's digits with their plus sign; a user id as it is.

    >>> label("15551230001"), label("US.1349")
    ('+15551230001', 'US.1349')
    """
    return f"+{recipient}" if recipient.isdigit() else recipient


def number_in(recipient: str) -> str:
    """The digits that decide what becomes of a message: the number, or what the user id ends in.

    >>> number_in("15550131062"), number_in("US.15550131062")
    ('15550131062', '15550131062')
    """
    return recipient.rpartition(".")[2]
