"""Whether a JSON value fits a schema, and where it does not. Pure.

Invariants: the keywords that models and tools use are checked (types, values, properties, items,
combinations, bounds, local references); one that is not known here is passed over, as JSON Schema
itself says. The first misfit is told with its path, in words that a model can act on.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

Json = Any
_KINDS: Final = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
}
_Refs = frozenset[str]
"""References followed for one value: a schema may name itself, and is then looked at once."""


def misfit(value: Json, schema: Mapping[str, Any]) -> str:
    """What is wrong with ``value``, as `path: reason`; "" where it fits ``schema``."""
    return next(_faults(value, schema, "", schema, frozenset()), "")


def _faults(
    value: Json, schema: Any, path: str, root: Mapping[str, Any], refs: _Refs
) -> Iterator[str]:
    if schema is True:
        return
    if not isinstance(schema, Mapping):
        yield _told(path, "nothing is allowed here")
        return
    if isinstance(ref := schema.get("$ref"), str) and ref not in refs:
        yield from _faults(value, _found(ref, root), path, root, refs | {ref})
    for reason in _plain(value, schema):
        yield _told(path, reason)
    yield from _combined(value, schema, path, root, refs)
    if isinstance(value, dict):
        yield from _object(value, schema, path, root)
    if isinstance(value, list):
        yield from _array(value, schema, path, root)


def _told(path: str, reason: str) -> str:
    return f"{path or 'the whole'}: {reason}"


def _found(ref: str, root: Mapping[str, Any]) -> Any:
    at: Any = root
    for step in ref.removeprefix("#").split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        at = at.get(name, True) if isinstance(at, Mapping) else True
    return at if ref.startswith("#") else True


def _plain(value: Json, schema: Mapping[str, Any]) -> Iterator[str]:
    kinds = schema.get("type")
    named = [kinds] if isinstance(kinds, str) else kinds
    if isinstance(named, Sequence) and not any(_is(value, kind) for kind in named):
        yield f"must be {' or '.join(map(str, named))}, not {_kind(value)}"
        return
    if isinstance(allowed := schema.get("enum"), list) and not any(
        _same(value, a) for a in allowed
    ):
        yield f"must be one of {', '.join(map(repr, allowed))[:200]}"
    if "const" in schema and not _same(value, schema["const"]):
        yield f"must be {schema['const']!r}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number(value, schema)
    if isinstance(value, str):
        yield from _text(value, schema)


def _is(value: Json, kind: str) -> bool:
    if kind in ("number", "integer"):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and (kind == "number" or (math.isfinite(value) and value == int(value)))
    return kind not in _KINDS or isinstance(value, _KINDS[kind])


def _kind(value: Json) -> str:
    named = (n for n, kind in _KINDS.items() if isinstance(value, kind))
    return next(named, "number")


def _same(one: Json, other: Json) -> bool:
    """JSON's equality: true is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _number(value: float, schema: Mapping[str, Any]) -> Iterator[str]:
    for name, holds, words in _BOUNDS:
        bound = schema.get(name)
        if isinstance(bound, int | float) and not holds(value, bound):
            yield f"must be {words} {bound}"


_BOUNDS: Final = (
    ("minimum", operator.ge, "at least"),
    ("maximum", operator.le, "at most"),
    ("exclusiveMinimum", operator.gt, "more than"),
    ("exclusiveMaximum", operator.lt, "less than"),
)


def _text(value: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield from _sized(len(value), schema, "Length", "characters")
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        try:
            fits = re.search(pattern, value) is not None
        except re.error:
            return  # a pattern of another language's
        if not fits:
            yield f"must match {pattern}"


def _sized(size: int, schema: Mapping[str, Any], what: str, words: str) -> Iterator[str]:
    least, most = schema.get(f"min{what}"), schema.get(f"max{what}")
    if isinstance(least, int) and size < least:
        yield f"must have at least {least} {words}"
    if isinstance(most, int) and size > most:
        yield f"must have at most {most} {words}"


def _combined(
    value: Json, schema: Mapping[str, Any], path: str, root: Mapping[str, Any], refs: _Refs
) -> Iterator[str]:
    for part in _list(schema, "allOf"):
        yield from _faults(value, part, path, root, refs)
    for name in ("anyOf", "oneOf"):
        if not (parts := _list(schema, name)):
            continue
        faults = [next(_faults(value, part, path, root, refs), "") for part in parts]
        fitting = faults.count("")
        if not fitting:
            yield (
                faults[0] if len(faults) == 1 else _told(path, f"fits none of {len(faults)} forms")
            )
        elif name == "oneOf" and fitting > 1:
            yield _told(path, f"fits {fitting} forms where one is meant")
    if "not" in schema and not any(_faults(value, schema["not"], path, root, refs)):
        yield _told(path, "has a form that is ruled out")


def _list(schema: Mapping[str, Any], name: str) -> list[Any]:
    found = schema.get(name)
    return found if isinstance(found, list) else []


def _object(
    value: dict[str, Any], schema: Mapping[str, Any], path: str, root: Mapping[str, Any]
) -> Iterator[str]:
    known = schema.get("properties")
    known = known if isinstance(known, Mapping) else {}
    for name in _list(schema, "required"):
        if name not in value:
            yield _told(path, f"{name} is missing")
    for reason in _sized(len(value), schema, "Properties", "fields"):
        yield _told(path, reason)
    patterns = schema.get("patternProperties")
    patterns = patterns if isinstance(patterns, Mapping) else {}
    other = schema.get("additionalProperties", True)
    for name, inner in value.items():
        below = f"{path}.{name}" if path else name
        rules = [rule for pattern, rule in patterns.items() if re.search(pattern, name)]
        if name in known:
            rules.append(known[name])
        if not rules and other is False:
            yield _told(path, f"{name} is not one of its fields ({', '.join(known)})"[:200])
        for rule in rules or ([other] if other is not False else []):
            yield from _faults(inner, rule, below, root, frozenset())


def _array(
    value: list[Any], schema: Mapping[str, Any], path: str, root: Mapping[str, Any]
) -> Iterator[str]:
    for reason in _sized(len(value), schema, "Items", "items"):
        yield _told(path, reason)
    if schema.get("uniqueItems") is True and any(v in value[:n] for n, v in enumerate(value)):
        yield _told(path, "holds an item twice")
    first = _list(schema, "prefixItems")
    rest = schema.get("items", True)
    for n, inner in enumerate(value):
        rule = first[n] if n < len(first) else rest
        yield from _faults(inner, rule, f"{path}[{n}]", root, frozenset())
