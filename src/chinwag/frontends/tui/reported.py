"""What a terminal tells beside plain keys: Shift+Enter, and whether its window is looked at.

Why: a terminal sends the same byte for Enter and Shift+Enter unless it is asked to tell them apart.
Two ways of asking are in use (xterm's modifyOtherKeys, and the progressive one that many newer
terminals share); both are asked, and both ways of telling are understood.

Invariants: a key that has an old name keeps it, so nothing else need know of this; what is told of
a key without one is dropped, never typed. What is pasted is not looked at. No key is held back:
only the numbers of a report that is cut in two wait for its end.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.keys import Keys

ASK: Final = "\x1b[>5u\x1b[>4;1m"
UNASK: Final = "\x1b[>4m\x1b[<u"
ASK_FOCUS: Final = "\x1b[?1004h"
UNASK_FOCUS: Final = "\x1b[?1004l"

SHIFT_ENTER: Final = Keys.F24  # the toolkit has no name for these two; no keyboard has the keys
CTRL_ENTER: Final = Keys.F23
MOST: Final = 24
"""Characters of a report that is not whole yet."""

_TOLD = re.compile(
    r"\x1b\[(?:(?P<code>\d+)(?::\d*(?::(?P<base>\d+))?)?(?:;(?P<held>\d*)(?::\d+)?)?(?:;[\d:]*)?u"
    r"|27;(?P<xheld>\d+);(?P<xcode>\d+)~|(?P<focus>[IO]))"
)
_BEGUN = re.compile(r"\x1b\[\d[\d:;]*\Z")
_MOUSE = re.compile(r"\x1b\[<\d{1,4};\d{1,5};\d{1,5}[mM]")
"""The one form that is asked for."""
_PASTE: Final = "\x1b[200~"
_SHIFT, _ALT, _CTRL, _OTHER = 1, 2, 4, 8 | 16 | 32

_NUMBERED: Final = {  # keys of a number block, as their other selves
    57414: "\r", 57417: "\x1b[D", 57418: "\x1b[C", 57419: "\x1b[A", 57420: "\x1b[B",
    57421: "\x1b[5~", 57422: "\x1b[6~", 57423: "\x1b[H", 57424: "\x1b[F",
    57425: "\x1b[2~", 57426: "\x1b[3~",
}  # fmt: skip
_CTRL_SIGNS: Final = {" ": "\0", "@": "\0", "2": "\0", "3": "\x1b", "4": "\x1c", "5": "\x1d",
    "6": "\x1e", "7": "\x1f", "8": "\x7f", "/": "\x1f", "_": "\x1f", "\\": "\x1c", "]": "\x1d",
    "^": "\x1e", "?": "\x7f"}  # fmt: skip


def as_old(code: int, held: int, base: int = 0) -> str | Keys:
    """The bytes an older terminal sends for a key, or its name here; "" for what has neither.

    ``held`` are the modifiers as bits (1 Shift, 2 Alt, 4 Ctrl); ``base`` is the letter on the same
    key of a Latin keyboard, 0 where it is not told.
    """
    if held & _OTHER:
        return ""
    if held & (_CTRL | _ALT) and code > 127 and 0 < base < 128:
        code = base
    alt = "\x1b" if held & _ALT else ""
    match code:
        case 13:
            if held & _CTRL:
                return CTRL_ENTER
            return SHIFT_ENTER if held & _SHIFT else alt + "\r"
        case 27:
            return Keys.Escape
        case 9:
            return "\x1b[Z" if held & _SHIFT else alt + "\t"
        case 127:
            return alt + "\x7f"
        case _ if code in _NUMBERED:
            return _NUMBERED[code]
        case _ if 57344 <= code <= 63743 or code < 32 or code > 0x10FFFF:
            return ""
        case _:
            return _letter(chr(code), held, alt)


def _letter(char: str, held: int, alt: str) -> str:
    if not held & _CTRL:
        return alt + (char.upper() if held & _SHIFT else char)
    if char.isascii() and char.isalpha():
        return alt + chr(ord(char.upper()) - 64)
    return alt + _CTRL_SIGNS[char] if char in _CTRL_SIGNS else ""


class Reports:
    """Stands before the parser of keys and takes reports out of what is read."""

    def __init__(self, parser: Any, focused: Callable[[bool], None]) -> None:
        self._parser = parser
        self._feed: Callable[[str], None] = parser.feed
        self._focused = focused
        self._held = ""
        self._press: Callable[[KeyPress], None] = parser.feed_key_callback
        parser.feed = self.feed
        parser.feed_key_callback = self.press

    def press(self, key: KeyPress) -> None:
        """Pass on a key; a report of the mouse that is none would break who reads it."""
        if key.key is not Keys.Vt100MouseEvent or _MOUSE.fullmatch(key.data):
            self._press(key)

    def feed(self, data: str) -> None:
        """Pass on what is read, reports as keys."""
        if not self._held and "\x1b[" not in data:
            self._feed(data)
            return
        data, self._held = self._held + data, ""
        while data:
            if self._parser._in_bracketed_paste:  # noqa: SLF001 (nothing else tells)
                self._feed(data)
                return
            before, paste, data = data.partition(_PASTE)
            self._keys(before, last=not paste)
            if paste:
                self._feed(paste)

    def _keys(self, data: str, *, last: bool) -> None:
        at = 0
        for found in _TOLD.finditer(data):
            self._pass(data[at : found.start()])
            self._told(found)
            at = found.end()
        rest = data[at:]
        begun = _BEGUN.search(rest) if last else None
        if begun is not None and len(begun[0]) <= MOST:
            self._held = begun[0]
            rest = rest[: begun.start()]
        self._pass(rest)

    def _pass(self, data: str) -> None:
        if data:
            self._feed(data)

    def _told(self, found: re.Match[str]) -> None:
        if found["focus"]:
            self._focused(found["focus"] == "I")
            return
        code, held = int(found["code"] or found["xcode"]), int(found["held"] or found["xheld"] or 1)
        key = as_old(code, (held - 1) & 63, int(found["base"] or 0))
        if isinstance(key, Keys):
            self._press(KeyPress(key, "\x1b" if key is Keys.Escape else ""))
        else:
            self._pass(key)
