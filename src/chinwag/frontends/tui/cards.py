"""A call of a tool and what came back: a line each, opening to the whole; pure.

Invariants: name, arguments and output are foreign and pass the door; folded, a call and its result
are one line each however long they are, and say how much more there is.
"""

from __future__ import annotations

import json
from typing import Any

from chinwag.frontends.tui import cutting
from chinwag.frontends.tui.drawing import Folds, indented, long, margin, one, plain
from chinwag.frontends.tui.stretch import Line, Stretch
from chinwag.talk.message import Result
from chinwag.text.cells import width

SHORT = 40
"""Characters of one argument on a folded line."""


def asked(name: str, arguments: str, folds: Folds) -> list[Line]:
    """The call: `→ name key=value …`; open, each argument on lines of its own."""
    columns = folds.columns
    room = columns - margin(columns) - 3
    if not folds.tools:
        words = f"{name}  {summary(arguments)}".rstrip()
        return indented([[("class:hint", f"→ {one(words, room)}")]], columns)
    head = indented([[("class:hint", f"→ {one(name, room)}")]], columns)
    return [*head, *plain(_spread(arguments), columns, "class:meta")]


def asked_whole(name: str, arguments: str, folds: Folds) -> list[Stretch]:
    """As `asked`, of arguments of any length."""
    if not folds.tools or len(arguments) <= cutting.PIECE:
        return [Stretch(asked(name, arguments, folds))]
    head = asked(name, "", folds)[:1]
    return [Stretch(head), *long(_spread(arguments), folds.columns, "class:meta")]


def returned(result: Result, seconds: float, folds: Folds) -> list[Line]:
    """What came back, folded: its first line and how many more."""
    columns = folds.columns
    style = _style(result)
    count = result.content.rstrip("\n").count("\n") + 1
    figures = [f"{seconds:.1f} s"] if seconds >= 0.05 else []
    if count > 1:
        figures.append(f"{count:,} lines, Ctrl+O shows")
    more = "".join(f" · {figure}" for figure in figures)
    room = columns - margin(columns) - 3
    if width(more) > room // 2:
        more = " …" if count > 1 else ""
    name = f"{result.name}: " if result.name else ""
    first = name + (result.content.strip().split("\n", 1)[0] or "nothing")
    return indented([[(style, f"← {one(first, room - width(more))}{more}")]], columns)


def opened(result: Result, seconds: float, folds: Folds) -> list[Stretch]:
    """All of what came back."""
    columns, style = folds.columns, _style(result)
    figures = [f"{seconds:.1f} s"] if seconds >= 0.05 else []
    label = " · ".join([one(result.name, columns // 2) or "result", *figures])
    head = indented([[(style, f"← {one(label, columns - margin(columns) - 3)}")]], columns)
    return [Stretch(head), *long(result.content.rstrip("\n"), columns, style)]


def _style(result: Result) -> str:
    return "class:failure" if result.is_error else "class:hint"


def besides(note: str, size: int, folds: Folds) -> list[Line]:
    """What is for the person alone, where it is opened: a note, and how much is kept whole."""
    if not folds.tools:
        return []
    kept = f"all {size:,} bytes are kept: /tools output" if size else ""
    said = " · ".join(filter(None, (note, kept)))
    return plain(said, folds.columns, "class:notice") if said else []


def summary(arguments: str) -> str:
    """The arguments on one line (raw): `path=notes.md lines=3`, or as they came."""
    found = _object(arguments)
    if found is None:
        return arguments
    return " ".join(f"{name}={_short(value)}" for name, value in found.items())


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHORT else f"{text[: SHORT - 1]}…"


def _spread(arguments: str) -> str:
    found = _object(arguments)
    if found is None:
        return arguments
    return json.dumps(found, ensure_ascii=False, indent=2)


def _object(arguments: str) -> dict[str, Any] | None:
    if len(arguments) > 100_000:
        return None
    try:
        found = json.loads(arguments)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
