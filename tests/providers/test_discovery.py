"""Looking round on this machine: who answers, within the limit, and nobody else is asked."""

import asyncio
import time

import pytest

from chinwag.providers.discovery import LocalServer, discover
from support.servers import HANG, Loopback, Reply, json_reply, ollama

MODELS = {"data": [{"id": "tiny"}, {"id": "small"}]}


def closed_port():
    with Loopback() as server:
        return server.url


@pytest.fixture
def nobody():
    """An environment in which no local server is where it would be looked for."""
    url = closed_port()
    names = ["LLAMACPP_BASE_URL", "LMSTUDIO_BASE_URL", "VLLM_BASE_URL", "OLLAMA_HOST"]
    return dict.fromkeys(names, url)


async def test_nobody_is_no_error(nobody):
    began = time.monotonic()
    assert await discover(nobody) == []
    assert time.monotonic() - began < 0.3


async def test_each_kind_is_found(nobody):
    def llama(asked):
        if asked.path == "/props":
            return json_reply({"default_generation_settings": {"n_ctx": 4096}})
        return json_reply(MODELS)

    with ollama() as one, Loopback(llama) as two, Loopback(json_reply(MODELS)) as three:
        env = {
            **nobody,
            "OLLAMA_HOST": f"127.0.0.1:{one.port}",
            "LLAMACPP_BASE_URL": two.url,
            "VLLM_BASE_URL": f"{three.url}/v1",
        }
        assert await discover(env, limit=2) == [
            LocalServer("ollama", one.url, ("qwen3:8b", "llama3.2:1b")),
            LocalServer("llamacpp", f"{two.url}/v1", ("tiny", "small"), 4096),
            LocalServer("vllm", f"{three.url}/v1", ("tiny", "small")),
        ]


async def test_who_is_slow_is_left_out(nobody):
    with Loopback(Reply([HANG], silent=True)) as slow, ollama() as quick:
        env = {**nobody, "VLLM_BASE_URL": slow.url, "OLLAMA_HOST": quick.url}
        began = time.monotonic()
        found = await discover(env, limit=0.2)
        assert time.monotonic() - began < 0.4
        assert [s.name for s in found] == ["ollama"]
        assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(
    "reply",
    [
        Reply([b"<html>"], content_type="text/html"),
        Reply([b"gone"], 404, framing="length"),
        Reply([b"not http"], silent=True, framing="close"),
        Reply([b"[1]"]),
        Reply([b'{"data": 3}']),
        Reply([b"\xff\xfe"], framing="close"),
        Reply([b"short"], framing="length", missing=9),
        Reply([], framing="length", missing=10**9),
    ],
)
async def test_something_else_on_the_port(nobody, reply):
    with Loopback(reply) as server:
        assert await discover({**nobody, "VLLM_BASE_URL": server.url}) == []


async def test_rows_without_models_and_bodies_in_pieces(nobody):
    with Loopback(Reply([b'{"da', b'ta": [{"id"', b': "a"}, {}, 3]}'])) as server:
        found = await discover({**nobody, "VLLM_BASE_URL": server.url})
        assert found == [LocalServer("vllm", f"{server.url}/v1", ("a",))]


async def test_only_this_machine_is_asked(nobody):
    """The guard of the test suite would raise for any other address."""
    env = {**nobody, "OLLAMA_HOST": "http://ollama.example:11434", "VLLM_BASE_URL": "nonsense"}
    assert await discover(env) == []
