"""While a saver works, the threads share the interpreter in small turns.

Saving one message is a few short steps of Python with a system call after each. Python lets a
thread that computes keep the interpreter for 5 ms before another may have it: a saver beside a busy
loop would wait that long after every call, ten times what the disk takes. Invariant: outside of
``begin`` and ``end`` the length of a turn is what it was before.
"""

from __future__ import annotations

import sys
import threading
from typing import Final

TURN: Final = 50e-6
"""Seconds a thread keeps the interpreter when another wants it, while somebody is in haste."""

_lock: Final = threading.Lock()
_usual: Final[list[float]] = []
"""What a turn was before, once for each who is in haste."""


def begin() -> None:
    """Small turns from now on."""
    with _lock:
        _usual.append(_usual[0] if _usual else sys.getswitchinterval())
        sys.setswitchinterval(TURN)


def end() -> None:
    """One who was in haste is not any more."""
    with _lock:
        usual = _usual.pop()
        if not _usual:
            sys.setswitchinterval(usual)
