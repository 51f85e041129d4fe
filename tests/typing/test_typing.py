"""The face is typed: programs of ours pass mypy's strict mode, and mistakes are found."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """(file name, line, code) of everything mypy says about the two programs."""
    cache = os.environ.get("MYPY_CACHE_DIR", str(ROOT / ".mypy_cache"))
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary"]
    command += ["--cache-dir", cache, str(HERE / "good.py"), str(HERE / "bad.py")]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    found = re.findall(r"^(\S+?):(\d+): error: .*\[([a-z-]+)\]$", run.stdout, re.MULTILINE)
    assert found, run.stdout + run.stderr
    return {(Path(name).name, int(line), code) for name, line, code in found}


@pytest.mark.slow
def test_a_right_program_is_right(told):
    assert [each for each in told if each[0] == "good.py"] == []


@pytest.mark.slow
def test_each_mistake_is_found_and_nothing_else(told):
    lines = (HERE / "bad.py").read_text().splitlines()
    expected = {
        n: set(line.partition("# expect: ")[2].split(","))
        for n, line in enumerate(lines, 1)
        if "# expect: " in line
    }
    found = {n: {c for f, m, c in told if (f, m) == ("bad.py", n)} for n in expected}
    assert all(found[n] and found[n] <= expected[n] for n in expected), found
    assert {n for f, n, _ in told if f == "bad.py"} == set(expected)


def test_the_package_says_that_it_is_typed():
    assert (ROOT / "src" / "chinwag" / "py.typed").exists()
