"""Servers and worlds for driving the installed program."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import llama, tiny_gguf
from support.world import World

WORDS = 100  # of the endless model's wheel
MOST = 3000  # tokens after which even the endless one stops


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "home")


@pytest.fixture(scope="session")
def _models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the models are written; skips, saying so, where none can be made or served."""
    problem = llama.missing()
    if problem and os.environ.get("CI") != "true":
        pytest.skip(problem)
    assert not problem, problem
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def llama_server(_models: Path) -> Iterator[llama.Server]:
    """llama.cpp with the model that answers `tiny_gguf.answer()`."""
    with llama.serving(tiny_gguf.write(_models / "harbour.gguf")) as server:
        yield server


@pytest.fixture(scope="session")
def endless_server(_models: Path) -> Iterator[llama.Server]:
    """llama.cpp with a model that counts waves and is slow enough to be stopped."""
    path = tiny_gguf.write(_models / "waves.gguf", endless=WORDS, layers=6, width=384)
    with llama.serving(path, MOST) as server:
        yield server


@pytest.fixture(scope="session")
def answer() -> str:
    return tiny_gguf.answer()
