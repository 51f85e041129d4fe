"""Compactors by themselves: what they keep, what they ask, and what of them is refused."""

from __future__ import annotations

import pytest

from chinwag.context.compaction import (
    LONGEST_PART,
    Proposal,
    SummariseCompactor,
    TruncateCompactor,
    checked,
)
from chinwag.errors import UsageError
from chinwag.talk.message import Call, File, Image, Message, Role, Text


def talk(count, text="how deep is the harbour tonight, and who keeps the lamp?"):
    return [
        Message(Role.USER if n % 2 == 0 else Role.ASSISTANT, (Text(text),)) for n in range(count)
    ]


class Asked:
    """Remembers what it was asked."""

    def __init__(self, answer=" in short \n"):
        self.answer = answer
        self.system = self.prompt = ""
        self.most = 0

    async def __call__(self, system, prompt, most):
        self.system, self.prompt, self.most = system, prompt, most
        return self.answer


async def nobody(system, prompt, most):
    raise AssertionError("nobody is to be asked")


async def test_the_newest_stay_and_the_rest_is_summarised():
    asked = Asked()
    found = await SummariseCompactor().compact(talk(12), 1_000, hint="", ask=asked)
    assert found == Proposal("in short", 4)
    assert asked.prompt.count("Person: ") + asked.prompt.count("Assistant: ") == 8
    assert asked.most == 400


async def test_fewer_stay_where_they_alone_would_be_over_half():
    asked = Asked()
    found = await SummariseCompactor().compact(talk(12), 60, hint="", ask=asked)
    assert found.keep == 1
    # As many characters, but three times the tokens.
    chinese = talk(12, "港口今晚有多深，谁在看守灯塔？" * 4)
    found = await SummariseCompactor().compact(chinese, 120, hint="", ask=asked)
    assert found.keep <= 1


async def test_where_everything_stays_nobody_is_asked():
    found = await SummariseCompactor().compact(talk(3), 1_000, hint="", ask=nobody)
    assert found == Proposal("", 3)
    assert await TruncateCompactor().compact(talk(9), 10**6, hint="", ask=nobody) == Proposal("", 9)


async def test_a_hint_of_the_moment_goes_before_the_one_that_was_set():
    asked, by = Asked(), SummariseCompactor(hint="prices")
    await by.compact(talk(9), 1_000, hint="", ask=asked)
    assert "Dwell on: prices" in asked.prompt
    await by.compact(talk(9), 1_000, hint="tides", ask=asked)
    assert "Dwell on: tides" in asked.prompt
    assert "prices" not in asked.prompt


async def test_instructions_of_ones_own_may_hold_braces():
    asked = Asked()
    by = SummariseCompactor(instructions='answer {"in": "{words} words"} {0}', summary_tokens=300)
    await by.compact(talk(9), 1_000, hint="", ask=asked)
    assert asked.system == 'answer {"in": "200 words"} {0}'


async def test_one_long_message_does_not_crowd_out_the_others():
    asked = Asked()
    messages = [*talk(2), Message.user("x" * 10**6), *talk(9, "short")]
    await SummariseCompactor().compact(messages, 100_000, hint="", ask=asked)
    assert len(asked.prompt) < LONGEST_PART + 2_000
    assert "characters …]" in asked.prompt
    assert "who keeps the lamp" in asked.prompt


async def test_calls_files_and_pictures_are_told_in_words():
    asked = Asked()
    call = Message(Role.ASSISTANT, (Call("c", "depth", '{"at": 4}'),))
    file = File(mime="text/plain", name="tide.txt", text="high at nine")
    shown = Message(Role.USER, (Image(mime="image/png", data="aGk=", name="sea.png"), file))
    messages = [call, Message.tool("c", "two fathoms", name="depth"), shown, *talk(6)]
    await SummariseCompactor().compact(messages, 1_000, hint="", ask=asked)
    for told in ('[calls depth with {"at": 4}]', "Tool: two fathoms", "sea.png", "high at nine"):
        assert told in asked.prompt
    assert "aGk=" not in asked.prompt


@pytest.mark.parametrize("nonsense", [None, "s", 3, ("s", 1), Proposal(None, 1), Proposal("s", 9)])
def test_nonsense_is_refused_in_words(nonsense):
    with pytest.raises(UsageError, match="nothing was changed"):
        checked(nonsense, 3)


def test_sense_is_taken_as_it_is():
    assert checked(Proposal("s", 3), 3) == Proposal("s", 3)
