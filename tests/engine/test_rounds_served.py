"""Whole rounds of tools over real sockets: strict servers of every dialect, and aimock."""

import asyncio

import pytest

from chinwag.providers.dialects.anthropic import Anthropic
from chinwag.providers.dialects.base import Endpoint
from chinwag.providers.dialects.gemini import Gemini
from chinwag.providers.dialects.llamacpp import LlamaCpp
from chinwag.providers.dialects.ollama import Ollama
from chinwag.providers.dialects.openai import OpenAI
from chinwag.providers.dialects.responses import Responses
from chinwag.providers.http import HttpProvider
from chinwag.talk.entry import AssistantSaid, Status, ToolReturned, UserSaid
from chinwag.talk.event import Verdict
from support import aimock, strict
from support.engine import conversation
from support.toolbench import ALL, ATTENDED, Answering, Noting, tooling

DIALECTS = {d.name: d for d in (OpenAI(), Responses(), Anthropic(), Gemini(), Ollama(), LlamaCpp())}
MODELS = {
    "openai": ("gpt-4o", "/v1"),
    "responses": ("gpt-5", "/v1"),
    "anthropic": ("claude-sonnet-4-5", ""),
    "gemini": ("gemini-2.5-pro", ""),
    "ollama": ("qwen3", ""),
}


def deaf(event):
    return None


def kinds(talk):
    return [type(e) for _, e in talk.session.said()]


def two_tools(**more):
    clock = Noting("clock", "noon", parallel=True, **more)
    look_up = Noting("look_up", "a chat", parallel=True, **more)
    return clock, look_up


@pytest.fixture(params=DIALECTS)
async def served(request):
    """A strict server, and a provider of it."""
    with strict.Server(request.param) as server:
        endpoint = Endpoint(name=request.param, base_url=server.url, key=lambda: strict.KEY)
        there = HttpProvider(endpoint, DIALECTS[request.param])
        yield server, there
        await there.aclose()


async def test_rounds_with_a_strict_server(served):
    server, there = served
    clock, look_up = two_tools()
    talk = conversation(there, model="m")
    talk.use(tooling(clock, look_up, policy=ALL))
    for question in ("please call", "think, then call", "in words", "call again"):
        await talk.say(question, deaf)
        assert talk.failure is None, talk.failure
    assert server.refusals == []
    assert len(clock.ran) == len(look_up.ran) == 3
    turn = [UserSaid, AssistantSaid, ToolReturned, ToolReturned, AssistantSaid]
    assert kinds(talk) == [*turn, *turn, UserSaid, AssistantSaid, *turn]


async def test_denied_stopped_and_gone_on(served):
    server, there = served
    clock, look_up = two_tools()
    slow = Noting("clock", seconds=30)
    talk = conversation(there, model="m")
    talk.use(tooling(clock, look_up, policy=ATTENDED))
    said = iter([Verdict.DENY, Verdict.ONCE])
    await talk.say("please call", Answering(talk, lambda event: next(said)))
    assert (len(clock.ran), len(look_up.ran)) == (0, 1)
    talk.use(tooling(slow, look_up, policy=ALL))
    going = asyncio.ensure_future(talk.say("call once more", deaf))
    while not slow.ran:
        await asyncio.sleep(0.001)
    talk.interrupt()
    await going
    await talk.go_on(deaf)
    assert talk.session.entries[-1].status is Status.COMPLETE
    talk.use(None)  # the tools are gone; what they gave stays in the talk
    await talk.say("in words", deaf)
    assert talk.session.entries[-1].status is Status.COMPLETE
    assert server.refusals == []


CALLS = [
    {"name": "clock", "arguments": {"zone": "utc"}},
    {"name": "look_up", "arguments": {"word": "chinwag", "limit": 3}},
]
FIXTURES = [
    {
        "match": {"userMessage": "look", "hasToolResult": False},
        "response": {"content": "I look it up.", "toolCalls": CALLS},
    },
    {
        "match": {"userMessage": "look", "hasToolResult": True},
        "response": {"content": "It is noon, and a chinwag is a chat."},
    },
]


@pytest.fixture(scope="module")
def mock(tmp_path_factory):
    if aimock.missing():
        pytest.skip(aimock.missing())
    with aimock.serving(tmp_path_factory.mktemp("aimock"), FIXTURES) as running:
        yield running


@pytest.mark.server
@pytest.mark.parametrize("name", MODELS)
async def test_rounds_with_aimock(mock, name):
    model, path = MODELS[name]
    there = HttpProvider(Endpoint(name=name, base_url=mock.address + path), DIALECTS[name])
    clock, look_up = two_tools()
    talk = conversation(there, model=model)
    talk.use(tooling(clock, look_up, policy=ALL))
    try:
        await talk.say("Now look", deaf)
    finally:
        await there.aclose()
    assert talk.failure is None
    assert clock.ran == ['clock\n  zone: "utc"']
    assert look_up.ran == ['look_up\n  limit: 3\n  word: "chinwag"']
    assert talk.session.entries[-1].text == "It is noon, and a chinwag is a chat."
    assert kinds(talk) == [UserSaid, AssistantSaid, ToolReturned, ToolReturned, AssistantSaid]
