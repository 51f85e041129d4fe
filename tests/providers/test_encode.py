"""What goes out, exactly: one conversation in every dialect, and each option on the wire."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.providers.base import Options, Profile, Request
from chinwag.providers.dialects.anthropic import Anthropic
from chinwag.providers.dialects.base import Endpoint
from chinwag.providers.dialects.llamacpp import LlamaCpp
from chinwag.providers.dialects.ollama import Ollama
from chinwag.providers.dialects.openai import OpenAI
from chinwag.providers.dialects.schemas import is_strict
from chinwag.talk.message import Call, File, Image, Message, Result, Role, Text, Thinking
from chinwag.talk.tool import ToolSpec

OPENAI = Endpoint(name="openai", base_url="https://api.openai.com/v1")
LAB = Endpoint(name="lab", base_url="http://127.0.0.1:9100/v1")
GROQ = Endpoint(name="groq", base_url="https://api.groq.com/openai/v1")
MISTRAL = Endpoint(name="mistral", base_url="https://api.mistral.ai/v1")
ANTHROPIC = Endpoint(name="anthropic", base_url="https://api.anthropic.com")
OLLAMA = Endpoint(name="ollama", base_url="http://127.0.0.1:11434")
DIALECTS = [(OpenAI(), LAB), (LlamaCpp(), LAB), (Anthropic(), ANTHROPIC), (Ollama(), OLLAMA)]

CLOCK = ToolSpec("clock", "Tells the time.", {"type": "object", "properties": {"zone": {}}})
TALK = (
    Message.user("What time is it?"),
    Message.assistant(
        "",
        Thinking("Hmm.", "sig", "anthropic/claude-sonnet-5"),
        Call("call_1", "clock", '{"zone": "utc"}'),
        Call("call_2", "clock", ""),
    ),
    Message.tool("call_1", "12:00", name="clock"),
    Message.tool("call_2", "no zone", name="clock", is_error=True),
    Message.user("Thanks."),
)


def body(dialect, endpoint, request, profile=None):
    return json.loads(dialect.encode(request, endpoint, profile or Profile()).body)


def asked(*messages, model="m", **more):
    options = {k: more.pop(k) for k in list(more) if k in Options.__struct_fields__}
    return Request(model, messages or (Message.user("hi"),), options=Options(**options), **more)


def test_openai():
    request = Request("gpt-4o", TALK, "Be brief.", (CLOCK,), session="s1")
    call = OpenAI().encode(request, OPENAI)
    assert (call.method, call.path, call.headers) == ("POST", "/chat/completions", {})
    assert json.loads(call.body) == {
        "model": "gpt-4o",
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "clock",
                    "description": "Tells the time.",
                    "parameters": {"type": "object", "properties": {"zone": {}}},
                },
            }
        ],
        "prompt_cache_key": "s1",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What time is it?"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "clock", "arguments": '{"zone": "utc"}'},
                    },
                    {
                        "id": "call_2",
                        "type": "function",
                        "function": {"name": "clock", "arguments": "{}"},
                    },
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "12:00"},
            {"role": "tool", "tool_call_id": "call_2", "content": "Error: no zone"},
            {"role": "user", "content": "Thanks."},
        ],
    }


def test_anthropic():
    request = Request("claude-sonnet-5", TALK, "Be brief.", (CLOCK,))
    call = Anthropic().encode(request, ANTHROPIC)
    assert (call.method, call.path) == ("POST", "/v1/messages")
    assert call.headers == {"anthropic-version": "2023-06-01"}
    ephemeral = {"type": "ephemeral"}
    assert json.loads(call.body) == {
        "model": "claude-sonnet-5",
        "max_tokens": 8192,
        "stream": True,
        "tools": [
            {
                "name": "clock",
                "description": "Tells the time.",
                "input_schema": {"type": "object", "properties": {"zone": {}}},
            }
        ],
        "system": [{"type": "text", "text": "Be brief.", "cache_control": ephemeral}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "What time is it?"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hmm.", "signature": "sig"},
                    {"type": "tool_use", "id": "call_1", "name": "clock", "input": {"zone": "utc"}},
                    {"type": "tool_use", "id": "call_2", "name": "clock", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "call_1", "content": "12:00"},
                    {
                        "type": "tool_result",
                        "tool_use_id": "call_2",
                        "content": "no zone",
                        "is_error": True,
                    },
                    {"type": "text", "text": "Thanks.", "cache_control": ephemeral},
                ],
            },
        ],
    }


def test_ollama():
    request = Request("qwen3:8b", TALK, "Be brief.", (CLOCK,))
    call = Ollama().encode(request, OLLAMA, Profile(window=32768))
    assert (call.method, call.path) == ("POST", "/api/chat")
    assert json.loads(call.body) == {
        "model": "qwen3:8b",
        "stream": True,
        "options": {"num_ctx": 32768},
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "clock",
                    "description": "Tells the time.",
                    "parameters": {"type": "object", "properties": {"zone": {}}},
                },
            }
        ],
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What time is it?"},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {"id": "call_1", "function": {"name": "clock", "arguments": {"zone": "utc"}}},
                    {"id": "call_2", "function": {"name": "clock", "arguments": {}}},
                ],
            },
            {
                "role": "tool",
                "content": "12:00",
                "tool_call_id": "call_1",
                "tool_name": "clock",
            },
            {
                "role": "tool",
                "content": "Error: no zone",
                "tool_call_id": "call_2",
                "tool_name": "clock",
            },
            {"role": "user", "content": "Thanks."},
        ],
    }


SET = {
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 40,
    "max_tokens": 100,
    "stop": ("END",),
    "seed": 7,
}


def test_every_option_reaches_the_wire():
    sent = body(OpenAI(), LAB, asked(**SET))
    assert {k: sent[k] for k in SET} == {**SET, "stop": ["END"]}
    sent = body(Anthropic(), ANTHROPIC, asked(**SET))
    assert sent["max_tokens"] == 100
    assert (sent["temperature"], sent["top_p"], sent["top_k"]) == (0.5, 0.9, 40)
    assert sent["stop_sequences"] == ["END"]
    sent = body(Ollama(), OLLAMA, asked(**SET))["options"]
    assert sent.pop("num_predict") == 100
    assert sent == {k: v if k != "stop" else ["END"] for k, v in SET.items() if k != "max_tokens"}


@pytest.mark.parametrize(("dialect", "endpoint"), DIALECTS)
def test_nothing_is_sent_that_nobody_set(dialect, endpoint):
    sent = body(dialect, endpoint, asked())
    allowed = {"model", "stream", "stream_options", "messages", "max_tokens"}
    assert set(sent) <= allowed
    assert ("max_tokens" in sent) is (dialect.name == "anthropic")


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-5-mini", "max_completion_tokens"),
        ("o3", "max_completion_tokens"),
        ("gpt-4o", "max_tokens"),
        ("llama-3", "max_tokens"),
        ("openai/gpt-5", "max_tokens"),
    ],
)
def test_the_limit_by_its_right_name(model, name):
    sent = body(OpenAI(), OPENAI, asked(model=model, max_tokens=9))
    assert sent[name] == 9
    assert len({"max_tokens", "max_completion_tokens"} & set(sent)) == 1


def test_anthropic_demands_a_limit():
    assert body(Anthropic(), ANTHROPIC, asked())["max_tokens"] == 8192
    profile = Profile(max_output=64000)
    assert body(Anthropic(), ANTHROPIC, asked(), profile)["max_tokens"] == 64000


@pytest.mark.parametrize(
    ("dialect", "endpoint", "model", "effort", "sent"),
    [
        (OpenAI(), OPENAI, "gpt-5", "high", {"reasoning_effort": "high"}),
        (OpenAI(), OPENAI, "gpt-5", "off", {"reasoning_effort": "minimal"}),
        (OpenAI(), OPENAI, "gpt-5-pro", "off", {"reasoning_effort": "high"}),
        (OpenAI(), OPENAI, "o4-mini", "off", {"reasoning_effort": "low"}),
        (OpenAI(), OPENAI, "gpt-4o", "off", {"reasoning_effort": None}),
        (OpenAI(), OPENAI, "gpt-5-chat-latest", "off", {"reasoning_effort": None}),
        (OpenAI(), GROQ, "openai/gpt-oss-120b", "off", {"reasoning_effort": "low"}),
        (OpenAI(), GROQ, "qwen/qwen3-32b", "off", {"reasoning_effort": "none"}),
        (OpenAI(), MISTRAL, "mistral-small-latest", "low", {"reasoning_effort": "high"}),
        (OpenAI(), MISTRAL, "mistral-small-latest", "off", {"reasoning_effort": "none"}),
        (
            OpenAI(),
            Endpoint(name="deepseek", base_url="https://api.deepseek.com"),
            "deepseek-v4-flash",
            "off",
            {"thinking": {"type": "disabled"}, "reasoning_effort": None},
        ),
        (OpenAI(), OPENAI, "gpt-5.5", "off", {"reasoning_effort": "none"}),
        (OpenAI(), LAB, "qwen", "off", {"chat_template_kwargs": {"enable_thinking": False}}),
        (
            OpenAI(),
            Endpoint(name="openrouter", base_url="https://openrouter.ai/api/v1"),
            "x/y",
            "low",
            {"reasoning": {"effort": "low"}},
        ),
        (Ollama(), OLLAMA, "qwen3", "off", {"think": False}),
        (Ollama(), OLLAMA, "gpt-oss", "high", {"think": "high"}),
        (
            Anthropic(),
            ANTHROPIC,
            "claude-sonnet-4-5",
            "low",
            {"thinking": {"type": "enabled", "budget_tokens": 2048}, "max_tokens": 10240},
        ),
        (
            Anthropic(),
            ANTHROPIC,
            "claude-sonnet-4-5-20250929",
            "low",
            {"thinking": {"type": "enabled", "budget_tokens": 2048}},
        ),
        (
            Anthropic(),
            ANTHROPIC,
            "claude-sonnet-5",
            "high",
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
        ),
        (Anthropic(), ANTHROPIC, "claude-sonnet-5", "off", {"thinking": {"type": "disabled"}}),
    ],
)
def test_reasoning(dialect, endpoint, model, effort, sent):
    made = body(dialect, endpoint, asked(model=model, reasoning=effort))
    assert {k: made.get(k) for k in sent} == sent


def test_schemas():
    closed = {
        "type": "object",
        "properties": {"b": {"type": "string"}, "a": {"type": "string"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    }
    form = body(OpenAI(), OPENAI, asked(schema=closed))["response_format"]
    assert form["json_schema"] == {"name": "answer", "schema": closed, "strict": True}
    form = body(OpenAI(), OPENAI, asked(schema={"type": "object"}))["response_format"]
    assert "strict" not in form["json_schema"]
    assert body(Ollama(), OLLAMA, asked(schema=closed))["format"] == closed
    sent = body(
        Anthropic(), ANTHROPIC, asked(schema=closed, reasoning="low", model="claude-opus-5")
    )
    assert sent["output_config"]["format"] == {"type": "json_schema", "schema": closed}
    assert sent["output_config"]["effort"] == "low"


@pytest.mark.parametrize(
    ("endpoint", "model", "bridged"),
    [
        ("https://api.mistral.ai/v1", "any", True),
        ("https://openrouter.ai/api/v1", "mistralai/devstral-medium", True),
        ("http://127.0.0.1:8000/v1", "Mixtral-8x7B-Instruct", True),
        ("https://api.openai.com/v1", "gpt-5", False),
    ],
)
def test_mistral_is_never_asked_right_behind_a_tool(endpoint, model, bridged):
    call = Call("abcdefghi", "f", "{}")
    talk = (
        Message.user("a"),
        Message(Role.ASSISTANT, (call,)),
        Message.tool("abcdefghi", "stopped", name="f"),
        Message.user("b"),
    )
    sent = body(OpenAI(), Endpoint(name="m", base_url=endpoint), asked(*talk, model=model))
    between = ["assistant"] if bridged else []
    roles = [m["role"] for m in sent["messages"]]
    assert roles == ["user", "assistant", "tool", *between, "user"]
    assert all(m["content"] or m.get("tool_calls") for m in sent["messages"])


LOOSE = {
    "type": "object",
    "properties": {
        "maximum": {"type": "integer", "maximum": 9},
        "list": {"type": "array", "items": {"type": "object", "properties": {}}, "minItems": 3},
    },
}


def test_schemas_as_anthropic_takes_them():
    asked_for = asked(schema=LOOSE, model="claude-sonnet-4-5")
    form = body(Anthropic(), ANTHROPIC, asked_for)["output_config"]["format"]["schema"]
    assert form["additionalProperties"] is False
    assert form["properties"]["maximum"] == {"type": "integer"}
    assert form["properties"]["list"]["minItems"] == 1
    assert form["properties"]["list"]["items"]["additionalProperties"] is False
    assert "additionalProperties" not in LOOSE


@pytest.mark.parametrize("model", ["claude-3-5-haiku-latest", "claude-opus-4-20250514"])
def test_a_schema_in_words_where_a_model_takes_no_other(model):
    sent = body(Anthropic(), ANTHROPIC, asked(schema=LOOSE, model=model, system="Be brief."))
    assert "output_config" not in sent
    assert sent["system"][0]["text"].startswith("Be brief.\n\nAnswer with JSON")
    assert '"maximum"' in sent["system"][0]["text"]


def test_a_schema_in_words_where_a_server_takes_only_the_wish_for_json():
    there = Endpoint(name="deepseek", base_url="https://api.deepseek.com")
    sent = body(OpenAI(), there, asked(schema=LOOSE))
    assert sent["response_format"] == {"type": "json_object"}
    assert "JSON schema" in sent["messages"][0]["content"]
    assert [m["role"] for m in sent["messages"]] == ["system", "user"]


def test_an_answer_that_was_begun_is_gone_on_with():
    talk = (Message.user("a"), Message.assistant("The begin "))
    sent = body(OpenAI(), MISTRAL, asked(*talk))
    assert sent["messages"][-1] == {"role": "assistant", "content": "The begin ", "prefix": True}
    assert "prefix" not in body(OpenAI(), OPENAI, asked(*talk))["messages"][-1]
    vllm = Endpoint(name="vllm", base_url="http://127.0.0.1:8000/v1")
    sent = body(OpenAI(), vllm, asked(*talk))
    assert (sent["continue_final_message"], sent["add_generation_prompt"]) == (True, False)
    assert body(LlamaCpp(), LAB, asked(*talk))["chat_template_kwargs"] == {"enable_thinking": False}
    for whole in (body(LlamaCpp(), LAB, asked()), body(OpenAI(), vllm, asked())):
        assert not {"chat_template_kwargs", "continue_final_message"} & set(whole)
    sent = body(Anthropic(), ANTHROPIC, asked(*talk, model="claude-opus-4-1", reasoning="high"))
    assert "thinking" not in sent  # it would have to come before what is there already
    assert sent["messages"][-1]["content"][0]["text"] == "The begin"


def test_words_of_schemas_that_strict_mode_does_not_know():
    closed = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    assert is_strict({**closed, "properties": {}})
    for word in ("allOf", "oneOf", "patternProperties"):
        assert not is_strict({**closed, word: [closed]})
    named = {"not": {"type": "string"}}  # a property may be called so
    assert is_strict({**closed, "properties": named, "required": ["not"]})


def test_extra_is_merged_last():
    extra = {"temperature": 1.0, "service_tier": "flex"}
    sent = body(OpenAI(), OPENAI, asked(temperature=0.2, extra=extra))
    assert (sent["temperature"], sent["service_tier"]) == (1.0, "flex")
    sent = body(Ollama(), OLLAMA, asked(top_k=3, extra={"options": {"mirostat": 1}, "raw": True}))
    assert sent["options"] == {"top_k": 3, "mirostat": 1}
    assert sent["raw"] is True


PNG = Image(mime="image/png", data="aGk=", name="a.png")


def test_pictures():
    message = Message.user(
        "See:", PNG, Image(url="https://x/y.png"), Image(blob="ab", name="c.png")
    )
    assert body(OpenAI(), OPENAI, asked(message))["messages"][0]["content"] == [
        {"type": "text", "text": "See:"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        {"type": "text", "text": "[picture c.png]"},
    ]
    content = body(Anthropic(), ANTHROPIC, asked(message))["messages"][0]["content"]
    assert content[1]["source"] == {"type": "base64", "media_type": "image/png", "data": "aGk="}
    assert content[2]["source"] == {"type": "url", "url": "https://x/y.png"}
    assert content[3]["text"] == "[picture c.png]"
    sent = body(Ollama(), OLLAMA, asked(message))["messages"][0]
    assert sent["images"] == ["aGk="]
    assert sent["content"] == "See:[picture attached][picture c.png]"


@pytest.mark.parametrize(("dialect", "endpoint"), DIALECTS)
def test_text_files_travel_as_words(dialect, endpoint):
    file = File(mime="text/plain", name="a.txt", text="line\n")
    call = dialect.encode(asked(Message.user("Read:", file)), endpoint)
    assert '<file name=\\"a.txt\\">\\nline\\n\\n</file>' in call.body.decode()


def test_papers():
    paper = File(mime="application/pdf", name="p.pdf", data="aGk=")
    content = body(OpenAI(), OPENAI, asked(Message.user("Read:", paper)))["messages"][0]["content"]
    assert content[1]["file"]["filename"] == "p.pdf"
    content = body(Anthropic(), ANTHROPIC, asked(Message.user("", paper)))["messages"][0]["content"]
    assert content[0]["type"] == "document"
    assert (
        "[file p.pdf]"
        in body(Ollama(), OLLAMA, asked(Message.user("", paper)))["messages"][0]["content"]
    )
    sent = body(LlamaCpp(), OPENAI, asked(Message.user("Read:", paper)))["messages"][0]
    assert "[file p.pdf]" in str(sent["content"])  # its server knows no such part


def test_thinking_goes_back_only_to_its_author():
    parts = (Thinking("secret", "sig", "openrouter/x", "enc"), Text("yes"))
    talk = (Message.user("a"), Message(Role.ASSISTANT, parts), Message.user("b"))
    for dialect, endpoint in DIALECTS:
        assert b"secret" not in dialect.encode(asked(*talk), endpoint).body
    router = Endpoint(name="openrouter", base_url="https://openrouter.ai/api/v1")
    sent = body(OpenAI(), router, asked(*talk))["messages"][1]
    assert sent["reasoning_details"] == [
        {"type": "reasoning.text", "text": "secret", "signature": "sig"},
        {"type": "reasoning.encrypted", "data": "enc"},
    ]


def test_unsigned_thinking_is_withheld_from_anthropic():
    parts = (Thinking("plain", "", "anthropic/claude"), Text("yes"))
    sent = body(Anthropic(), ANTHROPIC, asked(Message.user("a"), Message(Role.ASSISTANT, parts)))
    assert [b["type"] for b in sent["messages"][1]["content"]] == ["text"]


def test_redacted_thinking_goes_back():
    parts = (Thinking(source="anthropic/claude", redacted="opaque"), Text("yes"))
    sent = body(Anthropic(), ANTHROPIC, asked(Message.user("a"), Message(Role.ASSISTANT, parts)))
    assert sent["messages"][1]["content"][0] == {"type": "redacted_thinking", "data": "opaque"}


def test_anthropic_turns_alternate_and_hold_no_empty_text():
    talk = (
        Message.user("a"),
        Message.user("b"),
        Message(Role.ASSISTANT, (Text(" \n"), Text("c"))),
        Message.assistant("d  "),
    )
    sent = body(Anthropic(), ANTHROPIC, asked(*talk))["messages"]
    assert [m["role"] for m in sent] == ["user", "assistant"]
    assert [b["text"] for b in sent[1]["content"]] == ["c", "d"]


def test_ids_a_server_would_refuse_are_made_stable():
    talk = (
        Message.user("a"),
        Message.assistant("", Call("functions.clock:0", "clock")),
        Message.tool("functions.clock:0", "12"),
    )
    sent = body(Anthropic(), ANTHROPIC, asked(*talk))["messages"]
    made = sent[1]["content"][0]["id"]
    assert made == sent[2]["content"][0]["tool_use_id"]
    assert made.isalnum()
    mistral = Endpoint(name="mistral", base_url="https://api.mistral.ai/v1")
    sent = body(OpenAI(), mistral, asked(*talk))["messages"]
    assert len(sent[1]["tool_calls"][0]["id"]) == 9
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"]
    assert body(OpenAI(), LAB, asked(*talk))["messages"][2]["tool_call_id"] == "functions.clock:0"


def test_arguments_that_are_no_object_are_still_sent_as_one():
    talk = (
        Message.user("a"),
        Message.assistant("", Call("c", "t", '{"cut')),
        Message.tool("c", "x"),
    )
    sent = body(OpenAI(), LAB, asked(*talk))["messages"][1]["tool_calls"][0]["function"]
    assert json.loads(sent["arguments"]) == {"unparsed": '{"cut'}
    sent = body(Anthropic(), ANTHROPIC, asked(*talk))["messages"][1]["content"][0]
    assert sent["input"] == {"unparsed": '{"cut'}


def test_the_session_is_a_cache_key_only_at_openai():
    assert "prompt_cache_key" not in body(OpenAI(), LAB, asked(session="s1"))


def test_the_address_with_or_without_its_version():
    for url, path in [("https://x", "/v1/messages"), ("https://x/v1", "/messages")]:
        endpoint = Endpoint(name="a", base_url=url)
        assert Anthropic().encode(asked(), endpoint).path == path


def test_lone_surrogates_do_not_stop_a_request():
    sent = body(OpenAI(), LAB, asked(Message.user("a\ud83d")))
    assert sent["messages"][0]["content"] == "a\ufffd"


texts = st.text(min_size=1, max_size=8).filter(str.strip)
turns = st.lists(st.tuples(texts, texts), min_size=1, max_size=4)


@pytest.mark.parametrize(("dialect", "endpoint"), DIALECTS[:2] + DIALECTS[3:])
@given(turns)
def test_a_turn_only_appends(dialect, endpoint, pairs):
    """Prefix caches: the bytes of one turn begin the bytes of the next."""
    talk = [m for a, b in pairs for m in (Message.user(a), Message.assistant(b))]
    first = Request("m", tuple(talk[:-1]), "system", (CLOCK,))
    second = Request("m", (*talk, Message.user("more")), "system", (CLOCK,))
    one, two = (dialect.encode(r, endpoint).body for r in (first, second))
    assert one.endswith(b"]}")
    assert two.startswith(one[:-2])
    assert dialect.encode(first, endpoint).body == one


def test_schemas_with_other_key_order_are_the_same_bytes():
    one = ToolSpec("t", "d", {"a": 1, "b": {"c": 1, "d": 2}})
    two = ToolSpec("t", "d", {"b": {"d": 2, "c": 1}, "a": 1})
    for dialect, endpoint in DIALECTS:
        sent = [dialect.encode(asked(tools=(tool,)), endpoint).body for tool in (one, two)]
        assert sent[0] == sent[1]


def test_results_need_no_words():
    sent = body(
        Anthropic(),
        ANTHROPIC,
        asked(
            Message.user("a"),
            Message.assistant("", Call("c", "t")),
            Message(Role.TOOL, (Result("c", "t"),)),
        ),
    )
    result = sent["messages"][2]["content"][0]
    assert "content" not in result
    assert result["tool_use_id"] == "c"
