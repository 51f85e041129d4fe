"""The transport on real sockets: every way an answer can go wrong, and what is left behind."""

import asyncio
import gzip
import os
import subprocess
import sys
import time

import pytest

from chinwag.errors import (
    BadRequest,
    ConfigError,
    KeyMissing,
    KeyRefused,
    ModelUnknown,
    Overloaded,
    ProviderError,
    RateLimited,
    StreamBroken,
    Unreachable,
)
from chinwag.providers.base import Profile, Request
from chinwag.providers.dialects.anthropic import Anthropic
from chinwag.providers.dialects.base import Endpoint
from chinwag.providers.dialects.llamacpp import LlamaCpp
from chinwag.providers.dialects.ollama import Ollama
from chinwag.providers.dialects.openai import OpenAI
from chinwag.providers.http import HttpProvider
from chinwag.providers.retry import with_retries
from chinwag.talk.delta import Ended, Stop, TextDelta, UsageDelta
from chinwag.talk.draft import Draft
from chinwag.talk.message import Message
from support.servers import HANG, RESET, Loopback, Reply, finish, json_reply, said, sse

ASKED = Request("m", (Message.user("hi"),))
HELLO = sse(said("Hel"), said("lo"), finish())
KEY = "sk-only-in-a-header"


def provider(server, dialect=None, **more):
    url = server if isinstance(server, str) else f"{server.url}/v1"
    settings = {"name": "lab", "base_url": url, **more}
    return HttpProvider(Endpoint(**settings), dialect or OpenAI())


async def drafted(stream):
    draft = Draft()
    error = None
    try:
        async for delta in stream:
            draft = draft.add(delta)
    except (ProviderError, ConfigError) as raised:
        error = raised
    return draft, error


async def told(*replies, asked=ASKED, dialect=None, **more):
    """(draft, error) of one question to a server that plays ``replies``."""
    with Loopback(*replies) as server:
        there = provider(server, dialect, **more)
        try:
            return await drafted(there.stream(asked))
        finally:
            await there.aclose()


async def test_a_whole_answer():
    draft, error = await told(Reply(HELLO))
    assert error is None
    assert draft.text == "Hello"
    assert draft.ended == Ended(Stop.END, "stop")


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
async def test_every_framing(framing):
    draft, error = await told(Reply(HELLO, framing=framing))
    assert (draft.text, error) == ("Hello", None)


@pytest.mark.parametrize(
    ("reply", "text", "words"),
    [
        (Reply(HELLO[:1]), "Hel", "cut off"),  # a clean end without the terminal sign
        (Reply(HELLO[:1], cut=True), "Hel", "cut off"),
        (Reply(HELLO[:1], framing="close"), "Hel", "cut off"),
        (Reply(HELLO[:1], framing="length", missing=99), "Hel", "cut off"),
        (Reply([HELLO[0], RESET]), "Hel", "cut off"),
        (Reply([HELLO[0], HELLO[1][:-9]]), "Hel", "no piece of an answer"),
        (Reply(), "", "answered nothing"),
        (Reply([b"\n\n"]), "", "answered nothing"),
        (Reply([b"<html><title>Log in</title>"], content_type="text/html"), "", "“Log in”"),
        (Reply([b"\n <!doctype html>"]), "", "web page"),
        (Reply([b"just words"], content_type="text/plain"), "", "cut off"),
        (Reply([b"data: nonsense\n\n"]), "", "no piece of an answer"),
        (Reply([HELLO[0], b'data: {"error":{"message":"boom"}}\n\n']), "Hel", "boom"),
        (Reply([HELLO[0] + b'data: {"error":{"message":"boom"}}\n\n']), "Hel", "boom"),
    ],
)
async def test_broken_answers_keep_what_was_heard(reply, text, words):
    draft, error = await told(reply)
    assert isinstance(error, StreamBroken)
    assert words in error.message
    assert error.hint
    assert draft.text == text
    assert draft.ended is None


async def test_lost_after_the_reason_is_complete():
    draft, error = await told(Reply([*HELLO[:3], RESET]))
    assert (draft.text, error) == ("Hello", None)
    assert draft.ended is not None


async def test_one_json_object_where_a_stream_was_asked():
    whole = {
        "model": "m",
        "choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1},
    }
    draft, error = await told(json_reply(whole))
    assert (draft.text, error) == ("Hello", None)
    assert draft.usage.input == 3


async def test_one_json_error_with_status_200():
    draft, error = await told(json_reply({"error": {"message": "no", "code": 429}}))
    assert isinstance(error, RateLimited)
    assert draft.is_empty


async def test_a_stream_called_json():
    draft, error = await told(Reply(HELLO, content_type="application/json"))
    assert (draft.text, error) == ("Hello", None)


async def test_a_stream_packed_though_it_was_not_asked_for():
    packed = gzip.compress(b"".join(HELLO))
    reply = Reply([packed], headers={"Content-Encoding": "gzip"})
    draft, error = await told(reply)
    assert (draft.text, error) == ("Hello", None)


async def test_split_characters_and_surrogates():
    stream = "".join(
        ['data: {"choices":[{"delta":{"content":"é\u2028☃"}}]}\n\n']
        + [
            f'data: {{"choices":[{{"delta":{{"content":"{h}"}}}}]}}\n\n'
            for h in (r"\ud83d", r"\ude00")
        ]
    ).encode() + b"".join(HELLO[2:])
    pieces = [stream[i : i + 7] for i in range(0, len(stream), 7)]
    draft, error = await told(Reply(pieces))
    assert (draft.text, error) == ("é\u2028☃😀", None)


async def test_heartbeats_do_not_feed_the_timer():
    beats = [part for _ in range(40) for part in (b": still here\n\n", 0.05)]
    began = time.monotonic()
    draft, error = await told(Reply([HELLO[0], *beats]), stall=0.3, first_byte=0.3)
    assert isinstance(error, StreamBroken)
    assert "0.3 s" in error.message
    assert draft.text == "Hel"
    assert time.monotonic() - began < 1.5


async def test_content_feeds_the_timer():
    slow = [part for piece in HELLO for part in (0.15, piece)]
    draft, error = await told(Reply(slow), stall=0.3, first_byte=0.3)
    assert (draft.text, error) == ("Hello", None)


async def test_a_slow_reader_is_no_stall():
    with Loopback(Reply([HELLO[0], 0.3, *HELLO[1:]])) as server:
        there = provider(server, stall=0.2, first_byte=0.2)
        text = ""
        async for delta in there.stream(ASKED):
            if isinstance(delta, TextDelta):
                text += delta.text
                await asyncio.sleep(0.4)
        await there.aclose()
    assert text == "Hello"


async def test_a_thousand_events_without_a_word():
    silent = sse(*[{"choices": [{"delta": {"content": ""}}]}] * 1100, done=False)
    _draft, error = await told(Reply([b"".join(silent), HANG]))
    assert isinstance(error, StreamBroken)
    assert "without a word" in error.message


async def test_an_endless_line():
    _draft, error = await told(Reply([b"data: ", *[b"x" * 1_000_000] * 5, HANG]))
    assert isinstance(error, StreamBroken)
    assert "4 MB" in error.message


async def test_no_answer_in_time():
    _draft, error = await told(Reply([HANG], silent=True), first_byte=0.2, connect=0.1)
    assert isinstance(error, Unreachable)
    assert "has not begun to answer" in error.message
    assert not error.may_retry


async def test_nobody_listens():
    with Loopback() as server:
        url = server.url
    there = provider(f"{url}/v1")
    _, error = await drafted(there.stream(ASKED))
    assert isinstance(error, Unreachable)
    assert "refuses connections" in error.message
    assert error.endpoint in error.message
    assert "is the server running?" in error.hint
    assert error.may_retry


async def test_hung_up_without_an_answer():
    _draft, error = await told(Reply([RESET], silent=True))
    assert isinstance(error, Unreachable)
    assert error.may_retry


async def test_garbage_instead_of_http():
    _draft, error = await told(Reply([b"SSH-2.0-x\r\n"], silent=True, framing="close"))
    assert isinstance(error, Unreachable)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (json_reply({"error": {"message": "no"}}, 401), KeyRefused),
        (json_reply({"error": {"code": "model_not_found"}}, 404), ModelUnknown),
        (Reply([b"<html>Bad gateway</html>"], 502, "text/html"), Overloaded),
        (Reply([b"half"], 500, "text/plain", framing="length", missing=50), Overloaded),
        (json_reply({}, 429, retry_after="7"), RateLimited),
        (
            Reply([], 302, headers={"Location": "http://127.0.0.1:1/x"}, framing="length"),
            BadRequest,
        ),
    ],
)
async def test_statuses(reply, kind):
    _draft, error = await told(reply)
    assert type(error) is kind
    assert error.model == "m"
    if kind is RateLimited:
        assert error.wait == 7.0


async def test_retried_on_real_sockets_until_it_speaks():
    waits = []
    with Loopback(
        Reply([RESET], silent=True), json_reply({}, 503, retry_after="0"), Reply(HELLO)
    ) as server:
        there = provider(server)
        stream = with_retries(
            lambda: there.stream(ASKED), lambda *said: waits.append(said), rnd=lambda: 0.01
        )
        draft, error = await drafted(stream)
        await there.aclose()
        assert (draft.text, error) == ("Hello", None)
        assert len(waits) == 2
        assert len(server.asked) == 3


async def test_the_connection_is_kept_warm():
    with Loopback(Reply(HELLO)) as server:
        there = provider(server)
        for _ in range(3):
            assert (await drafted(there.stream(ASKED)))[0].text == "Hello"
        assert server.connections == 1
        await there.aclose()
        assert server.wait_until(lambda: server.open_connections == 0)


async def test_leaving_closes_the_connection_at_once():
    with Loopback(Reply([HELLO[0], HANG])) as server:
        there = provider(server)
        stream = there.stream(ASKED)
        assert (await anext(stream)) == TextDelta("Hel")
        began = time.monotonic()
        await stream.aclose()
        assert await asyncio.to_thread(server.wait_until, lambda: server.left == 1)
        assert time.monotonic() - began < 0.2
        assert await nothing_left()
        await there.aclose()


@pytest.mark.parametrize("reply", [Reply([HELLO[0], HANG]), Reply([HANG], silent=True)])
async def test_cancelling_closes_the_connection_at_once(reply):
    """While waiting for a word, and while waiting for the headers."""
    with Loopback(reply) as server:
        there = provider(server)
        task = asyncio.ensure_future(drafted(there.stream(ASKED)))
        await asyncio.to_thread(server.wait_until, lambda: len(server.asked) == 1)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(server.wait_until, lambda: server.left == 1, 0.5)
        assert await nothing_left()
        server.replies[:] = [Reply(HELLO)]
        assert (await drafted(there.stream(ASKED)))[0].text == "Hello"
        await there.aclose()


async def nothing_left():
    """No task but the test's own is alive, once the loop has gone round a few times."""
    await asyncio.sleep(0.02)
    return asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_stop_from_outside_is_no_stall():
    """A time limit around the whole goes through as what it is."""
    with Loopback(Reply([HELLO[0], HANG])) as server:
        there = provider(server)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await drafted(there.stream(ASKED))
        await there.aclose()


async def test_the_key_travels_in_a_header_only():
    with Loopback(Reply(HELLO), json_reply({"error": {"message": f"bad {KEY}"}}, 401)) as server:
        there = provider(server, key=lambda: f" {KEY}\n")
        await drafted(there.stream(ASKED))
        asked = server.asked[0]
        assert asked.headers["authorization"] == f"Bearer {KEY}"
        assert KEY not in asked.path
        assert KEY.encode() not in asked.body
        _, error = await drafted(there.stream(ASKED))
        assert isinstance(error, KeyRefused)
        assert KEY not in f"{error!r} {error.message} {error.hint} {there!r}"
        await there.aclose()


async def test_a_refused_key_is_looked_up_again():
    keys = iter(["sk-old", "sk-new"])
    with Loopback(json_reply({}, 401), Reply(HELLO)) as server:
        there = provider(server, key=lambda: next(keys))
        await drafted(there.stream(ASKED))
        await drafted(there.stream(ASKED))
        assert server.asked[1].headers["authorization"] == "Bearer sk-new"
        await there.aclose()


async def test_no_key_where_one_is_needed():
    there = provider("https://api.example.com", needs_key=True, key_hint="set LAB_KEY")
    _, error = await drafted(there.stream(ASKED))
    assert isinstance(error, KeyMissing)
    assert error.hint == "set LAB_KEY"


async def test_a_key_never_goes_unencrypted_to_another_machine():
    there = provider("http://lab.example.com/v1", key=lambda: KEY)
    _, error = await drafted(there.stream(ASKED))
    assert isinstance(error, ConfigError)
    assert KEY not in error.message
    assert "https" in error.hint


async def test_a_key_goes_over_plain_http_where_the_configuration_says_so():
    there = provider("http://lab.invalid/v1", key=lambda: KEY, insecure=True)
    with pytest.raises(BaseException, match=r"wanted to reach .*lab\.invalid"):  # it was let go
        await drafted(there.stream(ASKED))


@pytest.mark.parametrize("key", ["sk-é", "a\nb", "sk-\u200b1"])
async def test_a_key_no_header_can_carry(key):
    there = provider("http://127.0.0.1:9/v1", key=lambda: key)
    _, error = await drafted(there.stream(ASKED))
    assert isinstance(error, ConfigError)
    assert key not in error.message


async def test_no_redirect_is_followed():
    with Loopback(Reply(HELLO)) as other:
        away = Reply([], 307, headers={"Location": f"{other.url}/v1"}, framing="length")
        _, error = await told(away, key=lambda: KEY)
        assert isinstance(error, BadRequest)
        assert other.url in error.message
        assert other.asked == []


async def test_loopback_is_never_asked_through_a_proxy(monkeypatch):
    with Loopback(Reply(HELLO)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        draft, error = await told(Reply(HELLO))
        assert (draft.text, error) == ("Hello", None)
        assert proxy.asked == []


async def test_requests_ask_for_plain_bytes():
    with Loopback(Reply(HELLO)) as server:
        there = provider(server, headers={"x-lab": "1"})
        await drafted(there.stream(ASKED))
        await there.aclose()
        headers = server.asked[0].headers
    assert headers["accept-encoding"] == "identity"
    assert headers["content-type"] == "application/json"
    assert headers["x-lab"] == "1"


async def test_models_are_remembered_for_near_names():
    models = json_reply({"data": [{"id": "bench-large", "context_length": 4096}]})
    missing = json_reply({"error": {"code": "model_not_found"}}, 404)
    with Loopback(models, missing) as server:
        there = provider(server)
        found = await there.models()
        assert [(m.provider, m.name, m.profile.window) for m in found] == [
            ("lab", "bench-large", 4096)
        ]
        _, error = await drafted(there.stream(Request("bench-lrge", ASKED.messages)))
        assert error.near == ("bench-large",)
        await there.aclose()


async def test_profiles():
    with Loopback(json_reply({"default_generation_settings": {"n_ctx": 8192}})) as server:
        there = provider(server, LlamaCpp())
        assert (await there.profile("m")).window == 8192
        assert (await there.profile("m")).window == 8192
        assert [a.path for a in server.asked] == ["/props"]
        await there.aclose()
    with Loopback(json_reply({"error": "not found"}, 404)) as server:
        there = provider(server, LlamaCpp())
        assert await there.profile("m") == Profile()
        await there.aclose()
    with Loopback(json_reply({"model_info": {"qwen3.context_length": 131072}})) as server:
        there = provider(server.url, Ollama(), window=65536)
        assert (await there.profile("m")).window == 65536
        await drafted(there.stream(ASKED))
        assert server.asked[-1].json["options"] == {"num_ctx": 65536}
        await there.aclose()


async def test_anthropic_and_ollama_over_the_wire():
    events = [
        {"type": "message_start", "message": {"usage": {"input_tokens": 1}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "message_stop"},
    ]
    draft, error = await told(Reply(sse(*events, done=False)), dialect=Anthropic())
    assert (draft.text, error) == ("Hi", None)
    lines = [b'{"message":{"content":"Hi"}}\n', b'{"done":true,"eval_count":1}']
    draft, error = await told(Reply(lines, content_type="application/x-ndjson"), dialect=Ollama())
    assert (draft.text, error) == ("Hi", None)
    draft, error = await told(Reply(lines[:1]), dialect=Ollama())
    assert isinstance(error, StreamBroken)
    draft, error = await told(Reply([b"<html></html>"]), dialect=Ollama())
    assert "web page" in error.message


async def test_usage_after_the_reason_is_heard_before_the_end():
    usage = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}
    with Loopback(Reply([*HELLO[:3], 0.05, *sse(usage)])) as server:
        there = provider(server)
        deltas = [d async for d in there.stream(ASKED)]
        await there.aclose()
    assert isinstance(deltas[-1], Ended)
    assert isinstance(deltas[-2], UsageDelta)


def test_httpx_comes_without_its_command_line():
    """In a fresh process: nothing is imported before it is needed, and click never."""
    code = (
        "import sys, chinwag.providers.http as h, chinwag.providers.catalog\n"
        "assert 'httpx' not in sys.modules\n"
        "h.prepare(tls=False)\n"
        "assert 'httpx' in sys.modules and 'click' not in sys.modules\n"
        "assert 'rich' not in sys.modules and 'httpx._main' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=False
    )
    assert done.returncode == 0, done.stderr


async def test_after_a_sleep_the_connection_is_made_anew(monkeypatch):
    """The wall clock ran ahead of the monotonic one: whatever was open is dead by now."""
    with Loopback(Reply(HELLO)) as server:
        there = provider(server)
        await drafted(there.stream(ASKED))
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + 60)
        draft, error = await drafted(there.stream(ASKED))
        assert (draft.text, error) == ("Hello", None)
        assert server.connections == 2
        await there.aclose()


def test_a_provider_serves_one_loop_after_another():
    with Loopback(Reply(HELLO)) as server:
        there = provider(server)

        async def once():
            draft, _ = await drafted(there.stream(ASKED))
            await there.aclose()
            return draft.text

        assert [asyncio.run(once()) for _ in range(2)] == ["Hello", "Hello"]
