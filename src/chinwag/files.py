"""Reading and writing what a person names, off the loop. Part of the roof: it touches the disk.

Invariants: a file is written whole or not at all, 0600, never through a symbolic link, never over
another unless that was asked for; a read is bounded and never waits for a pipe or a device.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from chinwag.talk.entry import new_id
from chinwag.talk.message import AnyPart


class OwnFiles:
    """The `Files` of a bench."""

    async def write_text(self, path: str, text: str, *, overwrite: bool) -> str:
        """Write ``text``; returns the full path. Raises FileExistsError or OSError."""
        return await asyncio.to_thread(_write, _full(path), text, overwrite)

    async def read_text(self, path: str, limit: int) -> str:
        """At most ``limit`` bytes of UTF-8. Raises OSError, or ValueError saying what is wrong."""
        return await asyncio.to_thread(_read, _full(path), limit)

    async def read_bytes(self, path: str, limit: int) -> bytes:
        """At most ``limit`` bytes. Raises OSError, or ValueError saying what is wrong."""
        return await asyncio.to_thread(_read_bytes, _full(path), limit)


def _full(path: str) -> Path:
    try:
        return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100 - links stay links
    except RuntimeError:
        raise FileNotFoundError(2, "there is no such home folder", path) from None


def _write(path: Path, text: str, overwrite: bool) -> str:  # noqa: FBT001 - handed to a thread
    data = text.encode("utf-8", "replace")
    if path.is_symlink():
        raise OSError(40, "it is a symbolic link", str(path))
    if path.exists() and not (overwrite and path.is_file()):
        raise FileExistsError(17, "something is there already", str(path))
    fresh = path.with_name(f".{path.name[:100]}.{new_id()}")
    try:
        _fill(fresh, data)
        if overwrite:
            fresh.replace(path)
        else:
            os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    return str(path)


def _fill(path: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _read_bytes(path: Path, limit: int) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError("it is no plain file")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"it is over {limit:,} bytes")
    return data


def _read(path: Path, limit: int) -> str:
    data = _read_bytes(path, limit)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None


async def attach(path: str) -> AnyPart:
    from chinwag.attach import attached

    return await asyncio.to_thread(attached, path)


async def is_file(path: str) -> bool:
    def look() -> bool:
        try:
            return Path(path).expanduser().is_file()
        except (OSError, RuntimeError, ValueError):  # a name too long, no such home, a null byte
            return False

    return await asyncio.to_thread(look)


def paths(typed: str) -> Iterable[str]:
    """Paths that begin with what is typed; a folder ends in a slash. At most one folder is read."""
    folder, _, start = typed.rpartition("/")
    base = Path(folder or ("/" if typed.startswith("/") else ".")).expanduser()
    try:
        names = sorted(base.iterdir())[:2000]
    except (OSError, RuntimeError):
        return
    for path in names:
        if path.name.startswith(start) and (start.startswith(".") or not path.name.startswith(".")):
            name = f"{path.name}/" if path.is_dir() else path.name
            yield f"{folder}/{name}" if "/" in typed else name
