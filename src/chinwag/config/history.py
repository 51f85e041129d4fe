"""The lines a person typed in earlier sessions: for Up, Down and Ctrl+R.

Invariants: one line of the file is one typed line as JSON, so newlines survive; the file is 0600
from its first instant and only ever appended to, except that it is cut to its newer half when it
has grown too long, and that what is to be forgotten is taken out; a line that holds a known key,
or an address with a password, is not written; no failure here ever disturbs a talk, for nobody
loses words by it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from chinwag.config.masking import masked

MOST: Final = 2000
LONGEST: Final = 20_000
_FLAGS: Final = os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW


class History:
    """Reads once, when first asked; `add` blocks on the disk and may be called from any thread."""

    def __init__(
        self, path: Path, secrets: Callable[[], Iterable[str]] = tuple, *, private: bool = False
    ) -> None:
        self._path = path
        self._secrets = secrets
        self._private = private
        self._added: set[str] = set()
        self._lines: list[str] | None = None
        self._writing = threading.Lock()

    def lines(self) -> list[str]:
        """Oldest first, at most ``MOST``, nothing twice in a row."""
        if self._lines is None:
            self._lines = _read(self._path, shorten=not self._private)[-MOST:]
        return list(self._lines)

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
            self._added.clear()


def _read(path: Path, *, shorten: bool) -> list[str]:
    try:
        raw = path.read_bytes()
    except OSError:
        return []
    found: list[str] = []
    for text in raw.decode("utf-8", "replace").split("\n"):
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            continue  # torn by a crash, or written by hand: the others still serve
        if isinstance(line, str) and line.strip() and found[-1:] != [line]:
            found.append(line)
    if shorten and len(found) > 2 * MOST:
        _rewrite(path, found[-MOST:])
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
        os.write(fd, _encoded([line]))
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
