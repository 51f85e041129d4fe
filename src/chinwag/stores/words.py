"""The words of a search: what was typed, how text is cut for the index, and what to mark. Pure.

Invariants: whatever is typed gives a query that FTS5 understands, for every word reaches it as a
quoted string. Scripts written without spaces are cut into overlapping pairs of characters, the
last one of a run also alone, both in the index and in what is asked: so that any piece of a word
is found. Marks are ranges of the snippet as it stands, which is raw text of somebody's message.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

import msgspec

LONGEST = 1_000
MOST_TERMS = 30
SNIPPET = 160  # characters, not counting what shows that more is before and after

#: Han, kana, Hangul, and the scripts of South-East Asia that put no spaces between words.
_RUN = re.compile(
    "[\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
#: What FTS5 takes for parts of words, by its category.
_WORDY = frozenset("Lu Ll Lt Lm Lo Nd Nl No Co".split())
_PIECES = re.compile(r'"([^"]*)"?|([^\s"]+)')


class Term(msgspec.Struct, frozen=True):
    """One word, or the words between quotation marks, as typed. ``prefix``: it may go on."""

    text: str
    prefix: bool = False


class Snippet(msgspec.Struct, frozen=True):
    """Part of a message on one line; ``marks`` are (start, end) within ``text``."""

    text: str
    marks: tuple[tuple[int, int], ...] = ()


# -- what was typed -------------------------------------------------------------------------------


def parse(query: str) -> tuple[Term, ...]:
    """The terms that all have to be there; a last word not in quotation marks may go on.

    Of what is pasted in by mistake the first thousand characters count, and thirty terms.
    """
    sane = query[:LONGEST].encode("utf-8", "replace").decode().replace("\0", " ")
    found = list(_PIECES.finditer(sane))[:MOST_TERMS]
    last = len(found) - 1
    terms = (
        Term(piece[1].strip())
        if piece[2] is None
        else Term(piece[2], prefix=n == last and has_words(piece[2][-1]))
        for n, piece in enumerate(found)
    )
    return tuple(term for term in terms if term.text)


def match_of(terms: Sequence[Term]) -> str:
    """The terms in FTS5's language; empty when one of them has nothing an index could hold."""
    if not terms or not all(has_words(term.text) for term in terms):
        return ""
    return " ".join(_asked(term) for term in terms)


def has_words(text: str) -> bool:
    """Whether there are letters or digits in it, which is all that an index knows of."""
    return any(unicodedata.category(c) in _WORDY for c in text)


def _asked(term: Term) -> str:
    text = unicodedata.normalize("NFKC", term.text)
    bare = text
    while not has_words(bare[-1]):
        bare = bare[:-1]
    ends = [run for run in _RUN.finditer(bare) if run.end() == len(bare)]
    if not ends:
        return f'"{_quotable(spaced(bare))}"' + "*" * term.prefix
    head, run = bare[: ends[0].start()], ends[0][0]
    # A run that ends what was asked may go on in the text: then its last character is no token.
    pairs = " ".join(map("".join, pairwise(run))) or run
    return f'"{_quotable(spaced(head))} {pairs}"' + "*" * (len(run) == 1)


def _quotable(text: str) -> str:
    return text.replace('"', " ")


# -- what goes into the index ---------------------------------------------------------------------


def spaced(text: str) -> str:
    """Text as the index takes it: in one normal form, unspaced scripts cut into pairs."""
    if text.isascii():
        return text
    return _RUN.sub(_pairs, unicodedata.normalize("NFKC", text))


def _pairs(run: re.Match[str]) -> str:
    text = run[0]
    return f" {' '.join(map(''.join, pairwise(text)))} {text[-1]} "


# -- what is shown of a hit -----------------------------------------------------------------------


class Marker:
    """Makes snippets for the terms of one search."""

    def __init__(self, terms: Sequence[Term]) -> None:
        patterns = [pattern for term in terms if (pattern := _pattern(term))]
        self._pattern = re.compile("|".join(f"({p})" for p in patterns)) if patterns else None

    def matches(self, text: str) -> list[tuple[int, int, int]]:
        """(start, end, which term) of the first hundred places in ``text``."""
        if self._pattern is None:
            return []
        found = []
        for match in self._pattern.finditer(_folded(text)):
            found.append((match.start(), match.end(), match.lastindex or 0))
            if len(found) == 100:
                break
        return found

    def snippet(self, text: str) -> Snippet:
        """The piece of ``text`` in which most of the terms are near each other."""
        found = self.matches(text)
        start = _best(found)
        first = max(0, start - SNIPPET // 4)
        if first and (space := text.find(" ", first, start)) >= 0:
            first = space + 1
        end = min(len(text), first + SNIPPET)
        if end < len(text) and (space := text.rfind(" ", start + 1, end)) > start + SNIPPET // 2:
            end = space
        marks = [(a, min(b, end)) for a, b, _ in found if first <= a < end]
        return _one_line(text, first, end, marks)


def _pattern(term: Term) -> str:
    """A term as a regular expression over folded text; empty when there is nothing to mark."""
    words = re.findall(r"[^\W_]+", _folded(term.text))
    if not words:
        return re.escape(_folded(term.text))
    start = "" if _RUN.match(words[0]) else r"(?<![^\W_])"
    end = "" if term.prefix or _RUN.match(words[-1][-1]) else r"(?![^\W_])"
    return start + r"[\W_]+".join(map(re.escape, words)) + end


def _best(found: Sequence[tuple[int, int, int]]) -> int:
    """Where the piece with most of the different terms begins."""
    best, most = 0, 0
    for n, (start, _, _) in enumerate(found):
        near = {which for at, _, which in found[n : n + 20] if at < start + SNIPPET // 2}
        if len(near) > most:
            best, most = start, len(near)
    return best


def _one_line(text: str, first: int, end: int, marks: Sequence[tuple[int, int]]) -> Snippet:
    """text[first:end] with white space made single, and the marks moved accordingly."""
    out = "…" if first else ""
    moved: list[tuple[int, int]] = []
    at = first
    for a, b in marks:
        out = _joined(out, text[at:a])
        start = len(out)
        out = _joined(out, text[a:b])
        moved.append((start, len(out)))
        at = b
    out = _joined(out, text[at:end]).rstrip()
    return Snippet(out + ("…" if end < len(text) else ""), tuple(moved))


def _joined(before: str, piece: str) -> str:
    single = re.sub(r"\s+", " ", piece)
    return before + (single[1:] if single[:1] == " " and before[-1:] in {" ", ""} else single)


class _Fold(dict[int, str]):
    """One character for one character: lower case, without its accents."""

    def __missing__(self, code: int) -> str:
        apart = unicodedata.normalize("NFKD", chr(code))
        plain = (apart[0] if all(map(unicodedata.combining, apart[1:])) else chr(code)).lower()
        self[code] = plain if len(plain) == 1 else chr(code)
        return self[code]


_FOLD = _Fold()


def _folded(text: str) -> str:
    return text.lower() if text.isascii() else text.translate(_FOLD)
