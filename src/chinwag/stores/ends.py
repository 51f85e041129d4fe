"""A session's file read from where one needs it, not from its beginning.

Invariants: nothing is written, nothing locked. What is given back was found under a closing line
that ends the file, and every line of it decodes and bears the number of its place; anything else
is `None`, and the whole file has to be read (document.py). Costs a few reads of some kilobytes,
however many entries there are: line numbers lead each line, so that one can be looked for as in a
dictionary.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from chinwag.stores import document as doc
from chinwag.stores.disk import Disk, read_all
from chinwag.talk.entry import AnyEntry
from chinwag.talk.session import Birth, Header

_HEAD_SIZE = 4096
_TAIL_SIZE = doc.CLOSING_LIMIT + 1
_WINDOW = 64 * 1024
_NUMBER = re.compile(rb',?\{"n":(\d{1,15})[,}]')
_NUMBER_SIZE = 32


class Ends(NamedTuple):
    """The facts of both ends of a file: where its lines begin, where its closing line does."""

    birth: Birth
    closing: doc.Closing
    first_at: int
    closing_at: int
    size: int

    @property
    def header(self) -> Header:
        """The session's line in a list."""
        birth, closing = self.birth, self.closing
        return Header(birth.id, birth.created, closing.headline, closing.count, self.size)


class _Line(NamedTuple):
    """Line ``n`` begins at byte ``at``."""

    n: int
    at: int


def ends(disk: Disk, fd: int, size: int, session_id: str) -> Ends | None:
    """Both ends, None if they do not fit. Raises SessionUnreadable for a newer format."""
    head = read_all(disk, fd, 0, _HEAD_SIZE).partition(b"\n")[0]
    at = max(0, size - _TAIL_SIZE)
    last = doc.last_line(read_all(disk, fd, at, size - at))
    birth, closing = doc.read_header(head, session_id), doc.read_closing(last)
    if birth is None or closing is None or closing.count < 0:
        return None
    return Ends(birth, closing, len(head) + 1, size - len(last), size)


def span(
    disk: Disk, fd: int, found: Ends, after: int, upto: int | None
) -> tuple[AnyEntry, ...] | None:
    """Entries after+1 to ``upto``; None if the file is not what it ought to be there."""
    count = found.closing.count
    first, last = max(0, after) + 1, count if upto is None else min(upto, count)
    top = _Line(count + 1, found.closing_at)
    if (last < first or last < count) and not _counts_right(disk, fd, found, top):
        return None
    if last < first:
        return ()
    begin = _find(disk, fd, first, _Line(1, found.first_at), top)
    end = top if last == count else begin and _find(disk, fd, last + 1, begin, top)
    if begin is None or end is None:
        return None
    return _decoded(read_all(disk, fd, begin.at, end.at - begin.at), first, last)


def _counts_right(disk: Disk, fd: int, found: Ends, top: _Line) -> bool:
    """Whether the line before the closing one has the number that this one says."""
    count = found.closing.count
    if not count:
        return found.first_at == found.closing_at
    newest = _find(disk, fd, count, _Line(1, found.first_at), top)
    if newest is None or _number(disk, fd, newest.at) != count:
        return False
    return _next_line(disk, fd, newest.at, top.at) == top.at


def _decoded(raw: bytes, first: int, last: int) -> tuple[AnyEntry, ...] | None:
    lines = raw.split(b"\n")
    if lines.pop() or len(lines) != last - first + 1:
        return None
    entries: list[AnyEntry] = []
    for number, line in enumerate(lines, first):
        try:
            n, entry = doc.strictly(line[1:] if number > 1 and line[:1] == b"," else line)
        except ValueError:
            return None
        if n != number:
            return None
        entries.append(entry)
    return tuple(entries)


def _find(disk: Disk, fd: int, n: int, low: _Line, high: _Line) -> _Line | None:
    """Where line ``n`` begins; low.n <= n < high.n. None if the numbers do not add up.

    The distance is guessed from the numbers and halved in turns: the first is quick where lines
    are alike, the second bounds the search where they are not.
    """
    limit, halve = high.at, False
    while low.n < n and high.at - low.at > _WINDOW:
        share = 0.5 if halve else (n - low.n) / (high.n - low.n)
        guess = low.at + min(max(1, int((high.at - low.at) * share)), high.at - low.at - 1)
        # A little before where it should be: then what follows is likely to be the line itself.
        guess = max(low.at + 1, guess - _WINDOW // 4)
        halve = not halve
        at = _next_line(disk, fd, guess, limit)
        if at >= high.at:
            high = _Line(high.n, guess)  # no line begins between the two
            continue
        number = _number(disk, fd, at)
        if number is None or not low.n < number < high.n:
            return None
        if number <= n:
            low = _Line(number, at)
        else:
            high = _Line(number, at)
    return _skip(disk, fd, low, n, limit)


def _next_line(disk: Disk, fd: int, at: int, limit: int) -> int:
    """Where the first line after byte ``at`` begins; ``limit`` if none does before."""
    while at < limit:
        piece = read_all(disk, fd, at, min(_WINDOW // 8, limit - at))
        if not piece:
            break
        if (found := piece.find(b"\n")) >= 0:
            return at + found + 1
        at += len(piece)
    return limit


def _number(disk: Disk, fd: int, at: int) -> int | None:
    match = _NUMBER.match(read_all(disk, fd, at, _NUMBER_SIZE))
    return int(match[1]) if match else None


def _skip(disk: Disk, fd: int, low: _Line, n: int, limit: int) -> _Line | None:
    """Line ``n``, counted from line ``low`` on."""
    at, missing = low.at, n - low.n
    while missing and at < limit:
        piece = read_all(disk, fd, at, min(_WINDOW, limit - at))
        if not piece:
            return None
        have = piece.count(b"\n")
        if have < missing:
            missing -= have
            at += len(piece)
            continue
        found = -1
        for _ in range(missing):
            found = piece.index(b"\n", found + 1)
        return _Line(n, at + found + 1)
    return None if missing else _Line(n, at)
