"""One question, one answer, out: `chat "…"` beside a script that does it with httpx (P17)."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lab import serving
from table import Table, least, ms

from support.terminal import CHAT
from support.world import World

HERE = Path(__file__).parent
ASKED = "tokens=200 apart"


class Once:
    """One run, from exec to exit: wall and CPU seconds, and what it printed."""

    def __init__(self, command: Sequence[str], env: dict[str, str]) -> None:
        before, began = _spent(), time.perf_counter()
        done = subprocess.run(
            command, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True
        )
        self.wall = time.perf_counter() - began
        self.cpu = _spent() - before
        self.out = done.stdout


def _spent() -> float:
    """CPU seconds of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def oneshot(table: Table, folder: Path, quick: bool) -> None:
    runs: dict[str, list[Once]] = {"httpx loop": [], "ours": []}
    with serving() as address:
        world = World(folder / "home")
        world.use(address + "/v1", model="bench")
        env = {k: v for k, v in world.env.items() if k != "CHINWAG_TRACE"}
        floor = [sys.executable, str(HERE / "floor_once.py"), address + "/v1", ASKED]
        Once([CHAT, ASKED], env)  # the first run on a machine makes its folders
        for _ in range(5 if quick else 20):
            runs["httpx loop"].append(Once(floor, env))
            runs["ours"].append(Once([CHAT, ASKED], env))
    said = {name: each[-1].out.strip() for name, each in runs.items()}
    assert said["ours"] == said["httpx loop"], said
    table.title("one-shot, an answer of 200 tokens to a pipe (from exec to exit, session saved)")
    for name, each in runs.items():
        table.note(f"{name}: wall", ms([run.wall for run in each]))
        table.note(f"{name}: CPU", ms([run.cpu for run in each]))
    wall, cpu = (
        least([getattr(r, what) for r in runs["ours"]])
        / least([getattr(r, what) for r in runs["httpx loop"]])
        for what in ("wall", "cpu")
    )
    table.ratio("wall, to the httpx loop", wall, 1.6)
    table.note("CPU, to the httpx loop", f"{cpu:.2f} x")
