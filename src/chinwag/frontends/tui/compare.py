"""Texts side by side, or one above the other where there is no room for that; pure.

Invariants: no line is wider than the columns; each text is drawn as it would be alone in a window
as wide as its part.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from typing import TypeAlias

from chinwag.frontends.tui.drawing import clipped, one
from chinwag.frontends.tui.stretch import Line, Stretch
from chinwag.talk.event import Column
from chinwag.text.cells import width

Markdown: TypeAlias = Callable[[str, int], list[Stretch]]

LEAST = 34
"""Columns a text needs at least."""
PORTION = 50
"""Lines in a stretch."""
BETWEEN = " │ "


def laid(texts: tuple[Column, ...], columns: int, page: Markdown) -> list[Stretch]:
    """The texts with their heads."""
    room = (columns - 1 - len(BETWEEN) * (len(texts) - 1)) // max(1, len(texts))
    if room < LEAST:
        return [piece for text in texts for piece in _alone(text, columns, page)]
    drawn = [
        [line for piece in _alone(text, room, page) for line in piece.lines()] for text in texts
    ]
    rows = [_row(parts, room) for parts in zip_longest(*drawn, fillvalue=[])]
    return [Stretch(rows[at : at + PORTION]) for at in range(0, len(rows), PORTION)]


def _alone(text: Column, columns: int, page: Markdown) -> list[Stretch]:
    head: Line = [("class:bot", f" {one(text.head, columns - 2)}")]
    return [Stretch([head, []]), *page(text.text, columns), Stretch([[]])]


def _row(parts: tuple[Line, ...], room: int) -> Line:
    """The same row of each text, padded to its part."""
    row: Line = []
    for part in parts[:-1]:
        kept = clipped(part, room)
        gap = room - sum(width(text) for _, text in kept)
        row += [*kept, ("", " " * gap), ("class:rule", BETWEEN)]
    return [*row, *clipped(parts[-1], room)]
