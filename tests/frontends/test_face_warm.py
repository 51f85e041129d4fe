"""`chat.warm`: what a server has read is kept and read back, and the next answer shows it."""

from __future__ import annotations

import json

import pytest

from chinwag import Chat, ProviderError, UsageError
from chinwag.providers.warm import Level
from support import llama
from support.chats import achat, chat
from support.servers import Loopback, Reply, finish, json_reply, said, sse

SAVED = {"id_slot": 0, "n_saved": 40, "n_written": 4000, "timings": {"save_ms": 0.5}}
RESTORED = {"id_slot": 0, "n_restored": 40, "n_read": 4000, "timings": {"restore_ms": 0.25}}


def answering(*slots):
    """A llama.cpp that says "ok" and plays ``slots`` for what is asked of its slots."""
    waiting = list(slots)

    def answer(asked):
        if asked.path.startswith("/slots/"):
            return waiting.pop(0)
        if asked.path.endswith("/chat/completions"):
            return Reply(parts=sse(said("ok"), finish()))
        return json_reply({"default_generation_settings": {"n_ctx": 4096}})

    return answer


def talking(server, dialect="llamacpp", **more):
    return Chat("tiny", base_url=server.url, dialect=dialect, **more)


def test_saved_and_restored_in_a_slot():
    with (
        Loopback(answering(json_reply(SAVED), json_reply(RESTORED))) as server,
        talking(server) as made,
    ):
        assert made.warm.level is Level.SNAPSHOT
        made.send("hi")
        saved = made.warm.save(slot=1)
        assert (saved.tokens, saved.bytes, saved.milliseconds, saved.slot) == (40, 4000, 0.5, 1)
        assert made.warm.restore(slot=1).tokens == 40
        made.send("more")
        slots = [a for a in server.asked if a.path.startswith("/slots/")]
        assert [a.path for a in slots] == ["/slots/1?action=save", "/slots/1?action=restore"]
        assert {json.loads(a.body)["filename"] for a in slots} == {f"{made.id}.slot"}
        last = json.loads([a for a in server.asked if a.path.endswith("completions")][-1].body)
        assert (last["id_slot"], last["cache_prompt"]) == (1, True)
        assert made.count == 4  # asking it to read leaves no trace in the talk


@pytest.mark.parametrize(
    ("status", "message", "hint"),
    [
        (501, "This server does not support slots action.", "--slot-save-path"),
        (400, "Unable to restore slot", "save() first"),
    ],
)
def test_a_server_that_cannot(status, message, hint):
    refused = json_reply({"error": {"code": status, "message": message}}, status)
    with Loopback(answering(refused)) as server, talking(server) as made:
        made.send("hi")
        with pytest.raises(ProviderError) as raised:
            made.warm.restore()
        assert hint in raised.value.hint
        assert made.send("still here").text == "ok"


def test_a_name_is_an_id_and_a_slot_a_number():
    with Loopback(answering()) as server, talking(server) as made:
        made.send("hi")
        for name in ("../etc/passwd", "a/b", "..", "A"):
            with pytest.raises(UsageError, match="no session id"):
                made.warm.save(name)
        with pytest.raises(UsageError, match="no slot"):
            made.warm.save(slot=-1)
        assert not [a for a in server.asked if a.path.startswith("/slots")]


def test_who_keeps_nothing_says_so():
    made, _ = chat()
    with made:
        assert made.warm.level is Level.NONE
        made.send("hi")
        with pytest.raises(UsageError, match="nothing to keep warm"):
            made.warm.save()
    with Loopback(answering()) as server, talking(server, "openai") as made:
        assert made.warm.level is Level.HINT
        with pytest.raises(UsageError, match="caches prompts by itself") as raised:
            made.warm.restore()
        assert "cached" in raised.value.hint


def test_ollama_is_asked_to_stay():
    with Loopback(lambda asked: json_reply({"done": True})) as server:
        url = f"http://127.0.0.1:{server.port}"
        with Chat("ollama/tiny", base_url=url) as made:
            assert made.warm.level is Level.KEEP
            made.warm.restore()
        body = next(json.loads(a.body) for a in server.asked if a.path == "/api/chat")
        assert body == {"model": "tiny", "messages": [], "stream": False, "keep_alive": "30m"}


async def test_awaited():
    made, _ = achat()
    async with made:
        assert made.warm.level is Level.NONE
        with pytest.raises(UsageError):
            await made.warm.save()
        with pytest.raises(UsageError):
            await made.warm.restore()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    from support import tiny_gguf

    model = tmp_path_factory.mktemp("llama") / "tiny.gguf"
    tiny_gguf.write(model)
    with llama.serving(model) as running:
        yield running


@pytest.mark.server
@pytest.mark.skipif(llama.may_skip(), reason=llama.missing() or "-")
def test_the_real_server_reads_it_back(server, tmp_path):
    """After others have used its slot, a restored talk is read from there, not anew."""
    with Chat("tiny", base_url=f"{server.address}/v1", dialect="llamacpp", max_tokens=4) as one:
        one.send("hello " * 60)
        saved = one.warm.save(slot=1)
        assert saved.tokens > 60
        one.save(tmp_path / "t.json")
    with Chat("tiny", base_url=f"{server.address}/v1", dialect="llamacpp", max_tokens=4) as other:
        other.warm.restore(one.id, slot=1)
        other.send("something else altogether " * 30)
    address = f"{server.address}/v1"
    with Chat.load(tmp_path / "t.json", base_url=address, dialect="llamacpp") as again:
        restored = again.warm.restore(slot=1)
        assert restored.tokens == saved.tokens
        reply = again.send("more")
        assert reply.usage.cached >= saved.tokens * 0.9
        with pytest.raises(ProviderError) as raised:
            again.warm.restore("20200101-000000-nobody")
        assert "save() first" in raised.value.hint
