"""Telling who looks elsewhere that a long answer has come; off unless it was asked for.

Invariants: nobody is told what he sees: not while the window is looked at, and where the terminal
does not tell that, not within moments of a key. What is sent is our own sentence, no foreign text.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from chinwag.frontends.tui.clipboard import through

RECENT: Final = 10.0
"""Seconds after a key in which somebody is taken to be there."""
WORDS: Final = "the answer is there"
_SENT: Final = {
    "bell": "\x07",
    "osc9": f"\x1b]9;chinwag: {WORDS}\x07",
    "osc777": f"\x1b]777;notify;chinwag;{WORDS}\x07",
}


class Attention:
    """``how`` is `off`, `bell`, `osc9` or `osc777`."""

    def __init__(self, how: str, environ: Mapping[str, str]) -> None:
        self.how = how
        self._environ = environ
        self._looked_at: bool | None = None
        self._key_at = -RECENT

    @property
    def on(self) -> bool:
        return self.how in _SENT

    def focused(self, yes: bool) -> None:  # noqa: FBT001 (what is told is one word)
        """The terminal says whether its window is looked at."""
        self._looked_at = yes

    def key(self, _: object = None) -> None:
        """A key was pressed."""
        self._key_at = time.monotonic()

    def call(self) -> str:
        """What to send to call somebody; "" where nobody is to be called."""
        recent = time.monotonic() - self._key_at < RECENT
        seen = recent if self._looked_at is None else self._looked_at
        if not self.on or seen:
            return ""
        sent = _SENT[self.how]
        return sent if self.how == "bell" else through(sent, self._environ)
