"""The table of a sender at Meta's Cloud API, and what all of them share."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from alir.providers.sender import Defaults, Sender
from alir.tables.fields import SECRET_TEXT, BaseUrl, SecretText, Switch

#: The simulator's own number; public. Source: design, section 9.
SIMULATED_NUMBER_ID: Final = "1065000000"


class CloudDefaults(Defaults):
    """`[cloud]`: what every cloud sender has unless it says otherwise."""

    graph_url: BaseUrl
    graph_version: str = Field(
        pattern=r"^v[1-9]\d{0,2}\.\d{1,2}$", description='a version such as "v24.0"'
    )
    recipients_by_user_id: Switch


class CloudSender(CloudDefaults, Sender):
    """A business phone number at Meta's Cloud API."""

    unique = ("phone_number_id",)

    provider: Literal["cloud"] = Field(description='"cloud"')
    phone_number_id: str = Field(
        pattern=r"^[0-9]{1,32}$",
        description='the digits of the id in quotes, such as "106500000000000"',
    )
    access_token: SecretText
    app_secret: SecretText
    verify_token: SecretText | None = Field(default=None, description=SECRET_TEXT)

    @property
    def is_simulated(self) -> bool:
        """See `Sender.is_simulated`."""
        return self.phone_number_id == SIMULATED_NUMBER_ID
