"""A validator that takes what a pydantic model takes, and answers with dicts of what was given.

To build them takes half as long as to build models, and to read them is quicker too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import CoreSchema, SchemaValidator, core_schema

_Schema = Any  #: as pydantic made it: one of many typed dicts


def as_dicts(model: type[BaseModel]) -> SchemaValidator:
    """A validator by the rules of `model`, made of plain fields, objects and lists.

    It answers with new dicts, by the fields' aliases; what was left out is not there.
    """
    schema: _Schema = model.__pydantic_core_schema__
    shared = {each["ref"]: each for each in schema.get("definitions", ())}
    return SchemaValidator(_plain(schema, shared))


def _plain(schema: _Schema, shared: Mapping[str, _Schema]) -> CoreSchema:
    kind = schema["type"]
    if kind == "model":
        return core_schema.typed_dict_schema(
            {
                field.get("validation_alias", name): core_schema.typed_dict_field(
                    _plain(field["schema"], shared), required=field["schema"]["type"] != "default"
                )
                for name, field in schema["schema"]["fields"].items()
            },
            extra_behavior=schema["config"]["extra_fields_behavior"],
        )
    if kind == "nullable":
        return core_schema.nullable_schema(_plain(schema["schema"], shared))
    if kind == "definition-ref":  # a model that several fields take
        return _plain(shared[schema["schema_ref"]], shared)
    if kind in ("default", "definitions"):
        return _plain(schema["schema"], shared)
    made: CoreSchema = schema
    return made
