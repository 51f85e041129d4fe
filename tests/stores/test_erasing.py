"""Erasing for good: of what was said no byte is left in any file."""

from __future__ import annotations

import pytest

from chinwag.errors import SessionLocked
from chinwag.stores.base import PartHead
from chinwag.stores.files import FileStore
from chinwag.stores.sqlite import SqliteStore
from chinwag.talk.delta import TextDelta
from chinwag.talk.entry import UserSaid
from chinwag.talk.message import File, Text
from chinwag.talk.session import Headline
from contracts.store import birth, some

WORD = "xylophone"


@pytest.fixture(params=["files", "sqlite"])
def make(request, tmp_path):
    if request.param == "files":
        return lambda: FileStore(tmp_path)
    return lambda: SqliteStore(tmp_path / "all.db")


def with_the_word(root):
    return [str(p) for p in root.rglob("*") if p.is_file() and WORD.encode() in p.read_bytes()]


def test_no_byte_is_left(make, tmp_path):
    born, other = birth(), birth()
    large = File(mime="text/plain", name="f", text=f"{WORD} " * 60_000)
    said = (UserSaid(id="u", at="t", parts=(Text(WORD), large)),)
    with make() as store:
        store.append(other, some(3), at=0, headline=Headline())
        store.append(born, said, at=0, headline=Headline(title=WORD))
        store.delete(born.id)
        store.append(born, said, at=0, headline=Headline(title=WORD))
        store.begin_part(born.id, PartHead(2, "p", "t"))
        store.add_part(born.id, [TextDelta(WORD)], sync=True)
        assert with_the_word(tmp_path)
        store.erase(born.id)
        assert with_the_word(tmp_path) == []
        assert store.read(other.id).entries == some(3)
    assert with_the_word(tmp_path) == []


def test_what_another_session_needs_stays(tmp_path):
    large = File(mime="text/plain", name="f", text="shared " * 60_000)
    said = (UserSaid(id="u", at="t", parts=(large,)),)
    one, two = birth(), birth()
    with FileStore(tmp_path) as store:
        store.append(one, said, at=0, headline=Headline())
        store.append(two, said, at=0, headline=Headline())
        store.erase(one.id)
        assert store.read(two.id).entries == said


def test_nobody_erases_what_another_writes(make):
    born = birth()
    with make() as writer, make() as other:
        writer.append(born, some(1), at=0, headline=Headline())
        with pytest.raises(SessionLocked):
            other.erase(born.id)
        assert len(writer.read(born.id).entries) == 1
