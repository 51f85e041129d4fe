"""What a frame of a long session costs, and opening one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import talks
from table import Table, median, ms

from support.terminal import CHAT, Terminal
from support.world import World


class Frames:
    """The real screen on the real desk, with a session open, drawing to nowhere."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name

    async def measured(self, count: int) -> tuple[list[float], list[float]]:
        """Seconds of frames in which a letter was typed, and of frames after scrolling."""
        from prompt_toolkit.input import create_pipe_input
        from prompt_toolkit.output import DummyOutput

        from chinwag import wiring
        from chinwag.frontends.tui.shell import Shell
        from chinwag.opening import Opening

        desk = wiring.settle_in({}, "", self._world.env).desk()
        desk.opening = Opening(resume=self._name)
        with create_pipe_input() as keyboard:
            shell = Shell(desk, input=keyboard, output=DummyOutput(), environ=self._world.env)
            task = asyncio.create_task(shell.run())
            await self._until(lambda: shell.transcript.ready and len(desk.session) > 10)
            try:
                return await self._frames(shell, count)
            finally:
                shell.leave()
                await task
                await desk.close()

    async def _frames(self, shell: Any, count: int) -> tuple[list[float], list[float]]:
        typing, scrolling = [], []
        for n in range(count):
            shell.buffer.insert_text("ab "[n % 3])
            typing.append(self._frame(shell))
            await asyncio.sleep(0)
        for _ in range(count):
            shell.acting.scroll(-5)
            scrolling.append(self._frame(shell))
            await asyncio.sleep(0)
        return typing, scrolling

    def _frame(self, shell: Any) -> float:
        before = time.perf_counter()
        shell.app._redraw()
        return time.perf_counter() - before

    async def _until(self, true: Callable[[], bool]) -> None:
        limit = time.monotonic() + 30
        while not true():
            assert time.monotonic() < limit, "the screen did not come up"
            await asyncio.sleep(0.01)


def frame(table: Table, folder: Path, quick: bool) -> None:
    small, large = 100, 10_000
    world = World(folder / "frame")
    world.configure('model = "guide/guide"\n')
    for count in (small, large):
        talks.write(world.data, count, f"talk-{count}")
    typing: dict[int, list[float]] = {small: [], large: []}
    scrolling: dict[int, list[float]] = {small: [], large: []}
    for _ in range(2 if quick else 4):
        for count in (small, large):
            found = asyncio.run(Frames(world, f"talk-{count}").measured(60))
            typing[count] += found[0]
            scrolling[count] += found[1]
    table.title("frames (the real screen and desk in this process), and opening a long session")
    for count in (small, large):
        table.note(f"a letter typed, {count:,} messages", ms(typing[count]))
        table.note(f"scrolled, {count:,} messages", ms(scrolling[count]))
    table.ratio("frame, 10,000 to 100", median(typing[large]) / median(typing[small]), 1.5)
    after = median(scrolling[large]) / median(scrolling[small])
    table.ratio("scrolled frame, 10,000 to 100", after, 1.5)
    opened: dict[int, list[float]] = {small: [], large: []}
    for n in range(3 if quick else 7):
        for count in (small, large):
            opened[count].append(resumed(world, count, n))
    for count in (small, large):
        table.note(f"chat --resume, {count:,} messages, last one seen", ms(opened[count]))
    table.seconds("10,000 more than 100", median(opened[large]) - median(opened[small]), 0.3)


def resumed(world: World, count: int, n: int) -> float:
    """Seconds from exec until the end of the last answer is on the screen."""
    trace = world.home / f"resumed-{count}-{n}"
    command = [CHAT, "--resume", f"talk-{count}"]
    with Terminal(command, world.env | {"CHINWAG_TRACE": str(trace)}, draws=False) as terminal:
        at = terminal.wait_raw(f"stone{count // 2 - 1}x".encode(), 30)
        terminal.ready()
        terminal.send("\x04")
        terminal.exit_code(20)
        return at - terminal.started
