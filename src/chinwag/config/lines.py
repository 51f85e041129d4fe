"""One setting written into a `config.toml`, every other line left as it stands. Pure.

Invariants: comments, order and spelling of all other lines stay as they are. A change is made only
where the result, read again, is what was meant; else it is refused, with the words to do it by
hand. A value that spans lines is such a case.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

from chinwag.config.sources import line_of
from chinwag.config.tables import key_text, value_text
from chinwag.errors import ConfigError

Path = tuple[str, ...]

_HEADER = re.compile(r"\s*\[")


def put(text: str, path: Path, value: Any) -> str:
    """``text`` with the setting at ``path`` given ``value``; None takes it out. Raises ConfigError.

    Where nothing sets it already it goes into its table, which is made where there is none.
    """
    before = _read(text)
    meant = _with(before, path, value)
    if meant == before:
        return text
    lines = text.splitlines(keepends=True)
    there = _found(before, path)
    after = _replaced(lines, text, path, value) if there else _inserted(lines, text, path, value)
    if _solid(_read_or_nothing(after)) != _solid(meant):
        hint = f"change {'.'.join(path)} by hand: chat config edit"
        raise ConfigError("this cannot be changed here without spoiling something else", hint=hint)
    return after


def _read(text: str) -> dict[str, Any]:
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


def _found(tree: Any, path: Path) -> bool:
    for step in path:
        if not isinstance(tree, dict) or step not in tree:
            return False
        tree = tree[step]
    return True


def _with(tree: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    first, *rest = path
    others = {name: old for name, old in tree.items() if name != first}
    if not rest:
        return others if value is None else {**others, first: value}
    below = tree.get(first)
    return {**others, first: _with(below if isinstance(below, dict) else {}, tuple(rest), value)}


def _solid(tree: dict[str, Any]) -> dict[str, Any]:
    """Without tables that hold nothing: an empty header means no more than none."""
    told = {n: _solid(v) if isinstance(v, dict) else v for n, v in tree.items()}
    return {name: value for name, value in told.items() if value != {}}


def _replaced(lines: list[str], text: str, path: Path, value: Any) -> str:
    """With the line that sets it set anew; its own comment stays."""
    at = line_of(text, path) - 1
    if at < 0 or (found := re.match(r"(\s*[^=]+=\s*)(.*?)(\s*)$", lines[at], re.DOTALL)) is None:
        return ""
    if value is None:
        return "".join((*lines[:at], *lines[at + 1 :]))
    comment = _comment(lines[at])
    fresh = f"{found[1]}{value_text(value)}{f'  {comment}' if comment else ''}{_end(lines[at])}"
    return "".join((*lines[:at], fresh, *lines[at + 1 :]))


def _comment(line: str) -> str:
    """What stands behind the value, from its mark on."""
    whole = _read_or_nothing(line)
    for at in (found.start() for found in re.finditer("#", line)):
        if whole and _read_or_nothing(line[:at]) == whole:
            return line[at:].rstrip()
    return ""


def _end(line: str) -> str:
    return line[len(line.rstrip("\r\n")) :]


def _inserted(lines: list[str], text: str, path: Path, value: Any) -> str:
    *table, name = path
    line = f"{key_text(name)} = {value_text(value)}\n"
    ended = lines if not lines or lines[-1].endswith("\n") else [*lines[:-1], f"{lines[-1]}\n"]
    if not table:
        at = _end_of(ended, 0, 0)
        gap = ["\n"] if at < len(ended) and ended[at].strip() else []
        return "".join((*ended[:at], line, *gap, *ended[at:]))
    opened = _opened(text, tuple(table))
    if opened:
        at = _end_of(ended, opened, opened)
        return "".join((*ended[:at], line, *ended[at:]))
    gap = ["\n"] if ended and ended[-1].strip() else []
    header = f"[{'.'.join(map(key_text, table))}]\n"
    return "".join((*ended, *gap, header, line))


def _opened(text: str, table: Path) -> int:
    """The line, from 1, of the table's header; 0 where there is none."""
    for number, line in enumerate(text.splitlines(), 1):
        if _HEADER.match(line) and _steps(line) == table:
            return number
    return 0


def _steps(header: str) -> Path:
    tree = _read_or_nothing(header)
    return tuple(_down(tree))


def _down(tree: Any) -> Iterator[str]:
    while isinstance(tree, dict) and tree:
        name, tree = next(iter(tree.items()))
        yield name


def _end_of(lines: Sequence[str], start: int, least: int) -> int:
    """Behind the last line of settings from ``start`` on, before the next header's comments."""
    at = least
    for number in range(start, len(lines)):
        if _HEADER.match(lines[number]) and _steps(lines[number]):
            break
        if lines[number].strip() and not lines[number].lstrip().startswith("#"):
            at = number + 1
    if at == 0:  # nothing is set: behind the comments that open the file
        while at < len(lines) and lines[at].startswith("#"):
            at += 1
    return at
