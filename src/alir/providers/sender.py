"""What the table of a sender has at every provider."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from alir.messages.model import OnUnknown
from alir.tables.fields import Count, Table, ZeroOrMore


class Defaults(Table):
    """What every sender of a provider has unless it says otherwise: the provider's own table."""

    messages_per_second: ZeroOrMore
    pair_seconds: ZeroOrMore
    pair_burst: Count
    on_unknown: OnUnknown = Field(description='"hold" or "retry"')
    closed_window: Literal["warn", "refuse"] = Field(description='"warn" or "refuse"')


class Sender(Defaults):
    """A business phone number; its table is `[senders.NAME]`.

    Attributes:
        unique: the keys of which no two senders of the provider may have the same value.
        provider: its name in the registry. Each provider narrows it to its own.
        account: senders with the same one are paused together. Where it is left out, loading puts
            the sender's own name.
    """

    unique: ClassVar[tuple[str, ...]] = ()

    provider: str
    account: str = Field(min_length=1, max_length=64, description="a name of 1 to 64 characters")

    @property
    def is_simulated(self) -> bool:
        """Whether it stands for a number of alir's own simulator, and reaches nobody."""
        return False

    @property
    def simulated_user(self) -> str | None:
        """The user that it logs in to alir's own simulator as, where it does."""
        return None

    @property
    def callback_path(self) -> str:
        """Where its callbacks come in; a secret may end it."""
        return f"/callbacks/{self.provider}"

    @property
    def by_user_id(self) -> bool:
        """Whether it may write to business-scoped user ids."""
        return False

    @property
    def gives_marks(self) -> bool:
        """Whether its receipts bring alir's mark back."""
        return True
