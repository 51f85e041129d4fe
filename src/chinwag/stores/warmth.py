"""Records of what servers keep of sessions: `FOLDER/ID.json`, one small file each.

Invariants: a file is 0600 and written whole; what cannot be read is as if it were not there, since
it only ever saves time; a name is made of a session's id alone. Blocks, as a store does.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from chinwag.stores.disk import Disk, NotOurs, in_words, make_folder
from chinwag.stores.names import path_of
from chinwag.stores.whole import put, read_own

SIZE_LIMIT = 64 << 10  # bytes


class WarmFolder:
    """The records in ``folder``, which is made when one is kept."""

    def __init__(self, folder: Path, disk: Disk | None = None) -> None:
        self._folder = folder
        self._disk = disk or Disk()

    def load(self, session_id: str) -> bytes:
        """The record; b"" where there is none, or none that is ours and small."""
        try:
            data = read_own(self._disk, self._path(session_id), SIZE_LIMIT + 1)
        except (OSError, NotOurs):
            return b""
        return data if len(data) <= SIZE_LIMIT else b""

    def keep(self, session_id: str, data: bytes) -> None:
        """Keep it in the place of the one before. Raises StoreUnavailable, SessionNotFound."""
        path = self._path(session_id)
        with in_words(path):
            make_folder(self._disk, self._folder)
            put(self._disk, path, data)

    def drop(self, session_id: str) -> None:
        """Take it away, where it is there. Raises StoreUnavailable, SessionNotFound."""
        path = self._path(session_id)
        with in_words(path), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self._disk.unlink(path)

    def _path(self, session_id: str) -> Path:
        return path_of(self._folder, session_id, ".json")
