"""Bytes somebody attaches, as a part of a message. Pure.

Invariants: a picture or a PDF is known by its first bytes, never by its name; text is UTF-8;
nothing else is taken, and nothing over the limit.
"""

from __future__ import annotations

import base64

from chinwag.errors import UsageError
from chinwag.talk.message import File, Image

PDF = "application/pdf"
LIMIT = 16 * 1024 * 1024  # bytes
_PICTURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
}


def part_of(name: str, data: bytes) -> Image | File:
    """The part that ``data`` becomes. Raises UsageError."""
    if len(data) > LIMIT:
        raise UsageError(f"{name} is over {LIMIT >> 20} MB", hint="attach a part of it")
    if mime := _picture(data):
        return Image(mime=mime, name=name, data=base64.b64encode(data).decode())
    if data.startswith(b"%PDF-"):
        return File(mime=PDF, name=name, data=base64.b64encode(data).decode())
    try:
        return File(mime="text/plain", name=name, text=data.decode("utf-8"))
    except UnicodeDecodeError:
        raise UsageError(
            f"{name} is neither a picture, a PDF nor UTF-8 text", hint="convert it first"
        ) from None


def is_pdf(part: File) -> bool:
    """Whether its bytes are there, for a model to read as what they are."""
    return part.mime == PDF and bool(part.data) and not part.text


def _picture(data: bytes) -> str:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((mime for head, mime in _PICTURES.items() if data.startswith(head)), "")
