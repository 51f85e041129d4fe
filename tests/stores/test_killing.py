from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = 300
ROUNDS = 60


def run(folder: Path, rounds: int, *more: str) -> dict[str, float]:
    seed = random.randrange(1 << 30)
    script = Path(__file__).with_name("killing.py")
    command = [sys.executable, str(script), str(folder), str(rounds), str(seed), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90 + rounds)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    counted: dict[str, float] = json.loads(done.stdout)
    assert counted["kills"] == rounds
    assert counted["entries"] > rounds  # the writers did get to write
    return counted


@pytest.mark.slow
def test_writers_killed_at_random_lose_nothing_that_was_acknowledged(
    tmp_path: Path, soak: int
) -> None:
    """10,000 with `--soak 20`, as `make soak` does."""
    run(tmp_path, KILLS if soak == 1 else 500 * soak)


@pytest.mark.slow
@pytest.mark.alone
def test_two_that_want_one_session_lose_nothing(tmp_path: Path, soak: int) -> None:
    """1,200 rounds with `--soak 20`, as `make soak` does."""
    counted = run(tmp_path, ROUNDS * soak, "two")
    assert counted["told"] > ROUNDS / 4
    assert counted["slowest"] < 0.2  # seconds until the second knew who, where and since when
