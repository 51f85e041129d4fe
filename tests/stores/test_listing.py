from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from chinwag.stores import listing as module
from chinwag.stores.disk import Disk
from chinwag.stores.listing import FEW, Listing
from chinwag.talk.session import Header, Headline
from stores.disks import TestDisk

IDS = [f"20261120-0930{n:02}-aaaaaa" for n in range(20)]


class Folder:
    """Files whose text is the title of a session, and how often each was opened."""

    def __init__(self, root: Path) -> None:
        self.path = root / "sessions"
        self.path.mkdir()
        self.memory = self.path / ".listing"
        self.opened: list[str] = []
        self.disk = TestDisk()
        self.listing = Listing(self.memory, self.disk)

    def write(self, session_id: str, title: str, *, age: float = 60) -> None:
        path = self.path / f"{session_id}.json"
        path.write_text(title)
        self.age(path, age)

    def age(self, path: Path, age: float = 60) -> None:
        at = time.time() - age
        os.utime(path, (at, at))

    def read(self, session_id: str) -> Header | None:
        self.opened.append(session_id)
        try:
            title = (self.path / f"{session_id}.json").read_text()
        except FileNotFoundError:
            return None
        damaged = title if title.startswith("damaged") else ""
        return Header(session_id, "", Headline(title, updated=title), damaged=damaged)

    def titles(self, *always: str) -> list[str]:
        self.opened.clear()
        files = Disk().scan(self.path)
        return [h.headline.title for h in self.listing.headers(files, self.read, always)]

    def next_program(self) -> None:
        self.disk = TestDisk()
        self.listing = Listing(self.memory, self.disk)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """Twenty files, at rest: what the clock of their last change says cannot be set by a test."""
    monkeypatch.setattr(module, "_at_rest", lambda of, settled: of.st_mtime_ns < settled)
    folder = Folder(tmp_path)
    for n, session_id in enumerate(IDS):
        folder.write(session_id, f"title {n:02}")
    return folder


SORTED = [f"title {n:02}" for n in range(19, -1, -1)]


def test_only_what_has_changed_is_opened(folder: Folder) -> None:
    assert folder.titles() == SORTED
    assert sorted(folder.opened) == IDS
    for again in (lambda: None, folder.next_program):
        again()
        assert folder.titles() == SORTED
        assert folder.opened == []
    folder.write(IDS[3], "title 55")
    assert folder.titles()[0] == "title 55"
    assert folder.opened == [IDS[3]]
    folder.next_program()
    assert folder.titles()[0] == "title 55"


def test_the_same_size_at_another_time_is_a_change(folder: Folder) -> None:
    folder.titles()
    folder.write(IDS[3], "title 99", age=59)
    assert folder.titles()[0] == "title 99"


def test_another_file_of_the_same_size_and_time_is_a_change(folder: Folder) -> None:
    folder.titles()
    path = folder.path / f"{IDS[3]}.json"
    of = path.stat()
    other = folder.path / "other"
    other.write_text("title 98")
    os.utime(other, ns=(of.st_atime_ns, of.st_mtime_ns))
    other.rename(path)
    assert folder.titles()[0] == "title 98"


def test_what_keeps_size_and_time_is_seen_by_the_time_of_its_own_change(folder: Folder) -> None:
    folder.titles()
    path = folder.path / f"{IDS[3]}.json"
    of = path.stat()
    path.write_text("title 97")
    os.utime(path, ns=(of.st_atime_ns, of.st_mtime_ns))
    assert path.stat().st_ino == of.st_ino
    assert folder.titles()[0] == "title 97"


def test_what_has_just_been_written_is_not_remembered(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for session_id in IDS:
        folder.write(session_id, "new", age=0)
    for _ in range(2):
        folder.titles()
        assert len(folder.opened) == 20
    assert not folder.memory.exists()


def test_neither_is_damage_nor_what_is_asked_for_anew(folder: Folder) -> None:
    folder.write(IDS[0], "damaged: a line")
    folder.titles()
    folder.titles(IDS[1])
    assert sorted(folder.opened) == IDS[:2]
    folder.next_program()
    folder.titles()
    assert sorted(folder.opened) == IDS[:2]


def test_what_is_gone_is_forgotten_by_the_file_too(folder: Folder) -> None:
    folder.write(IDS[3], "title of a secret")
    folder.titles()
    assert b"secret" in folder.memory.read_bytes()
    (folder.path / f"{IDS[3]}.json").unlink()
    assert "title of a secret" not in folder.titles()
    assert b"secret" not in folder.memory.read_bytes()


def test_other_files_are_not_sessions(folder: Folder) -> None:
    folder.titles()
    for name in (f"{IDS[0]}.part", f"{IDS[0]}.damaged-20261120T093015Z.json", ".locks", "X.json"):
        (folder.path / name).write_text("title 99")
    assert folder.titles() == SORTED
    assert folder.opened == []


def test_what_goes_while_one_looks_is_left_out(folder: Folder) -> None:
    files = Disk().scan(folder.path)
    (folder.path / f"{IDS[3]}.json").unlink()
    assert len(folder.listing.headers(files, folder.read)) == 19


def test_few_changes_are_not_worth_a_write_but_many_are(folder: Folder) -> None:
    folder.titles()
    before = folder.memory.read_bytes()
    for n in range(FEW + 1):
        assert folder.memory.read_bytes() == before
        folder.write(IDS[n], f"later {n}")
        folder.titles()
    assert folder.memory.read_bytes() != before
    folder.next_program()
    folder.titles()
    assert folder.opened == []


@pytest.mark.parametrize("at", ["cut", "spoilt", "longer", "empty", "junk", "other shape"])
def test_a_memory_that_lies_is_not_believed(folder: Folder, at: str) -> None:
    folder.titles()
    raw = folder.memory.read_bytes()
    folder.memory.write_bytes(
        {
            "cut": raw[:-1],
            "spoilt": raw.replace(b"title 07", b"title 97"),
            "longer": raw + b"x",
            "empty": b"",
            "junk": b"junk" * 99,
            "other shape": raw[: len(module._MAGIC)] + b"\x00\x00\x00\x00",
        }[at]
    )
    folder.next_program()
    assert folder.titles() == SORTED
    assert len(folder.opened) == 20
    folder.next_program()
    assert folder.titles() == SORTED
    assert folder.opened == []


def test_the_memory_is_private_and_never_written_through_a_link(folder: Folder) -> None:
    target = folder.memory.with_name("elsewhere")
    target.write_text("mine")
    folder.memory.symlink_to(target)
    before = os.umask(0)
    try:
        assert folder.titles() == SORTED
    finally:
        os.umask(before)
    assert target.read_text() == "mine"
    assert not folder.memory.is_symlink()
    assert folder.memory.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("call", range(1, 9))
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_memory_that_cannot_be_kept_is_no_error(folder: Folder, call: int, error: int) -> None:
    folder.disk.fail_at, folder.disk.error, folder.disk.forever = call, error, True
    assert folder.titles() == SORTED
    assert folder.titles() == SORTED
    assert folder.opened == []
    assert folder.disk.opened == set()


def test_scan_says_what_lstat_says(folder: Folder) -> None:
    (folder.path / "link").symlink_to("nowhere")
    found = Disk().scan(folder.path)
    assert found == {path.name: path.lstat() for path in folder.path.iterdir()}
