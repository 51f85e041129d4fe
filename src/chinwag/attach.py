"""A file somebody attaches, as a part of a message. Part of the roof: it reads the disk.

Invariant: nothing is read beyond the limit; what bytes are is `talk.attachment`'s to say.
"""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from typing import Final

from chinwag.errors import UsageError, reason_of
from chinwag.talk.attachment import LIMIT, part_of
from chinwag.talk.message import AnyPart

_HANDED_OVER: Final = ("/dev/fd", "/proc/self/fd")


def attached(path: str) -> AnyPart:
    """The part that ``path`` (``-`` is stdin) becomes. Raises UsageError."""
    if path == "-":
        return part_of("stdin", _stdin())
    own = Path(path)
    return part_of("pipe" if str(own.parent) in _HANDED_OVER else own.name, _read(path))


def _read(path: str) -> bytes:
    try:
        full = Path(path).expanduser()
        mode = full.stat().st_mode
        if not (stat.S_ISREG(mode) or _is_handed_over(full, mode)):
            raise _no_file(path, mode)
        with full.open("rb") as file:
            return file.read(LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError, RuntimeError):
        raise UsageError(f"there is no file {path}", hint="check the path") from None
    except OSError as error:
        reason = reason_of(error)
        raise UsageError(f"{path} cannot be read: {reason}", hint="check its permissions") from None


def _is_handed_over(path: Path, mode: int) -> bool:
    """Whether a shell gave it, as `<(command)` does: a pipe that is open already, and ends."""
    return stat.S_ISFIFO(mode) and str(path.parent) in _HANDED_OVER


def _no_file(path: str, mode: int) -> UsageError:
    if stat.S_ISDIR(mode):
        return UsageError(f"{path} is a folder", hint=f"name the files in it: {path.rstrip('/')}/…")
    return UsageError(f"{path} is no plain file", hint="a pipe is read as - (stdin)")


def _stdin() -> bytes:
    data = sys.stdin.buffer.read(LIMIT + 1) if sys.stdin is not None else b""
    if not data:
        raise UsageError("there is nothing at stdin", hint="pipe something in, or name a file")
    return data
