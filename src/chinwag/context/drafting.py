"""Counting a text that is being typed: what one more key costs does not grow with the text.

Invariant: the sum over the pieces is the count of the whole. Pieces are parted only at seams, where
every tokenizer of ours parts the text too: after a letter or digit, before a space or a mark that
cannot be drawn to it. (Their patterns look ahead, never back, and a word ends there.)
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate

PIECE = 400  # characters, about: so many are counted again for one key
_SEAM = re.compile(r"[^\W_](?=[ \n.,;:!?\u3001\u3002\uff0c\uff01\uff1f\uff1b\uff1a])")

Count = Callable[[str], tuple[int, str]]
"""Tokens of a text, and the tokenizer that counted them ("" for an estimate)."""


def pieces(text: str, size: int = PIECE) -> Iterator[str]:
    """``text`` in pieces of at least ``size`` characters, parted at seams."""
    start = 0
    while len(text) - start > size:
        seam = _SEAM.search(text, start + size - 1)
        if seam is None:
            break
        yield text[start : seam.end()]
        start = seam.end()
    if start < len(text):
        yield text[start:]


class DraftCount:
    """Remembers the last text and its pieces; counts what has changed of the next."""

    def __init__(self) -> None:
        self._forget("")

    def _forget(self, by: str) -> None:
        self._by = by  # the model and tokenizer that counted
        self._text = ""
        self._seams: list[int] = []  # between the pieces: one less than there are
        self._tokens: list[int] = [0]
        self._exact: list[bool] = [True]

    def count(self, text: str, model: str, count: Count) -> tuple[int, str]:
        """Tokens of ``text`` and who counted them, as ``count`` would say of the whole."""
        _, tokenizer = count("a")
        if (by := f"{model} {tokenizer}") != self._by:
            self._forget(by)
        self._renew(text, count)
        return sum(self._tokens), tokenizer if all(self._exact) else ""

    def _renew(self, text: str, count: Count) -> None:
        """Keep the pieces that lie wholly in what has not changed, count the rest.

        A seam stays one only while the characters on both sides of it stay.
        """
        old, seams = self._text, self._seams
        head = _common(old, text)
        tail = _common_end(old, text, min(len(old), len(text)) - head)
        first = bisect_left(seams, head)
        last = bisect_right(seams, len(old) - tail)
        start = seams[first - 1] if first else 0
        stop = seams[last] if last < len(seams) else len(old)
        moved = len(text) - len(old)
        fresh = list(pieces(text[start : stop + moved])) or [""]
        counted = [count(piece) for piece in fresh]
        ends = list(accumulate(map(len, fresh), initial=start))[1:-1]
        later = [seam + moved for seam in seams[last:]]
        self._tokens[first : last + 1] = [tokens for tokens, _ in counted]
        self._exact[first : last + 1] = [bool(by) for _, by in counted]
        self._seams = [*seams[:first], *ends, *later]
        self._text = text


def _common(a: str, b: str) -> int:
    """How many characters both begin with. Compares halves: a memory comparison each."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _common_end(a: str, b: str, most: int) -> int:
    """How many characters, at most ``most``, both end with."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if a[len(a) - middle : len(a) - low] == b[len(b) - middle : len(b) - low]:
            low = middle
        else:
            high = middle - 1
    return low
