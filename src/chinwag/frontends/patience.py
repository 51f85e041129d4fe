"""One line that says what is waited for, on a terminal, until there is something to show.

Invariants: it stands alone on its line and is gone before anything else is written; nothing of it
is written in the first moments, nor where the terminal has no such line. It moves no other text.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TextIO

WORTH = 1.5
"""Seconds after which it is worth saying."""
CLEAR = "\r\x1b[2K"


def has_a_line(stream: TextIO | None, environ: Mapping[str, str]) -> bool:
    """Whether a line there can be taken back."""
    try:
        return (
            stream is not None
            and stream.isatty()
            and environ.get("TERM", "dumb") not in {"dumb", ""}
        )
    except ValueError:  # closed
        return False


class Patience:
    """Use `begin`, `says` and `end` in one loop."""

    def __init__(self, err: TextIO, *, dim: bool) -> None:
        self._err = err
        self._dim = ("\x1b[2m", "\x1b[0m") if dim else ("", "")
        self._what = ""
        self._since = 0.0
        self._stands = False
        self._next: asyncio.TimerHandle | None = None

    def begin(self, what: str) -> None:
        """Something is waited for from now on."""
        self.end()
        self._what, self._since = what, time.monotonic()
        self._next = asyncio.get_running_loop().call_later(WORTH, self._tell)

    def says(self, what: str) -> None:
        """The same wait is for something else now; nothing where nothing is waited for."""
        if self._next is not None:
            self._what = what

    def end(self) -> None:
        """Something comes, or nothing more does."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if self._stands:
            self._stands = False
            self._err.write(CLEAR)
            self._err.flush()

    def _tell(self) -> None:
        self._stands = True
        seconds = int(time.monotonic() - self._since)
        self._err.write(f"{CLEAR}{self._dim[0]}{self._what} · {seconds} s{self._dim[1]}")
        self._err.flush()
        self._next = asyncio.get_running_loop().call_later(1.0, self._tell)
