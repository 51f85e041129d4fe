"""Tables in the width there is: cells wrapped, or each row as lines of `head: cell`; pure.

Invariants: nothing of a table is left out, and no line is wider than asked. A column is never made
narrower than `NARROWEST` or its longest word (whichever is less) to spare another; where even that
does not fit, rows become records.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from chinwag.text.cells import width

if TYPE_CHECKING:
    from rich.text import Text

Line: TypeAlias = list[tuple[str, str]]
Side: TypeAlias = Literal["left", "center", "right"]
Wrap: TypeAlias = "Callable[[Text, int], list[Line]]"

GAP = 2
NARROWEST = 9


class Table(NamedTuple):
    """Cells as texts; ``rows`` may be shorter than ``heads``."""

    heads: Sequence[Text]
    rows: Sequence[Sequence[Text]]
    sides: Sequence[Side]


def lines(table: Table, columns: int, wrap: Wrap) -> list[Line]:
    """The lines of a table. ``wrap`` lays a text out in so many columns."""
    rows = [table.heads, *table.rows]
    wishes = _by_column(rows, _widest_line)
    room = columns - GAP * (len(wishes) - 1)
    if sum(wishes) > room:
        least = [min(need, NARROWEST) for need in _by_column(rows, _longest_word)]
        if sum(least) > room:
            return _records(table, columns, wrap)
        wishes = _shared(wishes, least, room)
    return [line for row in rows for line in _row(row, wishes, table.sides, wrap)]


def _by_column(rows: Sequence[Sequence[Text]], measure: Callable[[str], int]) -> list[int]:
    most = [1] * len(rows[0])
    for row in rows:
        for at, cell in enumerate(row[: len(most)]):
            most[at] = max(most[at], measure(cell.plain))
    return most


def _widest_line(text: str) -> int:
    return max(map(width, text.split("\n")))


def _longest_word(text: str) -> int:
    return max(map(width, text.split()), default=1)


def _shared(wishes: list[int], least: list[int], room: int) -> list[int]:
    """Widths that fit: the widest columns give way first, none below its least."""
    low, high = 1, max(wishes)
    while low < high:  # the greatest cap under which it fits
        cap = (low + high + 1) // 2
        low, high = (cap, high) if sum(_capped(wishes, least, cap)) <= room else (low, cap - 1)
    out = _capped(wishes, least, low)
    for at, wish in enumerate(wishes):  # what is left over goes to whoever still wants it
        if out[at] < wish and sum(out) < room:
            out[at] += 1
    return out


def _capped(wishes: list[int], least: list[int], cap: int) -> list[int]:
    return [max(few, min(wish, cap)) for wish, few in zip(wishes, least, strict=True)]


def _row(cells: Sequence[Text], widths: list[int], sides: Sequence[Side], wrap: Wrap) -> list[Line]:
    laid = [wrap(cell, wide) for cell, wide in zip(cells, widths, strict=False)]
    out: list[Line] = []
    for at in range(max(map(len, laid), default=0)):
        line: Line = []
        owed = 0  # blanks that are due before the next words
        for cell, wide, side in zip(laid, widths, sides, strict=False):
            words = cell[at] if at < len(cell) else []
            before, after = _blanks(words, wide, side)
            if words:
                line += [("", " " * (owed + before)), *words] if owed + before else words
                owed = after + GAP
            else:
                owed += wide + GAP
        out.append(line)
    return out


def _blanks(words: Line, wide: int, side: Side) -> tuple[int, int]:
    spare = max(0, wide - sum(width(text) for _, text in words))
    before = {"left": 0, "center": spare // 2, "right": spare}[side]
    return before, spare - before


def _records(table: Table, columns: int, wrap: Wrap) -> list[Line]:
    """Each row as lines of `head: cell`, an empty line between rows."""
    out: list[Line] = []
    for row in table.rows:
        if out:
            out.append([])
        for head, cell in zip(table.heads, row, strict=False):
            out.extend(wrap(head.copy().append(": ").append_text(cell), columns))
    if not table.rows:
        out.extend(line for head in table.heads for line in wrap(head, columns))
    return out
