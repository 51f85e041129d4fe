"""Files that are written whole: old or new for every reader, at every instant, whatever fails.

Invariants: the bytes are written under another name, `.NAME.RANDOM.tmp`, and synced, before they
get their own; a new file is never put over an existing one (`give_name`); a replacement is one
`rename`. The caller syncs the folder: until that has returned, the new name may be gone after a
power cut. What fails leaves nothing behind but, at worst, a `.tmp`, swept a day later.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterable
from pathlib import Path

from chinwag.stores.disk import Disk, open_own, read_all, write_all
from chinwag.talk.entry import new_id

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def written(disk: Disk, path: Path, data: bytes) -> tuple[Path, int]:
    """A new file beside ``path`` with ``data`` safely in it, and its open descriptor."""
    temp = path.with_name(f".{path.stem}.{new_id(12)}.tmp")
    fd = disk.open(temp, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        write_all(disk, fd, data, 0)
        disk.fsync(fd)
    except BaseException:
        drop(disk, temp, fd)
        raise
    return temp, fd


def give_name(disk: Disk, temp: Path, path: Path) -> None:
    """Give a new file its name. Raises FileExistsError; what is there stays."""
    try:
        disk.link(temp, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        with contextlib.suppress(FileNotFoundError):
            disk.lstat(path)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        disk.rename(temp, path)
        return
    with contextlib.suppress(OSError):  # a second name is looked for where it would matter
        disk.unlink(temp)


def put(disk: Disk, path: Path, data: bytes) -> None:
    """Write ``data`` as ``path``, in the place of what is there; safe when this returns."""
    temp, fd = written(disk, path, data)
    try:
        disk.rename(temp, path)
    except OSError:
        drop(disk, temp, fd)
        raise
    shut(disk, fd)
    disk.sync_folder(path.parent)


def read_own(disk: Disk, path: Path, most: int) -> bytes:
    """The first ``most`` bytes of a plain file of ours. Raises NotOurs or OSError."""
    fd = open_own(disk, path, os.O_RDONLY)
    try:
        return read_all(disk, fd, 0, most)
    finally:
        shut(disk, fd)


def drop(disk: Disk, temp: Path, fd: int) -> None:
    """Let go of a file that is not wanted after all."""
    shut(disk, fd)
    with contextlib.suppress(OSError):
        disk.unlink(temp)


def shut(disk: Disk, fd: int) -> None:
    """Close. Nothing is lost where that fails: what matters was synced, and was told then."""
    if fd >= 0:
        with contextlib.suppress(OSError):
            disk.close(fd)


def names_in(disk: Disk, folder: Path) -> list[str]:
    """The names in a folder; none where it is not there. Raises OSError."""
    try:
        return disk.listdir(folder)
    except FileNotFoundError:
        return []


def is_temp(name: str, stem: str) -> bool:
    """Whether ``name`` is what `written` calls a file beside one with that stem."""
    return name.startswith(f".{stem}.") and name.endswith(".tmp")


def sweep(disk: Disk, folder: Path, names: Iterable[str], *, days: float = 1) -> None:
    """Remove those of ``names`` that have lain in ``folder`` untouched for longer than that."""
    oldest = time.time() - days * 86400
    for name in names:
        with contextlib.suppress(OSError):
            if disk.lstat(folder / name).st_mtime < oldest:
                disk.unlink(folder / name)
