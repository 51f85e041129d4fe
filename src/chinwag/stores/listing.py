"""The lines of a list of sessions, remembered: only files that have changed are opened.

    listing = Listing(folder / ".listing", disk)
    headers = listing.headers(scanned(disk, folder), read=self._listed, always=suspects)

Invariants. What is remembered of a file is used only while device, inode, size and both times of
the file are what they were when it was read; a file that was changed within the last two seconds
is not remembered, since it could change again within one tick of the clock. Neither is what is
damaged. The memory is a file that may vanish or lie at any time: then everything is read anew.
Nobody waits for its safety, and that it cannot be written is no error. A session that has gone
from the folder is gone from it, too, as soon as anybody lists.
"""

from __future__ import annotations

import contextlib
import os
import time
import zlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import msgspec

from chinwag.stores.base import last_used_first
from chinwag.stores.disk import Disk, NotOurs, make_folder, write_all
from chinwag.stores.haste import no_collecting
from chinwag.stores.names import is_id
from chinwag.stores.whole import drop, read_own, shut
from chinwag.talk.entry import new_id
from chinwag.talk.session import Header

ENDING = ".json"
SETTLED_NS = 2_000_000_000
MOST = 1 << 28  # bytes of a memory that are worth reading
FEW = 16  # this many changed files are rather read again than the memory written
_MAGIC = b"chinwag listing 2\n"


class _Row(msgspec.Struct, frozen=True, array_like=True):
    """What was read of a file, and the mark it then had."""

    seen: int
    header: Header


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[_Row]).decode


class Listing:
    """The memory of one folder, kept in the file ``path``; read when it is first needed."""

    def __init__(self, path: Path, disk: Disk | None = None) -> None:
        self._path = path
        self._disk = disk or Disk()
        self._rows: dict[str, _Row] | None = None
        self._unsaved = 0  # files read since the memory was written

    def headers(
        self,
        files: Mapping[str, os.stat_result],
        read: Callable[[str], Header | None],
        always: Collection[str] = (),
    ) -> list[Header]:
        """The lines of the sessions among ``files`` (by name, as `Disk.scan` gives them), last
        used first. ``read`` opens one, None if it is not there; ``always`` are not remembered."""
        with no_collecting():
            return last_used_first(self._found(files, read, always))

    def _found(
        self,
        files: Mapping[str, os.stat_result],
        read: Callable[[str], Header | None],
        always: Collection[str],
    ) -> list[Header]:
        before = self._remembered()
        fresh: dict[str, _Row] = {}
        stale: set[str] = set()
        found: list[Header] = []
        known = 0
        for name, of in files.items():
            row = before.get(name)
            if row is not None:
                known += 1
                if row.seen == _mark(of) and not (always and row.header.id in always):
                    found.append(row.header)
                    continue
                stale.add(name)
            if (row := self._read(name, of, read)) is not None:
                found.append(row.header)
                fresh[name] = row
        if fresh or stale or known != len(before):
            self._learn(before, files, fresh, stale, always)
        return found

    def _learn(
        self,
        before: dict[str, _Row],
        files: Mapping[str, os.stat_result],
        fresh: dict[str, _Row],
        stale: set[str],
        always: Collection[str],
    ) -> None:
        """Take over what was read of files at rest; forget what is gone, or another now."""
        settled = time.time_ns() - SETTLED_NS
        rows = {name: row for name, row in before.items() if name in files and name not in stale}
        for name, row in fresh.items():
            of, header = files[name], row.header
            if not header.damaged and header.id not in always and _at_rest(of, settled):
                rows[name] = row
        self._remember(rows, before)

    def _read(
        self, name: str, of: os.stat_result, read: Callable[[str], Header | None]
    ) -> _Row | None:
        session_id = name[: -len(ENDING)]
        if not name.endswith(ENDING) or not is_id(session_id):
            return None
        self._unsaved += 1
        header = read(session_id)
        return None if header is None else _Row(_mark(of), header)

    def _remembered(self) -> dict[str, _Row]:
        if self._rows is None:
            raw = b""
            with contextlib.suppress(OSError, NotOurs):
                raw = read_own(self._disk, self._path, MOST)
            self._rows = {row.header.id + ENDING: row for row in _rows_of(raw)}
        return self._rows

    def _remember(self, rows: dict[str, _Row], before: dict[str, _Row]) -> None:
        """Keep it for the next program as well, where that is worth the writing."""
        self._rows = rows
        if before.keys() <= rows.keys() and (self._unsaved <= FEW or len(rows) <= FEW):
            return
        body = _encode(list(rows.values()))
        with contextlib.suppress(OSError, NotOurs):
            make_folder(self._disk, self._path.parent)
            self._put(_MAGIC + zlib.crc32(body).to_bytes(4, "big") + body)
            self._unsaved = 0

    def _put(self, data: bytes) -> None:
        """Old or new for every reader, but not synced: after a power cut it may be neither."""
        temp = self._path.with_name(f".{self._path.name}.{new_id(12)}.tmp")
        fd = self._disk.open(temp, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            write_all(self._disk, fd, data, 0)
            self._disk.rename(temp, self._path)
        except OSError:
            drop(self._disk, temp, fd)
            raise
        shut(self._disk, fd)


def scanned(disk: Disk, folder: Path) -> dict[str, os.stat_result]:
    """The files of a folder with their sizes and times; none where it is not there."""
    try:
        with no_collecting():
            return disk.scan(folder)
    except FileNotFoundError:
        return {}


def _mark(of: os.stat_result) -> int:
    """Device, inode, size and both times in ns, as one number: quicker to keep and to compare."""
    return hash((of.st_dev, of.st_ino, of.st_size, of.st_mtime_ns, of.st_ctime_ns))


def _at_rest(of: os.stat_result, settled: int) -> bool:
    return of.st_mtime_ns < settled and of.st_ctime_ns < settled


def _rows_of(raw: bytes) -> list[_Row]:
    """What a memory holds; nothing if it is none, or not whole."""
    start = len(_MAGIC) + 4
    body = memoryview(raw)[start:]
    crc = raw[len(_MAGIC) : start]
    if not raw.startswith(_MAGIC) or zlib.crc32(body).to_bytes(4, "big") != crc:
        return []
    try:
        return _decode(body)
    except msgspec.MsgspecError:
        return []
