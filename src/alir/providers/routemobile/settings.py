"""The table of a sender at Route Mobile, and what all of them share.

What Route Mobile doesn't document is a choice here; the default is the likelier guess.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from alir.providers.sender import Defaults, Sender
from alir.tables.fields import BaseUrl, SecretText, Switch
from alir.tables.secret import Secret

#: How the address of alir's own simulator ends.
SIMULATED_PATH: Final = "/simulator/routemobile"

#: What a part of a path may hold without being written otherwise. Source: RFC 3986, section 2.3.
_PATH_PART: Final = re.compile(r"[A-Za-z0-9._~-]+")

Authorization = Literal["raw", "bearer"]
TextHeader = Literal["text", "typed"]
EmptyHeaderFooter = Literal["omit", "empty"]
Failed500 = Literal["unknown", "busy"]


#: Nothing else tells Route Mobile's callbacks from anybody's; alir's own.
SHORTEST_CALLBACK_SECRET: Final = 32


def _part_of_a_path(secret: Secret) -> Secret:
    if not _PATH_PART.fullmatch(secret.reveal()):
        raise ValueError("holds a character that does not fit in a URL; use a-z, A-Z, 0-9, . _ ~ -")
    if len(secret.reveal()) < SHORTEST_CALLBACK_SECRET:
        raise ValueError(
            f"expected at least {SHORTEST_CALLBACK_SECRET} characters that nobody can guess, "
            f"not {len(secret.reveal())}"
        )
    return secret


class RouteMobileDefaults(Defaults):
    """`[routemobile]`: what every Route Mobile sender has unless it says otherwise.

    Attributes:
        authorization: the log-in's token alone, or `Bearer` before it.
        text_header: `{"text": …}`, or `{"type": "text", "text": …}`.
        empty_header_footer: leave out what a message does not have, or send it empty.
        send_extra: whether alir's mark travels in `extra`.
        send_reply_to: whether a reply's WhatsApp id travels in `reply_to`.
        failed_500: what its own answer 500 is taken for: perhaps taken, or certainly not.
    """

    base_url: BaseUrl
    authorization: Authorization = Field(description='"raw" or "bearer"')
    text_header: TextHeader = Field(description='"text" or "typed"')
    empty_header_footer: EmptyHeaderFooter = Field(description='"omit" or "empty"')
    send_extra: Switch
    send_reply_to: Switch
    failed_500: Failed500 = Field(description='"unknown" or "busy"')


class RouteMobileSender(RouteMobileDefaults, Sender):
    """A business phone number at Route Mobile."""

    unique = ("callback_secret",)

    provider: Literal["routemobile"] = Field(description='"routemobile"')
    username: SecretText
    password: SecretText
    callback_secret: Annotated[SecretText, AfterValidator(_part_of_a_path)]

    @property
    def is_simulated(self) -> bool:
        """See `Sender.is_simulated`."""
        return self.base_url.endswith(SIMULATED_PATH)

    @property
    def simulated_user(self) -> str | None:
        """See `Sender.simulated_user`."""
        return self.username.reveal() if self.is_simulated else None

    @property
    def callback_path(self) -> str:
        """See `Sender.callback_path`."""
        return f"/callbacks/{self.provider}/{self.callback_secret.reveal()}"

    @property
    def gives_marks(self) -> bool:
        """See `Sender.gives_marks`."""
        return self.send_extra
