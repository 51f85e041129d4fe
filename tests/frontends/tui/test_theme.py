"""Themes: their looks, tables of styles, and the terminal's background."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.styles import Style

from chinwag.frontends.tui.background import ASK, Listener, is_light, told
from chinwag.frontends.tui.rendering import Renderer
from chinwag.frontends.tui.theme import THEMES, depends, faults, looks, rich_style
from support.fakes import FakeDesk, talk
from support.pilot import pilot

NAMES = sorted(THEMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_theme_knows_every_style_and_both_libraries_understand_it(name):
    assert set(THEMES[name]) == set(THEMES["none"])
    Style.from_dict(dict(THEMES[name]))
    Renderer(THEMES[name])


@pytest.mark.parametrize(("name", "light"), [("dark", False), ("light", True)])
def test_text_can_be_read_on_its_background(name, light):
    ground = 0.95 if light else 0.03
    for style, look in THEMES[name].items():
        for word in look.split():
            if word.startswith("#") and style not in {"rule", "bar.rest", "md.rule"}:
                ratio = contrast(luminance(word), ground)
                assert ratio >= 4.0, f"{style} {word} {ratio:.1f}"


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def test_no_color_and_a_dumb_terminal_take_colour_away_from_any_theme():
    for environ in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        for theme in ("dark", {"you": "#ff0000"}):
            assert looks(theme, environ) == THEMES["none"]
    assert not any("ansi" in look or "#" in look for look in THEMES["none"].values())


def test_a_table_is_laid_over_its_base_and_faults_are_told():
    table = {"base": "dark", "you": "bold #ff8800", "md.cod": "bold", "bot": "pink", "meta": ""}
    found = looks(table, {})
    assert found["you"] == "bold #ff8800"
    assert found["meta"] == ""
    assert found["bot"] == THEMES["dark"]["bot"]
    assert found["md.code"] == THEMES["dark"]["md.code"]
    told = faults(table)
    assert [("md.cod; md.code?" in one, "`pink`" in one) for one in told] == [
        (True, False),
        (False, True),
    ]
    (unknown,) = faults("dusk")
    assert "no theme called dusk: dark, light, auto or none" in unknown
    assert faults("light") == []
    assert rich_style("bold ansigray") == "bold white"


def test_auto_becomes_light_or_dark_when_that_is_known():
    assert looks("auto", {}) == THEMES["auto"]
    assert looks("auto", {}, light=True) == THEMES["light"]
    assert looks({"you": "bold"}, {}, light=False)["bot"] == THEMES["dark"]["bot"]
    assert looks("dark", {}, light=True) == THEMES["dark"]
    assert [depends(theme) for theme in ("auto", "dark", {}, {"base": "light"})] == [
        True, False, True, False]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "light"),
    [("rgb:ffff/ffff/ffff", True), ("rgb:1e1e/1e1e/2e2e", False), ("rgb:ff/ff/e0", True),
     ("rgba:0000/0000/0000/ffff", False), ("rgb:0/0/f", False), ("?", None), ("rgb:x/y/z", None)],
)  # fmt: skip
def test_a_colour_is_light_or_dark(answer, light):
    assert is_light(answer) is light


def test_what_the_environment_says():
    said = {"15;0": False, "0;15": True, "0;default;7": True, "": None, "x": None, "0;99": None}
    assert {words: told({"COLORFGBG": words}) for words in said} == said


class Keys:
    """A parser that remembers what it was fed."""

    def __init__(self) -> None:
        self.fed = ""

    def feed(self, data: str) -> None:
        self.fed += data


typed = st.text(st.sampled_from("ab\x1b[A\x07;1"), max_size=6).filter(
    lambda s: "\x1b]" not in s + "]"
)


@given(typed, typed, st.lists(st.integers(0, 40)), st.sampled_from(["\x07", "\x1b\\"]))
def test_an_answer_is_never_typed_however_it_is_cut(before, after, cuts, end):
    before = before.rstrip("\x1b")
    data = f"{before}\x1b]11;rgb:ffff/ffff/ffff{end}{after}"
    keys, heard = Keys(), []
    listener = Listener(keys, heard.append)
    at = 0
    splits = {c for c in cuts if data[c - 1 : c + 1] != "\x1b]" and data[c - 1 : c + 1] != "\x1b\\"}
    for cut in sorted({min(c, len(data)) for c in splits} | {len(data)}):
        listener.feed(data[at:cut])
        at = cut
    assert keys.fed == before + after
    assert heard == [True]


def test_keys_are_never_held_back():
    keys = Keys()
    listener = Listener(keys, lambda _: None)
    for piece in ("\x1b", "[A", "x", "\x1b", "]"):
        listener.feed(piece)
    assert keys.fed == "\x1b[Ax\x1b]"
    listener.feed("\x1b]11;" + "x" * 100)
    assert keys.fed.endswith("x" * 100)


async def test_the_screen_asks_after_its_first_frame_and_takes_the_colours_of_the_answer():
    async with pilot(FakeDesk(talk("q", "`code`"))) as p:
        written = "".join(p.glass.written)
        assert written.index("›") < written.index(ASK)
        assert p.shell.appearance.looks == THEMES["auto"]
        p.keyboard.send_text("a\x1b]11;rgb:ffff/ffff/ffff\x1b\\b")
        await p.idle()
        assert p.shell.buffer.text == "ab"
        assert p.shell.appearance.looks == THEMES["light"]
        (row,) = [y for y, line in enumerate(p.text().split("\n")) if line.strip() == "code"]
        assert p.glass.screen.buffer[row][4].fg == "875f00"  # of 256 the one nearest to #8a3b00


async def test_a_named_theme_asks_nothing_and_a_fault_is_told():
    async with pilot(FakeDesk(), theme={"base": "dark", "yuo": "bold"}) as p:
        assert ASK not in "".join(p.glass.written)
        assert "no style is called yuo; you?" in p.text()
