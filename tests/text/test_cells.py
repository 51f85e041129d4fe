"""Clusters and widths: the standard's own lists, prompt_toolkit's measure, and properties."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.utils import get_cwidth
from wcwidth import iter_graphemes

from chinwag.text.cells import clip, cluster_width, clusters, for_screen, pad, width, wrap
from chinwag.text.safe import safe

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "text"
FAMILY = "👨\u200d👩\u200d👧"
NASTY = (
    "ab 1#.,\tй\u0301\u0308\u0600\u0627\u064e\u0915\u094d\u093f\u0e01\u0e31\u0e33\u1100\u1160\u11a8"
    "각日が\u3099。「"
    "\u200c\u200d\u20e3\ufe0e\ufe0f\uff9e❤☎👩👨🔥🏽🏴\U0001f1eb\U0001f1f7\U000e0067\U000e007f\n\r"
)
texts = st.text(st.sampled_from(NASTY) | st.characters(exclude_categories=["Cs"]), max_size=40)
lines = texts.map(lambda text: text.replace("\n", " "))


def golden(name: str) -> list[str]:
    source = DATA / name
    if not source.exists() and not os.environ.get("CI"):
        pytest.skip(f"{source} is not here")
    rows = (row.partition("#")[0].strip() for row in source.read_text(encoding="utf-8").split("\n"))
    return [row for row in rows if row]


def code_points(row: str) -> str:
    return "".join(chr(int(code, 16)) for code in row.split())


def visible(text: str) -> str:
    return re.sub("[ \t\n]", "", text)


def test_clusters_as_the_standard_breaks_them():
    rows = golden("GraphemeBreakTest.txt")
    assert len(rows) == 602
    for row in rows:
        # U+2701 is a pictograph up to Unicode 16 and none from 17 on; the rule itself stays.
        parts = row.replace("2701", "2702").replace("×", " ").split("÷")
        expected = [code_points(part) for part in parts if part.strip()]
        assert list(clusters("".join(expected))) == expected, row


def test_each_emoji_sequence_is_one_cluster_of_two_cells():
    rows = golden("emoji-zwj-sequences.txt")
    assert len(rows) > 1000
    for row in rows:
        sequence = code_points(row.partition(";")[0])
        assert list(clusters(f"a{sequence}b")) == ["a", sequence, "b"]
        assert width(sequence) == cluster_width(sequence) == 2
        assert safe(sequence) == sequence
        assert for_screen(sequence)[0] == sequence[0]
        assert sum(map(get_cwidth, for_screen(sequence))) == 2


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("", 0),
        ("abc", 3),
        ("é", 1),
        ("e\u0301", 1),
        ("日本", 4),
        ("ﾃｽﾄ", 3),
        ("각", 2),
        ("\u1112\u1161\u11ab", 2),
        ("😀", 2),
        ("👍🏽", 2),
        (FAMILY, 2),
        ("🇫🇷", 2),
        ("❤", 1),
        ("❤\ufe0f", 2),
        ("☎\ufe0e", 1),
        ("1\ufe0f\u20e3", 2),
        ("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", 2),
        ("\t", 4),
        ("ab\tc", 5),
        ("日\tc", 5),
        ("␛‹9b›", 5),
        ("\u0301", 0),
    ],
)
def test_widths(text: str, cells: int):
    assert width(text) == cells


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("plain é 日", "plain é 日"),
        (f"a{FAMILY}b", "a👨b"),
        ("🇫🇷🇯🇵", "FRJP"),
        ("❤\ufe0f!", "❤ !"),
        ("❤\ufe0f\u200d🔥!", "❤ !"),
        ("1\ufe0f\u20e3", "1 "),
        ("👍🏽", "👍"),
        ("☎\ufe0e", "☎"),
        ("क्\u200dष", "क्\u200dष"),
        ("a\tb", "a   b"),
    ],
)
def test_what_the_full_screen_gets(text: str, drawn: str):
    assert for_screen(text) == drawn


@given(lines)
def test_prompt_toolkit_measures_what_it_gets_as_we_do(line: str):
    drawn = for_screen(line)
    assert width(drawn) == width(line) == sum(map(get_cwidth, drawn))
    assert for_screen(drawn) == drawn


@given(lines)
def test_drawn_safe_text_is_safe(line: str):
    assert safe(for_screen(safe(line))) == for_screen(safe(line))


@given(texts)
def test_clusters_are_those_of_the_full_rules(text: str):
    assert list(clusters(text)) == list(iter_graphemes(text))


@given(lines)
def test_width_is_that_of_the_clusters(line: str):
    line = line.replace("\t", " ")
    assert width(line) == sum(map(cluster_width, clusters(line)))


@given(texts, st.integers(1, 30))
def test_wrapped_lines_fit_and_keep_all_that_is_visible(text: str, columns: int):
    wrapped = wrap(text, columns)
    assert all(width(line) <= columns for line in wrapped)
    joined = visible("".join(wrapped))
    if "…" not in joined:
        assert joined == visible(text)
    assert len(wrapped) >= text.count("\n") + 1


@given(texts, st.integers(12, 30))
def test_wrap_splits_no_cluster_that_fits(text: str, columns: int):
    text = safe(text)
    pieces = [c for line in wrap(text, columns) for c in clusters(line) if c != " "]
    whole = [c for line in text.split("\n") for c in clusters(line) if c not in {" ", "\t"}]
    if all(cluster_width(cluster) <= columns for cluster in whole):
        assert pieces == whole


@given(texts, st.integers(1, 30))
def test_pieces_of_safe_text_are_safe(text: str, columns: int):
    text = safe(text)
    if all(cluster_width(cluster) <= columns for cluster in clusters(text)):
        assert all(safe(line) == line for line in wrap(text, columns))


@given(lines, st.integers(0, 20))
def test_clipped_and_padded(line: str, columns: int):
    assert width(clip(line, columns)) <= columns
    assert width(pad(line, columns)) == columns
    if width(line) <= columns and "\t" not in line:
        assert clip(line, columns) == line


@pytest.mark.parametrize(
    ("text", "columns", "wrapped"),
    [
        ("", 5, [""]),
        ("a\n\nb", 5, ["a", "", "b"]),
        ("hello world", 5, ["hello", "world"]),
        ("hello   world", 8, ["hello", "world"]),
        ("    indented code here", 14, ["    indented", "code here"]),
        ("        " + "x" * 6, 10, ["    xxxxxx"]),
        ("        " + "x" * 12, 10, ["     xxxxx", "xxxxxxx"]),
        ("see " + "x" * 12, 6, ["see", "xxxxxx", "xxxxxx"]),
        ("日本語、テスト", 6, ["日本", "語、テ", "スト"]),
        ("「日本」です", 4, ["「日", "本」", "です"]),
        ("ab日本", 3, ["ab", "日", "本"]),
        (FAMILY * 3, 4, [FAMILY * 2, FAMILY]),
        ("日本", 1, ["…", "…"]),
        ("\u1100\u1100\u1100", 4, ["\u1100\u1100", "\u1100"]),
        ("e\u0301" * 4, 2, ["e\u0301e\u0301"] * 2),
        ("a\tb", 3, ["a", "b"]),
        ("      ", 3, [""]),
        ("      ", 8, ["      "]),
    ],
)
def test_wrapping(text: str, columns: int, wrapped: list[str]):
    assert wrap(text, columns) == wrapped


def test_no_columns_is_a_mistake():
    with pytest.raises(ValueError, match="at least 1"):
        wrap("a", 0)


def test_clipping():
    assert clip("hello", 4) == "hel…"
    assert clip("日本語", 4) == "日…"
    assert clip(FAMILY * 2, 3) == FAMILY + "…"
    assert clip("abc", 2, "...") == ".."
    assert pad("日本語", 4) == "日… "
    assert pad("ab", 4) == "ab  "


@given(st.text("ab ", max_size=80), st.integers(1, 12))
def test_letters_of_one_cell_are_cut_as_any_others(text, columns):
    """What is cut at once comes out as what is cut cluster by cluster: é is never cut at once."""
    wide = text.replace("a", "é").replace("b", "ö")
    assert [line.replace("é", "a").replace("ö", "b") for line in wrap(wide, columns)] == wrap(
        text, columns
    )
