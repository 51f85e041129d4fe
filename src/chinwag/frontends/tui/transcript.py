"""The talk as lines: only those that are seen are made, and each is made once.

Invariants: a frame costs what is visible, however long the talk is; nothing here walks all items.
Lines are remembered per item, width and folds, for the `KEPT` items seen last. The view is held at
an anchor (an item and a line in it), so what arrives below never moves a reader who left the end.
A text too long for one frame is shown plain first and rendered in slices (`work`) between frames.
The live answer's finished lines are the very lines of the settled one.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, TypeAlias

from chinwag.frontends.tui import items
from chinwag.frontends.tui.items import Folds, Line
from chinwag.frontends.tui.live import LiveLines
from chinwag.frontends.tui.markdown import Document
from chinwag.frontends.tui.numbering import Numbers
from chinwag.frontends.tui.state import Anchor, Item, Kind, Said, Told, UiState
from chinwag.talk.entry import AssistantSaid

if TYPE_CHECKING:
    from chinwag.frontends.tui.rendering import Renderer

KEPT = 400
"""Items whose lines are remembered."""
AT_ONCE = 6000
"""Characters of Markdown rendered in one frame; what is longer is rendered between frames."""
SLICES = 2
"""Windows of Markdown (`markdown.WINDOW`) rendered in one piece of work."""
COUNTED = 2000
"""So many lines below are counted; more are `more than`."""

Key: TypeAlias = tuple[str, int, int, bool, bool]


class View:
    """What is seen: the lines, where they begin, and how many lines lie below."""

    __slots__ = ("below", "lines", "top")

    def __init__(self, lines: list[Line], top: Anchor, below: int) -> None:
        self.lines = lines
        self.top = top
        self.below = below


class Transcript:
    """The memory behind the view. All methods are functions of the state but for what they cost."""

    def __init__(self) -> None:
        self._pages: Renderer | None = None
        self._talk: Renderer | None = None
        self._kept: OrderedDict[Key, list[Line]] = OrderedDict()
        self._jobs: OrderedDict[Key, _Job] = OrderedDict()
        self._live = LiveLines()
        self._numbers = Numbers()
        self._number = 1  # of the next code block in the item that is being made
        self._spent = 0
        self.made = 0  # items rendered since the beginning, for tests of cost

    @property
    def ready(self) -> bool:
        return self._talk is not None

    def use(self, talk: Renderer, pages: Renderer) -> None:
        """Markdown can be rendered from now on."""
        self._talk, self._pages = talk, pages
        self.forget()

    def forget(self) -> None:
        """Another session, or another look: nothing remembered holds."""
        self._kept.clear()
        self._jobs.clear()
        self._live = LiveLines()
        self._numbers = Numbers()

    # -- looking ------------------------------------------------------------------------------

    def view(self, state: UiState, columns: int, rows: int) -> View:
        """The lines to be seen on so many rows (fewer when there are fewer)."""
        self._spent = 0
        frame = _Frame(self, state, columns)
        top = frame.top(rows)
        lines = frame.down(top, rows)
        below = frame.below(top, rows) if state.anchor is not None else 0
        return View(lines, top, below)

    def moved(self, state: UiState, by: int, columns: int, rows: int) -> Anchor | None:
        """Where the view begins after scrolling by so many lines (negative = back)."""
        frame = _Frame(self, state, columns)
        top = frame.top(rows)
        there = frame.shifted(top, by)
        end = frame.bottom(rows)
        return None if (there.item, there.line) >= (end.item, end.line) else there

    # -- working ------------------------------------------------------------------------------

    def hear(self, state: UiState, columns: int) -> bool:
        """Take in what the live answer said since; True when there is more to take in."""
        if state.live is None:
            return False
        folds = _folds(state, columns)
        number = self._numbers.before(state.items, len(state.items)) + 1
        return self._live.advance(state.live, folds, self._talk, number)

    def settle(self, state: UiState, columns: int) -> None:
        """The answer just heard has settled: its lines are kept, not made again."""
        item = state.items[-1] if state.items else None
        if not isinstance(item, Said) or not isinstance(item.entry, AssistantSaid):
            return
        folds = _folds(state, columns)
        lines = self._live.settled(item.n, item.entry, folds)
        if lines is not None:
            self._keep(_key(item, folds), lines)
        self._live = LiveLines()

    def work(self) -> bool:
        """Render a slice of what was shown plain so far; True when more is waiting."""
        if not self._jobs:
            return False
        key, job = next(reversed(self._jobs.items()))
        lines = job.slice()
        if lines is not None:
            self._jobs.pop(key, None)
            self._keep(key, lines)
        return bool(self._jobs)

    @property
    def busy(self) -> bool:
        """Whether `work` has something to do."""
        return bool(self._jobs)

    # -- the lines of one item ----------------------------------------------------------------

    def lines(self, state: UiState, at: int, columns: int) -> list[Line]:
        """The lines of item ``at``; the live answer comes behind the last."""
        folds = _folds(state, columns)
        if at >= len(state.items):
            return self._live.lines(state, folds) if state.live else []
        item = state.items[at]
        key = _key(item, folds)
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            return kept
        self._number = self._numbers.before(state.items, at) + 1
        return self._made(item, key, folds)

    def _made(self, item: Item, key: Key, folds: Folds) -> list[Line]:
        self.made += 1
        size = _size(item)
        if self._talk is None or size == 0:
            return self._keep(key, items.lines_of(item, folds, plain, plain))
        if (self._spent and self._spent + size > AT_ONCE) or size > AT_ONCE:
            self._jobs.setdefault(key, _Job(item, folds, self, self._number))
            return self._keep(key, items.lines_of(item, folds, plain, plain))
        self._spent += size
        return self._keep(key, items.lines_of(item, folds, self._markdown, self._page))

    def _keep(self, key: Key, lines: list[Line]) -> list[Line]:
        self._kept[key] = lines
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return lines

    def _markdown(self, text: str, columns: int) -> list[Line]:
        document = self.document(columns, number=self._number)
        document.feed(text)
        document.finish()
        self._number = document.number
        return items.indented(document.lines, columns)

    def _page(self, text: str, columns: int) -> list[Line]:
        document = self.document(columns, page=True)
        document.feed(text)
        document.finish()
        return items.indented(document.lines, columns)

    def document(self, columns: int, *, page: bool = False, number: int = 1) -> Document:
        """An empty document as wide as text is drawn."""
        renderer = self._pages if page else self._talk
        assert renderer is not None  # noqa: S101 (asked for only when ready)
        return Document(renderer, text_columns(columns), number)

    # -- guesses ------------------------------------------------------------------------------

    def height(self, state: UiState, at: int, columns: int) -> int:
        """How many lines item ``at`` has: known, or guessed from its length."""
        folds = _folds(state, columns)
        if at >= len(state.items):
            return len(self.lines(state, at, columns))
        item = state.items[at]
        kept = self._kept.get(_key(item, folds))
        return len(kept) if kept is not None else 3 + _size(item) // text_columns(columns)


def text_columns(columns: int) -> int:
    """The columns running text has."""
    return max(1, columns - items.margin(columns) - 1)


def plain(text: str, columns: int) -> list[Line]:
    """Markdown before it can be rendered."""
    return items.plain(text, columns)


def _folds(state: UiState, columns: int) -> Folds:
    return Folds(columns, thinking=state.thinking_open, tools=state.tools_open)


def _key(item: Item, folds: Folds) -> Key:
    kind, n = ("told", item.id) if isinstance(item, Told) else ("said", item.n)
    return (kind, n, folds.columns, folds.thinking, folds.tools)


def _size(item: Item) -> int:
    """Characters of Markdown in an item."""
    if isinstance(item, Told):
        return len(item.text) if item.kind is Kind.PAGE else 0
    return len(item.entry.text) if isinstance(item.entry, AssistantSaid) else 0


class _Job:
    """A long text being rendered in slices: its parts one after the other, then the whole item."""

    def __init__(self, item: Item, folds: Folds, transcript: Transcript, number: int) -> None:
        self._number = number
        self._item = item
        self._folds = folds
        self._transcript = transcript
        self._texts = _texts(item)
        self._made: dict[str, list[Line]] = {}
        self._document: Document | None = None

    def slice(self) -> list[Line] | None:
        """Some work; the item's lines when it is done."""
        for _ in range(SLICES):
            if not self._texts:
                return items.lines_of(self._item, self._folds, self._ready, self._ready)
            self._step(self._texts[0])
        return None

    def _step(self, text: str) -> None:
        if self._document is None:
            page = isinstance(self._item, Told)
            columns, number = self._folds.columns, self._number
            self._document = self._transcript.document(columns, page=page, number=number)
            self._document.feed(text)
        if self._document.step():
            return
        self._document.finish()
        self._made[text] = items.indented(self._document.lines, self._folds.columns)
        self._number = self._document.number
        self._document = None
        self._texts.pop(0)

    def _ready(self, text: str, columns: int) -> list[Line]:
        return self._made.get(text) or plain(text, columns)


def _texts(item: Item) -> list[str]:
    if isinstance(item, Told):
        return [item.text]
    parts = getattr(item.entry, "parts", ())
    return [part.text for part in parts if type(part).__name__ == "Text" and part.text.strip()]


class _Frame:
    """Arithmetic of one frame: positions are anchors, steps are lines."""

    def __init__(self, transcript: Transcript, state: UiState, columns: int) -> None:
        self._transcript = transcript
        self._state = state
        self._columns = columns
        self._count = len(state.items) + (1 if state.live else 0)

    def _lines(self, at: int) -> list[Line]:
        return self._transcript.lines(self._state, at, self._columns)

    def top(self, rows: int) -> Anchor:
        """Where the view begins: at the anchor, but never so low that rows stay empty."""
        anchor = self._state.anchor
        if anchor is None or anchor.item >= self._count:
            return self.bottom(rows)
        length = len(self._lines(anchor.item))
        held = Anchor(anchor.item, min(anchor.line, max(0, length - 1)))
        if self._fills(held, rows):
            return held
        return self.bottom(rows)

    def _fills(self, top: Anchor, rows: int) -> bool:
        seen = -top.line
        for at in range(top.item, self._count):
            seen += len(self._lines(at))
            if seen >= rows:
                return True
        return False

    def bottom(self, rows: int) -> Anchor:
        """Where the view begins when it ends with the last line (an empty one is not shown)."""
        left = rows + 1 if self._count else rows
        for at in range(self._count - 1, -1, -1):
            length = len(self._lines(at))
            if length >= left:
                return Anchor(at, length - left)
            left -= length
        return Anchor(0, 0)

    def down(self, top: Anchor, rows: int) -> list[Line]:
        """So many lines from ``top`` on."""
        out: list[Line] = []
        at, line = top.item, top.line
        while at < self._count and len(out) < rows:
            out.extend(self._lines(at)[line : line + rows - len(out)])
            at, line = at + 1, 0
        return out

    def shifted(self, top: Anchor, by: int) -> Anchor:
        """The place ``by`` lines from ``top``, within the talk."""
        at, line = top.item, top.line + by
        while line < 0 and at > 0:
            at -= 1
            line += len(self._lines(at))
        while at < self._count and line >= len(self._lines(at)):
            line -= len(self._lines(at))
            at += 1
        return Anchor(at, max(line, 0)) if at < self._count else Anchor(self._count, 0)

    def below(self, top: Anchor, rows: int) -> int:
        """Lines under the view, known or guessed, at most about `COUNTED`."""
        count = -top.line - rows - 1
        for at in range(top.item, self._count):
            count += self._transcript.height(self._state, at, self._columns)
            if count > COUNTED:
                break
        return max(0, count)
