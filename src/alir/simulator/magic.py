"""What the recipient's number makes of a message: `+1 5550 CCCCCC` gives the error CCCCCC.

So does a business-scoped user id such as `US.15550CCCCCC`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from alir.simulator.behaviour import Behaviour, Comes
from alir.simulator.codes import ErrorCode, error_codes
from alir.simulator.recipients import number_in

WINDOW_SHUT = 131047
#: Codes that templates do not get: WhatsApp's and the older one of Route Mobile.
_NOT_FOR_TEMPLATES = (WINDOW_SHUT, 470)

_MAGIC = re.compile(r"15550([0-9]{6})")


class Fate(Enum):
    """What becomes of a request that breaks no rule."""

    TAKEN = auto()  #: It is answered, and receipts come.
    FAILS_LATER = auto()  #: It is answered; a failed receipt comes.
    REFUSED = auto()  #: It is answered with the error.
    GATEWAY_ERROR = auto()  #: An HTML page with status 502 comes back; nothing is taken.
    TOO_MANY = auto()  #: 429 comes back; nothing is taken.
    NO_ANSWER = auto()  #: It is taken and its receipts come, but never an answer.
    HANGS_UP = auto()  #: It is taken; the connection closes; no receipt comes.


#: Fates of a message that WhatsApp has taken, so that it counts.
TAKES = frozenset({Fate.TAKEN, Fate.FAILS_LATER, Fate.NO_ANSWER, Fate.HANGS_UP})
#: Numbers that are no error codes of WhatsApp, but what the network between can do.
NETWORK_FATES = {
    408: Fate.NO_ANSWER,
    409: Fate.HANGS_UP,
    429: Fate.TOO_MANY,
    502: Fate.GATEWAY_ERROR,
}


@dataclass(frozen=True, slots=True)
class Destiny:
    """A fate, and the error that it comes with, if any."""

    fate: Fate
    error: ErrorCode | None = None


_ORDINARY = Destiny(Fate.TAKEN)


def magic_code(recipient: str) -> int:
    """What the recipient's number asks for; -1: nothing.

    >>> magic_code("15550000422"), magic_code("US.15550131026"), magic_code("15551230001")
    (422, 131026, -1)
    """
    magic = _MAGIC.fullmatch(number_in(recipient))
    return int(magic[1]) if magic else -1


def destiny(
    recipient: str,
    kind: str,
    behaviour: Behaviour,
    codes: Mapping[int, ErrorCode] | None = None,
) -> Destiny:
    """What becomes of a message of this kind to this recipient (digits, or a user id).

    `codes` are those that a number can ask for, where they are not just WhatsApp's.

    >>> destiny("15551230001", "interactive", Behaviour()).fate.name
    'TAKEN'
    >>> destiny("15550131026", "interactive", Behaviour()).fate.name
    'FAILS_LATER'
    """
    code = magic_code(recipient)
    if code in NETWORK_FATES:
        return Destiny(NETWORK_FATES[code])
    error = (codes or error_codes()).get(code)
    if error is None or (code in _NOT_FOR_TEMPLATES and kind == "template"):
        return _ORDINARY
    if behaviour.comes(error) is Comes.BY_RECEIPT:
        return Destiny(Fate.FAILS_LATER, error)
    return Destiny(Fate.REFUSED, error)
