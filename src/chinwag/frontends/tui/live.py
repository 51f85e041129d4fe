"""The answer that is coming in, as lines.

Invariants: each step takes in what is new and no more; what was said before is not touched again.
The lines of the settled answer are these, so settling a long answer costs nothing. Only `advance`
does work; reading `lines` in a frame caused by a key is free.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chinwag.frontends.tui import items
from chinwag.frontends.tui.items import Folds, Line
from chinwag.frontends.tui.markdown import Document
from chinwag.frontends.tui.state import Live, UiState
from chinwag.talk.draft import Block, CallBlock, TextBlock, ThinkingBlock
from chinwag.talk.entry import AssistantSaid

if TYPE_CHECKING:
    from chinwag.frontends.tui.rendering import Renderer

PLAIN_TAIL = 20_000
"""Before rich is there, only so much of the end of an answer is shown."""


class LiveLines:
    """Lines of a growing draft: one `_Part` per block."""

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._setting: tuple[int, bool, bool] | None = None

    def advance(self, live: Live, folds: Folds, renderer: Renderer | None, number: int = 1) -> bool:
        """Take in what is new; True when more is waiting. ``number``: of the first code block."""
        setting = (folds.columns, folds.thinking, renderer is not None)
        if setting != self._setting:
            self._setting, self._parts = setting, []
        waiting = False
        for at, block in enumerate(live.draft.blocks):
            if at == len(self._parts):
                self._parts.append(_part(block, folds, renderer, self._next(number)))
            last = at == len(live.draft.blocks) - 1
            waiting = self._parts[at].take(block, last=last) or waiting
        return waiting

    def _next(self, number: int) -> int:
        """The number of the next code block, given that of the answer's first."""
        numbers = (part.number for part in reversed(self._parts) if isinstance(part, _TextPart))
        return next((n for n in numbers if n), number)

    def lines(self, state: UiState, folds: Folds) -> list[Line]:
        """The whole live answer with its head."""
        who = state.session.model or "assistant"
        out = [items.header(_number(state), who, "class:bot", _status(state), folds.columns)]
        for part in self._parts:
            if len(out) > 1 and part.lines:
                out.append([])
            out.extend(part.lines)
        return [*out, []]

    def settled(self, n: int, entry: AssistantSaid, folds: Folds) -> list[Line] | None:
        """The lines of the entry these have become; None when they are not the same."""
        texts = [part.text() for part in self._parts if isinstance(part, _TextPart)]
        if not texts or "".join(texts) != entry.text or self._setting is None:
            return None
        if self._setting != (folds.columns, folds.thinking, True):
            return None
        done = iter([part for part in self._parts if isinstance(part, _TextPart)])

        def made(text: str, columns: int) -> list[Line]:
            part = next(done, None)
            return part.finish() if part and part.text() == text else items.plain(text, columns)

        body = items.answer(entry, folds, made)
        return [items.answer_head(n, entry, folds.columns), *body, []]


def _number(state: UiState) -> str:
    return str(len(state.session) + 1)


def _status(state: UiState) -> str:
    if state.stopping:
        return "stopping…"
    live = state.live
    return "" if live is None or live.first else "waiting for the first word"


class _Part:
    """One block of the draft."""

    lines: list[Line]

    def take(self, block: Block, *, last: bool) -> bool:
        raise NotImplementedError


class _TextPart(_Part):
    def __init__(self, folds: Folds, document: Document | None) -> None:
        self._columns = folds.columns
        self._document = document
        self._pieces: list[str] = []
        self._shown = 0
        self.lines = []

    def take(self, block: Block, *, last: bool) -> bool:  # noqa: ARG002 (its siblings need it)
        taken = len(self._pieces)
        if len(block.pieces) > taken:
            self._pieces.extend(block.pieces[taken:])
            if self._document is not None:
                self._document.feed("".join(self._pieces[taken:]))
        elif not (self._document and self._document.waiting):
            return False
        return self._advance()

    def _advance(self) -> bool:
        if self._document is None:
            tail = "".join(self._pieces)[-PLAIN_TAIL:]
            self.lines = items.plain(tail, self._columns)
            return False
        more = self._document.step()
        if not more:
            self._document.show()
        self._lay()
        return more

    def _lay(self) -> None:
        """Indent what is newly finished, and the open end anew."""
        assert self._document is not None  # noqa: S101 (asked for only with a document)
        del self.lines[self._shown :]
        done = self._document.done
        self.lines.extend(items.indented(done[self._shown :], self._columns))
        self._shown = len(done)
        self.lines.extend(items.indented(self._document.open, self._columns))

    @property
    def number(self) -> int:
        """The number of the next code block, 0 where nothing is rendered."""
        return self._document.number if self._document else 0

    def finish(self) -> list[Line]:
        if self._document is not None:
            self._document.finish()
            self._lay()
        return self.lines

    def text(self) -> str:
        return "".join(self._pieces)


class _ThinkingPart(_Part):
    def __init__(self, folds: Folds) -> None:
        self._folds = folds
        self._pieces: list[str] = []
        self._size = 0
        self._wrapped: list[Line] = []
        self._open = ""
        self._last = True
        self.lines = []

    def take(self, block: Block, *, last: bool) -> bool:
        taken = len(self._pieces)
        fresh = block.pieces[taken:]
        if fresh or not self.lines or last != self._last:
            self._last = last
            self._pieces.extend(fresh)
            self._size += sum(map(len, fresh))
            head = items.thinking("", self._size, self._folds, done=not last)
            self.lines = head + self._body("".join(fresh)) if self._folds.thinking else head
        return False

    def _body(self, fresh: str) -> list[Line]:
        """Thinking that is unfolded: whole lines are wrapped once."""
        whole, newline, self._open = (self._open + fresh).rpartition("\n")
        columns = self._folds.columns
        if newline:
            self._wrapped.extend(items.plain(whole, columns, "class:thinking"))
        return self._wrapped + items.plain(self._open, columns, "class:thinking")


class _CallPart(_Part):
    def __init__(self, folds: Folds) -> None:
        self._columns = folds.columns
        self.lines = []

    def take(self, block: Block, *, last: bool) -> bool:  # noqa: ARG002 (its siblings need it)
        if isinstance(block, CallBlock):
            arguments = "".join(block.pieces[:200])
            self.lines = items.call(block.name, arguments, self._columns)
        return False


def _part(block: Block, folds: Folds, renderer: Renderer | None, number: int) -> _Part:
    match block:
        case TextBlock():
            wide = max(1, folds.columns - items.margin(folds.columns) - 1)
            return _TextPart(folds, Document(renderer, wide, number) if renderer else None)
        case ThinkingBlock():
            return _ThinkingPart(folds)
        case CallBlock():
            return _CallPart(folds)
