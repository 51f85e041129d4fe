"""Words to a pipe: the answer on one stream, everything else on the other."""

from __future__ import annotations

import io
import json

import pytest

from chinwag.errors import ContextOverflow, KeyRefused, StreamBroken
from chinwag.frontends.codes import exit_code
from chinwag.frontends.jsonl import StreamEar, WholeEar
from chinwag.frontends.plain import PlainEar, extracted, first_code
from chinwag.talk.delta import Ended, Stop, TextDelta, ThinkingDelta, UsageDelta
from chinwag.talk.entry import AssistantSaid, Status, UserSaid
from chinwag.talk.event import (
    Choice,
    Column,
    EditorAsked,
    Failed,
    Following,
    Hit,
    Level,
    Notice,
    Offered,
    Page,
    Settled,
    Sought,
    ThemeAsked,
)
from chinwag.talk.message import Text
from chinwag.talk.session import begin, fold
from chinwag.talk.usage import Usage
from support.desk import desk
from support.engine import Player

END = Ended(Stop.END)


class Terminal(io.StringIO):
    def isatty(self):
        return True


async def asked(script, out=None, **how):
    out, err = out or io.StringIO(), io.StringIO()
    ear = PlainEar(out, err, **how)
    await desk(Player(script)).talk("hi", ear)
    return ear, out.getvalue(), err.getvalue()


async def test_only_the_answer_is_on_stdout_and_ends_its_line():
    ear, out, err = await asked([ThinkingDelta("hm"), TextDelta("Hel"), TextDelta("lo"), END])
    assert (out, err) == ("Hello\n", "")
    assert exit_code(ear.failure, ear.answer) == 0


async def test_not_live_is_printed_once_and_muted_not_at_all():
    assert (await asked([TextDelta("a"), END], live=False))[1] == "a\n"
    assert (await asked([TextDelta("a"), END], mute=True))[1] == ""


async def test_a_pipe_gets_the_text_as_it_came_and_a_terminal_gets_it_safe():
    evil = "a\x1b]52;c;AAAA\x07b"
    assert (await asked([TextDelta(evil), END]))[1] == evil + "\n"
    shown = (await asked([TextDelta(evil), END], out=Terminal()))[1]
    assert "\x1b" not in shown
    assert "\x07" not in shown


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ([KeyRefused("the key was refused", hint="set another")], 1, "set another"),
        ([TextDelta("half"), StreamBroken("the line was cut")], 1, "the line was cut"),
        ([TextDelta("half")], 1, "ended before"),
        ([ContextOverflow("too long", hint="shorter")], 3, "shorter"),
    ],
)
async def test_failures_are_said_beside_the_answer(script, code, said):
    ear, out, err = await asked(script)
    assert exit_code(ear.failure, ear.answer) == code
    assert said in err
    assert said not in out
    assert err.count("\n") == 1, "one sentence"


def test_an_interrupted_answer_ends_with_130():
    assert exit_code(None, AssistantSaid(status=Status.INTERRUPTED)) == 130


def test_wrong_use_ends_with_2_and_the_world_with_1():
    assert exit_code(Failed("ConfigError", ""), None) == 2
    assert exit_code(Failed("SessionNotFound", ""), None) == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("no code", None),
        ("x\n```py\na = 1\n```\ny\n```\nb\n```", "a = 1\n"),
        ("~~~\na\n```\nb\n~~~", "a\n```\nb\n"),
        ("```\nnever closed", "never closed"),
        ("````md\n```\ninner\n```\n````\n", "```\ninner\n```\n"),
    ],
)
def test_the_first_code_block(text, code):
    assert first_code(text) == code


async def test_extract_prints_only_code_or_says_that_there_is_none():
    ear, out, _ = await asked([TextDelta("t\n```\nx\n```\n"), END], mute=True)
    stream = ear._out
    assert extracted(ear, 0) == 0
    assert stream.getvalue() == "x\n"
    ear, out, _ = await asked([TextDelta("words"), END], mute=True)
    assert extracted(ear, 0) == 1
    assert out == ""


async def test_json_is_one_object():
    out = io.BytesIO()
    ear = WholeEar(out)
    usage = UsageDelta(Usage(input=3, output=2))
    script = [ThinkingDelta("hm"), TextDelta("é\u2028"), usage, END]
    await desk(Player(script)).talk("hi", ear)
    ear.close()
    assert out.getvalue().count(b"\n") == 1
    whole = json.loads(out.getvalue())
    assert (whole["text"], whole["thinking"], whole["status"]) == ("é\u2028", "hm", "complete")
    assert whole["usage"]["total"] == 5
    assert "error" not in whole


async def test_json_of_a_failure_says_what_and_what_to_do():
    out = io.BytesIO()
    ear = WholeEar(out)
    await desk(Player([KeyRefused("refused", hint="set it")])).talk("hi", ear)
    ear.close()
    whole = json.loads(out.getvalue())
    assert whole["error"] == {"kind": "KeyRefused", "message": "refused", "hint": "set it"}
    assert whole["status"] == "failed"


async def test_json_stream_is_an_event_a_line():
    out = io.BytesIO()
    ear = StreamEar(out)
    await desk(Player([TextDelta("a\nb"), END])).talk("hi", ear)
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [e["event"] for e in events][-2:] == ["settled", "rested"]
    text = "".join(
        e["delta"]["text"] for e in events if e["event"] == "heard" and "text" in e["delta"]
    )
    assert text == "a\nb"
    assert events[-2]["entry"]["content"] == "a\nb"


def test_reading_along_shows_who_writes_and_what_is_said_there():
    out, err = io.StringIO(), io.StringIO()
    ear = PlainEar(out, err)
    said = UserSaid(parts=(Text("from the other window"),))
    session = fold(begin(), said)
    ear(Settled(1, said, session))
    assert "other window" not in err.getvalue(), "one's own words are on the screen already"
    ear(Following(session.id, "process 7 on here"))
    ear(Settled(1, said, session))
    assert "process 7 on here" in err.getvalue()
    assert "› from the other window\n" in err.getvalue()
    ear(Following(session.id, ""))
    before = err.getvalue()
    ear(Settled(1, said, session))
    assert err.getvalue() == before
    assert out.getvalue() == ""


def test_what_a_screen_would_do_is_told_in_words():
    out, err = io.StringIO(), io.StringIO()
    ear = PlainEar(out, err)
    ear(Sought("tram", (Hit(3, "you", "where the tram stops"),)))
    ear(Offered("branches", (Choice("● 3 you: why?", "/branches 3", "2 messages"),)))
    ear(Notice("answer 1 of 2", Level.BRIEF))
    ear(Page("Answers compared", "**one**\n\nfirst", (Column("one", "first"),)))
    ear(ThemeAsked("dark"))
    ear(EditorAsked("from here"))
    told = err.getvalue()
    assert "3 you: where the tram stops" in told
    assert "/branches 3  ● 3 you: why? · 2 messages" in told
    assert "answer 1 of 2" in told
    assert "**one**" in told
    assert "no colours here" in told
    assert ear.to_edit == "from here"
    assert out.getvalue() == ""
