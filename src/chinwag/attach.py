"""A file somebody attaches, as a part of a message. Part of the roof: it reads the disk.

Invariants: a picture is known by its first bytes, never by its name; text is UTF-8; nothing else is
taken, and nothing over the limit.
"""

from __future__ import annotations

import base64
import sys
from pathlib import Path

from chinwag.errors import UsageError
from chinwag.talk.message import AnyPart, File, Image

LIMIT = 16 * 1024 * 1024
_PICTURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
}


def attached(path: str) -> AnyPart:
    """The part that ``path`` (``-`` is stdin) becomes. Raises UsageError."""
    name, data = ("stdin", _stdin()) if path == "-" else (Path(path).name, _read(path))
    if len(data) > LIMIT:
        raise UsageError(f"{name} is over {LIMIT >> 20} MB", hint="attach a part of it")
    mime = _picture(data)
    if mime:
        return Image(mime=mime, name=name, data=base64.b64encode(data).decode())
    try:
        return File(mime="text/plain", name=name, text=data.decode("utf-8"))
    except UnicodeDecodeError:
        raise UsageError(
            f"{name} is neither a picture nor UTF-8 text", hint="convert it first"
        ) from None


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


def _picture(data: bytes) -> str:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((mime for head, mime in _PICTURES.items() if data.startswith(head)), "")
