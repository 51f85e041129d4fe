"""A `config.toml` as tomlkit's tree, changed at one place. Pure; `lines` judges what comes of it.

Invariants: everything that is not changed is written as it was read. tomlkit knows the form; where
a line goes is decided here, because alone it parts a table from the comments above it. A tree is
changed to be written once, and is asked nothing afterwards: what it knows beside its `body` is then
no longer true.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.container import Container
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Comment, InlineTable, Item, Key, Null, Table, Whitespace

from chinwag.errors import ConfigError

Path = tuple[str, ...]
Body = list[tuple[Key | None, Item]]


def changed(text: str, path: Path, value: Any) -> str | None:
    """``text`` with ``value`` at ``path``, None taking it out; None where that cannot be.

    Raises ConfigError for what is no text.
    """
    end = "\r\n" if re.match(r"[^\n]*\r\n", text) else "\n"
    try:
        document = tomlkit.parse(text)
        if document.as_string() != text:  # some arrays of tables it puts in another order
            return None
        if value is None:
            _take_out(document.body, path)
        elif not _set(document, path, value, end):
            return _is_text(_with_table(text, path, value, end))
        return _is_text(document.as_string())
    except TOMLKitError:
        return None


def _is_text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigError("that is not text", hint="type it again") from None
    return text


# --- put in ---------------------------------------------------------------------------------------


def _set(document: Container, path: Path, value: Any, end: str) -> bool:
    """Where it stands already, or else in its table. Tells whether there is either."""
    *above, name = path
    holders = list(_opened(document.body, above)) if above else [document]
    if there := next((each for each in holders if name in each), None):
        there[name] = _item(value)
        return True
    for holder in holders:
        if isinstance(holder, InlineTable):
            _add_inline(holder, name, _item(value))
            return True
        if not isinstance(value, Mapping):
            _add(holder, name, value, end)
            return True
    return False


def _opened(body: Body, path: Sequence[str]) -> Iterator[Container | InlineTable]:
    """Every place that the table at ``path`` is written at: it may be in pieces."""
    for key, item in body:
        if key is None or key.key != path[0] or not isinstance(item, Table | InlineTable):
            continue
        if len(path) > 1:
            yield from _opened(item.value.body, path[1:])
        elif isinstance(item, InlineTable):
            yield item
        elif key.is_dotted() or not item.is_super_table():  # else it has no lines of its own
            yield item.value


def _add(holder: Container, name: str, value: Any, end: str) -> None:
    """Behind the last setting, before the comments of the next header."""
    body = holder.body
    at = _end_of(body) or (_opening(body) if isinstance(holder, TOMLDocument) else 0)
    rest = body[at:]
    del body[at:]
    item = _item(value)
    item.trivia.trail = end
    holder.append(name, item)
    if isinstance(holder, TOMLDocument) and rest and not isinstance(rest[0][1], Whitespace):
        body.append((None, tomlkit.ws(end)))
    body.extend(rest)


def _add_inline(holder: InlineTable, name: str, item: Item) -> None:
    """Last, with the space before the brace that there was."""
    if holder.as_string().endswith(" }"):
        item.trivia.trail = " "
        holder[name] = item
    else:
        holder.append(name, item)


def _end_of(body: Body) -> int:
    at = 0
    for number, (key, item) in enumerate(body, 1):
        if key is not None and _has_header(key, item):
            break
        at = number if key is not None else at
    return at


def _has_header(key: Key, item: Item) -> bool:
    return isinstance(item, Table | AoT) and not key.is_dotted()


def _opening(body: Body) -> int:
    """Behind the comments that open the file."""
    others = (at for at, (_, item) in enumerate(body) if not isinstance(item, Comment))
    return next(others, len(body))


def _item(value: Any) -> Item:
    """A value as TOML has it, on one line."""
    if not isinstance(value, Mapping):
        item: Item = tomlkit.item(value)
        return item
    table = tomlkit.inline_table()
    for name, each in value.items():
        table.append(name, _item(each))
    return table


def _with_table(text: str, path: Path, value: Any, end: str) -> str:
    """With a table of its own at the end."""
    *above, name = path
    steps, lines = ((*above, name), value) if isinstance(value, Mapping) else (above, {name: value})
    tree: Any = tomlkit.table()
    for key, each in lines.items():
        tree.append(key, _item(each))
    for step in reversed(steps):
        tree = {step: tree}
    ended = text if not text or text.endswith("\n") else text + end
    gap = end if ended and ended.splitlines()[-1].strip() else ""
    return ended + gap + tomlkit.dumps(tree).replace("\n", end)


# --- taken out ------------------------------------------------------------------------------------


def _take_out(body: Body, path: Sequence[str]) -> None:
    for at, (key, item) in enumerate(body):
        if key is None or key.key != path[0]:
            continue
        if len(path) == 1:
            loose = _loose(item)
            body[at] = (None, Whitespace(loose, fixed=True) if loose else Null())
        elif isinstance(item, Table | InlineTable):
            _take_out(item.value.body, path[1:])


def _loose(item: Item) -> str:
    """The comments at a table's end: they may be the next one's, so they stay."""
    table = item.body[-1] if isinstance(item, AoT) else item
    if not isinstance(table, Table):
        return ""
    body = table.value.body
    last = next((n for n in range(len(body), 0, -1) if body[n - 1][0] is not None), 0)
    if last and (key := body[last - 1][0]) and _has_header(key, below := body[last - 1][1]):
        return _loose(below)
    return "".join(each.as_string() for _, each in body[last:]).lstrip("\r\n")
