from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from contracts.store import StoreContract
from stores.disks import TestDisk

from chinwag.stores.base import SessionStore
from chinwag.stores.files import FileStore


class TestFileStore(StoreContract):
    whole: bool | None = None

    @pytest.fixture(autouse=True)
    def _root(self, tmp_path: Path) -> None:
        self.root = tmp_path / "data"

    def make(self) -> SessionStore:
        return FileStore(self.root, TestDisk(), whole=self.whole)

    def again(self, store: SessionStore) -> SessionStore:
        disk_of(store).crash()
        return FileStore(self.root, disk_of(store), whole=self.whole)

    def peek(self, store: SessionStore, session_id: str) -> list[dict[str, Any]]:
        text = (self.root / "sessions" / f"{session_id}.json").read_text("utf-8")
        plain: list[dict[str, Any]] = json.loads(text)["messages"]
        return plain

    def poke(self, store: SessionStore, session_id: str, plain: dict[str, Any]) -> None:
        path = self.root / "sessions" / f"{session_id}.json"
        whole = json.loads(path.read_text("utf-8"))
        whole["messages"].append(plain)
        path.write_text(json.dumps(whole), "utf-8")

    def bill(self, store: SessionStore) -> int:
        return len(disk_of(store).opened)


class TestWholeFiles(TestFileStore):
    """The same promise where tails cannot be patched: network and unknown file systems."""

    whole = True


def disk_of(store: SessionStore) -> TestDisk:
    assert isinstance(store, FileStore)
    assert isinstance(store._disk, TestDisk)
    return store._disk
