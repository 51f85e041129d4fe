"""A Markdown text that grows at its end, as lines.

Invariants: a finished line never changes again (but for a new width, which is a new document). How
a text was cut into pieces does not show: fed letter by letter or whole, `finish` gives the same
lines. Each step costs what is new plus one open block, and an open block is kept short (`blocks`);
an open fence costs only its new lines. Text is made safe here, at places where the door allows a
cut.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from chinwag.frontends.tui import blocks
from chinwag.frontends.tui.fences import Block
from chinwag.text.cells import for_screen
from chinwag.text.safe import safe

if TYPE_CHECKING:
    from rich.text import Text

    from chinwag.frontends.tui.rendering import Renderer

Line: TypeAlias = list[tuple[str, str]]

WINDOW = 4000
"""So many characters are taken in at once: the most work between two looks at the clock."""

# Places where `safe(a) + safe(b) == safe(a + b)`: no cluster reaches over them.
_CJK = "\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3"
_SEAM = rf"(?<=[\x20-\x7e\n])(?=[\x20-\x7e\n])|(?<=\n)|(?<=[{_CJK}])(?=[{_CJK}])"
_LOOK_BACK = 400
TAB = "    "  # not to the next stop: where that is would depend on how the text was cut


def drawable(text: str) -> str:
    """Safe text with cells as prompt_toolkit counts them."""
    text = safe(text).replace("\t", TAB)
    if text.isascii():
        return text
    return "\n".join(for_screen(line) for line in text.split("\n"))


class Document:
    """One text at one width. `lines` may be read at any time.

    ``number`` is that of its first code block, and then of the next one to come.
    """

    def __init__(self, renderer: Renderer, columns: int, number: int = 1) -> None:
        self._renderer = renderer
        self._columns = max(columns, 1)
        self._done: list[Line] = []
        self._tail_lines: list[Line] = []
        self._raw = ""
        self._source = ""
        self.number = number
        self._joined = False  # the next block continues the last one: no blank line between
        self._fence: blocks.Fence | None = None
        self._block: Block | None = None
        self._carry: Text | None = None
        self._fresh = False
        self._shown = 0  # how much of the raw text stood in the open lines
        self.rendered = 0  # characters that went through a renderer, for tests of cost

    @property
    def lines(self) -> list[Line]:
        """All lines: finished ones, then those of the open block."""
        return self._done + self._tail_lines if self._tail_lines else self._done

    @property
    def done(self) -> list[Line]:
        """The finished lines; only ever grows."""
        return self._done

    @property
    def open(self) -> list[Line]:
        """The lines of the open block, as of the last `show`."""
        return self._tail_lines

    @property
    def waiting(self) -> bool:
        """Whether there is text that has not been looked at."""
        return bool(self._raw)

    def feed(self, text: str) -> None:
        """Take more text; nothing is rendered yet."""
        self._raw += text

    def step(self) -> bool:
        """Take in a window of the waiting text; True when more of it waits."""
        self._take(self._seam())
        self._advance()
        return len(self._raw) > _LOOK_BACK

    def show(self) -> None:
        """Render the open block, and what waits behind the last seam, as it stands."""
        if self._fresh or len(self._raw) != self._shown:
            self._shown = len(self._raw)
            self._tail_lines = self._open_lines(self._source + drawable(self._raw))
            self._fresh = False

    def finish(self) -> None:
        """The text is complete."""
        while self._raw:
            self._take(min(len(self._raw), self._seam() or len(self._raw)))
            self._advance()
        self._tail_lines = []
        self._close(self._source)
        self._source = ""

    # -- taking in ----------------------------------------------------------------------------

    def _seam(self) -> int:
        """Up to where the raw text may be made safe now."""
        end = min(len(self._raw), WINDOW)
        start = max(0, end - _LOOK_BACK)
        last = 0
        for found in re.compile(_SEAM).finditer(self._raw, start, end + 1):
            if 0 < found.start() <= end and found.start() < len(self._raw):
                last = found.start()
        if not last and self._raw.endswith("\n") and end == len(self._raw):
            return end
        return last or (end if end == WINDOW else 0)

    def _take(self, size: int) -> None:
        if size:
            self._source += drawable(self._raw[:size])
            self._raw = self._raw[size:]
            self._fresh = True

    def _advance(self) -> None:
        """Turn all that is finished into lines."""
        while self._advanced():
            self._fresh = True

    def _advanced(self) -> bool:
        if self._fence is not None:
            return self._read_code()
        found = blocks.cut(self._source, in_words=self._carry is not None)
        if found is None:
            return False
        if found.kind == "fence":
            return self._open_fence()
        done, self._source = self._source[: found.size], self._source[found.size :]
        if found.kind == "words":
            self._add_words(done)
        else:
            self._close(done)
            self._joined = found.kind == "items" and not done.endswith("\n\n")
        return True

    # -- code ---------------------------------------------------------------------------------

    def _open_fence(self) -> bool:
        self._source = self._source.lstrip("\n")
        opening, newline, rest = self._source.partition("\n")
        if not newline:
            return False
        if not opening.lstrip(" ").startswith(("```", "~~~")):
            return False
        self._source = rest
        self._fence = blocks.Fence(opening)
        self._block = Block(self._fence.language, self.number, self._columns)
        self.number += 1
        self._put(self._block.head())
        return True

    def _read_code(self) -> bool:
        """The complete lines of an open fence; True when it has closed."""
        fence, block = self._fence, self._block
        assert fence is not None  # noqa: S101 (for the type checker)
        assert block is not None  # noqa: S101
        *whole, rest = self._source.split("\n")
        for at, line in enumerate(whole):
            if fence.closes(line):
                self._source = "\n".join([*whole[at + 1 :], rest])
                self._fence = self._block = None
                return True
            self.rendered += len(line)
            self._done.extend(block.line(fence.content(line)))
        self._source = rest
        return False

    # -- paragraphs cut inside ----------------------------------------------------------------

    def _add_words(self, source: str) -> None:
        lines, rest = self._renderer.wrapped(self._words(source), self._columns)
        self.rendered += len(source)
        if self._carry is None:
            self._space()
        self._done.extend(lines[:-1])
        self._carry = rest

    def _words(self, source: str) -> Text:
        words = self._renderer.words(source.strip())
        if self._carry is None:
            return words
        gap = " " if self._carry.plain and not self._carry.plain.endswith(" ") else ""
        return self._carry.copy().append(gap).append_text(words)

    # -- the rest -----------------------------------------------------------------------------

    def _close(self, source: str) -> None:
        """Whole blocks are finished."""
        if self._fence is not None:
            if source and self._block is not None:
                self._done.extend(self._block.line(self._fence.content(source)))
            self._fence = self._block = None
            return
        if self._carry is not None:
            source = self._end_paragraph(source)
        if source.strip():
            self._put(self._rendered(source))

    def _end_paragraph(self, source: str) -> str:
        """Finish a paragraph that was cut inside; what follows it comes back."""
        words, rest = _paragraph_end(source)
        self._done.extend(self._renderer.text(self._words(words), self._columns))
        self._carry = None
        return rest

    def _rendered(self, source: str) -> list[Line]:
        self.rendered += len(source)
        lines, self.number = self._renderer.blocks(source, self._columns, self.number)
        return lines

    def _open_lines(self, source: str) -> list[Line]:
        """The lines of what is not finished, leaving no trace."""
        if self._fence is not None and self._block is not None:
            if not source or self._fence.may_close(source):
                return []
            return self._block.glance(self._fence.content(source))
        if self._carry is not None:
            return self._open_words(source)
        if not source.strip():
            return []
        self.rendered += len(source)
        lines, _ = self._renderer.blocks(source, self._columns, self.number)
        return [[], *lines] if self._done and lines and not self._joined else lines

    def _open_words(self, source: str) -> list[Line]:
        words, rest = _paragraph_end(source)
        self.rendered += len(source)
        lines = self._renderer.text(self._words(words), self._columns)
        if rest.strip():
            more, _ = self._renderer.blocks(rest, self._columns, self.number)
            lines += [[], *more]
        return lines

    def _put(self, lines: list[Line]) -> None:
        if lines:
            self._space()
            self._done.extend(lines)

    def _space(self) -> None:
        """A blank line between blocks, but not inside a list that was cut."""
        if self._done and not self._joined:
            self._done.append([])
        self._joined = False


def _paragraph_end(source: str) -> tuple[str, str]:
    """The rest of a paragraph, and the blocks after it."""
    guarded = blocks.GUARD + source
    found = blocks.top_blocks(guarded)
    if len(found) < 2:
        return source, ""
    line = (found[1].map or [0, 0])[0]
    at = blocks.line_starts(guarded)[line]
    return guarded[len(blocks.GUARD) : at], guarded[at:]


def render(renderer: Renderer, text: str, columns: int) -> list[Line]:
    """A whole text as lines."""
    document = Document(renderer, columns)
    document.feed(text)
    document.finish()
    return document.lines
