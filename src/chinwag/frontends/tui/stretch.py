"""Stretches: the lines of the transcript in portions, each made when it is first seen.

Invariants: a stretch's lines are the same list objects as long as they are the same lines (the pane
remembers rows by them); `height` never makes lines. Whatever shows a talk walks stretches from
where the reader is, so that what is far away is never made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Line: TypeAlias = list[tuple[str, str]]


class Stretch:
    """Lines that are there already."""

    __slots__ = ("_lines",)

    def __init__(self, lines: list[Line]) -> None:
        self._lines: list[Line] | None = lines

    def lines(self) -> list[Line]:
        """The lines; not to be changed by who gets them."""
        assert self._lines is not None  # noqa: S101 (others make them here)
        return self._lines

    @property
    def height(self) -> int:
        """How many lines there are, or about how many."""
        return len(self._lines) if self._lines is not None else 1


class Later(Stretch):
    """Lines made when they are first asked for. ``guess``: about how many."""

    __slots__ = ("_guess", "_make")

    def __init__(self, make: Callable[[], list[Line]], guess: int = 1) -> None:
        self._lines = None
        self._make = make
        self._guess = guess

    def lines(self) -> list[Line]:
        if self._lines is None:
            self._lines = self._make()
        return self._lines

    @property
    def height(self) -> int:
        return self._guess if self._lines is None else len(self._lines)
