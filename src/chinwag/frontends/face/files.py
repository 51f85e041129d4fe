"""Pictures and files that a program gives with a message.

Invariants: a picture is known by its first bytes, never by its name; text is UTF-8; what is over
the limit, or neither, is refused in words.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from chinwag.errors import UsageError, reason_of
from chinwag.talk.attachment import LIMIT, part_of
from chinwag.talk.message import AnyPart, File, Image

Given: TypeAlias = str | os.PathLike[str] | bytes | Image | File
"""A path, the bytes themselves, a picture's https address, or a part made before."""


def attachment(given: Given, *, name: str = "") -> Image | File:
    """``given`` as part of a message (X12). Raises UsageError."""
    match given:
        case Image() | File():
            return given
        case bytes():
            return part_of(name or "attachment", given)
        case str() if given.startswith(("https://", "http://")):
            return Image(url=given, name=name or given.rpartition("/")[2])
        case _:
            path = Path(given).expanduser()
            return part_of(name or path.name, _read(path))


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise UsageError(f"there is no file {path}", hint="check the path")
        with path.open("rb") as file:
            return file.read(LIMIT + 1)
    except OSError as error:
        reason = reason_of(error)
        raise UsageError(f"{path} cannot be read: {reason}", hint="check its permissions") from None


def parts(files: Iterable[Given] | Given) -> tuple[AnyPart, ...]:
    """One or several things to go with a message."""
    if isinstance(files, str | bytes | os.PathLike | Image | File):
        return (attachment(files),)
    return tuple(attachment(each) for each in files)
