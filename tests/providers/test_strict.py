"""The strict servers themselves: they refuse what the real ones refuse, and no more than that."""

import copy
import json
import re

import pytest

from chinwag.errors import BadRequest
from chinwag.providers.base import Options, Request
from chinwag.providers.dialects.anthropic import Anthropic
from chinwag.providers.dialects.base import Endpoint
from chinwag.providers.dialects.gemini import Gemini
from chinwag.providers.dialects.llamacpp import LlamaCpp
from chinwag.providers.dialects.ollama import Ollama
from chinwag.providers.dialects.openai import OpenAI
from chinwag.providers.dialects.responses import Responses
from chinwag.providers.http import HttpProvider
from chinwag.talk.delta import Ended, Stop
from chinwag.talk.draft import Draft
from chinwag.talk.message import Call, Message, Result, Role, Text, Thinking
from chinwag.talk.tool import ToolSpec
from support import strict

DIALECTS = {d.name: d for d in (OpenAI(), Responses(), Anthropic(), Gemini(), Ollama(), LlamaCpp())}
CALLS = (Call("c1", "clock", '{"zone": "utc"}'), Call("c2", "look_up", '{"word": "x"}'))
RESULTS = (Result("c1", "clock", "noon"), Result("c2", "look_up", "a chat", is_error=True))
TALK = (
    Message.user("What is it?"),
    Message(Role.ASSISTANT, (Text("I look."), *CALLS)),
    Message(Role.TOOL, RESULTS[:1]),
    Message(Role.TOOL, RESULTS[1:]),
    Message.user("And now?"),
)
TOOLS = tuple(ToolSpec(c.name, "A tool.", {"type": "object", "properties": {}}) for c in CALLS)


def body(dialect, messages=TALK, model="m", **options):
    endpoint = Endpoint(name=dialect, base_url="https://api.openai.com/v1")
    request = Request(model, tuple(messages), "Be kind.", TOOLS, Options(**options))
    return json.loads(DIALECTS[dialect].encode(request, endpoint).body)


def refused(dialect, sent, model="m"):
    """Why it is refused; "" where it is not."""
    try:
        strict.check(dialect, sent, dialect, model)
    except strict.Refused as refusal:
        return str(refusal)
    return ""


@pytest.fixture(params=DIALECTS)
def dialect(request):
    return request.param


def test_a_right_request_is_taken(dialect):
    assert refused(dialect, body(dialect)) == ""
    assert refused(dialect, body(dialect, TALK[:1])) == ""
    assert refused(dialect, body(dialect, TALK[:4])) == ""


@pytest.mark.parametrize(
    ("why", "messages"),
    [
        ("a call is not answered", (*TALK[:3], TALK[4])),
        ("no call is answered", (*TALK[:2], TALK[4])),
        ("nobody is asked", TALK[:2]),
        ("a result comes twice", (*TALK[:3], TALK[2], *TALK[3:])),
        ("a result of nothing", (TALK[0], *TALK[2:])),
        ("a name nobody takes", (TALK[0], Message(Role.ASSISTANT, (Call("c", ""),)), *TALK[4:])),
    ],
)
def test_what_breaks_pairing_is_refused(dialect, why, messages):
    assert refused(dialect, body(dialect, messages)), why


def test_ids_must_differ(dialect):
    same = (CALLS[0], Call("c1", "look_up"))
    results = (Message(Role.TOOL, RESULTS[:1]), Message(Role.TOOL, (Result("c1", "look_up", "x"),)))
    sent = body(dialect, (TALK[0], Message(Role.ASSISTANT, same), *results, TALK[4]))
    # Two of the six know calls by their names and places.
    assert bool(refused(dialect, sent)) is (dialect not in ("gemini", "ollama"))


def test_a_field_nobody_knows_is_refused(dialect):
    assert "unknown" in refused(dialect, {**body(dialect), "colour": "blue"})


def broken(dialect, *path, to=None):
    """A right body with one value changed; ``to`` None takes it out."""
    sent = copy.deepcopy(body(dialect))
    inner = sent
    for step in path[:-1]:
        inner = inner[step]
    if to is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = to
    return sent


@pytest.mark.parametrize(
    ("dialect", "path", "to", "why"),
    [
        ("openai", ("messages", 2, "tool_calls", 0, "id"), "x" * 41, "1 to 40"),
        ("openai", ("messages", 2, "tool_calls", 0, "function", "arguments"), "{", "no JSON"),
        ("openai", ("messages", 2, "tool_calls", 0, "function", "arguments"), "[]", "no object"),
        ("openai", ("messages", 1, "content"), "", "empty content"),
        ("openai", ("messages", 1, "content"), 5, "content is 5"),
        ("openai", ("messages", 1, "role"), "human", "no role"),
        ("openai", ("top_k",), 5, "unknown"),
        ("openai", ("messages", 3, "content"), {"a": 1}, "must be text"),
        ("openai", ("max_tokens",), True, "is no"),
        ("responses", ("input", 2, "call_id"), "x" * 65, "call_id"),
        ("responses", ("input", 3, "arguments"), "no", "no JSON"),
        ("responses", ("max_output_tokens",), 5, "at least 16"),
        ("responses", ("input", 0, "content"), [], "content is"),
        ("responses", ("input", 1, "content", 0, "type"), "input_text", "of assistant"),
        ("anthropic", ("max_tokens",), None, "missing"),
        ("anthropic", ("temperature",), 1.5, "from 0 to 1"),
        ("anthropic", ("messages", 0, "role"), "assistant", "first message"),
        ("anthropic", ("messages", 0, "content", 0, "text"), " \n", "blank"),
        ("anthropic", ("messages", 1, "content", 1, "id"), "a b", "tool_use.id"),
        ("anthropic", ("system", 0, "text"), "", "blank"),
        ("anthropic", ("messages", 1, "content", 1, "input"), "{}", "no object"),
        ("gemini", ("contents", 0, "role"), "model", "alternate"),
        ("gemini", ("contents", 0, "parts"), [], "parts wanted"),
        ("gemini", ("contents", 0, "parts", 0, "text"), "", "empty text"),
        ("gemini", ("contents", 2, "parts", 0, "functionResponse", "name"), "other", "responses"),
        ("gemini", ("contents", 1, "parts", 1, "thoughtSignature"), "x", "not valid"),
        ("ollama", ("messages", 2, "tool_calls", 0, "function", "arguments"), "{}", "no object"),
        ("ollama", ("messages", 3, "tool_name"), "look_up", "not the answer"),
        ("ollama", ("think",), "yes", "think"),
        ("ollama", ("messages", 1, "content"), None, "missing"),
        ("llamacpp", ("messages", 1), None, "user first"),
    ],
)
def test_one_wrong_value_is_refused(dialect, path, to, why):
    sent = broken(dialect, *path, to=to) if len(path) > 1 else body(dialect)
    if len(path) == 1:
        sent = {k: v for k, v in sent.items() if k != path[0]}
        sent.update({} if to is None else {path[0]: to})
    assert why in refused(dialect, sent)


def test_the_template_of_a_local_model_wants_turns():
    said = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    sent = {"model": "m", "messages": said}
    assert "alternate" in refused("llamacpp", sent)
    assert refused("openai", sent) == ""


# --- thinking --------------------------------------------------------------------------------


def test_anthropic_knows_its_own_thinking():
    text = "Let me see."
    own = Thinking(text, strict.sign("anthropic", text), "anthropic/m")
    talk = (TALK[0], Message(Role.ASSISTANT, (own, *TALK[1].parts)), *TALK[2:4])
    sent = body("anthropic", talk, "claude-sonnet-4-5", reasoning="low")
    assert sent["thinking"]["type"] == "enabled"
    assert refused("anthropic", sent) == ""
    changed = copy.deepcopy(sent)
    changed["messages"][1]["content"][0]["thinking"] += "!"
    assert "invalid signature" in refused("anthropic", changed)
    without = copy.deepcopy(sent)
    del without["messages"][1]["content"][0]
    assert "must start with a thinking block" in refused("anthropic", without)
    assert "temperature" in refused("anthropic", {**sent, "temperature": 0.2})
    assert "top_k" in refused("anthropic", {**sent, "top_k": 3})
    assert "budget" in refused("anthropic", {**sent, "max_tokens": 2048})
    low = {"type": "enabled", "budget_tokens": 10}
    assert "at least 1024" in refused("anthropic", {**sent, "thinking": low})


def test_responses_know_their_own_reasoning():
    own = Thinking("Hm.", source="responses/m", redacted=strict.seal("responses", "Hm."))
    talk = (TALK[0], Message(Role.ASSISTANT, (own, *TALK[1].parts)), *TALK[2:])
    sent = body("responses", talk, "gpt-5")
    assert refused("responses", sent) == ""
    assert sent["input"][1]["type"] == "reasoning"
    foreign = copy.deepcopy(sent)
    foreign["input"][1]["encrypted_content"] = strict.seal("somebody", "Hm.")
    assert "verified" in refused("responses", foreign)
    lonely = {**sent, "input": [*sent["input"][:2], sent["input"][-1]]}
    assert "following item" in refused("responses", lonely)


def test_gemini_knows_its_own_signatures():
    name, args = "clock", {"zone": "utc"}
    signature = strict.sign("gemini", strict.of_call(name, args))
    call = Call("c1", name, json.dumps(args), signature, "gemini/gemini-3-pro")
    talk = (TALK[0], Message(Role.ASSISTANT, (call,)), TALK[2])
    sent = body("gemini", talk, "gemini-3-pro")
    assert refused("gemini", sent, "gemini-3-pro") == ""
    changed = copy.deepcopy(sent)
    changed["contents"][1]["parts"][0]["functionCall"]["args"]["zone"] = "cet"
    assert "not valid" in refused("gemini", changed, "gemini-3-pro")
    del changed["contents"][1]["parts"][0]["thoughtSignature"]
    assert "thought_signature" in refused("gemini", changed, "gemini-3-pro")
    assert refused("gemini", changed, "gemini-2.5-pro") == ""


# --- through a socket ------------------------------------------------------------------------


@pytest.fixture
async def there(dialect):
    with strict.Server(dialect) as server:
        endpoint = Endpoint(name=dialect, base_url=server.url, key=lambda: strict.KEY)
        provider = HttpProvider(endpoint, DIALECTS[dialect])
        yield server, provider
        await provider.aclose()


async def heard(provider, *messages):
    draft = Draft()
    async for delta in provider.stream(Request("m", messages, "Be kind.", TOOLS)):
        draft = draft.add(delta)
    return draft


async def test_an_answer_with_thinking_and_two_calls(there, dialect):
    server, provider = there
    draft = await heard(provider, Message.user("think, then call both"))
    parts = draft.parts(f"{dialect}/m")
    calls = [p for p in parts if isinstance(p, Call)]
    assert [c.name for c in calls] == ["clock", "look_up"]
    assert json.loads(calls[0].arguments) == {"zone": "utc", "turn": 1}
    assert (draft.text, draft.thinking) == ("I look it up.", "Let me think about turn 1.")
    assert isinstance(draft.ended, Ended)
    assert draft.ended.stop is Stop.TOOLS
    assert (draft.usage.input, draft.usage.output) == (10, 5)
    signed = [p for p in parts if isinstance(p, Thinking) and (p.signature or p.redacted)]
    assert bool(signed) is (dialect in ("anthropic", "responses", "gemini"))
    assert server.refusals == []


async def test_a_refusal_reaches_the_person(there, dialect):
    server, provider = there
    with pytest.raises(BadRequest) as raised:
        await heard(provider, *TALK[:2])
    assert len(server.refusals) == 1
    # What the server said is in the words, as far as words go.
    told = set(re.findall(r"\w+", server.refusals[0])) & set(re.findall(r"\w+", str(raised.value)))
    assert len(told) > 2
