"""The answer that is coming in, as stretches.

Invariants: each step takes in what is new and no more; what was said before is not touched again.
The stretches of the settled answer are these, so settling a long answer costs nothing. What is not
on the screen is not rendered, so a fast model costs little more than the reading of its words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chinwag.frontends.tui import cards, cutting, items
from chinwag.frontends.tui.drawing import Folds, header, long, margin, plain
from chinwag.frontends.tui.state import Live, UiState
from chinwag.frontends.tui.stretch import Stretch
from chinwag.talk.draft import Block, CallBlock, TextBlock, ThinkingBlock
from chinwag.talk.entry import AssistantSaid

if TYPE_CHECKING:
    from chinwag.frontends.tui.markdown import Document
    from chinwag.frontends.tui.rendering import Renderer

PLAIN_TAIL = 20_000
"""Before rich is there, only so much of the end of an answer is shown."""
WORTH = 3
"""Seconds of waiting from which on they are told."""
ARGUMENTS = 200
"""Pieces of a call's arguments that are shown while they come."""
ARGUMENT_LETTERS = 8_000
"""And characters of them."""


class LiveLines:
    """A growing draft: one `_Part` per block."""

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._setting: tuple[int, bool, bool, bool] | None = None

    def advance(self, live: Live, folds: Folds, renderer: Renderer | None, number: int = 1) -> bool:
        """Take in what is new; True when more is waiting. ``number``: of the first code block."""
        setting = (folds.columns, folds.thinking, folds.tools, renderer is not None)
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

    def stretches(self, state: UiState, folds: Folds) -> list[Stretch]:
        """The whole live answer with its head."""
        who = state.session.model or "assistant"
        head = header(_number(state), who, "class:bot", _status(state), folds.columns)
        parts = [(part.stretches(), isinstance(part, _CallPart)) for part in self._parts]
        body = items.joined(parts)
        return [Stretch([head]), *body, Stretch([[]])]

    def settled(self, n: int, entry: AssistantSaid, folds: Folds) -> list[Stretch] | None:
        """The entry these have become; None when they are not the same."""
        texts = [part for part in self._parts if isinstance(part, _TextPart)]
        if not texts or "".join(part.text() for part in texts) != entry.text:
            return None
        if self._setting != (folds.columns, folds.thinking, folds.tools, True):
            return None
        if any(part.waiting for part in texts):  # much has come at once: it is taken in in slices
            return None
        done = iter(texts)

        def made(text: str, columns: int) -> list[Stretch]:
            part = next(done, None)
            if part is not None and part.text() == text:
                return part.finish()
            return [Stretch(plain(text, columns))]

        return items.answer_laid(n, entry, folds, made)


def _number(state: UiState) -> str:
    return str(len(state.session) + 1)


def _status(state: UiState) -> str:
    if state.stopping:
        return "stopping…"
    live = state.live
    if live is not None and live.first:
        return f"nothing more for {state.silence} s · esc stops" if state.silence else ""
    return "" if live is None else waited("waiting for the first word", state.waited)


def waited(what: str, seconds: int) -> str:
    """What is waited for, and for how long once that is worth saying."""
    return what if seconds < WORTH else f"{what} · {seconds} s"


class _Part:
    """One block of the draft."""

    def take(self, block: Block, *, last: bool) -> bool:
        raise NotImplementedError

    def stretches(self) -> list[Stretch]:
        raise NotImplementedError


class _TextPart(_Part):
    def __init__(self, folds: Folds, document: Document | None) -> None:
        self._columns = folds.columns
        self._document = document
        self._pieces: list[str] = []

    def take(self, block: Block, *, last: bool) -> bool:  # noqa: ARG002 (its siblings need it)
        taken = len(self._pieces)
        if len(block.pieces) > taken:
            fresh = block.pieces[taken:]
            self._pieces.extend(fresh)
            if self._document is not None:
                self._document.feed("".join(fresh))
        return self._document is not None and self._document.step()

    def stretches(self) -> list[Stretch]:
        if self._document is None:
            tail = "".join(self._pieces)[-PLAIN_TAIL:]
            return [Stretch(plain(tail, self._columns))]
        self._document.show()
        return self._document.stretches

    @property
    def waiting(self) -> bool:
        """Whether much of it has not been taken in."""
        return self._document is not None and self._document.waiting

    @property
    def number(self) -> int:
        """The number of the next code block, 0 where nothing is rendered."""
        return self._document.number if self._document else 0

    def finish(self) -> list[Stretch]:
        """The same, now that the text is complete."""
        if self._document is None:
            return self.stretches()
        self._document.finish()
        return self._document.stretches

    def text(self) -> str:
        return "".join(self._pieces)


class _ThinkingPart(_Part):
    def __init__(self, folds: Folds) -> None:
        self._folds = folds
        self._taken = 0
        self._size = 0
        self._wrapped: list[Stretch] = []
        self._open = ""
        self._last = True
        self._shown: list[Stretch] = []

    def take(self, block: Block, *, last: bool) -> bool:
        fresh = block.pieces[self._taken :]
        if fresh or not self._shown or last != self._last:
            self._last = last
            self._taken += len(fresh)
            self._size += sum(map(len, fresh))
            head = Stretch(items.thinking("", self._size, self._folds, done=not last))
            self._shown = [head, *self._body("".join(fresh))]
        return False

    def stretches(self) -> list[Stretch]:
        return self._shown

    def _body(self, fresh: str) -> list[Stretch]:
        """Thinking that is unfolded: whole lines are wrapped once."""
        if not self._folds.thinking:
            return []
        whole, newline, self._open = (self._open + fresh).rpartition("\n")
        if newline:
            self._wrapped += self._laid(whole)
        *full, self._open = cutting.pieces(self._open)  # a line without end goes on in the next
        for piece in full:
            self._wrapped += self._laid(piece)
        return [*self._wrapped, *self._laid(self._open)]

    def _laid(self, text: str) -> list[Stretch]:
        return long(text, self._folds.columns, "class:thinking")


class _CallPart(_Part):
    def __init__(self, folds: Folds) -> None:
        self._folds = folds
        self._shown: list[Stretch] = []

    def take(self, block: Block, *, last: bool) -> bool:  # noqa: ARG002 (its siblings need it)
        if isinstance(block, CallBlock):
            arguments = "".join(block.pieces[:ARGUMENTS])[:ARGUMENT_LETTERS]
            self._shown = [Stretch(cards.asked(block.name, arguments, self._folds))]
        return False

    def stretches(self) -> list[Stretch]:
        return self._shown


def _part(block: Block, folds: Folds, renderer: Renderer | None, number: int) -> _Part:
    columns = folds.columns
    match block:
        case TextBlock():
            left = margin(columns)
            wide = max(1, columns - left - 1)
            if renderer is None:
                return _TextPart(folds, None)
            from chinwag.frontends.tui.markdown import Document  # as late as rich

            return _TextPart(folds, Document(renderer, wide, number, margin=left))
        case ThinkingBlock():
            return _ThinkingPart(folds)
        case CallBlock():
            return _CallPart(folds)
