"""What the many servers do differently, one small case each."""

import json

import msgspec
import pytest

from chinwag.errors import BadRequest, Overloaded, StreamBroken
from chinwag.providers.base import Request
from chinwag.providers.dialects.anthropic import Anthropic
from chinwag.providers.dialects.base import Endpoint
from chinwag.providers.dialects.llamacpp import LlamaCpp
from chinwag.providers.dialects.ollama import Ollama
from chinwag.providers.dialects.openai import OpenAI
from chinwag.providers.failures import Where
from chinwag.providers.reading import Reading
from chinwag.talk.delta import Stop
from chinwag.talk.draft import Draft
from chinwag.talk.message import Call, Message, Role, Text, Thinking
from chinwag.talk.usage import Usage

LAB = Endpoint(name="lab", base_url="http://127.0.0.1:9100/v1")
END = {"choices": [{"delta": {}, "finish_reason": "stop"}]}


def read(dialect, *events):
    reading = Reading(dialect, Where("p", "host"))
    mark = b"" if dialect.framing == "json-lines" else b"data: "
    texts = [e.encode() if isinstance(e, str) else json.dumps(e).encode() for e in events]
    draft = Draft()
    stream = b"".join(mark + text + b"\n\n" for text in texts)
    for delta in [*reading.feed(stream), *([] if reading.over else reading.end())]:
        draft = draft.add(delta)
    return draft, reading.failure


def delta(**fields):
    return {"choices": [{"index": 0, "delta": fields}]}


def calls(draft):
    return [(p.id, p.name, p.arguments) for p in draft.parts() if isinstance(p, Call)]


def test_null_content_and_null_everything():
    chunk = {"choices": [{"delta": {"content": None, "tool_calls": None}, "finish_reason": None}]}
    empty = {"choices": None, "usage": None, "model": None}
    draft, failure = read(OpenAI(), chunk, empty, {"choices": [{"delta": None}]}, END)
    assert failure is None
    assert draft.is_empty


def test_an_empty_finish_reason_is_none():
    chunk = {"choices": [{"delta": {"content": "a"}, "finish_reason": ""}]}
    _, failure = read(OpenAI(), chunk)
    assert isinstance(failure, StreamBroken)


def test_done_without_a_reason_is_complete():
    draft, failure = read(OpenAI(), delta(content="a"), "[DONE]")
    assert failure is None
    assert (draft.ended.stop, draft.ended.raw) == (Stop.END, "[DONE]")


def test_neither_is_cut():
    draft, failure = read(OpenAI(), delta(content="a"))
    assert isinstance(failure, StreamBroken)
    assert draft.ended is None


def test_nothing_after_done_is_read():
    draft, _ = read(OpenAI(), delta(content="a"), "[DONE]", delta(content="b"))
    assert draft.text == "a"


def test_an_error_beside_choices_is_raised():
    chunk = {"error": {"code": 502, "message": "upstream"}, **delta(content="")}
    draft, failure = read(OpenAI(), delta(content="a"), chunk)
    assert isinstance(failure, Overloaded)
    assert draft.text == "a"


def test_content_as_parts_and_thinking_in_both_spellings():
    draft, _ = read(
        OpenAI(),
        delta(reasoning_content="a"),
        delta(reasoning="b"),
        delta(content=[{"type": "thinking", "thinking": "c"}, {"type": "text", "text": "d"}, "e"]),
        END,
    )
    assert (draft.thinking, draft.text) == ("abc", "de")


ROUTER = Endpoint(name="openrouter", base_url="https://openrouter.ai/api/v1")


def sent_back(parts):
    """What of an answer goes back to OpenRouter as its reasoning."""
    said = tuple(msgspec.structs.replace(p, source="openrouter/m") for p in parts)
    talk = (Message.user("a"), Message(Role.ASSISTANT, (*said, Text("b"))), Message.user("c"))
    body = json.loads(OpenAI().encode(Request("m", talk), ROUTER).body)
    return body["messages"][1].get("reasoning_details")


def test_details_of_reasoning_carry_signatures():
    detail = {"type": "reasoning.text", "text": "", "signature": "sig"}
    sealed = {"type": "reasoning.encrypted", "data": "xyz"}
    draft, _ = read(
        OpenAI(),
        delta(reasoning="a", reasoning_details=[{"text": "a"}]),
        delta(reasoning_details=[detail, sealed, "?"]),
        END,
    )
    signed, hidden = draft.parts("p/m")
    assert (signed.text, signed.signature, signed.redacted) == ("a", "sig", "")
    assert (hidden.text, hidden.redacted) == ("", "xyz")
    assert sent_back((signed, hidden)) == [{**detail, "text": "a"}, sealed]


def test_two_entries_of_one_number_are_not_joined():
    one = {"type": "reasoning.text", "index": 0, "format": "anthropic-claude-v1"}
    draft, _ = read(
        OpenAI(),
        delta(reasoning="a", reasoning_details=[{**one, "text": "a"}]),
        delta(reasoning="b", reasoning_details=[{**one, "text": "b"}]),
        delta(reasoning_details=[{**one, "signature": "first"}]),
        delta(reasoning="c", reasoning_details=[{**one, "text": "c"}]),
        delta(reasoning_details=[{**one, "signature": "second"}]),
        delta(content="said"),
        END,
    )
    assert draft.thinking == "abc"
    assert sent_back(p for p in draft.parts() if isinstance(p, Thinking)) == [
        {**one, "text": "ab", "signature": "first"},
        {**one, "text": "c", "signature": "second"},
    ]


def test_entries_of_every_kind_go_back_as_they_came():
    entries = [
        {"type": "reasoning.summary", "summary": "In short.", "index": 0, "id": "rs_1"},
        {"type": "reasoning.encrypted", "data": "one", "index": 0, "id": "rs_1", "format": "x-v1"},
        {"type": "reasoning.encrypted", "data": "two", "index": 0, "id": "rs_2", "format": "x-v1"},
        {"type": "reasoning.text", "text": "aloud", "index": 1, "format": "y-v1"},
    ]
    for told in ({}, {"reasoning": "In short."}):
        chunks = [delta(reasoning_details=[e], **(told if "summary" in e else {})) for e in entries]
        draft, _ = read(OpenAI(), *chunks, END)
        assert draft.thinking == "In short.aloud"
        assert sent_back(draft.parts()) == entries


def test_plain_thinking_goes_back_only_in_the_middle_of_calls():
    draft, _ = read(OpenAI(), delta(reasoning="hm", reasoning_details=[{"text": "hm"}]), END)
    assert sent_back(draft.parts()) is None
    assert sent_back((*draft.parts(), Call("i", "f"))) == [{"type": "reasoning.text", "text": "hm"}]


def test_words_beside_an_error_are_heard():
    both = {**delta(content="Hel"), "error": {"message": "upstream died", "code": 502}}
    draft, failure = read(OpenAI(), both, delta(content="never"))
    assert draft.text == "Hel"
    assert "upstream died" in failure.message
    with pytest.raises(Overloaded, match="upstream died"):
        OpenAI().read_whole(json.dumps(both).encode(), Where("p", "host"))


def piece(index=None, named=None, name=None, arguments=None):
    function = {"name": name, "arguments": arguments}
    return {"index": index, "id": named, "type": "function", "function": function}


@pytest.mark.parametrize(
    "pieces",
    [
        [piece(0, "a", "f", ""), piece(0, None, None, '{"x":'), piece(0, None, None, "1}")],
        [piece(0, "a", "f", '{"x":'), piece(0, "a", "f", "1}")],
        [piece(None, "a", "f", '{"x":1}')],
        [piece(0, "a", "f", {"x": 1})],
    ],
)
def test_one_call_however_it_is_cut(pieces):
    draft, _ = read(OpenAI(), *(delta(tool_calls=[p]) for p in pieces), END)
    assert [(i, n, json.loads(a)) for i, n, a in calls(draft)] == [("a", "f", {"x": 1})]
    assert draft.ended.stop is Stop.TOOLS


@pytest.mark.parametrize("indexes", [(0, 1), (0, 0), (None, None)])
def test_two_calls_whatever_their_numbers(indexes):
    one, two = indexes
    draft, _ = read(
        OpenAI(),
        delta(tool_calls=[piece(one, "a", "f", "{}")]),
        delta(tool_calls=[piece(two, "b", "g", '{"y":')]),
        delta(tool_calls=[piece(two, None, None, "2}")]),
        END,
    )
    assert calls(draft) == [("a", "f", "{}"), ("b", "g", '{"y":2}')]


def test_a_call_without_an_id_gets_one():
    draft, _ = read(OpenAI(), delta(tool_calls=[piece(0, None, "f", "{}")]), END)
    assert calls(draft)[0][0]


def test_googles_signature_of_a_call_goes_back():
    call = {**piece(0, "a", "f", "{}"), "extra_content": {"google": {"thought_signature": "s"}}}
    draft, _ = read(OpenAI(), delta(tool_calls=[call]), END)
    assert draft.parts()[0].signature == "s"


@pytest.mark.parametrize(
    ("chunk", "usage"),
    [
        ({"usage": {"prompt_tokens": 5, "completion_tokens": 2}}, Usage(5, 2)),
        ({"x_groq": {"usage": {"prompt_tokens": 5, "completion_tokens": 2}}}, Usage(5, 2)),
        ({"timings": {"cache_n": 4}}, Usage(cached=4)),
        ({"usage": {"prompt_tokens": 5, "prompt_cache_hit_tokens": 3}}, Usage(5, cached=3)),
        (
            # thinking counted in the total only
            {"usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 17}},
            Usage(5, 12),
        ),
        ({"usage": {"prompt_tokens": "many", "cost": "free"}}, Usage()),
    ],
)
def test_usage(chunk, usage):
    draft, failure = read(OpenAI(), delta(content="a"), {"choices": [], **chunk}, END)
    assert failure is None
    assert draft.usage == usage


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("stop", Stop.END),
        ("length", Stop.LENGTH),
        ("content_filter", Stop.FILTER),
        ("something new", Stop.END),
    ],
)
def test_reasons(reason, stop):
    draft, _ = read(OpenAI(), {"choices": [{"delta": {}, "finish_reason": reason}]})
    assert (draft.ended.stop, draft.ended.raw) == (stop, reason)


def test_a_refusal_is_an_answer():
    draft, failure = read(OpenAI(), delta(refusal="I will not."), END)
    assert failure is None
    assert (draft.text, draft.ended.stop) == ("I will not.", Stop.REFUSAL)


def test_a_second_choice_is_nobodys():
    other = {"choices": [{"index": 1, "delta": {"content": "x"}, "finish_reason": "length"}]}
    draft, _ = read(OpenAI(), delta(content="a"), other, END)
    assert (draft.text, draft.ended.stop) == ("a", Stop.END)


def test_bad_utf8_is_replaced():
    reading = Reading(OpenAI(), Where("p", "h"))
    said = reading.feed(b'data: {"choices":[{"delta":{"content":"a\xffb"}}]}\n\n')
    assert said[0].text == "a\ufffdb"


def test_whole_answers():
    message = {"content": "a", "tool_calls": [piece(None, "i", "f", "{}")]}
    draft, failure = read_whole(OpenAI(), {"choices": [{"message": message}], "model": "m"})
    assert failure is None
    assert (draft.text, draft.served_by.model) == ("a", "m")
    assert draft.ended.stop is Stop.TOOLS
    _, failure = read_whole(OpenAI(), {"hello": "world"})
    assert isinstance(failure, StreamBroken)
    blocks = [
        {"type": "thinking", "thinking": "t", "signature": "s"},
        {"type": "text", "text": "a"},
        {"type": "tool_use", "id": "i", "name": "f", "input": {"x": 1}},
    ]
    whole = {"content": blocks, "stop_reason": "tool_use", "usage": {"input_tokens": 3}}
    draft, failure = read_whole(Anthropic(), whole)
    assert failure is None
    assert (draft.thinking, draft.text, calls(draft)) == ("t", "a", [("i", "f", '{"x":1}')])
    assert draft.usage.input == 3
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}
    _, failure = read_whole(Anthropic(), error)
    assert isinstance(failure, BadRequest)
    _, failure = read_whole(Anthropic(), {"content": []})
    assert isinstance(failure, StreamBroken)


def read_whole(dialect, value):
    reading = Reading(dialect, Where("p", "h"))
    draft = Draft()
    for heard in [*reading.feed(json.dumps(value, indent=1).encode()), *reading.end()]:
        draft = draft.add(heard)
    return draft, reading.failure


def test_anthropic_counts_the_whole_prompt():
    usage = {
        "input_tokens": 100,
        "cache_read_input_tokens": 1000,
        "cache_creation_input_tokens": 10,
        "output_tokens": 1,
    }
    start = {"type": "message_start", "message": {"model": "m", "usage": usage}}
    later = {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}}
    later["usage"] = {"output_tokens": 9}
    draft, failure = read(Anthropic(), start, {"type": "ping"}, later, {"type": "message_stop"})
    assert failure is None
    assert draft.usage == Usage(1110, 9, 1000, 10)
    assert draft.ended.stop is Stop.LENGTH


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("end_turn", Stop.END),
        ("tool_use", Stop.TOOLS),
        ("refusal", Stop.REFUSAL),
        ("pause_turn", Stop.PAUSE),
        ("model_context_window_exceeded", Stop.LENGTH),
    ],
)
def test_anthropic_reasons(reason, stop):
    ending = {"type": "message_delta", "delta": {"stop_reason": reason}}
    draft, _ = read(Anthropic(), ending, {"type": "message_stop"})
    assert draft.ended.stop is stop


def test_anthropic_without_its_stop_is_cut():
    _, failure = read(Anthropic(), {"type": "message_delta", "delta": {"stop_reason": "end_turn"}})
    assert isinstance(failure, StreamBroken)


def test_anthropic_error_event():
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    text = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}}
    draft, failure = read(Anthropic(), text, error)
    assert isinstance(failure, Overloaded)
    assert draft.text == "a"


def test_ollama_calls_thinking_and_counts():
    function = {"name": "f", "arguments": {"x": 1}}
    call = {
        "message": {"content": "", "tool_calls": [{"function": function}, {"function": function}]}
    }
    done = {"done": True, "done_reason": "stop", "prompt_eval_count": 7, "eval_count": 3}
    draft, failure = read(Ollama(), {"message": {"thinking": "t"}, "model": "m"}, call, done)
    assert failure is None
    assert draft.thinking == "t"
    made = calls(draft)
    assert [(n, a) for _, n, a in made] == [("f", '{"x":1}')] * 2
    assert made[0][0] != made[1][0]
    assert draft.usage == Usage(7, 3)
    assert draft.ended.stop is Stop.TOOLS


def test_ollama_content_in_the_last_line_counts():
    draft, _ = read(Ollama(), {"message": {"content": "a"}, "done": True, "done_reason": "length"})
    assert (draft.text, draft.ended.stop) == ("a", Stop.LENGTH)


def test_ollama_error_line():
    draft, failure = read(Ollama(), {"message": {"content": "a"}}, {"error": "runner died"})
    assert isinstance(failure, StreamBroken)
    assert "runner died" in failure.message
    assert draft.text == "a"


@pytest.mark.parametrize(
    ("shown", "window"),
    [
        ({"model_info": {"llama.context_length": 8192}}, 8192),
        ({"model_info": {"llama.context_length": 131072}}, 32768),
        (
            {"model_info": {"llama.context_length": 131072}, "parameters": "num_ctx   65536\nx 1"},
            65536,
        ),
        ({"model_info": {"llama.rope": 1}}, None),
        ({}, None),
    ],
)
def test_ollama_windows(shown, window):
    profile = Ollama().read_profile(json.dumps(shown).encode(), LAB, "m")
    assert profile.window == window


def test_ollama_says_what_a_model_can():
    shown = json.dumps({"capabilities": ["completion", "vision"]}).encode()
    profile = Ollama().read_profile(shown, LAB, "m")
    assert (profile.sees, profile.tools, profile.thinks) == (True, False, False)


def test_lists_of_models():
    rows = [
        {"id": "a", "context_length": 1000, "pricing": {"prompt": "0.000001", "completion": "x"}},
        {"id": "models/b", "architecture": {"input_modalities": ["text", "image"]}},
        {"object": "model"},
    ]
    for body in ({"data": rows}, rows):
        found = OpenAI().read_models(json.dumps(body).encode(), LAB)
        assert [m.name for m in found] == ["a", "b"]
        assert (found[0].profile.window, found[0].profile.price_input) == (1000, 1.0)
        assert found[1].profile.sees is True
    listed = {"data": [{"id": "claude-x", "display_name": "X", "max_input_tokens": 200000}]}
    found = Anthropic().read_models(json.dumps(listed).encode(), LAB)
    assert (found[0].name, found[0].detail, found[0].profile.window) == ("claude-x", "X", 200000)


def test_llamacpp_props():
    body = json.dumps(
        {"default_generation_settings": {"n_ctx": 2048}, "modalities": {"vision": True}}
    )
    profile = LlamaCpp().read_profile(body.encode(), LAB, "m")
    assert (profile.window, profile.sees) == (2048, True)
