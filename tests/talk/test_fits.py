"""A value fits its schema, or the misfit is told with its path."""

from __future__ import annotations

import pytest

from chinwag.talk.fits import misfit

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": "integer", "minimum": 0, "exclusiveMaximum": 150},
        "tags": {"type": "array", "items": {"enum": ["a", "b", 1]}, "maxItems": 2},
        "friend": {"$ref": "#"},
        "home": {"$ref": "#/$defs/place"},
    },
    "required": ["name"],
    "additionalProperties": False,
    "$defs": {"place": {"anyOf": [{"type": "null"}, {"type": "string", "pattern": "^[A-Z]"}]}},
}


@pytest.mark.parametrize(
    "value",
    [
        {"name": "Ada"},
        {"name": "Ada", "age": 36.0, "tags": ["a", 1], "home": None},
        {"name": "Ada", "friend": {"name": "Bo", "home": "Lisbon"}},
    ],
)
def test_what_fits(value):
    assert misfit(value, PERSON) == ""


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ([], "the whole: must be object, not array"),
        ({}, "the whole: name is missing"),
        ({"name": ""}, "name: must have at least 1 characters"),
        ({"name": "A", "age": 1.5}, "age: must be integer, not number"),
        ({"name": "A", "age": True}, "age: must be integer, not boolean"),
        ({"name": "A", "age": -1}, "age: must be at least 0"),
        ({"name": "A", "age": 150}, "age: must be less than 150"),
        ({"name": "A", "tags": ["c"]}, "tags[0]: must be one of 'a', 'b', 1"),
        ({"name": "A", "tags": [True]}, "tags[0]: must be one of 'a', 'b', 1"),
        ({"name": "A", "tags": ["a", "a", "a"]}, "tags: must have at most 2 items"),
        ({"name": "A", "friend": {"name": 1}}, "friend.name: must be string, not number"),
        ({"name": "A", "home": "x"}, "home: fits none of 2 forms"),
        ({"name": "A", "shoe": 1}, "the whole: shoe is not one of its fields"),
    ],
)
def test_what_does_not_is_told_with_its_path(value, told):
    assert misfit(value, PERSON).startswith(told)


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"const": 1}, 1, True),
        ({"not": {"type": "string"}}, 1, "a"),
        ({"oneOf": [{"type": "integer"}, {"minimum": 5}]}, 3, 7),
        ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, 1.5, 3),
        ({"prefixItems": [{"type": "string"}], "items": False}, ["a"], ["a", 1]),
        ({"uniqueItems": True}, [1, 2], [1, 1]),
        ({"patternProperties": {"^x": {"type": "null"}}}, {"xa": None}, {"xa": 1}),
        ({"additionalProperties": {"type": "null"}}, {"a": None}, {"a": 1}),
        ({"type": ["string", "null"]}, None, 1),
        ({"anyOf": [{"type": "null"}]}, None, 1),
        (False, None, None),
    ],
)
def test_keywords(schema, right, wrong):
    if schema is not False:
        assert misfit(right, schema) == ""
    assert misfit(wrong, {"allOf": [schema]})


def test_what_is_not_known_is_passed_over_and_a_loop_ends():
    assert misfit(1, {"format": "x", "type": "made-up", "$ref": "#"}) == ""
    assert misfit(1, {"$ref": "elsewhere.json#/x"}) == ""
    assert misfit("a", {"pattern": "(?P<x"}) == ""
