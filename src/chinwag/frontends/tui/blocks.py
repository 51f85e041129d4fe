"""Where Markdown can be cut so that what lies before the cut never changes again; pure.

Invariants: a line is judged by its first `SURE` characters and by the lines before it, never by
what follows, so the cuts are the same whether a text came in one piece or letter by letter. Each
character is looked at once: cutting a text costs its length, and no parser runs. A list is cut at
its items, a long paragraph at a blank, a fence is never more than its lines. The only thing a cut
takes from CommonMark is what no writer means (a list inside an HTML block, say).
"""

from __future__ import annotations

import re
from enum import Enum, auto
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from chinwag.frontends.tui import cutting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it import MarkdownIt
    from markdown_it.token import Token

LONG = 1000
"""A paragraph of more characters is cut inside."""
SURE = 200
"""So many characters of a line are enough to know what it is."""
GIANT = 4000
"""A line of code with more characters is given out in parts; it ends no fence."""
WEIGHED = 500
"""By so many characters an open block has grown when it is weighed again."""

GUARD = "a "
"""Put before the rest of a cut paragraph, so that it is read as one whatever it begins with."""


class Section(NamedTuple):
    """A finished part of a text.

    ``kind`` is `blocks` (whole blocks), `item` (one item of a list, numbered ``start`` unless that
    is None), `words` (a part of a paragraph whose rest follows), `rest` (the end of one that was
    cut), `fence` (a line that opens a fence), `code` (a line in it), `long` (a part of a giant
    line of code) and `long end`, `defines` (a link definition, which stands in some block too),
    `written` (a part of a block that is too much to be laid out) and `written end`. ``gap``: a
    blank line belongs before it.
    """

    kind: str
    source: str
    gap: bool = True
    start: int | None = None


class _In(Enum):
    """What the open block is."""

    NOTHING = auto()
    TEXT = auto()
    TABLE = auto()
    QUOTE = auto()
    LIST = auto()
    INDENTED = auto()
    HTML = auto()
    DONE = auto()  # a heading or a rule: the next line is something else
    FENCE = auto()


_HEADING = r"#{1,6}(?: |$)"
_FENCE = r"`{3,}[^`]*$|~{3,}"
_ENDS_TEXT = re.compile(
    rf" {{0,3}}(?:{_HEADING}|>|{_FENCE}|[-*+] +\S|1[.)] +\S|(?:\* *){{3,}}$|(?:_ *){{3,}}$)"
)
_ENDS_ELSE = re.compile(rf"(?:{_ENDS_TEXT.pattern}| {{0,3}}(?:- *){{3,}}$)")
_RULE = re.compile(r" {0,3}(?:(?:\* *){3,}|(?:_ *){3,}|(?:- *){3,})$")
_ONE_LINE = re.compile(rf" {{0,3}}{_HEADING}|{_RULE.pattern}")
_OPENS_FENCE = re.compile(rf" {{0,3}}(?:{_FENCE})")
_ITEM = re.compile(r"( {0,3})([-*+]|(\d{1,9})[.)])(?= |$)")
_QUOTE = re.compile(r" {0,3}>")
_HTML = re.compile(
    r" {0,3}(?:<(?P<raw>script|pre|style|textarea)(?=[\s>]|$)"
    r"|(?P<mark><!--|<\?|<!\[CDATA\[|<![A-Z])"
    r"|</?[A-Za-z][A-Za-z0-9-]*(?=[\s/>]|$))",
    re.IGNORECASE,
)
_HTML_ENDS = {"<!--": "-->", "<?": "?>", "<![CDATA[": "]]>"}
_UNDER_HEADS = re.compile(r" {0,3}\|?(?: *:?-+:? *\|)+(?: *:?-+:? *)?$| {0,3}\|? *:-+:? *$")
_UNDERLINE = re.compile(r" {0,3}(?:=+|-+) *$")
_DEFINES = re.compile(r" {0,3}\[(?!\^)[^\]]+\]: *\S")
_NOTE = re.compile(r" {0,3}\[\^[^\]]+\]:")
_BLANK = re.compile(r"[ \n](?=[^ \n])")
_CJK = "\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3"
_ANYWHERE = re.compile(rf"(?<=[!-~])(?=[!-~])|(?<=[{_CJK}])(?=[{_CJK}])")


_NEVER_TOO_MUCH = (_In.NOTHING, _In.TEXT, _In.FENCE)


class Scanner:
    """Reads a growing text and gives out what is finished."""

    def __init__(self) -> None:
        self._text = ""  # from the beginning of the open block on
        self._seen = 0  # up to here its lines have been judged
        self._begin = 0
        self._kind = _In.NOTHING
        self._blank = False  # the line before was blank
        self._judged = False  # the unfinished line has been judged by its beginning
        self._fence: Fence | None = None
        self._html_end = ""
        self._margin = 0  # of the open list
        self._mark = ""
        self._note = False  # the open paragraph is a footnote
        self._defining = False  # it began with a link definition
        self._out: list[Section] = []
        self.start: int | None = None  # the number of the open item
        self.gap = True
        self.in_words = False
        self.in_long = False  # the unfinished line is a giant one of code
        self.as_written = False  # the open block is too much to be laid out
        self._weighed = 0

    @property
    def rest(self) -> str:
        """What is not finished."""
        return self._text

    @property
    def fence(self) -> Fence | None:
        """The fence that is open."""
        return self._fence

    def feed(self, more: str) -> list[Section]:
        """Take more text; what is finished with it."""
        self._text += more
        self._begin, at = 0, self._seen
        text = self._text
        while (end := text.find("\n", at)) >= 0:
            if self._judged:
                self._judged = False
            else:
                self._judge(text, at, text[at:end])
            at = end + 1
            self._line_ends(text, at)
        if len(text) - at >= SURE and not self._judged and self._fence is None:
            self._judge(text, at, text[at:])
            self._judged = True
        if self._judged and self._fence is None:
            self._cut_words(text, len(text))
            self._give_up(text, len(text))
        return self._given(text, self._in_line(text, at))

    def _in_line(self, text: str, at: int) -> int:
        """Of a fence's unfinished line nothing need be kept that has been given out."""
        if self._fence is None:
            return at
        if self._judged:  # the line that opened it
            self._begin = len(text)
            return len(text)
        while len(text) - at > GIANT:
            self._out.append(Section("long", text[at : at + GIANT]))
            self.in_long = True
            self._begin = at = at + GIANT
        return at

    def end(self) -> list[Section]:
        """The text is complete."""
        text, at = self._text, self._seen
        self._begin = 0
        if at < len(text) and not self._judged:
            self._judge(text, at, text[at:])
            self._line_ends(text, len(text))  # a line that closed a fence belongs to no block
        if self._fence is None:
            self._cut_words(text, len(text))
            self._cut(text, len(text))
        self._begin = at = len(text)
        return self._given(text, at)

    def _given(self, text: str, at: int) -> list[Section]:
        self._text, self._seen = text[self._begin :], at - self._begin
        out, self._out = self._out, []
        return out

    # -- lines --------------------------------------------------------------------------------

    def _judge(self, text: str, at: int, line: str) -> None:
        """Look at the line that begins at ``at``: does it end the open block?"""
        if self._fence is not None:
            self._code(self._fence, line)
            return
        line = line[:SURE]
        if not line or line.isspace():
            self._blank = True
            return
        if self._kind is _In.NOTHING:
            self._open(line, gap=True)
        elif self._ends_before(line):
            self._cut(text, at)
            self._next(line)
        else:
            self._go_on(line)
        self._blank = False

    def _line_ends(self, text: str, at: int) -> None:
        if self._fence is not None or self._kind is _In.NOTHING:
            self._begin = at
        elif self._kind is _In.TEXT and at - self._begin > LONG:
            self._cut_words(text, at)
        elif self._kind is not _In.TEXT:
            self._give_up(text, at)

    def _code(self, fence: Fence, line: str) -> None:
        if self.in_long or len(line) > GIANT:
            parts = [line[at : at + GIANT] for at in range(0, len(line), GIANT)] or [""]
            self._out += [Section("long", part) for part in parts[:-1]]
            self._out.append(Section("long end", parts[-1]))
            self.in_long = False
        elif fence.closes(line):
            self._fence, self._kind = None, _In.NOTHING
        else:
            self._out.append(Section("code", fence.content(line)))

    def _ends_before(self, line: str) -> bool:
        match self._kind:
            case _In.TEXT | _In.TABLE:
                return self._blank or self._ends_text(line)
            case _In.QUOTE:
                if _QUOTE.match(line):
                    return self._blank
                return self._blank or _ENDS_ELSE.match(line) is not None
            case _In.LIST:
                return self._ends_item(line)
            case _In.INDENTED:
                return _indent(line) < 4
            case _In.HTML:
                return self._blank and not self._html_end
            case _:
                return True

    def _ends_text(self, line: str) -> bool:
        if _ENDS_TEXT.match(line) or _NOTE.match(line):
            return True
        return self._note and _DEFINES.match(line) is not None

    def _ends_item(self, line: str) -> bool:
        if _indent(line) > self._margin:
            return False
        return self._blank or bool(_ITEM.match(line) or _ENDS_ELSE.match(line))

    def _go_on(self, line: str) -> None:
        if self._kind is _In.TEXT:
            if _UNDERLINE.match(line):
                self._kind = _In.DONE
            elif self._defining and _DEFINES.match(line):
                self._out.append(Section("defines", line))
            elif _UNDER_HEADS.match(line) and not self.in_words:
                self._kind = _In.TABLE
            elif found := _HTML.match(line):
                self._into_html(found, line)
        elif self._kind is _In.HTML and self._html_end and self._html_end in line.lower():
            self._kind = _In.DONE

    # -- blocks -------------------------------------------------------------------------------

    def _next(self, line: str) -> None:
        """A block begins where another has ended: it may be the next item of the same list."""
        item = _ITEM.match(line) if self._kind is _In.LIST and not _RULE.match(line) else None
        if item is not None and item[2][-1] == self._mark:
            self.gap = self._blank
            self._margin = len(item[1])
            self.start = None if self.start is None else self.start + 1
            return
        self._open(line, gap=True)

    def _open(self, line: str, *, gap: bool) -> None:
        self.gap, self.start = gap, None
        if _OPENS_FENCE.match(line):
            self._fence = Fence(line)
            self._kind = _In.FENCE
            self._out.append(Section("fence", line))
        elif _ONE_LINE.match(line):
            self._kind = _In.DONE
        elif _QUOTE.match(line):
            self._kind = _In.QUOTE
        elif item := _ITEM.match(line):
            self._kind, self._margin, self._mark = _In.LIST, len(item[1]), item[2][-1]
            self.start = int(item[3]) if item[3] else None
        elif _indent(line) >= 4:
            self._kind = _In.INDENTED
        elif html := _HTML.match(line):
            self._into_html(html, line)
        else:
            self._kind = _In.TEXT
            self._note = _NOTE.match(line) is not None
            self._defining = _DEFINES.match(line) is not None
            if self._defining:
                self._out.append(Section("defines", line))

    def _into_html(self, found: re.Match[str], line: str) -> None:
        self._kind, self._html_end = _In.HTML, ""
        if found["raw"]:
            self._html_end = f"</{found['raw'].lower()}>"
        elif found["mark"]:
            self._html_end = _HTML_ENDS.get(found["mark"].upper(), ">")
        if self._html_end and self._html_end in line[found.end() :].lower():
            self._kind = _In.DONE

    def _cut(self, text: str, at: int) -> None:
        """The open block ends at ``at``."""
        if self._kind is not _In.TEXT or not self.in_words:
            self._give_up(text, at, ends=True)
        source = text[self._begin : at]
        self._begin = at
        if self.as_written:
            self._out.append(Section("written end", source, self.gap))
        elif source and not source.isspace():
            whole = "item" if self._kind is _In.LIST else "blocks"
            kind = "rest" if self.in_words else whole
            self._out.append(Section(kind, source, self.gap, self.start))
        self.in_words = self.as_written = False
        self._weighed = 0

    def _give_up(self, text: str, limit: int, *, ends: bool = False) -> None:
        """Give out what is too much to be laid out piece by piece, as it was written."""
        if self._kind in _NEVER_TOO_MUCH and not (ends and self._kind is _In.TEXT):
            return
        if not self.as_written and not self._is_too_much(text, limit, ends=ends):
            return
        if not self.as_written and self.in_words:
            self._out.append(Section("rest", "", self.gap))
            self.in_words, self.gap = False, True
        self.as_written = True
        while end := cutting.place(text, self._begin, limit):
            self._out.append(Section("written", text[self._begin : end], self.gap))
            self._begin, self.gap = end, False

    def _is_too_much(self, text: str, limit: int, *, ends: bool) -> bool:
        size = limit - self._begin
        if not ends and size < self._weighed + WEIGHED:
            return False
        self._weighed = size
        return cutting.weight(text[self._begin : limit]) > cutting.HEAVY

    def _cut_words(self, text: str, limit: int) -> None:
        """Cut what is long of a paragraph, at blanks or, where there are none, anywhere."""
        while self._kind is _In.TEXT and limit - self._begin > LONG:
            at = self._begin
            found = _BLANK.search(text, at + LONG, min(limit, at + 2 * LONG))
            end = found.end() if found is not None else _anywhere(text, at + 2 * LONG, limit)
            if not end:
                return
            self._out.append(Section("words", text[at:end], self.gap))
            self._begin = end
            self.gap, self.in_words = False, True


def _anywhere(text: str, begin: int, limit: int) -> int:
    """Where a text without blanks is cut; 0 while that is not known."""
    found = _ANYWHERE.search(text, begin, min(limit, begin + LONG)) if limit > begin else None
    if found is not None and found.end() < limit:
        return found.end()
    if limit - begin <= LONG + cutting.SLACK:
        return 0
    return cutting.seam(text, begin, begin + cutting.SLACK) or begin


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


class Fence:
    """An open code fence: reads its lines one by one and knows when it ends."""

    _OPEN = re.compile(r"( {0,3})(`{3,}|~{3,})\s*([^\n]*)")

    def __init__(self, opening: str) -> None:
        found = self._OPEN.match(opening)
        indent, marks, info = found.groups() if found else ("", "```", "")
        self.language = language(info)
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


def language(info: str) -> str:
    """The language in what stands behind the marks of a fence."""
    return (info.split() or [""])[0].strip("{}.")


# -- parsing -----------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def parser(*, inline: bool) -> MarkdownIt:
    """CommonMark with tables and strikethrough; without ``inline`` it only finds the blocks."""
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    if not inline:
        made.core.ruler.enableOnly(["block"])
    return made


def top_blocks(text: str) -> Iterator[Token]:
    """The top-level blocks, as the parser finds them."""
    found = parser(inline=False).parse(text)
    return (token for token in found if token.level == 0 and token.nesting >= 0)


def paragraph_end(source: str) -> tuple[str, str]:
    """The rest of a paragraph that was cut, and the blocks after it."""
    guarded = GUARD + source
    later = list(top_blocks(guarded))[1:2]
    if not later:
        return source, ""
    at = line_starts(guarded)[(later[0].map or [0])[0]]
    return guarded[len(GUARD) : at], guarded[at:]


def line_starts(text: str) -> list[int]:
    """The offset of each line."""
    return [0, *(found.end() for found in re.finditer("\n", text))]
