"""The program in a real terminal emulator: alternate screen, resizing, scrolling, wide letters."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.terminal import CHAT, own_environment

TESTS = Path(__file__).parents[1]
TMUX = shutil.which("tmux")
pytestmark = pytest.mark.skipif(
    TMUX is None and os.environ.get("CI") != "true", reason="there is no tmux here"
)


class Tmux:
    """A server of its own with one pane."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "tmux"
        self.env = own_environment(folder)

    def run(self, *words: str) -> str:
        assert TMUX is not None, "CI must have tmux"
        command = [TMUX, "-S", str(self._socket), "-f", "/dev/null", *words]
        done = subprocess.run(
            command, env=self.env, capture_output=True, text=True, timeout=20, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def open(self, columns: int, rows: int, *command: str) -> None:
        """A shell-less pane that stays when its program ends."""
        size = ["-x", str(columns), "-y", str(rows)]
        self.run("new-session", "-d", *size, "sh -c 'echo before; exec sh'")
        self.run("set-option", "-g", "status", "off")
        self.keys(" ".join(command), "Enter")

    def keys(self, *names: str) -> None:
        self.run("send-keys", *names)

    def screen(self, *how: str) -> str:
        return self.run("capture-pane", "-p", *how)

    def wait(self, words: str, seconds: float = 15) -> str:
        limit = time.monotonic() + seconds
        while words not in (seen := self.screen()):
            assert time.monotonic() < limit, f"{words!r} is not on the screen:\n{seen}"
            time.sleep(0.05)
        return seen

    def resize(self, columns: int, rows: int) -> None:
        self.run("resize-window", "-x", str(columns), "-y", str(rows))


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    server = Tmux(tmp_path)
    try:
        yield server
    finally:
        with contextlib.suppress(AssertionError):
            server.run("kill-server")


def played(*options: str) -> list[str]:
    """The screen in front of a desk that plays."""
    return [f"cd {TESTS} &&", sys.executable, "-m", "support.fake_screen", *options]


def test_leaving_gives_the_normal_screen_back_with_the_last_words(tmux):
    tmux.open(80, 20, CHAT)
    tmux.wait("›")
    tmux.wait("chinwag")
    assert tmux.run("display", "-p", "#{alternate_on}").strip() == "1"
    assert "before" not in tmux.screen()
    tmux.keys("hello there", "Enter")
    tmux.wait("guide")
    tmux.wait("saved")
    tmux.keys("C-d")
    seen = tmux.wait("chat --resume")
    assert "before" in seen
    assert "› hello there" in seen
    assert tmux.run("display", "-p", "#{alternate_on} #{cursor_flag}").split() == ["0", "1"]


def test_the_program_is_suspended_and_comes_back_as_it_was(tmux):
    tmux.open(80, 20, CHAT)
    tmux.wait("›")
    tmux.keys("hello there", "Enter")
    tmux.wait("saved")
    while "esc stops" in tmux.screen():
        time.sleep(0.1)
    tmux.keys("a draft")
    there = tmux.wait("› a draft")
    tmux.keys("C-z")
    assert "before" in tmux.wait("Stopped")
    assert tmux.run("display", "-p", "#{alternate_on} #{cursor_flag}").split() == ["0", "1"]
    tmux.keys("echo typed", "Enter")
    tmux.wait("\ntyped")
    tmux.keys("fg", "Enter")
    back = tmux.wait("› a draft")
    assert back.split("\n")[:2] == there.split("\n")[:2]
    tmux.keys("C-c", "C-d")
    tmux.wait("chat --resume")


def test_an_answer_streams_scrolls_and_is_read_back(tmux):
    tmux.open(60, 16, *played())
    tmux.wait("›")
    tmux.keys("list 60", "Enter")
    tmux.wait("item 59")
    time.sleep(0.3)
    seen = tmux.screen()
    rows = [line.split()[-1] for line in seen.split("\n") if "item " in line]
    assert rows == [str(n) for n in range(60 - len(rows), 60)], seen
    tmux.keys("PageUp")
    up = tmux.wait("more lines below")
    rows = [int(line.split()[-1]) for line in up.split("\n") if "item " in line]
    assert rows == list(range(rows[0], rows[0] + len(rows)))
    tmux.keys("C-l")
    time.sleep(0.2)
    assert tmux.screen() == up


def test_joined_emoji_and_other_scripts_keep_their_row_whole(tmux):
    tmux.open(80, 40, *played())
    tmux.wait("›")
    tmux.keys("slow", "Enter")
    seen = tmux.wait("That is all.", 20)
    (row,) = [line for line in seen.split("\n") if "early bird" in line]
    assert "gets the window seat. 窓際の席 👨" in row
    assert row.rstrip().endswith("PT")
    assert sum("28" in line and "05:40" in line for line in seen.split("\n")) == 1


def test_after_any_resize_it_is_drawn_as_if_it_had_begun_so(tmux):
    tmux.open(80, 24, *played("--messages", "20"))
    tmux.wait("Question 18?")
    for columns, rows in ((40, 12), (100, 30), (20, 6), (81, 23), (80, 24)):
        tmux.resize(columns, rows)
        time.sleep(0.15)
    limit = time.monotonic() + 5
    while True:
        seen = tmux.screen()
        tmux.keys("C-l")
        time.sleep(0.2)
        if seen == tmux.screen() or time.monotonic() > limit:
            break
    assert seen == tmux.screen()
    lines = seen.split("\n")
    assert sum("Question 18?" in line for line in lines) == 1
    assert sum(line.startswith(" ›") for line in lines) == 1


def test_who_leaves_at_once_leaves_no_answer_of_the_terminal_behind(tmux):
    tmux.open(60, 10, CHAT)
    tmux.wait("›")
    tmux.keys("C-d")
    limit = time.monotonic() + 5
    while tmux.run("display", "-p", "#{alternate_on}").strip() == "1":
        assert time.monotonic() < limit
        time.sleep(0.02)
    time.sleep(0.3)
    assert "rgb" not in tmux.screen()
