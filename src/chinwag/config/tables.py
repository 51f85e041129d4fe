"""A table of `config.toml` put in or taken out, everything else left as it stands. Pure.

Invariants: comments, order and spelling of all other lines stay as they are. A change is made only
where the result, read again, is what was meant: the rest unchanged, the one table in or out of it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from chinwag.errors import ConfigError

Table = Mapping[str, str | float | list[str] | Mapping[str, str]]


def added(text: str, path: tuple[str, str], table: Table) -> str:
    """``text`` with ``[path]`` at its end. Raises ConfigError where there is one already."""
    before = _read(text)
    if path[1] in before.get(path[0], {}):
        said = f"there is a {'.'.join(path)} already"
        raise ConfigError(said, hint="choose another name, or remove that one first")
    lines = [f"[{path[0]}.{key_text(path[1])}]"]
    lines += [f"{key_text(name)} = {value_text(value)}" for name, value in table.items()]
    ended = text if not text or text.endswith("\n") else f"{text}\n"
    after = ended + ("\n" if ended.strip() else "") + "\n".join(lines) + "\n"
    _check(after, _with(before, path, dict(table)))
    return after


def removed(text: str, path: tuple[str, str]) -> str:
    """``text`` without ``[path]`` and the tables below it. Raises ConfigError."""
    before = _read(text)
    if path[1] not in before.get(path[0], {}):
        said = f"there is no {'.'.join(path)}"
        raise ConfigError(said, hint="chat mcp list shows what is there")
    after = _cut(text, path)
    _check(after, _with(before, path, None))
    return after


def _read(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = f"the configuration is not TOML: {error}"
        raise ConfigError(said, hint="mend it first") from None


def _with(tree: dict[str, Any], path: tuple[str, str], table: dict[str, Any] | None) -> Any:
    """``tree`` with another table at ``path``; None takes it out, and an empty one above it."""
    above = {name: value for name, value in tree.get(path[0], {}).items() if name != path[1]}
    above |= {} if table is None else {path[1]: table}
    rest = {name: value for name, value in tree.items() if name != path[0]}
    return rest | ({path[0]: above} if above else {})


def _check(text: str, meant: Any) -> None:
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        found = None
    if found is None or {n: v for n, v in found.items() if v != {}} != _solid(meant):
        said = "this cannot be changed here without spoiling something else"
        raise ConfigError(said, hint="change the file by hand")


def _solid(tree: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in tree.items() if value != {}}


_HEADER = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")


def _cut(text: str, path: tuple[str, str]) -> str:
    """The lines from its header to the next one's own comments."""
    kept: list[str] = []
    inside = False
    loose: list[str] = []
    for line in text.splitlines(keepends=True):
        header = _HEADER.match(line)
        if header:
            was, inside = inside, _steps(header[1])[:2] == path
            kept += loose if not (was and inside) else []
            loose = []
        if not inside:
            kept.append(line)
        elif line.lstrip().startswith("#"):
            loose.append(line)
        elif line.strip():
            loose = []
    return "".join(kept)


def _steps(dotted: str) -> tuple[str, ...]:
    steps = re.findall(r"""[\w-]+|"[^"]*"|'[^']*'""", dotted)
    return tuple(step.strip("\"'") for step in steps)


def key_text(name: str) -> str:
    """A key as TOML has it, in quotes where it needs them."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def value_text(value: object) -> str:
    """A value as TOML has it, on one line."""
    match value:
        case str():
            return _text(value)
        case bool() | int() | float():
            return json.dumps(value)
        case list() | tuple():
            return "[" + ", ".join(map(value_text, value)) + "]"
        case Mapping():
            return (
                "{" + ", ".join(f"{key_text(k)} = {value_text(v)}" for k, v in value.items()) + "}"
            )
        case _:
            raise TypeError(f"{type(value).__name__} cannot stand in a configuration")


def _text(text: str) -> str:
    """A JSON string is a TOML one, but for one character and for what is no character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigError("that is not text", hint="type it again") from None
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
