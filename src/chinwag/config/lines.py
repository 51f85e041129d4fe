"""A setting, or a table of them, written into a `config.toml`; the rest is left as it stands. Pure.

Invariants: comments, order, spelling and line ends of all other lines stay as they are. A change is
made only where the result, read again by another reader (tomllib), is exactly what was meant; else
it is refused, with the words to do it by hand.

How it is written is the business of `trees`, which is imported when something is: no road pays for
tomlkit at start-up.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from typing import Any

from chinwag.errors import ConfigError

Path = tuple[str, ...]


def put(text: str, path: Path, value: Any) -> str:
    """``text`` with the setting at ``path`` given ``value``; None takes it out. Raises ConfigError.

    Where nothing sets it already it goes into its table, which is made where there is none. A table
    (a Mapping) goes to the end; what is a table is taken out with all that is below it.
    """
    before = read(text)
    meant = _with(before, path, value)
    if _exactly(meant) == _exactly(before):
        return text
    from chinwag.config.trees import changed

    after = changed(text, path, value)
    if after is None or _exactly(_solid(_read_or_nothing(after))) != _exactly(_solid(meant)):
        hint = f"change {'.'.join(path)} by hand: chat config edit"
        raise ConfigError("this cannot be changed here without spoiling something else", hint=hint)
    return after


def read(text: str) -> dict[str, Any]:
    """What a configuration says. Raises ConfigError where it is not TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        hint = "mend it first: chat config edit"
        raise ConfigError(f"the configuration is not TOML: {error}", hint=hint) from None


def _read_or_nothing(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def _with(tree: Any, path: Sequence[str], value: Any) -> dict[str, Any]:
    first, *rest = path
    there: dict[str, Any] = tree if isinstance(tree, dict) else {}
    if value is None and first not in there:
        return there
    others = {name: old for name, old in there.items() if name != first}
    if not rest:
        return others if value is None else {**others, first: value}
    return {**others, first: _with(there.get(first), rest, value)}


def _exactly(tree: dict[str, Any]) -> str:
    """A tree as text, where 1, 1.0 and true are three things."""
    return json.dumps(tree, sort_keys=True, default=repr)


def _solid(tree: dict[str, Any]) -> dict[str, Any]:
    """Without tables that hold nothing: an empty header means no more than none."""
    told = {n: _solid(v) if isinstance(v, dict) else v for n, v in tree.items()}
    return {name: value for name, value in told.items() if value != {}}
