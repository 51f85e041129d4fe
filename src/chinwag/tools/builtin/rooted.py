"""Paths that cannot leave their root: opened one step at a time, by folder descriptors.

Runs also in the process that searches: standard library and our errors only.

Invariants: every step is opened relative to the folder before it, and never through a symlink that
was not read first; a link or `..` that leads out of the root is refused, whoever changes what
meanwhile. What is forbidden is known by its place and by its inode, so that another name for it
does not help. Only regular files are read or replaced, and a file is there whole or not at all.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat

from chinwag.errors import ToolFailed, reason_of

TYPE_CHECKING = False  # what `typing` would say, without its 20 ms
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self

MOST_LINKS = 40
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Root:
    """A folder, and what in it nobody may reach. Close it, or use it in a `with`."""

    def __init__(self, path: str | os.PathLike[str], forbidden: Iterable[str] = ()) -> None:
        self.path = os.path.realpath(path)
        self._places = {os.path.realpath(each) for each in forbidden}
        self._inodes = set(_inodes(self._places))
        try:
            self._top = os.open(self.path, _FOLDER)
        except OSError as error:
            raise ToolFailed(f"the folder {self.path} cannot be opened: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._top)

    def open_folder(self, path: str) -> Folder:
        """The folder at ``path``, which counts from the root. Raises ToolFailed in words."""
        folder, name = self._walk(path, make=False)
        if name:
            folder.close()
            raise ToolFailed(f"{path} is no folder")
        return folder

    def read(self, path: str, most: int) -> tuple[bytes, int]:
        """(up to ``most`` bytes of the file, its size in bytes)."""
        folder, name = self._walk(path, make=False)
        with folder:
            if not name:
                raise ToolFailed(f"{path} is a folder", hint="list it instead")
            with os.fdopen(self.open_file(folder, name), "rb") as file:
                return file.read(most), os.fstat(file.fileno()).st_size

    def open_file(self, folder: Folder, name: str) -> int:
        """A descriptor of the regular file ``name`` in ``folder``, which must be no link."""
        where = folder.at(name)
        self._refuse_forbidden(where, None)
        try:
            fd = os.open(name, _FILE, dir_fd=folder.fd)
        except OSError as error:
            raise _failed(where, error) from None
        try:
            self._refuse_forbidden(where, found := os.fstat(fd))
            if not stat.S_ISREG(found.st_mode):
                raise ToolFailed(f"{where} is no regular file")
        except ToolFailed:
            os.close(fd)
            raise
        return fd

    def write(self, path: str, data: bytes) -> bool:
        """Put ``data`` there, whole or not at all; folders are made. True: it was new."""
        folder, name = self._walk(path, make=True)
        with folder:
            if not name:
                raise ToolFailed(f"{path} is a folder")
            self._refuse_forbidden(folder.at(name), None)
            old = self._replaced(folder, name)
            try:
                _put(folder.fd, name, data, 0o644 if old is None else stat.S_IMODE(old.st_mode))
            except OSError as error:
                raise _failed(path, error) from None
        return old is None

    def _replaced(self, folder: Folder, name: str) -> os.stat_result | None:
        try:
            found = os.stat(name, dir_fd=folder.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None
        self._refuse_forbidden(folder.at(name), found)
        if not stat.S_ISREG(found.st_mode):
            raise ToolFailed(f"{folder.at(name)} is no regular file, so it is not replaced")
        return found

    def _walk(self, path: str, *, make: bool) -> tuple[Folder, str]:
        """The folder where ``path`` ends, and the name of a file in it ("" for the folder itself).

        The last step need not be there.
        """
        trail = [Folder(os.dup(self._top), "")]
        try:
            name = self._follow(trail, self._steps(path), path, make=make)
        except BaseException:
            for folder in trail:
                folder.close()
            raise
        for folder in trail[:-1]:
            folder.close()
        return trail[-1], name

    def _steps(self, path: str) -> list[str]:
        """The names on the way, the first one last; an absolute path has to lie below the root."""
        if "\0" in path:
            raise ToolFailed("a path cannot hold a zero byte")
        if path.startswith("/"):
            above = self.path.rstrip("/") + "/"
            if path.rstrip("/") + "/" != above and not path.startswith(above):
                raise _outside(path)
            path = path[len(above) :]
        return [step for step in reversed(path.split("/")) if step not in ("", ".")]

    def _follow(self, trail: list[Folder], steps: list[str], path: str, *, make: bool) -> str:
        links = 0
        while steps:
            step = steps.pop()
            here = trail[-1]
            if step == "..":
                if len(trail) == 1:
                    raise _outside(path)
                trail.pop().close()
                continue
            target = _link(here.fd, step)
            if target is not None:
                links += 1
                if links > MOST_LINKS:
                    raise ToolFailed(f"{path} goes through too many links")
                if target.startswith("/"):
                    _back_to_top(trail)
                steps += self._steps(target)
                continue
            opened = self._enter(here, step, make=make and bool(steps), last=not steps)
            if opened is None:
                return step
            trail.append(opened)
        return ""

    def _enter(self, here: Folder, step: str, *, make: bool, last: bool) -> Folder | None:
        where = here.at(step)
        self._refuse_forbidden(where, None)
        if make:
            try:
                os.mkdir(step, 0o755, dir_fd=here.fd)
            except FileExistsError:
                pass
            except OSError as error:
                raise _failed(where, error) from None
        try:
            fd = os.open(step, _FOLDER, dir_fd=here.fd)
        except OSError as error:
            if last and error.errno in (errno.ENOTDIR, errno.ENOENT):
                return None
            raise _failed(where, error) from None
        folder = Folder(fd, where)
        try:
            self._refuse_forbidden(where, os.fstat(fd))
        except ToolFailed:
            folder.close()
            raise
        return folder

    def _refuse_forbidden(self, where: str, found: os.stat_result | None) -> None:
        if found is not None and (found.st_dev, found.st_ino) in self._inodes:
            raise _kept(where)
        place = f"{self.path}/{where}"
        if any(place == each or place.startswith(each + "/") for each in self._places):
            raise _kept(where)

    def files(self, path: str, most: int) -> Iterator[tuple[Folder, str]]:
        """Regular files below ``path`` with the folder they lie in, by name; at most ``most``.

        What cannot be opened, links and forbidden folders are passed over.
        """
        waiting = [self.open_folder(path)]
        seen = 0
        try:
            while waiting and seen < most:
                folder = waiting.pop()
                with folder:
                    below: list[Folder] = []
                    for entry in folder.entries():
                        if entry.is_dir:
                            below += self._below(folder, entry.name)
                        elif entry.is_file and seen < most:
                            seen += 1
                            yield folder, entry.name
                    waiting += reversed(below)
        finally:
            for folder in waiting:
                folder.close()

    def _below(self, folder: Folder, name: str) -> list[Folder]:
        try:
            opened = self._enter(folder, name, make=False, last=False)
        except ToolFailed:
            return []
        return [] if opened is None else [opened]


class Entry:
    """One name in a folder, and what it is."""

    def __init__(self, found: os.DirEntry[str]) -> None:
        self.name = found.name
        self.is_dir = found.is_dir(follow_symlinks=False)
        self.is_file = found.is_file(follow_symlinks=False)
        self.is_link = found.is_symlink()

    def size(self, folder: Folder) -> int:
        try:
            return os.stat(self.name, dir_fd=folder.fd, follow_symlinks=False).st_size
        except OSError:
            return 0


class Folder:
    """An open folder; ``path`` is where it lies below the root ("" for the root)."""

    def __init__(self, fd: int, path: str) -> None:
        self.fd = fd
        self.path = path
        self._open = True

    def at(self, name: str) -> str:
        return f"{self.path}/{name}" if self.path else name

    def entries(self) -> list[Entry]:
        with os.scandir(self.fd) as found:
            return sorted(map(Entry, found), key=lambda entry: entry.name)

    def close(self) -> None:
        if self._open:
            self._open = False
            os.close(self.fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _back_to_top(trail: list[Folder]) -> None:
    while len(trail) > 1:
        trail.pop().close()


def _link(folder: int, name: str) -> str | None:
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError:
        return None  # no link, or not there


def _put(folder: int, name: str, data: bytes, mode: int) -> None:
    new = f".{secrets.token_hex(8)}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(new, flags, mode, dir_fd=folder)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.unlink(new, dir_fd=folder)
        raise


def _inodes(places: Iterable[str]) -> Iterator[tuple[int, int]]:
    for place in places:
        try:
            found = os.stat(place)  # noqa: PTH116  # pathlib would double the time to start
        except OSError:
            continue
        yield found.st_dev, found.st_ino


def _outside(path: str) -> ToolFailed:
    return ToolFailed(f"{path} lies outside the folder this may work in", hint="stay below it")


def _kept(where: str) -> ToolFailed:
    return ToolFailed(f"{where} holds keys, settings or sessions, which no tool may reach")


def _failed(where: str, error: OSError) -> ToolFailed:
    if error.errno == errno.ELOOP:
        return ToolFailed(f"{where} became a link meanwhile")
    return ToolFailed(f"{where}: {reason_of(error)}")
