"""What a picture costs in tokens, by the rules the providers publish, and how large it is.

Invariants: only the first bytes of a picture are looked at, nothing is decoded; whatever the bytes
are, there is an answer: a picture that cannot be measured counts as an ordinary one.
Sources: the vision guides of OpenAI, Anthropic and Google (their pages on images, 2026).
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable

HEAD = 64 * 1024  # characters of base64 that hold the size of any ordinary picture
ORDINARY = (1024, 1024)

Size = tuple[int, int]
"""Width and height in pixels."""


def tokens(data: str, model: str) -> int:
    """Tokens the picture ``data`` (base64) costs ``model``."""
    width, height = size(data) or ORDINARY
    name = model.rsplit("/", 1)[-1].lower()
    rule = next((rule for pattern, rule in _RULES if re.match(pattern, name)), _plain)
    return max(1, round(rule(max(1, width), max(1, height))))


def size(data: str) -> Size | None:
    """Width and height of a PNG, JPEG, GIF or WebP in base64; None for anything else."""
    head = data[: HEAD - HEAD % 4]
    try:
        raw = base64.b64decode(head + "=" * (-len(head) % 4))
    except (ValueError, binascii.Error):
        return None
    for read in (_png, _gif, _webp, _jpeg):
        found = read(raw)
        if found is not None and min(found) > 0:
            return found
    return None


def _png(raw: bytes) -> Size | None:
    if raw[:8] != b"\x89PNG\r\n\x1a\n" or len(raw) < 24:
        return None
    return int.from_bytes(raw[16:20]), int.from_bytes(raw[20:24])


def _gif(raw: bytes) -> Size | None:
    if raw[:4] != b"GIF8" or len(raw) < 10:
        return None
    return int.from_bytes(raw[6:8], "little"), int.from_bytes(raw[8:10], "little")


def _webp(raw: bytes) -> Size | None:
    if raw[:4] != b"RIFF" or raw[8:12] != b"WEBP" or len(raw) < 30:
        return None
    match raw[12:16]:
        case b"VP8X":
            return (
                int.from_bytes(raw[24:27], "little") + 1,
                int.from_bytes(raw[27:30], "little") + 1,
            )
        case b"VP8L":
            bits = int.from_bytes(raw[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            return (
                int.from_bytes(raw[26:28], "little") & 0x3FFF,
                int.from_bytes(raw[28:30], "little") & 0x3FFF,
            )
        case _:
            return None


_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # the JPEG markers that tell the size


def _jpeg(raw: bytes) -> Size | None:
    if raw[:3] != b"\xff\xd8\xff":
        return None
    at = 2
    while at + 9 < len(raw):
        if raw[at] != 0xFF:
            return None
        marker = raw[at + 1]
        if marker in _FRAMES:
            return int.from_bytes(raw[at + 7 : at + 9]), int.from_bytes(raw[at + 5 : at + 7])
        at += 1 if marker == 0xFF else 2 + int.from_bytes(raw[at + 2 : at + 4])
    return None


# -- the rules ------------------------------------------------------------------------------------


def _tiles(base: int, each: int) -> Callable[[int, int], float]:
    """OpenAI: into 2,048 by 2,048, then the short side down to 768, in tiles of 512."""

    def rule(width: int, height: int) -> float:
        down = min(1.0, 2048 / max(width, height))
        down *= min(1.0, 768 / (min(width, height) * down))
        wide, high = math.ceil(width * down / 512), math.ceil(height * down / 512)
        return base + each * wide * high

    return rule


def _patches(factor: float) -> Callable[[int, int], float]:
    """OpenAI's smaller models: patches of 32 pixels, at most 1,536 of them."""

    def rule(width: int, height: int) -> float:
        return min(1536, math.ceil(width / 32) * math.ceil(height / 32)) * factor

    return rule


def _claude(width: int, height: int) -> float:
    """Anthropic: pixels / 750, after the long side came down to 1,568."""
    down = min(1.0, 1568 / max(width, height))
    return min(1600.0, width * down * height * down / 750)


def _gemini(width: int, height: int) -> float:
    """Google: 258 for a small one, else 258 for each tile of 768."""
    if max(width, height) <= 384:
        return 258
    return 258 * math.ceil(width / 768) * math.ceil(height / 768)


def _plain(width: int, height: int) -> float:
    """Where nobody published a rule: patches of 28 pixels, as most open models cut them."""
    return min(4096, math.ceil(width / 28) * math.ceil(height / 28))


_RULES: tuple[tuple[str, Callable[[int, int], float]], ...] = (
    (r"(gpt-4\.1-nano|gpt-5(\.\d+)?-nano)", _patches(2.46)),
    (r"(gpt-4\.1-mini|gpt-5(\.\d+)?-mini)", _patches(1.62)),
    (r"o4-mini", _patches(1.72)),
    (r"gpt-4o-mini", _tiles(2833, 5667)),
    (r"gpt-5", _tiles(70, 140)),
    (r"o[13]", _tiles(75, 150)),
    (r"(gpt-4|chatgpt)", _tiles(85, 170)),
    (r"claude", _claude),
    (r"(gemini|gemma)", _gemini),
)
