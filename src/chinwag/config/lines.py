"""One setting, or one table of them, written into a `config.toml`, the rest left as it stands. Pure.

Invariants: comments, order and spelling of all other lines stay as they are, line ends too. A
change is made only where the result, read again by another reader (tomllib), is exactly what was
meant; else it is refused, with the words to do it by hand.

tomlkit knows the form; where a line goes is decided here, since what it would do parts a table from
the comments above it. Its trees are changed to be written, and are not asked anything afterwards.
It is imported when something is written: 70 ms that no other road pays.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from chinwag.errors import ConfigError

if TYPE_CHECKING:
    from tomlkit.container import Container
    from tomlkit.items import InlineTable, Item, Key, Table

    Body = list[tuple[Key | None, Item]]

Path = tuple[str, ...]


def put(text: str, path: Path, value: Any) -> str:
    """``text`` with the setting at ``path`` given ``value``; None takes it out. Raises ConfigError.

    Where nothing sets it already it goes into its table, which is made where there is none. A table
    is put where there is none, at the end; it is taken out with all that is below it.
    """
    before = read(text)
    meant = _with(before, path, value)
    if _exactly(meant) == _exactly(before):
        return text
    after = _changed(text, path, value)
    if after is None or _exactly(_read_or_nothing(after)) != _exactly(meant):
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


def _with(tree: Any, path: Path, value: Any) -> Any:
    first, *rest = path
    tree = tree if isinstance(tree, dict) else {}
    others = {name: old for name, old in tree.items() if name != first}
    if not rest:
        return others if value is None else {**others, first: value}
    return {**others, first: _with(tree.get(first), tuple(rest), value)}


def _exactly(tree: dict[str, Any]) -> str:
    """A tree as text: 1, 1.0 and true are three things here, and an empty table is none."""
    return json.dumps(_solid(tree), sort_keys=True, default=repr)


def _solid(tree: dict[str, Any]) -> dict[str, Any]:
    told = {n: _solid(v) if isinstance(v, dict) else v for n, v in tree.items()}
    return {name: value for name, value in told.items() if value != {}}


# --- where a change is made -----------------------------------------------------------------------


def _changed(text: str, path: Path, value: Any) -> str | None:
    """``text`` changed, None where that cannot be done. Raises ConfigError for what is no text."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
        if value is None:
            _take_out(document.body, path)
        elif not _set(document, path, value):
            return text + _new_table(text, path, value)
        after = document.as_string()
        after.encode()
    except UnicodeEncodeError:
        raise ConfigError("that is not text", hint="type it again") from None
    except TOMLKitError:
        return None
    return after
