"""The numbers of code blocks: ¶3 is what `/copy 3` takes.

Invariants: blocks are counted in answers, along the path since the last clear, exactly as
`commands/blocks.py` counts them; an item's first number is found once and never by looking at all
items again, unless the talk was rewound.
"""

from __future__ import annotations

from collections.abc import Sequence

from chinwag.frontends.tui.state import Item, Said
from chinwag.talk.entry import AssistantSaid, Cleared
from chinwag.text.fences import count


class Numbers:
    """Remembers how many blocks there were up to each item."""

    def __init__(self) -> None:
        self._last: Item | None = None
        self._totals: list[int] = []

    def before(self, items: Sequence[Item], at: int) -> int:
        """How many code blocks stand before item ``at``."""
        known = len(self._totals)
        if known > len(items) or (known and items[known - 1] is not self._last):
            self._totals.clear()
        for item in items[len(self._totals) : at]:
            self._totals.append(_after(item, self._totals[-1] if self._totals else 0))
            self._last = item
        return self._totals[at - 1] if at else 0


def _after(item: Item, total: int) -> int:
    if not isinstance(item, Said):
        return total
    if isinstance(item.entry, Cleared):
        return 0
    if not isinstance(item.entry, AssistantSaid):
        return total
    return total + count(item.entry.text)
