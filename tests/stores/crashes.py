"""Every state in which a power cut may leave a disk, made from a record of what was asked of it.

`Recorder` is the real disk that writes down each change. `states` gives the disks that may be found
after the power went at any instant, in three models:

* ordered: all changes up to that instant, in their order; the last one torn at any sector.
* weak: names change in their order, data when it likes: what was not synced is there, or not, or
  torn in any sectors, or its length alone is there and it reads as zeros.
* wild: of what was not synced, names too are there or not, in any combination.

What was synced is there in all of them: a file's bytes and length after its fsync or fdatasync, a
folder's names after the folder's. A sector that is not written to does not change.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chinwag.stores.disk import Disk

SECTOR = 512
DATA = {"write", "truncate"}


@dataclass(frozen=True)
class Op:
    """A change: of data in ``file``, or of names in ``folder``; or a sync of either."""

    what: str
    file: int = 0
    at: int = 0
    data: bytes = b""
    name: str = ""
    new: str = ""
    folder: str = ""


class Recorder(Disk):
    """The real disk below ``root``, without waiting for it; ``ops`` is what was asked of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ops: list[Op] = []
        self._files: dict[int, int] = {}  # inode -> our own number, for inodes come again
        self._numbers = 0

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.root))

    def _file(self, fd: int) -> int:
        return self._files[os.fstat(fd).st_ino]

    def _names(self, what: str, path: Path, new: Path | None = None, file: int = 0) -> None:
        folder = self._name((new or path).parent)
        self.ops.append(
            Op(what, file, name=self._name(path), new=self._name(new) if new else "", folder=folder)
        )

    def open(self, path: Path, flags: int) -> int:
        is_new = bool(flags & os.O_CREAT) and not os.path.lexists(path)
        fd = super().open(path, flags)
        if is_new:
            self._numbers += 1
            self._files[os.fstat(fd).st_ino] = self._numbers
            self._names("create", path, file=self._numbers)
        return fd

    def pwrite(self, fd: int, data: bytes | memoryview, at: int) -> int:
        done = super().pwrite(fd, data, at)
        self.ops.append(Op("write", self._file(fd), at, bytes(data[:done])))
        return done

    def truncate(self, fd: int, size: int) -> None:
        super().truncate(fd, size)
        self.ops.append(Op("truncate", self._file(fd), size))

    def fdatasync(self, fd: int) -> None:
        self.fsync(fd)

    def fsync(self, fd: int) -> None:
        self.ops.append(Op("fsync", self._file(fd)))

    def sync_folder(self, path: Path) -> None:
        if path.is_relative_to(self.root):
            self.ops.append(Op("sync_folder", folder=self._name(path)))

    def link(self, old: Path, new: Path) -> None:
        super().link(old, new)
        self._names("link", old, new)

    def rename(self, old: Path, new: Path) -> None:
        super().rename(old, new)
        self._names("rename", old, new)

    def unlink(self, path: Path) -> None:
        super().unlink(path)
        self._names("unlink", path)

    def mkdir(self, path: Path) -> None:
        super().mkdir(path)
        self._names("mkdir", path)

    def rmdir(self, path: Path) -> None:
        super().rmdir(path)
        self._names("rmdir", path)


@dataclass
class Ghost:
    """What a disk holds."""

    folders: set[str] = field(default_factory=lambda: {"."})
    names: dict[str, int] = field(default_factory=dict)
    files: dict[int, bytes] = field(default_factory=dict)

    def copy(self) -> Ghost:
        return Ghost(set(self.folders), dict(self.names), dict(self.files))

    def apply(self, op: Op) -> None:
        match op.what:
            case "create":
                self.names[op.name] = op.file
                self.files.setdefault(op.file, b"")
            case "link" if op.name in self.names:
                self.names[op.new] = self.names[op.name]
            case "rename" if op.name in self.names:
                self.names[op.new] = self.names.pop(op.name)
            case "unlink":
                self.names.pop(op.name, None)
            case "mkdir":
                self.folders.add(op.name)
            case "rmdir":
                self.folders.discard(op.name)
            case "write":
                self._put(op.file, op.at, op.data)
            case "truncate":
                self.files[op.file] = self.files.get(op.file, b"")[: op.at].ljust(op.at, b"\0")

    def _put(self, file: int, at: int, data: bytes) -> None:
        old = self.files.get(file, b"").ljust(at, b"\0")
        self.files[file] = old[:at] + data + old[at + len(data) :]

    def tear(self, op: Op, chance: random.Random, how: str) -> None:
        """Apply a write in part: its first sectors, any of them, or its length alone."""
        old = self.files.get(op.file, b"")
        end = op.at + len(op.data)
        cuts = [op.at, *range(op.at - op.at % SECTOR + SECTOR, end, SECTOR), end]
        pieces = list(itertools.pairwise(cuts))
        match how:
            case "first":
                kept = pieces[: chance.randrange(len(pieces))]
            case "zero":
                kept = []
            case _:
                kept = [piece for piece in pieces if chance.random() < 0.5]
        if how != "first" or kept:
            longest = end if how != "first" else kept[-1][1]
            self._put(op.file, len(old), bytes(max(0, longest - len(old))))
        for first, last in kept:
            self._put(op.file, first, op.data[first - op.at : last - op.at])

    def build(self, root: Path) -> None:
        """Make it real. What lies in a folder that is not there is not there either."""
        root.mkdir(0o700, exist_ok=True)
        there = {"."}
        for folder in sorted(self.folders - {"."}):
            if str(Path(folder).parent) in there:
                there.add(folder)
                (root / folder).mkdir(0o700)
        made: dict[int, Path] = {}
        for name, file in self.names.items():
            path = root / name
            if str(Path(name).parent) not in there:
                continue
            if file in made:
                path.hardlink_to(made[file])
                continue
            fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
            os.write(fd, self.files.get(file, b""))
            os.close(fd)
            made[file] = path

    def key(self) -> Any:
        return (
            frozenset(self.folders),
            frozenset((n, self.files.get(f, b"")) for n, f in self.names.items()),
        )


def synced(ops: list[Op]) -> list[bool]:
    """Which of the changes are safe: a later sync of their file or folder had returned."""
    safe = [False] * len(ops)
    files: set[int] = set()
    folders: set[str] = set()
    for at in range(len(ops) - 1, -1, -1):
        op = ops[at]
        match op.what:
            case "fsync":
                files.add(op.file)
                safe[at] = True
            case "sync_folder":
                folders.add(op.folder)
                safe[at] = True
            case what if what in DATA:
                safe[at] = op.file in files
            case _:
                safe[at] = op.folder in folders
    return safe


TEARS = ("first", "any", "zero")


def states(ops: list[Op], base: Ghost, rounds: int, seed: int) -> Iterator[tuple[int, str, Ghost]]:
    """(after how many changes the power went, the model, what is there)."""
    sure, base = 0, base.copy()  # what lies in `base`: the first `sure` changes, all of them safe
    for end in range(len(ops) + 1):
        chance = random.Random(seed * 1_000_003 + end)
        begun = ops[sure : end + 1]
        safe = synced(ops[sure:end]) + [False] * (end < len(ops))
        while safe and safe[0]:
            base.apply(begun[0])
            begun, safe, sure = begun[1:], safe[1:], sure + 1
        done = _made(base, ops[sure:end])
        yield end, "ordered", done
        flying = ops[end] if end < len(ops) else None
        if flying and flying.what == "write":
            for how in TEARS:
                ghost = done.copy()
                ghost.tear(flying, chance, how)
                yield end, "ordered", ghost
        if not safe:
            continue
        for extreme in ("none", "names", "data", "zeros"):
            yield end, "weak", _extreme(base, begun, safe, extreme)
        for number in range(rounds):
            wild = number % 3 == 2
            yield end, "wild" if wild else "weak", _loose(base, begun, safe, chance, wild=wild)


def _made(base: Ghost, ops: list[Op]) -> Ghost:
    ghost = base.copy()
    for op in ops:
        ghost.apply(op)
    return ghost


def _extreme(base: Ghost, ops: list[Op], safe: list[bool], which: str) -> Ghost:
    ghost, chance = base.copy(), random.Random(0)
    for op, is_safe in zip(ops, safe, strict=True):
        is_data = op.what in DATA
        if is_safe or (which == "data" if is_data else which in {"names", "zeros"}):
            ghost.apply(op)
        elif which == "zeros" and op.what == "write":
            ghost.tear(op, chance, "zero")
    return ghost


def _loose(
    base: Ghost, ops: list[Op], safe: list[bool], chance: random.Random, *, wild: bool
) -> Ghost:
    ghost = base.copy()
    loose_names = [at for at, op in enumerate(ops) if not safe[at] and op.what not in DATA]
    last_name = chance.choice([-1, *loose_names])
    share = chance.random()
    for at, op in enumerate(ops):
        if safe[at]:
            ghost.apply(op)
        elif op.what in DATA:
            if chance.random() < share:
                ghost.apply(op)
            elif op.what == "write" and chance.random() < 0.6:
                ghost.tear(op, chance, chance.choice(TEARS))
        elif (chance.random() < 0.5) if wild else (at <= last_name):
            ghost.apply(op)
    return ghost
