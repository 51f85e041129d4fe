"""`make bench` runs and judges; its figures are for a quiet machine, not for a test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[1] / "bench" / "run.py"


def test_each_line_says_measured_goal_and_verdict():
    command = [sys.executable, str(BENCH), "--quick", "--only", "append"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    judged = [line for line in done.stdout.splitlines() if "   goal " in line]
    assert len(judged) == 3, done.stdout + done.stderr
    assert all(line.endswith(("ok", "MISSED", "not yet due")) for line in judged)
    assert done.returncode == any(line.endswith("MISSED") for line in judged)
