"""What the shell is given to complete with: real shells are asked where they are there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHAT = Path(sys.executable).with_name("chat")


def script(shell):
    done = subprocess.run([CHAT, "completion", shell], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def completed(words, tmp_path):
    """What bash offers after ``words``, the last of which is being typed."""
    (tmp_path / "chat.bash").write_text(script("bash"))
    line = " ".join(f"'{w}'" for w in words)
    ask = f"""source {tmp_path}/chat.bash
COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _chat_completion
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    env = {
        **os.environ,
        "PATH": f"{CHAT.parent}:{os.environ['PATH']}",
        "CHINWAG_DATA_DIR": str(tmp_path / "data"),
    }
    done = subprocess.run(
        ["bash", "--norc", "-c", ask], capture_output=True, text=True, env=env, check=False
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["chat", "sess"], "sessions"),
        (["chat", "sessions", "exp"], "export"),
        (["chat", "--bud"], "--budget"),
        (["chat", "sessions", "list", "--js"], "--json"),
        (["chat", "keys", "s"], "set"),
    ],
)
def test_bash_offers_what_is_there(words, wanted, tmp_path):
    assert wanted in completed(words, tmp_path)


def test_bash_offers_the_names_of_sessions(tmp_path, monkeypatch):
    monkeypatch.setenv("CHINWAG_DATA_DIR", str(tmp_path / "data"))
    said = subprocess.run(
        [CHAT, "-n", "lisbon", "-m", "guide/guide", "how do I leave"],
        capture_output=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert completed(["chat", "-r", "lis"], tmp_path) == ["lisbon"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_command_and_option_is_in_each(shell):
    told = script(shell)
    for word in ("sessions", "export", "budget", "json", "continue", "doctor"):
        assert word in told
    if (program := shutil.which(shell)) is not None:
        done = subprocess.run(
            [program, "-n"], input=told, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_another_shell_is_refused_in_words():
    done = subprocess.run([CHAT, "completion", "csh"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "bash, zsh, fish" in done.stderr
