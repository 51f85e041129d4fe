"""Tools for models that cannot call: in words."""

from itertools import pairwise

import pytest

from chinwag.providers.base import Profile
from chinwag.talk.delta import Ended, Stop, TextDelta
from chinwag.talk.event import (
    Notice,
)
from chinwag.talk.message import Call, Role
from support.engine import Player, conversation
from support.toolbench import DONE, Noting, calls, deaf, tooling


def words(text):
    return [TextDelta(text), Ended(Stop.END)]


async def test_a_model_without_calls_is_told_in_words():
    tool = Noting("clock", "noon")
    player = Player(
        words('```json\n{"tool": "clock", "arguments": {"zone": "utc"}}\n```'),
        words("It is noon."),
        profile=Profile(tools=False),
    )
    talk = conversation(player)
    talk.use(tooling(tool))
    await talk.say("time?", deaf)
    first, second = player.requests
    assert first.tools == second.tools == ()
    assert first.system.startswith("Be kind.")
    assert '{"tool": "NAME"' in first.system
    assert "clock: What clock does." in first.system
    assert [m.role for m in second.messages] == [Role.USER, Role.ASSISTANT, Role.USER]
    assert second.messages[1].text == '{"tool": "clock", "arguments": {"zone":"utc"}}'
    assert second.messages[2].text == "Result of clock:\nnoon"
    said = [e for _, e in talk.session.said()]
    assert isinstance(said[1].parts[0], Call), "stored as every model calls"
    assert said[3].text == "It is noon."
    for one, other in pairwise(r.system for r in player.requests):
        assert one == other, "the prompt is stable"


@pytest.mark.parametrize(
    "text",
    [
        'I call it: {"tool": "clock", "arguments": {}}',
        '{"tool": "clock", "arguments": {}} and {"tool": "clock", "arguments": {}}',
        '{"tool": "clock", "arguments": {}, "why": "x"}',
        '{"tool": "clock"}',
        '{"tool": "clock", "arguments": "{}"}',
        '{"tool": 1, "arguments": {}}',
        '[{"tool": "clock", "arguments": {}}]',
        '{"tool": "clock", "arguments": {',
        "It is noon.",
    ],
)
async def test_anything_but_one_object_is_an_answer(text):
    tool = Noting("clock")
    talk = conversation(Player(words(text), profile=Profile(tools=False)))
    talk.use(tooling(tool))
    await talk.say("time?", deaf)
    assert tool.ran == []
    assert talk.session.entries[-1].text == text


async def test_a_server_that_refuses_tools_is_asked_in_words():
    from chinwag.errors import BadRequest

    tool = Noting("clock", "noon")
    player = Player(
        [BadRequest("registry/gemma does not support tools")],
        words('{"tool": "clock", "arguments": {}}'),
        words("It is noon."),
    )
    talk = conversation(player)
    talk.use(tooling(tool))
    heard = []
    await talk.say("time?", heard.append)
    assert [bool(r.tools) for r in player.requests] == [True, False, False]
    assert tool.ran
    assert talk.session.entries[-1].text == "It is noon."
    assert any("does not take tools" in e.text for e in heard if isinstance(e, Notice))


async def test_the_model_may_be_switched_in_the_middle():
    tool = Noting("clock", "noon")
    able = Player(calls(("clock", "{}"), ("clock", '{"n": 1}')), DONE, name="able")
    plain = Player(words("Still noon."), name="plain", profile=Profile(tools=False))
    talk = conversation(able, plain)
    talk.use(tooling(tool))
    await talk.say("time?", deaf)
    talk.choose("plain", "exact-2", deaf)
    await talk.say("and now?", deaf)
    roles = [m.role for m in plain.requests[0].messages]
    assert roles == [Role.USER, Role.ASSISTANT, Role.USER, Role.ASSISTANT, Role.USER]
    assert plain.requests[0].messages[2].text == "Result of clock:\nnoon\n\nResult of clock:\nnoon"
