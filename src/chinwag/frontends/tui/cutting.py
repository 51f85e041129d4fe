"""What may be laid out at once, and where the rest of it is cut; pure.

Invariants: `weight` never falls when a text grows, so whether a block is too much does not depend
on how it came in; a cut depends on the text before it and on `SLACK` characters after it alone. A
piece is small enough to be laid out between two keys, whatever stands in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from chinwag.text.safe import ORDINARY, is_ordinary

HUGE: Final = 20_000
"""A block of more characters (a table of a thousand rows) is shown as it was written."""
HEAVY: Final = 60.0
"""So is one that weighs more: about as many milliseconds would it hold up the keys."""
DENSE: Final = 10.0
"""A part of a paragraph whose markup weighs more is shown as it was written."""
PIECE: Final = 2_000
"""Characters of a text that is shown as it was written, laid out at once."""
SLACK: Final = 64

# What one of each costs a Markdown renderer, in milliseconds; a bracket looks at all that follow.
_COSTS: Final = (
    *(("\n", 0.06), ("|", 0.04), ("[", 0.2), ("<", 0.12), ("*", 0.04), ("_", 0.04), ("~", 0.04)),
    *(("`", 0.02), ("\\", 0.006), ("&", 0.015), ("]", 0.005)),
)
_LETTER: Final = 0.0003
_WIDE: Final = 0.006  # a byte more than ASCII has
_LINE: Final = 10  # characters that cost as much as a line, and as a byte that is looked at closely
_STRANGE: Final = 10
_BRACKETS: Final = 0.0001  # of each two


def weight(source: str) -> float:
    """About how many milliseconds laying this out may take; infinite where it is `HUGE`."""
    if len(source) > HUGE:
        return float("inf")
    cost = markup(source) + len(source) * _LETTER
    if not source.isascii():
        cost += (len(source.encode(errors="replace")) - len(source)) * _WIDE
    return cost


def markup(source: str) -> float:
    """What the signs in it weigh."""
    cost = source.count("[") ** 2 * _BRACKETS
    return cost + sum(source.count(sign) * each for sign, each in _COSTS)


def effort(text: str) -> int:
    """How much work taking in a whole text is, in characters of plain ASCII."""
    effort = len(text) + text.count("\n") * _LINE
    return (
        effort
        if is_ordinary(text)
        else effort + (len(text.encode(errors="replace")) - len(text)) * _STRANGE
    )


def place(text: str, begin: int, limit: int, size: int = PIECE) -> int:
    """Where a piece that begins at ``begin`` ends; 0 while it is not long enough to be cut."""
    end = begin + size
    if limit - end <= SLACK:
        return 0
    newline = text.rfind("\n", begin + size // 2, end)
    return newline + 1 if newline >= 0 else seam(text, end, end + SLACK) or end


def seam(text: str, begin: int, end: int) -> int:
    """The first place from ``begin`` to ``end`` that no cluster reaches over; 0 where none is."""
    for between in (_ordinary(), _LETTERS):
        found = between.search(text, begin, end)
        if found is not None and found.start() < end:
            return found.start()
    return 0


def last_seam(text: str, begin: int, end: int) -> int:
    """The last such place; 0 where there is none."""
    for between in (_ordinary(), _LETTERS):
        last = 0
        for found in between.finditer(text, begin, min(end + 1, len(text))):
            if found.start() <= end:
                last = found.start()
        if last:
            return last
    return 0


def pieces(text: str) -> Iterator[str]:
    """The text in pieces of whole lines where it has lines; the newline at a cut is left out."""
    at = 0
    while end := place(text, at, len(text)):
        yield text[at:end].removesuffix("\n")
        at = end
    yield text[at:]


# A letter begins a cluster, but behind a joiner or the first half of a line's end.
_LETTERS: Final = re.compile("(?<=[^\\r\u200c\u200d\ud800-\udfff])(?=[^\\W\\d_])")


@cache
def _ordinary() -> re.Pattern[str]:
    return re.compile(f"(?<=[{ORDINARY}])(?=[{ORDINARY}])")
