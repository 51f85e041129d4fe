"""Markdown blocks to lines of (style, text), by way of rich renderables; pure.

Invariants: no text goes through a markup parser; rich is given `Text` and tables of `Text`, and its
segments become fragments here, so no escape sequence is ever made. Whatever comes out of an entity
(`&#27;`) is made safe again. No line is wider than asked. Links show their address and are never
active. Importing this module needs rich and markdown-it: it is imported in a thread after the first
paint.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from io import StringIO
from typing import Any, TypeAlias

from markdown_it.token import Token
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from rich.theme import Theme

from chinwag.frontends.tui import blocks, tables
from chinwag.frontends.tui.fences import CodeBlock
from chinwag.frontends.tui.tables import Side, Table
from chinwag.frontends.tui.theme import Looks, rich_style
from chinwag.text.cells import for_screen, wrap
from chinwag.text.safe import safe

Fragment: TypeAlias = tuple[str, str]
Line: TypeAlias = list[Fragment]
Env: TypeAlias = dict[str, Any]

_STARTS = {"strong_open": "md.strong", "em_open": "md.em", "s_open": "md.strike"}
_ENDS = {"strong_close", "em_close", "s_close"}
_NARROWEST = 8


class Renderer:
    """Renders blocks with the looks of one theme. ``breaks``: a newline in a paragraph is one."""

    def __init__(self, looks: Looks, *, breaks: bool = True) -> None:
        self.breaks = breaks
        self.backlog: dict[int, Callable[[], bool]] = {}  # what documents still have to colour
        theme = Theme({name: rich_style(look) for name, look in looks.items()}, inherit=False)
        self._console = Console(
            file=StringIO(),
            force_terminal=True,
            color_system="truecolor",
            legacy_windows=False,
            theme=theme,
            highlight=False,
            markup=False,
            emoji=False,
            width=80,
            height=25,
            _environ={},
        )

    # -- whole blocks -------------------------------------------------------------------------

    def blocks(
        self,
        source: str,
        columns: int,
        number: int = 1,
        *,
        start: int | None = None,
        env: Env | None = None,
    ) -> tuple[list[Line], int]:
        """The lines of some blocks, and the number of the next code block.

        ``start`` is the number of a list's first item, whatever it says itself; ``env`` knows the
        links that are defined elsewhere.
        """
        tokens = blocks.parser(inline=True).parse(_readable(source), {} if env is None else env)
        walk = _Walk(self, number, start)
        return walk.lines(tokens, max(columns, 1)), walk.number

    def words(self, source: str, env: Env | None = None) -> Text:
        """Part of a paragraph."""
        env = {} if env is None else env
        tokens = blocks.parser(inline=True).parse(blocks.GUARD + source, env)
        text = Text()
        for token in tokens:
            if token.type == "inline":
                text.append_text(self.inline(token))
        return text[len(blocks.GUARD) :]

    def plain(self, source: str) -> Text:
        """Part of a paragraph as it was written."""
        return Text(source)

    def wrapped(self, text: Text, columns: int) -> tuple[list[Line], Text]:
        """A text in lines, and the last of them as text, to go on from."""
        places = _places(text.plain, max(columns, 1))
        return self._cut(text, places), text[places[-1][0] :]

    def text(self, text: Text, columns: int) -> list[Line]:
        """The lines of a text: rich's segments, wrapped by our own widths."""
        return self._cut(text, _places(text.plain, max(columns, 1)))

    def _cut(self, text: Text, places: list[tuple[int, int]]) -> list[Line]:
        fragments = _fragments(list(text.render(self._console)))
        if len(places) == 1 and places[0] == (0, len(text.plain)):
            return [_trimmed(fragments)]
        return [_trimmed(line) for line in _sliced(fragments, places)]

    def one_line(self, pieces: list[tuple[str, str]]) -> Line:
        """Pieces of (style name, text) put together by rich on one line."""
        text = Text.assemble(*((text, name) for name, text in pieces), no_wrap=True)
        segments = self._console.render(text, self._console.options.update(width=1000))
        return [f for f in _fragments(list(segments)) if f[1] != "\n"]

    # -- inside a line ------------------------------------------------------------------------

    def inline(self, token: Token, base: str = "") -> Text:
        """The text of an inline token."""
        text = Text(end="")
        styles: list[str] = []
        link = ("", 0)
        for child in token.children or ():
            match child.type:
                case "text" | "html_inline" | "text_special":
                    text.append(_shown(child.content), " ".join(styles) or None)
                case "code_inline":
                    text.append(_shown(child.content), "md.code")
                case "softbreak":
                    text.append("\n" if self.breaks else " ")
                case "hardbreak":
                    text.append("\n")
                case "image":
                    text.append(_shown(f"[image: {child.content or 'no words'}]"), "md.url")
                    text.append(_shown(f" ({child.attrGet('src') or ''})"), "md.url")
                case "link_open":
                    link = (str(child.attrGet("href") or ""), len(text))
                case "link_close":
                    _close_link(text, *link)
                case kind if kind in _STARTS:
                    styles.append(_STARTS[kind])
                case kind if kind in _ENDS:
                    styles.pop()
                case _:
                    text.append(_shown(child.content))
        if base:  # as a span: rich leaves the style of a text without spans out
            text.stylize_before(base)
        return text


def _close_link(text: Text, address: str, start: int) -> None:
    label = text.plain[start:]
    text.stylize("md.link", start)
    if address and address not in (label, f"mailto:{label}"):
        text.append(_shown(f" ({address})"), "md.url")


class _Walk:
    """One pass over the tokens of some blocks."""

    def __init__(self, renderer: Renderer, number: int, start: int | None = None) -> None:
        self._r = renderer
        self.number = number
        self._start = start

    def lines(self, tokens: list[Token], columns: int, *, tight: bool = False) -> list[Line]:
        out: list[Line] = []
        for group in _groups(tokens):
            made = self._block(group, columns)
            if out and made and not tight:
                out.append([])
            out.extend(made)
        return out

    def _block(self, group: list[Token], columns: int) -> list[Line]:
        first = group[0]
        match first.type:
            case "paragraph_open":
                return self._text(group, columns, "")
            case "heading_open":
                return self._heading(group, columns)
            case "bullet_list_open" | "ordered_list_open":
                return self._list(group, columns)
            case "blockquote_open":
                mark = "> " if columns >= _NARROWEST else ""
                inner = self.lines(group[1:-1], columns - len(mark))
                return [[("class:md.quote", mark), *line] for line in inner] if mark else inner
            case "fence" | "code_block":
                return self._code(first, columns)
            case "table_open":
                return self._table(group, columns)
            case "hr":
                return [[("class:md.rule", "─" * columns)]]
            case _:
                text = _shown(first.content).rstrip("\n")
                return [[("", line)] for line in wrap(text, columns)] if text else []

    def _text(self, group: list[Token], columns: int, style: str) -> list[Line]:
        inline = next((token for token in group if token.type == "inline"), None)
        if inline is None:
            return []
        return self._r.text(self._r.inline(inline, style), columns)

    def _list(self, group: list[Token], columns: int) -> list[Line]:
        first = group[0]
        number = self._first_number(first)
        out: list[Line] = []
        for item in _groups(group[1:-1]):
            mark = _mark(item, number)
            tight = _is_tight(item)
            if out and not tight:
                out.append([])
            out.extend(self._item(item[1:-1], columns, mark, tight=tight))
            number = None if number is None else number + 1
        return out

    def _first_number(self, token: Token) -> int | None:
        """The number of a list's first item; None where they are not numbered."""
        start, self._start = self._start, None
        if not token.type.startswith("ordered"):
            return None
        said = token.attrGet("start")
        return start if start is not None else int(1 if said is None else said)

    def _item(self, tokens: list[Token], columns: int, mark: str, *, tight: bool) -> list[Line]:
        indent = len(mark) if columns - len(mark) >= _NARROWEST else 0
        inner = self.lines(tokens, columns - indent, tight=tight) or [[]]
        if not indent:
            return [[("class:md.bullet", mark.strip())], *inner] if columns >= len(mark) else inner
        rest: list[Line] = [[("", " " * indent), *line] if line else [] for line in inner[1:]]
        return [[("class:md.bullet", mark), *inner[0]], *rest]

    def _code(self, token: Token, columns: int) -> list[Line]:
        fenced = token.type == "fence"  # an indented block has no number
        block = CodeBlock(blocks.language(token.info), self.number if fenced else 0, columns)
        self.number += fenced
        out, state = block.head(), block.begin()
        for line in _shown(token.content).removesuffix("\n").split("\n"):
            made, state = block.line(line, state)
            out.extend(made)
        return out

    def _heading(self, group: list[Token], columns: int) -> list[Line]:
        style = f"md.{group[0].tag}" if group[0].tag in {"h1", "h2"} else "md.h3"
        return self._text(group, columns, style)

    def _table(self, group: list[Token], columns: int) -> list[Line]:
        rows = list(_cells(group))
        if not rows:
            return []
        heads = [self._r.inline(cell, "md.th") for cell in rows[0]]
        body = [[self._r.inline(cell) for cell in row] for row in rows[1:]]
        sides = [_side(cell) for cell in rows[0]]
        return tables.lines(Table(heads, body, sides), columns, self._r.text)


def _places(plain: str, columns: int) -> list[tuple[int, int]]:
    """Where each line of the wrapped text begins and ends in it."""
    out: list[tuple[int, int]] = []
    at = 0
    for whole in plain.split("\n"):
        end = at + len(whole)
        if len(whole) <= columns and whole.isascii():
            out.append((at, end))
        else:
            out.extend(_broken(plain, at, end, wrap(whole, columns)))
        at = end + 1
    return out


def _broken(plain: str, at: int, end: int, lines: list[str]) -> Iterator[tuple[int, int]]:
    for line in lines:
        while at < end and not plain.startswith(line, at):
            at += 1  # the blanks at which it was broken are in no line
        yield at, min(at + len(line), end)
        at += len(line)


def _sliced(fragments: Line, places: list[tuple[int, int]]) -> Iterator[Line]:
    """The fragments of each place; places do not overlap and are in order."""
    pieces = iter(fragments)
    style, text, begins = "", "", 0
    for start, end in places:
        line: Line = []
        while begins < end:
            if begins + len(text) <= start:
                begins += len(text)
                found = next(pieces, None)
                if found is None:
                    break
                style, text = found
                continue
            cut = text[max(0, start - begins) : end - begins]
            if cut:
                line.append((style, cut))
            if begins + len(text) >= end:
                break
            begins += len(text)
            style, text = next(pieces, ("", ""))
            if not text:
                break
        yield line


def _groups(tokens: list[Token]) -> Iterator[list[Token]]:
    """Tokens cut into siblings: each group opens and closes."""
    depth, group = 0, []
    for token in tokens:
        group.append(token)
        depth += token.nesting
        if depth == 0:
            yield group
            group = []
    if group:
        yield group


def _is_tight(item: list[Token]) -> bool:
    return all(
        t.hidden for t in item if t.type == "paragraph_open" and t.level == item[0].level + 1
    )


def _cells(group: list[Token]) -> Iterator[list[Token]]:
    row: list[Token] = []
    style = ""
    for token in group:
        if token.type in {"th_open", "td_open"}:
            style = str(token.attrGet("style") or "")
        elif token.type == "inline":
            token.meta["style"] = style
            row.append(token)
        elif token.type == "tr_close":
            yield row
            row = []


def _side(token: Token) -> Side:
    style = token.meta.get("style", "")
    return "right" if "right" in style else "center" if "center" in style else "left"


_NOTE = re.compile(r"(?m)^( {0,3})\[\^(?=[^\]\n]+\]:)")
_TASK = re.compile(r"\[([ xX])\] ")


def _readable(source: str) -> str:
    """The source, with footnotes kept as text: the parser would hide them as links."""
    return _NOTE.sub(r"\1\\[^", source) if "[^" in source else source


def _mark(item: list[Token], number: int | None) -> str:
    """What stands before an item; a task has its box instead of a bullet."""
    if number is not None:
        return f"{number}. "
    inline = item[2] if len(item) > 2 and item[2].type == "inline" else None
    words = inline.children[0] if inline is not None and inline.children else None
    found = _TASK.match(words.content) if words is not None and words.type == "text" else None
    if found is None or words is None:
        return "• "
    words.content = words.content[found.end() :]
    return "☐ " if found[1] == " " else "✓ "


def _shown(text: str) -> str:
    """Text from a token: an entity may have become anything."""
    if text.isascii() and text.isprintable():
        return text
    return "\n".join(for_screen(line) for line in safe(text).split("\n"))


def _fragments(segments: list[Segment]) -> Line:
    return [
        (_style(segment.style) if segment.style else "", segment.text)
        for segment in segments
        if segment.text and not segment.control
    ]


@lru_cache(maxsize=512)
def _style(style: Style) -> str:
    """A rich style in prompt_toolkit's words."""
    words = [
        word
        for word, on in (
            ("bold", style.bold),
            ("dim", style.dim),
            ("italic", style.italic),
            ("underline", style.underline),
            ("strike", style.strike),
            ("reverse", style.reverse),
        )
        if on
    ]
    if style.color is not None and not style.color.is_default:
        words.append(_colour(style.color.name))
    return " ".join(words)


def _colour(name: str) -> str:
    return name if name.startswith("#") else "ansi" + name.replace("_", "")


def _trimmed(line: Line) -> Line:
    """Without blanks at the end: they would be copied along."""
    while line and not line[-1][1].strip():
        line.pop()
    if line:
        line[-1] = (line[-1][0], line[-1][1].rstrip())
    return line
