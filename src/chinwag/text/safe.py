"""The one door through which foreign text passes before it is drawn.

Invariants: what comes out holds no control character but ``\\n`` and ``\\t``, no bidi control, no
tag, no filler, no private-use or noncharacter, no surrogate, and nothing invisible except a joiner
or variation selector where a reader needs it: in an emoji, or after a letter whose script joins.
No base carries more than eight marks. What is not let through is shown, never dropped in silence:
C0 as its picture (``␛``), all else as ``‹202e›``, too many marks as ``‹+12›``.

``safe(safe(x)) == safe(x)``, and ``safe(a + b) == safe(a) + safe(b)`` unless the cut falls inside a
grapheme cluster (CR LF, an emoji, a pile of marks) or between the halves of a surrogate pair. So
callers make whole texts or whole blocks safe, and a growing text never changes behind its last
cluster. Raw text is what is stored and sent; it only goes through ``repair``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Final, NewType

Safe = NewType("Safe", str)
"""Text that has been through the door. At run time it is a plain str."""

MOST_MARKS: Final = 8
"""The most combining marks one base may carry: real scripts need fewer, piles climb over lines."""

_C0: Final = "\x00-\x08\x0b-\x1f\x7f"
# Default-ignorable, formatting and blank-looking characters: all that can hide, reorder or fake.
_HIDDEN: Final = (
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_UNREAL: Final = "\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff\U000f0000-\U0010ffff" + "".join(
    f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(1, 15)
)
_SUSPECT: Final = f"{_C0}\x80-\x9f{_HIDDEN}{_UNREAL}\ud800-\udfff"

# What may begin an emoji: the Extended_Pictographic property of Unicode 17.
PICTURE: Final = (
    "\xa9\xae\u203c\u2049\u2122\u2139\u2194-\u2199\u21a9-\u21aa\u231a-\u231b\u2328\u23cf"
    "\u23e9-\u23f3\u23f8-\u23fa\u24c2\u25aa-\u25ab\u25b6\u25c0\u25fb-\u25fe\u2600-\u2604\u260e"
    "\u2611\u2614-\u2615\u2618\u261d\u2620\u2622-\u2623\u2626\u262a\u262e-\u262f\u2638-\u263a"
    "\u2640\u2642\u2648-\u2653\u265f-\u2660\u2663\u2665-\u2666\u2668\u267b\u267e-\u267f"
    "\u2692-\u2697\u2699\u269b-\u269c\u26a0-\u26a1\u26a7\u26aa-\u26ab\u26b0-\u26b1\u26bd-\u26be"
    "\u26c4-\u26c5\u26c8\u26ce-\u26cf\u26d1\u26d3-\u26d4\u26e9-\u26ea\u26f0-\u26f5\u26f7-\u26fa"
    "\u26fd\u2702\u2705\u2708-\u270d\u270f\u2712\u2714\u2716\u271d\u2721\u2728\u2733-\u2734\u2744"
    "\u2747\u274c\u274e\u2753-\u2755\u2757\u2763-\u2764\u2795-\u2797\u27a1\u27b0\u27bf"
    "\u2934-\u2935\u2b05-\u2b07\u2b1b-\u2b1c\u2b50\u2b55\u3030\u303d\u3297\u3299\U0001f004"
    "\U0001f02c-\U0001f02f\U0001f094-\U0001f09f\U0001f0af-\U0001f0b0\U0001f0c0"
    "\U0001f0cf-\U0001f0d0\U0001f0f6-\U0001f0ff\U0001f170-\U0001f171\U0001f17e-\U0001f17f"
    "\U0001f18e\U0001f191-\U0001f19a\U0001f1af-\U0001f1e5\U0001f201-\U0001f20f\U0001f21a"
    "\U0001f22f\U0001f232-\U0001f23a\U0001f23c-\U0001f23f\U0001f249-\U0001f25f"
    "\U0001f266-\U0001f321\U0001f324-\U0001f393\U0001f396-\U0001f397\U0001f399-\U0001f39b"
    "\U0001f39e-\U0001f3f0\U0001f3f3-\U0001f3f5\U0001f3f7-\U0001f3fa\U0001f400-\U0001f4fd"
    "\U0001f4ff-\U0001f53d\U0001f549-\U0001f54e\U0001f550-\U0001f567\U0001f56f-\U0001f570"
    "\U0001f573-\U0001f57a\U0001f587\U0001f58a-\U0001f58d\U0001f590\U0001f595-\U0001f596"
    "\U0001f5a4-\U0001f5a5\U0001f5a8\U0001f5b1-\U0001f5b2\U0001f5bc\U0001f5c2-\U0001f5c4"
    "\U0001f5d1-\U0001f5d3\U0001f5dc-\U0001f5de\U0001f5e1\U0001f5e3\U0001f5e8\U0001f5ef\U0001f5f3"
    "\U0001f5fa-\U0001f64f\U0001f680-\U0001f6c5\U0001f6cb-\U0001f6d2\U0001f6d5-\U0001f6e5"
    "\U0001f6e9\U0001f6eb-\U0001f6f0\U0001f6f3-\U0001f6ff\U0001f7dc-\U0001f7f0"
    "\U0001f80c-\U0001f80f\U0001f848-\U0001f84f\U0001f85a-\U0001f85f\U0001f888-\U0001f88f"
    "\U0001f8ae-\U0001f8af\U0001f8bc-\U0001f8bf\U0001f8c2-\U0001f8cf\U0001f8d9-\U0001f8ff"
    "\U0001f90c-\U0001f93a\U0001f93c-\U0001f945\U0001f947-\U0001f9ff\U0001fa58-\U0001fa5f"
    "\U0001fa6e-\U0001faff"
)
_LIMB: Final = f"[{PICTURE}](?:[\ufe0e\ufe0f]|[\U0001f3fb-\U0001f3ff])?"
# The three flags made of tags that are recommended for interchange; every other tag is shown.
_FLAG: Final = (
    "\U0001f3f4\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067"
    "|\U000e0073\U000e0063\U000e0074|\U000e0077\U000e006c\U000e0073)\U000e007f"
)
# Seven joints are more than any real emoji has; an endless chain is an attack or a mistake.
EMOJI: Final = f"{_FLAG}|{_LIMB}(?:\u200d{_LIMB}){{0,7}}|[0-9#*]\ufe0f\u20e3"

# Scripts whose letters join or stack: there ZWJ and ZWNJ are spelling. Only what stands before is
# asked, or a growing text would change behind its last cluster.
JOINING: Final = (
    "\u0620-\u065f\u066e-\u06d3\u06d5-\u06dc\u06fa-\u06ff\u0710-\u074a\u0750-\u077f\u07ca-\u07ea"
    "\u0840-\u085b\u08a0-\u08e1\u0900-\u0963\u0971-\u0fbc\u1000-\u109f\u1780-\u17b3\u17b6-\u17d3"
    "\u1820-\u18aa\u1900-\u1cff\ua840-\uaaff\ufb50-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc"
    "\U00010a00-\U00010aff\U00011000-\U00011fff"
)
_SPELLING: Final = f"(?<=[{JOINING}])[\u200c\u200d]|(?<=[\u1820-\u18aa])[\u180b-\u180d\u180f]"

# Characters of which none is suspect or a mark, and each a cluster of its own next to another:
# most texts hold nothing else, and are done with one pass of 2 ns a character.
ORDINARY: Final = (
    "\n\t\x20-\x7e\xa0-\xac\xae-\u02ff\u0370-\u0482\u048a-\u058f\u0e01-\u0e30\u1e00-\u1fff"
    "\u2010-\u2027\u2030-\u205e\u2070-\u20cf\u2100-\u2bff\u2e80-\u3029\u3030-\u3096"
    "\u309b-\u3130\u3165-\ua4cf\uac00-\ud7a3\uff01-\uff9d\U0001f300-\U0001f3fa\U0001f400-\U0001faff"
)
_MAYBE_PILE: Final = re.compile(f"[^\\x00-\u02ff\\w\\s]{{{MOST_MARKS + 1},}}")
_TAGS: Final = re.compile("[\U000e0000-\U000e007f]")
_DANGLING: Final = "\u200c\u200d\ufe0e\ufe0f" + "".join(map(chr, range(0xE0020, 0xE0080)))
_CONTROLS: Final = {code: chr(0x2400 + code) for code in range(0x20) if code not in (9, 10)} | {
    0x7F: "\u2421"
}


class _Marks(dict[str, str]):
    """How each suspect character met so far is shown."""

    def __missing__(self, char: str) -> str:
        self[char] = shown = _CONTROLS.get(ord(char)) or f"‹{ord(char):02x}›"
        return shown


_marks: Final = _Marks()


def safe(text: str, *, keep_newlines: bool = True) -> Safe:
    """``text`` as it may be drawn; without ``keep_newlines``, on one line (``␊``, ``␉``)."""
    shown = _ascii(text) if text.isascii() else _wide(text)
    if not keep_newlines:
        shown = shown.replace("\n", "\u240a").replace("\t", "\u2409")
    return Safe(shown)


def safe_line(text: str, limit: int = 500) -> Safe:
    """``text`` as one line of at most ``limit`` (>= 1) code points, the last one ``…`` where cut.

    Newlines show as ``␊`` so that no line can be faked; tabs, which only move, become blanks.
    """
    # Nothing shrinks but piles of marks, so a little more than the limit is enough to look at.
    shown = safe(text[: limit * 2 + 64].replace("\t", " "), keep_newlines=False)
    if len(shown) <= limit and len(text) <= limit * 2 + 64:
        return shown
    return Safe(shown[: limit - 1].rstrip(_DANGLING) + "…")


def repair(text: str) -> str:
    """``text`` as it can be stored and sent: halves of a pair joined, lone halves U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def json_shown(data: bytes) -> bytes:
    """JSON in which nothing hides: what could is written as its escape, which means the same."""
    if data.isascii() and b"\x7f" not in data:
        return data
    return _suspects().sub(_escape, data.decode()).encode()


def strip_tags_from_tools(text: str) -> tuple[str, int]:
    """``text`` without tag characters, and how many there were: they speak to the model unseen."""
    return ("", 0) if not text else (text, 0) if text.isascii() else _TAGS.subn("", text)


def _ascii(text: str) -> str:
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    return text.translate(_CONTROLS)


def _wide(text: str) -> str:
    if is_ordinary(text):
        return text
    text = repair(text)
    parts: list[str] = []
    at = 0
    for start, end in strange_spans(text):
        parts += text[at:start], _strict(text[start:end])
        at = end
    return "".join([*parts, text[at:]])


def _strict(text: str) -> str:
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    text = _judged().sub(_judge, text)
    return _MAYBE_PILE.sub(_lower, text) if len(text) > MOST_MARKS else text


def is_ordinary(text: str) -> bool:
    """Whether each character of ``text`` is harmless and a cluster of its own."""
    if text.isascii() and text.isprintable():
        return True
    return _all_ordinary().fullmatch(text) is not None


def strange_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where ``text`` is not ordinary: start and end, one neighbour on each side included.

    Two spans never share a character, so that each can be judged alone.
    """
    start = end = -1
    for found in _strange().finditer(text):
        first, last = max(0, found.start() - 1), min(len(text), found.end() + 1)
        if start >= 0 and first >= end:
            yield start, end
            start = first
        elif start < 0:
            start = first
        end = last
    if start >= 0:
        yield start, end


# Compiling these takes 4 ms each, which a start-up that shows only ASCII does not pay.
@cache
def _all_ordinary() -> re.Pattern[str]:
    return re.compile(f"[{ORDINARY}]*")


@cache
def _strange() -> re.Pattern[str]:
    return re.compile(f"[^{ORDINARY}]+")


@cache
def _judged() -> re.Pattern[str]:
    return re.compile(f"(?:{EMOJI}|{_SPELLING})|([{_SUSPECT}])")


@cache
def _suspects() -> re.Pattern[str]:
    return re.compile(f"[{_SUSPECT}]")


def _escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _judge(found: re.Match[str]) -> str:
    """What is let through comes back as it is; what is suspect, as its mark."""
    suspect: str | None = found[1]
    return found[0] if suspect is None else _marks[suspect]


def _lower(found: re.Match[str]) -> str:
    """A run of characters with each pile of marks cut to the most that is allowed."""
    return "".join(_cut_piles(found[0]))


def _cut_piles(run: str) -> Iterator[str]:
    height = 0
    for char in run:
        if _stacks(char):
            height += 1
            if height <= MOST_MARKS:
                yield char
            continue
        yield from _excess(height)
        height = 0
        yield char
    yield from _excess(height)


def _excess(height: int) -> Iterator[str]:
    if height > MOST_MARKS:
        yield f"‹+{height - MOST_MARKS}›"


def _stacks(char: str) -> bool:
    # Joiners let through after a mark count too, or they would begin a new pile on the old one.
    return char in "\u200c\u200d" or unicodedata.category(char) in {"Mn", "Me"}
