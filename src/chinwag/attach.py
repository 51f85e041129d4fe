"""A file somebody attaches, as a part of a message. Part of the roof: it reads the disk.

Invariant: nothing is read beyond the limit; what bytes are is `talk.attachment`'s to say.
"""

from __future__ import annotations

import sys
from pathlib import Path

from chinwag.errors import UsageError
from chinwag.talk.attachment import LIMIT, part_of
from chinwag.talk.message import AnyPart


def attached(path: str) -> AnyPart:
    """The part that ``path`` (``-`` is stdin) becomes. Raises UsageError."""
    name, data = ("stdin", _stdin()) if path == "-" else (Path(path).name, _read(path))
    return part_of(name, data)


def _read(path: str) -> bytes:
    full = Path(path).expanduser()
    try:
        if not full.is_file():
            raise UsageError(f"there is no file {path}", hint="check the path after -f")
        with full.open("rb") as file:
            return file.read(LIMIT + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"{path} cannot be read: {reason}", hint="check its permissions") from None


def _stdin() -> bytes:
    if sys.stdin is None:
        raise UsageError("there is nothing at stdin", hint="pipe something in, or name a file")
    return sys.stdin.buffer.read(LIMIT + 1)
