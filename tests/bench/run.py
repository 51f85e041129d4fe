"""What the program costs, as ratios to floors measured in the same run. `make bench`.

    python tests/bench/run.py [--quick] [--only NAME,NAME...]

Candidates take turns, so that a busy moment strikes all of them; medians are compared. The exit
code is 1 when a goal that is due was missed. Times are wall seconds unless CPU is said.

A new section is a line in ``SECTIONS``: a module beside this one, and a function in it that takes
the table, a folder of its own and whether to be quick.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

from table import Table  # noqa: E402 - the paths above come first

Section = Callable[[Table, Path, bool], None]

SECTIONS = {
    "start": "starting:start",
    "frame": "frames:frame",
    "stream": "streaming:stream",
    "screen": "screen:screen",
    "append": "appending:append",
    "stores": "stores:stores",
    "search": "search:search",
    "tools": "tools:tools",
    "wire": "wire:wire",
    "enter": "enter:enter",
    "first": "first:first",
    "oneshot": "oneshot:oneshot",
    "context": "context:context",
}


def section(name: str) -> Section:
    """The function that measures it, imported when it is asked for."""
    module, _, function = SECTIONS[name].partition(":")
    found: Section = getattr(importlib.import_module(module), function)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, a shorter answer")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, commas between")
    asked = parser.parse_args()
    names = asked.only.split(",")
    if unknown := [name for name in names if name not in SECTIONS]:
        parser.error(f"no section {unknown[0]}: there are {', '.join(SECTIONS)}")
    source = HERE.parents[1] / "src"
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(source)], check=True)
    table = Table()
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder:
        for name in names:
            own = Path(folder) / name
            own.mkdir()
            section(name)(table, own, asked.quick)
    print(f"\n{table.missed} due goals missed" if table.missed else "\nevery due goal reached")
    return 1 if table.missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
