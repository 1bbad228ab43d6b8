"""Why Route Mobile refuses a request, each in one of the shapes that it has for that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

from pydantic_core import to_json

SEE_DOCS = "please check API docs for more info"


class RouteMobileRefusal(Exception):
    """A request that is not taken.

    Attributes:
        http: the answer's status.
        body: the answer's JSON.
    """

    def __init__(self, http: HTTPStatus, body: Mapping[str, object]) -> None:
        super().__init__(body)
        self.http = http
        self.body = body

    @property
    def why(self) -> str:
        """What the body says, in a line."""
        said = next((self.body[key] for key in ("reason", "message") if key in self.body), None)
        words = said if isinstance(said, str) else to_json(said or self.body).decode()
        return f"{self.http.phrase}. {words}"


def not_json() -> RouteMobileRefusal:
    text = "The browser (or proxy) sent a request that this server could not understand."
    return RouteMobileRefusal(HTTPStatus.BAD_REQUEST, {"message": text})


def not_a_payload(reason: str) -> RouteMobileRefusal:
    body = {"message": "Please check API docs", "status": "failure", "reason": reason}
    return RouteMobileRefusal(HTTPStatus.BAD_REQUEST, body)


def invalid(faults: Mapping[str, object]) -> RouteMobileRefusal:
    """`faults` mirrors the request; its leaves are lists of messages."""
    body = {"message": SEE_DOCS, "status": "failed", "reason": faults}
    return RouteMobileRefusal(HTTPStatus.BAD_REQUEST, body)


def unprocessable(faults: Mapping[str, object]) -> RouteMobileRefusal:
    """A map of faults that stands alone."""
    return RouteMobileRefusal(HTTPStatus.UNPROCESSABLE_ENTITY, faults)


def no_token() -> RouteMobileRefusal:
    return RouteMobileRefusal(HTTPStatus.UNAUTHORIZED, {"status": "Unauthorized"})


def bad_token() -> RouteMobileRefusal:
    body = {
        "message": "Unable to process request",
        "status": "Failed",
        "reason": "Please check the integrity or validity of the token sent.",
    }
    return RouteMobileRefusal(HTTPStatus.UNAUTHORIZED, body)


def token_expired() -> RouteMobileRefusal:
    body = {
        "message": "unable to process request",
        "status": "failure",
        "reason": "jwt token expired",
    }
    return RouteMobileRefusal(HTTPStatus.UNAUTHORIZED, body)


def bad_credentials() -> RouteMobileRefusal:
    text = "invalid credentials or the account has been deactivated"
    return RouteMobileRefusal(HTTPStatus.FORBIDDEN, {"status": text})


def not_found() -> RouteMobileRefusal:
    text = (
        "The requested URL was not found on the server. If you entered the URL manually please"
        " check your spelling and try again."
    )
    return RouteMobileRefusal(HTTPStatus.NOT_FOUND, {"message": text})


def not_allowed() -> RouteMobileRefusal:
    text = "The method is not allowed for the requested URL."
    return RouteMobileRefusal(HTTPStatus.METHOD_NOT_ALLOWED, {"message": text})


def too_large() -> RouteMobileRefusal:
    text = "The data value transmitted exceeds the capacity limit."
    return RouteMobileRefusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"message": text})


def broken() -> RouteMobileRefusal:
    body = {"message": "unable to process request", "status": "failed"}
    return RouteMobileRefusal(HTTPStatus.INTERNAL_SERVER_ERROR, body)


#: What a magic number can ask for here that is no error of WhatsApp, by its last six digits.
MAGIC: Mapping[int, Callable[[], RouteMobileRefusal]] = {
    400: lambda: invalid({"flow": {"flow_cta": ["Longer than maximum length 20."]}}),
    401: bad_token,
    404: not_found,
    422: lambda: unprocessable(
        {
            "template_type": [
                "Must be one of: template, text_template, media_template, interactive_template."
            ]
        }
    ),
    500: broken,
}
