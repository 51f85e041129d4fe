"""A long answer as fast as it is taken: CPU a token in each quarter of it, on the real screen."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from lab import cpu_of, serving, settled, told
from table import Table, median

from support.terminal import CHAT, Terminal
from support.world import World

HERE = Path(__file__).parent


def quarters(terminal: Terminal, address: str, before: float) -> list[float]:
    """CPU seconds of each quarter of the answer that is sent; ``before`` it so many were spent."""
    out = []
    for n in range(1, 5):
        limit = time.monotonic() + 120
        while told(address + "/sent")["sent"] < n:
            assert time.monotonic() < limit, "the quarter never ended"
            terminal.pump(0.05)
        spent = settled(terminal)
        out.append(spent - before)
        before = spent
        told(address + "/go")
    return out


def stream(table: Table, folder: Path, quick: bool) -> None:
    tokens = 4_000 if quick else 20_000
    ours: list[list[float]] = []
    floor: list[list[float]] = []
    size = 0
    with serving() as address:
        world = World(folder / "stream")
        world.use(address + "/v1", model="bench")
        for n in range(1 if quick else 3):
            floor.append(_floor_stream(world, address, tokens))
            found, size = _our_stream(world, address, tokens, n)
            ours.append(found)
    table.title(f"streaming {tokens:,} tokens as fast as they are taken, CPU a token")
    per = tokens / 4 / 1e6
    for n in range(4):
        mine, bare = (median([run[n] for run in runs]) / per for runs in (ours, floor))
        table.note(f"quarter {n + 1}: ours / httpx + print", f"{mine:.0f} / {bare:.0f} us")
    table.note("bytes to the terminal", f"{size:,}")
    whole = median([sum(run) for run in ours]) / median([sum(run) for run in floor])
    table.ratio("last quarter to first", median([run[3] / run[0] for run in ours]), 1.3)
    table.ratio("whole answer, to httpx + print", whole, 3.0, due=False)


def _our_stream(world: World, address: str, tokens: int, n: int) -> tuple[list[float], int]:
    env = world.env | {"CHINWAG_TRACE": str(world.home / f"trace-{n}")}
    with Terminal([CHAT], env, draws=False) as terminal:
        terminal.ready()
        terminal.wait_traced("painted")
        settled(terminal)
        terminal.send("tokens=600\r")  # what the first answer imports is not what is measured
        terminal.wait_traced("rested", 1, 30)
        before = settled(terminal)
        size = len(terminal.raw)
        terminal.send(f"tokens={tokens} quarters\r")
        terminal.wait_traced("request", 2, 30)
        found = quarters(terminal, address, before)
        terminal.wait_traced("rested", 2, 60)
        size = len(terminal.raw) - size
        terminal.send("\x04")
        terminal.exit_code(20)
    return found, size


def _floor_stream(world: World, address: str, tokens: int) -> list[float]:
    question = f"tokens={tokens} quarters"
    command = [sys.executable, str(HERE / "floor_stream.py"), address + "/v1", question]
    with Terminal(command, world.env, draws=False) as terminal:
        # Its imports are over before the first token is printed.
        terminal.wait_raw(b"Section")
        before = cpu_of(terminal.pid)
        found = quarters(terminal, address, before)
        terminal.exit_code(20)
    return found
