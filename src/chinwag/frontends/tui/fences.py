"""The lines of a code block: a label with language and number, then the code, indented by two.

Invariants: code lines are only ever cut where the screen ends, never re-flowed; a long line goes on
in the next one without a mark, so that what is copied is what was written.
"""

from __future__ import annotations

from chinwag.frontends.tui.code import BEGIN, Colours, Pieces, State
from chinwag.frontends.tui.stretch import Line
from chinwag.text.cells import clip, cluster_width, clusters, width

_INDENT = 2
_ROOMY = 24


class CodeBlock:
    """One code block of a given width."""

    def __init__(self, language: str, number: int, columns: int) -> None:
        self._colours = Colours(language)
        self._language = language
        self._number = number
        self._columns = columns
        self._indent = _INDENT if columns >= _ROOMY else 0

    def head(self) -> list[Line]:
        """The label."""
        mark = f"¶{self._number}" if self._number else ""
        name = clip(self._language or "text", max(self._columns - len(mark) - 1, 0))
        gap = " " * max(1, self._columns - width(name) - len(mark))
        if width(name) + len(gap) + len(mark) > self._columns:
            return [[("class:md.label", clip(name + gap + mark, self._columns))]]
        return [[("class:md.label", name), ("", gap), ("class:md.label", mark)]]

    def begin(self) -> State:
        """The state of the lexer before the first line."""
        return BEGIN

    def line(self, line: str, state: State) -> tuple[list[Line], State]:
        """A line of code, and the state for the next one."""
        pieces, after = self._colours.line(line, state)
        return self._laid(pieces), after

    def plain(self, line: str) -> list[Line]:
        """A line of code before anybody could colour it."""
        return self._laid([("code", line)])

    def _laid(self, pieces: Pieces) -> list[Line]:
        room = max(1, self._columns - self._indent)
        margin = [("", " " * self._indent)] if self._indent else []
        return [margin + line if line else [] for line in _broken(pieces, room)]


def _broken(pieces: Pieces, room: int) -> list[Line]:
    """Pieces in lines of at most ``room`` cells, cut between clusters."""
    lines: list[Line] = [[]]
    left = room
    for name, text in pieces:
        style = f"class:{name}"
        cells = width(text)
        if cells <= left:
            if text:
                lines[-1].append((style, text))
            left -= cells
            continue
        for part, begins in _parts(text, left, room):
            if begins:
                lines.append([])
                left = room
            lines[-1].append((style, part))
            left -= width(part)
    return lines


def _parts(text: str, left: int, room: int) -> list[tuple[str, bool]]:
    """``text`` cut to what is left of a line and then to whole lines; True begins a new line."""
    if text.isascii() and text.isprintable():  # a cell for each letter
        rows = [(text[at : at + room], True) for at in range(left, len(text), room)]
        return [(text[:left], False), *rows] if left > 0 else rows
    out: list[tuple[str, bool]] = []
    held, begins = "", False
    for cluster in clusters(text):
        cells = cluster_width(cluster)
        if cells > room:
            cluster, cells = "…", 1  # noqa: PLW2901 (a wide letter in one column)
        if cells > left:
            if held:
                out.append((held, begins))
            held, begins, left = "", True, room
        held += cluster
        left -= cells
    if held:
        out.append((held, begins))
    return out
