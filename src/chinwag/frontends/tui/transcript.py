"""The talk as lines: only those that are seen are made, and each is made once.

Invariants: a frame costs what is visible, however long the talk or one answer in it is; nothing
here walks all items or all of an item. Stretches are remembered per item, width and folds, for the
`KEPT` items seen last. The view is held at an anchor (an item, a stretch in it and a line in that),
so what arrives below, or changes above, never moves a reader who left the end. The live answer's
finished stretches are the very ones of the settled one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from chinwag.frontends.tui import items
from chinwag.frontends.tui.drawing import Folds, long, margin
from chinwag.frontends.tui.giants import Giants
from chinwag.frontends.tui.live import LiveLines
from chinwag.frontends.tui.numbering import Numbers
from chinwag.frontends.tui.state import Anchor, Item, Kind, Said, Told, UiState
from chinwag.frontends.tui.stretch import Line, Stretch
from chinwag.talk.entry import AssistantSaid, ToolReturned, UserSaid

if TYPE_CHECKING:
    from chinwag.frontends.tui.markdown import Document
    from chinwag.frontends.tui.rendering import Renderer

KEPT = 400
"""Items whose stretches are remembered."""
COUNTED = 2000
"""So many lines below are counted; more are `more than`."""
GIANT = 100_000
"""Characters of an item of which not all lines may be made at once."""
NEAR = 100
"""So many lines below are counted exactly, the rest by what is known of them."""

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
        self._kept: OrderedDict[Key, Sequence[Stretch]] = OrderedDict()
        self._live = LiveLines()
        self._numbers = Numbers()
        self._giants = Giants()
        self._laying: Key | None = None
        self._number = 1  # of the next code block in the item that is being laid out
        self.made = 0  # items laid out since the beginning, for tests of cost

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
        self._giants.clear()
        if self._talk is not None:
            self._talk.backlog.clear()
        self._live = LiveLines()
        self._numbers = Numbers()

    # -- looking ------------------------------------------------------------------------------

    def view(self, state: UiState, columns: int, rows: int) -> View:
        """The lines to be seen on so many rows (fewer when there are fewer)."""
        frame = _Frame(self, state, columns)
        top = frame.top(rows)
        lines = frame.down(top, rows)
        below = frame.below(top, rows) if state.anchor is not None else 0
        return View(lines, top, below)

    def moved(self, state: UiState, by: int, columns: int, rows: int) -> Anchor | None:
        """Where the view begins after scrolling by so many lines (negative = back)."""
        frame = _Frame(self, state, columns)
        there = frame.shifted(frame.top(rows), by)
        return None if _place(there) >= _place(frame.bottom(rows)) else there

    # -- working ------------------------------------------------------------------------------

    def hear(self, state: UiState, columns: int) -> bool:
        """Take in what the live answer said since; True when there is more to take in."""
        if state.live is None:
            return False
        folds = _folds(state, columns)
        number = self._numbers.before(state.items, len(state.items)) + 1
        return self._live.advance(state.live, folds, self._talk, number)

    def settle(self, state: UiState, columns: int) -> None:
        """The answer just heard has settled: its stretches are kept, not made again."""
        item = state.items[-1] if state.items else None
        if not isinstance(item, Said) or not isinstance(item.entry, AssistantSaid):
            return
        if item.of[1] > 1:  # its head says more than that of the live one: it is made anew
            self._live = LiveLines()
            return
        folds = _folds(state, columns)
        found = self._live.settled(item.n, item.entry, folds)
        if found is not None:
            self._keep(_key(item, folds), _spaced(state, len(state.items) - 1, found))
        self._live = LiveLines()

    @property
    def busy(self) -> bool:
        """Whether `work` has something to do."""
        return self._giants.busy or bool(self._talk and self._talk.backlog)

    def work(self) -> bool:
        """Take in a slice of a giant text, or colour one of long code that is shown plain so far;
        True when more is waiting."""
        if self._giants.busy:
            self._giants.work()
            return self.busy
        if self._talk is None or not self._talk.backlog:
            return False
        of, slice_ = next(reversed(self._talk.backlog.items()))
        if not slice_():
            del self._talk.backlog[of]
        return self.busy

    # -- the stretches of one item ------------------------------------------------------------

    def stretches(self, state: UiState, at: int, columns: int) -> Sequence[Stretch]:
        """Item ``at``; the live answer comes behind the last."""
        folds = _folds(state, columns)
        if at >= len(state.items):
            return _spaced(state, at, self._live.stretches(state, folds)) if state.live else []
        item = state.items[at]
        key = _key(item, folds)
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            return kept
        self._number = self._numbers.before(state.items, at) + 1
        self.made += 1
        self._laying = key
        if self._talk is None or self._pages is None:
            found = items.laid(item, folds, _as_written, _as_written)
        else:
            found = items.laid(item, folds, self._markdown, self._page)
        return self._keep(key, _spaced(state, at, found))

    def lines(self, state: UiState, at: int, columns: int) -> list[Line]:
        """All lines of item ``at``, made now."""
        found = self.stretches(state, at, columns)
        return [line for stretch in found for line in stretch.lines()]

    def is_giant(self, state: UiState, at: int) -> bool:
        """Whether all lines of item ``at`` are too many to be made at once."""
        if at >= len(state.items):
            return state.live is not None and state.live.characters > GIANT
        item = state.items[at]
        if isinstance(item, Said) and isinstance(item.entry, AssistantSaid | UserSaid):
            return len(item.entry.text) > GIANT
        return isinstance(item, Told) and len(item.text) > GIANT

    def heights(self, state: UiState, at: int, columns: int) -> Iterator[int]:
        """How many lines the stretches of item ``at`` have: known or guessed."""
        if at < len(state.items):
            item = state.items[at]
            if _key(item, _folds(state, columns)) not in self._kept:
                yield 3 + _size(item) // text_columns(columns)
                return
        yield from (stretch.height for stretch in self.stretches(state, at, columns))

    def _keep(self, key: Key, found: Sequence[Stretch]) -> Sequence[Stretch]:
        self._kept[key] = found
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found

    def _markdown(self, text: str, columns: int) -> list[Stretch]:
        make = partial(self.document, columns, number=self._number)
        again = partial(self._make_again, self._laying)
        found, self._number = self._giants.laid(text, columns, make, again)
        return found

    def _page(self, text: str, columns: int) -> list[Stretch]:
        again = partial(self._make_again, self._laying)
        make = partial(self.document, columns, page=True)
        return self._giants.laid(text, columns, make, again)[0]

    def _make_again(self, key: Key | None) -> None:
        if key is not None:
            self._kept.pop(key, None)

    def document(self, columns: int, *, page: bool = False, number: int = 1) -> Document:
        """An empty document as wide as text is drawn."""
        renderer = self._pages if page else self._talk
        assert renderer is not None  # noqa: S101 (asked for only when ready)
        from chinwag.frontends.tui.markdown import Document  # as late as rich

        return Document(renderer, text_columns(columns), number, margin=margin(columns))


def _spaced(state: UiState, at: int, found: list[Stretch]) -> list[Stretch]:
    """Item ``at``, with an empty line before it where it ends a row of calls and results."""
    if not at or not items.open_ended(state.items[at - 1]):
        return found
    ends = at >= len(state.items) or not _is_result(state.items[at])
    return [Stretch([[]]), *found] if ends else found


def _is_result(item: Item) -> bool:
    return isinstance(item, Said) and isinstance(item.entry, ToolReturned)


def text_columns(columns: int) -> int:
    """The columns running text has."""
    return max(1, columns - margin(columns) - 1)


def _as_written(text: str, columns: int) -> list[Stretch]:
    """Markdown before it can be rendered."""
    return long(text, columns)


def _folds(state: UiState, columns: int) -> Folds:
    return Folds(columns, thinking=state.thinking_open, tools=state.tools_open)


def _key(item: Item, folds: Folds) -> Key:
    kind, n = ("told", item.id) if isinstance(item, Told) else ("said", item.n)
    if isinstance(item, Said) and item.of[1] > 1:
        kind = f"of {item.of[1]}"
    return (kind, n, folds.columns, folds.thinking, folds.tools)


def _size(item: Item) -> int:
    """Characters of Markdown in an item."""
    if isinstance(item, Told):
        return len(item.text) if item.kind is Kind.PAGE else 0
    return len(item.entry.text) if isinstance(item.entry, AssistantSaid) else 0


def _place(anchor: Anchor) -> tuple[int, int, int]:
    return anchor.item, anchor.stretch, anchor.line


class _Frame:
    """Arithmetic of one frame: positions are anchors, steps are lines."""

    def __init__(self, transcript: Transcript, state: UiState, columns: int) -> None:
        self._transcript = transcript
        self._state = state
        self._columns = columns
        self._count = len(state.items) + (1 if state.live else 0)
        self._found: dict[int, Sequence[Stretch]] = {}

    def _of(self, at: int) -> Sequence[Stretch]:
        found = self._found.get(at)
        if found is None:
            found = self._found[at] = self._transcript.stretches(self._state, at, self._columns)
        return found

    def _from(self, top: Anchor) -> Iterator[tuple[Anchor, list[Line]]]:
        """Each stretch from the one of ``top`` on, with where it stands."""
        first = top.stretch
        for at in range(top.item, self._count):
            found = self._of(at)
            for n in range(first, len(found)):
                yield Anchor(at, 0, n), found[n].lines()
            first = 0

    def _back(self, top: Anchor) -> Iterator[tuple[Anchor, list[Line]]]:
        """Each stretch before that of ``top``, the nearest first."""
        last = top.stretch if top.item < self._count else len(self._of(self._count - 1))
        for at in range(min(top.item, self._count - 1), -1, -1):
            found = self._of(at)
            for n in range(min(last, len(found)) - 1, -1, -1):
                yield Anchor(at, 0, n), found[n].lines()
            last = len(self._of(at - 1)) if at else 0

    def top(self, rows: int) -> Anchor:
        """Where the view begins: at the anchor, but never so low that rows stay empty."""
        anchor = self._state.anchor
        if anchor is None or anchor.item >= self._count:
            return self.bottom(rows)
        held = self._held(anchor)
        return held if self._fills(held, rows) else self.bottom(rows)

    def _held(self, anchor: Anchor) -> Anchor:
        """The anchor where there is such a line; else the nearest."""
        found = self._of(anchor.item)
        if not found:
            return Anchor(anchor.item, 0)
        n = min(anchor.stretch, len(found) - 1)
        return Anchor(anchor.item, min(anchor.line, max(0, len(found[n].lines()) - 1)), n)

    def _fills(self, top: Anchor, rows: int) -> bool:
        seen = -top.line
        for _, lines in self._from(top):
            seen += len(lines)
            if seen >= rows:
                return True
        return False

    def bottom(self, rows: int) -> Anchor:
        """Where the view begins when it ends with the last line (an empty one is not shown)."""
        if not self._count:
            return Anchor(0, 0)
        left = rows + 1
        end = Anchor(self._count - 1, 0, len(self._of(self._count - 1)))
        for place, lines in self._back(end):
            if len(lines) >= left:
                return Anchor(place.item, len(lines) - left, place.stretch)
            left -= len(lines)
        return Anchor(0, 0)

    def down(self, top: Anchor, rows: int) -> list[Line]:
        """So many lines from ``top`` on."""
        out: list[Line] = []
        line = top.line
        for _, lines in self._from(top):
            out.extend(lines[line : line + rows - len(out)])
            line = 0
            if len(out) >= rows:
                break
        return out

    def shifted(self, top: Anchor, by: int) -> Anchor:
        """The place ``by`` lines from ``top``, within the talk."""
        line = top.line + by
        if line < 0:
            for place, lines in self._back(top):
                line += len(lines)
                if line >= 0:
                    return Anchor(place.item, line, place.stretch)
            return Anchor(0, 0)
        for place, lines in self._from(top):
            if line < len(lines):
                return Anchor(place.item, line, place.stretch)
            line -= len(lines)
        return Anchor(self._count, 0)

    def below(self, top: Anchor, rows: int) -> int:
        """Lines under the view, known or guessed, at most about `COUNTED`."""
        count = -top.line - rows - 1
        for at in range(top.item, self._count):
            if count > COUNTED:
                break
            if count > NEAR:
                count += sum(self._transcript.heights(self._state, at, self._columns))
            else:
                count += self._near(at, top.stretch if at == top.item else 0, NEAR - count)
        return max(0, count)

    def _near(self, at: int, first: int, exact: int) -> int:
        """Lines of an item from a stretch on, the first so many counted exactly."""
        count = 0
        for stretch in self._of(at)[first:]:
            count += stretch.height if count > exact else len(stretch.lines())
        return count
