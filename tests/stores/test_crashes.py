"""Every disk a power cut may leave is opened by the real loader: what was promised is there.

At least 5,000 different disks in every run; `--soak` tries more mixtures of what was not synced.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from chinwag.errors import SessionNotFound, StoreError
from chinwag.stores.base import PartHead
from chinwag.stores.document import headline_of
from chinwag.stores.files import FileStore
from chinwag.talk.delta import TextDelta
from chinwag.talk.entry import AssistantSaid, Titled, UserSaid
from chinwag.talk.message import File, Text
from chinwag.talk.session import Birth, Headline, shortened
from stores.crashes import Ghost, Op, Recorder, states
from stores.disks import TestDisk

BORN = Birth(id="20261120-093015-k3f9q2", created="2026-11-20T09:00:00.000Z")
ROUNDS = 90
SIZES = (40, 700, 2000, 3000, 9000)
MEMORY = Path("/dev/shm")  # where there is none, the states are made on the disk: it takes longer


def said(n: int, size: int) -> UserSaid:
    return UserSaid(id=f"u{n}", parts=(Text(f"{n} " + f"w{n} " * (size // 4)),))


def everything(size: int) -> tuple[Any, ...]:
    """All that is said in a life, in its order; in the longest one, with something for a blob."""
    attached = "long " * (60_000 if size == SIZES[-1] else 10)
    return (
        *(said(n, size) for n in range(1, 9)),
        AssistantSaid(id="a9", parts=(Text("heard and more"),)),
        Titled(id="t10", title="harbour"),
        UserSaid(id="u11", parts=(Text("look"), File(name="f", text=attached))),
        said(12, size),
        said(13, size),
    )


@dataclass(frozen=True)
class Promise:
    """What somebody was told, and by when: after so many changes of the disk."""

    ops: int = 0
    entries: int = 0
    heard: str = ""
    where: str = "sessions"  # or trash, or either while it is on its way


class Life:
    """A session's life on a disk that is written down."""

    def __init__(self, root: Path, size: int, *, whole: bool) -> None:
        self.disk = Recorder(root)
        self.wanted = everything(size)
        self.whole = whole
        self.store = FileStore(root, self.disk, whole=whole)
        self.told = [Promise()]

    def _tell(self, **news: object) -> None:
        self.told.append(replace(self.told[-1], ops=len(self.disk.ops), **news))

    def append(self, count: int) -> None:
        at = self.told[-1].entries
        line = headline_of(BORN, self.wanted[: at + count])
        self.store.append(BORN, self.wanted[at : at + count], at=at, headline=line)
        self._tell(entries=at + count, heard="")

    def live(self) -> None:
        for count in (1, 1, 2, 1, 3):
            self.append(count)
        self.store.begin_part(BORN.id, PartHead(9, "a9", "t"))
        self.store.add_part(BORN.id, [TextDelta("heard ")], sync=True)
        self._tell(heard="heard ")
        self.store.add_part(BORN.id, [TextDelta("and more")], sync=False)
        self.append(1)
        self.store.end_part(BORN.id)
        self.append(1)
        self.append(1)
        self._tell(where="either")
        self.store.delete(BORN.id)
        self._tell(where="trash")
        self._tell(where="either")
        self.store.restore(BORN.id)
        self._tell(where="sessions")
        self.append(2)
        self.store.close()


def mended(root: Path, size: int) -> tuple[list[Op], Ghost, list[Promise]]:
    """A torn file is opened, mended and gone on with: the power may go then as well."""
    life = Life(root, size, whole=False)
    life.append(8)
    life.store.close()
    path = root / "sessions" / f"{BORN.id}.json"
    with path.open("ab") as file:
        file.write(b'torn off","n":7}\n,{"n":')
    base = Ghost()
    for op in life.disk.ops:
        base.apply(op)
    content = path.read_bytes()
    base.files[base.names[f"sessions/{BORN.id}.json"]] = content
    begun = len(life.disk.ops)
    life.store = FileStore(root, life.disk, whole=False)
    life.store.lock(BORN.id)
    assert life.store.read(BORN.id).notices
    life.append(1)
    life.store.close()
    promises = [replace(p, ops=max(0, p.ops - begun)) for p in life.told]
    return life.disk.ops[begun:], base, promises


def promise_at(told: list[Promise], ops: int) -> Promise:
    return [p for p in told if p.ops <= ops][-1]


def judge(root: Path, wanted: tuple[Any, ...], told: Promise) -> None:
    """Open it as the next program does."""
    with FileStore(root, TestDisk(syncs=False), whole=False) as store:
        in_trash = [t.header.entries for t in store.trashed()]
        listed = {h.id: h for h in store.headers()}
        if told.where == "trash" or (told.where == "either" and BORN.id not in listed):
            assert in_trash == [told.entries], "a deleted session is gone"
            store.restore(BORN.id)
        elif told.entries:
            assert in_trash == [], "it is in two places"
            assert listed[BORN.id].entries >= told.entries, "it is listed as shorter than it is"
        store.lock(BORN.id)
        try:
            stored = store.read(BORN.id)
        except SessionNotFound:
            assert not told.entries, "an acknowledged session is gone"
            return
        entries = stored.entries
        assert entries[: told.entries] == wanted[: told.entries], "what was acknowledged is gone"
        unpromised = [e for e in entries[told.entries :] if not e.id.startswith("gap-")]
        assert all(e in wanted for e in unpromised), "something nobody said"
        ids = [e.id for e in entries]
        assert len(set(ids)) == len(ids), "an entry is there twice"
        if told.heard and "a9" not in ids:
            assert stored.rescued is not None, "an answer that was heard is gone"
            assert stored.rescued.text.startswith(told.heard)
        titles = [e.title for e in entries if isinstance(e, Titled)]
        assert store.header(BORN.id).headline.title == (titles or [shortened(wanted[0].text)])[-1]
        more = UserSaid(id="more", parts=(Text("more"),))
        count = store.append(BORN, (more,), at=len(entries), headline=Headline())
    plain = json.loads((root / "sessions" / f"{BORN.id}.json").read_bytes())
    assert [m["n"] for m in plain["messages"]] == list(range(1, count + 1))
    with FileStore(root, TestDisk(syncs=False)) as store:
        assert store.read(BORN.id).entries == (*entries, more)


def lives(root: Path) -> Iterator[tuple[str, list[Op], Ghost, list[Promise], int]]:
    for size, whole in itertools.product(SIZES, (False, True)):
        life = Life(root / f"{size}-{whole}", size, whole=whole)
        life.disk.root.mkdir(0o700)
        life.live()
        yield f"{size}, whole={whole}", life.disk.ops, Ghost(), life.told, size
    for size in (40, 1500):
        (root / f"mend-{size}").mkdir(0o700)
        yield f"mending {size}", *mended(root / f"mend-{size}", size), size


@pytest.fixture
def states_folder(tmp_path: Path) -> Iterator[Path]:
    """Where a disk is made real: in memory, where that can be."""
    where = MEMORY if os.access(MEMORY, os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=where) as folder:
        yield Path(folder)


class Explorer:
    """Judges each disk once; ``models`` counts them."""

    def __init__(self, folder: Path, rounds: int) -> None:
        self.root = folder / "state"
        self.rounds = rounds
        self.models = dict.fromkeys(("ordered", "weak", "wild"), 0)
        self._seen: set[object] = set()

    def explore(
        self, name: str, ops: list[Op], base: Ghost, told: list[Promise], size: int
    ) -> None:
        wanted = everything(size)
        for end, model, ghost in states(ops, base, self.rounds, seed=len(name)):
            promise = promise_at(told, end)
            key = (name, promise, ghost.key())
            if key in self._seen:
                continue
            self._seen.add(key)
            self.models[model] += 1
            ghost.build(self.root)
            try:
                judge(self.root, wanted, promise)
            except Exception as error:
                error.add_note(f"{name}: {model}, cut after change {end} of {len(ops)}: {promise}")
                error.add_note("\n".join(f"{o.what} {o.name} {o.new}" for o in ops[: end + 1]))
                raise
            finally:
                shutil.rmtree(self.root)


@pytest.mark.slow
def test_whatever_a_power_cut_leaves_what_was_promised_is_there(
    tmp_path: Path, states_folder: Path, soak: int
) -> None:
    explorer = Explorer(states_folder, ROUNDS * soak)
    for life in lives(tmp_path):
        explorer.explore(*life)
    assert sum(explorer.models.values()) >= 5000, explorer.models
    assert min(explorer.models.values()) >= 400, explorer.models


@pytest.mark.parametrize("sync", ["fdatasync", "fsync", "sync_folder"])
def test_a_store_that_left_out_one_kind_of_sync_would_be_found_out(
    tmp_path: Path, states_folder: Path, sync: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(self: Recorder, where: object) -> None:
        """The store believes that this made something safe."""

    monkeypatch.setattr(Recorder, "fdatasync", Recorder.fsync)
    monkeypatch.setattr(Recorder, sync, nothing)
    root = tmp_path / "life"
    root.mkdir(0o700)
    life = Life(root, 700, whole=False)
    life.live()
    with pytest.raises((AssertionError, KeyError, StoreError)):
        Explorer(states_folder, 30).explore("careless", life.disk.ops, Ghost(), life.told, 700)


def test_the_explorer_finds_what_a_careless_store_loses(tmp_path: Path) -> None:
    """A rename without an fsync before it: the classic. The model must know it."""
    (tmp_path / "a").mkdir()
    disk = Recorder(tmp_path / "a")
    fd = disk.open(disk.root / "temp", 0o102)
    disk.pwrite(fd, b"x" * 2000, 0)
    disk.rename(disk.root / "temp", disk.root / "file")
    disk.sync_folder(disk.root)
    disk.close(fd)
    found = [
        ghost.files[ghost.names["file"]]
        for end, _, ghost in states(disk.ops, Ghost(), 50, 1)
        if end == len(disk.ops)
    ]
    assert b"" in found
    assert bytes(2000) in found
    assert b"x" * 2000 in found
    assert any(0 < content.count(0) < 2000 for content in found)
