"""Giant texts of settled items, taken in slice by slice between two keys.

Invariants: a text is taken in once per width; a slice is what `Document.step` does at once. Until a
text has been taken in its item is shown as it was written, the end of it laid out where that can be
told from the end alone; then the item is asked to be made again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from chinwag.frontends.tui import cutting
from chinwag.frontends.tui.drawing import long
from chinwag.frontends.tui.stretch import Stretch

if TYPE_CHECKING:
    from chinwag.frontends.tui.markdown import Document

AT_ONCE = 500_000
"""A text of no more `cutting.effort` is taken in at once: some 50 ms."""
TAIL = 4_000
"""So many characters at the end are laid out at once."""
KEPT = 8

Make: TypeAlias = "Callable[[], Document]"


class _Coming(NamedTuple):
    document: Document
    again: Callable[[], None]


class Giants:
    """Those being taken in, and the last ones that have been."""

    def __init__(self) -> None:
        self._coming: OrderedDict[tuple[str, int, int], _Coming] = OrderedDict()
        self._done: OrderedDict[tuple[str, int, int], Document] = OrderedDict()

    @property
    def busy(self) -> bool:
        """Whether there is more to take in."""
        return bool(self._coming)

    def clear(self) -> None:
        self._coming.clear()
        self._done.clear()

    def laid(
        self, text: str, columns: int, make: Make, again: Callable[[], None]
    ) -> tuple[list[Stretch], int]:
        """The text as it can be shown now, and the number of the next code block.

        ``make`` gives an empty document; ``again`` is called when it can be shown as it should be.
        """
        document = make()
        if cutting.effort(text) <= AT_ONCE:
            return _whole(document, text)
        key = (text, columns, document.number)
        if (done := self._done.get(key)) is not None:
            return done.stretches, done.number
        if key not in self._coming:
            self._leave_other_widths(columns)
            document.feed(text)
            self._coming[key] = _Coming(document, again)
        return _meanwhile(text, columns, make), document.number

    def work(self) -> None:
        """Take in a slice."""
        key, (document, again) = next(reversed(self._coming.items()))
        if document.step():
            return
        document.finish()
        del self._coming[key]
        self._done[key] = document
        if len(self._done) > KEPT:
            self._done.popitem(last=False)
        again()

    def _leave_other_widths(self, columns: int) -> None:
        for key in [key for key in self._coming if key[1] != columns]:
            self._coming.pop(key).again()


def _whole(document: Document, text: str) -> tuple[list[Stretch], int]:
    document.feed(text)
    document.finish()
    return document.stretches, document.number


def _meanwhile(text: str, columns: int, make: Make) -> list[Stretch]:
    at = text.find("\n\n", len(text) - TAIL)
    if at < 0 or "```" in text[at:] or "~~~" in text[at:]:
        return long(text, columns)
    end, _ = _whole(make(), text[at + 2 :])
    return [*long(text[:at], columns), Stretch([[]]), *end]
