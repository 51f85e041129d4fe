"""Whole conversations with aimock, which plays five services, with tools and with chaos on."""

import json

import pytest

from chinwag.errors import Overloaded, ProviderError, RateLimited, StreamBroken
from chinwag.providers.base import Options, Request
from chinwag.providers.dialects.anthropic import Anthropic
from chinwag.providers.dialects.base import Endpoint
from chinwag.providers.dialects.gemini import Gemini
from chinwag.providers.dialects.ollama import Ollama
from chinwag.providers.dialects.openai import OpenAI
from chinwag.providers.dialects.responses import Responses
from chinwag.providers.http import HttpProvider
from chinwag.providers.retry import with_retries
from chinwag.talk.delta import Ended, Stop
from chinwag.talk.entry import Status, ToolReturned
from chinwag.talk.event import Waiting
from chinwag.talk.message import Call, Message, Result, Thinking
from chinwag.talk.tool import ToolSpec
from support import aimock
from support.engine import conversation

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(bool(aimock.missing()), reason=aimock.missing() or "-"),
]

DIALECTS = {
    "openai": (OpenAI(), "/v1", "gpt-4o"),
    "responses": (Responses(), "/v1", "gpt-5"),
    "anthropic": (Anthropic(), "", "claude-sonnet-4-5"),
    "gemini": (Gemini(), "", "gemini-2.5-pro"),
    "ollama": (Ollama(), "", "qwen3"),
}
GREETING = "Good day to you. Ça va? 你好 👋"
THOUGHT = "A greeting; I greet back."
CALLS = [
    {"name": "clock", "arguments": {"zone": "utc"}},
    {"name": "look_up", "arguments": {"word": "chinwag", "limit": 3}},
]
USAGE = {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19}
FIXTURES = [
    {
        "match": {"userMessage": "greet"},
        "response": {"content": GREETING, "reasoning": THOUGHT, "usage": USAGE},
    },
    {
        "match": {"userMessage": "look", "hasToolResult": False},
        "response": {"content": "I look it up.", "toolCalls": CALLS},
    },
    {
        "match": {"userMessage": "look", "hasToolResult": True},
        "response": {"content": "It is noon, and a chinwag is a chat."},
    },
    {
        "match": {"userMessage": "busy"},
        "response": {"error": {"message": "slow down", "type": "rate_limit_error"}, "status": 429},
    },
    {
        "match": {"userMessage": "cut"},
        "response": {"content": "word " * 50},
        "truncateAfterChunks": 7,
        "latency": 5,  # what is not sent yet when it cuts is lost
    },
]
TOOLS = tuple(ToolSpec(c["name"], "A tool.", {"type": "object", "properties": {}}) for c in CALLS)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with aimock.serving(tmp_path_factory.mktemp("aimock"), FIXTURES) as running:
        yield running


@pytest.fixture(params=DIALECTS)
def name(request):
    return request.param


@pytest.fixture
async def provider(server, name):
    """Makes providers, with what chaos is asked for, and lets go of them at the end."""
    made = []

    def make(**chaos):
        dialect, path, _ = DIALECTS[name]
        headers = {f"x-aimock-chaos-{kind}": str(rate) for kind, rate in chaos.items()}
        endpoint = Endpoint(name=name, base_url=server.address + path, headers=headers)
        made.append(HttpProvider(endpoint, dialect))
        return made[-1]

    yield make
    for there in made:
        await there.aclose()


async def quick(opener, on_wait):
    """The real retries, but nobody sleeps."""

    async def soon(seconds):
        return None

    async for delta in with_retries(opener, on_wait, sleep=soon):
        yield delta


def talk_with(there, name, **more):
    talk = conversation(there, model=DIALECTS[name][2], **more)
    talk._asking._retrying = quick
    return talk


async def test_a_greeting(provider, name):
    there = provider()
    talk = talk_with(there, name)
    await talk.say("Please greet me", lambda event: None)
    answer = talk.session.entries[-1]
    assert (answer.text, answer.status, answer.stop) == (GREETING, Status.COMPLETE, Stop.END)
    thought = "".join(p.text for p in answer.parts if isinstance(p, Thinking))
    if name != "ollama":  # there it neither thinks nor counts
        assert thought == THOUGHT
        assert (answer.usage.input, answer.usage.output) == (12, 7)


async def test_two_tools_and_what_came_of_them(server, provider, name):
    there = provider()
    talk = talk_with(there, name)
    await talk.say("Now look", lambda event: None)
    answer = talk.session.entries[-1]
    assert (answer.text, answer.stop) == ("I look it up.", Stop.TOOLS)
    calls = [p for p in answer.parts if isinstance(p, Call)]
    assert [(c.name, json.loads(c.arguments)) for c in calls] == [
        (c["name"], c["arguments"]) for c in CALLS
    ]
    assert len({c.id for c in calls}) == 2
    for call in calls:
        result = Result(call.id, call.name, f"result of {call.name}")
        talk.settle(ToolReturned(result=result), lambda event: None)
    await talk.answer(lambda event: None)
    assert talk.session.entries[-1].text == "It is noon, and a chinwag is a chat."
    heard = next(e for e in reversed(server.journal()) if e["method"] == "POST")["body"]
    told = [m["content"] for m in heard["messages"] if m["role"] == "tool"]
    if name == "gemini":  # results are objects there
        told = [json.loads(result)["output"] for result in told]
    assert told == ["result of clock", "result of look_up"]
    await talk.say("And greet me", lambda event: None)
    assert talk.session.entries[-1].text == GREETING


async def test_a_request_with_tools_is_read_as_one(server, provider, name):
    there = provider()
    request = Request(
        DIALECTS[name][2], (Message.user("greet"),), "Be kind.", TOOLS, Options(temperature=0.5)
    )
    deltas = [d async for d in there.stream(request)]
    assert isinstance(deltas[-1], Ended)
    heard = next(e for e in reversed(server.journal()) if e["method"] == "POST")["body"]
    assert [t["function"]["name"] for t in heard["tools"]] == ["clock", "look_up"]
    assert heard["messages"][0] == {"role": "system", "content": "Be kind."}


@pytest.mark.parametrize(
    ("chaos", "kind"),
    [
        ({"drop": 1}, Overloaded),
        ({"ratelimit": 1}, RateLimited),
        ({"malformed": 1}, StreamBroken),
        ({"disconnect": 1}, ProviderError),
    ],
)
async def test_chaos_of_one_kind_is_told_by_its_name(provider, name, chaos, kind):
    there = provider(**chaos)
    request = Request(DIALECTS[name][2], (Message.user("greet"),))
    with pytest.raises(kind) as raised:
        [d async for d in there.stream(request)]
    if kind is RateLimited:
        assert raised.value.wait == 1
    talk = talk_with(there, name)
    await talk.say("greet me", lambda event: None)
    answer = talk.session.entries[-1]
    assert (answer.status, answer.text) == (Status.FAILED, "")
    assert answer.error


async def test_conversations_in_chaos(provider, name):
    """Whatever comes out is judged rightly, and the talk goes on all the same."""
    there = provider(drop=0.2, ratelimit=0.2, malformed=0.1, disconnect=0.2)
    talk = talk_with(there, name)
    waits = 0

    def hear(event):
        nonlocal waits
        waits += isinstance(event, Waiting)

    for turn in range(30):  # rarely nothing would go wrong in a few
        await talk.say(f"{turn}: {['greet me', 'look'][turn % 2]}", hear)
        answer = talk.session.entries[-1]
        whole = answer.text in (GREETING, "I look it up.")
        assert whole is (answer.status is Status.COMPLETE), (answer.status, answer.text)
        assert bool(answer.error) is not whole
        for call in [p for p in answer.parts if isinstance(p, Call)][: turn % 3]:
            talk.settle(ToolReturned(result=Result(call.id, call.name, "noon")), hear)
    assert waits
    calm = provider()
    talk._asking._directory.players[name] = calm
    await talk.say("At last, greet me", hear)
    assert talk.session.entries[-1].text == GREETING
    await calm.aclose()


async def test_what_it_cuts_is_partial(provider, name):
    there = provider()
    talk = talk_with(there, name)
    await talk.say("this gets cut", lambda event: None)
    answer = talk.session.entries[-1]
    assert (answer.status, bool(answer.error)) == (Status.PARTIAL, True), answer.text
    assert ("word " * 50).startswith(answer.text)
    await talk.say("busy", lambda event: None)
    assert talk.session.entries[-1].status is Status.FAILED
    assert "slow down" in talk.session.entries[-1].error
