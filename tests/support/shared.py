"""Recordings that are not ours to ship: read from beside the project, skipped where absent."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def need(path: Path) -> Path:
    """``path``, or a skip that says so; in CI its absence is a failure."""
    if not path.exists() and not os.environ.get("CI"):
        pytest.skip(f"{path} is not here")
    return path


def load(name: str) -> Any:
    return json.loads(need(DATA / name).read_text("utf-8"))


def names(*apis: str) -> list[str]:
    """The recordings of these APIs, for parametrize; one that will skip where they are absent."""
    index = DATA / "wire" / "INDEX.json"
    if not index.exists():
        return ["absent"]
    rows = json.loads(index.read_text("utf-8"))
    return [row["file"] for row in rows if row["api"] in apis]


def wire(name: str) -> bytes:
    return need(DATA / "wire" / name).read_bytes()
