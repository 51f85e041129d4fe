from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chinwag.stores.base import SessionStore
from chinwag.stores.files import FileStore
from contracts.store import SharedStoreContract
from stores.disks import TestDisk


class TestFileStore(SharedStoreContract):
    whole: bool | None = None

    @pytest.fixture(autouse=True)
    def _root(self, tmp_path: Path) -> None:
        self.root = tmp_path / "data"
        self.disks: list[TestDisk] = []

    def make(self) -> SessionStore:
        self.disks.append(TestDisk())
        return FileStore(self.root, self.disks[-1], whole=self.whole)

    def again(self, store: SessionStore) -> SessionStore:
        self.disks[-1].crash()
        return self.make()

    def peek(self, store: SessionStore, session_id: str) -> list[dict[str, Any]]:
        text = (self.root / "sessions" / f"{session_id}.json").read_text("utf-8")
        plain: list[dict[str, Any]] = json.loads(text)["messages"]
        return plain

    def poke(self, store: SessionStore, session_id: str, plain: dict[str, Any]) -> None:
        path = self.root / "sessions" / f"{session_id}.json"
        whole = json.loads(path.read_text("utf-8"))
        whole["messages"].append(plain)
        path.write_text(json.dumps(whole), "utf-8")

    def spoil(self, store: SessionStore, digest: str) -> None:
        path = self.root / "blobs" / digest[:2] / digest[2:]
        path.write_bytes(path.read_bytes()[::-1])

    def beside(self, store: SessionStore) -> SessionStore:
        self.disks.append(TestDisk())
        return FileStore(self.root, self.disks[-1], whole=self.whole)

    def bill(self, store: SessionStore) -> int:
        return sum(len(disk.opened) for disk in self.disks)


class TestWholeFiles(TestFileStore):
    """The same promise where tails cannot be patched: network and unknown file systems."""

    whole = True
