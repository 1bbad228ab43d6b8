"""Errors of the simulator's own API, as problems (RFC 9457)."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from pydantic_core import to_json
from starlette.responses import Response

from alir.errors import Fault


class Problem(Exception):
    """A request that cannot be answered.

    Attributes:
        detail: what is wrong, and what to do.
        faults: the broken rules, where there may be several.
    """

    def __init__(self, status: HTTPStatus, detail: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.faults = tuple(faults)

    def response(self) -> Response:
        """The answer."""
        content: dict[str, object] = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
        }
        if self.faults:
            content["errors"] = [
                {"pointer": fault.pointer, "code": fault.code, "detail": fault.detail}
                for fault in self.faults
            ]
        return Response(
            to_json(content), status_code=self.status, media_type="application/problem+json"
        )
