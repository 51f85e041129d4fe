"""Small turns while a saver works, and the usual ones at all other times."""

from __future__ import annotations

import asyncio
import sys
import threading

from chinwag.errors import StoreUnavailable
from chinwag.stores import haste
from chinwag.stores.memory import MemoryStore
from chinwag.stores.saver import Saver
from chinwag.talk.session import Headline
from contracts.store import birth, some


class Watching(MemoryStore):
    """Notes how long a turn is while it saves; may be held up, or full."""

    def __init__(self) -> None:
        super().__init__()
        self.turns: list[float] = []
        self.may_go = threading.Event()
        self.may_go.set()
        self.full = False

    def append(self, *args: object, **more: object) -> int:
        self.may_go.wait(5)
        self.turns.append(sys.getswitchinterval())
        if self.full:
            raise StoreUnavailable("full", hint="free some space")
        return super().append(*args, **more)  # type: ignore[arg-type]


def is_small(turn: float) -> bool:
    return abs(turn - haste.TURN) < 1e-6


async def calm(usual: float) -> bool:
    """Whether turns become what they were, soon."""
    for _ in range(200):
        if sys.getswitchinterval() == usual:
            return True
        await asyncio.sleep(0.005)
    return False


async def test_turns_are_small_while_a_message_is_saved_and_then_as_before() -> None:
    usual, store = sys.getswitchinterval(), Watching()
    saver = Saver(store, lambda report: None)
    one = birth()
    store.may_go.clear()
    saver.append(one, some(2), 0, Headline())
    assert is_small(sys.getswitchinterval())
    saver.append(one, some(1), 2, Headline())
    store.may_go.set()
    assert await saver.safe(one.id, 3, 5)
    assert all(map(is_small, store.turns))
    assert await calm(usual)
    saver.close()


async def test_a_full_disk_leaves_no_haste_behind() -> None:
    usual, store = sys.getswitchinterval(), Watching()
    saver = Saver(store, lambda report: None, retry_every=9)
    store.full = True
    one = birth()
    saver.append(one, some(1), 0, Headline())
    assert not await saver.safe(one.id, 1, 5)
    assert await calm(usual)
    store.full = False
    saver.close()
    assert sys.getswitchinterval() == usual


async def test_two_in_haste_give_back_what_was_before_both() -> None:
    usual = sys.getswitchinterval()
    haste.begin()
    haste.begin()
    haste.end()
    assert is_small(sys.getswitchinterval())
    haste.end()
    assert sys.getswitchinterval() == usual
