"""Enter to the question at the server, in the real program on a terminal (P16).

Its store holds a session of 10,000 messages beside the one that is begun. The goals are times on
the machine they were set on; the floor of the same run, an httpx client in a process of its own,
tells how fast this one is at present.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import talks
from lab import serving, settled, told
from table import Table, least, ms, us

from support.terminal import CHAT, Terminal
from support.world import World

HERE = Path(__file__).parent
FIRST, LATER = 15.0, 4.0  # ms, performance.md
THEN = 1.4, 0.3  # ms: what the floor took where these goals were set
PAUSE = 0.15  # seconds between the text and Enter, or that counts as pasted


class Asked:
    """One start of the program: seconds of the first question, and of those after it."""

    def __init__(self, world: World, address: str, n: int, later: int) -> None:
        env = world.env | {"CHINWAG_TRACE": str(world.home / f"first-{n}")}
        with Terminal([CHAT], env, draws=False) as terminal:
            terminal.ready()
            terminal.wait_traced("painted", seconds=30)
            settled(terminal)  # nobody types a question sooner
            times = [self._lag(terminal, address, at + 1) for at in range(1 + later)]
            terminal.send("\x04")
            terminal.exit_code(20)
        self.first, self.later = times[0], times[1:]

    def _lag(self, terminal: Terminal, address: str, nth: int) -> float:
        terminal.send("tokens=3")
        until = time.monotonic() + PAUSE
        while time.monotonic() < until:
            terminal.pump(0.02)
        before = told(address + "/arrived")["questions"]
        began = time.monotonic()
        terminal.send("\r")
        terminal.wait_traced("rested", nth, 30)
        now = told(address + "/arrived")
        assert now["questions"] == before + 1, (before, now)
        return float(now["arrived"]) - began


def first(table: Table, folder: Path, quick: bool) -> None:
    rounds, later = (3, 5) if quick else (8, 10)
    world = World(folder / "home")
    talks.write(world.data, 10_000, "long")
    firsts: list[float] = []
    laters: list[float] = []
    floors: tuple[list[float], list[float]] = ([], [])
    with serving() as address:
        world.use(address + "/v1", model="bench")
        for n in range(rounds):
            asked = Asked(world, address, n, later)
            firsts.append(asked.first)
            laters += asked.later
            once, again = _floor(address, later)
            floors[0].extend(once)
            floors[1].extend(again)
    table.title("Enter to the question at the server, on the screen, 10,000 messages in the store")
    table.note("httpx client: first", us(floors[0]))
    table.note("httpx client: later", us(floors[1]))
    table.note("ours: first", ms(firsts))
    table.note("ours: later", ms(laters))
    slow = max(1.0, least(floors[1]) * 1e3 / THEN[1])
    table.note("this machine now, to the one of the goals", f"{slow:.1f} x slower")
    table.millis("first, at that machine's speed", least(firsts) / slow, FIRST)
    table.millis("later, at that machine's speed", least(laters) / slow, LATER)


def _floor(address: str, later: int) -> tuple[list[float], list[float]]:
    """Seconds of a bare client's first question and of its later ones."""
    command = [sys.executable, str(HERE / "floor_enter.py"), address, str(later)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    times = [float(line) for line in done.stdout.split()]
    return times[:1], times[1:]
