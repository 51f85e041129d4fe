"""Finding one's way: back to an earlier message, between answers, to where a search leads."""

import os
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from chinwag.frontends import editor
from chinwag.frontends.tui import attention, clipboard, compare
from chinwag.frontends.tui import state as s
from chinwag.frontends.tui.heard import LONG, shown
from chinwag.frontends.tui.update import REWIND, opened, update
from chinwag.talk import event as e
from chinwag.talk.entry import Rewound
from chinwag.talk.session import fold, fold_all, glimpse
from chinwag.text.cells import width
from support.fakes import FakeDesk, blank, entry, long_talk, said, talk
from support.pilot import pilot


def after(state, *happenings, now=100.0):
    for what in happenings:
        state, effects = update(state, what, now)
    return state, effects


def retried():
    """A question with two answers, the second in front."""
    return fold_all(talk("why?", "first"), [Rewound(to=2, why="retry"), entry(1, "second")])


# -- Esc Esc -------------------------------------------------------------------------------------


def test_escape_twice_offers_ones_own_messages_the_newest_first():
    state = opened(talk("one", "1", "two", "2"))
    state, _ = update(state, s.StopPressed(), 100.0)
    assert "Esc again" in state.toast
    assert update(state, s.StopPressed(), 100.0 + REWIND)[0].picker is None, "too late"
    state, _ = update(state, s.StopPressed(), 100.3)
    assert [c.label for c in state.picker.choices] == ["two", "one"]
    assert [c.line for c in state.picker.choices] == ["/edit 4", "/edit 2"]
    state, effects = after(state, s.PickerMoved(1), s.Picked())
    assert effects == (s.DropDraft(), s.Handle("/edit 2"))


async def test_escape_twice_is_a_key_like_others_and_can_be_another():
    async with pilot(FakeDesk(talk("one", "1")), keys={"rewind": "f6"}) as p:
        await p.press("escape")
        await p.press("escape")
        await p.idle(0.2)
        assert p.shell.state.picker is None
        p.keyboard.send_text("\x1b[17~")
        await p.until(lambda: p.shell.state.picker is not None)


def test_escape_closes_and_stops_first():
    state, _ = after(opened(talk("one", "1")), s.Submitted("go"))
    for _ in range(3):
        state, effects = update(state, s.StopPressed(), 100.0)
        assert state.picker is None
        assert effects == (s.Interrupt(),)
    state, _ = update(state, e.Rested(), 100.0)
    state, _ = after(state, s.RewindPressed(), s.StopPressed())
    assert state.picker is None
    assert "nothing yet" in after(opened(blank()), s.RewindPressed())[0].toast
    assert after(opened(blank()), s.StopPressed())[0].toast == ""


async def test_a_message_is_gone_back_to_changed_and_the_draft_is_put_aside():
    desk = FakeDesk(talk("one", "1"), script={"/edit 2": [e.DraftOffered("one")]})
    async with pilot(desk) as p:
        await p.type("half a thought")
        await p.press("escape", "escape")
        await p.until(lambda: p.shell.state.picker is not None)
        assert "Change which message?" in p.text()
        await p.press("enter")
        assert desk.handled == ["/edit 2"]
        assert p.shell.buffer.text == "one"
        assert desk.aside == [("half a thought", ())]


# -- variants ------------------------------------------------------------------------------------


def test_which_of_several_answers_it_is_stands_beside_it():
    session = retried()
    (answer,) = [item for item in shown(session) if item.of != (1, 1)]
    assert (answer.n, answer.of) == (5, (2, 2))
    state = opened(talk("why?", "first"))
    back = fold(state.session, Rewound(to=2, why="retry"))
    state, _ = after(state, e.Settled(4, back.entry(4), back))
    again = fold(back, entry(1, "second"))
    state, _ = after(state, e.Settled(5, again.entry(5), again))
    assert state.items[-1].of == (2, 2)


async def test_alt_left_and_right_flip_on_an_empty_line_only():
    desk = FakeDesk(retried(), script={"/variant before": [], "/variant next": []})
    async with pilot(desk) as p:
        assert "2 of 2" in p.text()
        p.keyboard.send_text("\x1b[1;3D")
        await p.idle()
        p.keyboard.send_text("\x1b[1;3C")
        await p.idle()
        assert desk.handled == ["/variant before", "/variant next"]
        await p.type("two words")
        p.keyboard.send_text("\x1b[1;3D")
        await p.idle()
        assert desk.handled == ["/variant before", "/variant next"]
        assert p.shell.buffer.text == "two words"


def test_what_is_of_interest_for_a_moment_is_no_part_of_the_picture():
    state, _ = after(opened(blank()), e.Notice("answer 1 of 2", e.Level.BRIEF))
    assert state.toast == "answer 1 of 2"
    assert len(state.items) == 0


COLUMNS = (e.Column("answer 1 of 2", "short"), e.Column("answer 2 of 2", "**a** " * 40))


async def test_two_answers_stand_side_by_side_or_one_above_the_other():
    script = {"/compare": [e.Page("Answers compared", "…", COLUMNS)]}
    for columns, beside in ((100, True), (40, False)):
        async with pilot(FakeDesk(script=script), columns, 30) as p:
            await p.type("/compare")
            await p.press("enter")
            lines = p.text().split("\n")
            heads = [line for line in lines if "answer 1 of 2" in line]
            assert ("answer 2 of 2" in heads[0]) == beside
            assert max(map(width, lines)) <= columns


@pytest.mark.parametrize("columns", [20, 70, 80, 120])
def test_what_is_compared_is_never_too_wide(columns):
    from chinwag.frontends.tui.stretch import Stretch

    texts = (e.Column("窓" * 80, ""), e.Column("b" * 200, ""))
    found = compare.laid(texts, columns, lambda _, wide: [Stretch([[("", "x" * wide)]])])
    rows = [line for piece in found for line in piece.lines()]
    assert all(sum(width(t) for _, t in row) <= columns for row in rows)


# -- landing on a message ------------------------------------------------------------------------


def test_a_session_is_opened_at_a_message():
    session = long_talk(30)
    state, _ = after(opened(blank()), e.Opened(session, 11))
    assert state.items[state.anchor.item].n == 11
    state, _ = after(opened(blank()), e.Opened(session, 99))
    assert state.anchor is None


def test_the_message_may_lie_before_what_is_read_first():
    session = long_talk(30)
    end = glimpse(session.birth, session.headline(), session.entries[20:], 20)
    state, _ = after(opened(blank()), e.Opened(end, 11))
    assert state.anchor is None
    state, _ = after(state, e.Opened(session, 11))
    assert state.items[state.anchor.item].n == 11
    moved, _ = after(opened(blank()), e.Opened(end, 11), s.Scrolled(s.Anchor(2, 0)))
    moved, _ = after(moved, e.Opened(session, 11))
    assert moved.items[moved.anchor.item].n == 23, "who has begun to read is not moved"


# -- what the input can do -----------------------------------------------------------------------


async def test_shift_enter_is_a_new_line_where_the_terminal_tells_it():
    desk = FakeDesk()
    async with pilot(desk) as p:
        await p.type("a\x1b[13;2ub\x1b[27;2;13~c\x1b[13;5ud")
        assert p.shell.buffer.text == "a\nb\nc\nd"
        assert desk.handled == []


async def test_vi_keys_and_their_mode():
    desk = FakeDesk()
    async with pilot(desk, vi=True) as p:
        assert "vi: insert" in p.text()
        await p.type("one two")
        await p.press("escape")
        await p.until(lambda: "vi: normal" in p.text())
        await p.type("bD")
        assert p.shell.buffer.text == "one "
        await p.press("enter")
        assert desk.handled == ["one "]


async def test_the_mouse_is_left_to_the_terminal_and_taken_back():
    async with pilot(FakeDesk()) as p:
        p.glass.written.clear()
        p.keyboard.send_text("\x18s")
        await p.idle()
        assert "\x1b[?1000l" in "".join(p.glass.written)
        assert "mouse is the terminal's" in p.text()
        p.glass.written.clear()
        p.keyboard.send_text("\x18s")
        await p.idle()
        assert "\x1b[?1000h" in "".join(p.glass.written)


async def test_a_rebound_key_does_its_work_and_the_old_one_nothing():
    desk = FakeDesk(talk("q", "an answer"))
    async with pilot(desk, keys={"copy": "f5", "history-search": "ctrl+s"}) as p:
        await p.press("ctrl+y")
        assert "]52;" not in "".join(p.glass.written)
        p.keyboard.send_text("\x1b[15~")
        await p.idle()
        assert "]52;" in "".join(p.glass.written)


async def test_a_theme_is_put_on_at_once():
    desk = FakeDesk(talk("q", "`code`"), script={"/theme light": [e.ThemeAsked("light")]})
    async with pilot(desk) as p:
        before = p.shell.appearance.looks
        await p.type("/theme light")
        await p.press("enter")
        assert p.shell.appearance.looks != before
        assert "theme: light" in p.text()


def script(tmp_path, body):
    path = tmp_path / "ed"
    path.write_text(
        f"#!{sys.executable}\nimport os, sys, pathlib\np = pathlib.Path(sys.argv[1])\n{body}"
    )
    path.chmod(0o755)
    return {"EDITOR": str(path), "PATH": os.environ["PATH"], "LAB_API_KEY": "secret"}


async def test_the_draft_goes_to_the_editor_whole_and_comes_back(tmp_path):
    environ = script(tmp_path, "p.write_text(p.read_text().upper() + '\\nmore\\n')")
    desk = FakeDesk()
    async with pilot(desk, environ=environ) as p:
        await p.paste("line\n" * 30)
        await p.press("ctrl+g")
        await p.until(lambda: "more" in p.shell.buffer.text)
        assert p.shell.buffer.text == "LINE\n" * 30 + "\nmore"
        assert desk.handled == []


def test_an_editor_sees_no_key_and_leaves_no_file(tmp_path):
    body = (
        "p.write_text(f'{oct(os.stat(p).st_mode & 0o777)} {os.environ.get(\"LAB_API_KEY\")} {p}')"
    )
    mode, key, path = editor.edited("text", script(tmp_path, body)).split()
    assert (mode, key) == ("0o600", "None")
    assert not Path(path).exists()
    assert editor.edited("text", script(tmp_path, "sys.exit(3)")) is None
    with pytest.raises(editor.CommandError, match="not there"):
        editor.edited("text", {"EDITOR": "nosuch-editor", "PATH": str(tmp_path)})


# -- copying and calling -------------------------------------------------------------------------


async def test_through_tmux_and_screen_the_terminal_behind_is_meant(tmp_path):
    sent = []
    said_ = await clipboard.copy("héllo", sent.append, {"STY": "1.x"})
    assert said_ == "sent to the terminal's clipboard"
    assert sent == ["\x1bP\x1b]52;c;aMOpbGxv\x07\x1b\\"]
    assert (
        clipboard.through("\x1b]9;x\x07", {"TMUX": "/t,1,0"}) == "\x1bPtmux;\x1b\x1b]9;x\x07\x1b\\"
    )


async def test_tmux_is_given_the_text_itself_and_else_the_terminal(tmp_path):
    tool = tmp_path / "tmux"
    tool.write_text(f"#!/bin/sh\necho $@ >{tmp_path}/args\n/bin/cat >{tmp_path}/got\n")
    tool.chmod(0o755)
    environ = {"TMUX": "/t,1,0", "PATH": str(tmp_path), "SSH_TTY": "/dev/pts/1"}
    old = os.environ["PATH"]
    os.environ["PATH"] = str(tmp_path)
    try:
        sent = []
        assert await clipboard.copy("x" * 100_000, sent.append, environ) == "copied through tmux"
        assert (tmp_path / "got").read_text() == "x" * 100_000
        assert (tmp_path / "args").read_text().split() == ["load-buffer", "-w", "-"]
        tool.write_text("#!/bin/sh\nexit 1\n")
        assert await clipboard.copy("x", sent.append, environ) == "sent to the terminal's clipboard"
        assert sent == ["\x1bPtmux;\x1b\x1b]52;c;eA==\x07\x1b\\"]
        with pytest.raises(OSError, match="too long"):
            await clipboard.copy("x" * 100_000, sent.append, environ)
    finally:
        os.environ["PATH"] = old


def test_only_a_long_wait_calls_and_only_who_looks_away():
    state, _ = after(opened(blank()), s.Submitted("go"), now=100.0)
    assert after(state, e.Rested(), now=100.0 + LONG)[1] == (s.Ring(),)
    assert after(state, e.Rested(), now=99.0 + LONG)[1] == ()
    queued, _ = after(state, s.Submitted("two"), now=101.0)
    assert after(queued, e.Rested(), now=200.0)[1] == (s.Handle("two"),)
    stopped = replace(state, stopping=True)
    assert after(stopped, e.Rested(), now=200.0)[1] == ()


def test_how_somebody_is_called():
    assert attention.Attention("off", {}).call() == ""
    bell = attention.Attention("bell", {})
    assert bell.call() == "\x07"
    bell.key()
    assert bell.call() == "", "somebody is there"
    bell.focused(False)
    assert bell.call() == "\x07"
    bell.focused(True)
    assert bell.call() == ""
    away = attention.Attention("osc9", {"TMUX": "x"})
    assert away.call().startswith("\x1bPtmux;\x1b\x1b]9;chinwag")
    assert attention.Attention("osc777", {}).call().startswith("\x1b]777;notify;")


async def test_the_call_is_sent_when_the_answer_is_there():
    desk = FakeDesk(script={"go": said("go", "words")})
    async with pilot(desk, notify="bell") as p:
        p.shell.attention.focused(False)
        p.shell.state = replace(p.shell.state, busy=True, begun=-LONG * 1e6)
        p.glass.written.clear()
        p.shell.dispatch(e.Rested())
        await p.idle()
        assert "\x07" in "".join(p.glass.written)
