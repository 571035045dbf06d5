"""The shape of a JSON Schema and of a model, to hold a published file and a model against each other."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import inspect

ANY = frozenset({"any"})
_TYPES = {str: "string", bool: "boolean", int: "integer", type(None): "null"}


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a value may be: its JSON types, the values that are listed, and the same of what it holds."""

    types: frozenset[str]
    values: frozenset[object] | None = None
    format: str | None = None
    fields: dict[str, "Shape"] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    items: "Shape | None" = None


def shape(part: dict[str, Any], whole: dict[str, Any]) -> Shape:
    """The shape of a schema, or of a part of it; references are followed within `whole`."""
    if "$ref" in part:
        return shape(_referred(part["$ref"], whole), whole)
    if "anyOf" in part:
        return _either([shape(one, whole) for one in part["anyOf"]])
    values = part.get("enum", [part["const"]] if "const" in part else None)
    return Shape(
        types=_types(part, values),
        values=None if values is None else frozenset(values) - {None},
        format=part.get("format"),
        fields={name: shape(one, whole) for name, one in part.get("properties", {}).items()},
        required=frozenset(part.get("required", ())),
        items=shape(part["items"], whole) if "items" in part else None,
    )


def _types(part: dict[str, Any], values: list[object] | None) -> frozenset[str]:
    if values is not None:
        return frozenset(_TYPES[type(value)] for value in values)
    said = part.get("type", [])
    return frozenset([said] if isinstance(said, str) else said) or ANY


def _either(shapes: list[Shape]) -> Shape:
    """Null or something: no model here offers two things that are not null."""
    (told,) = [one for one in shapes if one.types != {"null"}]
    return Shape(
        types=frozenset().union(*(one.types for one in shapes)),
        values=told.values,
        format=told.format,
        fields=told.fields,
        required=told.required,
        items=told.items,
    )


def _referred(reference: str, whole: dict[str, Any]) -> dict[str, Any]:
    found = whole
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def shape_of_struct(model: type[msgspec.Struct]) -> Shape:
    """The shape of what a model reads."""
    return _shape_of(inspect.type_info(model))


def _shape_of(told: inspect.Type) -> Shape:
    match told:
        case inspect.Metadata(type=inner):
            return _shape_of(inner)
        case inspect.UnionType(types=types):
            return _either([_shape_of(one) for one in types])
        case inspect.StructType(fields=names):
            required = frozenset(one.encode_name for one in names if one.required)
            parts = {one.encode_name: _shape_of(one.type) for one in names}
            return Shape(types=frozenset({"object"}), fields=parts, required=required)
        case inspect.ListType(item_type=item):
            return Shape(types=frozenset({"array"}), items=_shape_of(item))
        case inspect.RawType():
            return Shape(types=ANY)
    return Shape(types=frozenset({_MODEL_TYPES[type(told)]}))


_MODEL_TYPES: dict[type[inspect.Type], str] = {
    inspect.StrType: "string",
    inspect.IntType: "integer",
    inspect.NoneType: "null",
}
