"""What a PDF costs in tokens, near enough to see a full window coming.

Invariants: nothing is decoded but the file's own outline; whatever the bytes are, there is an
answer, and it is an estimate. Providers that take PDFs read the text of each page and look at its
picture, so pages are what is paid for. Sources: the PDF guides of Anthropic (1,500 to 3,000 tokens
of text a page, and a picture), OpenAI (the same two) and Google (258 a page).
"""

from __future__ import annotations

import base64
import binascii
import re

PAGE = 2_300  # tokens: a page of text and its picture
GEMINI_PAGE = 258
PACKED = 60_000  # bytes a page of a file takes whose pages cannot be seen

_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_COUNT = re.compile(rb"/Count\s+(\d{1,6})")


def tokens(data: str, model: str) -> int:
    """Tokens the PDF ``data`` (base64) costs ``model``."""
    each = GEMINI_PAGE if "gemini" in model.lower() else PAGE
    return each * pages(data)


def pages(data: str) -> int:
    """How many pages a PDF in base64 has; a guess from its size where its outline is packed."""
    try:
        raw = base64.b64decode(data)
    except (ValueError, binascii.Error):
        return 1
    seen = len(_PAGE.findall(raw))
    counted = max((int(found) for found in _COUNT.findall(raw)), default=0)
    return seen or min(counted, 10_000) or max(1, len(raw) // PACKED)
