"""Drives the screen in one process: keys go in by a pipe, the picture comes out of a terminal.

`async with pilot(desk, 80, 24) as p:` then `await p.type("hi")`, `await p.press("enter")`,
`await p.idle()` and `p.text()`. pyte knows no alternate screen; the shell clears what it draws on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pyte
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output

from chinwag.frontends.tui.shell import Shell

KEYS = {
    "enter": "\r", "escape": "\x1b", "tab": "\t", "backspace": "\x7f", "up": "\x1b[A",
    "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D", "pageup": "\x1b[5~",
    "pagedown": "\x1b[6~", "shift+up": "\x1b[1;2A", "shift+down": "\x1b[1;2B",
    "ctrl+home": "\x1b[1;5H", "ctrl+end": "\x1b[1;5F", "alt+enter": "\x1b\r",
    "wheelup": "\x1b[<64;10;5M", "wheeldown": "\x1b[<65;10;5M", "shift+tab": "\x1b[Z",
}  # fmt: skip


class Glass:
    """The terminal's end: feeds pyte and keeps what was written."""

    encoding = "utf-8"

    def __init__(self, columns: int, rows: int) -> None:
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.Stream(self.screen)
        self.written: list[str] = []
        self.frames = 0

    def write(self, data: str) -> None:
        self.written.append(data)
        self.frames += 1
        self.stream.feed(data)

    def flush(self) -> None:
        return

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError("no descriptor")


class Pilot:
    """See the module."""

    def __init__(self, shell: Shell, keyboard: PipeInput, glass: Glass) -> None:
        self.shell = shell
        self.keyboard = keyboard
        self.glass = glass

    async def type(self, text: str) -> None:
        """Type text, all in one read."""
        self.keyboard.send_text(text)
        await self.idle()

    async def press(self, *names: str) -> None:
        """Press keys by name, one after the other."""
        for name in names:
            self.keyboard.send_text(_bytes(name))
            await asyncio.sleep(0.07 if name == "escape" else 0)
            await self.idle()

    async def paste(self, text: str) -> None:
        """A bracketed paste."""
        await self.type(f"\x1b[200~{text}\x1b[201~")

    async def idle(self, quiet: float = 0.02, most: float = 5.0) -> None:
        """Wait until nothing is drawn, rendered or handled any more."""
        last, still, waited = -1, 0.0, 0.0
        while still < quiet and waited < most:
            await asyncio.sleep(0.005)
            waited += 0.005
            moving = self.glass.frames != last or self._working()
            last, still = self.glass.frames, 0.0 if moving else still + 0.005

    async def until(self, true: Callable[[], bool], most: float = 5.0) -> None:
        """Wait until something is so."""
        waited = 0.0
        while not true():
            await asyncio.sleep(0.005)
            waited += 0.005
            assert waited < most, self.text()
        await self.idle()

    def _working(self) -> bool:
        shell = self.shell
        return shell.transcript.busy or shell.pace.tick is not None or not shell.transcript.ready

    def resize(self, columns: int, rows: int) -> None:
        """The terminal has another size from now on."""
        self.glass.screen.resize(rows, columns)
        self.shell.app._on_resize()

    def text(self) -> str:
        """The picture, without blanks at the ends of lines."""
        return "\n".join(line.rstrip() for line in _rows(self.glass.screen))

    def cursor(self) -> tuple[int, int]:
        """Column and row of the cursor."""
        return self.glass.screen.cursor.x, self.glass.screen.cursor.y


def _rows(screen: pyte.Screen) -> list[str]:
    out = []
    for y in range(screen.lines):
        row = screen.buffer[y]
        out.append("".join(row[x].data for x in range(screen.columns)))
    return out


def _bytes(name: str) -> str:
    if name in KEYS:
        return KEYS[name]
    if name.startswith("ctrl+") and len(name) == 6:
        return chr(ord(name[5].upper()) - 64)
    if len(name) == 1:
        return name
    raise KeyError(name)


@asynccontextmanager
async def pilot(
    desk: Any, columns: int = 80, rows: int = 24, **options: Any
) -> AsyncIterator[Pilot]:
    """A running screen in front of ``desk``; left by the block's end whatever happens."""
    glass = Glass(columns, rows)

    def size() -> Size:
        return Size(rows=glass.screen.lines, columns=glass.screen.columns)

    output = Vt100_Output(glass, size, term="xterm-256color", enable_cpr=False)
    with create_pipe_input() as keyboard:
        options.setdefault("environ", {})
        shell = Shell(desk, input=keyboard, output=output, **options)
        running = asyncio.ensure_future(shell.run())
        p = Pilot(shell, keyboard, glass)
        try:
            await asyncio.wait(
                {running, asyncio.ensure_future(p.idle())}, return_when="FIRST_COMPLETED"
            )
            yield p
        finally:
            shell.leave()
            await running
