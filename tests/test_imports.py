"""Each road pays for itself only: what is imported on the way, seen in a fresh process.

A finder in front of all others notes every module that is looked for and when; for the screen,
what counts is what had been looked for when the first frame was painted.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.terminal import Terminal
from support.world import World

PROBE = """
import sys, time
log = open(sys.argv[1], "a", buffering=1)
class Watch:
    @staticmethod
    def find_spec(name, path=None, target=None):
        log.write(f"{time.monotonic()} {name}\\n")
sys.meta_path.insert(0, Watch)
sys.argv = ["chat", *sys.argv[2:]]
from chinwag.boot import main
main()
"""
HEAVY = {"prompt_toolkit", "httpx", "tiktoken", "rich", "markdown_it", "pygments"}
HEAVY |= {"tomlkit", "typer"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path / "home")
    world.configure('model = "guide/guide"\n')
    return world


def walk(world: World, *args: str, typed: str = "", until: str = "") -> tuple[bytes, set[str]]:
    """Go a road at a terminal; returns what it wrote, and the modules it looked for."""
    log = world.home / "imports"
    env = world.env | {"CHINWAG_TRACE": str(world.trace_file)}
    command = [sys.executable, "-c", PROBE, str(log), *args]
    with Terminal(command, env, rows=60) as terminal:
        limit = float("inf")
        if until:
            limit = terminal.wait_traced(until)["t"]
            terminal.ready()
            terminal.send(typed)
        terminal.exit_code(20)
        assert terminal.restored() == []
    rows = [line.split() for line in log.read_text().splitlines()]
    return bytes(terminal.raw), {name for at, name in rows if float(at) <= limit}


def tops(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def test_version_costs_an_interpreter(world):
    written, names = walk(world, "--version")
    assert b"chinwag " in written
    assert tops(names) & HEAVY == set()
    assert tops(names) & {"asyncio", "msgspec", "re", "typing", "json"} == set()


def test_help_needs_typer_and_no_more(world):
    written, names = walk(world, "--help")
    assert b"--resume" in written
    assert tops(names) & (HEAVY - {"typer"}) == set()


@pytest.mark.parametrize("road", [("sessions", "list"), ("config", "path")])
def test_lists_draw_nothing(world, road):
    _, names = walk(world, *road)
    assert tops(names) & (HEAVY - {"typer"}) == set()


def test_one_answer_needs_no_screen(world):
    written, names = walk(world, "zzz qqq")
    assert b"guide" in written
    assert tops(names) & {"prompt_toolkit", "rich", "markdown_it", "pygments", "httpx"} == set()


def test_nothing_of_tools_is_imported_where_none_are_offered(world):
    """Neither the tools nor what decides about them; where they are offered, both are."""
    ours = ("chinwag.tools", "chinwag.engine.rounds", "chinwag.engine.approvals", "chinwag.arming")
    _, names = walk(world, "zzz qqq")
    assert [name for name in names if name.startswith(ours)] == []
    _, names = walk(world, typed="\x04", until="painted")
    assert [name for name in names if name.startswith(ours)] == []
    log = world.home / "imports"
    log.unlink()
    _, names = walk(world, "--tools", "clock", "zzz qqq")
    assert {"chinwag.tools.base", "chinwag.engine.rounds"} <= names
    assert "chinwag.tools.mcp" not in names


def test_the_empty_screen_is_painted_before_the_rest(world):
    _, names = walk(world, typed="\x04", until="painted")
    assert "prompt_toolkit" in tops(names)
    assert tops(names) & (HEAVY - {"prompt_toolkit"}) == set()


def test_the_first_frame_comes_before_anything_heavy(world):
    """The early painter's bytes are out before asyncio is so much as looked for."""
    log = world.home / "imports"
    command = [sys.executable, "-c", PROBE, str(log)]
    with Terminal(command, world.env, draws=False) as terminal:
        terminal.wait_raw("›".encode())
        seen = {line.split()[1] for line in log.read_text().splitlines()}
        terminal.ready()
        terminal.send("\x04")
        terminal.exit_code(20)
    assert "chinwag.frontends.tui.first_frame" in seen
    order = [line.split()[1] for line in log.read_text().splitlines()]
    painted = order.index("chinwag.frontends.tui.first_frame")
    assert tops(set(order[:painted])) & (HEAVY | {"asyncio", "msgspec", "re"}) == set()


def test_the_probe_sees_what_is_imported(world):
    """So that the tests above can fail."""
    log = world.home / "imports"
    script = PROBE.rpartition("from chinwag")[0] + "import httpx"
    with Terminal([sys.executable, "-c", script, str(log)], world.env) as terminal:
        assert terminal.exit_code(20) == 0
    assert "httpx" in tops({line.split()[1] for line in log.read_text().splitlines()})
