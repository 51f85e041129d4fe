"""The small tools of drawing: foreign text on a line, margins, the two ends of a line; pure.

Invariants: every text from outside passes the door here (`plain`, `one`); no line is wider than the
columns.
"""

from __future__ import annotations

from functools import partial

from chinwag.frontends.tui import cutting
from chinwag.frontends.tui.stretch import Later, Line, Stretch
from chinwag.text.cells import clip, for_screen, width, wrap
from chinwag.text.safe import safe, safe_line

TAB = "    "  # not to the next stop: where that is would depend on how the text was cut


class Folds:
    """What is unfolded, and how wide it is drawn."""

    __slots__ = ("columns", "thinking", "tools")

    def __init__(self, columns: int, *, thinking: bool = False, tools: bool = False) -> None:
        self.columns = columns
        self.thinking = thinking
        self.tools = tools


def drawable(text: str) -> str:
    """Safe text with cells as prompt_toolkit counts them."""
    text = safe(text).replace("\t", TAB)
    if text.isascii():
        return text
    return "\n".join(for_screen(line) for line in text.split("\n"))


def margin(columns: int) -> int:
    """How far text is indented."""
    return 4 if columns >= 40 else 1


def indented(lines: list[Line], columns: int) -> list[Line]:
    """The lines behind the margin; empty ones stay empty."""
    blank = ("", " " * margin(columns))
    return [[blank, *line] if line else line for line in lines]


def plain(text: str, columns: int, style: str = "") -> list[Line]:
    """Text as it was typed, wrapped."""
    room = max(1, columns - margin(columns) - 1)
    lines = [[(style, line)] if line else [] for line in wrap(drawable(text), room)]
    return indented(lines, columns)


def long(text: str, columns: int, style: str = "") -> list[Stretch]:
    """As `plain`, of a text of any length: in stretches that are made when they are seen."""
    return [
        Later(partial(plain, piece, columns, style), 1 + piece.count("\n") + len(piece) // columns)
        for piece in cutting.pieces(text)
    ]


def one(text: str, columns: int) -> str:
    """Foreign text on one line of at most so many cells."""
    return clip(for_screen(safe_line(text)), max(columns, 0))


def sides(left: Line, right: str, columns: int, style: str = "class:meta") -> Line:
    """A line with something at its right end, left out where there is no room."""
    used = sum(width(text) for _, text in left)
    gap = columns - 1 - used - width(right)
    if not right or gap < 2:
        return clipped(left, columns)
    return [*left, ("", " " * gap), (style, right)]


def clipped(line: Line, columns: int) -> Line:
    """The line cut to the columns."""
    left, out = columns, []
    for style, text in line:
        kept = clip(text, left) if width(text) > left else text
        left -= width(kept)
        if kept:
            out.append((style, kept))
    return out


def numbered(number: str, columns: int) -> str:
    """A message's number in the margin: what follows stands above the text up to 99."""
    return f" {number} ".ljust(margin(columns)) if columns >= 40 else f" {number}  "


def header(number: str, who: str, style: str, right: str, columns: int) -> Line:
    """` 3  you                    09:31`"""
    lead = numbered(number, columns) if number else " ".ljust(margin(columns))
    return sides([("class:number", lead), (style, one(who, columns - 8))], right, columns)
