from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chinwag.errors import (
    SessionConflict,
    SessionNotFound,
    SessionUnreadable,
    StoreError,
    StoreUnavailable,
)
from chinwag.stores import database, sqlite
from chinwag.stores.base import SessionStore
from chinwag.stores.database import Kind
from chinwag.stores.sqlite import SqliteStore
from chinwag.talk import codec
from chinwag.talk.entry import Noted
from chinwag.talk.session import Birth, Headline
from contracts.store import SharedStoreContract, birth, said, some
from stores.disks import TestDisk


class TestSqliteStore(SharedStoreContract):
    @pytest.fixture(autouse=True)
    def _path(self, tmp_path: Path) -> None:
        self.path = tmp_path / "data" / "talks.sqlite"
        self.disks: list[TestDisk] = []
        self.stores: list[SqliteStore] = []

    def make(self) -> SessionStore:
        self.disks.append(TestDisk())
        self.stores.append(SqliteStore(self.path, self.disks[-1]))
        return self.stores[-1]

    def again(self, store: SessionStore) -> SessionStore:
        self.disks[-1].crash()
        killed(self.stores[-1])
        return self.make()

    def beside(self, store: SessionStore) -> SessionStore:
        return self.make()

    def peek(self, store: SessionStore, session_id: str) -> list[dict[str, Any]]:
        rows = look(
            self.path,
            "SELECT e.json FROM entry e JOIN session s ON e.session = s.key "
            "WHERE s.id = ? AND s.deleted = '' ORDER BY e.n",
            session_id,
        )
        return [json.loads(row[0]) for row in rows]

    def poke(self, store: SessionStore, session_id: str, plain: dict[str, Any]) -> None:
        look(
            self.path,
            "INSERT INTO entry SELECT key, ?, ? FROM session WHERE id = ? AND deleted = ''",
            plain["n"],
            json.dumps(plain).encode(),
            session_id,
        )

    def spoil(self, store: SessionStore, digest: str) -> None:
        look(self.path, "UPDATE blob SET data = data || x'00' WHERE digest = ?", digest)

    def bill(self, store: SessionStore) -> int:
        return sum(len(disk.opened) for disk in self.disks)


def look(path: Path, question: str, *values: object) -> list[Any]:
    """Ask or change the database as another program would."""
    db = sqlite3.connect(path)
    with db:
        rows = db.execute(question, values).fetchall()
    db.close()
    return rows


def mark_of(store: SqliteStore) -> int:
    assert store._base._mark is not None
    return store._base._mark[1]


def killed(store: SqliteStore) -> None:
    """What the kernel does to SQLite's files when the program is killed; nothing is tidied up."""
    if store._base._db is not None:
        store._base._db.close()
    store._base._mark = None


class TestWithALog(TestSqliteStore):
    """The same promise with a write-ahead log, as newer libraries get one."""

    @pytest.fixture(autouse=True)
    def _log(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(database, "WAL_SINCE", (3, 0, 0))


# -- the file -------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "talks.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(path) as store:
        yield store


def filled(path: Path, count: int = 3) -> Birth:
    born = birth()
    with SqliteStore(path) as store:
        store.append(born, some(count), at=0, headline=Headline(title="kept"))
    return born


def test_looking_makes_nothing(store: SqliteStore, path: Path) -> None:
    assert store.headers() == []
    assert store.trashed() == []
    assert store.holder("20260101-000000-aaaaaa") == ""
    store.end_part("20260101-000000-aaaaaa")
    assert store.prune(0) == 0
    with pytest.raises(SessionNotFound):
        store.read("20260101-000000-aaaaaa")
    with pytest.raises(SessionNotFound):
        store.restore("20260101-000000-aaaaaa")
    assert not path.parent.exists()


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_files_are_private_from_the_first_instant(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with SqliteStore(path) as store:
            born = birth()
            store.append(born, some(2), at=0, headline=Headline())
            with store._base.change() as db:  # while its journal is there
                db.execute("UPDATE session SET updated = 'x'")
                modes = {p: p.stat().st_mode & 0o777 for p in path.parent.rglob("*")}
    finally:
        os.umask(before)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert {p.name for p in modes} >= {path.name, f"{path.name}-journal", born.id}
    assert {mode for p, mode in modes.items() if p.is_file()} == {0o600}
    assert {mode for p, mode in modes.items() if p.is_dir()} == {0o700}


def _link(path: Path) -> None:
    filled(path.with_name("real"))
    path.symlink_to(path.with_name("real"))


def _second_name(path: Path) -> None:
    filled(path.with_name("real"))
    os.link(path.with_name("real"), path)


ODD: dict[str, Callable[[Path], object]] = {
    "symbolic link": _link,
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "hard link": _second_name,
    "FIFO": os.mkfifo,
    "folder": Path.mkdir,
}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_file_is_refused(store: SqliteStore, path: Path, kind: str) -> None:
    path.parent.mkdir()
    ODD[kind](path)
    before = sorted(p.name for p in path.parent.iterdir() if not p.name.endswith(".locks"))
    for attempt in attempts(store):
        with pytest.raises(SessionUnreadable, match=r"talks\.sqlite is not used: it (is|has)"):
            attempt()
    after = sorted(p.name for p in path.parent.iterdir() if not p.name.endswith(".locks"))
    assert after == before


def attempts(store: SqliteStore) -> list[Callable[[], object]]:
    born = birth()
    return [
        store.headers,
        lambda: store.read(born.id),
        lambda: store.append(born, some(1), at=0, headline=Headline()),
        lambda: store.put_blob(b"x"),
    ]


def test_anothers_file_is_refused(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(path)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(SessionUnreadable, match="belongs to somebody else"):
        store.headers()


JUNK = {
    "text": b"not a database, but somebody's notes " * 200,
    "short": b"SQLite format",
    "zeros": bytes(8192),
    "session": b'{"format":1,"id":"x","messages":[\n]}',
}


@pytest.mark.parametrize("kind", JUNK)
def test_what_is_no_database_is_left_as_it_is(store: SqliteStore, path: Path, kind: str) -> None:
    path.parent.mkdir()
    path.write_bytes(JUNK[kind])
    for attempt in attempts(store):
        with pytest.raises(SessionUnreadable) as caught:
            attempt()
        assert caught.value.hint
    assert path.read_bytes() == JUNK[kind]


def test_a_database_of_another_program_is_left_as_it_is(store: SqliteStore, path: Path) -> None:
    path.parent.mkdir()
    look(path, "CREATE TABLE contacts (name)")
    before = path.read_bytes()
    for attempt in attempts(store):
        with pytest.raises(SessionUnreadable, match="another program"):
            attempt()
    assert path.read_bytes() == before


# -- versions -------------------------------------------------------------------------------------


def newer(*statements: str) -> Kind:
    return Kind(sqlite.KIND.application, (*sqlite.KIND.steps, statements))


def test_an_older_database_is_brought_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    born = filled(path)
    assert look(path, "PRAGMA user_version") == [(1,)]
    kind = newer("ALTER TABLE session ADD COLUMN starred INTEGER NOT NULL DEFAULT 7")
    monkeypatch.setattr(sqlite, "KIND", kind)
    with SqliteStore(path) as store:
        assert store.read(born.id).entries == some(3)
        assert store.append(born, some(1, 4), at=3, headline=Headline()) == 4
    assert look(path, "PRAGMA user_version") == [(2,)]
    assert look(path, "SELECT starred FROM session") == [(7,)]


def test_a_new_database_takes_every_step(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "KIND", newer("CREATE TABLE more (x)"))
    filled(path)
    assert look(path, "PRAGMA user_version") == [(2,)]
    assert look(path, "SELECT * FROM more") == []


def test_a_step_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    born = filled(path)
    before = path.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(sqlite, "KIND", newer("CREATE TABLE more (x)", "CREATE TABLE blob (x)"))
        with SqliteStore(path) as store, pytest.raises(StoreError):
            store.read(born.id)
    assert path.read_bytes() == before
    with SqliteStore(path) as store:
        assert store.read(born.id).entries == some(3)


def test_a_newer_database_is_refused_and_left(store: SqliteStore, path: Path) -> None:
    filled(path)
    look(path, "PRAGMA user_version = 99")
    before = path.read_bytes()
    for attempt in attempts(store):
        with pytest.raises(SessionUnreadable, match="newer version") as caught:
            attempt()
        assert "upgrade" in caught.value.hint
    assert path.read_bytes() == before


# -- a medium that refuses ------------------------------------------------------------------------


def test_a_full_disk_is_said_and_nothing_is_half_there(store: SqliteStore) -> None:
    born = birth()
    store.append(born, some(1), at=0, headline=Headline(title="before"))
    db = store._base.reading()
    assert db is not None
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreUnavailable, match="the disk is full"):
        store.append(born, (said("x" * 50_000),) * 3, at=1, headline=Headline(title="after"))
    assert store.read(born.id).entries == some(1)
    assert store.header(born.id).headline.title == "before"
    db.execute("PRAGMA max_page_count = 1000000")
    assert store.append(born, some(1, 2), at=1, headline=Headline()) == 2


def test_a_disk_that_is_full_for_sqlite_itself(path: Path) -> None:
    """A file size limit: the system refuses the write, in the journal or in the file."""
    born = filled(path)
    child = os.fork()
    if not child:
        code = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            size = path.stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            with SqliteStore(path) as store:
                try:
                    store.append(born, (said("x" * 90_000),), at=3, headline=Headline())
                except StoreUnavailable as refusal:
                    code = 0 if refusal.hint and len(store.read(born.id).entries) == 3 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with SqliteStore(path) as store:
        assert store.append(born, some(1, 4), at=3, headline=Headline()) == 4


def test_a_read_only_database_can_be_read(path: Path) -> None:
    born = filled(path)
    db = SqliteStore(path)
    real = db._base.reading()
    assert real is not None
    real.execute("PRAGMA query_only = 1")  # the owner of this test may write anything otherwise
    with db as store:
        assert store.read(born.id).entries == some(3)
        with pytest.raises(StoreUnavailable, match="read-only") as caught:
            store.append(born, some(1, 4), at=3, headline=Headline())
        assert "writable" in caught.value.hint
        assert store.headers()[0].entries == 3


def test_a_busy_database_is_waited_for_and_then_said(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_S", 0.05)
    born = filled(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailable, match="another program is writing"):
            store.append(born, some(1, 4), at=3, headline=Headline())
        other.execute("ROLLBACK")
    assert store.append(born, some(1, 4), at=3, headline=Headline()) == 4


def test_a_database_that_is_taken_away_loses_nothing_silently(
    store: SqliteStore, path: Path
) -> None:
    born = birth()
    store.append(born, some(2), at=0, headline=Headline())
    path.rename(path.with_name("elsewhere"))
    with pytest.raises(SessionConflict) as caught:
        store.append(born, some(1, 3), at=2, headline=Headline())
    assert caught.value.found == 0
    path.unlink()
    path.with_name("elsewhere").rename(path)
    assert store.append(born, some(1, 3), at=2, headline=Headline()) == 3


def test_a_database_that_goes_while_it_is_written_is_not_called_saved(
    store: SqliteStore, path: Path
) -> None:
    with pytest.raises(StoreUnavailable, match="taken away"), store._base.change():
        path.unlink()
    assert store.headers() == []


def test_our_own_words_of_a_doubtful_end_are_no_conflict(store: SqliteStore, path: Path) -> None:
    """The transaction had ended well, although the system said otherwise."""
    born = birth()
    store.append(born, some(1), at=0, headline=Headline())
    path.rename(path.with_name("elsewhere"))
    copy = path.with_name("elsewhere").read_bytes()
    with SqliteStore(path.with_name("elsewhere")) as there:
        there.append(born, some(2, 2), at=1, headline=Headline())
    path.write_bytes(copy)
    store._doubt[born.id] = (1, [codec.encode(e, n) for n, e in enumerate(some(2, 2), 2)])
    path.with_name("elsewhere").rename(path)
    assert store.append(born, some(2, 2), at=1, headline=Headline()) == 3
    with pytest.raises(SessionConflict):
        store.append(born, some(2, 2), at=1, headline=Headline())
    assert store.read(born.id).entries == some(3)


# -- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["NULL", "7", "'no json'", "x'ff00'", "'{}'", "'[1]'"])
def test_an_entry_that_cannot_be_read_keeps_its_place(
    store: SqliteStore, path: Path, how: str
) -> None:
    born = filled(path, 5)
    if how != "NULL":
        look(path, f"UPDATE entry SET json = {how} WHERE n = 2")
    look(path, "DELETE FROM entry WHERE n = 4" if how != "NULL" else "DELETE FROM entry WHERE n=2")
    stored = store.read(born.id)
    assert len(stored.entries) == 5
    assert isinstance(stored.entries[1], Noted)
    assert "could not be read" in stored.entries[1].text
    assert stored.entries[2] == some(5)[2]
    assert "2" in stored.notices[0]
    assert store.append(born, some(1, 6), at=5, headline=Headline()) == 6


def test_a_position_out_of_this_world_is_refused(store: SqliteStore, path: Path) -> None:
    born = filled(path)
    look(path, "UPDATE entry SET n = 4000000000000 WHERE n = 3")
    with pytest.raises(SessionUnreadable, match="are gone"):
        store.read(born.id)


@pytest.mark.parametrize("column", ["birth", "headline", "count", "size"])
def test_a_row_that_cannot_be_read_is_listed_as_damaged(
    store: SqliteStore, path: Path, column: str
) -> None:
    born = filled(path)
    look(path, f"UPDATE session SET {column} = 'x'")
    (header,) = store.headers()
    assert header.id == born.id
    assert header.damaged
    assert store.read(born.id).entries == some(3)


def test_every_cut_and_many_spoilt_bytes_are_said_or_harmless(tmp_path: Path) -> None:
    """No traceback, no hang, and what was there is not written over by looking."""
    path = tmp_path / "good.db"
    born = filled(path, 60)
    whole = path.read_bytes()
    chance = random.Random(5)
    broken = [whole[: len(whole) * n // 40] for n in range(1, 40)]
    for _ in range(60):
        raw = bytearray(whole)
        at = chance.randrange(len(raw))
        raw[at : at + 60] = chance.randbytes(60)
        broken.append(bytes(raw))
    for n, raw in enumerate(broken):
        spoilt = tmp_path / f"{n}.db"
        spoilt.write_bytes(raw)
        with SqliteStore(spoilt) as store:
            for attempt in (store.headers, lambda s=store: s.read(born.id), store.trashed):
                with contextlib.suppress(StoreError):
                    attempt()
        assert spoilt.read_bytes() == raw


def test_after_an_unclean_end_a_damaged_database_is_not_written(path: Path) -> None:
    born = filled(path, 400)
    victim = SqliteStore(path)
    victim.lock(born.id)
    victim.append(born, some(1, 401), at=400, headline=Headline())
    marks = path.with_name("talks.sqlite.locks") / ".open"
    assert len(list(marks.iterdir())) == 1
    os.close(mark_of(victim))  # killed: its lock goes, its mark stays
    victim._locks.close()
    killed(victim)
    _spoil_a_page(path)
    before = path.read_bytes()
    with SqliteStore(path) as store:
        with pytest.raises(SessionUnreadable, match="is damaged"):
            store.append(birth(), some(1), at=0, headline=Headline())
        with pytest.raises(SessionUnreadable, match="is damaged"):
            store.put_blob(b"x")
        assert [h.id for h in store.headers()] == [born.id]
    assert path.read_bytes() == before
    with SqliteStore(path) as store, pytest.raises(SessionUnreadable):
        store.append(birth(), some(1), at=0, headline=Headline())  # not forgotten by the next


def _spoil_a_page(path: Path) -> None:
    """Make nonsense of some page full of entries."""
    raw = bytearray(path.read_bytes())
    size = int.from_bytes(raw[16:18], "big")
    leaf = next(
        at
        for at in range(size * 8, len(raw), size)
        if raw[at] == 10 and int.from_bytes(raw[at + 3 : at + 5], "big") > 3
    )
    raw[leaf : leaf + 100] = bytes(100)
    path.write_bytes(raw)


def test_after_an_unclean_end_a_sound_database_is_checked_once(path: Path) -> None:
    born = filled(path)
    victim = SqliteStore(path)
    victim.append(born, some(1, 4), at=3, headline=Headline())
    os.close(mark_of(victim))
    victim._locks.close()
    killed(victim)
    marks = path.with_name("talks.sqlite.locks") / ".open"
    assert len(list(marks.iterdir())) == 1
    with SqliteStore(path) as store:
        assert store.append(born, some(1, 5), at=4, headline=Headline()) == 5
        assert len(list(marks.iterdir())) == 1  # our own
    assert list(marks.iterdir()) == []


# -- many -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_writers_killed_at_random_lose_nothing_that_was_acknowledged(
    tmp_path: Path, soak: int
) -> None:
    kills = 60 * soak
    seed = random.randrange(1 << 30)
    script = Path(__file__).with_name("killing_sqlite.py")
    command = [sys.executable, str(script), str(tmp_path / "x.db"), str(kills), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120 + kills)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    counted = json.loads(done.stdout)
    assert counted["kills"] == kills
    assert counted["entries"] > kills / 2  # the writers did get to write


def test_what_is_let_go_of_is_gone_from_the_file(path: Path) -> None:
    with SqliteStore(path) as store:
        secret, kept = birth(), birth()
        store.append(kept, some(1), at=0, headline=Headline())
        store.append(secret, (said("xyzzy-secret " * 9_000),), at=0, headline=Headline())
        size = path.stat().st_size
        store.delete(secret.id)
        assert b"xyzzy-secret" in path.read_bytes()
        assert store.prune(0) == 1
        assert path.stat().st_size < size - 90_000
        assert store.read(kept.id).entries == some(1)
    assert b"xyzzy-secret" not in path.read_bytes()


def test_a_list_reads_no_entries(store: SqliteStore) -> None:
    for n in range(3):
        store.append(birth(), some(40), at=0, headline=Headline(title=str(n)))
    db = store._base.reading()
    assert db is not None
    plan = db.execute("EXPLAIN QUERY PLAN " + sqlite._LIVE + sqlite._LAST_USED).fetchall()
    assert not any("entry" in row[3] for row in plan)
    (last,) = db.execute("EXPLAIN QUERY PLAN " + sqlite._ENTRIES, (1, 5, 9)).fetchall()
    assert "SEARCH entry USING PRIMARY KEY (session=? AND n>? AND n<?)" in last[3]
