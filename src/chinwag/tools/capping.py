"""What a tool brought home, made fit to be sent: a head and a tail where it is too much.

Invariants: what comes out is valid text of at most the given bytes (the line that says what is left
out included), holds no tag character, and says how many there were. Pure.
"""

from __future__ import annotations

from typing import Final

from chinwag.text.safe import repair, strip_tags_from_tools

LEAST: Final = 200
"""Below this many bytes there would be no room for the line that says what is left out."""


def cleaned(text: str) -> tuple[str, int]:
    """``text`` as it may be stored and sent, and how many unseen tag characters it held."""
    return strip_tags_from_tools(repair(text))


def capped(text: str, most: int) -> tuple[str, bytes | None]:
    """``text`` in at most ``most`` bytes of UTF-8; and all of it where that is only a part."""
    if len(text) * 4 <= most:
        return text, None
    whole = text.encode("utf-8", "replace")
    if len(whole) <= most:
        return text, None
    return cut(whole, most), whole


def cut(whole: bytes, most: int, total: int | None = None) -> str:
    """Two thirds from the beginning and one from the end, and between them what is missing.

    ``total`` is the size in bytes where ``whole`` itself is no more than a head and a tail.
    """
    room = max(most, LEAST) - 120
    tail = room // 3
    head = whole[: room - tail].decode("utf-8", "ignore")
    end = whole[-tail:].decode("utf-8", "ignore")
    size = len(whole) if total is None else total
    missing = size - len(head.encode()) - len(end.encode())
    return f"{head}\n[… {missing:,} of {size:,} bytes are left out here …]\n{end}"


def kept(whole: bytes, most: int) -> bytes:
    """``whole``, or its head and tail in ``most`` bytes: what is put away in a blob."""
    if len(whole) <= most:
        return whole
    half = most // 2
    return whole[:half] + whole[-(most - half) :]
