"""Lines that only moved are moved by the terminal itself, not sent again.

Why: the toolkit's renderer compares row by row, so a view that moves up by one line is sent whole.
Here the rows that moved are found by what they say; the terminal scrolls that region, and the
toolkit's memory of the last screen is moved along, so that it sends only what is new.

Invariants: the pure part (`moved`) only finds a region whose lines are the same after the move; a
region outside the pane is never touched; cursor and colours come back as they were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

Line: TypeAlias = list[tuple[str, str]]

WORTH = 3
"""Fewer lines are as well sent again."""


class Move(NamedTuple):
    """Rows ``top`` to ``bottom`` of the pane move by ``by`` (positive = up)."""

    top: int
    bottom: int
    by: int


def moved(old: Sequence[Line], new: Sequence[Line]) -> Move | None:
    """The move that makes most of ``new`` out of ``old``, None where none is worth it."""
    if old == new:
        return None
    by = _shift(old, new)
    if not by:
        return None
    first, last = _longest(old, new, by)
    last += _grew(old, new, last, by)
    if last - first < WORTH:
        return None
    if by > 0:
        return Move(first, last - 1 + by, by)
    return Move(first + by, last - 1, by)


def _shift(old: Sequence[Line], new: Sequence[Line]) -> int:
    """By how much most lines moved; those that stand more than once say nothing."""
    places: dict[tuple[tuple[str, str], ...], int] = {}
    for at, line in enumerate(old):
        key = tuple(line)
        places[key] = -1 if key in places else at
    votes = Counter(
        found - at
        for at, line in enumerate(new)
        if line and (found := places.get(tuple(line), -1)) >= 0
    )
    if not votes:
        return 0
    by, count = votes.most_common(1)[0]
    return by if count > votes[0] else 0


def _longest(old: Sequence[Line], new: Sequence[Line], by: int) -> tuple[int, int]:
    """The longest run of rows of ``new`` that are rows of ``old`` so much lower: begin and end."""
    best, begin = (0, 0), -1
    for at in range(len(new) + 1):
        there = at + by
        if at < len(new) and 0 <= there < len(old) and new[at] == old[there]:
            begin = at if begin < 0 else begin
        elif begin >= 0:
            best = max(best, (begin, at), key=lambda run: run[1] - run[0])
            begin = -1
    return best


def _grew(old: Sequence[Line], new: Sequence[Line], at: int, by: int) -> int:
    """1 where the next row moved too and only grew at its end, as the line being written does."""
    if not 0 <= at + by < len(old) or at >= len(new):
        return 0
    before = "".join(text for _, text in old[at + by])
    after = "".join(text for _, text in new[at])
    return int(bool(before.strip()) and after.startswith(before))


def scroll(renderer: Any, move: Move, top: int, columns: int, blank: Any) -> bool:
    """Have the terminal do it; ``top`` is the pane's first row. False where it cannot be done."""
    last, output = renderer.last_rendered_screen, renderer.output
    if last is None or last.width != columns or move.top + top < 0:
        return False
    if output.get_size().columns != columns or last.height != output.get_size().rows:
        return False
    first, final = top + move.top, top + move.bottom
    output.write_raw(sequence(first, final, move.by))
    rows: Any = last.data_buffer
    span = range(first, final + 1)
    kept = {y: rows[y + move.by] for y in span if y + move.by in span}
    for y in span:
        rows[y] = kept.get(y) or blank()
    return True


def sequence(first: int, final: int, by: int) -> str:
    """The bytes: rows from 0; the region is set, scrolled and given up, the cursor put back."""
    at, step = (final, "\x1bD") if by > 0 else (first, "\x1bM")
    return f"\x1b7\x1b[{first + 1};{final + 1}r\x1b[{at + 1};1H{step * abs(by)}\x1b[r\x1b8"
