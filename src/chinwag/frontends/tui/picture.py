"""What is drawn when: header, talk, tray and footer put together for one frame.

Invariants: a frame asks the desk for figures and the transcript for visible lines, nothing else; it
changes nothing but memories of what was drawn. The lines above the input are exactly as many as
there are rows for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from chinwag.frontends.tui import finding, footer, view
from chinwag.frontends.tui.approval import Reading
from chinwag.frontends.tui.drawing import clipped, one
from chinwag.frontends.tui.first_frame import is_compact
from chinwag.frontends.tui.promises import Desk, Status
from chinwag.frontends.tui.state import Anchor, Question, UiState
from chinwag.frontends.tui.transcript import COUNTED, Transcript

if TYPE_CHECKING:
    from chinwag.frontends.tui.rendering import Renderer

Line: TypeAlias = list[tuple[str, str]]

COUNT_AT_ONCE = 200_000
"""Characters of a draft that are counted as it is typed (counting goes on from what was counted
before); of a longer one the beginning is, and the rest is guessed."""

BESIDE = 3
"""Rows that a question must leave free for the talk to be shown above it."""
CALM = 0.5
"""Seconds the rate stands before it is worked out again."""


class Seen(Protocol):
    """What a picture is drawn from."""

    @property
    def state(self) -> UiState: ...
    @property
    def desk(self) -> Desk: ...
    @property
    def transcript(self) -> Transcript: ...
    def rows(self) -> int: ...
    def draft(self) -> str: ...
    def mode(self) -> str:
        """The mode the input is in, where it has several."""
        ...

    def found_row(self, top: Anchor, rows: int) -> int | None:
        """The row of the view in which what is looked for stands in front."""
        ...

    def stale(self) -> None:
        """The live answer must be laid out anew: the width has changed."""


class Picture:
    """Draws frames; see the module."""

    def __init__(self, seen: Seen, unfold: Callable[[str], str]) -> None:
        self._seen = seen
        self._unfold = unfold
        self.size = (80, 20)
        self.reading = Reading()
        self.renderer: Renderer | None = None
        self._counted: tuple[str, tuple[int, bool]] = ("", (0, True))
        self._footed: tuple[Any, Line] = (None, [])
        self._rated: tuple[float, str, int] = (0.0, "", 0)
        self._status: Status | None = None  # of this frame: what is above is drawn first

    def use(self, renderer: Renderer) -> None:
        """The footer is drawn with rich from now on."""
        self.renderer = renderer
        self._footed = (None, [])

    def above(self, columns: int, height: int) -> list[Line]:
        """Header, talk, tray or picker, rule: exactly ``height`` lines."""
        rows = self._seen.rows()
        status = self._status = self._seen.desk.status()
        head = view.header(self._seen.state, status, columns, rows)
        foot = view.tray(self._seen.state, status, columns, time.monotonic())
        if self._seen.state.question is not None:
            return self._asked(self._seen.state.question, head, columns, height)
        self.reading.forget()
        if self._seen.state.picker is not None:
            foot = view.picker(self._seen.state.picker, columns, height - len(head) - 2)
        if not is_compact(rows):
            foot = [*foot, view.rule(columns)]
        room = max(1, height - len(head) - len(foot))
        talk = self._talk(columns, room)
        blank: list[Line] = [[] for _ in range(room - len(talk))]
        return [*head, *talk, *blank, *foot][: max(1, height)]

    def _asked(self, question: Question, head: list[Line], columns: int, height: int) -> list[Line]:
        """A question takes all the room it needs: what would run is to be seen. Above it, where
        there is room, stands what led to it."""
        under = [] if is_compact(self._seen.rows()) else [view.rule(columns)]
        if toast := self._seen.state.toast:
            under.insert(0, [("class:toast", f" {one(toast, columns - 2)}")])
        room = max(1, height - len(head) - len(under))
        lines = self.reading.draw(question, columns, room, time.monotonic())[:room]
        spare = room - len(lines)
        talk: list[Line] = []
        if spare > BESIDE:
            spare -= 1
            talk = self._talk(columns, spare)
            lines = [view.rule(columns), *lines]
        blank: list[Line] = [[] for _ in range(spare - len(talk))]
        return [*head, *talk, *blank, *lines, *under][: max(1, height)]

    def _talk(self, columns: int, room: int) -> list[Line]:
        if columns != self.size[0] and self._seen.state.live is not None:
            self._seen.stale()
        self.size = (columns, room)
        state = self._seen.state
        hello: list[Line] = []
        if view.is_new(state):
            hello = view.welcome(self._status or self._seen.desk.status(), columns, room)[:room]
        seen = self._seen.transcript.view(state, columns, room)
        if state.find is not None and (wanted := finding.pattern(state.find.text)) is not None:
            row = self._seen.found_row(seen.top, room)
            seen.lines = finding.marked(seen.lines, wanted, row)
        if hello and len(hello) + len(seen.lines) < room:
            return [*hello, [], *seen.lines]
        if hello and not state.items:
            return hello
        if seen.below and room > 1:
            return [*seen.lines[: room - 1], view.more_line(seen.below + 1, COUNTED, columns)]
        return seen.lines

    def foot(self, columns: int, _: int) -> list[Line]:
        draft = self._draft_count()
        status, (speed, more) = self._status or self._seen.desk.status(), self._pace()
        mode = self._seen.mode()
        pieces = footer.pieces(self._seen.state, status, draft, columns, speed, mode, more)
        key = tuple(pieces)
        if key != self._footed[0]:
            self._footed = (key, self._foot_line(pieces, columns))
        return [self._footed[1]]

    def _pace(self) -> tuple[str, int]:
        """The rate, and how much has come, as they were within the last half second: a figure that
        flickers is not read."""
        live, now = self._seen.state.live, time.monotonic()
        if live is None:
            self._rated = (0.0, "", 0)
        elif now - max(self._rated[0], live.asked) >= CALM:
            self._rated = (now, footer.rate(live), footer.coming(live))
        return self._rated[1:]

    def _foot_line(self, pieces: list[tuple[str, str]], columns: int) -> Line:
        if self.renderer is not None:
            line: Line = self.renderer.one_line(pieces)
        else:
            line = [(f"class:{name}", text) for name, text in pieces]
        return clipped(line, columns)

    def _draft_count(self) -> tuple[int, bool] | None:
        text = self._seen.draft()
        if not text or (text.startswith("/") and "\n" not in text):
            return None
        if text != self._counted[0]:
            self._counted = (text, self._count(self._unfold(text)))
        return self._counted[1]

    def _count(self, text: str) -> tuple[int, bool]:
        if len(text) <= COUNT_AT_ONCE:
            return self._seen.desk.count(text)
        sample, _ = self._seen.desk.count(text[:COUNT_AT_ONCE])
        return sample * len(text) // COUNT_AT_ONCE, False

    def filter_line(self, columns: int, _: int) -> list[Line]:
        state = self._seen.state
        if state.question is not None:
            return [view.word_line(state.question, columns)[0]]
        picker = state.picker
        if picker is None and state.find is not None:
            coming = state.live is not None
            return [finding.prompt(state.find, columns, coming=coming)[0]]
        return [view.picker_prompt(picker, columns)[0]] if picker else []

    def filter_cursor(self) -> int:
        state = self._seen.state
        if state.question is not None:
            return view.word_line(state.question, self.size[0])[1]
        if state.picker is not None:
            return view.picker_prompt(state.picker, self.size[0])[1]
        return finding.prompt(state.find, self.size[0])[1] if state.find else 0
