"""What is said of answers that are whole and yet not what was wished for."""

import io

import pytest

from chinwag.frontends.plain import PlainEar
from chinwag.frontends.tui.farewell import farewell
from chinwag.frontends.tui.items import ending_of
from chinwag.talk.delta import CallDelta, Ended, Stop, TextDelta, ThinkingDelta
from chinwag.talk.entry import AssistantSaid, Status, UserSaid
from chinwag.talk.message import Text
from chinwag.talk.session import begin, fold
from support.desk import desk
from support.engine import Player

END = Ended(Stop.END)


async def told(*script):
    """(stdout, stderr) of one answer by lines."""
    out, err = io.StringIO(), io.StringIO()
    await desk(Player(list(script))).talk("hi", PlainEar(out, err, quiet=True))
    return out.getvalue(), err.getvalue()


@pytest.mark.parametrize("script", [[END], [ThinkingDelta("hm"), END], [TextDelta(" \n"), END]])
async def test_an_answer_without_a_word_is_said(script):
    _, err = await told(*script)
    assert "without a word" in err


@pytest.mark.parametrize(
    ("stop", "words"), [(Stop.LENGTH, "length limit"), (Stop.FILTER, "filter")]
)
async def test_an_answer_that_was_cut_short_is_said_by_lines_too(stop, words):
    out, err = await told(TextDelta("Once upon"), Ended(stop))
    assert out == "Once upon\n"
    assert words in err


async def test_most_answers_need_no_remark():
    assert await told(TextDelta("Hello"), END) == ("Hello\n", "")


async def test_calls_that_nobody_can_run_are_said():
    _, err = await told(CallDelta(0, "c1", "cl\x1b[2Jock", "{}"), Ended(Stop.TOOLS))
    assert "ock" in err
    assert "no tools are offered" in err
    assert "\x1b" not in err


def test_the_screen_says_the_same():
    empty = AssistantSaid(provider="lab", model="m")
    assert "without a word" in str(ending_of(empty, 80))
    assert ending_of(AssistantSaid(parts=(Text("hi"),)), 80) == []
    stopped = AssistantSaid(status=Status.INTERRUPTED)
    assert "without a word" not in str(ending_of(stopped, 80))


def test_of_an_answer_of_megabytes_the_farewell_looks_at_the_beginning():
    session = begin()
    for entry in (UserSaid(parts=(Text("hi"),)), AssistantSaid(parts=(Text("wörd " * 400_000),))):
        session = fold(session, entry)
    said = farewell(session, 80)
    assert said.count("wörd") < 2000
    assert "many more lines" in said
