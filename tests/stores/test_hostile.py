"""Damaged and hostile session files: nothing is lost, hidden, made up or followed by a crash.

Each one is listed, read, read again by a writer (who mends it), added to, and read once more.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chinwag.errors import SessionUnreadable, StoreError
from chinwag.stores.files import FileStore
from chinwag.talk.entry import AnyEntry, Noted, UserSaid
from chinwag.talk.message import Text
from chinwag.talk.session import Headline
from contracts.store import EVERY_KIND, some
from stores.disks import TestDisk
from stores.hostile import BORN, sound, variants

VARIANTS = dict(variants())
MEMORY = Path("/dev/shm")  # where there is none, the files are made on the disk: it takes longer
MORE = UserSaid(id="more", parts=(Text("more"),))
#: A line that is an entry of the documents these files were made from.
WORDS = re.compile(rb'(?m)^,?\{"n":\d+,"kind":"(user|assistant|system|tool)".*"content":".*"\}$')


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    where = MEMORY if os.access(MEMORY, os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=where) as folder:
        yield Path(folder)


class Case:
    """One file, and what the store makes of it."""

    def __init__(self, folder: Path, raw: bytes) -> None:
        self.root = folder
        self.raw = raw
        self.path = folder / "sessions" / f"{BORN.id}.json"
        self.path.parent.mkdir(0o700, exist_ok=True)
        for left in self.path.parent.glob(f"{BORN.id}.*"):
            left.unlink()
        self.path.write_bytes(raw)
        self.entries: tuple[AnyEntry, ...] | None = None

    def judge(self) -> None:
        began = time.monotonic()
        disk = TestDisk(syncs=False)
        with FileStore(self.root, disk) as store:
            self._look(store)
            assert self.path.read_bytes() == self.raw, "looking changed the file"
            self._open(store)
        assert not disk.opened
        self._kept()
        assert time.monotonic() - began < 5, "it hangs"

    def _look(self, store: FileStore) -> None:
        (header,) = store.headers()
        try:
            self.entries = store.read(BORN.id).entries
        except SessionUnreadable as error:
            assert error.message  # noqa: PT017 - either is right, if it is said
            with contextlib.suppress(SessionUnreadable):
                assert store.header(BORN.id).entries >= 0
            return
        assert store.span(BORN.id, 0) == (self.entries, len(self.entries))
        good = [e for e in self.entries if not (isinstance(e, Noted) and e.id.startswith("gap-"))]
        assert good or not WORDS.search(self.raw), "what is not empty is shown as empty"
        assert header.damaged or header.entries in {len(self.entries), *self._said_counts()}

    def _said_counts(self) -> list[int]:
        """A list believes the closing line; who opens the session does not."""
        return [int(n) for n in re.findall(rb'"count":(\d{1,9})[,}]', self.raw)[-1:]]

    def _open(self, store: FileStore) -> None:
        store.lock(BORN.id)
        try:
            entries = store.read(BORN.id).entries
            assert entries == self.entries
            count = store.append(BORN, (MORE,), at=len(entries), headline=Headline())
        except SessionUnreadable:
            assert self.entries is None
            assert self.path.read_bytes() == self.raw, "what cannot be read was written over"
            with pytest.raises(StoreError):
                store.append(BORN, (MORE,), at=0, headline=Headline())
            assert self.path.read_bytes() == self.raw
            return
        assert count == len(entries) + 1
        plain = json.loads(self.path.read_bytes())
        assert [m["n"] for m in plain["messages"]] == list(range(1, count + 1))
        stored = FileStore(self.root).read(BORN.id)
        assert stored.entries == (*entries, MORE)
        assert not [n for n in stored.notices if "is missing" not in n]

    def _kept(self) -> None:
        """Every byte that was there is in the file, in its copy, or in the end that was cut."""
        now = self.path.read_bytes()
        copies = [p.read_bytes() for p in self.path.parent.glob(f"{BORN.id}.*-*")]
        if self.raw == now or self.raw in copies:
            return
        cut = copies[0] if copies else b""
        assert self.raw.rstrip(b"\0\n\r\t ").endswith(cut.rstrip(b"\0\n\r\t "))
        rest = self.raw.rstrip(b"\0\n\r\t ").removesuffix(cut.rstrip(b"\0\n\r\t "))
        for line in rest.split(b"\n"):
            text = line.strip(b"\0\r\t ")
            assert text in now or text.startswith(b'],"meta":'), f"this is gone: {text[:200]!r}"


def test_there_are_enough_of_them() -> None:
    assert len(VARIANTS) >= 300


def test_each_of_them(folder: Path) -> None:
    unreadable = 0
    for name, raw in VARIANTS.items():
        case = Case(folder, raw)
        try:
            case.judge()
        except BaseException as error:
            error.add_note(name)
            error.add_note(repr(raw[:300]))
            raise
        unreadable += case.entries is None
    assert 50 < unreadable < len(VARIANTS) / 2  # and most of them can be read


def test_a_cut_at_every_byte(folder: Path) -> None:
    raw = sound((*some(2), *EVERY_KIND[-4:]))
    for size in range(len(raw)):
        case = Case(folder, raw[:size])
        try:
            case.judge()
        except BaseException as error:
            error.add_note(f"cut at byte {size} of {len(raw)}: {raw[max(0, size - 60) : size]!r}")
            raise


@pytest.mark.parametrize("name", [b'"content":"y"', b'"kind":"note"', b'"new":1,"new":2'])
def test_an_entry_with_a_name_twice_is_not_believed(folder: Path, name: bytes) -> None:
    case = Case(folder, VARIANTS[f"{name!r} comes twice"])
    stored = FileStore(folder).read(BORN.id)
    assert isinstance(stored.entries[1], Noted)
    assert "damaged" in stored.notices[0]
    assert stored.entries[::2] == some(3)[::2]
    assert case.raw == case.path.read_bytes()


LARGE = """
import re, sys
from pathlib import Path
from chinwag.errors import StoreError
from chinwag.stores.files import FileStore
from chinwag.talk.session import Birth, Headline
root, name = Path(sys.argv[1]), sys.argv[2]
with FileStore(root) as store:
    print(store.headers()[0].damaged[:60] or "sound")
    store.lock(name)
    try:
        print(len(store.read(name).entries), "entries")
    except StoreError as error:
        print(error.message)
status = Path("/proc/self/status").read_text()  # getrusage counts what we were forked from
print(int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("what", ["a line", "a broken line", "NULs", "brackets", "quotes", "lines"])
def test_a_hundred_megabytes_take_less_than_half_a_gigabyte(folder: Path, what: str) -> None:
    size = 100 << 20
    # Plain letters: with a single emoji in it Python itself takes four bytes for each of them.
    raw = sound(tuple(UserSaid(id=f"u{n}", parts=(Text(f"message {n}"),)) for n in (1, 2, 3)))
    match what:
        case "a line":
            raw = raw.replace(b"message 2", b"m" * size)
        case "a broken line":
            raw = raw.replace(b"message 2", b"m" * size + b'"')
        case "NULs":
            raw += bytes(size)
        case "brackets":
            raw = raw.replace(b'"message 2', b"[" * size)
        case "quotes":
            raw = raw.replace(b'"message 2', b'\\"' * (size // 2))
        case "lines":
            raw = raw.replace(b"\n,", b"\n" + b"\n" * (size // 2) + b",")
    path = folder / "sessions" / f"{BORN.id}.json"
    path.parent.mkdir(0o700)
    path.write_bytes(raw)
    del raw
    command = [sys.executable, "-c", LARGE, str(folder), BORN.id]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *said, memory = done.stdout.splitlines()
    assert int(memory) < 512, said
    assert time.monotonic() - began < 15
    assert "0 entries" not in said
