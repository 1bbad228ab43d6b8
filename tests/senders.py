"""Tables of senders for tests: invented numbers and secrets."""

from __future__ import annotations

from typing import Any

from alir.messages.model import OnUnknown
from alir.providers.cloud.settings import CloudSender
from alir.providers.routemobile.settings import RouteMobileSender

_SHARED: dict[str, Any] = {
    "account": "one",
    "messages_per_second": 80,
    "pair_seconds": 6,
    "pair_burst": 45,
    "on_unknown": OnUnknown.HOLD,
    "closed_window": "warn",
}


def a_cloud_sender(**changes: Any) -> CloudSender:
    """A sender at the Cloud API, with `changes`."""
    fields: dict[str, Any] = _SHARED | {
        "provider": "cloud",
        "phone_number_id": "1065550001",
        "access_token": "token-1",
        "app_secret": "secret-1",
        "graph_url": "https://graph.test",
        "graph_version": "v24.0",
        "recipients_by_user_id": False,
    }
    return CloudSender.model_validate(fields | changes)


def a_route_mobile_sender(**changes: Any) -> RouteMobileSender:
    """A sender at Route Mobile, with `changes`."""
    fields: dict[str, Any] = _SHARED | {
        "provider": "routemobile",
        "base_url": "https://routemobile.test",
        "username": "user-1",
        "password": "password-1",
        "callback_secret": "a-callback-secret-of-these-tests",
        "authorization": "raw",
        "text_header": "text",
        "empty_header_footer": "omit",
        "send_extra": False,
        "send_reply_to": True,
        "failed_500": "unknown",
    }
    return RouteMobileSender.model_validate(fields | changes)
