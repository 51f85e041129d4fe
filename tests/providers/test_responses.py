"""OpenAI's Responses: real recordings, the odd ways of others, and every option on the wire."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.errors import Overloaded, RateLimited, StreamBroken
from chinwag.providers.base import Options, Profile, Request
from chinwag.providers.dialects.base import Endpoint
from chinwag.providers.dialects.responses import UNSENT, Responses
from chinwag.providers.http import HttpProvider
from chinwag.talk.delta import Ended, Stop
from chinwag.talk.message import Call, File, Image, Message, Role, Text, Thinking
from chinwag.talk.tool import ToolSpec
from chinwag.talk.usage import Usage
from support import llama, recording, shared
from support.recording import calls, drafted, heard, said

NAMES = shared.names("responses")
OPENAI = Endpoint(name="openai", base_url="https://api.openai.com/v1")
LAB = Endpoint(name="lab", base_url="http://127.0.0.1:9100/v1")
CLOCK = ToolSpec("clock", "Tells the time.", {"type": "object", "properties": {"zone": {}}})
# Thinking that is no summary: the list of what to expect counts summaries only.
RAW = {
    "deepseek-responses-text.sse": "We need answer capital of France.",
    "responses-openrouter-rawcot-comments.sse": (
        'The user asks: "What is 2+2?" They expect a straightforward answer: 4. Just answer 4.'
    ),
}
MESSAGE = {"type": "message", "id": "msg", "content": [{"type": "output_text", "text": "Hello"}]}
CALL = {"type": "function_call", "id": "fc", "call_id": "c1", "name": "clock", "arguments": "{}"}


def over(kind="completed", **response):
    return {"type": f"response.{kind}", "response": {"status": kind, **response}}


def piece(text, kind="output_text", **more):
    return {"type": f"response.{kind}.delta", "delta": text, "output_index": 0, **more}


def body(request, endpoint=OPENAI, profile=None):
    return json.loads(Responses().encode(request, endpoint, profile or Profile()).body)


def asked(*messages, model="gpt-4o", **more):
    options = {k: more.pop(k) for k in list(more) if k in Options.__struct_fields__}
    return Request(model, messages or (Message.user("hi"),), options=Options(**options), **more)


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_the_official_client(name):
    expected = shared.load("wire/EXPECTED.json")[name]
    deltas, reading = heard(Responses(), [shared.wire(name)])
    draft = drafted(deltas)
    assert draft.text == expected["text"]
    assert draft.thinking == (expected["thinking"] or RAW.get(name, ""))
    assert calls(draft) == recording.read_calls(expected["calls"])
    assert draft.ended.raw == expected["finish"]
    usage = expected["usage"]
    assert draft.usage.input == usage["input_tokens"]
    assert draft.usage.output == usage["output_tokens"]
    assert draft.usage.cached == usage["input_tokens_details"]["cached_tokens"]
    assert draft.usage.reasoning == usage["output_tokens_details"]["reasoning_tokens"]
    assert draft.usage.cost == usage.get("cost")
    assert reading.ended
    assert [d for d in deltas if isinstance(d, Ended)] == deltas[-1:]


@pytest.mark.parametrize("name", NAMES)
def test_pieces_change_nothing(name):
    recording.tried_in_pieces(Responses(), shared.wire(name), name)


@pytest.mark.parametrize("name", NAMES)
def test_a_cut_anywhere_is_seen(name):
    recording.tried_cut(Responses(), shared.wire(name), b'"response.completed"')


def test_reasoning_is_kept_sealed_with_its_summaries():
    stream = shared.wire("responses-o3mini-reasoning-long.sse")
    parts = drafted(heard(Responses(), [stream])[0]).parts("openai/o3-mini")
    thoughts = [p for p in parts if isinstance(p, Thinking)]
    assert len(thoughts) == 4
    assert [bool(p.redacted) for p in thoughts] == [False, False, False, True]
    talk = (Message.user("a"), Message(Role.ASSISTANT, parts), Message.user("b"))
    items = body(asked(*talk, model="o3-mini"))["input"]
    assert [i.get("type") for i in items] == [None, "reasoning", "message", None]
    completed = json.loads(stream.rpartition(b"data: ")[2])["response"]["output"][0]
    assert items[1]["summary"] == completed["summary"]
    done = next(
        e["item"]["encrypted_content"]
        for e in (json.loads(x[6:]) for x in stream.splitlines() if x.startswith(b"data: "))
        if e["type"] == "response.output_item.done" and e["item"]["type"] == "reasoning"
    )
    assert items[1]["encrypted_content"] == done


def test_parallel_calls_in_interleaved_pieces():
    second = {**CALL, "id": "fd", "call_id": "c2", "name": "rain", "arguments": ""}
    first = {**CALL, "arguments": ""}
    added = "response.output_item.added"
    arguments = "function_call_arguments"
    draft, reading = said(
        Responses(),
        {"type": added, "output_index": 0, "item": first},
        {"type": added, "output_index": 1, "item": second},
        piece('{"a"', arguments),
        piece('{"b"', arguments, output_index=1),
        piece(":1}", arguments),
        piece(":2}", arguments, output_index=1),
        {"type": "response.output_item.done", "output_index": 0, "item": CALL},
        over(),
    )
    assert reading.ended
    assert calls(draft) == [["clock", {"a": 1}], ["rain", {"b": 2}]]
    assert [p.id for p in draft.parts()] == ["c1", "c2"]
    assert draft.ended.stop is Stop.TOOLS


def test_servers_that_name_items_without_counting_them():
    nameless = {"output_index": None}
    draft, _ = said(
        Responses(),
        piece("hm", "reasoning_text", item_id="rs", **nameless),
        piece("Hel", item_id="msg", **nameless),
        piece("lo", item_id="msg", **nameless),
        {"type": "response.output_item.done", "item": MESSAGE},
        {"type": "response.output_item.added", "item": {**CALL, "arguments": ""}},
        piece('{"a":1}', "function_call_arguments", item_id="fc", **nameless),
        over(),
    )
    assert (draft.text, draft.thinking) == ("Hello", "hm")
    assert calls(draft) == [["clock", {"a": 1}]]


@pytest.mark.parametrize("told", ["done", "completed", "both"])
def test_words_that_come_only_at_the_end_are_said_once(told):
    thought = {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "sealed",
    }
    items = [thought, MESSAGE, CALL]
    stream = [
        {"type": "response.output_item.done", "output_index": n, "item": item}
        for n, item in enumerate(items)
        if told != "completed"
    ]
    stream.append(over(output=items if told != "done" else []))
    draft, reading = said(Responses(), *stream)
    assert reading.ended
    assert (draft.text, draft.thinking) == ("Hello", "hm")
    assert [p.redacted for p in draft.parts() if isinstance(p, Thinking)] == ["sealed"]
    assert calls(draft) == [["clock", {}]]


def test_parts_that_come_only_at_their_end_are_said_once():
    added = {"type": "response.output_item.added", "output_index": 1}
    draft, _ = said(
        Responses(),
        {"type": "response.output_text.done", "output_index": 0, "text": "Hello"},
        {"type": "response.output_text.done", "output_index": 0, "text": "Hello"},
        {**added, "item": {**CALL, "arguments": ""}},
        {**added, "type": "response.function_call_arguments.done", "arguments": '{"a":1}'},
        {**added, "type": "response.output_item.done", "item": {**CALL, "arguments": '{"a":1}'}},
        over(),
    )
    assert (draft.text, calls(draft)) == ("Hello", [["clock", {"a": 1}]])
    draft, _ = said(Responses(), {"type": "response.refusal.done", "refusal": "No."}, over())
    assert (draft.text, draft.ended.stop) == ("No.", Stop.REFUSAL)


def test_events_that_will_be_invented_are_passed_over():
    draft, reading = said(
        Responses(),
        {"type": "response.new.delta", "delta": {"deep": 1}, "item": {"name": 7, "content": 8}},
        {"type": "keepalive", "sequence_number": 3},
        {"type": "response.mcp_list_tools.failed", "error": {"message": "one tool less"}},
        {"type": "response.output_item.done", "item": {"type": "web_search_call"}},
        piece("yes"),
        over(),
    )
    assert (draft.text, reading.ended) == ("yes", True)


@pytest.mark.parametrize(
    ("stream", "stop", "raw"),
    [
        ([over("incomplete", incomplete_details={"reason": "max_output_tokens"})], "length", ""),
        ([over("incomplete", incomplete_details={"reason": "content_filter"})], "filter", ""),
        ([over("incomplete")], "length", "incomplete"),
        ([over("completed", status="incomplete")], "length", "incomplete"),
        ([piece("No.", "refusal"), over()], "refusal", "completed"),
        ([over(output=[{"type": "message", "content": [{"refusal": "No.", "type": "refusal"}]}])],
         "refusal", "completed"),
        ([over(output=[CALL])], "tools", "completed"),
    ],
)  # fmt: skip
def test_ends(stream, stop, raw):
    draft, reading = said(Responses(), piece(""), *stream)
    assert reading.ended
    details = stream[-1]["response"].get("incomplete_details") or {}
    assert draft.ended == Ended(Stop(stop), raw or details["reason"])
    if stop == "refusal":
        assert draft.text == "No."


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (over("failed", error={"code": "server_error", "message": "Oops"}), Overloaded),
        (over("failed", error={"code": "rate_limit_exceeded", "message": "Oops"}), RateLimited),
        (over("failed", error={"code": "vector_store_timeout", "message": "Oops"}), StreamBroken),
        ({"type": "error", "code": "server_error", "message": "Oops", "param": None}, Overloaded),
        ({"type": "error", "error": {"type": "server_error", "message": "Oops"}}, Overloaded),
        ({"error": {"message": "Oops"}}, StreamBroken),
    ],
)
def test_errors_inside_the_stream(event, kind):
    draft, reading = said(Responses(), piece("Hel"), event)
    assert draft.text == "Hel"
    assert not reading.ended
    assert isinstance(reading.failure, kind)
    assert "Oops" in reading.failure.message


def test_failing_without_a_word():
    for event in (over("failed"), {"type": "error"}, over("completed", status="failed")):
        _, reading = said(Responses(), event)
        assert isinstance(reading.failure, StreamBroken)


def test_openai_s_word_for_the_end_is_not_this_one_s():
    stream = recording.events(piece("Hel")) + b"data: [DONE]\n\n"
    deltas, reading = heard(Responses(), [stream])
    assert drafted(deltas).text == "Hel"
    assert isinstance(reading.failure, StreamBroken)


def test_a_whole_answer():
    answer = {"id": "r", "model": "m", "status": "completed", "output": [MESSAGE, CALL]}
    answer["usage"] = {"input_tokens": 3, "output_tokens": 4}
    deltas, reading = heard(Responses(), [json.dumps(answer).encode()])
    draft = drafted(deltas)
    assert (draft.text, calls(draft), reading.ended) == ("Hello", [["clock", {}]], True)
    assert (draft.usage, draft.served_by.model) == (Usage(3, 4), "m")


@pytest.mark.parametrize("answer", [{}, {"output": [], "status": "queued"}, {"error": "broke"}])
def test_a_whole_that_is_no_answer(answer):
    _, reading = heard(Responses(), [json.dumps(answer).encode()])
    assert isinstance(reading.failure, StreamBroken)


def test_a_request():
    talk = (
        Message.user("What time is it?"),
        Message.assistant(
            "",
            Thinking("Sum.", "", "openai/gpt-5", "sealed"),
            Text("I look."),
            Call("call_1", "clock", '{"zone": "utc"}'),
            Call("call_2", "clock", ""),
        ),
        Message.tool("call_1", "12:00", name="clock"),
        Message.tool("call_2", "no zone", name="clock", is_error=True),
        Message.user("Thanks."),
    )
    request = Request("gpt-5", talk, "Be brief.", (CLOCK,), session="s1")
    call = Responses().encode(request, OPENAI)
    assert (call.method, call.path, call.headers) == ("POST", "/responses", {})
    assert json.loads(call.body) == {
        "model": "gpt-5",
        "stream": True,
        "store": False,
        "truncation": "disabled",
        "include": ["reasoning.encrypted_content"],
        "tools": [
            {
                "type": "function",
                "name": "clock",
                "description": "Tells the time.",
                "parameters": {"type": "object", "properties": {"zone": {}}},
                "strict": False,
            }
        ],
        "instructions": "Be brief.",
        "prompt_cache_key": "s1",
        "input": [
            {"role": "user", "content": "What time is it?"},
            {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "Sum."}],
                "encrypted_content": "sealed",
            },
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "I look."}],
            },
            {
                "type": "function_call",
                "call_id": "call_1",
                "name": "clock",
                "arguments": '{"zone": "utc"}',
            },
            {"type": "function_call", "call_id": "call_2", "name": "clock", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_1", "output": "12:00"},
            {"type": "function_call_output", "call_id": "call_2", "output": "Error: no zone"},
            {"role": "user", "content": "Thanks."},
        ],
    }


def test_options():
    shape = {"type": "object", "properties": {"a": {}}, "required": ["a"]}
    request = asked(temperature=0.5, top_p=0.9, max_tokens=70, schema=shape, extra={"user": "u"})
    sent = body(request)
    assert (sent["temperature"], sent["top_p"], sent["max_output_tokens"]) == (0.5, 0.9, 70)
    form = {"type": "json_schema", "name": "answer", "schema": shape, "strict": False}
    assert sent["text"] == {"format": form}
    assert sent["user"] == "u"
    closed = {**shape, "additionalProperties": False}
    assert body(asked(schema=closed))["text"]["format"]["strict"] is True
    nested = {**closed, "properties": {"a": {"anyOf": [{"type": "object"}]}}}
    assert body(asked(schema=nested))["text"]["format"]["strict"] is False


@pytest.mark.parametrize(("asked_for", "sent"), [(None, None), (1, 16), (16, 16), (17, 17)])
def test_a_bound_too_small_for_this_api(asked_for, sent):
    assert body(asked(max_tokens=asked_for)).get("max_output_tokens") == sent


def test_options_of_others_are_not_sent():
    sent = body(asked(stop=("x",), seed=3, top_k=4))
    assert not set(sent) & set(UNSENT)
    assert sent == body(asked())


@pytest.mark.parametrize(
    ("model", "effort", "reasoning"),
    [
        ("gpt-5", "high", {"effort": "high", "summary": "auto"}),
        ("gpt-5-mini", "off", {"effort": "minimal"}),
        ("gpt-5.5", "off", {"effort": "none"}),
        ("openai/o4-mini", "off", {"effort": "low"}),
        ("o3", None, None),
    ],
)
def test_reasoning(model, effort, reasoning):
    sent = body(asked(model=model, reasoning=effort))
    assert sent.get("reasoning") == reasoning
    assert sent["include"] == ["reasoning.encrypted_content"]


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1", "gpt-5-chat-latest", "grok-4"])
def test_nothing_sealed_is_asked_of_models_that_do_not_reason(model):
    assert "reasoning" not in body(asked(model=model, reasoning="off"))
    assert "include" not in body(asked(model=model))


def test_the_server_s_word_that_a_model_reasons():
    assert "include" in body(asked(model="new"), profile=Profile(thinks=True))
    assert "include" not in body(asked(model="new"), LAB, Profile(thinks=True))


def test_the_session_is_a_cache_key_only_where_that_is_known():
    assert "prompt_cache_key" not in body(asked(session="s1"), LAB)


def test_reasoning_goes_back_only_to_its_author_and_only_before_what_it_led_to():
    parts = (Thinking("Sum.", "", "openai/gpt-5", "sealed"), Text("yes"))
    talk = (Message.user("a"), Message(Role.ASSISTANT, parts), Message.user("b"))
    assert b"sealed" not in Responses().encode(asked(*talk), LAB).body
    assert b"sealed" in Responses().encode(asked(*talk), OPENAI).body
    cut = Message(Role.ASSISTANT, (*parts, *parts[:1]))
    items = body(asked(Message.user("a"), cut))["input"]
    assert [i.get("type") for i in items] == [None, "reasoning", "message"]
    alone = Message(Role.ASSISTANT, parts[:1])
    assert len(body(asked(Message.user("a"), alone))["input"]) == 1
    unsealed = Message(Role.ASSISTANT, (Thinking("Raw.", "", "openai/gpt-5"), Text("yes")))
    assert b"Raw." not in Responses().encode(asked(Message.user("a"), unsealed), OPENAI).body


def test_pictures_and_files():
    message = Message.user(
        "See:",
        Image(mime="image/png", data="aGk="),
        Image(url="https://x/y.png"),
        Image(name="c.png", blob="00"),
        File(mime="application/pdf", name="p.pdf", data="aGk="),
        File(url="https://x/p.pdf"),
        File(mime="text/plain", name="a.txt", text="line"),
    )
    assert body(asked(message))["input"][0]["content"] == [
        {"type": "input_text", "text": "See:"},
        {"type": "input_image", "image_url": "data:image/png;base64,aGk="},
        {"type": "input_image", "image_url": "https://x/y.png"},
        {"type": "input_text", "text": "[picture c.png]"},
        {
            "type": "input_file",
            "filename": "p.pdf",
            "file_data": "data:application/pdf;base64,aGk=",
        },
        {"type": "input_file", "file_url": "https://x/p.pdf"},
        {"type": "input_text", "text": '<file name="a.txt">\nline\n</file>'},
    ]
    words = Message.user("Read:", File(mime="text/plain", name="a.txt", text="line"))
    assert isinstance(body(asked(words))["input"][0]["content"], str)


def test_ids_and_arguments_a_server_would_refuse():
    long = "call_" + "x" * 100
    talk = (Message.user("a"), Message.assistant("", Call(long, "t", '{"cut')))
    items = body(asked(*talk, Message.tool(long, "x")))["input"]
    assert items[1]["call_id"] == items[2]["call_id"]
    assert len(items[1]["call_id"]) <= 64
    assert json.loads(items[1]["arguments"]) == {"unparsed": '{"cut'}


def test_models():
    found = Responses().read_models(b'{"data":[{"id":"gpt-5","owned_by":"openai"}]}', OPENAI)
    assert [m.name for m in found] == ["gpt-5"]
    assert Responses().models_call(OPENAI).path == "/models"
    assert Responses().auth("k") == {"authorization": "Bearer k"}


texts = st.text(min_size=1, max_size=8).filter(str.strip)


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=4))
def test_a_turn_only_appends(pairs):
    talk = [m for a, b in pairs for m in (Message.user(a), Message.assistant(b))]
    first = Request("m", tuple(talk[:-1]), "system", (CLOCK,))
    second = Request("m", (*talk, Message.user("more")), "system", (CLOCK,))
    one, two = (Responses().encode(r, OPENAI).body for r in (first, second))
    assert one.endswith(b"]}")
    assert two.startswith(one[:-2])


@pytest.mark.server
@pytest.mark.skipif(llama.may_skip(), reason=llama.missing() or "-")
async def test_the_real_llama_cpp(tmp_path):
    """A server that is strict about forms: words, calls and results of every turn are taken."""
    from support import tiny_gguf

    tiny_gguf.write(tmp_path / "tiny.gguf")
    talk = (
        Message.user("What time is it?"),
        Message.assistant(
            "I look.",
            Thinking("Foreign.", "sig", "anthropic/c"),
            Call("call_1", "clock", '{"zone": "utc"}'),
            Call("call_2", "clock", ""),
        ),
        Message.tool("call_1", "12:00"),
        Message.tool("call_2", "no zone", is_error=True),
        Message.assistant("It is noon."),
        Message.user("Thanks."),
    )
    with llama.serving(tmp_path / "tiny.gguf") as server:
        there = HttpProvider(Endpoint(name="l", base_url=f"{server.address}/v1"), Responses())
        for messages in (talk[:1], talk):
            request = Request("m", messages, "Be brief.", (CLOCK,), Options(max_tokens=8))
            draft = drafted([delta async for delta in there.stream(request)])
            assert draft.text
            assert draft.ended.raw == "completed"
            assert draft.usage.input > 0
        await there.aclose()
