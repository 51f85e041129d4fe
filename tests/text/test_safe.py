"""What may reach the screen: lists of attacks, and properties that hold for any text."""

import json
import os
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.text.cells import clusters
from chinwag.text.safe import (
    MOST_MARKS,
    ORDINARY,
    json_shown,
    repair,
    safe,
    safe_line,
    strip_tags_from_tools,
)
from support.hostile import unseen

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "text"
FAMILY = "👨\u200d👩\u200d👧"

# Characters chosen so that short texts meet every rule, and the rules meet one another.
NASTY = (
    "ab 1#\n\t\r\x00\x1b\x07\x7f\x85\x9b\xad\xa0é\u0301\u0308\u034f\u061c\u0627\u0644\u064e\u0915"
    "\u094d\u093f\u0e01\u0e31\u102b\u1100\u1160\u11a8\u115f"
    "\u180b\u180e\u1820\u200b\u200c\u200d\u200e\u2028\u202e\u2060"
    "\u2066\u20e3\u25cc日が\u3099\u3164각\ue000\ufb50\ufe00\ufe0e\ufe0f\ufeff\uff9e\uffa0\ufff9\ufffd\uffff"
    "\ud83d\ude00❤☎✁👩👨🔥🏽🏴\U0001f1eb\U0001f1f7\U000e0041\U000e0067\U000e007f\U000e0100\U000f0000‹›…"
)
texts = st.text(st.sampled_from(NASTY) | st.characters(), max_size=40)


def hidden(char: str) -> str:
    return f"‹{ord(char):02x}›"


# By name: what comes, and what is shown.
ATTACKS = {
    "colour": ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
    "clear screen": ("\x1b[2J\x1b[H", "␛[2J␛[H"),
    "cursor up and overwrite": ("ok\x1b[1A\x1b[2Kno", "ok␛[1A␛[2Kno"),
    "alternate screen": ("\x1b[?1049h", "␛[?1049h"),
    "mouse on": ("\x1b[?1003h", "␛[?1003h"),
    "bracketed paste off": ("\x1b[?2004l", "␛[?2004l"),
    "paste end": ("\x1b[201~rm", "␛[201~rm"),
    "hide cursor": ("\x1b[?25l", "␛[?25l"),
    "title": ("\x1b]0;owned\x07", "␛]0;owned␇"),
    "title, string terminator": ("\x1b]2;x\x1b\\", "␛]2;x␛\\"),
    "title report": ("\x1b[21t", "␛[21t"),
    "device attributes": ("\x1b[c", "␛[c"),
    "cursor report": ("\x1b[6n", "␛[6n"),
    "status string": ("\x1bP$q q\x1b\\", "␛P$q q␛\\"),
    "answer-back": ("\x05", "␅"),
    "clipboard write": ("\x1b]52;c;cm0=\x07", "␛]52;c;cm0=␇"),
    "clipboard read": ("\x1b]52;c;?\x07", "␛]52;c;?␇"),
    "link": (
        "\x1b]8;;http://evil\x1b\\good\x1b]8;;\x1b\\",
        "␛]8;;http://evil␛\\good␛]8;;␛\\",
    ),
    "file transfer": ("\x1b]1337;File=:AA\x07", "␛]1337;File=:AA␇"),
    "rxvt file": ("\x1b]7;file://x\x07", "␛]7;file://x␇"),
    "colour query": ("\x1b]10;?\x07", "␛]10;?␇"),
    "notification": ("\x1b]9;hi\x07", "␛]9;hi␇"),
    "sixel": ("\x1bPq#0\x1b\\", "␛Pq#0␛\\"),
    "kitty picture": ("\x1b_Ga=T;AA\x1b\\", "␛_Ga=T;AA␛\\"),
    "privacy message": ("\x1b^x\x1b\\", "␛^x␛\\"),
    "start of string": ("\x1bXx\x1b\\", "␛Xx␛\\"),
    "tmux passthrough": ("\x1bPtmux;\x1b\x1b[c\x1b\\", "␛Ptmux;␛␛[c␛\\"),
    "reset": ("\x1bc", "␛c"),
    "charset": ("\x1b(0lqk", "␛(0lqk"),
    "screen fill": ("\x1b#8", "␛#8"),
    "cut sequence": ("text\x1b[", "text␛["),
    "lone escape": ("\x1b", "␛"),
    "C1 CSI": ("\x9b2J", "‹9b›2J"),
    "C1 OSC": ("\x9d0;t\x9c", "‹9d›0;t‹9c›"),
    "C1 DCS": ("\x90q\x9c", "‹90›q‹9c›"),
    "C1 APC": ("\x9fG\x9c", "‹9f›G‹9c›"),
    "next line": ("a\x85b", "a‹85›b"),
    "C1 padding": ("\x80", "‹80›"),
    "null": ("a\x00b", "a␀b"),
    "bell": ("\x07", "␇"),
    "backspaces": ("rm\x08\x08ls", "rm␈␈ls"),
    "delete": ("a\x7fb", "a␡b"),
    "overwriting return": ("evil\rgood", "evil␍good"),
    "return at the end": ("x\r", "x␍"),
    "vertical tab": ("a\x0bb", "a␋b"),
    "form feed": ("a\x0cb", "a␌b"),
    "shift out": ("\x0e", "␎"),
    "shift in": ("\x0f", "␏"),
    "start marks of readline": ("\x01x\x02", "␁x␂"),
    "flow control": ("\x13\x11", "␓␑"),
    "end of file": ("\x04\x1a", "␄␚"),
    "separators": ("\x1c\x1d\x1e\x1f", "␜␝␞␟"),
    "line separator": ("a\u2028b", "a‹2028›b"),
    "paragraph separator": ("a\u2029b", "a‹2029›b"),
    "right-to-left override": ("exe\u202egpj", "exe‹202e›gpj"),
    "left-to-right override": ("\u202dx\u202c", "‹202d›x‹202c›"),
    "embedding": ("\u202a\u202b", "‹202a›‹202b›"),
    "isolates": ("\u2066\u2067\u2068\u2069", "‹2066›‹2067›‹2068›‹2069›"),
    "direction marks": ("\u200e\u200f\u061c", "‹200e›‹200f›‹61c›"),
    "tags": ("\U000e0048\U000e0069", "‹e0048›‹e0069›"),
    "language tag": ("\U000e0001", "‹e0001›"),
    "tags after a flag": ("🏴\U000e0075\U000e0073\U000e007f", "🏴‹e0075›‹e0073›‹e007f›"),
    "zero-width space": ("pass\u200bword", "pass‹200b›word"),
    "byte order mark": ("\ufeffx", "‹feff›x"),
    "word joiner": ("a\u2060b", "a‹2060›b"),
    "invisible times": ("2\u2062x", "2‹2062›x"),
    "soft hyphen": ("a\xadb", "a‹ad›b"),
    "grapheme joiner": ("a\u034fb", "a‹34f›b"),
    "joiner between Latin": ("a\u200db", "a‹200d›b"),
    "non-joiner between Latin": ("a\u200cb", "a‹200c›b"),
    "two joiners in Persian": ("می\u200c\u200cخ", "می\u200c‹200c›خ"),
    "joiner before nothing": ("👩\u200d", "👩‹200d›"),
    "joiner to a letter": ("👩\u200da", "👩‹200d›a"),
    "selector on a letter": ("a\ufe0f", "a‹fe0f›"),
    "two selectors": ("❤\ufe0f\ufe0f", "❤\ufe0f‹fe0f›"),
    "smuggled selectors": ("😀\U000e0148\U000e0159", "😀‹e0148›‹e0159›"),
    "low selectors": ("😀\ufe00\ufe01", "😀‹fe00›‹fe01›"),
    "half a keycap": ("1\ufe0f", "1‹fe0f›"),
    "Hangul fillers": ("\u115f\u1160\u3164\uffa0", "‹115f›‹1160›‹3164›‹ffa0›"),
    "Khmer inherent vowels": ("\u17b4\u17b5", "‹17b4›‹17b5›"),
    "Mongolian separator": ("\u180e", "‹180e›"),
    "Mongolian selector on Latin": ("a\u180b", "a‹180b›"),
    "interlinear": ("\ufff9a\ufffab\ufffb", "‹fff9›a‹fffa›b‹fffb›"),
    "deprecated shaping": ("\u206a\u206f", "‹206a›‹206f›"),
    "shorthand control": ("\U0001bca0", "‹1bca0›"),
    "musical control": ("\U0001d173", "‹1d173›"),
    "noncharacters": ("\ufffe\uffff\ufdd0\U0001ffff", "‹fffe›‹ffff›‹fdd0›‹1ffff›"),
    "last code point": ("\U0010ffff", "‹10ffff›"),
    "private use": ("\ue0b0\uf8ff", "‹e0b0›‹f8ff›"),
    "private planes": ("\U000f0000\U00100000", "‹f0000›‹100000›"),
    "lone high half": ("a\ud83db", "a\ufffdb"),
    "lone low half": ("a\ude00b", "a\ufffdb"),
    "halves in the wrong order": ("\ude00\ud83d", "\ufffd\ufffd"),
    "pile of marks": ("e" + "\u0301" * 20, "e" + "\u0301" * 8 + "‹+12›"),
    "pile without a base": ("\u0301" * 10, "\u0301" * 8 + "‹+2›"),
    "pile with joiners in it": (
        "\u0627" + "\u064e\u200d" * 9,
        "\u0627" + "\u064e\u200d" * 4 + "‹+10›",
    ),
    "two piles": ("a" + "\u0300" * 9 + "b" + "\u0300" * 9, ("{}" + "\u0300" * 8 + "‹+1›") * 2),
    "endless family": ("👩\u200d" * 9 + "👩", "👩\u200d" * 7 + "👩‹200d›👩\u200d👩"),
}
ATTACKS["two piles"] = (ATTACKS["two piles"][0], ATTACKS["two piles"][1].format("a", "b"))

INNOCENT = {
    "empty": "",
    "plain": "The quick brown fox.\n\tjumps",
    "Latin": "Fußgängerübergänge naïve Łódź",
    "decomposed": "e\u0301 a\u0308",
    "Vietnamese": "Tiếng Việt",
    "Greek": "Ελληνικά",
    "Cyrillic": "Привет",
    "Arabic": "السَّلامُ عَلَيْكُم",
    "Persian with non-joiner": "می\u200cخواهم",
    "Hebrew": "שָׁלוֹם",
    "Hindi": "क्षत्रिय",
    "Hindi with joiner": "क्\u200dष",
    "Sinhala with joiner": "ශ්\u200dරී",
    "Malayalam at the end": "ന്\u200d",
    "Mongolian with selector": "ᠠ\u180b",
    "Thai": "ที่นี่",
    "Tibetan": "བཀྲ་ཤིས",
    "Chinese": "你好，世界。",
    "Japanese": "ガラスが\u3099「テスト」",
    "Korean": "안녕하세요",
    "jamo": "\u1112\u1161\u11ab",
    "emoji": "😀🎉👍🏽",
    "heart": "❤\ufe0f ☎\ufe0e",
    "keycaps": "1\ufe0f\u20e3#\ufe0f\u20e3",
    "flags": "🇫🇷🇯🇵",
    "England": "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "family": FAMILY,
    "couple": "👩🏻\u200d❤\ufe0f\u200d💋\u200d👨🏿",
    "maths": "∀x∈ℝ: ⌈x⌉ ≥ x ± ½",
    "boxes": "┌─┐│█▌░",
    "braille": "⠓⠑⠇⠇⠕",
    "wide blanks": "a\u3000b\xa0c\u2009d",
    "replacement": "\ufffd",
    "own marks": "‹202e› ␛ ‹+12›",
    "new emoji of later Unicode": "\U0001fae9\U0001fadf",
}


@pytest.mark.parametrize(("raw", "shown"), ATTACKS.values(), ids=ATTACKS.keys())
def test_attacks_are_shown_and_do_nothing(raw: str, shown: str):
    assert safe(raw) == shown
    assert safe(f"日{raw}") == f"日{shown}"


def test_there_are_enough_kinds():
    assert len(ATTACKS) >= 70


@pytest.mark.parametrize("text", INNOCENT.values(), ids=INNOCENT.keys())
def test_what_people_write_passes_unchanged(text: str):
    assert safe(text) == text
    assert repair(text) == text


def test_line_ends_become_one():
    assert safe("a\r\nb\nc") == "a\nb\nc"
    assert safe("é\r\n\r\nb") == "é\n\nb"


def test_surrogate_pairs_are_joined():
    assert safe("\ud83d\ude00!") == "😀!"
    assert repair("\ud83d\ude00!\ud83d") == "😀!\ufffd"


def test_without_newlines():
    assert safe("a\r\nb\tc", keep_newlines=False) == "a␊b␉c"


def test_one_line_and_no_longer():
    assert safe_line("a\nb\tc") == "a␊b c"
    assert safe_line("x" * 600) == "x" * 499 + "…"
    assert safe_line("x" * 500) == "x" * 500
    assert safe_line(FAMILY * 3, 3) == "👨…"
    assert safe_line("e" + "\u0301" * 5000, 14).startswith("e" + "\u0301" * 8 + "‹+")


def test_tags_from_tools_are_taken_out_and_counted():
    assert strip_tags_from_tools("hi\U000e0048\U000e0069 é\U000e007f") == ("hi é", 3)
    assert strip_tags_from_tools("plain") == ("plain", 0)
    assert strip_tags_from_tools("") == ("", 0)


@given(texts)
def test_nothing_that_controls_or_hides_comes_out(text: str):
    out = safe(text)
    for char in out:
        assert unicodedata.category(char) not in {"Cs", "Co", "Zl", "Zp"}
        assert unicodedata.category(char) != "Cc" or char in "\n\t"
        assert (
            char
            not in "\xad\u034f\u061c\u115f\u1160\u200b\u200e\u200f\u202e\u2066\u2060\u3164\ufeff"
        )
        assert not 0xE0100 <= ord(char) <= 0xE01EF
    assert not re.search(f"[\u0300-\u0345]{{{MOST_MARKS + 1}}}", out)


@given(texts)
def test_a_second_time_changes_nothing(text: str):
    assert safe(safe(text)) == safe(text)
    assert safe_line(safe_line(text, 12), 12) == safe_line(text, 12)
    assert repair(repair(text)) == repair(text)


@given(texts)
def test_any_cut_between_clusters_gives_the_same(text: str):
    text = repair(text)
    at = 0
    for cluster in clusters(text):
        at += len(cluster)
        assert safe(text[:at]) + safe(text[at:]) == safe(text)


@given(texts)
def test_pieces_judged_alone_are_judged_as_the_whole(text: str):
    from chinwag.text import safe as room

    assert safe(text) == room._strict(repair(text))


@given(texts, st.integers(1, 20))
def test_a_safe_line_is_one_safe_line_within_its_limit(text: str, limit: int):
    line = safe_line(text, limit)
    assert len(line) <= limit
    assert "\n" not in line
    assert "\t" not in line
    assert safe(line) == line


@given(texts)
def test_repaired_text_can_be_encoded(text: str):
    repair(text).encode()


def test_ordinary_characters_are_harmless():
    ordinary = re.compile(f"[{ORDINARY}]")
    for code in range(0x20000):
        if ordinary.match(chr(code)):
            assert unicodedata.category(chr(code)) not in {"Mn", "Me", "Mc", "Cf", "Co", "Cs"}
            assert unicodedata.category(chr(code)) != "Cc" or chr(code) in "\n\t"


def test_naughty_strings():
    source = DATA / "naughty-strings.txt"
    if not source.exists() and not os.environ.get("CI"):
        pytest.skip(f"{source} is not here")
    for line in source.read_text(encoding="utf-8").split("\n"):
        out = safe(line)
        assert safe(out) == out
        assert all(
            char.isprintable()
            or char in "\t\u200c\u200d\xa0\u3000"
            or unicodedata.category(char) in {"Zs", "Cn", "Cf"}
            for char in out
        )


@pytest.mark.parametrize(
    "text", [*(raw for raw, _ in ATTACKS.values()), "plain", "Ärger 👨‍👩‍👧", "\U000e0041\x7f\x9b"]
)
def test_json_hides_nothing_and_means_the_same(text):
    raw = json.dumps({"text": repair(text)}, ensure_ascii=False).encode()
    shown = json_shown(raw)
    assert json.loads(shown) == json.loads(raw)
    assert unseen(shown.decode()) == []
