from __future__ import annotations

import json
from typing import Any

from chinwag.stores.base import SessionStore
from chinwag.stores.memory import MemoryStore
from contracts.store import StoreContract


class TestMemoryStore(StoreContract):
    def make(self) -> SessionStore:
        return MemoryStore()

    def again(self, store: SessionStore) -> SessionStore:
        return store

    def peek(self, store: SessionStore, session_id: str) -> list[dict[str, Any]]:
        assert isinstance(store, MemoryStore)
        return [json.loads(line) for line in store._sessions[session_id].lines]

    def poke(self, store: SessionStore, session_id: str, plain: dict[str, Any]) -> None:
        assert isinstance(store, MemoryStore)
        store._sessions[session_id].lines.append(json.dumps(plain).encode())

    def spoil(self, store: SessionStore, digest: str) -> None:
        assert isinstance(store, MemoryStore)
        store._blobs[digest] += b"!"

    def bill(self, store: SessionStore) -> int:
        return 0

    def test_it_says_that_it_forgets(self) -> None:
        assert not MemoryStore().lasting
        assert MemoryStore().url == "memory:"
