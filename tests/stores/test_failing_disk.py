"""Every call to the disk fails once, and for ever from there on, in each way disks fail.

Whatever fails: the error is of our family and in words; what was acknowledged can be read; what
was not cannot; when the disk is well again the same store goes on as if nothing had been.
"""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest

from chinwag.errors import SessionConflict, SessionNotFound, SessionUnreadable, StoreUnavailable
from chinwag.stores.base import PartHead
from chinwag.stores.files import FileStore
from chinwag.talk.delta import TextDelta
from chinwag.talk.entry import AnyEntry, AssistantSaid
from chinwag.talk.message import Text
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
WANTED = some(7)
ENDS = (2, 3, 6, 7)  # the appends of a life: which entries have been said by then


class Run:
    """A session's life against a disk that may refuse anything."""

    def __init__(self, root: Path, fail_at: int, error: int, *, forever: bool, whole: bool) -> None:
        self.root, self.whole, self.fail_at = root, whole, fail_at
        self.disk = TestDisk(fail_at, error, forever=forever, syncs=False)
        self.store = FileStore(root, self.disk, whole=whole)
        self.born: Birth = birth()
        self.acknowledged: tuple[AnyEntry, ...] = ()
        self.refusals = 0
        self.sentences: list[tuple[str, str]] = []
        self.vanished = False
        self.met = False  # whether the call that was to fail was made at all

    def live(self) -> None:
        for end in ENDS:
            self._try(WANTED[len(self.acknowledged) : end])
        self._part()
        self._list()

    def _try(self, waiting: tuple[AnyEntry, ...]) -> bool:
        at = len(self.acknowledged)
        try:
            got = self.store.append(self.born, waiting, at=at, headline=Headline(title=f"{at}"))
        except StoreUnavailable as error:
            self.sentences.append((error.message, error.hint))
            self.refusals += 1
            return False
        self.acknowledged += waiting
        assert got == len(self.acknowledged)
        return True

    def _part(self) -> None:
        try:
            self.store.begin_part(self.born.id, PartHead(8, "p", "t"))
            self.store.add_part(self.born.id, [TextDelta("half")], sync=True)
            self.store.end_part(self.born.id)
        except StoreUnavailable:
            self.refusals += 1

    def _list(self) -> None:
        try:
            self.store.header(self.born.id)
            self.store.headers()
        except StoreUnavailable:
            self.refusals += 1
        except (SessionNotFound, SessionUnreadable):
            self.vanished = True

    def check(self) -> None:
        """With a disk that is well: first read, then go on, in the same program and the next."""
        self.met = self.disk.calls >= self.fail_at
        assert all(message and hint for message, hint in self.sentences)
        assert not (self.vanished and self.acknowledged)
        self.disk.heal()
        if self.acknowledged:
            assert self.store.read(self.born.id).entries == self.acknowledged
        while len(self.acknowledged) < len(WANTED):
            assert self._try(WANTED[len(self.acknowledged) :][:2])
        assert self.store.read(self.born.id).entries == WANTED
        self._killed(WANTED)
        shutil.rmtree(self.root)

    def check_after_kill(self) -> None:
        self._killed(self.acknowledged)
        shutil.rmtree(self.root, ignore_errors=True)

    def _killed(self, least: tuple[AnyEntry, ...]) -> None:
        self.disk.crash()
        path = self.root / "sessions" / f"{self.born.id}.json"
        if not least and not path.exists():
            return
        with FileStore(self.root, TestDisk(syncs=False), whole=self.whole) as store:
            store.lock(self.born.id)
            entries = store.read(self.born.id).entries
            assert entries[: len(least)] == least
            assert entries == WANTED[: len(entries)]
            assert len(json.loads(path.read_text("utf-8"))["messages"]) == len(entries)
            assert [h.id for h in store.headers()] == [self.born.id]


SWEEPS = [
    *(
        (error, forever, whole)
        for error in ("full", "broken", "short")
        for forever in (False, True)
        for whole in (False, True)
    ),
    *((error, True, False) for error in ("quota", "read-only", "files")),
]


@pytest.mark.parametrize(("name", "forever", "whole"), SWEEPS)
def test_sweep(tmp_path: Path, name: str, forever: bool, whole: bool) -> None:
    error = ERRORS[name]
    for number in range(1, 1000):
        run = Run(tmp_path / f"{number}-on", number, error, forever=forever, whole=whole)
        run.live()
        run.check()
        if not run.met:
            break
        run = Run(tmp_path / f"{number}-killed", number, error, forever=forever, whole=whole)
        run.live()
        run.check_after_kill()
    assert number > 60
    assert run.refusals == 0


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
