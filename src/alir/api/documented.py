"""What routes say of themselves in the OpenAPI document: their rights, and their problems."""

from __future__ import annotations

from typing import Any, Final

from alir.api.problems import (
    MEDIA_TYPE,
    QUEUE_RETRY_SECONDS,
    STORE_RETRY_SECONDS,
    TYPES,
    ProblemType,
    example_of,
)
from alir.api.shapes import ProblemShape
from alir.intake.tokens import Scope

#: The name of the one way to be known to the API.
API_TOKEN: Final = "apiToken"  # noqa: S105 - a name

#: What every route behind the API token can come to.
COMMON: Final = (
    "unauthorized",
    "scope_missing",
    "invalid_request",
    "internal_error",
    "store_unavailable",
)


def _retry_after(seconds: int) -> dict[str, Any]:
    return {
        "description": "Seconds to wait before the request is repeated.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
        "example": str(seconds),
    }


_HEADERS: Final[dict[int, dict[str, Any]]] = {
    401: {
        "WWW-Authenticate": {
            "description": "What an API token is sent as. Not on a callback.",
            "schema": {"type": "string"},
            "example": 'Bearer realm="alir"',
        }
    },
    429: {"Retry-After": _retry_after(QUEUE_RETRY_SECONDS)},
    503: {"Retry-After": _retry_after(STORE_RETRY_SECONDS)},
}


def needs(scope: Scope) -> dict[str, Any]:
    """That a route needs an API token with this scope."""
    return {"security": [{API_TOKEN: [scope.value]}]}


def problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The answers of a route that are problems, by status, each with its examples."""
    kinds = [TYPES[code] for code in codes]
    return {
        status: _response([kind for kind in kinds if kind.status == status])
        for status in sorted({kind.status for kind in kinds})
    }


def _response(kinds: list[ProblemType]) -> dict[str, Any]:
    status = kinds[0].status
    only = {"type": {"enum": [f"/problems/{kind.code}" for kind in kinds]}}
    response: dict[str, Any] = {
        "description": f"{'; or '.join(kind.title for kind in kinds)}.",
        "content": {
            MEDIA_TYPE: {
                "schema": {
                    "allOf": [
                        {"$ref": f"#/components/schemas/{ProblemShape.__name__}"},
                        {"properties": only | {"status": {"const": status}}},
                    ]
                },
                "examples": {
                    kind.code: {"summary": kind.title, "value": example_of(kind)} for kind in kinds
                },
            }
        },
    }
    if status in _HEADERS:
        response["headers"] = _HEADERS[status]
    return response
