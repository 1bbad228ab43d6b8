"""The OpenAPI document: what FastAPI knows of its own routes, and the hot routes beside them.

The shapes of the hot routes are the pydantic models that they check with and answer with.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from alir.api.batch_operation import BATCH, BatchAnswer, BatchMessage
from alir.api.documented import API_TOKEN
from alir.api.hot_operations import SEND
from alir.api.sender_shapes import SenderAnswer, SendersAnswer
from alir.api.shapes import (
    CancelledAnswer,
    MessageAnswer,
    MessagesAnswer,
    ProblemShape,
    QueuedAnswer,
    RetriedAnswer,
    SentAnswer,
)
from alir.intake.pausing import PauseRequest
from alir.messages.request import MessageRequest

_INTRODUCTION: Final = (
    "alir sends WhatsApp Flow messages: one request puts a Flow in front of a person. A message "
    "that was taken is on disk, is sent once, and can be asked for by its id at any time.\n\n"
    'Requests and answers are JSON in UTF-8. An answer is `{"data": …}`; a request that cannot '
    "be done is answered with a problem (RFC 9457) that says why and what to do."
)
_TAGS: Final[list[dict[str, Any]]] = [
    {"name": "messages", "description": "Flow messages: send them, and see what became of them."},
    {"name": "senders", "description": "Business phone numbers: how they fare, and pauses."},
    {"name": "callbacks", "description": "What providers call; nothing for users of the API."},
    {"name": "health", "description": "For load balancers and monitoring."},
]
_SECURITY: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API token, as `Authorization: Bearer alir_…`. The first start of alir "
    "prints one; `alir token create` makes more.",
}
#: Also those that FastAPI knows: it drops every null from the examples of a schema.
_MODELS: Final = (
    MessageRequest,
    BatchMessage,
    BatchAnswer,
    SentAnswer,
    QueuedAnswer,
    MessageAnswer,
    MessagesAnswer,
    CancelledAnswer,
    RetriedAnswer,
    PauseRequest,
    SenderAnswer,
    SendersAnswer,
    ProblemShape,
)

Document = dict[str, Any]


def document(app: FastAPI, callbacks: Document, *, base: str) -> Document:
    """The document of `app` and of the hot routes.

    Args:
        callbacks: the paths that providers call.
        base: what the API's paths begin with.
    """
    content: Document = get_openapi(
        title=app.title,
        version=app.version,
        description=_INTRODUCTION,
        license_info={"name": "Apache 2.0", "identifier": "Apache-2.0"},
        routes=app.routes,
        tags=_TAGS,
    )
    messages = f"{base}/messages"
    paths: Document = {
        messages: {"post": SEND, **content["paths"].pop(messages)},
        f"{messages}/batch": {"post": BATCH},
        **content["paths"],
        **callbacks,
    }
    for operations in paths.values():
        for method, operation in operations.items():
            operations[method] = _keyed_by_text(operation)
    for parameter in _parameters(paths):
        _leave_null_out(parameter)
    for deed in ("cancel", "retry"):
        _show_one_filter(paths[f"{messages}/{deed}"]["post"]["parameters"])
    components = content["components"]
    components["schemas"] = dict(sorted((components["schemas"] | _schemas()).items()))
    components["securitySchemes"] = {API_TOKEN: _SECURITY}
    return content | {"paths": paths}


def _keyed_by_text(operation: Document) -> Document:
    """JSON has no numbers as keys."""
    responses = {str(status): each for status, each in sorted(operation["responses"].items())}
    return operation | {"responses": responses}


def _schemas() -> Document:
    _, schema = models_json_schema(
        [(model, "validation") for model in _MODELS],
        ref_template="#/components/schemas/{model}",
    )
    definitions: Document = schema["$defs"]
    return definitions


def _parameters(paths: Document) -> Iterator[Document]:
    for operations in paths.values():
        for operation in operations.values():
            yield from operation.get("parameters", ())


def _show_one_filter(parameters: list[Document]) -> None:
    """An example of what needs a filter has one, and one that touches little."""
    for parameter in parameters:
        if parameter["name"] == "flow_token":
            parameter["example"] = "visit-4711"


def _leave_null_out(parameter: Document) -> None:
    """In a URL there is no null: a parameter is there, or it is not."""
    schema = parameter["schema"]
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        rest = {key: value for key, value in schema.items() if key != "anyOf"}
        parameter["schema"] = kinds[0] | rest
