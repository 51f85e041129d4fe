"""Disks that fail, tear, count and crash, in the place of the real one."""

from __future__ import annotations

import contextlib
import errno
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chinwag.stores.disk import Disk

#: What may be refused; reading who we are is no call to the disk.
CALLS = (
    "open close pread pwrite truncate fdatasync fsync sync_folder fstat lstat link rename unlink "
    "mkdir rmdir touch listdir scan flock"
).split()
SHORT = -1  # instead of an errno: half of the bytes are written


class TestDisk(Disk):
    """The real disk, watched: counts calls and bytes, knows what is open, can fail from call n.

    ``fail_at`` counts calls from 1 (0 = never); ``forever`` makes all later ones fail as well.
    ``syncs`` = False only pretends to sync: what is tried is what we do, not what the drive does.
    """

    __test__ = False

    def __init__(
        self,
        fail_at: int = 0,
        error: int = errno.ENOSPC,
        *,
        forever: bool = False,
        syncs: bool = True,
    ) -> None:
        self.syncs = syncs
        self.fail_at, self.error, self.forever = fail_at, error, forever
        self.only: frozenset[str] = frozenset()  # fail these calls, whatever their number
        self.calls = 0
        self.names: list[str] = []
        self.counts: Counter[str] = Counter()
        self.written = self.read = 0
        self.opened: set[int] = set()
        self.dead = False

    def crash(self) -> None:
        """What the kernel does for a killed program; whoever still has this disk does nothing."""
        for fd in self.opened:
            with contextlib.suppress(OSError):
                os.close(fd)
        self.opened.clear()
        self.dead = True

    def heal(self) -> None:
        self.fail_at, self.only = 0, frozenset()

    def _fails(self, name: str) -> bool:
        self.calls += 1
        self.names.append(name)
        self.counts[name] += 1
        if name in self.only:
            return True
        if not self.fail_at:
            return False
        return self.calls >= self.fail_at if self.forever else self.calls == self.fail_at


def _watched(name: str) -> Callable[..., Any]:
    real = getattr(Disk, name)

    def call(self: TestDisk, *args: Any) -> Any:
        if self.dead:
            if name == "close":
                return None  # the number may be another file's by now
            raise AssertionError(f"{name} after the program was killed")
        if self._fails(name):
            if self.error != SHORT:
                if name == "close":
                    real(self, *args)  # as Linux: it is closed even when it says it failed
                    self.opened.discard(args[0])
                raise OSError(self.error, os.strerror(self.error))
            if name == "pwrite" and len(args[1]) > 1:
                args = (args[0], args[1][: len(args[1]) // 2], args[2])
        if not self.syncs and "sync" in name:
            return None
        result = real(self, *args)
        match name:
            case "open":
                self.opened.add(result)
            case "close":
                self.opened.discard(args[0])
            case "pwrite":
                self.written += result
            case "pread":
                self.read += len(result)
        return result

    return call


for _name in CALLS:
    setattr(TestDisk, _name, _watched(_name))


def files_under(root: Path) -> list[Path]:
    return sorted(p for p in root.rglob("*") if p.is_file())
