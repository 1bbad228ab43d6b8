"""What Meta and Route Mobile tell alike of a message's status."""

from __future__ import annotations

from typing import Any

from alir.testing.samples import Receipt


def a_status(told: Receipt, *, mark: str) -> dict[str, Any]:
    """The item that tells it; alir's mark stands at the key `mark`."""
    item: dict[str, Any] = {
        "id": told.provider_id,
        "status": told.status.value,
        "timestamp": str(int(told.at.timestamp())),
        "recipient_id": told.wa_id,
    }
    if told.mark is not None:
        item[mark] = told.mark
    if told.code is not None:
        item["errors"] = [{"code": told.code, "title": "Something"}]
    return item
