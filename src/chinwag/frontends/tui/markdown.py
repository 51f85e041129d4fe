"""A Markdown text that grows at its end, as stretches of lines.

Invariants: a finished stretch never changes again, but where a link definition comes after its use
(`finish` says so to what was shown before), and a new width is a new document. How a text was cut
into pieces does not show: fed letter by letter or whole, `finish` gives the same lines. Taking in
text costs its length; a stretch is rendered when it is first seen, so what nobody looks at is never
rendered. Text is made safe here, at places where the door allows a cut.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

from chinwag.frontends.tui import blocks
from chinwag.frontends.tui.blocks import Section
from chinwag.frontends.tui.fences import CodeBlock
from chinwag.frontends.tui.stretch import Line, Stretch
from chinwag.text import fences
from chinwag.text.cells import for_screen, wrap
from chinwag.text.safe import safe

if TYPE_CHECKING:
    from rich.text import Text

    from chinwag.frontends.tui.rendering import Renderer

Env: TypeAlias = dict[str, Any]

WINDOW = 20_000
"""So many characters are taken in at once: some 3 ms of work between two looks at the clock."""
RUN = 32
"""Lines of code in one stretch."""
CHAIN = 32
"""After so many parts of one paragraph (32,000 characters) a line ends, or the end of an endless
one could not be shown without laying out all of it."""
AHEAD = 6
"""So many stretches of code are coloured at once to know the colours of the next."""
HUGE = 20_000
"""A block of more characters (a table of a thousand rows) is shown as it was written."""
HELD = 600
"""Rendered stretches of one text that are kept; who scrolls further back renders them again."""

# Places where `safe(a) + safe(b) == safe(a + b)`: no cluster reaches over them.
_CJK = "\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3"
_SEAM = re.compile(rf"(?<=[\x20-\x7e\n])(?=[\x20-\x7e\n])|(?<=\n)|(?<=[{_CJK}])(?=[{_CJK}])")
_LOOK_BACK = 400
TAB = "    "  # not to the next stop: where that is would depend on how the text was cut


def drawable(text: str) -> str:
    """Safe text with cells as prompt_toolkit counts them."""
    text = safe(text).replace("\t", TAB)
    if text.isascii():
        return text
    return "\n".join(for_screen(line) for line in text.split("\n"))


class Document:
    """One text at one width, behind a margin of blanks.

    ``number`` is that of its first code block, and then of the next one to come.
    """

    def __init__(
        self, renderer: Renderer, columns: int, number: int = 1, *, margin: int = 0
    ) -> None:
        self.renderer = renderer
        self.columns = max(columns, 1)
        self.number = number
        self.margin = ("", " " * margin)
        self.env: Env = {"references": {}}
        self.rendered = 0  # characters that went through a renderer, for tests of cost
        self._done: list[Stretch] = []
        self._scanner = blocks.Scanner()
        self._raw = ""
        self._block: CodeBlock | None = None
        self.run: _Run | None = None
        self._words: _Words | None = None
        self._in_row = 0  # parts of the open paragraph
        self._late = False
        self._open: _Open | None = None
        self._held: deque[_Made] = deque()
        self._uncoloured: list[_Run] = []

    @property
    def stretches(self) -> list[Stretch]:
        """All of it: finished stretches, then the open end."""
        return [*self._done, self._open] if self._open is not None else self._done

    @property
    def lines(self) -> list[Line]:
        """All lines, made now."""
        return [line for stretch in self.stretches for line in stretch.lines()]

    @property
    def waiting(self) -> bool:
        """Whether there is text that has not been looked at."""
        return len(self._raw) > _LOOK_BACK

    def feed(self, text: str) -> None:
        """Take more text; nothing is done with it yet."""
        self._raw += text
        self._open = None

    def step(self) -> bool:
        """Take in a window of the waiting text; True when more of it waits."""
        self._take(self._seam())
        return self.waiting

    def show(self) -> None:
        """Let the open end, and what waits behind the last seam, be seen as it stands."""
        if self._open is None:
            rest = self._scanner.rest + drawable(self._raw)
            self._open = _Open(self, rest, self._scanner, self._block, self._words)

    def finish(self) -> None:
        """The text is complete."""
        while self._raw:
            self._take(min(len(self._raw), self._seam() or len(self._raw)))
        self._add(self._scanner.end())
        self._open = self._block = None
        if self._late:
            for stretch in self._done:
                if isinstance(stretch, _Made):
                    stretch.redefined()

    # -- taking in ----------------------------------------------------------------------------

    def _seam(self) -> int:
        """Up to where the raw text may be made safe now."""
        raw = self._raw
        end = min(len(raw), WINDOW)
        last = 0
        for found in _SEAM.finditer(raw, max(0, end - _LOOK_BACK), end + 1):
            if 0 < found.start() <= end and found.start() < len(raw):
                last = found.start()
        if not last and raw.endswith("\n") and end == len(raw):
            return end
        return last or (end if end == WINDOW else 0)

    def _take(self, size: int) -> None:
        if size:
            fresh = drawable(self._raw[:size])
            self._raw = self._raw[size:]
            self._add(self._scanner.feed(fresh))
            self._open = None

    def _add(self, sections: list[Section]) -> None:
        for section in sections:
            match section.kind:
                case "code":
                    self._add_code(section.source)
                case "fence":
                    self._add_fence(section)
                case "defines":
                    blocks.parser(inline=False).parse(section.source, self.env)
                    self._late = self._late or bool(self._done)
                case "words":
                    self._add_words(section, last=False)
                case "rest":
                    self._add_words(section, last=True)
                case _:
                    self._done.append(_Blocks(self, section, self.number))
                    self._count(section.source)

    def _count(self, source: str) -> None:
        self.number += fences.count(source) if "```" in source or "~~~" in source else 0

    def _add_fence(self, section: Section) -> None:
        language = blocks.Fence(section.source).language
        self._block = CodeBlock(language, self.number, self.columns)
        self.number += 1
        head = [self.inside(line) for line in self._block.head()]
        self._done.append(Stretch([[], *head] if self._done else head))
        self.run = None

    def _add_code(self, line: str) -> None:
        if self._block is None:
            return
        if self.run is None or self.run.full:
            self.run = _Run(self, self._block, self.run)
            self._done.append(self.run)
        self.run.add(line)

    def _add_words(self, section: Section, *, last: bool) -> None:
        if not last:
            self._in_row += 1
            ends = self._in_row % CHAIN == 0
            part = _Words(self, section, self._words, last=ends)
            self._words = None if ends else part
            self._done.append(part)
            return
        self._in_row = 0
        own, after = section.source, ""
        if "\n" in own:
            own, after = blocks.paragraph_end(own)
        self._done.append(_Words(self, section._replace(source=own), self._words, last=True))
        self._words = None
        if after.strip():
            self._done.append(_Blocks(self, Section("blocks", after), self.number))
            self._count(after)

    # -- for the stretches --------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        return not self._done

    def inside(self, line: Line) -> Line:
        """The line behind the margin; an empty one stays empty."""
        return [self.margin, *line] if line and self.margin[1] else line

    def hold(self, stretch: _Made) -> None:
        """It has been rendered: of the oldest rendered ones the lines are dropped."""
        self._held.append(stretch)
        if len(self._held) > HELD:
            self._held.popleft().drop()

    def wait_for(self, run: _Run) -> None:
        """It is shown without colours until `work` has come so far."""
        if run not in self._uncoloured:
            self._uncoloured.append(run)
            self.renderer.backlog[id(self)] = self.work

    def work(self) -> bool:
        """Colour some of the code before what is seen; True when there is more to do."""
        if not self._uncoloured:
            return False
        for run in self._uncoloured[-1].unknown()[:AHEAD]:
            run.learn()
        if self._uncoloured[-1].is_coloured:
            for run in self._uncoloured:
                run.drop()
            self._uncoloured.clear()
        return bool(self._uncoloured)

    def render(self, section: Section, number: int) -> list[Line]:
        """The lines of a section of whole blocks, without a gap."""
        source = section.source
        self.rendered += len(source)
        if len(source) > HUGE:
            return [
                [("", line)] if line else [] for line in wrap(source.rstrip("\n"), self.columns)
            ]
        lines, _ = self.renderer.blocks(
            source, self.columns, number, start=section.start, env=self.env
        )
        return lines


class _Made(Stretch):
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


class _Blocks(_Made):
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


class _Words(_Made):
    """Part of a paragraph. It begins with what stood on the last line of the part before."""

    __slots__ = ("_carry", "_last", "_section", "before")

    def __init__(
        self, document: Document, section: Section, before: _Words | None, *, last: bool = False
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
        words = self._document.renderer.words(source.strip(), self._document.env)
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
        todo: list[_Words] = []
        at: _Words | None = self
        while at is not None and not at.is_laid:
            todo.append(at)
            at = at.before
        for part in reversed(todo):
            part.laid()
        assert self._carry is not None  # noqa: S101 (just made)
        return self._carry


class _Run(_Made):
    """Some lines of code in a fence; a stretch that grows until it is full.

    Colours depend on all lines before. Where many of those have not been looked at yet (a long
    block is opened at its end), the code is shown plain until `Document.work` has come so far.
    """

    __slots__ = ("_after", "_block", "_plain", "_source", "_state", "before")

    def __init__(self, document: Document, block: CodeBlock, before: _Run | None) -> None:
        super().__init__(document, "")
        self._block = block
        self.before = before
        self._source: list[str] = []
        self._state: Any = None  # of the lexer, after so many lines as were coloured
        self._after = 0
        self._plain = False

    @property
    def is_coloured(self) -> bool:
        """Whether the lexer has been through all there is."""
        return self._after == len(self._source)

    @property
    def full(self) -> bool:
        return len(self._source) >= RUN

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

    def lines(self) -> list[Line]:
        if self._plain or (not self.is_coloured and self.is_far):
            return self._as_written()
        if self._lines is None:
            self._lines, self._after = [], 0
            self._document.hold(self)
        if not self.is_coloured:
            self._colour(self._lines)
            self._height = len(self._lines)
        return self._lines

    def drop(self) -> None:
        self._lines, self._plain = None, False

    def learn(self) -> None:
        """Have the lexer go through it; nothing is kept but how it comes out."""
        self._after = 0
        self._colour([])
        self.drop()

    def state(self) -> Any:
        """How the lexer left the last line."""
        for run in self.unknown():
            run.lines()
        return self._state

    def unknown(self) -> list[_Run]:
        """The runs up to this one that the lexer has not been through, the first first."""
        todo: list[_Run] = []
        at: _Run | None = self
        while at is not None and not at.is_coloured:
            todo.append(at)
            at = at.before
        return todo[::-1]

    def _as_written(self) -> list[Line]:
        if not self._plain or self._lines is None or len(self._lines) < len(self._source):
            inside = self._document.inside
            self._lines = [
                inside(part) for line in self._source for part in self._block.plain(line)
            ]
            self._plain = True
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


class _Open(Stretch):
    """The open end of a document, as it stands; leaves no trace."""

    def __init__(
        self,
        document: Document,
        rest: str,
        scanner: blocks.Scanner,
        block: CodeBlock | None,
        words: _Words | None,
    ) -> None:
        self._lines = None
        self._document = document
        self._rest = rest
        self._fence = scanner.fence
        self._section = Section("open", rest, scanner.gap and not document.is_empty, scanner.start)
        self._in_words = scanner.in_words
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
        lines = self._document.render(self._section, self._document.number)
        return [[], *lines] if lines and self._section.gap else lines

    def _code(self, fence: blocks.Fence, block: CodeBlock) -> list[Line]:
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
        text = document.renderer.words(own.strip(), document.env)
        if self._before is not None:
            text = self._before.followed_by(text)
        lines = document.renderer.text(text, document.columns)
        if after.strip():
            lines += [[], *document.render(Section("blocks", after), document.number)]
        return lines


def render(renderer: Renderer, text: str, columns: int) -> list[Line]:
    """A whole text as lines."""
    document = Document(renderer, columns)
    document.feed(text)
    document.finish()
    return document.lines
