"""What a provider is given to work with."""

from __future__ import annotations

from dataclasses import dataclass

from alir.clock import Clock
from alir.outbound.http import HttpClient
from alir.providers.whatsapp.codes import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a provider is given to work with, besides the table of its sender.

    Attributes:
        codes: what error codes mean, the operator's `[errors]` in it.
    """

    http: HttpClient
    clock: Clock
    codes: Table
