"""The reference page as data."""

from __future__ import annotations

from typing import Any

from alir.api.reference import Field, Reference, pretty

DOCUMENT: dict[str, Any] = {
    "paths": {
        "/things/{id}": {
            "post": {
                "operationId": "make",
                "tags": ["things"],
                "summary": "Make a thing",
                "security": [{"apiToken": ["send"]}],
                "parameters": [
                    {
                        "name": "id",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "string", "examples": ["a b"]},
                    },
                    {
                        "name": "why",
                        "in": "query",
                        "required": True,
                        "schema": {"type": "string"},
                        "example": "so & so",
                    },
                ],
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {"$ref": "#/components/schemas/Thing"},
                            "examples": {"one": {"summary": "One", "value": {"name": "x"}}},
                        }
                    }
                },
                "responses": {
                    "404": {
                        "description": "Not there.",
                        "content": {
                            "application/problem+json": {
                                "examples": {"not_found": {"summary": "Not there", "value": {}}}
                            }
                        },
                    },
                    "200": {
                        "description": "The thing.",
                        "content": {
                            "application/json": {
                                "schema": {
                                    "properties": {"data": {"$ref": "#/components/schemas/Thing"}}
                                }
                            }
                        },
                    },
                },
            }
        }
    },
    "components": {
        "schemas": {
            "Thing": {
                "description": "A thing.",
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {
                        "type": "string",
                        "minLength": 1,
                        "maxLength": 9,
                        "description": "What it is called.",
                        "examples": ["x"],
                    },
                    "size": {
                        "anyOf": [{"$ref": "#/components/schemas/Size"}, {"type": "null"}],
                        "description": "How large.",
                    },
                    "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Part"}},
                },
                "examples": [{"name": "x"}],
            },
            "Part": {"type": "object", "properties": {"weight": {"type": "integer"}}},
            "Size": {"type": "string", "enum": ["small", "large"], "description": "Of a thing."},
        }
    },
}


def make() -> Any:
    [operation] = Reference(DOCUMENT, {}).operations()
    return operation


def test_a_field_has_its_rules_in_words() -> None:
    name, size, parts, weight = make().fields

    assert name == Field(
        name="name",
        kind="string",
        required=True,
        rules=("1 to 9 characters",),
        description="What it is called.",
        example="x",
    )
    assert (size.kind, size.rules, size.description) == (
        "string",
        ("one of `small`, `large`",),
        "How large.",
    )
    assert (parts.kind, weight.name, weight.kind) == (
        "list of objects",
        "parts[].weight",
        "integer",
    )


def test_an_operation_can_be_called_as_its_example_says() -> None:
    operation = make()

    assert operation.call == "/things/a%20b?why=so+%26+so"
    assert operation.scope == "send"
    assert [body.text for body in operation.bodies] == ['{"name": "x"}']


def test_answers_come_in_order_and_name_their_problems() -> None:
    taken, missing = make().answers

    assert (taken.status, taken.problems) == ("200", ())
    assert (missing.status, missing.problems) == ("404", (("not_found", "Not there"),))


def test_what_stands_apart_is_named_and_not_repeated() -> None:
    reference = Reference(DOCUMENT, {"Thing": "thing"})
    [operation] = reference.operations()
    [shape] = reference.shapes()

    assert [(f.name, f.kind, f.link) for f in operation.answers[0].fields] == [
        ("data", "thing", "#thing")
    ]
    assert (shape.name, shape.description) == ("thing", "A thing.")
    assert [field.name for field in shape.fields] == ["name", "size", "parts", "parts[].weight"]
    assert shape.examples[0].text == '{"name": "x"}'


def test_json_is_spread_out_only_where_a_line_is_too_short_for_it() -> None:
    value = {"short": [1, {"a": None}], "long": ["é" * 40, "y" * 40], "empty": {}}

    assert pretty(value).splitlines() == [
        "{",
        '  "short": [1, {"a": null}],',
        '  "long": [',
        f'    "{"é" * 40}",',
        f'    "{"y" * 40}"',
        "  ],",
        '  "empty": {}',
        "}",
    ]
