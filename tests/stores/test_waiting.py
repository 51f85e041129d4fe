"""Waiting for an entry where the store is not told of changes: it looks again and again."""

from __future__ import annotations

import threading
import time

import pytest

from chinwag.errors import SessionNotFound
from chinwag.stores.memory import MemoryStore
from chinwag.talk.session import Headline
from contracts.store import birth, some


def test_it_looks_until_there_is_more_or_the_time_is_over() -> None:
    store, born = MemoryStore(), birth()
    store.append(born, some(2), at=0, headline=Headline())
    assert store.wait(born.id, 1, 5)
    began = time.monotonic()
    assert not store.wait(born.id, 2, 0.15)
    assert 0.15 <= time.monotonic() - began < 1
    more = threading.Timer(
        0.05, store.append, (born, some(1, 3)), {"at": 2, "headline": Headline()}
    )
    more.start()
    assert store.wait(born.id, 2, 5)
    more.join()
    with pytest.raises(SessionNotFound):
        store.wait("20260101-000000-aaaaaa", 0, 1)
