"""The parts of a Markdown document as stretches: whole blocks, words, code, and the open end.

Invariants: each part is rendered when it is first seen and can be dropped and rendered again, to
the same lines. Words and code depend on the part before them by what that left over (a line, the
state of a lexer), never by its lines; a long chain of such parts is walked, not recursed into.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chinwag.frontends.tui import blocks
from chinwag.frontends.tui.blocks import Section
from chinwag.frontends.tui.fences import CodeBlock
from chinwag.frontends.tui.stretch import Line, Stretch
from chinwag.text.cells import wrap

if TYPE_CHECKING:
    from rich.text import Text

    from chinwag.frontends.tui.markdown import Document

RUN = 32
"""Lines of code in one stretch."""
RUN_LETTERS = 3_000
"""Or so many characters of it."""
AHEAD = 6
"""So many stretches of code are coloured at once to know the colours of the next."""


class Made(Stretch):
    """A finished part of a document, rendered when it is seen."""

    __slots__ = ("_document", "_height", "_leads")

    def __init__(self, document: Document, source: str) -> None:
        self._lines = None
        self._document = document
        self._leads = document.is_empty
        self._height = 2 + source.count("\n") + len(source) // document.columns

    def lines(self) -> list[Line]:
        if self._lines is None:
            inside = self._document.inside
            self._lines = [inside(line) for line in self._make()]
            self._height = len(self._lines)
            self._document.hold(self)
        return self._lines

    @property
    def height(self) -> int:
        return self._height

    def drop(self) -> None:
        """Forget the lines; they can be made again."""
        self._lines = None

    def redefined(self) -> None:
        """A link that was used here has been defined since."""

    def _make(self) -> list[Line]:
        raise NotImplementedError


class Blocks(Made):
    """Whole blocks, or one item of a list."""

    __slots__ = ("_number", "_section")

    def __init__(self, document: Document, section: Section, number: int) -> None:
        super().__init__(document, section.source)
        self._section = section
        self._number = number

    def redefined(self) -> None:
        if "[" in self._section.source:
            self.drop()

    def _make(self) -> list[Line]:
        lines = self._document.render(self._section, self._number)
        return [[], *lines] if lines and self._section.gap and not self._leads else lines


class Written(Made):
    """Part of a block that is too much to be laid out."""

    __slots__ = ("_section",)

    def __init__(self, document: Document, section: Section) -> None:
        super().__init__(document, section.source)
        self._section = section

    def _make(self) -> list[Line]:
        self._document.rendered += len(self._section.source)
        lines = as_written(self._section.source, self._document.columns)
        return [[], *lines] if lines and self._section.gap and not self._leads else lines


def as_written(source: str, columns: int) -> list[Line]:
    """The lines of a text that is not laid out."""
    return [[("", line)] if line else [] for line in wrap(source.removesuffix("\n"), columns)]


class Words(Made):
    """Part of a paragraph. It begins with what stood on the last line of the part before."""

    __slots__ = ("_carry", "_last", "_section", "before")

    def __init__(
        self, document: Document, section: Section, before: Words | None, *, last: bool = False
    ) -> None:
        super().__init__(document, section.source)
        self._section = section
        self.before = before
        self._last = last
        self._carry: Text | None = None

    @property
    def is_laid(self) -> bool:
        """Whether it is known what stands on the last line."""
        return self._carry is not None

    def redefined(self) -> None:
        self._carry = None
        self.drop()

    def _make(self) -> list[Line]:
        lines = self.laid()
        return [[], *lines] if lines and self._section.gap and not self._leads else lines

    def laid(self) -> list[Line]:
        document = self._document
        text = self.text()
        if self._last:
            return document.renderer.text(text, document.columns)
        lines, self._carry = document.renderer.wrapped(text, document.columns)
        return lines[:-1]

    def text(self) -> Text:
        """The words of this part, after what the part before left over."""
        source = self._section.source
        self._document.rendered += len(source)
        words = self._document.words(source)
        return words if self.before is None else self.before.followed_by(words)

    def followed_by(self, words: Text) -> Text:
        """What is left over here, and then the words."""
        rest = self.carry().copy()
        return rest.append(self._gap()).append_text(words)

    def _gap(self) -> str:
        end = self._section.source[-1:]
        if end == "\n":
            return "\n" if self._document.renderer.breaks else " "
        return " " if end == " " else ""

    def carry(self) -> Text:
        """What stands on the last line, where the next part goes on."""
        todo: list[Words] = []
        at: Words | None = self
        while at is not None and not at.is_laid:
            todo.append(at)
            at = at.before
        for part in reversed(todo):
            part.laid()
        assert self._carry is not None  # noqa: S101 (just made)
        return self._carry


class Run(Made):
    """Some lines of code in a fence; a stretch that grows until it is full.

    Colours depend on all lines before. Where many of those have not been looked at yet (a long
    block is opened at its end), the code is shown plain until `Document.work` has come so far.
    """

    __slots__ = ("_after", "_block", "_size", "_source", "_state", "before", "is_plain")

    def __init__(self, document: Document, block: CodeBlock, before: Run | None) -> None:
        super().__init__(document, "")
        self._block = block
        self.before = before
        self._source: list[str] = []
        self._state: Any = None  # of the lexer, after so many lines as were coloured
        self._after = 0
        self.is_plain = False
        self._size = 0

    @property
    def is_coloured(self) -> bool:
        """Whether the lexer has been through all there is."""
        return self._after == len(self._source)

    @property
    def full(self) -> bool:
        return len(self._source) >= RUN or self._size >= RUN_LETTERS

    @property
    def height(self) -> int:
        return max(self._height, len(self._source))

    @property
    def is_far(self) -> bool:
        """Whether it would take long to know how the lexer comes here."""
        at, steps = self.before, 0
        while at is not None and not at.is_coloured:
            at, steps = at.before, steps + 1
            if steps > AHEAD:
                return True
        return False

    def add(self, line: str) -> None:
        """One more line; those that were made stay."""
        self._source.append(line)
        self._size += len(line)

    def lines(self) -> list[Line]:
        if self.is_plain or (not self.is_coloured and self.is_far):
            return self._as_written()
        if self._lines is None:
            self._lines, self._after = [], 0
            self._document.hold(self)
        if not self.is_coloured:
            self._colour(self._lines)
            self._height = len(self._lines)
        return self._lines

    def drop(self) -> None:
        self._lines, self.is_plain = None, False

    def learn(self) -> None:
        """Have the lexer go through it; nothing is kept but how it comes out."""
        self._after = 0
        self._colour([])
        self.drop()

    def state(self) -> Any:
        """How the lexer left the last line."""
        for run in self.unknown():
            if run.is_plain:
                run.learn()  # its lines say nothing of the lexer
            else:
                run.lines()
        return self._state

    def unknown(self) -> list[Run]:
        """The runs up to this one that the lexer has not been through, the first first."""
        todo: list[Run] = []
        at: Run | None = self
        while at is not None and not at.is_coloured:
            todo.append(at)
            at = at.before
        return todo[::-1]

    def _as_written(self) -> list[Line]:
        if not self.is_plain or self._lines is None or len(self._lines) < len(self._source):
            inside = self._document.inside
            self._lines = [
                inside(part) for line in self._source for part in self._block.plain(line)
            ]
            self.is_plain = True
            self._document.wait_for(self)
        return self._lines

    def _colour(self, out: list[Line]) -> None:
        if not self._after:
            self._state = self._block.begin() if self.before is None else self.before.state()
        inside = self._document.inside
        for line in self._source[self._after :]:
            self._document.rendered += len(line)
            made, self._state = self._block.line(line, self._state)
            out.extend(inside(part) for part in made)
        self._after = len(self._source)


class Open(Stretch):
    """The open end of a document, as it stands; leaves no trace."""

    def __init__(
        self,
        document: Document,
        rest: str,
        scanner: blocks.Scanner,
        block: CodeBlock | None,
        words: Words | None,
    ) -> None:
        self._lines = None
        self._document = document
        self._rest = rest
        self._fence = scanner.fence
        self._section = Section("open", rest, scanner.gap and not document.is_empty, scanner.start)
        self._in_words = scanner.in_words
        self._in_long = scanner.in_long
        self._written = scanner.as_written
        self._before = words
        self._block = block
        self._run = document.run

    @property
    def height(self) -> int:
        return len(self._lines) if self._lines is not None else 1

    def lines(self) -> list[Line]:
        if self._lines is None:
            self._lines = [self._document.inside(line) for line in self._made()]
        return self._lines

    def _made(self) -> list[Line]:
        if self._fence is not None and self._block is not None:
            return self._code(self._fence, self._block)
        if self._in_words:
            return self._words()
        if not self._rest.strip():
            return []
        if self._written:
            return as_written(self._rest, self._document.columns)
        lines = self._document.render(self._section, self._document.number)
        return [[], *lines] if lines and self._section.gap else lines

    def _code(self, fence: blocks.Fence, block: CodeBlock) -> list[Line]:
        if self._in_long:
            return block.plain(self._rest)
        if not self._rest or fence.may_close(self._rest):
            return []
        line = fence.content(self._rest)
        if self._run is not None and self._run.is_far:
            return block.plain(line)
        state = block.begin() if self._run is None else self._run.state()
        return block.line(line, state)[0]

    def _words(self) -> list[Line]:
        document = self._document
        own, after = blocks.paragraph_end(self._rest)
        document.rendered += len(own)
        text = document.words(own)
        if self._before is not None:
            text = self._before.followed_by(text)
        lines = document.renderer.text(text, document.columns)
        if after.strip():
            lines += [[], *document.render(Section("blocks", after), document.number)]
        return lines
