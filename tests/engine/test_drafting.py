"""What is typed and not sent is kept soon, in its place, and nothing is written for nothing."""

from __future__ import annotations

import asyncio

import pytest

from chinwag.engine import drafting
from chinwag.engine.drafting import Drafting
from chinwag.errors import StoreUnavailable
from chinwag.stores.drafts import Drafts
from chinwag.talk.unsent import Unsent

A, B = "20261120-093015-aaaaaa", "20261120-093015-bbbbbb"


class Counting:
    """Real drafts; counts what is written, and can be told to refuse."""

    def __init__(self, folder):
        self._drafts = Drafts(folder)
        self.kept = []
        self.full = False

    def keep(self, name, draft):
        if self.full:
            raise StoreUnavailable("the disk is full")
        self.kept.append((name, draft.text))
        self._drafts.keep(name, draft)

    def __getattr__(self, name):
        return getattr(self._drafts, name)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(drafting, "WAIT", 0.03)


@pytest.fixture
async def keeping(tmp_path):
    counting = Counting(tmp_path / "drafts")
    one = Drafting(lambda: counting)
    one.counting = counting
    yield one
    one.finish()
    one.close()


async def rest():
    await asyncio.sleep(0.12)


async def test_many_changes_are_few_writes_and_the_last_one_is_kept(keeping):
    for n in range(50):
        keeping.changed(A, Unsent("x" * n, n), born=True)
    await rest()
    assert keeping.counting.kept == [(A, "x" * 49)]
    for _ in range(5):
        keeping.changed(A, Unsent("x" * 49, 49), born=True)
        await asyncio.sleep(0.04)
    assert len(keeping.counting.kept) == 1, "nothing changed, nothing is written"


async def test_typing_on_and_on_is_kept_meanwhile(keeping):
    for n in range(20):
        keeping.changed(A, Unsent(f"{n}", 1), born=True)
        await asyncio.sleep(0.01)
    assert len(keeping.counting.kept) >= 3


async def test_an_empty_input_writes_nothing_unless_something_stood_there(keeping):
    keeping.changed(A, Unsent(), born=False)
    keeping.changed(B, Unsent(), born=True)
    await rest()
    assert keeping.counting.kept == []
    keeping.changed(B, Unsent("y", 1), born=True)
    await rest()
    keeping.changed(B, Unsent(), born=True)
    await rest()
    assert keeping.counting.kept == [(B, "y"), (B, "")]
    assert await keeping.taken(B, born=True) is None


async def test_each_session_has_its_own(keeping):
    keeping.changed(A, Unsent("of a", 4), born=True)
    keeping.changed(B, Unsent("of b", 4), born=True)
    await rest()
    assert (await keeping.taken(A, born=True)).text == "of a"
    assert (await keeping.taken(B, born=True)).text == "of b"
    assert await keeping.taken(A, born=False) is None


async def test_a_draft_moves_with_its_session_when_that_is_kept(keeping):
    keeping.changed(A, Unsent("first", 5), born=False)
    await rest()
    keeping.changed(A, Unsent("then", 4), born=True)
    await rest()
    assert await keeping.taken(A, born=False) is None
    assert (await keeping.taken(A, born=True)).text == "then"


async def test_leaving_writes_what_is_not_written(keeping, tmp_path):
    keeping.changed(A, Unsent("just now", 3), born=True)
    keeping.finish()
    keeping.close()
    found = Drafts(tmp_path / "drafts").take(A)
    assert (found.text, found.cursor) == ("just now", 3)


async def test_a_full_disk_is_tried_again_with_the_next_change(keeping):
    keeping.counting.full = True
    keeping.changed(A, Unsent("one", 3), born=True)
    await rest()
    keeping.counting.full = False
    keeping.changed(A, Unsent("one", 3), born=True)
    await rest()
    assert (await keeping.taken(A, born=True)).text == "one"


async def test_what_was_given_up_is_found_and_can_be_forgotten(keeping):
    keeping.put_aside(Unsent("older", 5))
    keeping.put_aside(Unsent("newer", 5))
    keeping.put_aside(Unsent())
    assert [d.text for d in await keeping.recent()] == ["newer", "older"]
    keeping.changed(A, Unsent("standing", 3), born=True)
    await rest()
    keeping.forget(A)
    assert await keeping.recent() == []
    assert await keeping.taken(A, born=True) is None
