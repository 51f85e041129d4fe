"""Answers that are whole, said by servers with odd habits: nothing of them is lost or made up."""

import json

import pytest

from chinwag.providers.dialects.base import money, number
from chinwag.providers.dialects.gemini import Gemini
from chinwag.providers.dialects.ollama import Ollama
from chinwag.providers.dialects.openai import OpenAI
from chinwag.providers.failures import Where, from_status
from chinwag.providers.reading import Reading
from chinwag.talk.draft import Draft
from chinwag.talk.message import Call

WHERE = Where(endpoint="lab.test", provider="lab", model="m")
END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"


def chunk(delta):
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode() + b"\n\n"


def heard(data):
    """The draft of an answer in OpenAI's form; raises what the reading found wrong with it."""
    reading = Reading(OpenAI(), WHERE)
    draft = Draft()
    for delta in [*reading.feed(data), *(() if reading.over else reading.end())]:
        draft = draft.add(delta)
    if reading.failure is not None:
        raise reading.failure
    return draft


HELLO = chunk({"content": "Hel"}) + chunk({"content": "lo"})


@pytest.mark.parametrize(
    "tail",
    [
        b"data:    [DONE]\n\n",
        b"data: [done]\n\n",
        b'data: "[DONE]"\n\n',
        b"data: [DONE] \t\n\n",
    ],
)
def test_the_last_word_may_be_written_oddly(tail):
    assert heard(HELLO + tail).text == "Hello"


@pytest.mark.parametrize(
    "more",
    [
        b"data: over and out\n\n",
        b'data: {"choices":[],"usage":{"prompt_tokens":' + b"9" * 5000 + b"}}\n\n",
        b'data: {"choices":[],"usage":' + b'{"a":' * 3000 + b"1" + b"}" * 3001 + b"\n\n",
        b'data: {"choices":[],"usage":{"cost":' + b"9" * 400 + b"}}\n\n",
    ],
)
def test_what_comes_after_a_whole_answer_cannot_spoil_it(more):
    assert heard(HELLO + END + more + DONE).text == "Hello"


def test_the_older_forms_of_an_answer_give_their_words():
    old = b'data: {"choices":[{"index":0,"text":"Hel"}]}\n\n'
    rest = b'data: {"choices":[{"index":0,"text":"lo","finish_reason":"stop"}]}\n\n'
    assert heard(old + rest + DONE).text == "Hello"
    assert heard(b'{"choices":[{"text":"Hello","finish_reason":"stop"}]}').text == "Hello"


def test_the_older_form_of_a_call_is_a_call():
    first = chunk({"function_call": {"name": "clock", "arguments": '{"zone":'}})
    rest = chunk({"function_call": {"arguments": ' "UTC"}'}})
    end = END.replace(b'"stop"', b'"function_call"')
    draft = heard(first + rest + end + DONE)
    (call,) = draft.parts()
    assert isinstance(call, Call)
    assert (call.name, call.arguments) == ("clock", '{"zone": "UTC"}')
    odd = chunk({"function_call": "none", "content": "Hello"})
    assert heard(odd + END + DONE).text == "Hello"


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_one_value_printed_to_be_looked_at_is_read_where_lines_were_due(size):
    value = {
        "model": "m",
        "message": {"role": "assistant", "content": "Hello"},
        "done": True,
        "eval_count": 3,
    }
    for data in (json.dumps(value, indent=2).encode(), json.dumps(value).encode()):
        reading = Reading(Ollama(), WHERE)
        draft = Draft()
        for at in range(0, len(data), size):
            for delta in reading.feed(data[at : at + size]):
                draft = draft.add(delta)
        for delta in () if reading.over else reading.end():
            draft = draft.add(delta)
        assert reading.failure is None
        assert draft.text == "Hello"


def test_an_event_of_nothing_is_none():
    assert heard(HELLO + b"data: null\n\n" + END + DONE).text == "Hello"


def test_a_mark_of_order_where_streams_were_joined_costs_no_word():
    mark = b"\xef\xbb\xbf"
    assert heard(mark + mark + HELLO + mark + END + DONE).text == "Hello"


@pytest.mark.parametrize(
    "calls",
    [
        {"index": 0, "id": "", "function": {"name": "clock", "arguments": "{}"}},
        [None, {"index": 0, "id": 7, "function": {"name": "clock", "arguments": {}}}],
        [{"function": {"name": "clock", "arguments": "{}"}}],
    ],
)
def test_calls_in_forms_of_their_own(calls):
    (call,) = heard(chunk({"tool_calls": calls}) + DONE).parts(source="lab/m")
    assert isinstance(call, Call)
    assert (call.name, call.arguments) == ("clock", "{}")


def test_arguments_that_are_no_object_are_kept_as_they_are():
    calls = [{"index": 0, "id": "a", "function": {"name": "clock", "arguments": [1]}}]
    (call,) = heard(chunk({"tool_calls": calls}) + DONE).parts(source="lab/m")
    assert call.arguments == "[1]"


@pytest.mark.parametrize("cost", [-1e9, float("nan"), float("inf"), 10**400, True, "free", None])
def test_no_cost_that_cannot_be(cost):
    assert money(cost) is None


def test_counts_and_costs_that_can_be():
    assert (money(0), money(0.25), number(7), number(3.0)) == (0.0, 0.25, 7, 3)
    assert number(1e300) is number(10**40) is number(-1) is None


def said(text, **more):
    return {"candidates": [{"content": {"parts": [{"text": text}]}, **more}]}


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_geminis_events_as_one_list(size):
    """So they come where a proxy has lost `alt=sse`."""
    body = json.dumps([said("Hel"), said("lo", finishReason="STOP")], indent=2).encode()
    reading, draft = Reading(Gemini(), WHERE), Draft()
    for at in range(0, len(body), size):
        assert reading.feed(body[at : at + size]) == []
    for delta in reading.end():
        draft = draft.add(delta)
    assert reading.failure is None
    assert draft.text == "Hello"


@pytest.mark.parametrize("body", [b"[", b"[]", b"[1, 2]", b'[{"error": {"message": "boom"}}]'])
def test_a_list_of_something_else_is_no_answer(body):
    for dialect in (Gemini(), OpenAI()):
        reading = Reading(dialect, WHERE)
        reading.feed(body)
        reading.end()
        assert reading.failure is not None


@pytest.mark.parametrize(("body", "words"), [(b"", "does not say why"), (b"no!", "sentence above")])
def test_a_refusal_without_a_sentence_points_to_none(body, words):
    assert words in from_status(400, {}, body, WHERE).hint
