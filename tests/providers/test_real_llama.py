"""The real llama.cpp server, in the three dialects it speaks."""

import pytest

from chinwag.engine.request import build
from chinwag.errors import ContextOverflow
from chinwag.providers.base import Options, Profile, Request
from chinwag.providers.catalog import Catalog, Row
from chinwag.providers.discovery import discover
from chinwag.talk.delta import Ended, TextDelta
from chinwag.talk.draft import Draft
from chinwag.talk.entry import AssistantSaid, Status, ToolReturned, UserSaid
from chinwag.talk.message import Call, Image, Message, Result, Text, Thinking
from chinwag.talk.session import begin, fold_all
from support import llama

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(llama.may_skip(), reason=llama.missing() or "-"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    from support import tiny_gguf

    model = tmp_path_factory.mktemp("llama") / "tiny.gguf"
    tiny_gguf.write(model)
    with llama.serving(model) as running:
        yield running


def catalog(server):
    other = Row(name="other", dialect="anthropic", base_url=server.address, key="none")
    third = Row(name="third", dialect="responses", base_url=server.address + "/v1", key="none")
    return Catalog([other, third], env={"LLAMACPP_BASE_URL": server.address})


def asked(*messages):
    return Request("tiny", messages, "You are helpful.", options=Options(max_tokens=60))


NAMES = ["llamacpp", "other", "third"]


@pytest.mark.parametrize("name", NAMES)
async def test_a_talk(server, name):
    there = catalog(server).provider(name)
    draft = Draft()
    async for delta in there.stream(asked(Message.user(f"hi {name}"))):
        draft = draft.add(delta)
    assert draft.text
    assert draft.ended is not None
    first = draft.usage
    assert first.input > 0
    assert first.output > 0
    more = (Message.user(f"hi {name}"), Message.assistant(draft.text), Message.user("more"))
    async for delta in there.stream(asked(*more)):
        draft = draft.add(delta)
    # The second turn begins with the bytes of the first: the server reads it from its cache.
    assert draft.usage.cached >= first.input - 2
    with pytest.raises(ContextOverflow) as raised:
        await anext(there.stream(asked(Message.user("word " * 20000))))
    assert raised.value.asked > raised.value.limit > 0
    await there.aclose()


@pytest.mark.parametrize("name", NAMES)
async def test_a_talk_that_others_began(server, name):
    """Their thinking, their tools and a picture: in no dialect does the server refuse it."""
    there = catalog(server).provider(name)
    calls = (Call("toolu_1", "clock", '{"zone": "utc"}'), Call("c2", "look up!", "not JSON"))
    thought = Thinking("Hmm.", "signed", "anthropic/claude-sonnet-4-5")
    told = fold_all(
        begin(),
        [
            UserSaid(
                parts=(Text("What time is it?"), Image(mime="image/png", data="iVBORw0KGgo="))
            ),
            AssistantSaid(parts=(thought, Text("I look."), *calls), status=Status.PARTIAL),
            ToolReturned(result=Result("toolu_1", "clock", "noon")),
            AssistantSaid(status=Status.FAILED, error="it broke"),
            UserSaid(parts=(Text("And now?"),)),
        ],
    )
    asked = build(told, model="tiny", profile=Profile(sees=False), options=Options(max_tokens=20))
    draft = Draft()
    async for delta in there.stream(asked):
        draft = draft.add(delta)
    assert draft.text
    assert draft.ended is not None
    await there.aclose()


async def test_its_window_its_models_and_where_it_is(server):
    there = catalog(server).provider("llamacpp")
    window = (await there.profile("tiny")).window
    assert window == 8192
    assert [m.name for m in await there.models()] == ["tiny"]
    await there.aclose()
    env = {"LLAMACPP_BASE_URL": server.address, "OLLAMA_HOST": "127.0.0.1:1"}
    env |= {"LMSTUDIO_BASE_URL": "http://127.0.0.1:1", "VLLM_BASE_URL": "http://127.0.0.1:1"}
    (found,) = await discover(env, limit=2)
    assert (found.name, found.models, found.window) == ("llamacpp", ("tiny",), 8192)


async def test_leaving_frees_its_slot(server):
    there = catalog(server).provider("llamacpp")
    for _ in range(5):  # more often than it has slots
        stream = there.stream(Request("tiny", (Message.user("hi"),)))
        async for delta in stream:
            if isinstance(delta, TextDelta):
                break
        await stream.aclose()
    deltas = [d async for d in there.stream(asked(Message.user("hi")))]
    assert isinstance(deltas[-1], Ended)
    await there.aclose()


async def test_it_goes_on_with_an_answer_that_was_begun(server):
    there = catalog(server).provider("llamacpp")
    whole, rest = Draft(), Draft()
    async for delta in there.stream(asked(Message.user("hi"))):
        whole = whole.add(delta)
    begun = " ".join(whole.text.split(" ")[:4])
    async for delta in there.stream(asked(Message.user("hi"), Message.assistant(begun))):
        rest = rest.add(delta)
    assert begun + rest.text == whole.text
    await there.aclose()
