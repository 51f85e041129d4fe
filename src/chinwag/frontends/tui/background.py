"""Is the terminal light or dark? Asked once, after the first frame; nobody waits for the answer.

Invariants: the question (OSC 11) is sent by us alone, the answer never becomes typed text however
late or cut into pieces it comes, and no key is held back for it: only what begins as an answer does
(`ESC ]`, which no key sends) is kept until it ends, and then only so much of it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

ASK = "\x1b]11;?\x07"
PATIENCE = 0.15
"""Seconds an answer is expected in."""
MOST = 64
"""A longer answer is none."""

_ANSWER = re.compile(r"\x1b\]1[01];([^\x07\x1b]*)(?:\x07|\x1b\\)")
_BEGUN = re.compile(r"\x1b\](?:1(?:[01](?:;[^\x07\x1b]*\x1b?)?)?)?\Z")
_COLOUR = re.compile(r"rgba?:([0-9a-f]{1,4})/([0-9a-f]{1,4})/([0-9a-f]{1,4})", re.IGNORECASE)


def told(environ: Mapping[str, str]) -> bool | None:
    """Whether the terminal says by COLORFGBG that it is light; None where it says nothing."""
    last = environ.get("COLORFGBG", "").rpartition(";")[2]
    return int(last) in (7, 15) if last.isdigit() and int(last) < 16 else None


def is_light(answer: str) -> bool | None:
    """Whether a colour like `rgb:ffff/ffff/ffff` is light; None where it is no colour."""
    found = _COLOUR.match(answer)
    if found is None:
        return None
    red, green, blue = (int(part, 16) / float(16 ** len(part) - 1) for part in found.groups())
    return bool(0.299 * red + 0.587 * green + 0.114 * blue > 0.5)


class Listener:
    """Stands before the parser of keys and takes answers out of what is read."""

    def __init__(self, parser: Any, hear: Callable[[bool], None]) -> None:
        self._feed: Callable[[str], None] = parser.feed
        self._hear = hear
        self._held = ""
        self._due = time.monotonic() + PATIENCE
        parser.feed = self.feed

    @property
    def owed(self) -> float:
        """Seconds for which the answer may still come: who leaves before leaves it to the shell."""
        return max(0.0, self._due - time.monotonic())

    def feed(self, data: str) -> None:
        """Pass on what is read, without answers."""
        if not self._held and "\x1b]" not in data:
            self._feed(data)
            return
        data = self._held + data
        for found in _ANSWER.finditer(data):
            self._due = 0.0
            light = is_light(found[1])
            if light is not None:
                self._hear(light)
        data = _ANSWER.sub("", data)
        begun = _BEGUN.search(data)
        self._held = begun[0] if begun is not None and len(begun[0]) <= MOST else ""
        self._feed(data[: len(data) - len(self._held)])
