"""A Markdown text that grows at its end, as stretches of lines.

Invariants: a finished stretch never changes again, but where a link definition comes after its use
(`finish` says so to what was shown before), and a new width is a new document. How a text was cut
into pieces does not show: fed letter by letter or whole, `finish` gives the same lines. Taking in
text costs its length; a stretch is rendered when it is first seen, so what nobody looks at is never
rendered. Text is made safe here, at places where the door allows a cut.
"""

from __future__ import annotations

import re
import time
from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

from chinwag.frontends.tui import blocks, cutting
from chinwag.frontends.tui.blocks import Section
from chinwag.frontends.tui.drawing import drawable
from chinwag.frontends.tui.fences import CodeBlock
from chinwag.frontends.tui.parts import AHEAD, Blocks, Made, Open, Run, Words, Written, as_written
from chinwag.frontends.tui.stretch import Line, Stretch
from chinwag.text import fences
from chinwag.text.cells import clip

if TYPE_CHECKING:
    from rich.text import Text

    from chinwag.frontends.tui.rendering import Renderer

Env: TypeAlias = dict[str, Any]

WINDOW = 2_000
"""So many characters are taken in between two looks at the clock."""
SLICE = 0.008
"""Seconds after which a step ends, so that keys come in between."""
CHAIN = 32
"""After so many thousand characters of one paragraph a line ends, or the end of an endless
one could not be shown without laying out all of it."""
CHAIN_WEIGHT = 40.0
"""Or earlier, where its parts are full of markup."""
GIVEN_UP = "too much markup to lay out: from here on shown as it was written"
HELD = 600
"""Rendered stretches of one text that are kept; who scrolls further back renders them again."""

# Places where `safe(a) + safe(b) == safe(a + b)`: no cluster reaches over them.
_CJK = "\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3"
_SEAM = re.compile(rf"(?<=[\x20-\x7e\n])(?=[\x20-\x7e\n])|(?<=\n)|(?<=[{_CJK}])(?=[{_CJK}])")
_LOOK_BACK = 400
_NEAR = 16  # most often there is one so near to the end


def _last_seam(raw: str, begin: int, end: int, after: int) -> int:
    """The last seam from ``begin`` to ``end`` that lies behind ``after``; 0 where there is none."""
    last = 0
    for found in _SEAM.finditer(raw, begin, end + 1):
        if after < found.start() <= end and found.start() < len(raw):
            last = found.start()
    return last


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
        self._at = 0  # up to here it has been taken in
        self._block: CodeBlock | None = None
        self.run: Run | None = None
        self._words: Words | None = None
        self._in_row = 0  # thousands of characters of the open paragraph
        self._weight = 0.0  # of those in its last chain
        self._defined: list[str] = []  # the lines of the open block that only define links
        self._row = ""  # what stands on the last row of the giant line of code
        self._after_long = False
        self._unlaid: list[str] = []  # of the open block that is shown as it was written
        self._told = False
        self._late = False
        self._open: Open | None = None
        self._held: deque[Made] = deque()
        self._uncoloured: list[Run] = []

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
        """Whether there is much text that has not been looked at."""
        return len(self._raw) - self._at > WINDOW

    def feed(self, text: str) -> None:
        """Take more text; nothing is done with it yet."""
        self._raw = self._raw[self._at :] + text
        self._at = 0
        self._open = None

    def step(self) -> bool:
        """Take in a slice of the waiting text; True when more of it waits."""
        until = time.perf_counter() + SLICE
        size = self._seam()
        while size:
            self._take(size)
            size = self._seam() if len(self._raw) - self._at > _LOOK_BACK else 0
            if time.perf_counter() > until:
                break
        return size > 0

    def show(self) -> None:
        """Let the open end, and what waits behind the last seam, be seen as it stands.

        Of what waits no more than a window: the rest would be laid out for nothing.
        """
        if self._open is None:
            rest = self._scanner.rest + drawable(self._raw[self._at : self._at + WINDOW])
            rest = self._row + rest if self._scanner.in_long else rest
            self._open = Open(self, rest, self._scanner, self._block, self._words)

    def finish(self) -> None:
        """The text is complete."""
        while left := len(self._raw) - self._at:
            self._take(min(left, self._seam() or left))
        self._add(self._scanner.end())
        self._open = self._block = None
        if self._late:
            for stretch in self._done:
                if isinstance(stretch, Made):
                    stretch.redefined()

    # -- taking in ----------------------------------------------------------------------------

    def _seam(self) -> int:
        """Up to where the raw text may be made safe now."""
        raw, at = self._raw, self._at
        end = min(len(raw), at + WINDOW)
        first = max(at, end - _LOOK_BACK)
        last = _last_seam(raw, max(first, end - _NEAR), end, at) or _last_seam(raw, first, end, at)
        if not last and end == len(raw) and raw.endswith("\n"):
            return end - at
        if not last and end == at + WINDOW:
            last = cutting.last_seam(raw, first + 1, end) or end
        return max(0, last - at)

    def _take(self, size: int) -> None:
        if size:
            fresh = drawable(self._raw[self._at : self._at + size])
            self._at += size
            self._add(self._scanner.feed(fresh))
            self._open = None

    def _add(self, sections: list[Section]) -> None:
        for section in sections:
            match section.kind:
                case "code":
                    self._add_code(section.source)
                case "fence":
                    self._add_fence(section)
                case "long" | "long end":
                    self._add_long(section.source, ends=section.kind == "long end")
                case "defines":
                    self._define(section.source)
                case "written" | "written end":
                    self._add_written(section, ends=section.kind == "written end")
                case "words":
                    self._add_words(section, last=False)
                case "rest":
                    self._add_words(section, last=True)
                case _:
                    self._add_blocks(section)

    def _define(self, line: str) -> None:
        """Where a link goes; a block of nothing else shows nothing."""
        if not blocks.parser(inline=False).parse(line, self.env):
            self._defined.append(line)
        self._late = self._late or bool(self._done)

    def _add_blocks(self, section: Section) -> None:
        defined, self._defined = self._defined, []
        if defined and section.source.rstrip("\n") == "\n".join(defined):
            return
        self._done.append(Blocks(self, section, self.number))
        self._count(section.source)

    def _add_written(self, section: Section, *, ends: bool) -> None:
        source = section.source
        if not self._unlaid and not source.lstrip().startswith("<"):  # HTML is never laid out
            self._tell()
        self._unlaid.append(source)
        if source.strip():
            self._done.append(Written(self, section._replace(gap=section.gap and not self._told)))
        if ends:
            self._count("".join(self._unlaid))
            self._unlaid = []

    def _tell(self) -> None:
        """Say once that something is not laid out."""
        if not self._told:
            self._told = True
            gap: list[Line] = [[]] if self._done else []
            told = [("class:hint", clip(GIVEN_UP, self.columns))]
            self._done.append(Stretch([*gap, self.inside(told)]))

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
        if self.run is None or self.run.full or self._after_long:
            self._after_long = False
            self.run = Run(self, self._block, self.run)
            self._done.append(self.run)
        self.run.add(line)

    def _add_long(self, part: str, *, ends: bool) -> None:
        """Part of a giant line of code: its rows are made now, but the last, which goes on."""
        if self._block is None:
            return
        rows = self._block.plain(self._row + part)
        if not ends:
            self._row = "".join(text for style, text in rows.pop() if style)
        else:
            self._row = ""
        self._done.append(Stretch([self.inside(row) for row in rows]))
        self._after_long = True

    def _add_words(self, section: Section, *, last: bool) -> None:
        if not last:
            self._in_row += max(1, len(section.source) // blocks.LONG)
            self._weight += cutting.weight(section.source)
            ends = self._in_row >= CHAIN or self._weight > CHAIN_WEIGHT
            if ends:
                self._in_row, self._weight = 0, 0.0
            part = Words(self, section, self._words, last=ends)
            self._words = None if ends else part
            self._done.append(part)
            return
        self._in_row, self._weight = 0, 0.0
        own, after = section.source, ""
        if "\n" in own:
            own, after = blocks.paragraph_end(own)
        self._done.append(Words(self, section._replace(source=own), self._words, last=True))
        self._words = None
        if after.strip():
            self._done.append(Blocks(self, Section("blocks", after), self.number))
            self._count(after)

    # -- for the stretches --------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        return not self._done

    def inside(self, line: Line) -> Line:
        """The line behind the margin; an empty one stays empty."""
        return [self.margin, *line] if line and self.margin[1] else line

    def hold(self, stretch: Made) -> None:
        """It has been rendered: of the oldest rendered ones the lines are dropped."""
        self._held.append(stretch)
        if len(self._held) > HELD:
            self._held.popleft().drop()

    def wait_for(self, run: Run) -> None:
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

    def words(self, source: str) -> Text:
        """Part of a paragraph; one full of markup as it was written."""
        if cutting.markup(source) > cutting.DENSE:
            return self.renderer.plain(source.strip())
        return self.renderer.words(source.strip(), self.env)

    def render(self, section: Section, number: int) -> list[Line]:
        """The lines of a section of whole blocks, without a gap."""
        source = section.source
        self.rendered += len(source)
        if cutting.weight(source) > cutting.HEAVY:
            return as_written(source, self.columns)
        lines, _ = self.renderer.blocks(
            source, self.columns, number, start=section.start, env=self.env
        )
        return lines


def render(renderer: Renderer, text: str, columns: int) -> list[Line]:
    """A whole text as lines."""
    document = Document(renderer, columns)
    document.feed(text)
    document.finish()
    return document.lines
