"""The two set-up commands: their targets are there, and a machine without Python is told so."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "Makefile").read_text()
PROMISED = {
    *("chat", "test", "check", "bench", "screens", "demo", "redis", "clean", "lock", "soak"),
    *("install", "format", "help", "models"),
}


def test_every_promised_target_is_there_and_explained():
    phony = set(re.findall(r"^\.PHONY: (.*)$", TEXT, re.MULTILINE)[0].split())
    rules = set(re.findall(r"^([a-z]+):", TEXT, re.MULTILINE))
    explained = set(re.findall(r'^\t@echo "make ([a-z]+)', TEXT, re.MULTILINE))
    assert phony == rules == PROMISED
    assert explained == PROMISED - {"help"}


def machine(tmp_path: Path, python: str) -> dict[str, str]:
    """An environment whose PATH holds make's own needs and a ``python3`` that is ``python``."""
    for name in ("sh", "find", "rm", "touch"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    (tmp_path / "python3").write_text(f"#!/bin/sh\n{python}\n")
    (tmp_path / "python3").chmod(0o755)
    return {"PATH": str(tmp_path)}


@pytest.fixture
def checkout(tmp_path):
    place = tmp_path / "checkout"
    (place / "src").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", place)
    shutil.copy(ROOT / "pyproject.toml", place)
    shutil.copytree(ROOT / "requirements", place / "requirements")
    return place


@pytest.mark.parametrize(
    ("python", "sentence"),
    [
        ("exit 1", "chinwag needs Python 3.11 or later"),
        ('[ "$1" = -c ]', "python3 cannot make virtual environments; install its venv module"),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(tmp_path, checkout, python, sentence):
    tools = tmp_path / "bin"
    tools.mkdir()
    make = shutil.which("make")
    assert make
    run = subprocess.run(
        [make, "chat"],
        cwd=checkout,
        env=machine(tools, python),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr.startswith(sentence)
    assert "Traceback" not in run.stderr
    assert not (checkout / ".venv").exists()
