"""What an operator can set. Read by `compose` and `cli` only: everyone else is given values."""

from alir.settings.loading import DEFAULT_FILE, load, load_errors
from alir.settings.shape import (
    SANDBOX_NAME,
    SANDBOX_NUMBER_ID,
    SANDBOX_SECRET,
    Settings,
    sandbox,
    sandbox_wanted,
    simulator_is_on,
)
from alir.tables.secret import Secret

__all__ = [
    "DEFAULT_FILE",
    "SANDBOX_NAME",
    "SANDBOX_NUMBER_ID",
    "SANDBOX_SECRET",
    "Secret",
    "Settings",
    "load",
    "load_errors",
    "sandbox",
    "sandbox_wanted",
    "simulator_is_on",
]
