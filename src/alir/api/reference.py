"""The reference page, as data: every operation, field and answer of an OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from alir.api.problems import MEDIA_TYPE
from alir.messages.phone import NUMBER_PATTERN
from alir.messages.request import LINES, ONE_LINE, URL

#: Patterns in words. What is not here is told by its field's description.
_PATTERNS: Final = {
    ONE_LINE: "one line",
    LINES: "may have line breaks",
    NUMBER_PATTERN: "7 to 15 digits",
    URL: "http or https",
    "^[ -~]+$": "printable ASCII",
}
_LINE: Final = 76  #: characters that an example's line may have before its object is spread out
_MOST_CHOICES: Final = 12  #: longer lists stand elsewhere
_JSON: Final = "application/json"

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a body, or one parameter.

    Attributes:
        name: with what it stands in: `flow.param.body`, `attempts[].number`.
        kind: its JSON type, or the name of a shape that stands elsewhere on the page.
        link: where that shape stands, `#…`.
        rules: what its value must be, each in a few words.
        example: a value; empty: none is shown.
        where: `query`, `path` or `header` for a parameter.
    """

    name: str
    kind: str
    required: bool
    rules: tuple[str, ...]
    description: str
    example: str = ""
    link: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """A whole request or answer, as text."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of an operation.

    Attributes:
        problems: code and title of each problem that it can be; none: it is no problem.
    """

    status: str
    description: str
    headers: tuple[Field, ...]
    fields: tuple[Field, ...]
    examples: tuple[Example, ...]
    problems: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    Attributes:
        scope: what its API token must be allowed; empty: it takes none.
        call: the path as an example calls it.
        bodies: whole requests to copy; none: it takes no body.
    """

    id: str
    tag: str
    method: str
    path: str
    title: str
    description: str
    scope: str
    call: str
    parameters: tuple[Field, ...]
    fields: tuple[Field, ...]
    bodies: tuple[Example, ...]
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """A schema that more than one operation uses."""

    name: str
    description: str
    fields: tuple[Field, ...]
    examples: tuple[Example, ...]


class Reference:
    """Reads one document.

    Args:
        apart: names of schemas that the page shows once, and what it calls them.
    """

    def __init__(self, document: Schema, apart: Mapping[str, str]) -> None:
        self._document = document
        self._schemas: Schema = document["components"]["schemas"]
        self._apart = apart

    def operations(self) -> Iterator[Operation]:
        """Every operation, in the document's order."""
        for path, methods in self._document["paths"].items():
            for method, operation in methods.items():
                yield self._operation(method, path, operation)

    def shapes(self) -> Iterator[Shape]:
        """What stands apart, in the order that was asked for."""
        for name, called in self._apart.items():
            schema = self._schemas[name]
            examples = tuple(Example("", pretty(each)) for each in schema.get("examples", ()))
            yield Shape(called, schema["description"], tuple(self._fields(schema)), examples)

    def _operation(self, method: str, path: str, operation: Schema) -> Operation:
        parameters = operation.get("parameters", ())
        body = operation.get("requestBody", {}).get("content", {}).get(_JSON, {})
        scopes = [s for way in operation.get("security", ()) for ss in way.values() for s in ss]
        return Operation(
            id=operation["operationId"],
            tag=operation["tags"][0],
            method=method.upper(),
            path=path,
            title=operation["summary"],
            description=operation.get("description", ""),
            scope=", ".join(scopes),
            call=_call(path, parameters),
            parameters=tuple(self._parameter(each) for each in parameters),
            fields=tuple(self._fields(body.get("schema", {}))),
            bodies=tuple(self._examples(body)),
            answers=tuple(self._answers(operation["responses"])),
        )

    def _parameter(self, parameter: Schema, where: str = "") -> Field:
        schema = self._resolved(parameter["schema"])
        return Field(
            name=parameter["name"],
            kind=_kind(schema),
            required=parameter.get("required", False),
            rules=tuple(_rules(schema)),
            description=parameter.get("description", ""),
            example=_example_text({**schema, **_as_examples(parameter)}),
            where=where or parameter["in"],
        )

    def _answers(self, responses: Schema) -> Iterator[Answer]:
        for status, response in sorted(responses.items()):
            content = response.get("content", {})
            problem = content.get(MEDIA_TYPE, {})
            kinds = problem.get("examples", {}).items()
            body = content.get(_JSON, {})
            yield Answer(
                status=status,
                description=response["description"],
                headers=tuple(
                    self._parameter({"name": name, **header}, "header")
                    for name, header in response.get("headers", {}).items()
                ),
                fields=tuple(self._fields(body.get("schema", {}))),
                examples=tuple(self._examples(body)),
                problems=tuple((code, example["summary"]) for code, example in kinds),
            )

    def _fields(self, schema: Schema, prefix: str = "") -> Iterator[Field]:
        shape = self._resolved(schema)
        for name, given in shape.get("properties", {}).items():
            yield from self._field(f"{prefix}{name}", given, name in shape.get("required", ()))

    def _field(self, name: str, given: Schema, required: bool) -> Iterator[Field]:
        schema = self._resolved(given)
        many = "items" in schema
        inner = schema["items"] if many else given
        apart = self._apart.get(_referred(inner))
        kind = apart or _kind(self._resolved(inner))
        yield Field(
            name=name,
            kind=f"list of {kind}s" if many else kind,
            required=required,
            rules=tuple(_rules(schema)),
            description=schema.get("description", ""),
            example=_example_text(schema),
            link=f"#{apart}" if apart else "",
        )
        if not apart:
            yield from self._fields(inner, f"{name}[]." if many else f"{name}.")

    def _resolved(self, schema: Schema) -> Schema:
        """The schema with its reference followed and "or null" left out."""
        if "$ref" in schema:
            target = self._schemas[_referred(schema)]
            return {**self._resolved(target), **schema}
        kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
        if len(kinds) == 1:
            return {**self._resolved(kinds[0]), **schema}
        return schema

    @staticmethod
    def _examples(content: Schema) -> Iterator[Example]:
        for example in content.get("examples", {}).values():
            yield Example(example["summary"], pretty(example["value"]))
        if "example" in content:
            yield Example("", pretty(content["example"]))


def pretty(value: object, *, indent: str = "") -> str:
    """`value` as JSON, what fits into a line on one line.

    >>> print(pretty({"a": {"b": [1, 2]}, "c": "x" * 60}))
    {
      "a": {"b": [1, 2]},
      "c": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    }
    """
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or len(indent + line) <= _LINE:
        return line
    deeper = indent + "  "
    if isinstance(value, dict):
        parts = [f"{json.dumps(k)}: {pretty(v, indent=deeper)}" for k, v in value.items()]
        opening, closing = "{}"
    else:
        parts = [pretty(v, indent=deeper) for v in value]
        opening, closing = "[]"
    inside = ",\n".join(f"{deeper}{part}" for part in parts)
    return f"{opening}\n{inside}\n{indent}{closing}"


def _referred(schema: Schema) -> str:
    """The name of the schema that this one is, perhaps with "or null"."""
    references = [one["$ref"] for one in (schema, *schema.get("anyOf", ())) if "$ref" in one]
    return str(references[0]).rpartition("/")[2] if references else ""


def _call(path: str, parameters: Iterable[Schema]) -> str:
    """The path as it is called: with what it needs, and what its operation shows an example of."""
    query = []
    for parameter in parameters:
        example = str(parameter.get("example") or _first_example(parameter["schema"]) or "")
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", quote(example))
        elif parameter["in"] == "query" and (parameter.get("required") or "example" in parameter):
            query.append((parameter["name"], example))
    return f"{path}?{urlencode(query)}" if query else path


def _kind(schema: Schema) -> str:
    if "enum" in schema or "const" in schema:
        return "string"
    kinds = (one.get("type", "object") for one in schema.get("anyOf", ()))  # a shape is an object
    kind = schema.get("type") or next(kinds, "any value")
    return str(kind)


def _rules(schema: Schema) -> Iterator[str]:
    if "const" in schema:
        yield f"`{schema['const']}`"
    if "enum" in schema and len(schema["enum"]) <= _MOST_CHOICES:
        yield "one of " + ", ".join(f"`{choice}`" for choice in schema["enum"])
    least, most = schema.get("minLength"), schema.get("maxLength")
    if most:
        yield f"{least} to {most} characters" if least else f"at most {most} characters"
    if "maximum" in schema:
        yield f"{schema['minimum']} to {schema['maximum']}"
    if schema.get("pattern") in _PATTERNS:
        yield _PATTERNS[schema["pattern"]]
    if schema.get("format") == "date-time":
        yield "RFC 3339"
    if schema.get("default") not in (None, ""):
        yield f"left out: `{schema['default']}`"


def _first_example(schema: Schema) -> object:
    return next(iter(schema.get("examples", ())), None)


def _as_examples(parameter: Schema) -> Schema:
    """A parameter's own example, as a schema would have it."""
    return {"examples": [parameter["example"]]} if "example" in parameter else {}


def _example_text(schema: Schema) -> str:
    example = _first_example(schema)
    if example is None or "const" in schema or (isinstance(example, dict) and len(example) > 1):
        return ""
    return example if isinstance(example, str) else json.dumps(example, ensure_ascii=False)
