"""Deleted sessions: `FOLDER/ID.TIME-RANDOM.json` and what lay beside it, kept for a while.

Invariants: what is deleted is moved, never copied or changed; every file keeps the ending it had
after the session's id, so that it finds its way back. A move that fails half way is taken back.
The session itself goes first and comes back last: whatever lies beside it is nothing without it.
What does not bear such a name is not ours and is left alone.
"""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from chinwag.stores.disk import Disk, make_folder
from chinwag.stores.whole import names_in
from chinwag.talk.entry import new_id

_NAME = re.compile(r"([0-9a-z][0-9a-z-]{0,63})\.(\d{8}T\d{6}(?:\.\d{6})?Z)-(\w+)(\.[\w.-]+)")
SESSION = ".json"


class Gone(NamedTuple):
    """One deletion: of which session, when (as in its file names), and its own mark."""

    session_id: str
    when: str
    mark: str

    @property
    def stem(self) -> str:
        return f"{self.session_id}.{self.when}-{self.mark}"

    @property
    def at(self) -> datetime:
        """In UTC. Raises ValueError for a time there is not."""
        whole = f"{self.when[:15]}{self.when[15:-1] or '.000000'}"
        return datetime.strptime(whole, "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)


class Trash:
    """Raises OSErrors: the store puts them into words."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self.folder = folder
        self._disk = disk

    def take(self, session_id: str, source: Path, endings: list[str]) -> None:
        """Move the files of a session (``ID`` + ending each) from the folder ``source`` here."""
        make_folder(self._disk, self.folder)
        gone = Gone(session_id, f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}", new_id(4))
        self._move(
            [
                (source / (session_id + ending), self.folder / (gone.stem + ending))
                for ending in sorted(endings, key=lambda e: e != SESSION)
            ]
        )

    def bring_back(self, gone: Gone, target: Path) -> None:
        """The way back. The caller holds the session's lock, and nothing of that name is there."""
        stem = gone.stem
        endings = [n[len(stem) :] for n in names_in(self._disk, self.folder) if n.startswith(stem)]
        self._move(
            [
                (self.folder / (stem + ending), target / (gone.session_id + ending))
                for ending in sorted(endings, key=lambda e: e == SESSION)
            ]
        )

    def _move(self, pairs: list[tuple[Path, Path]]) -> None:
        done: list[tuple[Path, Path]] = []
        try:
            for old, new in pairs:
                with contextlib.suppress(FileNotFoundError):
                    self._disk.rename(old, new)
                    done.append((old, new))
            for folder in (pairs[0][1].parent, pairs[0][0].parent):
                self._disk.sync_folder(folder)
        except OSError:
            for old, new in reversed(done):
                with contextlib.suppress(OSError):
                    self._disk.rename(new, old)
            raise

    def listed(self) -> list[Gone]:
        """What is here, newest first."""
        found = [match for name in names_in(self._disk, self.folder) if (match := _session(name))]
        return sorted(found, key=lambda gone: (gone.at, gone.mark), reverse=True)

    def path(self, gone: Gone) -> Path:
        return self.folder / (gone.stem + SESSION)

    def empty(self, days: float) -> int:
        """Remove what has lain here for so long; returns how many sessions that were."""
        oldest = datetime.now(UTC) - timedelta(days=days)
        sessions = 0
        for name in names_in(self._disk, self.folder):
            gone = _read(name)
            if gone is None or gone.at > oldest:
                continue
            with contextlib.suppress(FileNotFoundError):
                self._disk.unlink(self.folder / name)
                sessions += name.endswith(gone.stem + SESSION)
        return sessions


def _session(name: str) -> Gone | None:
    gone = _read(name)
    return gone if gone and name == gone.stem + SESSION else None


def _read(name: str) -> Gone | None:
    """Which deletion a file belongs to; None for a file that is none of ours."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    gone = Gone(match[1], match[2], match[3])
    try:
        _ = gone.at
    except ValueError:
        return None
    return gone
