"""The running screen: keys in, effects out, the terminal given back."""

import asyncio
import subprocess
import sys

import pytest

from chinwag.frontends.tui import state as s
from chinwag.frontends.tui.first_frame import frame
from chinwag.talk import event as e
from chinwag.talk.event import Choice
from chinwag.talk.session import Birth, Session, fold_all
from support.fakes import FakeDesk, Status, blank, heard, long_talk, said, talk
from support.pilot import pilot

ASK = e.Requested("ollama", "qwen3:8b", 1)


async def test_a_line_is_sent_answered_and_remembered():
    desk = FakeDesk()
    async with pilot(desk) as p:
        await p.type("hello")
        await p.press("enter")
        assert desk.handled == desk.remembered == ["hello"]
        assert "You said: hello" in p.text()
        assert desk.started


async def test_newlines_are_typed_in_four_ways_and_none_sends():
    desk = FakeDesk()
    async with pilot(desk) as p:
        await asyncio.sleep(0.12)
        await p.type("a")
        await p.press("alt+enter")
        await p.type("b")
        await p.press("ctrl+j")
        await p.type("c\\")
        await p.press("enter")
        await p.type("d\re")
        assert p.shell.buffer.text == "a\nb\nc\nd\ne"
        assert desk.handled == []
        await p.press("enter")
        assert desk.handled == ["a\nb\nc\nd\ne"]


async def test_up_finds_what_another_window_has_sent_meanwhile():
    desk = FakeDesk()
    desk.lines.append("long ago")
    async with pilot(desk) as p:
        await p.type("mine")
        await p.press("enter")
        desk.lines += ["mine", "theirs", "theirs too"]
        await p.type("dra")
        await p.press("up")
        assert p.shell.buffer.text == "theirs too"
        desk.lines.append("in the middle of a walk")
        await p.press("up", "up", "up")
        assert p.shell.buffer.text == "long ago"
        await p.press("down", "down", "down", "down")
        assert p.shell.buffer.text == "dra"
        await p.press("up")
        assert p.shell.buffer.text == "in the middle of a walk"
        assert desk.remembered == ["mine"]


async def test_a_paste_never_sends_and_a_long_one_is_folded_and_sent_whole():
    desk = FakeDesk(script={})
    whole = "\n".join(f"line {n}" for n in range(214))
    async with pilot(desk) as p:
        await p.paste("one\r\ntwo\r")
        assert p.shell.buffer.text == "one\ntwo\n"
        await p.press("ctrl+c")
        await p.paste(whole)
        assert "[pasted 214 lines]" in p.text()
        await p.type(" why?")
        await p.press("enter")
        assert desk.handled == [whole + " why?"]


async def test_backspace_takes_a_folded_paste_away_whole():
    async with pilot(FakeDesk()) as p:
        await p.paste("x\n" * 50)
        await p.press("backspace")
        assert p.shell.buffer.text == ""


async def test_what_was_typed_before_the_screen_was_there_is_sent():
    desk = FakeDesk()
    async with pilot(desk, first_keys="hello\rnext") as p:
        assert desk.handled == ["hello"]
        assert p.shell.buffer.text == "next"


async def test_lines_queue_while_busy_and_up_takes_the_last_back():
    desk = FakeDesk(script={"one": [ASK, *heard("part "), 5, *heard("never")]})
    async with pilot(desk) as p:
        for line in ("one", "two", "three"):
            await p.type(line)
            await p.press("enter")
        assert desk.handled == ["one"]
        assert "next: two" in p.text()
        await p.press("up")
        assert p.shell.buffer.text == "three"
        await p.press("escape")
        await p.until(lambda: desk.handled == ["one", "two"])
        assert "stopped — /continue" in p.text()


async def test_escape_stops_at_once_and_alt_keys_still_work():
    desk = FakeDesk(script={"go": [ASK, *heard("part "), 30]})
    async with pilot(desk) as p:
        await p.type("go")
        await p.press("enter")
        assert "esc stops" in p.text()
        await p.press("escape")
        await p.until(lambda: not p.shell.state.busy, 0.5)
        await p.type("one two")
        p.keyboard.send_text("\x1bb")
        await p.idle()
        assert p.shell.buffer.cursor_position == 4


async def test_ctrl_c_puts_a_draft_aside_and_up_brings_it_back():
    desk = FakeDesk(lines=["older"])
    async with pilot(desk) as p:
        await p.type("draft")
        await p.press("ctrl+c")
        assert p.shell.buffer.text == ""
        await p.press("up")
        assert p.shell.buffer.text == "draft"
        await p.press("up")
        assert p.shell.buffer.text == "older"
        assert desk.remembered == ["draft"], "the next run finds it too"
        assert desk.aside == [("draft", ())]


async def test_what_is_typed_is_told_with_its_cursor_and_its_pastes():
    desk = FakeDesk()
    async with pilot(desk) as p:
        await p.type("some words")
        await p.press("left")
        assert desk.draft == ("some words", 9, ())
        await p.paste("\n".join(map(str, range(30))))
        text, _, pastes = desk.draft
        assert text == "some word[pasted 30 lines]s"
        assert [name for name, _ in pastes] == ["[pasted 30 lines]"]
        await p.press("enter")
        assert desk.draft == ("", 0, ())


async def test_lines_that_wait_belong_to_what_is_not_sent():
    desk = FakeDesk(script={"go": [ASK, *heard("part "), 30]})
    async with pilot(desk) as p:
        for line in ("go", "second", "third"):
            await p.type(line)
            await p.press("enter")
        await p.type("and")
        assert desk.draft[:2] == ("second\n\nthird\n\nand", 18)


async def test_a_kept_draft_stands_in_the_input_again():
    desk = FakeDesk()
    desk.kept_draft = e.DraftOffered("so [pasted 30 lines]", 3, (("[pasted 30 lines]", "long"),))
    async with pilot(desk) as p:
        assert p.shell.buffer.text == "so [pasted 30 lines]"
        assert p.shell.buffer.cursor_position == 3
        await p.press("enter")
        assert desk.handled == ["so long"]


async def test_what_was_typed_before_it_came_back_is_not_overwritten():
    desk = FakeDesk()
    desk.kept_draft = e.DraftOffered("older words")
    async with pilot(desk, first_keys="newer") as p:
        assert p.shell.buffer.text == "newer"
        assert desk.aside == [("older words", ())], "/draft has it"
        assert desk.remembered == ["older words"], "and so has Up, once this one is sent"


async def test_a_draft_stays_with_its_session_and_goes_on_in_a_copy():
    first, other = talk("one", "two"), Session(Birth(id="20261120-093015-zzzzzz", created=""))
    copy = fold_all(
        Session(Birth(id="20261120-093015-yyyyyy", created="", parent=first.id)), first.entries
    )
    script = {"/copy": [e.Opened(copy)], "/other": [e.Opened(other)]}
    desk = FakeDesk(first, script=script)
    async with pilot(desk) as p:
        await p.type("/copy")
        await p.press("enter")
        await p.type("mine")
        p.shell.dispatch(s.CommandPressed("/copy"))
        await p.idle()
        assert p.shell.buffer.text == "mine"
        p.shell.dispatch(s.CommandPressed("/other"))
        await p.idle()
        assert p.shell.buffer.text == ""


async def test_reading_along_is_said_above_the_input():
    desk = FakeDesk(status=Status(following="process 7 on here"))
    async with pilot(desk) as p:
        assert "following: read only" in p.text()
        assert "process 7 on here" in p.text()


@pytest.mark.parametrize("keys", [["ctrl+d"], ["ctrl+c", "ctrl+c"]])
async def test_leaving(keys):
    async with pilot(FakeDesk()) as p:
        for key in keys:
            p.keyboard.send_text(chr(ord(key[-1].upper()) - 64))
            await asyncio.sleep(0.05)
        assert not p.shell.app.is_running
        assert "\x1b[?1049l" in "".join(p.glass.written)


async def test_a_mistake_of_ours_is_seen_after_the_terminal_is_given_back():
    def broken(_):
        raise ZeroDivisionError

    desk = FakeDesk(script={"go": [broken]})
    written = []
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 (it comes out as the block is left)
        async with pilot(desk) as p:
            written = p.glass.written
            p.keyboard.send_text("go\r")
            await asyncio.sleep(0.1)
    assert "\x1b[?1049l" in "".join(written)


async def test_a_drawing_that_fails_ends_the_program_and_gives_the_terminal_back():
    desk = FakeDesk()
    written = []
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 (it comes out as the block is left)
        async with pilot(desk) as p:
            written = p.glass.written
            desk.status = lambda: 1 // 0
            p.keyboard.send_text("x")
            await asyncio.sleep(0.1)
    assert "\x1b[?1049l" in "".join(written)


async def test_tab_completes_and_the_palette_filters_and_picks():
    desk = FakeDesk()
    async with pilot(desk) as p:
        await p.type("/mo")
        await p.press("tab")
        assert p.shell.buffer.text == "/model"
        await p.press("ctrl+c", "ctrl+p")
        await p.type("tok")
        assert "what the context is made of" in p.text()
        await p.press("enter")
        assert desk.handled == ["/tokens"]


async def test_a_choice_is_picked_and_the_draft_survives_it():
    offer = e.Offered("models", (Choice("a/b", "/model a/b"), Choice("c/d", "/model c/d")))
    desk = FakeDesk(script={"/model": [offer]})
    async with pilot(desk) as p:
        await p.type("draft")
        p.keyboard.send_text("\x18m")
        await p.idle()
        await p.press("down", "enter")
        assert desk.handled == ["/model", "/model c/d"]
        assert p.shell.buffer.text == "draft"
        await p.type("!")
        assert p.shell.buffer.text == "draft!"


async def test_history_search_finds_an_earlier_line():
    desk = FakeDesk(lines=["the tram", "the boat"])
    async with pilot(desk) as p:
        await p.press("ctrl+r")
        await p.type("tram")
        await p.press("enter")
        assert p.shell.buffer.text == "the tram"
        assert desk.handled == []


async def test_scrolling_by_keys_and_wheel():
    async with pilot(FakeDesk(long_talk(40))) as p:
        end = p.text()
        await p.press("pageup")
        assert "more lines below" in p.text()
        await p.press("pagedown")
        assert p.text() == end
        await p.press("wheelup", "shift+up")
        assert "↓ 4 more lines" in p.text() or "↓ 5 more lines" in p.text()
        await p.press("ctrl+home")
        assert "Question 0?" in p.text()
        await p.press("ctrl+end")
        assert p.text() == end


async def test_resizing_draws_at_once_for_the_new_size():
    async with pilot(FakeDesk(talk("q", "word " * 60)), 80, 24) as p:
        p.resize(40, 12)
        await p.idle()
        lines = p.text().split("\n")
        assert len(lines) == 12
        assert max(map(len, lines)) <= 40
        assert "word word" in p.text()


async def test_an_idle_screen_draws_nothing_and_wakes_for_nothing():
    async with pilot(FakeDesk(long_talk(4))) as p:
        before = p.glass.frames
        await asyncio.sleep(0.3)
        assert p.glass.frames == before
        assert p.shell.pace.tick is None


async def test_many_deltas_make_few_frames_and_all_of_their_text():
    desk = FakeDesk(script={"go": said("go", "word " * 4000)})
    async with pilot(desk) as p:
        before = p.glass.frames
        await p.type("go")
        await p.press("enter")
        assert p.glass.frames - before < 60
        assert p.shell.state.session.last_answer.text == "word " * 4000


async def test_copying_goes_through_the_terminal_as_base64():
    async with pilot(FakeDesk(talk("q", "an answer"))) as p:
        await p.press("ctrl+y")
        assert "\x1b]52;c;YW4gYW5zd2Vy\x07" in "".join(p.glass.written)
        assert "clipboard" in p.text()


async def test_hostile_titles_models_and_answers_reach_the_terminal_harmless():
    evil = "a\x1b]0;owned\x07\x9b31m\u202eb"
    session = talk(evil, evil, session=blank())
    async with pilot(FakeDesk(session)) as p:
        await p.press("pageup")
        written = "".join(p.glass.written)
        assert "owned\x07" not in written
        assert "\x9b" not in written
        assert "\u202e" not in written


def test_the_module_import_needs_no_rich_pygments_or_markdown():
    code = (
        "import sys, chinwag.frontends.tui.shell;"
        "print([m for m in ('rich','pygments','markdown_it','httpx','typer') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_the_early_frame_has_its_lines_where_the_real_one_has_them():
    import pyte

    for columns, rows in ((80, 24), (20, 6)):
        early = pyte.Screen(columns, rows)
        pyte.Stream(early).feed(frame(columns, rows).decode())
        async with pilot(FakeDesk(), columns, rows) as p:
            real = p.text().split("\n")
        for y, line in enumerate(early.display):
            if line.strip():
                assert real[y].rstrip() == line.rstrip()


async def test_who_wants_little_motion_sees_a_frame_a_second():
    steps = [ASK, *[step for _ in range(40) for step in (*heard("word "), 0.01)], 60]
    async with pilot(FakeDesk(script={"go": steps}), environ={"REDUCED_MOTION": "1"}) as p:
        p.keyboard.send_text("go\r")
        await p.until(lambda: p.shell.state.live is not None)
        before = p.glass.frames
        await asyncio.sleep(0.5)
        assert p.glass.frames - before <= 1
