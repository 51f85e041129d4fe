"""From exec to the first paint, an echoed key, the real screen; and what is typed meanwhile."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from table import Table, median, ms

from support.terminal import CHAT, Terminal, own_environment
from support.world import World

HERE = Path(__file__).parent
KEY = "λ"  # a letter no frame holds, so that a repaint is not taken for an echo
TYPED = "typed while it starts: 0123456789 abcdefghijklmnopqrstuvwxyz ."


class Start:
    """One start: seconds from exec to the first visible sign, to an echoed key, to the screen."""

    def __init__(self, command: Sequence[str], env: dict[str, str]) -> None:
        with Terminal(command, env, draws=False) as terminal:
            self.paint = self.echo = 0.0
            while not (self.paint and terminal.reads_keys()):
                self._pump(terminal)
                if not self.paint and "›".encode() in terminal.raw:
                    self.paint = time.monotonic() - terminal.started
            at = len(terminal.raw)
            terminal.send(KEY)
            while KEY.encode() not in terminal.raw[at:]:
                self._pump(terminal)
            self.echo = time.monotonic() - terminal.started
            self.screen = self._screen(terminal)
            terminal.send("\x7f\x04")
            terminal.exit_code(20)

    def _pump(self, terminal: Terminal) -> None:
        terminal.pump(0.0005)
        assert time.monotonic() - terminal.started < 20, bytes(terminal.raw[-500:])

    def _screen(self, terminal: Terminal) -> float:
        """When the program itself says that its real screen is painted; 0 where it cannot say."""
        if "CHINWAG_TRACE" not in terminal.env:
            return 0.0
        painted = terminal.wait_traced("painted", seconds=20)
        return float(painted["t"]) - terminal.started


def start(table: Table, folder: Path, quick: bool) -> None:
    world = World(folder / "start")
    floors = own_environment(folder / "start")
    rounds = {"raw": [], "bare": [], "ours": []}  # type: dict[str, list[Start]]
    for n in range(5 if quick else 15):
        env = world.env | {"CHINWAG_TRACE": str(world.home / f"trace-{n}")}
        rounds["raw"].append(Start([sys.executable, str(HERE / "floor_raw.py")], floors))
        rounds["bare"].append(Start([sys.executable, str(HERE / "floor_screen.py")], floors))
        rounds["ours"].append(Start([CHAT], env))
    table.title("start (from exec; floors: a raw painter, a bare prompt_toolkit full screen)")
    for name, runs in rounds.items():
        table.note(f"{name}: first paint", ms([run.paint for run in runs]))
        table.note(f"{name}: first key echoed", ms([run.echo for run in runs]))
    table.note("ours: the real screen painted", ms([run.screen for run in rounds["ours"]]))
    echo = {name: median([run.echo for run in runs]) for name, runs in rounds.items()}
    screen = median([run.screen for run in rounds["ours"]])
    table.ratio("first key echoed, to bare", echo["ours"] / echo["bare"], 1.6)
    table.ratio("first key echoed, to raw", echo["ours"] / echo["raw"], 2.8, due=False)
    table.ratio("real screen, to bare's first key", screen / echo["bare"], 1.6, due=False)
    table.nothing("letters lost or out of order since exec", lost(world, 2 if quick else 6))


def lost(world: World, rounds: int) -> int:
    """Letters typed from the instant of exec on that did not arrive in their place."""
    missing = 0
    for n in range(rounds):
        env = world.env | {"CHINWAG_TRACE": str(world.home / f"typed-{n}")}
        with Terminal([CHAT], env) as terminal:
            for letter in TYPED:
                terminal.send(letter)
                terminal.pump(0.002)
            terminal.wait_traced("painted", seconds=20)
            with contextlib.suppress(AssertionError):
                terminal.wait_for(TYPED, 3)
            shown = next((s for s in terminal.lines() if s.startswith(" ›")), " ›")[3:]
            missing += sum(a != b for a, b in zip(TYPED.ljust(99), shown.ljust(99), strict=False))
            terminal.send("\x03\x04")
            terminal.exit_code(20)
    return missing
