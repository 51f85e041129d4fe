"""Grapheme clusters, and how many terminal cells they fill: the one place that measures.

Invariants: a cluster is never split while its line is wide enough for it; no line of ``wrap`` and
no result of ``clip`` is wider than the columns given; what is cut from safe text is safe text.
A cluster is as wide as its code points together, but an emoji sequence (with a joiner, a skin
colour, a flag, a keycap or a U+FE0F) fills two cells. All but ``wrap`` are about one line.

**Policy for the full screen.** prompt_toolkit takes text apart into code points and adds up their
widths: a family of three fills six cells for it and two in the terminal, and a frame which redraws
only changed cells would write half a sequence. So whoever hands text to prompt_toolkit calls
``for_screen`` on it last: an emoji sequence becomes its first picture (a flag its two letters, a
keycap its sign) and keeps its cells, padded with a blank. Then code points, clusters and terminal
agree, and as no width changes, wrapping before or after is the same. One-shot output to a terminal
and everything stored keep the sequences.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Final, TypeVar, cast

from chinwag.text.safe import EMOJI, JOINING, is_ordinary, strange_spans

T = TypeVar("T", bound=str)  # str gives str and Safe gives Safe

TAB: Final = 4
"""Tab stops are this many cells apart."""

# Letters of one cell each, by the table below: most lines need no adding up.
_NARROW: Final = re.compile(
    "[\x20-\x7e\xa1-\xac\xae-\u02ff\u0391-\u03a1\u03a3-\u03c9\u0400-\u0482\u048a-\u0527"
    "\u2010-\u2027\u2030-\u205e\u20ac\u2500-\u257f]*"
)
# A text without any of these is as wide as its code points together.
_SEQUENCED: Final = re.compile(
    "[\u200d\ufe0e\ufe0f\U0001f1e6-\U0001f1ff\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
)
_FLAG: Final = "[\U0001f1e6-\U0001f1ff]{2}"
_WORDS: Final = re.compile(" +|[^ ]+")
# Scripts without blanks may break before any of their letters, and emoji may be torn apart...
_CJK: Final = (
    *((0x2E80, 0x2FDF), (0x3001, 0x4DBF), (0x4E00, 0xA4CF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF)),
    *((0xFF01, 0xFF9D), (0x1F300, 0x1FAFF), (0x20000, 0x3FFFF)),
)
# ...but not before what closes or lengthens, nor after what opens.
_NEVER_FIRST: Final = frozenset(
    "!%),.:;?]}»’”…‥、。〉》」』】〕〗〙〛〜・ーヽヾゝゞ々〻！％），．：；？］｝｡｣､･ｰ"
    "ぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶ"
)
_NEVER_LAST: Final = frozenset("([{«‘“〈《「『【〔〖〘〚（［｛｢")


class _Widths(dict[str, int]):
    """Cells of each code point met so far, by the same table prompt_toolkit uses."""

    def __missing__(self, char: str) -> int:
        from wcwidth import wcwidth  # 20 ms, and a screen of ASCII never needs it

        self[char] = cells = max(0, wcwidth(char))
        return cells


_widths: Final = _Widths()
_cell: Final = _widths.__getitem__


def clusters(text: T) -> Iterator[T]:
    """The grapheme clusters of ``text`` (UAX 29, extended), in order; joined they are ``text``."""
    if is_ordinary(text):
        return cast("Iterator[T]", iter(text))
    return cast("Iterator[T]", _clusters(text))


def cluster_width(cluster: str) -> int:
    """The cells one cluster fills: 0 for a control or a lone mark."""
    if len(cluster) == 1:
        return _cell(cluster)
    sequence = _SEQUENCED.search(cluster) and _two_cells().fullmatch(cluster)
    return 2 if sequence and cluster[-1] != "\ufe0e" else sum(map(_cell, cluster))


def width(text: str) -> int:
    """The cells ``text`` fills on one line. Tabs run to the next stop, controls fill none."""
    if "\t" in text:
        text = _untabbed(text)
    if (text.isascii() and text.isprintable()) or _NARROW.fullmatch(text):
        return len(text)
    if is_ordinary(text) or not _SEQUENCED.search(text):
        return sum(map(_cell, text))
    return sum(map(cluster_width, clusters(text)))


def for_screen(text: T) -> T:
    """One line of ``text`` as prompt_toolkit may have it: each code point has cells of its own.

    ``width(for_screen(t)) == width(t) == sum(get_cwidth(c) for c in for_screen(t))``.
    """
    if "\t" in text:
        text = cast("T", _untabbed(text))
    if text.isascii() or not _SEQUENCED.search(text):
        return text
    return cast("T", "".join(map(_drawn, clusters(text))))


def wrap(text: T, columns: int) -> list[T]:
    """``text`` in lines of at most ``columns`` (>= 1) cells; every ``\\n`` ends a line, too.

    Breaks at blanks, which then are left out, and anywhere in CJK. A word longer than a line is cut
    between clusters. A cluster wider than a line is cut into code points, and a code point that
    still does not fit (a wide letter in one column) becomes ``…``.
    """
    if columns < 1:
        raise ValueError(f"columns must be at least 1, not {columns}")
    lines = [line for whole in text.split("\n") for line in _wrapped(whole, columns)]
    return cast("list[T]", lines)


def clip(text: T, columns: int, ellipsis: str = "…") -> T:
    """One line of ``text`` in at most ``columns`` cells, its end replaced by ``ellipsis``."""
    text = cast("T", _untabbed(text))
    if width(text) <= columns:
        return text
    room = columns - width(ellipsis)
    if room < 0:
        return cast("T", _head(ellipsis, columns))
    return cast("T", _head(text, room) + ellipsis)


def pad(text: T, columns: int) -> T:
    """One line of ``text`` in exactly ``columns`` cells: clipped, or blanks put after it."""
    clipped = clip(text, max(columns, 0))
    return cast("T", clipped + " " * (columns - width(clipped)))


def _clusters(text: str) -> Iterator[str]:
    from wcwidth import iter_graphemes

    at = 0
    for start, end in strange_spans(text):
        yield from text[at:start]
        yield from iter_graphemes(text[start:end])
        at = end
    yield from text[at:]


def _drawn(cluster: str) -> str:
    """A cluster of which every code point has its own cells, as many together as before."""
    if not _SEQUENCED.search(cluster):
        return cluster
    if not _two_cells().fullmatch(cluster):
        return _loose().sub(_apart, cluster)
    if "\U0001f1e6" <= cluster[0] <= "\U0001f1ff":
        return "".join(map(_letter, cluster))
    sign = cluster[0]
    return sign + " " * (cluster_width(cluster) - _cell(sign))


def _apart(found: re.Match[str]) -> str:
    """A lone flag letter as a letter, a lone skin colour as blanks, selectors and joiners gone."""
    shown = _letter(found[1]) if found[1] else ""
    return shown.ljust(_cell(found[0]))


def _letter(indicator: str) -> str:
    return chr(ord(indicator) - 0x1F1E6 + ord("A"))


# Compiled when the first emoji comes, not at start-up.
@cache
def _two_cells() -> re.Pattern[str]:
    return re.compile(f"{EMOJI}|{_FLAG}")


@cache
def _loose() -> re.Pattern[str]:
    """What a terminal might still join in a sequence that is no emoji of ours."""
    return re.compile(
        f"[\ufe0e\ufe0f]|(?<![{JOINING}])\u200d|([\U0001f1e6-\U0001f1ff])|([\U0001f3fb-\U0001f3ff])"
    )


def _untabbed(text: str) -> str:
    if "\t" not in text:
        return text
    first, *others = text.split("\t")
    out, at = [first], width(first)
    for piece in others:
        blanks = TAB - at % TAB
        out.append(" " * blanks + piece)
        at += blanks + width(piece)
    return "".join(out)


def _wrapped(line: str, columns: int) -> list[str]:
    line = _untabbed(line)
    if width(line) <= columns:
        return [line]
    filling = _Filling(columns)
    for atom in _WORDS.findall(line) if line.isascii() else _atoms(line):
        filling.add(atom)
    return filling.lines()


def _atoms(line: str) -> Iterator[str]:
    """Runs of blanks, and what stands between two places where a line may break."""
    start = at = 0
    before = ""
    for cluster in clusters(line):
        if before and _may_break(before, cluster):
            yield line[start:at]
            start = at
        at += len(cluster)
        before = cluster
    yield line[start:]


def _may_break(before: str, after: str) -> bool:
    if before == " " or after == " ":
        return before != after
    if after.isascii() and before.isascii():
        return False
    if after[0] in _NEVER_FIRST or before[0] in _NEVER_LAST:
        return False
    return _breaks_anywhere(after[0]) or _breaks_anywhere(before[0])


def _breaks_anywhere(char: str) -> bool:
    code = ord(char)
    return code >= 0x2E80 and any(low <= code <= high for low, high in _CJK)


class _Filling:
    """Lines being filled from left to right: what stands on the last one, and blanks to come."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._full: list[str] = []
        self._line: list[str] = []
        self._used = 0
        self._blanks = 0

    def add(self, atom: str) -> None:
        if atom[0] == " " and atom.isspace() and atom.isascii():
            self._blanks = len(atom)
            return
        cells = width(atom)
        if self._used + self._blanks + cells <= self._columns:
            self._put(" " * self._blanks + atom, self._blanks + cells)
        elif self._used:
            self._break()
            self.add(atom)
        else:
            self._begin(atom, cells)
        self._blanks = 0

    def lines(self) -> list[str]:
        if self._line or not self._full:
            self._break()
        return self._full

    def _begin(self, atom: str, cells: int) -> None:
        """Puts what is too long for an empty line: the indent gives way first, then it is cut."""
        fits = cells <= self._columns
        indent = min(self._blanks, self._columns - cells if fits else self._columns // 2)
        self._put(" " * indent, indent)
        if fits:
            self._put(atom, cells)
        else:
            self._cut(atom)

    def _cut(self, word: str) -> None:
        if word.isascii() and word.isprintable():
            self._slice(word)
            return
        for piece in clusters(word):
            cells = cluster_width(piece)
            if cells > self._columns:
                self._shatter(piece)
            else:
                self._append(piece, cells)

    def _slice(self, word: str) -> None:
        """As `_cut`, of what has a cell for each letter: a line of a megabyte is cut at once."""
        room = self._columns - self._used
        self._put(word[:room], min(room, len(word)))
        for at in range(room, len(word), self._columns):
            self._break()
            piece = word[at : at + self._columns]
            self._put(piece, len(piece))

    def _shatter(self, cluster: str) -> None:
        for char in cluster:
            fits = _cell(char) <= self._columns
            self._append(char if fits else "…", _cell(char) if fits else 1)

    def _append(self, piece: str, cells: int) -> None:
        if self._used + cells > self._columns:
            self._break()
        self._put(piece, cells)

    def _put(self, piece: str, cells: int) -> None:
        self._line.append(piece)
        self._used += cells

    def _break(self) -> None:
        self._full.append("".join(self._line))
        self._line = []
        self._used = self._blanks = 0


def _head(text: str, room: int) -> str:
    """The longest beginning of ``text`` of whole clusters that fits into ``room`` cells."""
    if text.isascii() and text.isprintable():
        return text[:room]
    kept: list[str] = []
    for cluster in clusters(text):
        room -= cluster_width(cluster)
        if room < 0:
            break
        kept.append(cluster)
    return "".join(kept)
