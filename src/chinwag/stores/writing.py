"""How a session's file is written: patched at its end, or whole; and what to do when that fails.

Invariants: see files.py, whose half this is. A `State` is what is known of a file, so that an
append need not read it. It changes only after the system has confirmed what it says; after a
failure it says which bytes are still believed. Everything here raises OSErrors (the store puts
them into words) and `SessionConflict` where acknowledged bytes are no longer there.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from chinwag.stores import document as doc
from chinwag.stores.base import conflict
from chinwag.stores.disk import (
    LOCAL,
    Disk,
    Identity,
    identity,
    open_own,
    read_all,
    write_all,
)
from chinwag.stores.document import Document, Shape
from chinwag.stores.names import path_of, stamp
from chinwag.stores.whole import drop, give_name, put, read_own, shut, written
from chinwag.talk.entry import AnyEntry
from chinwag.talk.session import Birth, Headline

_KEPT_AS = {Shape.DAMAGED: "damaged", Shape.CHANGED: "outside", Shape.FOREIGN: "original"}


class State(msgspec.Struct, eq=False):
    """What we know of one session's file.

    Everything before ``closing_at`` is acknowledged. ``seen`` is the file as we left it.
    ``suspect``: what lies from ``closing_at`` on is not what we left; ``unborn``: and the session
    was never acknowledged at all. ``body`` is set when the document has to be written anew with
    those lines; ``keep`` names the copy made before that, ``cut`` is kept of a torn end.
    """

    birth: Birth
    header: bytes
    count: int
    crc: int
    closing_at: int
    closing: bytes
    seen: Identity
    fd: int = -1
    suspect: bool = False
    unborn: bool = False
    body: bytes | None = None
    keep: str = ""
    cut: bytes = b""


def state_of(document: Document, seen: Identity) -> State:
    """What is known of a file that was read just now."""
    anew = document.closing_at < 0
    return State(
        birth=document.birth,
        header=document.header,
        count=document.count,
        crc=document.crc,
        closing_at=document.closing_at,
        closing=document.closing,
        seen=seen,
        body=document.body if anew else None,
        keep=_KEPT_AS.get(document.shape, ""),
        cut=document.cut,
    )


class Writer:
    """Writes the files of ``folder``. ``whole``: always whole files; None: as the disk is."""

    def __init__(self, folder: Path, disk: Disk, *, whole: bool | None) -> None:
        self._folder = folder
        self._disk = disk
        self._whole = whole

    def path(self, state: State) -> Path:
        return path_of(self._folder, state.birth.id, ".json")

    def is_as_left(self, state: State) -> bool:
        """Whether the file is the one we left, untouched. Opens it for writing."""
        path = self.path(state)
        try:
            there = identity(self._disk.lstat(path))
        except FileNotFoundError:
            return False
        if there[:2] != state.seen[:2]:
            return False
        self._reopen(state)
        return identity(self._disk.fstat(state.fd)) == state.seen

    def _reopen(self, state: State) -> None:
        if state.fd < 0:
            state.fd = open_own(self._disk, self.path(state), os.O_RDWR)

    def left(self, state: State) -> None:
        """Close its file."""
        shut(self._disk, state.fd)
        state.fd = -1

    # -- adding -------------------------------------------------------------------------------

    def extend(self, state: State, entries: Sequence[AnyEntry], headline: Headline) -> None:
        """Write ``entries`` after what is there; ``state`` says so when it is safe."""
        added = doc.entry_lines(entries, state.count)
        count = state.count + len(entries)
        self.keep(state)
        if state.suspect or state.body is not None or self._writes_whole():
            self.replace(state, added, count, headline)
        else:
            self._patch(state, added, count, headline)

    def _writes_whole(self) -> bool:
        if self._whole is None:
            self._whole = self._disk.file_system(self._folder) not in LOCAL
        return self._whole

    def _patch(self, state: State, added: bytes, count: int, headline: Headline) -> None:
        """Add lines in place: beyond the end first, then over the closing line, then sync."""
        disk, fd, old = self._disk, state.fd, len(state.closing)
        crc = doc.crc_of(added, state.crc)
        closing = doc.closing_line(headline, count, crc, least=old - len(added))
        new = added + closing
        try:
            write_all(disk, fd, new[old:], state.closing_at + old)
        except OSError as error:
            self._undo(state, closing=False, broken=error.errno == errno.EIO)
            raise
        try:
            write_all(disk, fd, new[:old], state.closing_at)
        except OSError as error:
            self._undo(state, closing=True, broken=error.errno == errno.EIO)
            raise
        try:
            disk.fdatasync(fd)
            state.seen = identity(disk.fstat(fd))
        except OSError:
            # The kernel may now call the lost pages clean: this file is not asked again.
            self._undo(state, closing=True, broken=True)
            self.replace(state, added, count, headline)
            return
        state.count, state.crc, state.closing = count, crc, closing
        state.closing_at += len(added)

    def _undo(self, state: State, *, closing: bool, broken: bool) -> None:
        """Make the file what it was. If even that fails, its tail is no longer believed."""
        try:
            if closing:
                write_all(self._disk, state.fd, state.closing, state.closing_at)
            self._disk.truncate(state.fd, state.closing_at + len(state.closing))
            state.seen = identity(self._disk.fstat(state.fd))
            state.suspect = broken
        except OSError:
            state.suspect = True

    # -- whole files --------------------------------------------------------------------------

    def replace(self, state: State, added: bytes, count: int, headline: Headline) -> None:
        """Write the session anew, with `added` at its end, and put it in the old one's place."""
        disk, path = self._disk, self.path(state)
        before = self.acknowledged(state)
        crc = doc.crc_of(added, state.crc)
        closing = doc.closing_line(headline, count, crc)
        temp, fd = written(disk, path, before + added + closing)
        try:
            seen = identity(disk.fstat(fd))
            disk.rename(temp, path)
        except OSError:
            drop(disk, temp, fd)
            raise
        self._take(state, fd, seen, len(before))
        try:
            disk.sync_folder(self._folder)
        except OSError:
            state.closing = doc.closing_line(headline, state.count, state.crc)
            state.suspect = True
            raise
        state.count, state.crc, state.closing = count, crc, closing
        state.closing_at += len(added)
        state.suspect = state.unborn = False

    def _take(self, state: State, fd: int, seen: Identity, closing_at: int) -> None:
        """The file is another one now."""
        shut(self._disk, state.fd)
        state.fd, state.seen, state.closing_at, state.body = fd, seen, closing_at, None

    def acknowledged(self, state: State) -> bytes:
        """Header and lines as they were acknowledged. Raises SessionConflict if they are not."""
        if state.body is not None:
            return state.header + state.body
        self._reopen(state)
        before = read_all(self._disk, state.fd, 0, state.closing_at)
        body = memoryview(before)[len(state.header) :]
        if before.startswith(state.header) and doc.crc_of(body) == state.crc:
            return before
        raise conflict(state.birth.id, state.count, 0)

    def create(
        self, birth: Birth, entries: Sequence[AnyEntry], headline: Headline
    ) -> tuple[State, OSError | None]:
        """A new session's file. With an error where its name may not be safe, and is still there.

        Raises FileExistsError, and OSErrors after which nothing is there.
        """
        path = path_of(self._folder, birth.id, ".json")
        header, body = doc.header_line(birth), doc.entry_lines(entries, 0)
        crc = doc.crc_of(body)
        closing = doc.closing_line(headline, len(entries), crc)
        temp, fd = written(self._disk, path, header + body + closing)
        try:
            seen = identity(self._disk.fstat(fd))
            give_name(self._disk, temp, path)
        except OSError:
            drop(self._disk, temp, fd)
            raise
        state = State(birth, header, len(entries), crc, len(header + body), closing, seen, fd)
        try:
            self._disk.sync_folder(self._folder)
        except OSError as error:
            self.unbear(state)
            return state, error
        return state, None

    def unbear(self, state: State) -> bool:
        """Its name may not be safe: take it back, or remember that it is ours to write over.

        Whether nothing is there any more.
        """
        path = self.path(state)
        try:
            with contextlib.suppress(FileNotFoundError):
                if identity(self._disk.lstat(path))[:2] == state.seen[:2]:
                    self._disk.unlink(path)
        except OSError:
            state.count, state.crc, state.closing_at = 0, 0, len(state.header)
            state.closing = doc.closing_line(Headline(), 0, 0)
            state.suspect = state.unborn = True
            return False
        self.left(state)
        return True

    # -- copies -------------------------------------------------------------------------------

    def mend(self, state: State, document: Document) -> None:
        """Bring a torn or damaged file into order, its original kept."""
        self.keep(state)
        self.replace(state, b"", document.count, document.headline)

    def keep(self, state: State) -> None:
        """What is about to be written over is kept first: `ID.damaged-20261120T093015Z.json`."""
        path = self.path(state)
        if state.keep:
            data = read_own(self._disk, path, doc.SIZE_LIMIT)
            put(self._disk, self._free(path, state.keep, ".json"), data)
            state.keep = ""
        if state.cut:
            put(self._disk, self._free(path, "cut", ".txt"), state.cut)
            state.cut = b""

    def _free(self, path: Path, kind: str, ending: str) -> Path:
        """A name nothing has yet: two copies within one second are two files."""
        copy = path.with_name(f"{path.stem}.{kind}-{stamp()}{ending}")
        number = 1
        with contextlib.suppress(FileNotFoundError):
            while True:
                self._disk.lstat(copy)
                number += 1
                copy = path.with_name(f"{path.stem}.{kind}-{stamp()}-{number}{ending}")
        return copy
