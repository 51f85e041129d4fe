"""What a hand finds out: keys that say what they did, words that go when they are stale."""

import pytest
from msgspec.structs import replace

from chinwag.frontends.tui import footer, picture
from chinwag.frontends.tui import state as s
from chinwag.frontends.tui.completion import palette
from chinwag.frontends.tui.rendering import Renderer
from chinwag.frontends.tui.theme import looks
from chinwag.frontends.tui.update import opened, silent, update
from chinwag.frontends.tui.view import tray
from chinwag.talk import event as e
from chinwag.talk.delta import TextDelta, ThinkingDelta
from support.fakes import FakeDesk, Status, Suggestion, blank, talk
from support.pilot import pilot


async def test_typing_takes_back_that_the_next_ctrl_c_leaves():
    async with pilot(FakeDesk()) as p:
        await p.press("ctrl+c")
        assert "once more leaves" in p.text()
        await p.type("a new thought")
        assert "once more leaves" not in p.text()
        await p.press("ctrl+c")
        assert p.shell.app.is_running
        assert "draft put aside" in p.text()
        await p.press("up")
        assert p.shell.buffer.text == "a new thought"


def test_a_draft_is_put_aside_even_where_leaving_is_armed():
    state, _ = update(opened(blank()), s.CancelPressed(drafted=False), 1.0)
    _, effects = update(state, s.CancelPressed(drafted=True), 2.0)
    assert effects == (s.DropDraft(),)
    assert update(state, s.CancelPressed(drafted=False), 2.0)[1] == (s.Leave(),)


async def test_a_word_about_the_key_before_goes_with_the_next_letter():
    async with pilot(FakeDesk(talk("one", "1"))) as p:
        await p.type("x")
        await p.press("ctrl+c")
        assert "draft put aside" in p.text()
        await p.type("y")
        assert "draft put aside" not in p.text()


async def test_for_how_long_nothing_comes_is_told(monkeypatch):
    desk = FakeDesk(script={"go": [e.Requested("ollama", "qwen3:8b", 1), 9.0]})
    async with pilot(desk) as p:
        await p.type("go")
        await p.press("enter")
        assert p.text().count("waiting for the first word") == 1
        assert "· 0 s" not in p.text()
        p.shell.dispatch(s.Ticked(12))
        await p.idle()
        assert "waiting for the first word · 12 s" in p.text()
        assert p.shell._second is not None  # it goes on by itself
        await p.press("escape")


def test_waiting_is_told_until_something_comes():
    asked = update(opened(blank()), e.Requested("ollama", "qwen3:8b", 1), 1.0)[0]
    assert silent(asked)
    assert not silent(update(asked, e.Heard(TextDelta("a")), 2.0)[0])
    assert not silent(update(asked, e.Waiting("slow down", 5.0), 2.0)[0])  # counted down instead
    summing = update(asked, e.Compacting(4, 100), 2.0)[0]
    assert silent(replace(summing, live=None))
    told = tray(replace(summing, live=None, waited=7), Status(), 80)
    assert "".join(text for _, text in told[0]) == " writing a summary of 4 messages · 7 s"


async def test_enter_where_nothing_fits_keeps_the_list_and_what_was_typed():
    async with pilot(FakeDesk()) as p:
        await p.press("ctrl+p")
        await p.type("zzz")
        await p.press("enter")
        assert "nothing fits" in p.text()
        assert p.shell.state.picker.typed == "zzz"
        assert p.shell.desk.handled == []


def test_a_command_that_needs_words_is_put_into_the_input():
    shown = ("/export [FORMAT] PATH [--force]", "/compare [K [K]]", "/pin [N]", "/find TEXT")
    found = palette(lambda *_: [Suggestion(label.split()[0], 0, label, "") for label in shown])
    assert [choice.line for choice in found] == ["/export ", "/compare", "/pin", "/find "]


async def test_a_command_from_the_palette_stands_in_the_input_and_the_draft_is_kept():
    async with pilot(FakeDesk()) as p:
        await p.type("half a thought")
        p.shell.dispatch(s.PaletteOpened((e.Choice("/find TEXT", "/find ", ""),)))
        await p.press("enter")
        assert p.shell.buffer.text == "/find "
        await p.press("ctrl+c", "up", "up")
        assert p.shell.buffer.text == "half a thought"


async def test_keys_that_mean_nothing_after_ctrl_x_say_so():
    async with pilot(FakeDesk()) as p:
        p.keyboard.send_text("\x18q")
        await p.idle()
        assert "Ctrl+X q means nothing here" in p.text()
        assert p.shell.buffer.text == ""


async def test_folding_says_what_it_did_even_where_nothing_is_folded():
    async with pilot(FakeDesk()) as p:
        await p.press("ctrl+t")
        assert "thinking is shown whole" in p.text()
        await p.press("ctrl+t")
        assert "thinking is folded" in p.text()
        await p.press("ctrl+o")
        assert "what tools gave back, and times, are shown whole" in p.text()


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (20, 6)])
async def test_completions_cover_neither_the_input_nor_the_footer(size):
    async with pilot(FakeDesk(talk("one", "1")), *size) as p:
        for typed in ("/mo", "/"):
            before = p.text().split("\n")[-1]
            await p.type(typed)
            lines = p.text().split("\n")
            assert lines[-1] == before
            assert lines[-2].startswith(f" › {typed}")
            assert any("/model" in line or "/help" in line for line in lines[:-2])
            await p.press("ctrl+c")


async def test_a_tab_is_drawn_as_the_blanks_it_stands_for():
    async with pilot(FakeDesk()) as p:
        await p.paste("a\tb")
        assert " › a   b" in p.text()
        assert p.shell.buffer.text == "a\tb"
        await p.type("c")
        assert " › a   bc" in p.text()


def test_headings_look_like_headings():
    made = Renderer(looks("none", {}))
    lines = made.blocks("# One\n\n### *Three*\n\n| head |\n|---|\n| cell |\n", 40)[0]
    drawn = {text: style for line in lines for style, text in line}
    assert drawn["One"] == "bold underline"
    assert "bold" in drawn["Three"]
    assert drawn["head"] == "bold"
    assert drawn["cell"] == ""


def test_a_heading_of_a_narrow_table_does_not_colour_its_cell():
    made = Renderer(looks("none", {}))
    table = "| *first* column | second one | third one |\n|---|---|---|\n| aaaa | bbbb | cccc |\n"
    drawn = [piece for line in made.blocks(table, 20)[0] for piece in line]
    assert [style for style, text in drawn if "aaaa" in text] == [""]


def test_numbers_of_two_digits_leave_the_name_above_the_text():
    from chinwag.frontends.tui.drawing import header

    starts = {len(header(n, "you", "", "", 80)[0][1]) for n in ("3", "42")}
    assert starts == {4}
    assert len(header("123", "you", "", "", 80)[0][1]) == 5


async def test_a_narrow_header_names_the_model_before_its_provider():
    async with pilot(FakeDesk(), 24, 8) as p:
        top = p.text().split("\n")[0]
        assert "qwen3:8b" in top
        assert "ollama" not in top


def test_what_is_heard_counts_before_it_has_settled():
    state, _ = update(opened(blank()), e.Requested("ollama", "qwen3:8b", 1), 1.0)
    for delta in (ThinkingDelta("hm " * 100), TextDelta("word " * 84)):
        state, _ = update(state, e.Heard(delta), 2.0)
    assert footer.coming(state.live) == 100  # thinking is not sent again
    more = footer.coming(state.live)
    line = "".join(
        text for _, text in footer.pieces(state, Status(used=50), None, 90, "", "", more)
    )
    assert line.startswith(" ~150 of 32,768 ")


async def test_the_footer_goes_on_counting_while_an_answer_comes(monkeypatch):
    monkeypatch.setattr(picture, "CALM", 0.0)
    said = [e.Requested("ollama", "qwen3:8b", 1), e.Heard(TextDelta("word " * 84)), 9.0]
    async with pilot(FakeDesk(script={"go": said})) as p:
        await p.type("go")
        await p.press("enter")
        await p.until(lambda: "~3,512 of 32,768" in p.text())
        await p.press("escape")


def test_who_writes_is_not_said_twice_and_not_once_he_has_gone():
    state, _ = update(opened(blank()), e.Following("x", "process 7"), 1.0)
    status = Status(following="process 7")
    lines = ["".join(text for _, text in line) for line in tray(state, status, 80)]
    assert lines == [" following: read only · /fork · /takeover · process 7"]
    state, _ = update(state, e.Following("x", ""), 1.0)
    (line,) = ["".join(text for _, text in line) for line in tray(state, status, 80)]
    assert "nobody else writes this any more" in line
    assert "read only" not in line


async def test_a_command_behind_a_text_that_was_put_back_is_that_command():
    async with pilot(FakeDesk(), 60, 12) as p:
        p.shell.dispatch(e.DraftOffered("what was said"))
        await p.type("/tokens")
        await p.press("enter")
        assert p.shell.desk.handled == ["/tokens"]
        await p.press("up", "up")
        assert "what was said" in p.text()


@pytest.mark.parametrize("more", ["/main", " /clear", " and more"])
async def test_anything_else_behind_it_is_said(more):
    async with pilot(FakeDesk(), 60, 12) as p:
        p.shell.dispatch(e.DraftOffered("look at src"))
        await p.type(more)
        await p.press("enter")
        assert p.shell.desk.handled == [f"look at src{more}"]
