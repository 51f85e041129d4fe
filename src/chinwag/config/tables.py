"""A table of `config.toml` put in or taken out, everything else left as it stands. Pure.

Invariants: those of `lines`; besides, what is there is not overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping

from chinwag.config.lines import put, read
from chinwag.errors import ConfigError

Table = Mapping[str, str | float | list[str] | Mapping[str, str]]


def added(text: str, path: tuple[str, str], table: Table) -> str:
    """``text`` with ``[path]`` at its end. Raises ConfigError where there is one already."""
    if path[1] in read(text).get(path[0], {}):
        said = f"there is a {'.'.join(path)} already"
        raise ConfigError(said, hint="choose another name, or remove that one first")
    return put(text, path, table)


def removed(text: str, path: tuple[str, str]) -> str:
    """``text`` without ``[path]`` and the tables below it. Raises ConfigError."""
    if path[1] not in read(text).get(path[0], {}):
        said = f"there is no {'.'.join(path)}"
        raise ConfigError(said, hint="chat mcp list shows what is there")
    return put(text, path, None)
