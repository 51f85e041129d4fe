"""Hostile text on every surface, cut anywhere: nothing of it reaches the terminal as it came."""

from __future__ import annotations

import re

import pyte
import pytest

from chinwag.frontends.tui import state as s
from chinwag.frontends.tui.farewell import farewell
from chinwag.frontends.tui.pane import cells_of
from chinwag.frontends.tui.rendering import Renderer
from chinwag.frontends.tui.theme import THEMES
from chinwag.frontends.tui.transcript import Transcript
from chinwag.frontends.tui.update import opened, update
from chinwag.talk import event as e
from chinwag.talk.delta import CallDelta, TextDelta, ThinkingDelta
from chinwag.talk.entry import (
    AssistantSaid,
    Compacted,
    Noted,
    SystemSet,
    Titled,
    ToolReturned,
    UserSaid,
)
from chinwag.talk.entry import Status as Came
from chinwag.talk.message import Call, File, Result, Text, Thinking
from chinwag.talk.session import Header, Headline, fold_all
from chinwag.talk.tool import Risk
from support.fakes import FakeDesk, Status, blank
from support.hostile import ATTACKS, HIDDEN, raw_controls, unseen
from support.pilot import pilot

LOOKED_AT = (s.ToolsToggled, s.Scrolled, e.Waiting, s.Toasted, e.Listed, s.PickerTyped, s.Submitted)
"""After these the picture is looked at: what came before is still in it."""
RENDERER = Renderer(THEMES["dark"])


def test_there_are_enough_kinds():
    assert len(ATTACKS) >= 100
    assert len(HIDDEN) >= 20


def entries(evil: str) -> list:
    """The attack wherever a session can hold foreign text."""
    table = f"| {evil} | b |\n|-|-|\n| c | {evil} |\n\n"
    marked = f"> {evil}\n\n# {evil}\n\n`{evil}` **{evil}**\n\n"
    code = f"```{evil}\n{evil}\n```\n\n    {evil}\n"
    call = Call("c1", evil, f'{{"path": "{evil}"}}')
    answer = AssistantSaid(
        parts=(Thinking(evil), Text(f"{evil}\n\n- {evil}\n\n{table}{marked}{code}"), call),
        provider=evil,
        model=evil,
        served=evil,
        seconds=1.0,
    )
    failed = AssistantSaid(
        parts=(), provider="p", model="m", status=Came.FAILED, error=evil, hint=evil
    )
    return [
        Titled(title=evil),
        SystemSet(text=evil),
        UserSaid(parts=(Text(evil), File(blob="b", name=evil, mime=evil))),
        answer,
        ToolReturned(result=Result("c1", evil, evil)),
        ToolReturned(result=Result("c1", evil, f"{evil}\n{evil}", is_error=True)),
        Noted(text=evil),
        Compacted(summary=evil, through=1),
        failed,
    ]


def told(evil: str) -> list:
    """The attack in what the program is told."""
    return [
        e.Notice(evil),
        e.Failed("X", evil, evil),
        e.Waiting(evil, 9.0),
        e.ToolStarted(Call("c", evil, evil)),
        e.ApprovalAsked(Call("c", evil, evil), evil, "d", Risk.READ, evil, evil, evil, evil),
        e.Page(evil, evil),
        s.Toasted(evil),
        e.Notice(evil, e.Level.BRIEF),
        e.Page(evil, evil, (e.Column(evil, evil), e.Column(evil, evil))),
        s.FindMoved(s.Find(text=evil, item=0, nth=1, total=1), None),
        s.Scrolled(None),
        s.FindMoved(None, None),
        s.RewindPressed(),
        s.Scrolled(None),
        s.StopPressed(),
        e.Listed((Header("id", headline=Headline(title=evil, model=evil)),)),
        s.StopPressed(),
        e.Offered(evil, (e.Choice(evil, "/x", evil),)),
        s.PickerTyped(evil),
        s.StopPressed(),
        e.Requested(evil, evil),
        e.Heard(ThinkingDelta(evil)),
        e.Heard(CallDelta(name=evil, arguments=evil)),
        e.Heard(TextDelta(evil)),
        s.Submitted(evil),
    ]


async def test_nothing_reaches_the_terminal_raw_from_any_surface():
    async with pilot(FakeDesk(), 100, 60) as p:
        await p.idle()
        p.glass.stream = pyte.Stream(pyte.Screen(1, 1))
        for name, evil in ATTACKS.items():
            session = fold_all(blank(), entries(evil))
            p.shell.desk.shown = Status(provider=evil, model=evil, store=evil, save_problem=evil)
            p.glass.written.clear()
            for what in (e.Opened(session), s.ThinkingToggled(), s.ToolsToggled(), *told(evil)):
                p.shell.dispatch(what)
                p.shell.transcript.hear(p.shell.state, 100)
                if isinstance(what, LOOKED_AT):
                    p.shell.app._redraw()
            p.shell.dispatch(e.Opened(blank()))
            p.shell.state = opened(blank())
            written = "".join(p.glass.written)
            assert "end" in written
            assert raw_controls(written) == [], name
            assert "owned\x07" not in written, name
            assert unseen(farewell(session, 80).replace("\n", "")) == [], name


@pytest.mark.parametrize("name", ATTACKS)
def test_cut_anywhere_in_the_stream_it_is_the_same_harmless_lines(name):
    evil = ATTACKS[name]
    whole = drawn([evil])
    for at in range(1, len(evil)):
        assert drawn([evil[:at], evil[at:]]) == whole
    if name in HIDDEN:
        assert re.search(r"‹[0-9a-f]+›", whole), whole


def drawn(pieces: list[str]) -> str:
    """Thinking, answer and call of an answer that came in pieces; each picture is looked at."""
    transcript = Transcript()
    transcript.use(RENDERER, RENDERER)
    state = update(opened(blank()), e.Requested("o", "m"), 0.0)[0]
    state = update(state, s.ThinkingToggled(), 0.0)[0]
    text = ""
    for piece in pieces:
        thought, said = ThinkingDelta(piece, index=1), TextDelta(piece, index=2)
        for delta in (thought, said, CallDelta(name="n", arguments=piece, index=3)):
            state = update(state, e.Heard(delta), 1.0)[0]
        transcript.hear(state, 70)
        text = "\n".join(shown(line) for line in transcript.lines(state, 0, 70))
        assert unseen(text.replace("\n", "")) == []
    return text


def shown(line: list) -> str:
    """What the pane puts into its cells."""
    row = cells_of(line, 70)
    return "".join(row[x].char for x in range(max(row, default=-1) + 1))


async def test_what_is_typed_and_pasted_is_drawn_harmless():
    async with pilot(FakeDesk(lines=[ATTACKS["override"]]), 100, 20) as p:
        p.glass.stream = pyte.Stream(pyte.Screen(1, 1))
        for name, evil in ATTACKS.items():
            p.glass.written.clear()
            p.shell.buffer.text = evil.encode("utf-8", "replace").decode()
            p.shell.app._redraw()
            assert raw_controls("".join(p.glass.written)) == [], name
