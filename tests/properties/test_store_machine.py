"""Random lives of a store, beside a plain dictionary that says what must be there.

The oracle uses nothing of the code under test: lists of texts. Programs are killed (the store is
dropped, its files closed as the kernel would), the disk refuses, other writers are mistaken about
what is there; after each step both must agree.
"""

from __future__ import annotations

import errno
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chinwag.errors import SessionConflict, SessionNotFound, StoreUnavailable
from chinwag.stores.base import PartHead, SessionStore
from chinwag.stores.files import FileStore
from chinwag.stores.memory import MemoryStore
from chinwag.stores.sqlite import SqliteStore
from chinwag.talk.delta import TextDelta
from chinwag.talk.entry import AssistantSaid, UserSaid
from chinwag.talk.message import Text
from chinwag.talk.session import Birth, Headline
from contracts.store import birth, said
from stores.disks import SHORT, TestDisk

BIRTHS = [birth(f"2026-11-2{n}T00:00:00.000Z") for n in range(3)]
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=4)
WHICH = st.sampled_from(BIRTHS)
REFUSALS = [errno.ENOSPC, errno.EIO, errno.EROFS, SHORT]


class StoreMachine(RuleBasedStateMachine):
    """Against memory; below, against files."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted: dict[str, list[str]] = {}
        self.part: dict[str, str] = {}
        self.trash: dict[str, list[tuple[list[str], str | None]]] = {}
        self.serial = 0
        self.store: SessionStore = MemoryStore()

    def append(self, born: Birth, texts: list[str], at: int) -> int:
        entries = [said(text, at + n) for n, text in enumerate(texts, 1)]
        return self.store.append(born, entries, at=at, headline=Headline(title=str(at)))

    @rule(born=WHICH, texts=TEXTS)
    def appends(self, born: Birth, texts: list[str]) -> None:
        old = self.wanted.get(born.id, [])
        assert self.append(born, texts, len(old)) == len(old) + len(texts)
        self.wanted[born.id] = old + texts

    @rule(born=WHICH, texts=TEXTS, off=st.integers(-3, 3).filter(bool))
    def is_mistaken(self, born: Birth, texts: list[str], off: int) -> None:
        at = len(self.wanted.get(born.id, [])) + off
        if at >= 0:
            with pytest.raises(SessionConflict):
                self.append(born, texts, at)

    @rule(born=WHICH)
    def deletes(self, born: Birth) -> None:
        part = self.part.pop(born.id, None)
        texts = self.wanted.pop(born.id, None)
        if texts is None:
            with pytest.raises(SessionNotFound):
                self.store.delete(born.id)
        else:
            self.store.delete(born.id)
            self.trash.setdefault(born.id, []).append((texts, part))

    @rule(born=WHICH)
    def restores(self, born: Birth) -> None:
        kept = self.trash.get(born.id)
        if not kept:
            with pytest.raises(SessionNotFound):
                self.store.restore(born.id)
        elif born.id in self.wanted:
            with pytest.raises(SessionConflict):
                self.store.restore(born.id)
        else:
            self.store.restore(born.id)
            self.wanted[born.id], part = kept.pop()
            if part is not None:
                self.part[born.id] = part

    @rule(everything=st.booleans())
    def prunes(self, everything: bool) -> None:
        count = sum(map(len, self.trash.values()))
        assert self.store.prune(0 if everything else 1) == (count if everything else 0)
        if everything:
            self.trash.clear()

    @rule(born=WHICH, texts=TEXTS)
    def hears_half_an_answer(self, born: Birth, texts: list[str]) -> None:
        if born.id not in self.wanted:
            return
        self.serial += 1
        self.store.begin_part(born.id, PartHead(1, f"part-{self.serial}", "t"))
        self.store.add_part(born.id, [TextDelta(text) for text in texts], sync=False)
        self.part[born.id] = "".join(texts)

    @rule(born=WHICH, settled=st.booleans())
    def ends_the_answer(self, born: Birth, settled: bool) -> None:
        if born.id not in self.part:
            return
        text = self.part.pop(born.id)
        if settled:
            old = self.wanted[born.id]
            answer = AssistantSaid(id=f"part-{self.serial}", parts=(Text(text),))
            self.store.append(born, (answer,), at=len(old), headline=Headline())
            self.wanted[born.id] = [*old, text]
        self.store.end_part(born.id)

    @invariant()
    def agrees(self) -> None:
        headers = self.store.headers()
        assert {h.id: h.entries for h in headers} == {k: len(v) for k, v in self.wanted.items()}
        assert not any(h.damaged for h in headers)
        for born in BIRTHS:
            if born.id in self.wanted:
                stored = self.store.read(born.id)
                assert stored.birth == born
                assert stored.notices == ()
                assert [_text(e) for e in stored.entries] == self.wanted[born.id]
                after = max(0, len(stored.entries) - 2)
                assert self.store.span(born.id, after) == (
                    stored.entries[after:],
                    len(stored.entries),
                )
            else:
                with pytest.raises(SessionNotFound):
                    self.store.read(born.id)
        trashed = sorted((t.header.id, t.header.entries) for t in self.store.trashed())
        wanted = [(name, len(texts)) for name, all_ in self.trash.items() for texts, _ in all_]
        assert trashed == sorted(wanted)


def _text(entry: object) -> str:
    assert isinstance(entry, UserSaid | AssistantSaid)
    return entry.text


class FileMachine(StoreMachine):
    whole: bool | None = False

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="chinwag-machine-"))
        self.disk = TestDisk(syncs=False)
        self.open()

    def open(self) -> None:
        self.disk = TestDisk(syncs=False)
        self.store = FileStore(self.root, self.disk, whole=self.whole)

    @rule(locks=st.booleans())
    def is_killed(self, locks: bool) -> None:
        self.disk.crash()
        self.open()
        for session_id in self.wanted:
            if locks:
                self.store.lock(session_id)
            rescued = self.store.read(session_id).rescued
            assert (rescued.text if rescued else "") == self.part.get(session_id, "")
        self.part.clear()
        for born in BIRTHS:
            self.store.end_part(born.id)

    @rule(born=WHICH, texts=TEXTS, call=st.integers(1, 25), error=st.sampled_from(REFUSALS),
          forever=st.booleans(), killed=st.booleans())  # fmt: skip
    def is_refused(
        self, born: Birth, texts: list[str], call: int, error: int, forever: bool, killed: bool
    ) -> None:
        old = self.wanted.get(born.id, [])
        self.disk.calls = 0
        self.disk.fail_at, self.disk.error, self.disk.forever = call, error, forever
        try:
            self.append(born, texts, len(old))
            self.wanted[born.id] = old + texts
        except StoreUnavailable:
            if killed:
                self.killed_while_refused(born, old, texts)
        finally:
            self.disk.heal()

    def killed_while_refused(self, born: Birth, old: list[str], texts: list[str]) -> None:
        """Nothing was acknowledged: then the new entries may be there, or a part of them."""
        self.disk.crash()
        self.open()
        self.part.clear()
        for one in BIRTHS:
            self.store.end_part(one.id)
        self.store.lock(born.id)
        try:
            found = [_text(e) for e in self.store.read(born.id).entries]
        except SessionNotFound:
            assert born.id not in self.wanted
            return
        assert found[: len(old)] == old
        assert found == (old + texts)[: len(found)]
        self.wanted[born.id] = found

    @precondition(lambda self: bool(self.wanted))
    @rule(born=WHICH)
    def another_program_has_it(self, born: Birth) -> None:
        if born.id in self.wanted:
            self.store.unlock(born.id)
            with FileStore(self.root) as other:
                assert len(other.read(born.id).entries) == len(self.wanted[born.id])
                other.lock(born.id)

    def teardown(self) -> None:
        self.store.close()
        assert self.disk.opened == set()
        shutil.rmtree(self.root)

    @initialize()
    def begins(self) -> None:
        assert self.store.headers() == []


class WholeFileMachine(FileMachine):
    whole = True


class SqliteMachine(StoreMachine):
    """Against a database: programs are killed, and the database refuses in every way it knows."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="chinwag-machine-"))
        self.path = self.root / "talks.sqlite"
        self.open()

    def open(self) -> None:
        self.disk = TestDisk(syncs=False)
        self.sqlite = SqliteStore(self.path, self.disk)
        self.store = self.sqlite

    def kill(self) -> None:
        """Locks and files go as the kernel would take them; nothing is tidied up."""
        self.disk.crash()
        if self.sqlite._base._db is not None:
            self.sqlite._base._db.close()

    @rule()
    def is_killed(self) -> None:
        self.kill()
        self.open()
        for session_id in self.wanted:
            rescued = self.store.read(session_id).rescued
            assert (rescued.text if rescued else "") == self.part.get(session_id, "")
        self.part.clear()
        for born in BIRTHS:
            self.store.end_part(born.id)

    @rule(born=WHICH, texts=TEXTS, how=st.sampled_from(["full", "read-only", "busy", "change"]))
    def is_refused(self, born: Birth, texts: list[str], how: str) -> None:
        """Nothing was acknowledged, so nothing is there; as soon as it may be written, it is."""
        if born.id not in self.wanted:
            return
        old = self.wanted[born.id]
        texts = [*texts, "x" * 60_000]
        with self.refusal(how), pytest.raises(StoreUnavailable):
            self.append(born, texts, len(old))
        assert self.append(born, texts, len(old)) == len(old) + len(texts)
        self.wanted[born.id] = old + texts

    @contextmanager
    def refusal(self, how: str) -> Iterator[None]:
        db = self.sqlite._base.reading()
        assert db is not None
        if how == "full":
            (pages,) = db.execute("PRAGMA page_count").fetchone()
            db.execute("PRAGMA incremental_vacuum")
            db.execute(f"PRAGMA max_page_count = {pages + 3}")
            yield
            db.execute("PRAGMA max_page_count = 1073741823")
        elif how == "read-only":
            db.execute("PRAGMA query_only = 1")
            yield
            db.execute("PRAGMA query_only = 0")
        elif how == "busy":
            db.execute("PRAGMA busy_timeout = 1")
            with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
                other.execute("BEGIN EXCLUSIVE")
                yield
        else:
            self.disk.only, self.disk.error = frozenset(["lstat"]), errno.EIO
            yield
            self.disk.heal()

    @rule(born=WHICH, texts=TEXTS, call=st.integers(1, 45), error=st.sampled_from(REFUSALS[:3]),
          forever=st.booleans())  # fmt: skip
    def the_system_refuses(
        self, born: Birth, texts: list[str], call: int, error: int, forever: bool
    ) -> None:
        """A call of our own fails, before the transaction or after its end."""
        self.kill()
        self.open()
        self.part.clear()
        for one in BIRTHS:
            self.store.end_part(one.id)
        old = self.wanted.get(born.id, [])
        self.disk.calls = 0
        self.disk.fail_at, self.disk.error, self.disk.forever = call, error, forever
        try:
            self.append(born, texts, len(old))
        except StoreUnavailable:
            self.disk.heal()
            self.append(born, texts, len(old))  # even where the transaction had ended well
        finally:
            self.disk.heal()
        self.wanted[born.id] = old + texts

    @precondition(lambda self: bool(self.wanted))
    @rule(born=WHICH, texts=TEXTS)
    def another_program_writes(self, born: Birth, texts: list[str]) -> None:
        if born.id in self.wanted:
            old = self.wanted[born.id]
            self.store.unlock(born.id)
            with SqliteStore(self.path) as other:
                entries = [said(text, len(old) + n) for n, text in enumerate(texts, 1)]
                other.append(born, entries, at=len(old), headline=Headline())
            self.wanted[born.id] = old + texts

    def teardown(self) -> None:
        self.store.close()
        assert self.disk.opened == set()
        if self.path.exists():
            with closing(sqlite3.connect(self.path)) as db:
                assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        shutil.rmtree(self.root)

    @initialize()
    def begins(self) -> None:
        assert self.store.headers() == []


def _case(machine: type[RuleBasedStateMachine]) -> type:
    case = machine.TestCase
    case.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
    return case


TestMemoryMachine = _case(StoreMachine)
TestFileMachine = _case(FileMachine)
TestWholeFileMachine = _case(WholeFileMachine)
TestSqliteMachine = _case(SqliteMachine)
