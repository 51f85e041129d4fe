"""JSON schemas as the vendors take them.

Invariants: a schema of the same meaning is the same bytes; what a vendor refuses is never sent to
it; what has to be left out loosens a rule and never tightens one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from chinwag.providers.base import Request
from chinwag.providers.dialects.base import Body


def with_schema_in_words(request: Request) -> Request:
    """The request with its schema at the end of the system prompt, for who takes it nowhere else.

    The word JSON must be there: some refuse to answer in it where nobody says it.
    """
    schema = msgspec.json.encode(request.options.schema, order="sorted").decode()
    told = f"Answer with JSON alone, without a fence, that fits this JSON schema:\n{schema}"
    system = f"{request.system}\n\n{told}" if request.system else told
    return msgspec.structs.replace(request, system=system)


def is_strict(schema: Any) -> bool:
    """Whether OpenAI's strict mode takes ``schema``: closed objects, every property required, and
    none of the keywords which it does not know.
    """
    match schema:
        case list():
            return all(map(is_strict, schema))
        case {"type": "object"} | {"properties": dict()}:
            names = set(schema.get("properties") or ())
            closed = schema.get("additionalProperties") is False
            whole = closed and set(schema.get("required") or ()) == names
            return whole and _inside_is_strict(schema)
        case dict():
            return _inside_is_strict(schema)
        case _:
            return True


_LAX: Final = frozenset(
    "allOf oneOf not if then else dependentRequired dependentSchemas patternProperties".split()
)


def _inside_is_strict(schema: Mapping[str, Any]) -> bool:
    named = ("properties", "$defs", "definitions")
    inner = [s for n in named if isinstance(schema.get(n), dict) for s in schema[n].values()]
    rest = [s for n, s in schema.items() if n not in named]
    return not _LAX & schema.keys() and all(map(is_strict, [*inner, *rest]))


_KEPT: Final = frozenset(
    "$anchor $id $ref additionalProperties anyOf description enum format items maxItems maximum"
    " minItems minimum oneOf prefixItems propertyOrdering required title type".split()
)
_KINDS: Final = {bool: "boolean", int: "integer", float: "number", type(None): "null"}
_BY_NAME: Final = {"properties": "properties", "$defs": "$defs", "definitions": "$defs"}


def cleaned(schema: Any) -> Any:
    """``schema`` with only the keywords that Gemini knows; any other makes it refuse the request.

    ``const`` and a lone ``allOf`` are said in other words; what else is left out loosens a rule,
    never tightens one.
    """
    if not isinstance(schema, dict):
        return schema
    if isinstance(ref := schema.get("$ref"), str):
        return {"$ref": ref.replace("#/definitions/", "#/$defs/")} | _defs(schema)
    if isinstance(alone := schema.get("allOf"), list) and len(alone) == 1:
        rest = {k: v for k, v in schema.items() if k != "allOf"}
        return cleaned({**alone[0], **rest}) if isinstance(alone[0], dict) else cleaned(rest)
    kept: Body = {}
    for key, value in schema.items():
        if key in _BY_NAME and isinstance(value, dict):
            kept[_BY_NAME[key]] = {name: cleaned(inner) for name, inner in value.items()}
        elif key == "const":
            kept["enum"] = [value]
            kept.setdefault("type", _KINDS.get(type(value), "string"))
        elif key in _KEPT:
            kept[key] = _inside(key, value)
    return _nullable(kept) if schema.get("nullable") is True else kept


def _defs(schema: Mapping[str, Any]) -> Body:
    """What a reference at the top of a schema still needs beside it."""
    named = {k: v for k, v in schema.items() if _BY_NAME.get(k) == "$defs"}
    made: Body = cleaned(named)
    return made


def _inside(key: str, value: Any) -> Any:
    if key in ("items", "additionalProperties"):
        return cleaned(value)
    if key in ("anyOf", "oneOf", "prefixItems") and isinstance(value, list):
        return [cleaned(inner) for inner in value]
    return value


def _nullable(schema: Body) -> Body:
    kind = schema.get("type")
    return {**schema, "type": [kind, "null"]} if isinstance(kind, str) else schema
