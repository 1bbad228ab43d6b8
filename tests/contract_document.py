"""An OpenAPI document as tests hold answers to it: JSON schema does the work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import jsonschema_rs

Found = tuple[str, Any, Any]  # where, an example, and its schema


class ContractDocument:
    """Reads one document. Its schemas are JSON schema's own dialect, as OpenAPI 3.1 has it."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document

    def faults(self, value: object, schema: object) -> list[str]:
        """Why `value` is not what `schema`, which stands somewhere in the document, says."""
        whole = {"allOf": [schema], "components": self.document["components"]}
        validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        return [
            f"{fault.message} at {fault.instance_path}" for fault in validator.iter_errors(value)
        ]

    def assert_documented(self, method: str, path: str, answer: httpx.Response) -> None:
        """That the answer has a status, a media type, headers and a body of the document.

        Args:
            path: as the document writes it, such as `/api/whatsapp/v1/messages/{id}`.
        """
        responses = self.document["paths"][path][method.lower()]["responses"]
        response = responses.get(str(answer.status_code))
        assert response is not None, f"{answer.status_code} is not documented: {answer.text}"
        media_type = answer.headers["content-type"].partition(";")[0]
        content = response["content"].get(media_type)
        assert content is not None, f"{media_type} is not documented for {answer.status_code}"
        body = answer.text if media_type == "text/plain" else answer.json()
        assert self.faults(body, content.get("schema", {})) == [], answer.text
        for name, header in response.get("headers", {}).items():
            given = answer.headers.get(name)
            assert given is not None or not header.get("required"), f"{name} is missing"
            assert given is None or self.faults(given, header["schema"]) == [], f"{name}: {given}"

    def examples(self) -> Iterator[Found]:
        """Every example, with the schema that it stands for."""
        yield from _examples(self.document, "#")


def _examples(node: Any, where: str) -> Iterator[Found]:
    if isinstance(node, list):
        for index, inner in enumerate(node):
            yield from _examples(inner, f"{where}/{index}")
    if not isinstance(node, dict):
        return
    if "example" in node and "schema" in node:
        yield f"{where}/example", node["example"], node["schema"]
    examples = node.get("examples")
    if isinstance(examples, list):
        for index, value in enumerate(examples):
            yield f"{where}/examples/{index}", value, node
    elif isinstance(examples, dict) and "schema" in node:
        for name, example in examples.items():
            yield f"{where}/examples/{name}", example["value"], node["schema"]
    for key, inner in node.items():
        if key not in ("example", "examples"):
            yield from _examples(inner, f"{where}/{key}")
