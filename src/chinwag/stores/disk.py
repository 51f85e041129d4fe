"""The thin seam over the operating system that the file store stands on.

Invariants: the file store makes every call to the system through a `Disk`, so that tests replace
it with one that fails, tears or counts. A file is born 0600 and a folder 0700, whatever the umask
(no chmod afterwards). `open_own` never follows a link, never hangs on a FIFO and gives only regular
files of our own with a single name. Nothing here decides anything; errors are `OSError`s, and
`in_words` turns them into ours in one place.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from chinwag.errors import SessionUnreadable, StoreUnavailable

FILE_MODE = 0o600
FOLDER_MODE = 0o700
_SAFELY = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY

#: File systems on which a patched tail behaves as the protocol assumes. Others (network, FUSE,
#: unknown ones) are written whole.
LOCAL = frozenset(
    ["bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "tmpfs", "xfs", "zfs"]
)


class NotOurs(Exception):
    """What lies at a path is no plain file of ours; the text says what it is."""


class Identity(NamedTuple):
    """Enough to notice that somebody else has touched a file."""

    device: int
    inode: int
    size: int
    mtime: int


def identity(of: os.stat_result) -> Identity:
    return Identity(of.st_dev, of.st_ino, of.st_size, of.st_mtime_ns)


class Disk:
    """Every call the file store makes. Sizes in bytes, times in seconds."""

    def open(self, path: Path, flags: int) -> int:
        return os.open(path, flags | _SAFELY, FILE_MODE)

    def close(self, fd: int) -> None:
        os.close(fd)

    def pread(self, fd: int, size: int, at: int) -> bytes:
        return os.pread(fd, size, at)

    def pwrite(self, fd: int, data: bytes | memoryview, at: int) -> int:
        return os.pwrite(fd, data, at)

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def fdatasync(self, fd: int) -> None:
        """The data, and of the metadata what is needed to read it back."""
        if hasattr(fcntl, "F_FULLFSYNC"):  # macOS: fsync stops at the drive's cache
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        else:
            os.fdatasync(fd)

    def fsync(self, fd: int) -> None:
        if hasattr(fcntl, "F_FULLFSYNC"):
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        else:
            os.fsync(fd)

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder as safe as their files."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def fstat(self, fd: int) -> os.stat_result:
        return os.fstat(fd)

    def lstat(self, path: Path) -> os.stat_result:
        return os.lstat(path)

    def link(self, old: Path, new: Path) -> None:
        os.link(old, new, follow_symlinks=False)

    def rename(self, old: Path, new: Path) -> None:
        old.rename(new)

    def unlink(self, path: Path) -> None:
        path.unlink()

    def mkdir(self, path: Path) -> None:
        path.mkdir(FOLDER_MODE)

    def rmdir(self, path: Path) -> None:
        path.rmdir()

    def touch(self, path: Path) -> None:
        os.utime(path, follow_symlinks=False)

    def listdir(self, path: Path) -> list[str]:
        return os.listdir(path)  # noqa: PTH208 - names are wanted, not paths

    def scan(self, path: Path) -> dict[str, os.stat_result]:
        """What lies in a folder, by name, with sizes and times; links are not followed."""
        found = {}
        with os.scandir(path) as entries:
            for entry in entries:
                try:
                    found[entry.name] = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # gone since; and suppress() costs as much as the call
                    pass
        return found

    def flock(self, fd: int, how: int) -> None:
        fcntl.flock(fd, how)

    def file_system(self, path: Path) -> str:
        """The kernel's name for what `path` lies on; empty where it cannot be known."""
        try:
            table = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
        except OSError:
            return ""
        return file_system_of(os.path.realpath(path), table.splitlines())


def file_system_of(path: str, mounts: Iterable[str]) -> str:
    """Which kind of file system holds the absolute `path`, from the lines of a mountinfo table."""
    best, kind = -1, ""
    for line in mounts:
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        if len(fields) < 5 or not right:
            continue
        point = _unescaped(fields[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= best:  # the later of two on one place hides the earlier
            best, kind = len(point), right.split(" ")[0]
    return kind


def _unescaped(point: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(code, char)
    return point


# -- small compositions of the calls above ------------------------------------------------------


def open_own(disk: Disk, path: Path, flags: int, *, links: int = 1) -> int:
    """Open a plain file of ours. Raises NotOurs or OSError; never blocks, never follows a link."""
    try:
        fd = disk.open(path, flags)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EMLINK}:
            raise NotOurs("it is a symbolic link") from None
        if error.errno in {errno.EISDIR, errno.ENXIO, errno.ENODEV}:
            raise NotOurs("it is no plain file") from None
        raise
    try:
        if found := oddity(disk.fstat(fd), links):
            raise NotOurs(found)
    except BaseException:
        disk.close(fd)
        raise
    return fd


def oddity(of: os.stat_result, links: int = 1) -> str:
    """What forbids us to use such a file, in words; empty when nothing does."""
    if stat.S_ISLNK(of.st_mode):
        return "it is a symbolic link"
    if stat.S_ISDIR(of.st_mode):
        return "it is a folder"
    if not stat.S_ISREG(of.st_mode):
        return "it is no plain file"
    if of.st_uid != os.geteuid():
        return "it belongs to somebody else"
    if of.st_nlink > links:
        return "it has a second name (a hard link)"
    return ""


def write_all(disk: Disk, fd: int, data: bytes, at: int) -> None:
    """Write every byte, however short the system's writes are."""
    view = memoryview(data)
    while view:
        done = disk.pwrite(fd, view, at)
        if done <= 0:
            raise OSError(errno.EIO, "nothing was written")
        view, at = view[done:], at + done


def read_all(disk: Disk, fd: int, at: int, size: int) -> bytes:
    """Up to `size` bytes from `at`; fewer only at the end of the file."""
    pieces = []
    while size > 0 and (piece := disk.pread(fd, size, at)):
        pieces.append(piece)
        at, size = at + len(piece), size - len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def make_folder(disk: Disk, path: Path) -> None:
    """Make a folder and what is missing above it, private from the first instant.

    One that is there already is taken to be safe: whoever made it synced the one above, and took
    it back where that failed.
    """
    try:
        disk.mkdir(path)
    except FileExistsError:
        return
    except FileNotFoundError:
        if path.parent == path:
            raise
        make_folder(disk, path.parent)
        with contextlib.suppress(FileExistsError):
            disk.mkdir(path)
    try:
        disk.sync_folder(path.parent)
    except PermissionError:
        pass  # above our own folders reading may be forbidden
    except OSError:
        with contextlib.suppress(OSError):
            disk.rmdir(path)
        raise


def open_to(disk: Disk, path: Path, bits: int) -> bool:
    """Whether a folder's mode has any of those bits; False where it is not there."""
    try:
        return bool(stat.S_IMODE(disk.lstat(path).st_mode) & bits)
    except OSError:
        return False


def is_there(disk: Disk, path: Path) -> bool:
    """Whether anything bears that name, a dangling link included. Raises OSError."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        disk.lstat(path)
        return True
    return False


def whoami() -> dict[str, str | int]:
    """Who holds a lock, for the message that another terminal shows."""
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "tty": _terminal(), "since": since}


def _terminal() -> str:
    for fd in (0, 1, 2):
        with contextlib.suppress(OSError):
            return os.ttyname(fd)
    return ""


_REASONS = {
    errno.ENOSPC: ("the disk is full", "free some space"),
    errno.EDQUOT: ("your disk quota is used up", "free some space"),
    errno.EROFS: ("the file system is read-only", "make it writable"),
    errno.EACCES: ("there is no permission", "allow yourself to read and write there"),
    errno.EPERM: ("there is no permission", "allow yourself to read and write there"),
    errno.EMFILE: ("too many files are open", "raise the limit with ulimit -n"),
    errno.ENFILE: ("too many files are open on this machine", "close other programs"),
    errno.EIO: ("the disk reported an error", "look after the disk"),
    errno.ENOENT: ("the folder is gone", "put it back"),
    errno.ESTALE: ("the network folder is gone", "mount it again"),
    errno.ENODEV: ("the disk is gone", "connect it again"),
    errno.ENOTDIR: ("a file lies where the folder should be", "move that file away"),
    errno.EFBIG: ("the file would be larger than is allowed", "raise the limit with ulimit -f"),
}


def explained(error: OSError, where: Path) -> StoreUnavailable:
    """The system's error as one sentence that says what, and one that says what to do."""
    fallback = (os.strerror(error.errno).lower() if error.errno else str(error), "try again")
    what, todo = _REASONS.get(error.errno or 0, fallback)
    return StoreUnavailable(
        f"{what} ({where})", hint=f"{todo}, or choose another folder with --data-dir"
    )


@contextlib.contextmanager
def in_words(path: Path) -> Iterator[None]:
    """The system's errors, and files that are not ours, as errors of a store about ``path``."""
    try:
        yield
    except NotOurs as odd:
        raise SessionUnreadable(
            f"{path.name} is not used: {odd}",
            hint="if it is yours, move a copy of it to its place; else move it away"
            if "link" in str(odd)
            else "move it away if it is not yours",
        ) from None
    except OSError as error:
        raise explained(error, path.parent) from error
