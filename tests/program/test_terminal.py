"""The terminal these tests look through sees what it must, so that they can fail."""

from __future__ import annotations

import sys

import pytest

from support.terminal import Terminal, own_environment


def run(tmp_path, script: str, **more) -> Terminal:
    return Terminal([sys.executable, "-c", script], own_environment(tmp_path), **more)


def test_what_a_program_leaves_behind_is_seen(tmp_path):
    script = """
import os, termios
mode = termios.tcgetattr(0)
mode[3] &= ~termios.ECHO
termios.tcsetattr(0, termios.TCSANOW, mode)
os.write(1, b"\\x1b[?1049h\\x1b[?25l\\x1b[?2004h")
"""
    with run(tmp_path, script) as terminal:
        assert terminal.exit_code() == 0
        faults = " ".join(terminal.restored())
    assert "terminal settings" in faults
    assert "cursor" in faults
    assert "1049" in faults
    assert "2004" in faults


def test_the_alternate_screen_hides_the_normal_one(tmp_path):
    script = r"""
print("before")
print("\x1b[?1049h\x1b[Hfull screen", end="", flush=True)
input()
print("\x1b[?1049l", end="")
print("after")
"""
    with run(tmp_path, script) as terminal:
        terminal.wait_for("full screen")
        assert "before" not in terminal.screen()
        terminal.press("enter")
        assert terminal.exit_code() == 0
        assert terminal.lines()[:2] == ["before", "after"]
        assert terminal.restored() == []


@pytest.mark.parametrize(
    ("question", "answer"), [("\\x1b[6n", "\\x1b[1;3R"), ("\\x1b[c", "\\x1b[?62;22c")]
)
def test_questions_are_answered(tmp_path, question, answer):
    script = f"""
import os, tty
tty.setraw(0)
os.write(1, b"ab{question}")
got = b""
while not got.endswith((b"R", b"c")):
    got += os.read(0, 64)
os.write(1, b"right" if got == b"{answer}" else repr(got).encode())
"""
    with run(tmp_path, script) as terminal:
        terminal.wait_for("right")


def test_what_never_comes_fails_showing_the_screen(tmp_path):
    with run(tmp_path, "print('only this'); input()") as terminal:
        terminal.wait_for("only this")
        with pytest.raises(AssertionError, match="only this"):
            terminal.wait_for("something else", 0.1)


def test_what_is_typed_before_the_program_waits_for_it(tmp_path):
    with run(tmp_path, "print('read', input())", typed=b"early\n") as terminal:
        assert terminal.exit_code() == 0
        assert "read early" in terminal.screen()


def test_it_is_the_controlling_terminal(tmp_path):
    script = "import os; print('ours' if os.getsid(0) == os.getpid() and open('/dev/tty') else '')"
    with run(tmp_path, script) as terminal:
        terminal.exit_code()
        assert "ours" in terminal.screen()
