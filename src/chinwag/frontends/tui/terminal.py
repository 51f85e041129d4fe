"""The terminal we write to, without ever waiting for it.

Invariants: a write never blocks the loop: what the terminal does not take now waits here, and while
anything waits no new frame is made (`clogged`), so nothing piles up. A terminal that is gone is
told once (`lost`). The mouse is asked for clicks and the wheel only, not for every movement.
"""

from __future__ import annotations

import asyncio
import os
import select
import sys
from collections.abc import Callable
from typing import Any, TextIO

from prompt_toolkit.data_structures import Size
from prompt_toolkit.output.vt100 import Vt100_Output

from chinwag.frontends.tui.reported import ASK, ASK_FOCUS, UNASK, UNASK_FOCUS

LAST_WORDS = 0.3
"""Seconds the terminal is given to take the last bytes when we leave."""


class Terminal(Vt100_Output):
    """The controlling terminal through a descriptor of our own that does not block."""

    def __init__(self, stdout: TextIO, fd: int) -> None:
        def size() -> Size:
            columns, rows = os.get_terminal_size(fd)
            return Size(rows=rows or 24, columns=columns or 80)

        super().__init__(stdout, size, term=os.environ.get("TERM"), enable_cpr=False)
        self._fd = fd
        self._waiting = b""
        self.focus = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self.drained: Callable[[], None] = _nothing
        self.lost: Callable[[], None] = _nothing

    @property
    def clogged(self) -> bool:
        """Whether the terminal has not taken what was written before."""
        return bool(self._waiting)

    def flush(self) -> None:
        data = "".join(self._buffer)
        self._buffer = []
        if data:
            self._write(data.encode("utf-8", "replace"))

    def enter_alternate_screen(self) -> None:
        """The keys are told apart, and looking elsewhere is told, as long as the screen is ours."""
        super().enter_alternate_screen()
        self.write_raw(ASK + ASK_FOCUS * self.focus)

    def quit_alternate_screen(self) -> None:
        self.write_raw(UNASK_FOCUS * self.focus + UNASK)
        super().quit_alternate_screen()

    def show_cursor(self) -> None:
        if not self._cursor_visible:
            self._cursor_visible = True
            self.write_raw("\x1b[?25h")  # the toolkit asks it not to blink, each time

    def enable_mouse_support(self) -> None:
        self.write_raw("\x1b[?1000h\x1b[?1006h")

    def disable_mouse_support(self) -> None:
        self.write_raw("\x1b[?1000l\x1b[?1006l")

    def close(self) -> None:
        """Give the terminal a moment for what waits, then let go."""
        end = LAST_WORDS
        while self._waiting and select.select([], [self._fd], [], end)[1]:
            end /= 2
            self._push()
        self._unwatch()
        os.close(self._fd)

    def _write(self, data: bytes) -> None:
        clogged = self.clogged
        self._waiting += data
        if not clogged:
            self._push()
        if self._waiting and self._loop is None:
            self._watch()

    def _push(self) -> None:
        try:
            while self._waiting:
                self._waiting = self._waiting[os.write(self._fd, self._waiting) :]
        except BlockingIOError:
            return
        except OSError:
            self._waiting = b""
            self.lost()

    def _watch(self) -> None:
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._loop.add_writer(self._fd, self._ready)

    def _unwatch(self) -> None:
        if self._loop is not None:
            self._loop.remove_writer(self._fd)
            self._loop = None

    def _ready(self) -> None:
        self._push()
        if not self._waiting:
            self._unwatch()
            self.drained()


def _nothing() -> None:
    return


def last_words(text: str) -> None:
    """Write to stdout, but wait for no terminal that has stopped reading."""
    stdout: Any = sys.stdout
    stdout.flush()
    try:
        fd = _own(stdout)
    except (OSError, ValueError):
        stdout.write(text)
        stdout.flush()
        return
    try:
        left = text.encode("utf-8", "replace")
        while left and select.select([], [fd], [], LAST_WORDS)[1]:
            left = left[os.write(fd, left) :]
    except OSError:
        pass  # it is gone
    finally:
        os.close(fd)


def _own(stdout: Any) -> int:
    """A descriptor of our own, that does not block, for the terminal of stdout."""
    name = os.ttyname(stdout.fileno())
    return os.open(name, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)


def open_terminal() -> Vt100_Output:
    """Our own way to the terminal of stdout; the ordinary one where that cannot be had."""
    stdout: Any = sys.stdout
    try:
        fd = _own(stdout)
    except (OSError, ValueError):
        return Vt100_Output.from_pty(stdout, term=os.environ.get("TERM"))
    return Terminal(stdout, fd)
