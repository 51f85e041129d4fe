"""What others do to our files and folders while we have them: noticed, said, both versions kept."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chinwag.errors import SessionConflict, SessionNotFound, SessionUnreadable
from chinwag.stores.base import PartHead
from chinwag.stores.files import FileStore
from chinwag.stores.saver import FailedReport, Report, SavedReport, Saver
from chinwag.talk.delta import TextDelta
from chinwag.talk.entry import AnyEntry, UserSaid
from chinwag.talk.message import Image, Text
from chinwag.talk.session import Birth, Headline
from contracts.store import birth, some
from stores.disks import TestDisk, files_under


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileStore]:
    with FileStore(tmp_path / "data", TestDisk(syncs=False), whole=False) as store:
        yield store


def path_of(store: FileStore, born: Birth) -> Path:
    return store.folder / f"{born.id}.json"


# -- changed between appends --------------------------------------------------------------------


def junk_behind(path: Path, chance: random.Random) -> None:
    with path.open("ab") as file:
        file.write(chance.choice([b"x", b"junk\n", b',{"n":9,"kind":"user"}\n', bytes(600)]))


def edited(path: Path, chance: random.Random) -> None:
    raw = bytearray(path.read_bytes())
    at = raw.index(b"message", chance.randrange(len(raw) // 2))
    raw[at : at + 7] = b"massage"
    path.write_bytes(raw)


def edited_in_place(path: Path, chance: random.Random) -> None:
    with path.open("r+b") as file:
        file.seek(chance.randrange(200))
        file.write(b"~")


def cut(path: Path, chance: random.Random) -> None:
    """More than the last line end, without which it says the same."""
    os.truncate(path, chance.randrange(path.stat().st_size - 1))


def replaced(path: Path, chance: random.Random) -> None:
    fresh = path.with_name("fresh")
    fresh.write_bytes(path.read_bytes().replace(b"message 1", b"message I"))
    fresh.rename(path)


def removed(path: Path, chance: random.Random) -> None:
    path.unlink()


@pytest.mark.parametrize("change", [junk_behind, edited, edited_in_place, cut, replaced, removed])
@pytest.mark.parametrize("whole", [False, True])
def test_every_change_between_appends_is_noticed_and_both_versions_are_kept(
    tmp_path: Path, change: Callable[[Path, random.Random], None], whole: bool
) -> None:
    for seed in range(25):
        chance = random.Random(seed)
        with FileStore(tmp_path / str(seed), TestDisk(syncs=False), whole=whole) as store:
            born = birth()
            said = chance.randint(1, 5)
            for n in range(said):
                store.append(born, some(1, n + 1), at=n, headline=Headline())
            path = path_of(store, born)
            change(path, chance)
            theirs = path.read_bytes() if path.exists() else None
            ours = some(1, said + 1)
            for _ in range(2):
                with pytest.raises((SessionConflict, SessionUnreadable)):
                    store.append(born, ours, at=said, headline=Headline())
            assert (path.read_bytes() if path.exists() else None) == theirs
            # What we have goes where the engine puts it: into a session of its own.
            fork = birth(parent=born.id)
            assert store.append(fork, some(said + 1), at=0, headline=Headline()) == said + 1


@pytest.mark.parametrize("whole", [False, True])
def test_a_file_that_was_only_touched_is_written_on(tmp_path: Path, whole: bool) -> None:
    with FileStore(tmp_path, TestDisk(syncs=False), whole=whole) as store:
        born = birth()
        for n in range(20):
            store.append(born, some(1, n + 1), at=n, headline=Headline())
            path = path_of(store, born)
            os.utime(path, (n, n))
            path.chmod(0o600)
        assert store.read(born.id).entries == some(20)
        assert store.read(born.id).notices == ()


def test_the_end_of_an_unfinished_write_is_kept_for_a_while(store: FileStore) -> None:
    born = birth()
    store.append(born, some(2), at=0, headline=Headline())
    store.close()
    path = path_of(store, born)
    with path.open("ab") as file:
        file.write(b"half a line that nobody was told of")
    assert store.append(born, some(1, 3), at=2, headline=Headline()) == 3
    (kept,) = store.folder.glob(f"{born.id}.cut-*.txt")
    assert kept.read_bytes() == b"half a line that nobody was told of"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert [h.id for h in store.headers()] == [born.id]
    for days, left in ((29, True), (31, False)):
        os.utime(kept, (time.time() - days * 86400,) * 2)
        store.headers()
        assert kept.exists() is left


def test_copies_go_to_the_trash_with_their_session_and_come_back(store: FileStore) -> None:
    born = birth()
    store.append(born, some(3), at=0, headline=Headline())
    store.close()
    path = path_of(store, born)
    path.write_bytes(path.read_bytes().replace(b"message 2", b"\0") + b"torn")
    store.lock(born.id)
    assert "damaged" in store.read(born.id).notices[0]
    before = {p.name: p.read_bytes() for p in store.folder.glob(f"{born.id}*")}
    assert len(before) == 2
    store.delete(born.id)
    assert list(store.folder.glob(f"{born.id}*")) == []
    store.restore(born.id)
    assert {p.name: p.read_bytes() for p in store.folder.glob(f"{born.id}*")} == before


# -- folders and odd things ---------------------------------------------------------------------


def test_folders_others_can_look_into_are_said_once(store: FileStore) -> None:
    born = birth()
    store.append(born, some(1), at=0, headline=Headline())
    store.folder.chmod(0o755)
    store.root.chmod(0o777)
    (notice,) = store.read(born.id).notices
    assert str(store.folder) in notice
    assert "chmod 700" in notice
    assert store.read(born.id).notices == ()
    store.folder.chmod(0o700)
    store.root.chmod(0o755)  # nobody gets further than this
    assert FileStore(store.root).read(born.id).notices == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a device or give a file away")
@pytest.mark.parametrize("what", ["device", "somebody else's"])
def test_devices_and_files_of_others_are_refused(store: FileStore, what: str) -> None:
    born, other = birth(), birth()
    store.append(born, some(1), at=0, headline=Headline())
    path = path_of(store, other)
    if what == "device":
        try:
            os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))  # one that never ends
        except PermissionError:
            pytest.skip("no device can be made here")
    else:
        path.write_bytes(path_of(store, born).read_bytes())
        os.chown(path, 12345, 12345)
    for attempt in (
        lambda: store.read(other.id),
        lambda: store.header(other.id),
        lambda: store.span(other.id, 0),
        lambda: store.append(other, some(1), at=0, headline=Headline()),
    ):
        with pytest.raises(SessionUnreadable, match="is not used: it"):
            attempt()
    assert {h.id: bool(h.damaged) for h in store.headers()} == {born.id: False, other.id: True}


NAMES = ["", "..", "../x", "/etc/passwd", "a/b", "a\0b", "A", "é", ".hidden", "a.json", "x" * 65]


@pytest.mark.parametrize("name", NAMES)
def test_no_name_leaves_the_folder(store: FileStore, name: str, tmp_path: Path) -> None:
    for attempt in (
        *(store.read, store.header, store.delete, store.restore, store.holder, store.lock),
        *(store.end_part, store.blob, lambda n: store.span(n, 0)),
        lambda n: store.begin_part(n, PartHead(1, "a", "t")),
        lambda n: store.append(Birth(id=n, created="t"), some(1), at=0, headline=Headline()),
    ):
        with pytest.raises(SessionNotFound):
            attempt(name)
    assert files_under(tmp_path) == []


@pytest.mark.parametrize("what", ["symlink", "fifo", "folder"])
def test_odd_locks_and_parts_and_trash_never_hang(
    store: FileStore, what: str, tmp_path: Path
) -> None:
    born = birth()
    store.append(born, some(1), at=0, headline=Headline())
    store.close()
    target = tmp_path / "precious"
    target.write_text("precious")
    trash = store.trash / "20251120-093015-k3f9q2.20251120T093015.000000Z-abcd.json"
    trash.parent.mkdir(0o700)
    lock = store.folder / ".locks" / born.id
    lock.unlink()
    for path in (store.folder / f"{born.id}.part", trash, lock):
        match what:
            case "symlink":
                path.symlink_to(target)
            case "fifo":
                os.mkfifo(path)
            case "folder":
                path.mkdir()
    assert store.holder(born.id) == ""
    assert store.read(born.id).rescued is None
    (gone,) = store.trashed()
    assert gone.header.damaged
    with pytest.raises(SessionUnreadable, match="is not used"):
        store.lock(born.id)
    assert target.read_text() == "precious"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_trash_blobs_and_copies_are_private_under_any_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with FileStore(tmp_path / "data", whole=False) as store:
            born = birth()
            large = UserSaid(id="u", parts=(Text("x"), Image(data="QUJD" * 200_000)))
            store.append(born, (large, *some(2)), at=0, headline=Headline())
            store.begin_part(born.id, PartHead(4, "a", "t"))
            store.add_part(born.id, [TextDelta("x")], sync=True)
            store.delete(born.id)
            store.restore(born.id)
            store.delete(born.id)
    finally:
        os.umask(before)
    found = [tmp_path / "data", *(tmp_path / "data").rglob("*")]
    assert {p.name for p in found} >= {"blobs", "trash", ".locks"}
    for path in found:
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


# -- with the saver ------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["fdatasync", "fsync", "pwrite", "open", "rename", "sync_folder"])
async def test_a_disk_that_heals_gets_everything_within_ten_seconds(
    tmp_path: Path, call: str
) -> None:
    """Nobody lifts a finger; `saved` is never said of what is not there."""
    disk = TestDisk(error=errno.EIO, syncs=False)
    store = FileStore(tmp_path, disk, whole=call in {"fsync", "open", "rename", "sync_folder"})
    reports: list[Report] = []
    loop = asyncio.get_running_loop()
    saver = Saver(store, lambda r: loop.call_soon_threadsafe(reports.append, r), retry_every=0.2)
    born, wanted = birth(), some(6)

    def there() -> tuple[AnyEntry, ...]:
        with FileStore(tmp_path) as other:
            return other.span(born.id, 0)[0]

    saver.append(born, wanted[:2], 0, Headline())
    assert await saver.safe(born.id, 2, 10)
    disk.only = frozenset({call, "fsync"} if call == "fdatasync" else {call})
    for n in range(2, 6):
        saver.append(born, wanted[n : n + 1], n, Headline())
        assert not await saver.safe(born.id, n + 1, 10)
    await asyncio.sleep(0.5)  # more tries, all in vain
    assert max(r.through for r in reports if isinstance(r, SavedReport)) == 2
    assert len([r for r in reports if isinstance(r, FailedReport)]) == 1, "one lasting notice"
    assert there()[:2] == wanted[:2]
    disk.heal()
    began = time.monotonic()
    while saver.saved_through(born.id) < 6 and time.monotonic() - began < 10:
        await asyncio.sleep(0.02)
    assert saver.saved_through(born.id) == 6
    assert there() == wanted
    assert saver.close() == []
