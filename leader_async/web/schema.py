"""JSON Schemas of dataclasses. Pure: types in, plain data out.

Rules:
- An object has all the fields of its parts and no others; of two fields with one name the later one counts.
- A field of a dataclass is described as below "Attributes:" in its docstring, in JSON's words.
- A whole number is 0 or more: no number that is served is less.

A type that the status service does not serve raises TypeError.
"""

from __future__ import annotations

import enum
import inspect
import re
import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints

Schema = dict[str, Any]
Part = type | Mapping[str, Any]
"""A dataclass; or fields, each with its type or its schema."""
PLAIN: dict[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer", "minimum": 0},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    object: {"type": "object"},
}
_ATTRIBUTE = re.compile(r"^    (\w+): (.+(?:\n {8,}.+)*)", re.MULTILINE)
_IN_JSON = {"None": "null", "True": "true", "False": "false"}


def components(shapes: Mapping[str, tuple[Part, ...]]) -> dict[str, Schema]:
    """The schemas of some objects, by name.

    Args:
        shapes: the parts of each. The first part, if it is a dataclass, is a field's type elsewhere.
    """
    names = {parts[0]: name for name, parts in reversed(list(shapes.items())) if isinstance(parts[0], type)}
    return {name: _object(parts, names) for name, parts in shapes.items()}


def reference(name: str) -> Schema:
    """The schema of that name."""
    return {"$ref": f"#/components/schemas/{name}"}


def of(kind: Any, names: Mapping[Any, str]) -> Schema:
    """The schema of a type.

    Args:
        kind: the type; or its schema.
        names: the names of schemas by their dataclasses.

    Raises:
        TypeError: nothing that is served has this type.
    """
    if isinstance(kind, dict):
        return kind
    if kind in names:
        return reference(names[kind])
    if kind in PLAIN:
        return PLAIN[kind]
    if isinstance(kind, type) and issubclass(kind, enum.StrEnum):
        return {"type": "string", "enum": [one.value for one in kind]}
    inside, origin = get_args(kind), get_origin(kind)
    if origin in (list, tuple):
        return {"type": "array", "items": of(inside[0], names)}
    if origin in (types.UnionType, Union):
        (one,) = (of(each, names) for each in inside if each is not types.NoneType)
        return or_null(one)
    raise TypeError(f"{kind!r} has no schema")


def or_null(one: Schema) -> Schema:
    """The same, or null."""
    if "type" not in one:
        return {"anyOf": [one, {"type": "null"}]}
    words = {"enum": [*one["enum"], None]} if "enum" in one else {}
    return {**one, **words, "type": [one["type"], "null"]}


def _object(parts: tuple[Part, ...], names: Mapping[Any, str]) -> Schema:
    fields: dict[str, Schema] = {}
    for part in parts:
        said = _descriptions(part) if isinstance(part, type) else {}
        for name, kind in (get_type_hints(part) if isinstance(part, type) else part).items():
            fields[name] = of(kind, names) | ({"description": said[name]} if name in said else {})
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def _descriptions(part: type) -> dict[str, str]:
    _, _, section = inspect.cleandoc(part.__doc__ or "").partition("\nAttributes:\n")
    return {name: _in_json(text) for name, text in _ATTRIBUTE.findall(section)}


def _in_json(text: str) -> str:
    words = re.sub(r"\s+", " ", text)
    return re.sub(r"\b(None|True|False)\b", lambda found: _IN_JSON[found[0]], words)
