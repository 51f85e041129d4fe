"""When something is in haste: the interpreter shares its time in other ways for a while.

While a saver works, the threads share the interpreter in small turns.

Saving one message is a few short steps of Python with a system call after each. Python lets a
thread that computes keep the interpreter for 5 ms before another may have it: a saver beside a busy
loop would wait that long after every call, ten times what the disk takes. Invariant: outside of
``begin`` and ``end`` the length of a turn is what it was before; outside of ``no_collecting``
garbage is collected as it was.
"""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
from collections.abc import Iterator
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


@contextlib.contextmanager
def no_collecting() -> Iterator[None]:
    """Spare the collector thousands of new objects, none of them garbage: a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
