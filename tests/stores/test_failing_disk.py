"""Every call to the disk fails once, and for ever from there on, in each way disks fail.

Whatever fails: the error is of our family and in words; what was acknowledged can be read; what
was not cannot; when the disk is well again the same store goes on as if nothing had been.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chinwag.errors import (
    SessionConflict,
    SessionNotFound,
    SessionUnreadable,
    StoreUnavailable,
    UsageError,
)
from chinwag.stores import blobs
from chinwag.stores.base import PartHead
from chinwag.stores.files import FileStore
from chinwag.talk.delta import TextDelta
from chinwag.talk.entry import AnyEntry, AssistantSaid, UserSaid
from chinwag.talk.message import File, Text
from chinwag.talk.session import Birth, Headline
from contracts.store import birth, some
from stores.disks import SHORT, TestDisk

ERRORS = {
    "full": errno.ENOSPC,
    "quota": errno.EDQUOT,
    "broken": errno.EIO,
    "read-only": errno.EROFS,
    "files": errno.EMFILE,
    "short": SHORT,
}
LARGE = UserSaid(id="large", parts=(Text("look"), File(name="f", text="long " * 600)))
WANTED: tuple[AnyEntry, ...] = (*some(6), LARGE, *some(2, 7))
ENDS = (2, 3, 6, 7, 9)  # the appends of a life: which entries have been said by then
MEMORY = Path("/dev/shm")  # where there is none, the lives are lived on the disk: it takes longer


class Run:
    """A session's life against a disk that may refuse anything."""

    def __init__(self, root: Path, fail_at: int, error: int, *, forever: bool, whole: bool) -> None:
        self.root, self.whole, self.fail_at = root, whole, fail_at
        self.disk = TestDisk(fail_at, error, forever=forever, syncs=False)
        self.store = FileStore(root, self.disk, whole=whole)
        self.born: Birth = birth()
        self.acknowledged: tuple[AnyEntry, ...] = ()
        self.kept: dict[str, bytes] = {}
        self.sentences: list[tuple[str, str]] = []
        self.vanished = False
        self.away = False  # whether it may still lie in the trash
        self.met = False  # whether the call that was to fail was made at all

    def live(self) -> None:
        for end in ENDS[:-1]:
            self._append(WANTED[len(self.acknowledged) : end])
        self._part()
        self._trash()
        if not self.away:
            self._append(WANTED[len(self.acknowledged) :])
        self._refusable(self._blob)
        self._look()
        self._refusable(lambda: self.store.prune(1))

    def _refusable(self, act: Callable[[], object]) -> bool:
        """Whether it was done; if not, the refusal said why and what to do."""
        try:
            act()
        except StoreUnavailable as error:
            self.sentences.append((error.message, error.hint))
            return False
        return True

    def _append(self, waiting: tuple[AnyEntry, ...]) -> bool:
        at = len(self.acknowledged)

        def append() -> None:
            got = self.store.append(self.born, waiting, at=at, headline=Headline(title=f"{at}"))
            self.acknowledged += waiting
            assert got == len(self.acknowledged)

        return self._refusable(append)

    def _part(self) -> None:
        name = self.born.id
        self._refusable(lambda: self.store.begin_part(name, PartHead(8, "p", "t")))
        with contextlib.suppress(UsageError):  # if it was not begun
            delta = [TextDelta("half")]
            self._refusable(lambda: self.store.add_part(name, delta, sync=True))
        self._refusable(lambda: self.store.end_part(name))

    def _trash(self) -> None:
        """There and back again; a refusal leaves it where it was, or where it is to be."""
        if not self.acknowledged:
            return
        self._refusable(lambda: self.store.delete(self.born.id))
        self._refusable(self.store.trashed)
        with contextlib.suppress(SessionNotFound, SessionConflict):  # it was not deleted
            self.away = not self._refusable(lambda: self.store.restore(self.born.id))

    def _blob(self) -> None:
        data = b"content " * 100
        self.kept[self.store.put_blob(data)] = data

    def _look(self) -> None:
        def look() -> None:
            self.store.header(self.born.id)
            self.store.headers()
            entries, count = self.store.span(self.born.id, 1)
            assert count >= len(self.acknowledged)
            assert len(entries) == count - 1

        try:
            self._refusable(look)
        except (SessionNotFound, SessionUnreadable):
            self.vanished = True

    def check(self) -> None:
        """With a disk that is well: first read, then go on, in the same program and the next."""
        self.met = self.disk.calls >= self.fail_at
        assert all(message and hint for message, hint in self.sentences)
        self.disk.heal()
        if self.acknowledged:
            self._found(self.store)
            assert self.store.read(self.born.id).entries == self.acknowledged
        while len(self.acknowledged) < len(WANTED):
            assert self._append(WANTED[len(self.acknowledged) :][:2])
        assert self.store.read(self.born.id).entries == WANTED
        self._killed(WANTED)

    def _found(self, store: FileStore) -> None:
        """It is among the sessions or, where it could not be restored, in the trash: whole."""
        if [h.id for h in store.headers()] != [self.born.id]:
            assert self.vanished or self.sentences
            (gone,) = store.trashed()
            assert gone.header.entries == len(self.acknowledged)
            store.restore(self.born.id)

    def check_after_kill(self) -> None:
        self._killed(self.acknowledged)

    def _killed(self, least: tuple[AnyEntry, ...]) -> None:
        self.disk.crash()
        path = self.root / "sessions" / f"{self.born.id}.json"
        with FileStore(self.root, TestDisk(syncs=False), whole=self.whole) as store:
            if least:
                self._found(store)
            elif not path.exists():
                return
            store.lock(self.born.id)
            entries = store.read(self.born.id).entries
            assert entries[: len(least)] == least
            assert entries == WANTED[: len(entries)]
            assert len(json.loads(path.read_text("utf-8"))["messages"]) == len(entries)
            assert [h.id for h in store.headers()] == [self.born.id]
            for digest, data in self.kept.items():
                assert store.blob(digest) == data


#: What differs in what it leads to; the others are of the long run.
QUICK = {
    *((error, True, False) for error in ERRORS),
    *((error, False, False) for error in ("full", "broken", "short")),
    *((error, error == "broken", True) for error in ("full", "broken")),
}
SWEEPS = [(e, f, w) for e in ERRORS for f in (False, True) for w in (False, True)]


@pytest.fixture
def lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    where = MEMORY if os.access(MEMORY, os.W_OK) else tmp_path
    monkeypatch.setattr(blobs, "INLINE", 2000)
    with tempfile.TemporaryDirectory(dir=where) as folder:
        yield Path(folder)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.function is test_sweep:
        sweeps = sorted(QUICK) if metafunc.config.getoption("--soak") == 1 else SWEEPS
        metafunc.parametrize(("name", "forever", "whole"), sweeps)


@pytest.mark.slow
def test_sweep(lives: Path, name: str, forever: bool, whole: bool) -> None:
    for number in range(1, 1000):
        for ended in ("on", "killed"):
            root = lives / f"{number}-{ended}"
            run = Run(root, number, ERRORS[name], forever=forever, whole=whole)
            try:
                run.live()
                if ended == "on":
                    run.check()
                else:
                    run.check_after_kill()
            except BaseException as error:
                error.add_note(f"call {number}, {run.disk.names[number - 3 : number + 3]}, {ended}")
                raise
            met = run.disk.calls >= number if ended == "on" else True
            shutil.rmtree(root, ignore_errors=True)
            if not met:
                break
        if not met:
            break
    assert number > 150
    assert run.sentences == []


def test_a_failed_sync_is_never_asked_again_of_the_same_file(tmp_path: Path) -> None:
    disk = TestDisk(error=errno.EIO)
    with FileStore(tmp_path, disk, whole=False) as store:
        born = birth()
        store.append(born, some(3), at=0, headline=Headline())
        path = tmp_path / "sessions" / f"{born.id}.json"
        before = path.stat().st_ino
        disk.only = frozenset({"fdatasync"})
        assert store.append(born, some(1, 4), at=3, headline=Headline()) == 4
        assert path.stat().st_ino != before
        assert store.read(born.id).entries == some(4)


def test_when_nothing_can_be_synced_nothing_is_acknowledged(tmp_path: Path) -> None:
    disk = TestDisk(error=errno.EIO)
    with FileStore(tmp_path, disk, whole=False) as store:
        born = birth()
        store.append(born, some(3), at=0, headline=Headline())
        path = tmp_path / "sessions" / f"{born.id}.json"
        inode = path.stat().st_ino
        disk.only = frozenset({"fdatasync", "fsync"})
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="reported an error"):
                store.append(born, some(1, 4), at=3, headline=Headline())
            assert store.read(born.id).entries == some(3)
        assert path.stat().st_ino == inode
        syncs = disk.counts["fdatasync"]
        disk.heal()
        assert store.append(born, some(1, 4), at=3, headline=Headline()) == 4
        assert disk.counts["fdatasync"] == syncs
        assert path.stat().st_ino != inode


def test_acknowledged_bytes_that_a_bad_disk_changed_are_not_written_on(tmp_path: Path) -> None:
    disk = TestDisk(error=errno.EIO)
    with FileStore(tmp_path, disk, whole=False) as store:
        born = birth()
        store.append(born, some(3), at=0, headline=Headline())
        disk.only = frozenset({"fdatasync", "fsync"})
        with pytest.raises(StoreUnavailable):
            store.append(born, some(1, 4), at=3, headline=Headline())
        disk.heal()
        path = tmp_path / "sessions" / f"{born.id}.json"
        path.write_bytes(path.read_bytes().replace(b"message 2", b"massage 2"))
        with pytest.raises(SessionConflict):
            store.append(born, some(1, 4), at=3, headline=Headline())
        assert b"massage 2" in path.read_bytes()


def test_a_full_disk_leaves_the_old_bytes_as_they_were(tmp_path: Path) -> None:
    disk = TestDisk()
    with FileStore(tmp_path, disk, whole=False) as store:
        born = birth()
        store.append(born, some(3), at=0, headline=Headline())
        path = tmp_path / "sessions" / f"{born.id}.json"
        before = path.read_bytes()
        disk.only, disk.error = frozenset({"pwrite"}), errno.ENOSPC
        answer = AssistantSaid(parts=(Text("x" * 50_000),))
        with pytest.raises(StoreUnavailable, match="the disk is full"):
            store.append(born, (answer,), at=3, headline=Headline())
        assert path.read_bytes() == before


def test_an_unwritable_folder_is_said_in_words(tmp_path: Path) -> None:
    disk = TestDisk(error=errno.EACCES)
    disk.only = frozenset({"mkdir"})
    store = FileStore(tmp_path / "data", disk)
    with pytest.raises(StoreUnavailable, match="no permission") as caught:
        store.append(birth(), some(1), at=0, headline=Headline())
    assert "--data-dir" in caught.value.hint
    assert store.headers() == []


@pytest.mark.parametrize("call", [1, 2])
def test_whichever_write_is_refused_the_old_bytes_are_put_back(tmp_path: Path, call: int) -> None:
    """Half of the first or of the second write reaches the file before the disk is full."""

    class Filling(TestDisk):
        writes = 0

    disk = Filling()
    real = Filling.pwrite

    def pwrite(self: Filling, fd: int, data: bytes | memoryview, at: int) -> int:
        self.writes += 1
        if self.writes == call:
            real(self, fd, bytes(data[: len(data) // 2]), at)
            raise OSError(errno.ENOSPC, "full")
        return int(real(self, fd, data, at))

    with FileStore(tmp_path, disk, whole=False) as store:
        born = birth()
        store.append(born, some(3), at=0, headline=Headline(title="T"))
        path = tmp_path / "sessions" / f"{born.id}.json"
        before = path.read_bytes()
        Filling.pwrite = pwrite  # type: ignore[method-assign]  # this class is this test's own
        with pytest.raises(StoreUnavailable, match="the disk is full"):
            store.append(born, some(1, 4), at=3, headline=Headline())
        assert disk.writes >= call
        assert path.read_bytes() == before
        assert store.append(born, some(1, 4), at=3, headline=Headline()) == 4
        assert store.read(born.id).entries == some(4)
