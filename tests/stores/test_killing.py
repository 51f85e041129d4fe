from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = 300


@pytest.mark.slow
def test_writers_killed_at_random_lose_nothing_that_was_acknowledged(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """`--soak 10`, or CHINWAG_SOAK=3000, kills more."""
    kills = int(os.environ.get("CHINWAG_SOAK", KILLS * request.config.getoption("--soak")))
    seed = random.randrange(1 << 30)
    script = Path(__file__).with_name("killing.py")
    command = [sys.executable, str(script), str(tmp_path), str(kills), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60 + kills)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    counted = json.loads(done.stdout)
    assert counted["kills"] == kills
    assert counted["entries"] > kills  # the writers did get to write
