"""The documents in sessions.example/ are what they claim to be, and stay readable."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from chinwag.stores.files import FileStore
from chinwag.talk.entry import AssistantSaid, Status, ToolReturned, UserSaid
from chinwag.talk.message import Thinking
from chinwag.talk.session import Session, fold_all

EXAMPLES = sorted((Path(__file__).parents[2] / "sessions.example").glob("*.json"))


@pytest.fixture
def store(tmp_path):
    folder = tmp_path / "sessions"
    folder.mkdir(mode=0o700)
    for path in EXAMPLES:
        shutil.copy(path, folder)
        (folder / path.name).chmod(0o600)
    with FileStore(tmp_path) as opened:
        yield opened


def opened(store, path):
    stored = store.read(path.stem)
    assert not stored.notices
    return fold_all(Session(stored.birth), stored.entries)


def test_there_are_three():
    assert len(EXAMPLES) == 3


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_each_is_plain_json_and_opens(store, path):
    plain = json.loads(path.read_text(encoding="utf-8"))
    assert plain["format"] == 1
    session = opened(store, path)
    assert plain["meta"]["count"] == len(session) == len(plain["messages"])
    assert plain["meta"]["title"] == session.title == store.header(path.stem).headline.title
    assert [m["n"] for m in plain["messages"]] == list(range(1, len(session) + 1))


def test_what_each_shows(store):
    talk, tools, scripts = (opened(store, path) for path in EXAMPLES)
    assert all(isinstance(e, UserSaid | AssistantSaid) for _, e in talk.said())

    kinds = [type(e) for e in tools.entries]
    assert kinds.count(ToolReturned) == 2
    assert any(isinstance(p, Thinking) for e in tools.entries for p in getattr(e, "parts", ()))
    assert len({e.provider for e in tools.entries if isinstance(e, AssistantSaid)}) == 2
    asked = next(n for n, e in enumerate(tools.entries, 1) if isinstance(e, UserSaid) and n > 3)
    assert len(tools.children(asked)) == 2, "a branch"
    assert tools.last_answer.status is Status.INTERRUPTED

    text = "".join(e.text for _, e in scripts.said())
    for piece in ("日", "ع", "ש", "👨‍👩‍👧‍👦", "🇵🇹", "def step_24"):
        assert piece in text
