"""Dataclasses as JSON Schemas, and the shapes that the status service serves."""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields
from typing import Any

import pytest

from leader_async.web import schema
from leader_async.web.openapi import SCHEMAS, SHAPES


class Colour(enum.StrEnum):
    RED = "red"
    DARK_RED = "dark red"


@dataclass
class Leaf:
    """A leaf.

    Attributes:
        colour: of it, None while
            it is True that nobody knows.
        veins: how many.
    """

    colour: Colour | None
    veins: int


@dataclass
class Tree:
    leaves: list[Leaf]
    highest: Leaf | None
    named: tuple[str, ...]
    height: float
    felled: bool
    data: object


LEAF = {"$ref": "#/components/schemas/Leaf"}


def test_a_dataclass_is_an_object_of_its_fields() -> None:
    made = schema.components({"Tree": (Tree,), "Leaf": (Leaf,), "Old": (Leaf, {"veins": str, "age": {"const": 7}})})
    assert made["Tree"] == {
        "type": "object",
        "properties": {
            "leaves": {"type": "array", "items": LEAF},
            "highest": {"anyOf": [LEAF, {"type": "null"}]},
            "named": {"type": "array", "items": {"type": "string"}},
            "height": {"type": "number"},
            "felled": {"type": "boolean"},
            "data": {"type": "object"},
        },
        "required": ["leaves", "highest", "named", "height", "felled", "data"],
        "additionalProperties": False,
    }
    colour = {
        "type": ["string", "null"],
        "enum": ["red", "dark red", None],
        "description": "of it, null while it is true that nobody knows.",
    }
    assert made["Leaf"]["properties"] == {
        "colour": colour,
        "veins": {"type": "integer", "minimum": 0, "description": "how many."},
    }
    assert made["Old"]["properties"] == {"colour": colour, "veins": {"type": "string"}, "age": {"const": 7}}


@pytest.mark.parametrize("kind", [bytes, dict[str, int]])
def test_what_is_not_served_has_no_schema(kind: Any) -> None:
    with pytest.raises(TypeError, match="has no schema"):
        schema.of(kind, {})


@pytest.mark.parametrize("name", SHAPES)
def test_each_field_of_a_dataclass_is_served_and_described(name: str) -> None:
    for part in SHAPES[name]:
        others = {other for another in SHAPES[name] if isinstance(another, dict) for other in another}
        for one in fields(part) if isinstance(part, type) else ():
            assert one.name in SCHEMAS[name]["properties"]
            assert "description" in SCHEMAS[name]["properties"][one.name] or one.name in others
