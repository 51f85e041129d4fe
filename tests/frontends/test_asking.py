"""The question before a tool runs, as lines of text."""

import asyncio
import io
import os

import pytest

from chinwag.frontends.asking import LineAsker, question, said
from chinwag.talk.event import ApprovalAnswered, ApprovalAsked, Verdict
from chinwag.talk.message import Call
from chinwag.talk.tool import Risk


def asked(rule="t(path=docs/*)", **more):
    call = Call("c1", "t", "{}")
    more = {"shown": 't\n  path: "docs/a"', "digest": "d1", "risk": Risk.READ, **more}
    return ApprovalAsked(call, rule=rule, never="t", **more)


@pytest.mark.parametrize(
    ("line", "verdict", "word"),
    [
        ("yes\n", Verdict.ONCE, ""),
        (" Y \n", Verdict.ONCE, ""),
        ("session\n", Verdict.SESSION, ""),
        ("always\n", Verdict.ALWAYS, ""),
        ("never\n", Verdict.NEVER, ""),
        ("no\n", Verdict.DENY, ""),
        ("\n", Verdict.DENY, ""),
        ("", Verdict.DENY, ""),
        ("yes please\n", Verdict.DENY, "yes please"),
        ("yess\n", Verdict.DENY, "yess"),
        ("s\n", Verdict.DENY, "s"),
    ],
)
def test_what_a_line_says(line, verdict, word):
    assert said(line, asked()) == (verdict, word)


def test_without_a_rule_nothing_is_allowed_by_one():
    for line in ("session\n", "always\n"):
        assert said(line, asked(rule="")) == (Verdict.DENY, "")
    assert "session" not in question(asked(rule=""))


def test_all_of_it_is_said():
    text = question(asked(why="text from elsewhere", source="mcp:web"))
    for piece in ("t asks to run (read, from mcp:web)", 'path: "docs/a"', "text from elsewhere"):
        assert piece in text
    assert "the rule: t(path=docs/*)" in text


async def test_it_is_asked_and_answered():
    answers = []
    reading, writing = os.pipe()
    err = io.StringIO()
    with open(reading) as source, open(writing, "w") as keys:  # noqa: PTH123, ASYNC230 - a pipe
        asker = LineAsker(lambda *said: answers.append(said) or True, err, source)
        asker.ask(asked(shown="t\n  path: \x1b[2J"))
        await asyncio.sleep(0.01)
        assert "\x1b" not in err.getvalue()
        assert err.getvalue().endswith("run it? ")
        assert answers == []
        keys.write("not that one\n")
        keys.flush()
        while not answers:
            await asyncio.sleep(0.001)
        assert answers == [("c1", "d1", Verdict.DENY, "not that one")]


async def test_what_is_settled_elsewhere_is_not_waited_for():
    answers = []
    reading, writing = os.pipe()
    with open(reading) as source, open(writing, "w") as keys:  # noqa: PTH123, ASYNC230 - a pipe
        asker = LineAsker(lambda *said: answers.append(said) or True, io.StringIO(), source)
        asker.ask(asked())
        await asyncio.sleep(0.01)
        asker.settled(ApprovalAnswered("c1", "d1", allowed=False))
        keys.write("yes\n")
        keys.flush()
        await asyncio.sleep(0.01)
        assert answers == []
        assert source.readline() == "yes\n", "it is left for the next line"
