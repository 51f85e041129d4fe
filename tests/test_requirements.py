"""The lists in requirements/ say what pyproject.toml says, hashed, and name no address."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LISTS = sorted((ROOT / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def asked(name: str) -> list[str]:
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    return sorted(line for line in lines if line and line[0] not in "#-")


def pinned(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def test_nine_dependencies_and_the_same_in_both_places():
    assert sorted(PROJECT["dependencies"]) == asked("runtime.in")
    assert len(PROJECT["dependencies"]) == 9


@pytest.mark.parametrize("path", LISTS, ids=lambda p: p.name)
def test_every_line_is_pinned_hashed_and_without_address(path):
    text = path.read_text()
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert entries
    assert not [e for e in entries if "==" not in e or "--hash=sha256:" not in e]
    assert not re.search(r"://|index-url|find-links|trusted-host", text)


def test_development_uses_the_very_versions_that_users_get():
    dev = pinned((ROOT / "requirements" / "dev.txt").read_text())
    runtime = pinned((ROOT / "requirements" / "runtime.txt").read_text())
    assert runtime.items() <= dev.items()


@pytest.mark.parametrize("name", ["runtime", "build", "dev"])
def test_what_is_asked_for_is_in_the_list(name):
    bare = (re.split(r"[<>=\[;~! ]", line)[0] for line in asked(f"{name}.in"))
    names = {each.lower().replace("_", "-") for each in bare}
    assert names <= pinned((ROOT / "requirements" / f"{name}.txt").read_text()).keys()
