"""Where Markdown can be cut so that what lies before the cut never changes again; pure.

Invariants: `cut` looks only at lines that cannot change any more, so it says the same whether a
text came in one piece or letter by letter. A block is cut off when the next one has begun. A list
or a paragraph that grows long is cut inside, at an item or a blank, so that the part which is
rendered again and again stays short; a fence is never rendered as a block while open (`Fence`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

LONG = 1000
"""A paragraph of more characters is cut inside."""
LONG_LIST = 300
"""So is a list; it costs more a character, and an item is a good place."""
BEGINNING = 1500
"""So much is looked at first: parsing all of a long text for each cut would be quadratic."""
SURE = 200
"""So many characters of an unfinished line are enough to know what it is."""

GUARD = "a "
"""Put before the rest of a cut paragraph, so that it is read as one whatever it begins with."""


class Cut(NamedTuple):
    """How much of the text is finished (``size`` characters), and what it is.

    ``kind`` is `blocks` (whole blocks), `items` (the first part of a list whose rest follows),
    `words` (the first part of a paragraph), `fence` (a fence opens here; ``size`` is 0).
    """

    size: int
    kind: str


@lru_cache(maxsize=2)
def parser(*, inline: bool) -> MarkdownIt:
    """CommonMark with tables and strikethrough; without ``inline`` it only finds the blocks."""
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    if not inline:
        made.core.ruler.enableOnly(["block"])
    return made


def sure(text: str) -> str:
    """The part of a growing text that is certain enough to be cut: its whole lines, mostly."""
    end = text.rfind("\n") + 1
    return text if len(text) - end >= SURE else text[:end]


def cut(text: str, *, in_words: bool = False) -> Cut | None:
    """What can be taken off the front of ``text``; None when nothing can yet.

    ``text`` begins at a block, or, with ``in_words``, in the middle of a paragraph.
    """
    known = sure(text)
    if not known.strip():
        return None
    # What can be cut off the beginning of a text can be cut off the whole of it.
    begin = known.rfind("\n", 0, BEGINNING) + 1 if len(known) > BEGINNING else 0
    found = _cut(known[:begin], in_words=in_words) if begin else None
    return found or _cut(known, in_words=in_words)


def _cut(known: str, *, in_words: bool) -> Cut | None:
    shift = len(GUARD) if in_words else 0
    source = GUARD * in_words + known
    blocks = top_blocks(source)
    if not blocks:
        return None
    first = blocks[0]
    if first.type == "fence" and not in_words:
        return Cut(0, "fence")
    starts = line_starts(source)
    if len(blocks) > 1:
        return Cut(_start_of(blocks, starts) - shift, "blocks")
    return _cut_inside(first, source, starts, shift)


def _start_of(blocks: list[Token], starts: list[int]) -> int:
    """Where the first fence after the beginning, or else the last block, starts."""
    for block in blocks[1:]:
        if block.type == "fence":
            return starts[_lines(block)[0]]
    return starts[_lines(blocks[-1])[0]]


def _cut_inside(block: Token, source: str, starts: list[int], shift: int) -> Cut | None:
    if block.type == "paragraph_open" and len(source) - shift > LONG:
        blank = _BLANK.search(source, LONG + shift)
        return Cut(blank.end() - shift, "words") if blank else None
    if block.type in {"bullet_list_open", "ordered_list_open"}:
        items = (starts[_lines(item)[0]] for item in block.children or ())
        at = next((at for at in items if at >= LONG_LIST), None)
        return Cut(at, "items") if at else None
    return None


_BLANK = re.compile(r"[ \n](?=[^ \n])")


def _lines(token: Token) -> list[int]:
    return token.map or [0, 0]


def line_starts(text: str) -> list[int]:
    """The offset of each line."""
    starts = [0]
    starts.extend(found.end() for found in re.finditer("\n", text))
    return starts


def top_blocks(text: str) -> list[Token]:
    """The top-level blocks; a list has its items as children."""
    found: list[Token] = []
    for token in parser(inline=False).parse(text):
        if token.level == 0 and token.nesting >= 0:
            found.append(token)
        elif token.level == 1 and token.type == "list_item_open":
            top: Any = found[-1]
            top.children = [*(top.children or ()), token]
    return found


class Fence:
    """An open code fence: reads its lines one by one and knows when it ends."""

    _OPEN = re.compile(r"( {0,3})(`{3,}|~{3,})\s*([^\n]*)")

    def __init__(self, opening: str) -> None:
        found = self._OPEN.match(opening)
        indent, marks, info = found.groups() if found else ("", "```", "")
        self.language = (info.split() or [""])[0].strip("{}.")
        self._indent = len(indent)
        self._close = re.compile(rf" {{0,3}}{re.escape(marks[0])}{{{len(marks)},}}\s*$")

    def closes(self, line: str) -> bool:
        """Whether this line ends the fence."""
        return self._close.match(line) is not None

    def may_close(self, line: str) -> bool:
        """Whether an unfinished line may become the end, and is not to be shown yet."""
        mark = line.strip()
        return bool(mark) and len(line) < 8 and set(mark) in ({"`"}, {"~"})

    def content(self, line: str) -> str:
        """The line as code: without the fence's own indentation."""
        spare = len(line) - len(line.lstrip(" "))
        return line[min(spare, self._indent) :]
