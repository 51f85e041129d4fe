"""What a server says it offers: looked at, named, bounded, and written out to be approved. Pure.

Invariants: a definition is data, and nobody here acts on a word of it. ``lines`` is injective, so
that equal text means equal names, descriptions and schemas. A name offered to a model is
``SERVER__tool``, at most 64 long, and belongs to one tool of one server. What is over a bound is
not offered, and said to be so; nothing is cut in silence. A schema that checks arguments here can
neither take long nor run a pattern of the server's: it checks its own arguments, too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from chinwag.text.safe import strip_tags_from_tools
from chinwag.tools.canonical import BAR

MOST_TOOLS: Final = 256
MOST_BYTES: Final = 64 << 10
"""Bytes of one definition: name, descriptions and schema together."""
LONGEST: Final = 64
DEEPEST: Final = 64
MOST_CHECKS: Final = 20_000
"""Nodes that checking one value against a schema may visit, its references followed."""


class Definition(msgspec.Struct, frozen=True):
    """A tool as its server describes it. ``hints`` are its own word, and believed by nobody."""

    name: str
    title: str = ""
    description: str = ""
    schema: dict[str, Any] = {}
    hints: dict[str, Any] = {}


class Listing(msgspec.Struct, frozen=True):
    """``offered`` by the name for the model; ``withheld`` are sentences about the others."""

    offered: dict[str, Definition] = {}
    withheld: tuple[str, ...] = ()


def listing(server: str, found: Iterable[Definition], wanted: Sequence[str] = ()) -> Listing:
    """Those of ``found`` that may be offered: the ``wanted`` ones, or all where none is named."""
    offered: dict[str, Definition] = {}
    withheld: list[str] = []
    seen: set[str] = set()
    for one in found:
        if wanted and one.name not in wanted:
            continue
        name = offered_name(server, one.name)
        if why := _fault(one, seen, name in offered, len(offered)):
            withheld.append(f"{one.name[:80]!r} is not offered: {why}")
        else:
            offered[name] = one
        seen.add(one.name)
    there = {one.name for one in offered.values()} | seen
    withheld += [f"{name!r} is not among its tools" for name in wanted if name not in there]
    return Listing(offered, tuple(withheld[:20]))


def _fault(one: Definition, seen: set[str], taken: bool, count: int) -> str:  # noqa: FBT001 - one fact of four
    if one.name in seen:
        return "the server names it twice"
    if not one.name or not one.name.isprintable():
        return "that is no name"
    if taken:
        return "its name reads like another tool's"
    if count >= MOST_TOOLS:
        return f"the server has more than {MOST_TOOLS} tools"
    if one.schema.get("type") != "object":
        return "its arguments are no object"
    if _deep(one.schema, DEEPEST):
        return f"its schema is nested more than {DEEPEST} deep"
    whole = msgspec.json.encode(one)
    if len(whole) > MOST_BYTES:
        return f"its description and schema take more than {MOST_BYTES >> 10} KB"
    if strip_tags_from_tools(whole.decode())[1]:
        return "it holds characters that nobody sees, and a model reads"
    return ""


def _deep(value: Any, left: int) -> bool:
    if not left:
        return True
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_deep(each, left - 1) for each in inner)


def offered_name(server: str, tool: str) -> str:
    """``SERVER__tool``; where that cannot be a name as it is, the end is a mark of the whole."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", tool)
    name = f"{server}__{plain}"
    if plain == tool and len(name) <= LONGEST:
        return name
    mark = hashlib.sha256(tool.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return f"{name[: LONGEST - 7]}_{mark}"


# -- in words -------------------------------------------------------------------------------------


def lines(one: Definition) -> str:
    """All of a definition, for a person and for the pin."""
    shown = [f"tool {_json(one.name)}"]
    shown += [f"  title: {_json(one.title)}"] if one.title else []
    shown += [BAR + line for line in one.description.split("\n")] if one.description else []
    shown += [f"  hints: {_json(one.hints)}"] if one.hints else []
    schema = msgspec.json.format(_json(one.schema), indent=2)
    return "\n".join([*shown, "  takes:", *(f"    {line}" for line in schema.split("\n"))])


def _json(value: Any) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()


# -- checking -------------------------------------------------------------------------------------


def checkable(schema: dict[str, Any]) -> dict[str, Any]:
    """``schema`` without what a hostile one could hold us up with."""
    tame = _without_patterns(schema)
    weight = _Weight(tame).of(tame, frozenset())
    if weight <= MOST_CHECKS:
        return dict(tame)
    names = schema.get("required")
    return {"type": "object", "required": names if isinstance(names, list) else []}


def _without_patterns(schema: Any) -> Any:
    """A pattern can take years on thirty letters."""
    if isinstance(schema, list):
        return [_without_patterns(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    tame = {name: _part(name, value) for name, value in schema.items() if name not in _PATTERNS}
    return tame | ({"additionalProperties": True} if "patternProperties" in schema else {})


def _part(name: str, value: Any) -> Any:
    if name in _VALUES:
        return value
    if name in _NAMED and isinstance(value, dict):
        return {own: _without_patterns(inner) for own, inner in value.items()}
    return _without_patterns(value)


_PATTERNS: Final = ("pattern", "patternProperties", "propertyNames")
_NAMED: Final = ("properties", "$defs", "definitions", "dependentSchemas")
"""Keywords whose value maps names of somebody's own to schemas."""
_VALUES: Final = ("enum", "const", "default", "examples", "required")


class _Weight:
    """How many nodes a check may visit, references followed as ``talk.fits`` follows them."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._known: dict[str, int] = {}

    def of(self, node: Any, within: frozenset[str]) -> int:
        if isinstance(node, list):
            return self._sum(node, within)
        if not isinstance(node, dict):
            return 0
        ref = node.get("$ref")
        more = self._behind(ref, within) if isinstance(ref, str) else 0
        return min(1 + more + self._sum(node.values(), within), MOST_CHECKS + 1)

    def _sum(self, nodes: Iterable[Any], within: frozenset[str]) -> int:
        total = 0
        for each in nodes:
            total += self.of(each, within)
            if total > MOST_CHECKS:
                break
        return total

    def _behind(self, ref: str, within: frozenset[str]) -> int:
        if ref in within or len(within) > DEEPEST:
            return 1
        if ref not in self._known:
            self._known[ref] = self.of(_found(ref, self._root), within | {ref})
        return self._known[ref]


def _found(ref: str, root: dict[str, Any]) -> Any:
    at: Any = root
    for step in ref.removeprefix("#").split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        at = at.get(name) if isinstance(at, dict) else None
    return at if ref.startswith("#") else None
