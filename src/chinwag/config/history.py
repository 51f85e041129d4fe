"""The lines a person typed in earlier sessions: for Up, Down and Ctrl+R.

Invariants: one line of the file is one typed line as JSON, so newlines survive; the file is 0600
from its first instant and only ever appended to, except that it is cut to its newer half when it
has grown too long, and that what is to be forgotten is taken out; a line that a full disk tore
spoils no other; what another running program appends is seen when the lines are next asked for; a
line that holds a known key, or an address with a password, is not written; no failure here ever
disturbs a talk, for nobody loses words by it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

from chinwag.config.masking import masked

MOST: Final = 2000
LONGEST: Final = 20_000
_FLAGS: Final = os.O_CREAT | os.O_APPEND | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW


class History:
    """Reads all when first asked, then what was appended since; `add` may be called from any
    thread, and blocks on the disk."""

    def __init__(
        self, path: Path, secrets: Callable[[], Iterable[str]] = tuple, *, private: bool = False
    ) -> None:
        self._path = path
        self._secrets = secrets
        self._private = private
        self._added: set[str] = set()
        self._lines: list[str] | None = None
        self._end = _NOTHING
        self._own: list[str] = []  # added here, and not yet met in the file
        self._writing = threading.Lock()

    def lines(self) -> list[str]:
        """Oldest first, at most ``MOST``, nothing twice in a row."""
        if self._lines is None:
            self._lines = _read(self._path, shorten=not self._private)[-MOST:]
            self._end = _place(self._path)
        elif self._writing.acquire(blocking=False):  # else a slow disk would hold up the keyboard
            try:
                self._overhear(self._lines)
            finally:
                self._writing.release()
        return list(self._lines)

    def _overhear(self, lines: list[str]) -> None:
        """Take in what other programs have appended; a file begun anew is followed from its end."""
        before, there = self._end, _place(self._path)
        if there == before:
            return
        if before == _NOTHING:
            before = before._replace(inode=there.inode)
        if there.inode != before.inode or there.size < before.size:
            self._end = there
            self._own.clear()
            return
        raw = _tail(self._path, before.size).rpartition(b"\n")[0]
        self._end = before._replace(size=before.size + len(raw) + bool(raw))
        for line in _decoded(raw):
            if line in self._own:
                self._own.remove(line)
            elif lines[-1:] != [line]:
                lines.append(line)

    def add(self, line: str) -> None:
        lines = self._lines if self._lines is not None else []
        if not line.strip() or len(line) > LONGEST or (lines and lines[-1] == line):
            return
        if any(secret and secret in line for secret in self._secrets()):
            return
        if masked("line", line) != line:  # an address with a password in it
            return
        lines.append(line)
        with self._writing:
            self._added.add(line)
            self._own.append(line)
            _append(self._path, line)

    def forget(self, lines: Iterable[str]) -> None:
        """Remove these, and all that were added by this program, from the file and from memory."""
        with self._writing:
            gone = {*lines, *self._added}
            if self._lines is not None:
                self._lines = [line for line in self._lines if line not in gone]
            kept = _read(self._path, shorten=False)
            if any(line in gone for line in kept):
                _rewrite(self._path, [line for line in kept if line not in gone])
                self._end = _place(self._path)
                self._own.clear()
            self._added.clear()


class _Place(NamedTuple):
    """How far a file has been read."""

    inode: int
    size: int


_NOTHING: Final = _Place(0, 0)


def _place(path: Path) -> _Place:
    try:
        found = path.stat()
    except OSError:
        return _NOTHING
    return _Place(found.st_ino, found.st_size)


def _tail(path: Path, at: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(at)
            return file.read()
    except OSError:
        return b""


def _read(path: Path, *, shorten: bool) -> list[str]:
    found = _decoded(_tail(path, 0))
    if shorten and len(found) > 2 * MOST:
        _rewrite(path, found[-MOST:])
    return found


def _decoded(raw: bytes) -> list[str]:
    found: list[str] = []
    for text in raw.decode("utf-8", "replace").split("\n"):
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            continue  # torn by a crash, or written by hand: the others still serve
        if isinstance(line, str) and line.strip() and found[-1:] != [line]:
            found.append(line)
    return found


def _encoded(lines: Iterable[str]) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def _append(path: Path, line: str) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(path, _FLAGS, 0o600)
    except OSError:
        return
    try:
        size = os.fstat(fd).st_size
        torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"  # by a full disk, or a crash
        os.write(fd, b"\n" * torn + _encoded([line]))
    except OSError:
        pass  # the line is still in memory for this session
    finally:
        os.close(fd)


def _rewrite(path: Path, lines: list[str]) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        fd = os.open(fresh, _FLAGS | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(_encoded(lines))
        fresh.rename(path)
    except OSError:
        fresh.unlink(missing_ok=True)
