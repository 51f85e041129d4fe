"""What servers are asked, byte for byte, to keep what they have read; and the real llama.cpp."""

from __future__ import annotations

import json

import pytest

from chinwag.errors import ProviderError, UsageError
from chinwag.providers import warm
from chinwag.providers.base import Options, Request, WarmLevel, Warms
from chinwag.providers.catalog import ROWS, Catalog
from chinwag.providers.dialects.base import Endpoint
from chinwag.providers.dialects.llamacpp import LlamaCpp
from chinwag.providers.dialects.ollama import Ollama
from chinwag.providers.http import HttpProvider
from chinwag.providers.scripted import Scripted
from chinwag.talk.event import Notice
from chinwag.talk.message import Message
from support import llama
from support.engine import conversation
from support.servers import Loopback, json_reply
from support.slots import Slots

ASKED = Request("tiny", (Message.user("one two three"),))


def llamacpp(url):
    return HttpProvider(Endpoint(name="here", base_url=url), LlamaCpp())


@pytest.mark.parametrize("name", [row.name for row in ROWS if row.base_url])
def test_every_provider_says_what_it_keeps(name):
    provider = Catalog().provider(name)
    assert isinstance(provider, Warms)
    warming = provider.warming()
    levels = {"llamacpp": WarmLevel.SNAPSHOT, "ollama": WarmLevel.KEEP}
    assert warming.level is levels.get(name, WarmLevel.HINT)
    assert warming.itself
    assert len(warming.address) == 16
    assert "://" not in warming.address


def test_one_in_this_process_has_nothing():
    assert not isinstance(Scripted(("hi",)), Warms)
    assert warm.level_of(Scripted(("hi",))) is WarmLevel.NONE
    assert warm.address_of(Scripted(("hi",))) == ""


async def test_a_fingerprint_is_of_model_build_window_and_template():
    with Slots() as slots:
        provider = llamacpp(slots.url)
        one = await provider.warming().fingerprint("tiny")
        assert one == await provider.warming().fingerprint("tiny")
        slots.build = "b2"
        assert one != await provider.warming().fingerprint("tiny")
        await provider.aclose()


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_a_server_that_says_nothing_of_itself_or_its_slots(status):
    refused = json_reply({"error": {"code": status, "message": "no"}}, status)
    with Loopback(refused) as server:
        provider = llamacpp(server.url)
        assert await provider.warming().fingerprint("tiny") == ""
        assert await provider.warming().free_slot("tiny", 10) == 0
        await provider.aclose()


async def test_a_server_that_speaks_of_something_else():
    with Loopback(json_reply({"hello": 1}), json_reply([1])) as server:
        provider = llamacpp(server.url)
        assert await provider.warming().free_slot("tiny", 10) == 0
        with pytest.raises(ProviderError, match="no account"):
            await provider.warming().restore(ASKED, "f.slot", 0)
        assert await provider.warming().fingerprint("tiny") == ""
        await provider.aclose()


@pytest.mark.parametrize(
    ("rows", "held", "slot"),
    [
        ([(0, 0, False), (1, 500, False)], 501, 1),  # it is there already
        ([(0, 300, False), (1, 20, False)], 501, 1),  # the one with least in it
        ([(0, 500, True), (1, 900, False)], 500, 1),  # somebody is talking there
        ([(0, 9, True), (1, 5, True)], 0, 1),  # all are busy: it waits its turn
        ([(0, 3, False)], 0, 0),
        ([], 0, 0),
    ],
)
async def test_which_slot_is_taken(rows, held, slot):
    told = [{"id": i, "n_prompt_tokens": n, "is_processing": busy} for i, n, busy in rows]
    with Loopback(json_reply(told)) as server:
        provider = llamacpp(server.url)
        assert await provider.warming().free_slot("tiny", held) == slot
        await provider.aclose()


async def test_dropping_writes_the_emptied_slot_over_the_file():
    with Slots() as slots:
        provider = llamacpp(slots.url)
        warming = provider.warming()
        request = Request("tiny", ASKED.messages, options=Options(extra={"id_slot": 1}))
        made = await warming.save(request, "f.slot", 1)
        assert (made.tokens, made.slot) == (4, 1)
        assert slots.files["f.slot"] == ["user", "one", "two", "three"]
        assert slots.bodies[0]["max_tokens"] == 1  # read, not answered
        await warming.drop("tiny", "f.slot", 1)
        assert slots.files == {"f.slot": []}
        assert slots.held[1] == []
        await provider.aclose()


async def test_a_missing_file_is_an_error_that_says_what_to_do():
    with Slots() as slots:
        provider = llamacpp(slots.url)
        with pytest.raises(ProviderError) as raised:
            await provider.warming().restore(ASKED, "none.slot", 0)
        assert raised.value.status == 400
        assert "save() first" in raised.value.hint
        await provider.aclose()


async def test_ollama_keeps_the_model_with_the_window_of_the_talk():
    """Another num_ctx than that of the next request would load the model once more."""

    def answer(asked):
        if asked.path == "/api/show":
            return json_reply({"model_info": {"x.context_length": 16384}})
        return json_reply({"done": True})

    with Loopback(answer) as server:
        provider = HttpProvider(Endpoint(name="ollama", base_url=server.url), Ollama())
        warming = provider.warming()
        with_words = Request("tiny", ASKED.messages, system="Be kind.")
        assert (await warming.save(with_words, "", -1)).level is WarmLevel.KEEP
        await warming.restore(with_words, "", -1)
        await warming.drop("tiny", "", -1)
        bodies = [json.loads(a.body) for a in server.asked if a.path == "/api/chat"]
        assert [b["keep_alive"] for b in bodies] == ["30m", "30m", 0]
        sent = provider.dialect.encode(ASKED, provider.endpoint, await provider.profile("tiny"))
        for body in bodies:
            assert body["messages"] == []
            assert body["options"]["num_ctx"] == json.loads(sent.body)["options"]["num_ctx"]
        await provider.aclose()


async def test_a_hosted_one_refuses_and_says_what_it_does():
    provider = Catalog().provider("anthropic")
    warming = provider.warming()
    assert "five minutes" in warming.itself
    with pytest.raises(UsageError, match="caches prompts by itself"):
        await warming.save(ASKED, "", -1)
    with pytest.raises(UsageError):
        await warming.drop("tiny", "", -1)


# -- the real server ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    from support import tiny_gguf

    model = tmp_path_factory.mktemp("warm") / "tiny.gguf"
    tiny_gguf.write(model)
    with llama.serving(model) as server:
        yield server, model.parent


@pytest.mark.server
@pytest.mark.skipif(llama.may_skip(), reason=llama.missing() or "-")
async def test_the_real_server_reuses_what_it_reads_back_and_forgets_it(running):
    """Saved, pushed out of its slot by others, restored, verified, erased: nothing stays."""
    server, folder = running
    provider, heard = llamacpp(f"{server.address}/v1"), []
    talk = conversation(provider, model="tiny", options=Options(max_tokens=4))
    await talk.say("a secret about the sea " * 30, heard.append)
    saved = await talk.warm.save()
    assert saved.warmth.tokens > 500
    (file,) = folder.glob("*.slot")
    assert file.stat().st_size == saved.warmth.bytes
    warming = provider.warming()
    for slot in (0, 1):  # others talk
        words = Message.user("something else altogether " * 20)
        extra = {"id_slot": slot, "cache_prompt": True}
        other = Request("tiny", (words,), options=Options(max_tokens=1, extra=extra))
        await warming.save(other, f"other{slot}.bin", slot)
    restored = await talk.warm.restore()
    assert restored.warmth.tokens == saved.warmth.tokens
    await talk.say("and then", heard.append)
    told = [e.text for e in heard if isinstance(e, Notice) and e.text.startswith("resumed")]
    assert len(told) == 1
    usage = talk.session.last_answer.usage
    assert usage.cached >= saved.warmth.tokens * 0.9
    gone = await talk.warm.drop()
    assert "gone, here and on the server" in gone.said
    assert file.stat().st_size < 100  # a head, and no token
    await provider.aclose()
