"""The paths that providers call, in the words of OpenAPI: one for each provider of the registry."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from alir.api.documented import problems
from alir.api.ports import CallbackRoute
from alir.api.routes.callbacks import SECRET

Operation = dict[str, Any]

_KEPT: Final[Operation] = {
    "description": "Kept. There is nothing in the answer.",
    "content": {"text/plain": {"schema": {"type": "string", "maxLength": 0}}},
}
_EITHER_WAY: Final = (
    "request_timeout",
    "payload_too_large",
    "internal_error",
    "too_many_callbacks",
    "store_unavailable",
)


def callback_paths(
    callbacks: Mapping[str, CallbackRoute], handshakes: Collection[str]
) -> dict[str, dict[str, Operation]]:
    """Each path, and what can be done there.

    Args:
        callbacks: by the names of the providers.
        handshakes: the names of those that check the callback URL.
    """
    paths: dict[str, dict[str, Operation]] = {}
    for provider, route in callbacks.items():
        path = f"/callbacks/{provider}"
        if provider in handshakes:
            paths[path] = {"get": _handshake(provider, route)}
        if route.secret_in_path:
            path = f"{path}/{{{SECRET}}}"
        paths[path] = paths.get(path, {}) | {"post": _callback(provider, route)}
    return paths


def _callback(provider: str, route: CallbackRoute) -> Operation:
    refusal = "not_found" if route.secret_in_path else "bad_signature"
    return {
        "tags": ["callbacks"],
        "summary": f"Callbacks: {route.title}",
        "description": "Kept as they came, answered, then applied. What is in one never fails it.",
        "operationId": f"take_{provider}_callback",
        "security": [],
        "parameters": _parameters(route),
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"type": "object"}, "example": route.form.example}
            },
        },
        "responses": {200: _KEPT, **problems(refusal, *_EITHER_WAY)},
    }


def _parameters(route: CallbackRoute) -> list[Operation]:
    """What shows whose callback it is."""
    if route.secret_in_path:
        return [
            {
                "name": SECRET,
                "in": "path",
                "required": True,
                "description": "The secret that a sender has in the settings for its callbacks: "
                "nothing signs them, so who knows the path is believed.",
                "schema": {"type": "string", "pattern": "^[A-Za-z0-9._~-]+$"},
            }
        ]
    signature = route.form.signature
    if signature is None:
        return []
    header: Operation = {
        "name": signature.header,
        "in": "header",
        "required": True,
        "description": signature.says,
        "schema": {"type": "string", "pattern": signature.pattern},
    }
    return [header if signature.example is None else header | {"example": signature.example}]


def _handshake(provider: str, route: CallbackRoute) -> Operation:
    return {
        "tags": ["callbacks"],
        "summary": f"Prove the callback URL: {route.title}",
        "description": "Asked when the callback URL is entered at the provider.",
        "operationId": f"check_{provider}_callback",
        "security": [],
        "parameters": [
            _asked("hub.mode", "What is wanted: always `subscribe`.", "subscribe"),
            _asked("hub.verify_token", "The `verify_token` of a sender.", "simulator"),
            _asked("hub.challenge", "What the answer must repeat.", "1158201444", needed=False),
        ],
        "responses": {
            200: {
                "description": "The challenge, as it came.",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            },
            **problems("not_found", "internal_error"),
        },
    }


def _asked(name: str, says: str, example: str, *, needed: bool = True) -> Operation:
    return {
        "name": name,
        "in": "query",
        "required": needed,
        "description": says,
        "schema": {"type": "string"},
        "example": example,
    }
