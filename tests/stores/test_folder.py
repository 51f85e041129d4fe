"""What the file store leaves in its folder: names, modes, copies, locks, trash."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chinwag.errors import (
    SessionConflict,
    SessionLocked,
    SessionNotFound,
    SessionUnreadable,
    StoreUnavailable,
)
from chinwag.stores.base import PartHead
from chinwag.stores.disk import file_system_of
from chinwag.stores.files import FileStore
from chinwag.talk.delta import TextDelta
from chinwag.talk.entry import AssistantSaid
from chinwag.talk.message import Text
from chinwag.talk.session import Birth, Headline
from contracts.store import birth, some
from stores.disks import TestDisk, files_under


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileStore]:
    disk = TestDisk()
    with FileStore(tmp_path / "data", disk, whole=False) as store:
        yield store
    assert disk.opened == set()


@pytest.fixture
def born(store: FileStore) -> Birth:
    """A session of three entries."""
    born = birth()
    store.append(born, some(3), at=0, headline=Headline(title="T"))
    return born


def path_of(store: FileStore, born: Birth) -> Path:
    return store.folder / f"{born.id}.json"


def copies(store: FileStore, born: Birth) -> list[Path]:
    return sorted(store.folder.glob(f"{born.id}.*-*.json"))


# -- modes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_everything_is_private_from_the_first_instant(tmp_path: Path, umask: int) -> None:
    class Watching(TestDisk):
        """Looks at each thing right after it was made, before anything else could mend it."""

    modes: list[int] = []
    real_open, real_mkdir = Watching.open, Watching.mkdir

    def opened(self: Watching, path: Path, flags: int) -> int:
        fd: int = real_open(self, path, flags)
        modes.append(stat.S_IMODE(os.fstat(fd).st_mode))
        return fd

    def made(self: Watching, path: Path) -> None:
        real_mkdir(self, path)
        modes.append(stat.S_IMODE(path.stat().st_mode) & 0o677)

    Watching.open, Watching.mkdir = opened, made  # type: ignore[method-assign]  # only here
    before = os.umask(umask)
    try:
        with FileStore(tmp_path / "deep" / "er", Watching()) as store:
            born = birth()
            store.append(born, some(2), at=0, headline=Headline())
            store.append(born, some(1, 3), at=2, headline=Headline())
            store.begin_part(born.id, PartHead(4, "a", "t"))
            store.add_part(born.id, [TextDelta("x")], sync=True)
            path = path_of(store, born)
            path.write_bytes(path.read_bytes().replace(b"message 2", b"\0"))
            store.read(born.id)
            other = birth()
            store.append(other, some(1), at=0, headline=Headline())
            store.delete(other.id)
    finally:
        os.umask(before)
    assert len(modes) > 10
    assert set(modes) == {0o600}
    for path in [tmp_path / "deep", *(tmp_path / "deep").rglob("*")]:
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


# -- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\0b", "A", "é", "-a", "a.json", "x" * 65, "a\n"]
)
def test_only_our_own_ids_become_paths(store: FileStore, name: str, tmp_path: Path) -> None:
    for attempt in (store.read, store.header, store.delete, store.lock, store.end_part):
        with pytest.raises(SessionNotFound):
            attempt(name)
    with pytest.raises(SessionNotFound):
        store.append(Birth(id=name, created="t"), some(1), at=0, headline=Headline())
    assert files_under(tmp_path) == []


@pytest.mark.parametrize("what", ["symlink", "hard link", "fifo", "folder", "dangling"])
def test_odd_files_are_refused_in_words_and_listed(
    store: FileStore, born: Birth, what: str, tmp_path: Path
) -> None:
    target = tmp_path / "precious"
    target.write_bytes(path_of(store, born).read_bytes())
    before = target.read_bytes()
    other = birth()
    path = path_of(store, other)
    match what:
        case "symlink":
            path.symlink_to(target)
        case "dangling":
            path.symlink_to(tmp_path / "nowhere")
        case "hard link":
            path.hardlink_to(target)
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
    with pytest.raises(SessionUnreadable, match="is not used: it") as refused:
        store.read(other.id)
    assert ("move a copy of it to its place" in refused.value.hint) == (
        "link" in str(refused.value)
    )
    with pytest.raises((SessionUnreadable, SessionConflict)):
        store.append(other, some(1), at=0, headline=Headline())
    with pytest.raises((SessionUnreadable, SessionConflict)):
        store.append(other, some(1), at=3, headline=Headline())
    listed = {h.id: h.damaged for h in store.headers()}
    assert listed[born.id] == ""
    assert "is not used" in listed[other.id]
    assert target.read_bytes() == before
    assert not (tmp_path / "nowhere").exists()


def test_a_foreign_owner_is_refused(
    store: FileStore, born: Birth, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.close()
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    with pytest.raises(SessionUnreadable, match="belongs to somebody else"):
        store.read(born.id)


def test_a_program_killed_while_creating_leaves_a_second_name_that_is_ours(
    store: FileStore, born: Birth
) -> None:
    store.close()
    path = path_of(store, born)
    leftover = path.with_name(f".{born.id}.abc.tmp")
    leftover.hardlink_to(path)
    assert store.header(born.id).entries == 3
    assert not leftover.exists()
    assert store.read(born.id).entries == some(3)


def test_what_killed_programs_left_is_swept_a_day_later(store: FileStore, born: Birth) -> None:
    old, new = store.folder / ".x.a.tmp", store.folder / ".x.b.tmp"
    old.touch()
    new.touch()
    yesterday = time.time() - 2 * 86400
    os.utime(old, (yesterday, yesterday))
    store.headers()
    assert not old.exists()
    assert new.exists()


# -- what others did to a file ------------------------------------------------------------------


def test_a_torn_tail_is_mended_when_the_session_is_opened(store: FileStore, born: Birth) -> None:
    store.close()
    path = path_of(store, born)
    raw = path.read_bytes()
    path.write_bytes(raw[: raw.rindex(b"],") - 5])
    assert store.read(born.id).entries == some(2)
    assert path.read_bytes() == raw[: raw.rindex(b"],") - 5]  # reading alone writes nothing
    store.lock(born.id)
    stored = store.read(born.id)
    assert stored.entries == some(2)
    assert "cut off" in stored.notices[0]
    assert len(json.loads(path.read_bytes())["messages"]) == 2
    assert copies(store, born) == []
    assert store.append(born, some(1, 3), at=2, headline=Headline()) == 3
    assert store.read(born.id).notices == ()


def test_damage_is_copied_before_it_is_mended(store: FileStore, born: Birth) -> None:
    store.close()
    path = path_of(store, born)
    damaged = path.read_bytes().replace(b'"message 2', b"\0\0\0")
    path.write_bytes(damaged)
    store.lock(born.id)
    stored = store.read(born.id)
    assert "damaged" in stored.notices[0]
    assert stored.entries[::2] == some(3)[::2]
    (copy,) = copies(store, born)
    assert ".damaged-" in copy.name
    assert copy.read_bytes() == damaged
    assert [m["kind"] for m in json.loads(path.read_bytes())["messages"]] == [
        "user",
        "note",
        "user",
    ]
    assert store.append(born, some(1, 4), at=3, headline=Headline()) == 4
    assert [h.id for h in store.headers()] == [born.id]
    assert copies(store, born) == [copy]


def test_damage_read_without_the_lock_is_mended_by_the_first_append(
    store: FileStore, born: Birth
) -> None:
    store.close()
    path = path_of(store, born)
    damaged = path.read_bytes().replace(b'"message 2', b"\0\0\0")
    path.write_bytes(damaged)
    assert store.read(born.id).notices
    assert path.read_bytes() == damaged
    assert store.append(born, some(1, 4), at=3, headline=Headline()) == 4
    (copy,) = copies(store, born)
    assert copy.read_bytes() == damaged
    assert len(json.loads(path.read_bytes())["messages"]) == 4


def test_words_changed_from_outside_are_kept_in_both_versions(
    store: FileStore, born: Birth
) -> None:
    store.close()
    path = path_of(store, born)
    changed = path.read_bytes().replace(b"message 2", b"passage 2")
    path.write_bytes(changed)
    stored = store.read(born.id)
    assert "changed" in stored.notices[0]
    assert store.append(born, some(1, 4), at=3, headline=Headline()) == 4
    (copy,) = copies(store, born)
    assert ".outside-" in copy.name
    assert copy.read_bytes() == changed
    assert store.read(born.id).notices == ()


def test_another_layout_is_rewritten_and_the_original_kept(store: FileStore, born: Birth) -> None:
    store.close()
    path = path_of(store, born)
    pretty = json.dumps(json.loads(path.read_bytes()), indent=2).encode()
    path.write_bytes(pretty)
    assert store.header(born.id).entries == 3
    assert store.read(born.id).entries == some(3)
    assert store.append(born, some(1, 4), at=3, headline=Headline()) == 4
    (copy,) = copies(store, born)
    assert ".original-" in copy.name
    assert copy.read_bytes() == pretty
    assert path.read_bytes().count(b"\n") == 6


@pytest.mark.parametrize("how", ["written", "replaced", "cut", "removed"])
def test_a_change_while_we_have_it_open_stops_us(store: FileStore, born: Birth, how: str) -> None:
    path = path_of(store, born)
    raw = path.read_bytes()
    theirs = raw.replace(b"message 2", b"passage 2")
    match how:
        case "written":
            path.write_bytes(theirs)
        case "replaced":
            fresh = path.with_name("new")
            fresh.write_bytes(theirs)
            fresh.rename(path)
        case "cut":
            os.truncate(path, len(raw) - 300)
        case "removed":
            path.unlink()
    left = path.read_bytes() if path.exists() else b""
    for _ in range(2):  # and goes on stopping us
        with pytest.raises(SessionConflict):
            store.append(born, some(1, 4), at=3, headline=Headline())
    assert (path.read_bytes() if path.exists() else b"") == left


def test_a_file_that_was_only_touched_or_put_back_is_ours_still(
    store: FileStore, born: Birth
) -> None:
    path = path_of(store, born)
    os.utime(path, (1, 1))
    assert store.append(born, some(1, 4), at=3, headline=Headline()) == 4
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.rename(path)
    assert store.append(born, some(1, 5), at=4, headline=Headline()) == 5
    assert store.read(born.id).entries == some(5)


def test_unknown_keys_survive_a_rewrite(store: FileStore, born: Birth) -> None:
    store.close()
    path = path_of(store, born)
    raw = path.read_bytes().replace(b'{"n":1,', b'{"n":1,"later":7,')
    raw = raw.replace(b'"messages":[', b'"colour":"red","messages":[')
    path.write_bytes(raw[:-20])
    store.lock(born.id)
    store.read(born.id)
    store.append(born, some(1, 4), at=3, headline=Headline())
    plain = json.loads(path.read_bytes())
    assert plain["colour"] == "red"
    assert plain["messages"][0]["later"] == 7


def test_unreadable_sessions_are_listed_as_damaged_and_never_written(
    store: FileStore, born: Birth
) -> None:
    other = birth()
    path = path_of(store, other)
    for raw in (b"", b"[]", b"\0" * 500, b'{"format":99,"messages":[]}'):
        path.write_bytes(raw)
        damaged = {h.id: h.damaged for h in store.headers()}
        assert damaged[other.id]
        assert not damaged[born.id]
        for at in (0, 1):
            with pytest.raises(SessionUnreadable):
                store.append(other, some(1), at=at, headline=Headline())
        assert path.read_bytes() == raw


# -- cost ---------------------------------------------------------------------------------------


def test_an_append_costs_the_same_after_fifty_thousand_entries(tmp_path: Path) -> None:
    costs = []
    for size in (10, 50_000):
        disk = TestDisk()
        with FileStore(tmp_path, disk, whole=False) as store:
            born = birth()
            store.append(born, some(size), at=0, headline=Headline())
            calls, written, read = disk.calls, disk.written, disk.read
            answer = (AssistantSaid(id="a", parts=(Text("x" * 1000),)),)
            for more in range(10):
                store.append(born, answer, at=size + more, headline=Headline(title="T"))
            costs.append((disk.calls - calls, disk.written - written, disk.read - read))
    (few, few_written, few_read), (many, many_written, many_read) = costs
    assert many == few
    assert many_written <= 1.05 * few_written
    assert many_written <= 10 * (1000 + 1024)
    assert few_read == many_read == 0


def test_a_list_reads_only_the_ends_of_files(tmp_path: Path) -> None:
    disk = TestDisk()
    with FileStore(tmp_path, disk) as store:
        for _ in range(3):
            store.append(birth(), some(3000), at=0, headline=Headline())
        before = disk.read
        assert [h.entries for h in store.headers()] == [3000] * 3
        assert disk.read - before <= 3 * 9000


def test_network_and_unknown_file_systems_are_written_whole(tmp_path: Path) -> None:
    for kind, syncs in (("ext4", 1), ("nfs4", 0), ("", 0), ("fuse.sshfs", 0)):

        class Mounted(TestDisk):
            name = kind

            def file_system(self, path: Path) -> str:
                return self.name

        disk = Mounted()
        with FileStore(tmp_path, disk) as store:
            born = birth()
            store.append(born, some(1), at=0, headline=Headline())
            store.append(born, some(1, 2), at=1, headline=Headline())
            assert disk.counts["fdatasync"] == syncs
            assert store.read(born.id).entries == some(2)


def test_file_systems_are_told_from_the_mount_table() -> None:
    table = [
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw",
        "30 22 0:40 / /home/me/net\\040work rw - nfs4 server:/x rw",
        "31 22 0:41 / /home/me/two rw - ext4 /dev/sdb rw",
        "32 31 0:42 / /home/me/two rw - fuse.sshfs x rw",
        "nonsense",
    ]
    assert file_system_of("/home/me", table) == "ext4"
    assert file_system_of("/home/me/net work/a", table) == "nfs4"
    assert file_system_of("/home/me/net workers", table) == "ext4"
    assert file_system_of("/home/me/two/x", table) == "fuse.sshfs"
    assert file_system_of("/home", []) == ""


# -- locks --------------------------------------------------------------------------------------

HOLDER = """
import sys, time
from pathlib import Path
from chinwag.stores.files import FileStore
store = FileStore(Path(sys.argv[1]))
store.lock(sys.argv[2])
print("held", flush=True)
time.sleep(60)
"""


@contextlib.contextmanager
def holder(store: FileStore, session_id: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", HOLDER, str(store.root), session_id]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        try:
            yield child
        finally:
            child.kill()


def test_the_second_is_told_who_where_and_since_when(store: FileStore, born: Birth) -> None:
    store.unlock(born.id)
    with holder(store, born.id) as child:
        began = time.monotonic()
        with pytest.raises(SessionLocked) as caught:
            store.lock(born.id)
        assert time.monotonic() - began < 0.5
        assert f"process {child.pid} on {socket.gethostname()}" in caught.value.owner
        assert f"since {time.strftime('%Y-%m-%d %H')}" in caught.value.owner
        for attempt in (
            lambda: store.append(born, some(1, 4), at=3, headline=Headline()),
            lambda: store.delete(born.id),
        ):
            with pytest.raises(SessionLocked):
                attempt()
        assert store.read(born.id).entries == some(3)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        store.lock(born.id)  # free within a moment, whatever the lock file says
    assert (store.folder / ".locks" / born.id).exists()


def test_an_answer_that_is_coming_in_elsewhere_is_not_rescued(
    store: FileStore, born: Birth
) -> None:
    store.begin_part(born.id, PartHead(4, "a", "t"))
    store.add_part(born.id, [TextDelta("half")], sync=False)
    with FileStore(store.root) as follower:
        assert follower.read(born.id).rescued is None
    store.close()
    with FileStore(store.root) as next_one:
        rescued = next_one.read(born.id).rescued
        assert rescued is not None
        assert rescued.text == "half"


def test_two_stores_of_one_program_do_not_share_a_session(store: FileStore, born: Birth) -> None:
    with FileStore(store.root) as other, pytest.raises(SessionLocked):
        other.append(born, some(1, 4), at=3, headline=Headline())


@pytest.mark.parametrize("said", [b"", b"\0\xff", b"[]", b'{"pid": {}}', b'{"pid":"x","tty":[1]}'])
def test_whatever_the_lock_file_says_it_is_only_a_message(
    store: FileStore, born: Birth, said: bytes
) -> None:
    (store.folder / ".locks" / born.id).write_bytes(said)
    with FileStore(store.root) as other, pytest.raises(SessionLocked) as caught:
        other.lock(born.id)
    assert caught.value.owner


# -- parts and trash ----------------------------------------------------------------------------


def test_a_part_torn_at_its_end_gives_what_was_whole(store: FileStore, born: Birth) -> None:
    store.begin_part(born.id, PartHead(4, "a", "t"))
    store.add_part(born.id, [TextDelta("one "), TextDelta("two")], sync=False)
    store.close()
    part = store.folder / f"{born.id}.part"
    part.write_bytes(part.read_bytes()[:-4])
    rescued = store.read(born.id).rescued
    assert rescued is not None
    assert rescued.text == "one "


def test_a_settled_part_is_removed_when_the_session_is_opened(
    store: FileStore, born: Birth
) -> None:
    store.begin_part(born.id, PartHead(4, "a", "t"))
    store.add_part(born.id, [TextDelta("one")], sync=False)
    answer = AssistantSaid(id="a", parts=(Text("one"),))
    store.append(born, (answer,), at=3, headline=Headline())
    store.close()
    store.lock(born.id)
    assert store.read(born.id).rescued is None
    assert not (store.folder / f"{born.id}.part").exists()


def test_a_refused_piece_leaves_no_hole_in_a_part(store: FileStore, born: Birth) -> None:
    disk = store._disk
    assert isinstance(disk, TestDisk)
    store.begin_part(born.id, PartHead(4, "a", "t"))
    store.add_part(born.id, [TextDelta("one ")], sync=False)
    disk.only = frozenset({"pwrite"})
    with pytest.raises(StoreUnavailable):
        store.add_part(born.id, [TextDelta("two ")], sync=False)
    disk.heal()
    store.add_part(born.id, [TextDelta("three")], sync=True)
    store.close()
    rescued = store.read(born.id).rescued
    assert rescued is not None
    assert rescued.text == "one three"


def test_deleted_sessions_lie_in_the_trash_for_a_month(store: FileStore, born: Birth) -> None:
    raw = path_of(store, born).read_bytes()
    store.trash.mkdir(0o700)
    old = store.trash / "20250101-000000-aaaaaa.20250201T000000Z-abcd.json"
    mine = store.trash / "mine.json"
    for path in (old, mine):
        path.touch()
    store.begin_part(born.id, PartHead(4, "a", "t"))
    store.delete(born.id)
    kept = files_under(store.trash)
    assert [p.suffix for p in kept if p.name.startswith(born.id)] == [".json", ".part"]
    assert raw in [p.read_bytes() for p in kept]
    assert not old.exists()
    assert mine.exists()
    assert files_under(store.folder) == [store.folder / ".locks" / born.id]
