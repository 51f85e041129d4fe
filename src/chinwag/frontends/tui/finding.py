"""Finding words in the conversation: where they stand, marking them, going from one to the next.

Invariants: what is searched is what was said, without regard to case and to how lines are broken;
only messages that hold the words are laid out, and of those only the ones one goes to. The place
one came from is kept and given back. Pure, but for `Finder`, which carries out keys.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from msgspec.structs import replace

from chinwag.frontends.tui import state as s
from chinwag.frontends.tui.drawing import clipped, one, sides
from chinwag.frontends.tui.first_frame import PROMPT
from chinwag.frontends.tui.state import Anchor, Find, Item, Told, UiState
from chinwag.frontends.tui.stretch import Line
from chinwag.talk.entry import AssistantSaid, Compacted, SystemSet, ToolReturned, UserSaid
from chinwag.text.cells import width
from chinwag.text.marks import unmarked

if TYPE_CHECKING:
    from chinwag.frontends.tui.transcript import Transcript

Place: TypeAlias = tuple[int, int]
"""An item, and one of its lines."""
END = 1 << 40


def pattern(text: str) -> re.Pattern[str] | None:
    """What fits ``text``; None where there is nothing to look for."""
    words = text.split()
    return re.compile(r"\s+".join(map(re.escape, words)), re.IGNORECASE) if words else None


def text_of(item: Item) -> str:
    """What an item says, as it was said."""
    if isinstance(item, Told):
        return f"{item.title}\n{item.text}" if item.title else item.text
    match item.entry:
        case UserSaid(text=text) | AssistantSaid(text=text) | SystemSet(text=text):
            return text
        case ToolReturned(text=text) | Compacted(summary=text):
            return text
        case _:
            return ""


def holding(items: Sequence[Item], among: Sequence[int], text: str) -> list[int]:
    """Those ``among`` the items that hold ``text``."""
    wanted, words = pattern(text), text.lower().split()
    if wanted is None:
        return []
    found = []
    for at in among:
        said = text_of(items[at])
        if _holds(said, words, wanted) or _holds(unmarked(said), words, wanted):
            found.append(at)
    return found


def _holds(said: str, words: list[str], wanted: re.Pattern[str]) -> bool:
    """Whether a text holds the words; looking for each of them alone first is far quicker."""
    lower = said.lower()
    return all(word in lower for word in words) and (
        len(words) < 2 or wanted.search(said) is not None
    )


# -- in lines ------------------------------------------------------------------------------------


class _Joined:
    """Lines as one text, so that what was wrapped is found; knows where each line begins in it."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.starts: list[int] = []
        self.margins: list[int] = []
        parts: list[str] = []
        size = 0
        for line in lines:
            whole = "".join(text for _, text in line)
            bare = whole.strip()
            self.starts.append(size)
            self.margins.append(len(whole) - len(whole.lstrip()))
            parts.append(bare)
            size += len(bare) + 1
        self.text = " ".join(parts)

    def line(self, at: int) -> int:
        return bisect_right(self.starts, at) - 1


def hit_lines(lines: Sequence[Line], wanted: re.Pattern[str]) -> list[int]:
    """The lines in which something begins that fits."""
    joined = _Joined(lines)
    hits = (joined.line(found.start()) for found in wanted.finditer(joined.text))
    return list(dict.fromkeys(hits))


def marked(lines: list[Line], wanted: re.Pattern[str], at: int | None) -> list[Line]:
    """The lines with what fits marked; what begins in line ``at`` is marked as the one in front."""
    joined = _Joined(lines)
    spans: dict[int, list[tuple[int, int, str]]] = {}
    for found in wanted.finditer(joined.text):
        first = joined.line(found.start())
        style = " class:found.at" if first == at else " class:found"
        for n in range(first, joined.line(found.end() - 1) + 1):
            shift = joined.margins[n] - joined.starts[n]
            start = max(found.start(), joined.starts[n]) + shift
            spans.setdefault(n, []).append((start, found.end() + shift, style))
    return [_styled(line, spans[n]) if n in spans else line for n, line in enumerate(lines)]


def _styled(line: Line, spans: list[tuple[int, int, str]]) -> Line:
    """The line with each span of its characters (start, end, style added) in a style of its own."""
    out: Line = []
    begin = 0
    for style, text in line:
        at = 0
        for start, end, more in spans:
            first, last = max(at, start - begin), min(len(text), end - begin)
            if first < last:
                out += [(style, text[at:first]), (style + more, text[first:last])]
                at = last
        out.append((style, text[at:]))
        begin += len(text)
    return [piece for piece in out if piece[1]]


def prompt(find: Find, columns: int, *, coming: bool = False) -> tuple[Line, int]:
    """The line in place of the input, and the column of the cursor.

    ``coming``: an answer comes in, which is looked into when it has settled.
    """
    lead = f" {PROMPT}" if columns < 40 else " find: "
    typed = one(find.text, max(1, columns - width(lead) - 14))
    line: Line = [("class:prompt", lead), ("", typed)]
    nowhere = "not before this answer" if coming else "nowhere"
    count = f"{find.nth} of {find.total}" if find.item >= 0 else nowhere if find.text else ""
    if find.typing:
        keys = "↑↓ others · Enter reads · Esc back"
    else:
        keys = "n ↑ · N ↓ · Enter stays · Esc back"
    hint = " · ".join(filter(None, (count, keys)))
    used = width(lead) + width(typed)
    if used + width(hint) + 3 > columns:
        hint = count
    return clipped(sides(line, hint, columns), columns), used


# -- going about ---------------------------------------------------------------------------------


class Seen(Protocol):
    """What a finder works on."""

    @property
    def state(self) -> UiState: ...
    @property
    def transcript(self) -> Transcript: ...
    def dispatch(self, what: s.Happening) -> None: ...


class Finder:
    """Carries out the keys of a search. ``size`` gives columns and rows of the view."""

    def __init__(self, seen: Seen, size: Callable[[], tuple[int, int]]) -> None:
        self._seen = seen
        self._size = size
        self._known: tuple[str, Sequence[Item], list[int]] = ("", (), [])

    @property
    def find(self) -> Find | None:
        return self._seen.state.find

    def begin(self, text: str = "", *, typing: bool = True) -> None:
        """Look for ``text`` from where the reader is, towards the beginning."""
        state = self._seen.state
        find = state.find or Find(back=state.anchor, start=self._last_seen(state))
        self._look(replace(find, text=text, typing=typing))

    def key(self, action: str, text: str = "") -> None:
        """What a key means while something is looked for."""
        find = self.find
        if find is None:
            return
        match action:
            case "up" | "down":
                self._move(find, -1 if action == "up" else 1)
            case "again" if find.typing and find.text:
                self._move(find, -1)
            case "again":
                self._seen.dispatch(
                    s.FindMoved(replace(find, typing=True), self._seen.state.anchor)
                )
            case "enter" if find.typing and find.item >= 0:
                self._seen.dispatch(
                    s.FindMoved(replace(find, typing=False), self._seen.state.anchor)
                )
            case "enter":
                self._seen.dispatch(s.FindMoved(None, self._seen.state.anchor))
            case "back":
                self._seen.dispatch(s.FindMoved(None, find.back))
            case "erase" | "clear":
                left = find.text[:-1] if action == "erase" else ""
                self._look(replace(find, text=left, typing=True))
            case "typed" if find.typing:
                self._look(replace(find, text=find.text + text))
            case "typed" if text in ("n", "N"):
                self._move(find, -1 if text == "n" else 1)
            case "typed" if text == "/":
                self._look(replace(find, text="", typing=True))
            case _:
                pass

    def row(self, top: Anchor, rows: int) -> int | None:
        """The row of the view on which the place in front stands; None where it is not seen."""
        find, state = self.find, self._seen.state
        if find is None or find.item < top.item or find.item - top.item > rows:
            return None
        row = find.line - self._flat(state, top)
        row += sum(len(self._lines(state, at)) for at in range(top.item, find.item))
        return row if 0 <= row < rows else None

    # -- how -------------------------------------------------------------------------------------

    def _look(self, find: Find) -> None:
        """Go to the last place before where the search began."""
        there = self._there(find.text)
        self._go(find, there, self._next(find, there, find.start, -1))

    def _move(self, find: Find, by: int) -> None:
        there = self._there(find.text)
        self._go(find, there, self._next(find, there, (find.item, find.line), by))

    def _go(self, find: Find, there: list[int], place: Place | None) -> None:
        if place is None:
            gone = replace(find, item=-1, nth=0, total=0)
            self._seen.dispatch(s.FindMoved(gone, find.back))
            return
        nth = there.index(place[0]) + 1
        found = replace(find, item=place[0], line=place[1], nth=nth, total=len(there))
        self._seen.dispatch(s.FindMoved(found, self._view_of(place)))

    def _there(self, text: str) -> list[int]:
        """The items that hold ``text``; what is typed further is only looked for among those."""
        items = self._seen.state.items
        before, of, found = self._known
        among = found if of is items and before and text.startswith(before) else range(len(items))
        there = holding(items, among, text)
        self._known = (text, items, there)
        return there

    def _next(self, find: Find, there: list[int], start: Place, by: int) -> Place | None:
        """The place before or behind ``start``; behind the last comes the first."""
        wanted = pattern(find.text)
        if wanted is None or not there:
            return None
        for origin in (start, (END, END) if by < 0 else (-1, -1)):
            for at in reversed(there) if by < 0 else there:
                if (at - origin[0]) * by < 0:
                    continue
                lines = self._hits(at, wanted) or [0]
                fit = [n for n in lines if at != origin[0] or (n - origin[1]) * by > 0]
                if fit:
                    return at, fit[-1 if by < 0 else 0]
        return None

    def _hits(self, at: int, wanted: re.Pattern[str]) -> list[int]:
        """The lines of item ``at`` in which something fits; about those, in a giant one."""
        state = self._seen.state
        if not self._seen.transcript.is_giant(state, at):
            return hit_lines(self._lines(state, at), wanted)
        said = text_of(state.items[at])
        stretches = self._seen.transcript.stretches(state, at, self._size()[0])
        height = sum(each.height for each in stretches)
        lines = (found.start() * height // len(said) for found in wanted.finditer(said))
        return list(dict.fromkeys(lines))

    def _view_of(self, place: Place) -> Anchor | None:
        """Where the view begins so that the place is seen: as it is where it is seen already."""
        state, (columns, rows) = self._seen.state, self._size()
        view = self._seen.transcript.view(state, columns, rows)
        row = place[1] - self._flat(state, view.top)
        if view.top.item <= place[0] <= view.top.item + rows:
            row += sum(len(self._lines(state, at)) for at in range(view.top.item, place[0]))
            if 0 <= row < max(1, rows - 1):
                return state.anchor
        at = replace(state, anchor=self._anchor(place))
        return self._seen.transcript.moved(at, -(rows // 3), columns, rows)

    def _anchor(self, place: Place) -> Anchor:
        line = place[1]
        stretches = self._seen.transcript.stretches(self._seen.state, place[0], self._size()[0])
        giant = self._seen.transcript.is_giant(self._seen.state, place[0])
        for n, stretch in enumerate(stretches):
            height = stretch.height if giant else len(stretch.lines())
            if line < height:
                return Anchor(place[0], line, n)
            line -= height
        return Anchor(place[0], 0)

    def _flat(self, state: UiState, anchor: Anchor) -> int:
        """The line of its item at which an anchor stands."""
        before = self._seen.transcript.stretches(state, anchor.item, self._size()[0])
        if self._seen.transcript.is_giant(state, anchor.item):
            return anchor.line + sum(each.height for each in before[: anchor.stretch])
        return anchor.line + sum(len(each.lines()) for each in before[: anchor.stretch])

    def _last_seen(self, state: UiState) -> Place:
        """Behind the last line on the screen."""
        if state.anchor is None:
            return END, END
        columns, left = self._size()
        top = self._seen.transcript.view(state, columns, left).top
        line = self._flat(state, top)
        for at in range(top.item, len(state.items)):
            size = len(self._lines(state, at))
            if line + left <= size:
                return at, line + left
            left -= size - line
            line = 0
        return END, END

    def _lines(self, state: UiState, at: int) -> list[Line]:
        if self._seen.transcript.is_giant(state, at):
            return []  # it is found as a whole: to lay out all of it would hold up the keys
        return self._seen.transcript.lines(state, at, self._size()[0])
