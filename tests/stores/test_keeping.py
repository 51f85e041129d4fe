"""Private and lasting: what is handed over while it is private never reaches the lasting store."""

from __future__ import annotations

import asyncio

import pytest

from chinwag.stores.files import FileStore
from chinwag.stores.keeping import Keeping
from chinwag.stores.memory import MemoryStore
from chinwag.talk.session import Headline
from contracts.store import birth, some


@pytest.fixture
def reports():
    return []


@pytest.fixture
def make(tmp_path, reports):
    made = []

    def keeping(**more):
        made.append(Keeping(FileStore(tmp_path / "data"), MemoryStore, reports.append, **more))
        return made[-1]

    yield keeping
    for one in made:
        one.close()


async def test_a_private_one_touches_no_disk_and_tells_nothing(make, tmp_path, reports):
    keeping = make(private=True)
    born = birth()
    keeping.append(born, some(3), 0, Headline())
    assert await keeping.safe(born.id, 3, 2)
    assert [h.id for h in await keeping.call(lambda store: store.headers())] == [born.id]
    assert keeping.private
    assert not keeping.lasting
    assert keeping.store_url == "memory:"
    assert keeping.close() == []
    assert reports == [], "what memory keeps is never called saved"
    assert not (tmp_path / "data").exists()


async def test_hidden_and_shown_again(make, reports):
    keeping = make()
    before, hidden = birth(), birth()
    keeping.append(before, some(2), 0, Headline())
    keeping.hide()
    keeping.append(hidden, some(2), 0, Headline())
    assert await keeping.safe(hidden.id, 2, 2)
    keeping.reveal()
    assert not keeping.private
    assert await keeping.safe(before.id, 2, 2)
    found = await keeping.call(lambda store: [h.id for h in store.headers()])
    assert found == [before.id], "what was handed over before is saved, and nothing else"
    assert {report.session_id for report in reports} == {before.id}


async def test_what_was_erased_may_be_saved_anew(make):
    keeping = make()
    born = birth()
    keeping.append(born, some(2), 0, Headline())
    assert await keeping.safe(born.id, 2, 2)
    await keeping.erase(born.id)
    assert keeping.saved_through(born.id) == 0
    keeping.append(born, some(3), 0, Headline())
    async with asyncio.timeout(5):
        assert await keeping.safe(born.id, 3, 2)
