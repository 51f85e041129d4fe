"""Answers that are coming in: `FOLDER/ID.part`, append-only, there only while one streams.

Invariants: a part is born exclusively, 0600. What is added lies after what was added before, or not
at all: a refused write is cut back, so that no piece is missing in the middle. A part that is found
and was torn gives what was whole. Writing it never touches the session's own file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from chinwag.errors import UsageError
from chinwag.stores import document as doc
from chinwag.stores import part_form
from chinwag.stores.base import PartHead
from chinwag.stores.disk import Disk, NotOurs, in_words, make_folder, write_all
from chinwag.stores.names import path_of
from chinwag.stores.whole import drop, read_own, shut
from chinwag.talk.delta import AnyDelta
from chinwag.talk.draft import Draft


class _Part(msgspec.Struct, eq=False):
    fd: int
    size: int
    named: bool = False  # whether its name in the folder is on stable storage


class Parts:
    """The parts of a store. Errors are of StoreError's family."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk
        self._open: dict[str, _Part] = {}

    def __contains__(self, session_id: str) -> bool:
        """Whether an answer is coming in into our own hands."""
        return session_id in self._open

    def path(self, session_id: str) -> Path:
        return path_of(self._folder, session_id, ".part")

    def begin(self, session_id: str, head: PartHead) -> None:
        path = self.path(session_id)
        with in_words(path):
            make_folder(self._disk, self._folder)
            self.end(session_id)
            fd = self._disk.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            first = part_form.part_head(head)
            try:
                write_all(self._disk, fd, first, 0)
            except OSError:
                drop(self._disk, path, fd)
                raise
            self._open[session_id] = _Part(fd, len(first))

    def add(self, session_id: str, deltas: Sequence[AnyDelta], *, sync: bool) -> None:
        part = self._open.get(session_id)
        if part is None:
            raise UsageError(f"no answer is coming in for session {session_id}")
        with in_words(self.path(session_id)):
            data = part_form.part_lines(deltas)
            try:
                write_all(self._disk, part.fd, data, part.size)
            except OSError:
                with contextlib.suppress(OSError):
                    self._disk.truncate(part.fd, part.size)
                raise
            part.size += len(data)
            if sync:
                self._sync(part)

    def _sync(self, part: _Part) -> None:
        self._disk.fdatasync(part.fd)
        if not part.named:
            self._disk.sync_folder(self._folder)
            part.named = True

    def end(self, session_id: str) -> None:
        """It is no longer needed. Harmless if none is there."""
        path = self.path(session_id)
        self.leave(session_id)
        with in_words(path), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self._disk.unlink(path)

    def leave(self, session_id: str) -> None:
        """Close the file and leave it where it is."""
        if part := self._open.pop(session_id, None):
            shut(self._disk, part.fd)

    def close(self) -> None:
        for session_id in list(self._open):
            self.leave(session_id)

    def found(self, session_id: str) -> tuple[PartHead, Draft] | None:
        """A part somebody left behind; None if there is none that can be read."""
        try:
            raw = read_own(self._disk, self.path(session_id), doc.SIZE_LIMIT)
        except (FileNotFoundError, NotOurs):
            return None
        return part_form.read_part(raw)

    def overheard(
        self, session_id: str, since: int
    ) -> tuple[PartHead, tuple[AnyDelta, ...]] | None:
        """What another program hears, but its first ``since`` deltas; a torn end is left out."""
        try:
            raw = read_own(self._disk, self.path(session_id), doc.SIZE_LIMIT)
        except (FileNotFoundError, NotOurs):
            return None
        return part_form.read_deltas(raw, since)
