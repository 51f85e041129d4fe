"""Finding and reading the files of sessions.

Invariants: nothing of a session is written here (only second names are removed that a program which
was killed while it created a session left behind). What is no plain file of ours is not read. A
list costs the two ends of each file; a session that cannot be read is in it, and says why.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from chinwag.errors import (
    SessionNotFound,
    SessionUnreadable,
    StoreError,
    StoreUnavailable,
)
from chinwag.stores import document as doc
from chinwag.stores.disk import Disk, Identity, NotOurs, identity, in_words, open_own, read_all
from chinwag.stores.document import Document, Shape
from chinwag.stores.ends import Ends, ends, span
from chinwag.stores.haste import no_collecting
from chinwag.stores.locks import Locks
from chinwag.stores.names import is_id, not_there, path_of
from chinwag.stores.whole import is_temp, names_in, shut
from chinwag.talk.entry import AnyEntry
from chinwag.talk.session import Header, Headline

_LOOKS = 4  # at a file that another program may be writing
_PAUSE = 0.01  # seconds between them


class Reader:
    """Reads the files of ``folder``. Raises OSErrors and NotOurs beside errors of StoreError."""

    def __init__(self, folder: Path, disk: Disk, locks: Locks) -> None:
        self._folder = folder
        self._disk = disk
        self._locks = locks

    def document(self, session_id: str) -> tuple[Document, Identity]:
        """The whole document as it is now."""
        with self._opened(session_id) as fd:
            of = self._disk.fstat(fd)
            if of.st_size > doc.SIZE_LIMIT:
                raise SessionUnreadable(f"the file of session {session_id} is too large")
            raw = read_all(self._disk, fd, 0, doc.SIZE_LIMIT + 1)
        with no_collecting():
            return doc.parse(raw, session_id), identity(of)

    def settled(self, session_id: str, *, patient: bool) -> tuple[Document, Identity]:
        """The same; `patient` where somebody writes: a tail may look torn for an instant."""
        document, seen = self.document(session_id)
        for _ in range(_LOOKS - 1 if patient else 0):
            if document.shape is Shape.SOUND:
                break
            time.sleep(_PAUSE)
            document, seen = self.document(session_id)
        return document, seen

    def header(self, session_id: str) -> Header:
        """A session's line in the list."""
        with self._opened(session_id) as fd:
            found = self._ends(fd, session_id)
        if found is not None:
            return found.header
        document, seen = self.document(session_id)
        return doc.header_of(document, seen.size)

    def span(
        self, session_id: str, after: int, upto: int | None
    ) -> tuple[tuple[AnyEntry, ...], int]:
        """Entries after+1 to ``upto`` and how many there are, from where they lie in the file."""
        for last in range(_LOOKS - 1, -1, -1):
            with self._opened(session_id) as fd:
                found = self._ends(fd, session_id)
                entries = found and span(self._disk, fd, found, after, upto)
            if found is not None and entries is not None:
                return entries, found.closing.count
            if not last or not self._locks.holder(session_id):
                break
            time.sleep(_PAUSE)
        return within(self.settled(session_id, patient=True)[0].entries, after, upto)

    def _ends(self, fd: int, session_id: str) -> Ends | None:
        return ends(self._disk, fd, self._disk.fstat(fd).st_size, session_id)

    def listed(self, session_id: str) -> Header | None:
        """A session's line in the list, whatever is wrong with it; None if it is gone."""
        path = path_of(self._folder, session_id, ".json")
        try:
            with in_words(path):
                return self.header(session_id)
        except SessionNotFound:
            return None  # deleted since the folder was listed
        except (SessionUnreadable, StoreUnavailable) as error:
            return _spoilt(self._disk, path, session_id, error.message)

    @contextlib.contextmanager
    def _opened(self, session_id: str) -> Iterator[int]:
        fd = self._open(session_id)
        try:
            yield fd
        finally:
            shut(self._disk, fd)

    def _open(self, session_id: str) -> int:
        path = path_of(self._folder, session_id, ".json")
        try:
            try:
                return open_own(self._disk, path, os.O_RDONLY)
            except NotOurs:
                if not self._shed(session_id):
                    raise
                return open_own(self._disk, path, os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            raise self.missing(session_id) from None

    def _shed(self, session_id: str) -> bool:
        """Remove second names that a program killed while it created the session left behind."""
        if session_id not in self._locks and self._locks.holder(session_id):
            time.sleep(_PAUSE)  # it is being created just now
            return True
        found = [n for n in names_in(self._disk, self._folder) if is_temp(n, session_id)]
        for name in found:
            self._disk.unlink(self._folder / name)
        return bool(found)

    def missing(self, session_id: str) -> SessionNotFound:
        names: list[str] = []
        with contextlib.suppress(OSError):
            names = [n[:-5] for n in names_in(self._disk, self._folder) if n.endswith(".json")]
        return not_there(session_id, (n for n in names if is_id(n)))


def buried(disk: Disk, path: Path, session_id: str) -> Header:
    """The line of a session whose file lies elsewhere, whatever is wrong with it."""
    try:
        with in_words(path):
            fd = open_own(disk, path, os.O_RDONLY)
            try:
                size = disk.fstat(fd).st_size
                found = ends(disk, fd, size, session_id)
                raw = b"" if found else read_all(disk, fd, 0, doc.SIZE_LIMIT + 1)
            finally:
                shut(disk, fd)
        return found.header if found else doc.header_of(doc.parse(raw, session_id), size)
    except StoreError as error:
        return _spoilt(disk, path, session_id, error.message)


def _spoilt(disk: Disk, path: Path, session_id: str, why: str) -> Header:
    with contextlib.suppress(OSError):
        of = disk.lstat(path)
        changed = datetime.fromtimestamp(of.st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Header(session_id, "", Headline(updated=changed), 0, of.st_size, why)
    return Header(session_id, damaged=why)


def within(
    entries: tuple[AnyEntry, ...], after: int, upto: int | None
) -> tuple[tuple[AnyEntry, ...], int]:
    """A span of entries that were all read."""
    end = len(entries) if upto is None else max(0, upto)
    return entries[max(0, after) : end], len(entries)
