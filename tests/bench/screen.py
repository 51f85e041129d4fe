"""What drawing costs, beside a bare prompt_toolkit full screen and a bare rich.Live.

Keys while an answer streams into a long session; a whole screen drawn anew; an answer of 100,000
tokens with a long code block in it, tenth by tenth.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import talks
from lab import cpu_of, told
from screen_serve import tokens
from streaming import settled
from table import Table, median

from support.terminal import CHAT, Terminal, own_environment
from support.world import World

HERE = Path(__file__).parent
LETTERS = "αβγδεζηθικλμνξοπρσ"  # no frame holds them, so a repaint is not taken for an echo
BLANK = "\x7f"
SIZE = {"columns": 100, "rows": 30}


def screen(table: Table, folder: Path, quick: bool) -> None:
    with serving() as address:
        keys(table, folder, address, quick)
        tenths(table, folder, address, quick)
    frames(table, folder, quick)


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The address of a server of `screen_serve`, ended with the block."""
    command = [sys.executable, str(HERE / "screen_serve.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()
            process.wait(5)


def quantiles(values: Sequence[float]) -> tuple[float, float]:
    """p50 and p99."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]


def both(values: Sequence[float]) -> str:
    middle, high = quantiles(values)
    return f"{middle * 1e3:.1f} / {high * 1e3:.1f} ms"


# -- keys -----------------------------------------------------------------------------------------


def echoes(terminal: Terminal, count: int, every: float = 0.08) -> list[float]:
    """Seconds from a key to its letter in the terminal, so many times."""
    out = []
    for n in range(count):
        letter = LETTERS[n % len(LETTERS)]
        mark, at = letter.encode(), len(terminal.raw)
        began = time.monotonic()
        terminal.send(letter)
        while mark not in terminal.raw[at:]:
            terminal.pump(0.05)
            assert time.monotonic() - began < 5, bytes(terminal.raw[-300:])
        out.append(time.monotonic() - began)
        if n % len(LETTERS) == len(LETTERS) - 1:
            terminal.send(BLANK * len(LETTERS))
        end = time.monotonic() + every
        while (left := end - time.monotonic()) > 0:
            terminal.pump(left)
    terminal.send(BLANK * len(LETTERS))
    return out


def keys(table: Table, folder: Path, address: str, quick: bool) -> None:
    count = 60 if quick else 200
    world = World(folder / "keys")
    world.use(address + "/v1", model="bench")
    talks.write(world.data, 10_000, "long")
    bare = bare_keys(folder, count)
    trace = {"CHINWAG_TRACE": str(world.home / "trace")}
    with Terminal([CHAT, "--resume", "long"], world.env | trace, draws=False, **SIZE) as terminal:
        terminal.wait_raw(b"stone4999x", 30)
        settled(terminal)
        idle = echoes(terminal, count // 2)
        terminal.send(f"tokens={int(100 * (count * 0.1 + 6))} pace=100\r")
        terminal.wait_traced("first", 1, 30)
        spent, began, size = cpu_of(terminal.pid), time.monotonic(), len(terminal.raw)
        while time.monotonic() - began < 3:
            terminal.pump(0.1)
        share = (cpu_of(terminal.pid) - spent) / (time.monotonic() - began)
        rate = (len(terminal.raw) - size) / (time.monotonic() - began)
        busy = echoes(terminal, count)
        terminal.send("\x1b")
        terminal.wait_traced("rested", 1, 30)
        settled(terminal)
        terminal.send("\x04")
        terminal.exit_code(20)
    table.title("keys, 100 tokens/s into 10,000 messages (floor: bare prompt_toolkit, idle)")
    table.note("bare prompt_toolkit, idle: p50 / p99", both(bare))
    table.note("ours, idle: p50 / p99", both(idle))
    table.note("ours, streaming: p50 / p99", both(busy))
    table.note("CPU while streaming, nothing typed", f"{share * 100:.1f} %")
    table.note("bytes to the terminal", f"{rate:,.0f} a second")
    late, middle = quantiles(busy)[1], quantiles(idle)[0]
    table.ratio("key while streaming p99, to bare idle p99", late / quantiles(bare)[1], 4.0)
    table.ratio("key idle p50, to bare", middle / quantiles(bare)[0], 1.2)
    table.ratio("bytes a second, to 25 kB", rate / 25_000, 1.0)
    text = 100 * sum(map(len, tokens(1_000, fence=False))) / 1_000
    table.ratio("bytes a second, to the text itself", rate / text, 3.0)


def bare_keys(folder: Path, count: int) -> list[float]:
    command = [sys.executable, str(HERE / "floor_screen.py")]
    with Terminal(command, own_environment(folder / "bare"), draws=False, **SIZE) as terminal:
        terminal.ready()
        settled(terminal)
        out = echoes(terminal, count)
        terminal.send("\x04")
        terminal.exit_code(10)
    return out


# -- whole frames ---------------------------------------------------------------------------------


def frames(table: Table, folder: Path, quick: bool) -> None:
    world = World(folder / "frames")
    world.configure('model = "guide/guide"\n')
    talks.write(world.data, 1_000, "long")
    ours, fresh, bare = [], [], []
    for _ in range(2 if quick else 4):
        found = asyncio.run(_our_frames(world))
        ours += found[0]
        fresh += found[1]
        bare += asyncio.run(_bare_frames(40))
    table.title("a whole screen of 100x30 drawn anew, CPU (floor: bare prompt_toolkit)")
    table.note("bare prompt_toolkit", f"{median(bare) * 1e3:.2f} ms")
    table.note("ours, text seen before", f"{median(ours) * 1e3:.2f} ms")
    table.note("ours, Markdown never seen before", f"{median(fresh) * 1e3:.2f} ms")
    table.ratio("whole frame, to bare", median(ours) / median(bare), 2.0)


def _sink() -> Any:
    """A terminal that takes everything and shows nothing."""
    from prompt_toolkit.data_structures import Size
    from prompt_toolkit.output.vt100 import Vt100_Output

    null = Path(os.devnull).open("w")  # noqa: SIM115 - it lives as long as the process
    return Vt100_Output(null, lambda: Size(rows=30, columns=100), term="xterm-256color")


def _cpu(draw: Callable[[], None]) -> float:
    before = time.process_time()
    draw()
    return time.process_time() - before


async def _our_frames(world: World) -> tuple[list[float], list[float]]:
    from prompt_toolkit.input import create_pipe_input

    from chinwag import wiring
    from chinwag.frontends.tui.shell import Shell
    from chinwag.opening import Opening

    desk = wiring.settle_in({}, "", world.env).desk()
    desk.opening = Opening(resume="long")
    with create_pipe_input() as keyboard:
        shell = Shell(desk, input=keyboard, output=_sink(), environ=world.env)
        task = asyncio.create_task(shell.run())
        limit = time.monotonic() + 20
        while not (shell.transcript.ready and len(desk.session) > 10):
            assert time.monotonic() < limit, "the screen did not come up"
            await asyncio.sleep(0.01)
        seen, fresh = [], []
        try:
            for _ in range(20):
                for by, times in ((-26, fresh), (26, seen), (-26, seen)):
                    shell.acting.scroll(by)
                    times.append(_cpu(shell.app._redraw))
                    await asyncio.sleep(0)
        finally:
            shell.leave()
            await task
            await desk.close()
    return seen, fresh


async def _bare_frames(count: int) -> list[float]:
    from prompt_toolkit.application import Application
    from prompt_toolkit.input import create_pipe_input
    from prompt_toolkit.layout import FormattedTextControl, Layout, Window

    words = "The harbour is deep at noon, which is less than the chart says; keep the lamp left. "
    shown = [""]
    with create_pipe_input() as keyboard:
        control = FormattedTextControl(lambda: shown[0])
        app = Application(Layout(Window(control)), full_screen=True, input=keyboard, output=_sink())
        task = asyncio.create_task(app.run_async())
        await asyncio.sleep(0.1)
        out = []
        for n in range(count):
            shown[0] = "\n".join((words[(n * 7 + y) % 60 :] + words)[:96] for y in range(30))
            out.append(_cpu(app._redraw))
            await asyncio.sleep(0)
        app.exit()
        await task
    return out


# -- a long answer --------------------------------------------------------------------------------


def tenths(table: Table, folder: Path, address: str, quick: bool) -> None:
    count, beside = (20_000, 2_000) if quick else (100_000, 4_000)
    world = World(folder / "tenths")
    world.use(address + "/v1", model="bench")
    env = world.env | {"CHINWAG_TRACE": str(world.home / "trace")}
    with Terminal([CHAT], env, draws=False, **SIZE) as terminal:
        terminal.ready()
        terminal.wait_traced("painted")
        settled(terminal)
        terminal.send("tokens=600\r")  # what the first answer imports is not measured
        terminal.wait_traced("rested", 1, 30)
        before, size = settled(terminal), len(terminal.raw)
        terminal.send(f"tokens={count} fence tenths\r")
        spent = _by_tenth(terminal, address, before)
        terminal.wait_traced("rested", 2, 60)
        size = len(terminal.raw) - size
        terminal.send("\x04")
        terminal.exit_code(20)
    live = _live(beside)
    each = count / 10 / 1e6
    table.title(f"{count:,} tokens with a block of 25,000 characters, CPU a token by tenths")
    table.note("ours", " ".join(f"{cpu / each:.0f}" for cpu in spent) + " us")
    table.note("bytes to the terminal", f"{size:,}")
    table.note(f"rich.Live(Markdown), {beside:,} tokens: first, last", _two(live, beside))
    table.ratio("last tenth to first", spent[-1] / spent[0], 1.3)


def _two(spent: list[float], count: int) -> str:
    return f"{spent[0] / count * 1e7:.0f}, {spent[-1] / count * 1e7:.0f} us"


def _by_tenth(terminal: Terminal, address: str, before: float) -> list[float]:
    out = []
    for n in range(1, 11):
        limit = time.monotonic() + 120
        while told(address + "/sent")["sent"] != n:
            assert time.monotonic() < limit, "the tenth never ended"
            terminal.pump(0.05)
        spent = settled(terminal)
        out.append(spent - before)
        before = spent
        told(address + "/go")
    return out


def _live(count: int) -> list[float]:
    """CPU seconds of each tenth of so many tokens in a rich.Live(Markdown), 64 a refresh."""
    from rich.console import Console
    from rich.live import Live
    from rich.markdown import Markdown

    null = Path(os.devnull).open("w")  # noqa: SIM115 - it lives as long as the process
    console = Console(file=null, force_terminal=True, width=100, height=30)
    words, out, text = tokens(count, fence=False), [], ""
    with Live(console=console, auto_refresh=False) as live:
        for part in range(10):
            began = time.process_time()
            mine = words[part * count // 10 : (part + 1) * count // 10]
            for at in range(0, len(mine), 64):
                text += "".join(mine[at : at + 64])
                live.update(Markdown(text), refresh=True)
            out.append(time.process_time() - began)
    return out
