"""Real answers of real providers, against what the official clients make of them.

Whole, byte by byte, cut into any pieces, and broken off at every place: the same words in the
same order, and never an end that nobody said.
"""

import itertools
import random

import pytest

from chinwag.errors import ProviderError, StreamBroken
from chinwag.providers.dialects.anthropic import Anthropic
from chinwag.providers.dialects.ollama import Ollama
from chinwag.providers.dialects.openai import OpenAI
from chinwag.providers.failures import Where
from chinwag.providers.reading import Reading
from chinwag.talk.delta import Ended
from chinwag.talk.draft import Draft
from chinwag.talk.message import Call
from support import shared

WHERE = Where("p", "host")
OPENAI = [(name, OpenAI()) for name in shared.names("openai-chat")]
ANTHROPIC = [(name, Anthropic()) for name in shared.names("anthropic")]
OLLAMA = [(name, Ollama()) for name in shared.names("ollama-generate")]
ALL = [*OPENAI, *ANTHROPIC, *OLLAMA]
all_recordings = pytest.mark.parametrize(("name", "dialect"), ALL, ids=[n for n, _ in ALL])


def heard(dialect, pieces, *, broken=False):
    reading = Reading(dialect, WHERE)
    deltas = []
    for piece in pieces:
        deltas += reading.feed(piece)
        if reading.over:
            break
    else:
        deltas += reading.end(broken=broken)
    return deltas, reading


def drafted(deltas):
    draft = Draft()
    for delta in deltas:
        draft = draft.add(delta)
    return draft


def calls(draft):
    return [[p.name, p.arguments] for p in draft.parts() if isinstance(p, Call)]


@pytest.mark.parametrize(("name", "dialect"), OPENAI, ids=[n for n, _ in OPENAI])
def test_openai_agrees_with_the_official_client(name, dialect):
    expected = shared.load("wire/EXPECTED.json")[name]
    deltas, reading = heard(dialect, [shared.wire(name)])
    if "error" in expected:
        assert expected["error"].removeprefix("APIError: ") in reading.failure.message
        assert not reading.ended
        return
    draft = drafted(deltas)
    assert draft.text == expected["text"]
    assert draft.thinking == expected["thinking"]
    assert calls(draft) == [list(call) for call in expected["calls"]]
    assert draft.ended.raw == (expected["finish"] or "[DONE]")
    usage = expected["usage"]
    assert draft.usage.input == usage["prompt_tokens"]
    assert draft.usage.output == usage["completion_tokens"]
    details = usage.get("completion_tokens_details") or {}
    assert draft.usage.reasoning == details.get("reasoning_tokens")
    assert draft.usage.cost == usage.get("cost")
    assert reading.ended


@pytest.mark.parametrize(("name", "dialect"), ANTHROPIC, ids=[n for n, _ in ANTHROPIC])
def test_anthropic_agrees_with_the_official_client(name, dialect):
    expected = shared.load("wire/EXPECTED.json")[name]
    deltas, reading = heard(dialect, [shared.wire(name)])
    draft = drafted(deltas)
    assert draft.text == expected["text"]
    assert draft.thinking == expected["thinking"]
    assert [name for name, _ in calls(draft)] == [name for name, _ in expected["calls"]]
    assert draft.ended.raw == expected["finish"]
    usage = expected["usage"]
    assert draft.usage.output == usage["output_tokens"]
    cached = usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"]
    assert draft.usage.input == usage["input_tokens"] + cached
    assert reading.ended


def test_anthropic_keeps_redacted_thinking_apart():
    deltas, _ = heard(Anthropic(), [shared.wire("anthropic-thinking-redacted.sse")])
    redacted = [p.redacted for p in drafted(deltas).parts("p/m") if getattr(p, "redacted", "")]
    assert len(redacted) == 2


def test_ollama_generate():
    shared.need(shared.DATA / "wire" / "INDEX.json")
    deltas, reading = heard(Ollama(), [shared.wire(OLLAMA[0][0])])
    draft = drafted(deltas)
    assert draft.text == "Fluffy, hoppy, twitchy."
    assert (draft.usage.input, draft.usage.output) == (11, 11)
    assert reading.ended


@all_recordings
def test_pieces_change_nothing(name, dialect):
    stream = shared.wire(name)
    whole, at_once = heard(dialect, [stream])
    single, one_by_one = heard(dialect, [stream[i : i + 1] for i in range(len(stream))])
    assert single == whole
    assert (one_by_one.ended, type(one_by_one.failure)) == (at_once.ended, type(at_once.failure))
    draw = random.Random(name)
    for _ in range(3):
        edges = [0, *sorted(draw.sample(range(len(stream)), 9)), len(stream)]
        pieces = [stream[a:b] for a, b in itertools.pairwise(edges)]
        assert heard(dialect, pieces)[0] == whole


@all_recordings
def test_a_cut_anywhere_is_seen(name, dialect):
    stream = shared.wire(name)
    whole, _ = heard(dialect, [stream])
    words = drafted(whole)
    safe_from = _complete_from(name, stream)
    step = max(1, len(stream) // 60)
    # Every place of the end, where the signs are, and samples of the long middle.
    places = {*range(0, len(stream), step), *range(max(0, len(stream) - 100), len(stream))}
    for place in sorted(places):
        for broken in (False, True):
            deltas, reading = heard(dialect, [stream[:place]], broken=broken)
            draft = drafted(deltas)
            assert words.text.startswith(draft.text)
            assert words.thinking.startswith(draft.thinking)
            assert reading.ended == (draft.ended is not None)
            assert reading.ended != (reading.failure is not None)
            if reading.ended:
                assert place >= safe_from
                assert draft.text == words.text
                assert calls(draft) == calls(words)
            else:
                assert isinstance(reading.failure, ProviderError)


def _complete_from(name, stream):
    """The first byte at which the server has said that this is the end."""
    if name.startswith("anthropic"):
        return stream.index(b'"message_stop"')
    if name.startswith("ollama"):
        return stream.index(b'"done":true')
    reasons = [
        found
        for reason in (b"stop", b"length", b"tool_calls")
        for key in (b'"finish_reason":"', b'"finish_reason": "')
        if (found := stream.find(key + reason + b'"')) >= 0
    ]
    return min(reasons, default=stream.rfind(b"[DONE]"))


@all_recordings
def test_nothing_is_said_after_the_end(name, dialect):
    deltas, _ = heard(dialect, [shared.wire(name)])
    assert not any(isinstance(d, Ended) for d in deltas[:-1])


def test_a_cut_says_that_it_was_one():
    _, reading = heard(OpenAI(), [b'data: {"choices":[{"delta":{"content":"Hel"}}]}\n\n'])
    assert isinstance(reading.failure, StreamBroken)
    assert "cut off" in reading.failure.message
