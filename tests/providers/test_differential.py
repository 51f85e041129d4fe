"""Our requests beside those of the official clients, which are the judges of how to ask.

One conversation - a system prompt, a picture, thinking, two tools called at once and answered, more
turns - is held twice with a server that writes down what it is asked: once through the official
client, used as its handbook says, once through ours. Both read the same answers, so what goes back
of them (signatures, ids, arguments) is compared, too. The requests must be the same JSON, at the
same address, with the same key; each difference that is wanted is listed with its reason, and one
that is listed but no longer there fails as well.
"""

import base64
import importlib.util
import json
import os

import pytest

from chinwag.providers.base import Options, Profile, Request
from chinwag.providers.dialects.anthropic import Anthropic
from chinwag.providers.dialects.base import Endpoint
from chinwag.providers.dialects.gemini import Gemini
from chinwag.providers.dialects.ollama import Ollama
from chinwag.providers.dialects.openai import OpenAI
from chinwag.providers.dialects.responses import Responses
from chinwag.providers.http import HttpProvider
from chinwag.talk.draft import Draft
from chinwag.talk.message import Image, Message, Role
from chinwag.talk.tool import ToolSpec
from support.recording import Recorder, differences, events

KEY = "key-of-the-test"
SYSTEM = "Answer briefly."
QUESTION = "What is this, and what are time and weather there?"
THANKS = "Thanks. Is that warm?"
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYPhfDwAChAGA60e6kgAAAABJRU5ErkJggg=="
)
SCHEMA = {
    "type": "object",
    "properties": {"place": {"type": "string", "description": "A town."}},
    "required": ["place"],
}
TOOLS = (
    ToolSpec("clock", "Tells the time.", SCHEMA),
    ToolSpec("weather", "Tells the weather.", SCHEMA),
)
OUTPUTS = {"clock": "12:00", "weather": "21 degrees"}
ANSWERS = ("It is noon there, and mild.", "Mild, not warm.")


def need(module):
    """A skip that says so where the official client is absent; in CI that is a failure."""
    try:
        found = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        found = False
    if not found and not os.environ.get("CI"):
        pytest.skip(f"the official client `{module}` is not installed here")


# What the servers answer: thinking, a few words and two calls at once; then words, twice.


def chat_streams():
    def chunk(delta, finish=None):
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        named = {"id": "x1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5"}
        return {**named, "choices": [choice]}

    def call(index, name, **more):
        function = {"name": name, "arguments": ""}
        started = {"index": index, "id": f"call_{name}", "type": "function", "function": function}
        piece = {"index": index, "function": {"arguments": '{"place": "Ghent"}'}}
        return [chunk({"tool_calls": [started]}), chunk({"tool_calls": [piece]})]

    done = b"data: [DONE]\n\n"
    yield (
        events(
            chunk({"role": "assistant", "content": ""}),
            chunk({"content": "I look."}),
            *call(0, "clock"),
            *call(1, "weather"),
            chunk({}, "tool_calls"),
        )
        + done
    )
    for text in ANSWERS:
        yield events(chunk({"role": "assistant", "content": text}), chunk({}, "stop")) + done


def responses_streams():
    def stream(*items):
        made = [{"type": "response.created", "response": response([])}]
        for place, item in enumerate(items):
            for kind in ("added", "done"):
                # An item is announced empty and told whole at its end.
                told = {**item, "status": "in_progress"} if kind == "added" else item
                if kind == "added":
                    told = {**told, **{k: [] for k in ("content", "summary") if k in told}}
                    told = {**told, **({"arguments": ""} if "arguments" in told else {})}
                    told.pop("encrypted_content", None)
                if kind == "done":
                    made += pieces(item, place)
                event = {"type": f"response.output_item.{kind}", "output_index": place}
                made.append({**event, "item": told})
        made.append({"type": "response.completed", "response": response(items)})
        return events(*({**event, "sequence_number": n} for n, event in enumerate(made)))

    def response(items):
        status = "completed" if items else "in_progress"
        named = {"id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-5"}
        asked = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None}
        return {**named, **asked, "status": status, "output": list(items)}

    def pieces(item, place):
        at = {"item_id": item["id"], "output_index": place}
        match item["type"]:
            case "function_call":
                kind, part = "function_call_arguments", {"delta": item["arguments"]}
                return [{"type": f"response.{kind}.delta", **at, **part}]
            case "message":
                at["content_index"] = 0
                part = item["content"][0]
                return [
                    {"type": "response.content_part.added", **at, "part": {**part, "text": ""}},
                    {"type": "response.output_text.delta", **at, "delta": part["text"]},
                ]
            case _:
                at["summary_index"] = 0
                text = item["summary"][0]["text"]
                empty = {"type": "summary_text", "text": ""}
                return [
                    {"type": "response.reasoning_summary_part.added", **at, "part": empty},
                    {"type": "response.reasoning_summary_text.delta", **at, "delta": text},
                ]

    def message(text):
        content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
        named = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
        return {**named, "content": content}

    def call(name):
        named = {"id": f"fc_{name}", "type": "function_call", "call_id": f"call_{name}"}
        return {**named, "name": name, "arguments": '{"place": "Ghent"}', "status": "completed"}

    summary = [{"type": "summary_text", "text": "A town."}]
    thought = {"id": "rs_1", "type": "reasoning", "summary": summary, "encrypted_content": "seal"}
    yield stream(thought, message("I look."), call("clock"), call("weather"))
    for text in ANSWERS:
        yield stream(message(text))


def anthropic_streams():
    def stream(*blocks, stop="end_turn"):
        usage = {"input_tokens": 9, "output_tokens": 1}
        named = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-5"}
        begun = {**named, "content": [], "stop_reason": None, "usage": usage}
        made = [{"type": "message_start", "message": begun}]
        for index, (block, *deltas) in enumerate(blocks):
            made.append({"type": "content_block_start", "index": index, "content_block": block})
            made += [{"type": "content_block_delta", "index": index, "delta": d} for d in deltas]
            made.append({"type": "content_block_stop", "index": index})
        delta = {"stop_reason": stop, "stop_sequence": None}
        made.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 7}})
        made.append({"type": "message_stop"})
        return b"".join(b"event: %s\n" % m["type"].encode() + events(m) for m in made)

    def text(words):
        return {"type": "text", "text": ""}, {"type": "text_delta", "text": words}

    def call(name):
        block = {"type": "tool_use", "id": f"toolu_{name}", "name": name, "input": {}}
        return block, {"type": "input_json_delta", "partial_json": '{"place": "Ghent"}'}

    thought = (
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "A town."},
        {"type": "signature_delta", "signature": "c2ln"},
    )
    yield stream(thought, text("I look."), call("clock"), call("weather"), stop="tool_use")
    for words in ANSWERS:
        yield stream(text(words))


def gemini_streams():
    def chunk(*parts, reason=None):
        candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
        ended = {"finishReason": reason} if reason else {}
        return {"candidates": [{**candidate, **ended}], "responseId": "r1"}

    def call(name, **more):
        args = {"place": "Ghent"}
        return {"functionCall": {"id": f"call_{name}", "name": name, "args": args}, **more}

    yield events(
        chunk({"text": "A town.", "thought": True}),
        chunk({"text": "I look.", "thoughtSignature": "c2ln"}),
        chunk(call("clock", thoughtSignature="c2lo"), call("weather")),
        chunk({"text": ""}, reason="STOP"),
    )
    for text in ANSWERS:
        yield events(chunk({"text": text}), chunk({"text": ""}, reason="STOP"))


def ollama_streams():
    def line(done=False, **message):
        said = {"message": {"role": "assistant", "content": "", **message}}
        return json.dumps({"model": "qwen3", **said, "done": done}).encode() + b"\n"

    def call(name):
        return {"id": f"call_{name}", "function": {"name": name, "arguments": {"place": "Ghent"}}}

    told = [call("clock"), call("weather")]
    first = line(thinking="A town.") + line(content="I look.") + line(tool_calls=told)
    yield first + line(done=True)
    for text in ANSWERS:
        yield line(content=text) + line(done=True)


# The same conversation through the official clients.


def through_chat(url):
    import openai

    client = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    messages = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": [{"type": "text", "text": QUESTION}, picture]},
    ]
    tools = [
        {
            "type": "function",
            "function": {"name": t.name, "description": t.description, "parameters": t.schema},
        }
        for t in TOOLS
    ]
    for turn in range(3):
        with client.chat.completions.stream(
            model="gpt-5",
            messages=messages,
            tools=tools,
            max_completion_tokens=500,
            reasoning_effort="low",
            stream_options={"include_usage": True},
        ) as stream:
            message = stream.get_final_completion().choices[0].message
        messages.append(message.model_dump(exclude_none=True))
        for call in message.tool_calls or ():
            output = OUTPUTS[call.function.name]
            messages.append({"role": "tool", "tool_call_id": call.id, "content": output})
        if turn == 1:
            messages.append({"role": "user", "content": THANKS})


def through_responses(url):
    import openai

    client = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
    picture = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"}
    items = [{"role": "user", "content": [{"type": "input_text", "text": QUESTION}, picture]}]
    tools = [
        {
            "type": "function",
            "name": t.name,
            "description": t.description,
            "parameters": t.schema,
            "strict": False,
        }
        for t in TOOLS
    ]
    for turn in range(3):
        with client.responses.stream(
            model="gpt-5",
            instructions=SYSTEM,
            input=items,
            tools=tools,
            store=False,
            truncation="disabled",
            include=["reasoning.encrypted_content"],
            max_output_tokens=500,
            reasoning={"effort": "low", "summary": "auto"},
        ) as stream:
            output = stream.get_final_response().output
        items += [item.model_dump(exclude_none=True) for item in output]
        for item in output:
            if item.type == "function_call":
                said = {"call_id": item.call_id, "output": OUTPUTS[item.name]}
                items.append({"type": "function_call_output", **said})
        if turn == 1:
            items.append({"role": "user", "content": THANKS})


def through_anthropic(url):
    import anthropic

    client = anthropic.Anthropic(base_url=url, api_key=KEY, max_retries=0)
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    picture = {"type": "image", "source": source}
    messages = [{"role": "user", "content": [{"type": "text", "text": QUESTION}, picture]}]
    tools = [
        {"name": t.name, "description": t.description, "input_schema": t.schema} for t in TOOLS
    ]
    for turn in range(3):
        with client.messages.stream(
            model="claude-sonnet-5",
            max_tokens=500,
            system=[{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}],
            messages=messages,
            tools=tools,
            thinking={"type": "adaptive"},
            output_config={"effort": "low"},
        ) as stream:
            message = stream.get_final_message()
        messages.append({"role": "assistant", "content": message.content})
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": OUTPUTS[block.name]}
            for block in message.content
            if block.type == "tool_use"
        ]
        if results:
            messages.append({"role": "user", "content": results})
        if turn == 1:
            messages.append({"role": "user", "content": THANKS})


def through_gemini(url):
    from google import genai
    from google.genai import types

    client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=url))
    declared = [
        types.FunctionDeclaration(
            name=t.name, description=t.description, parameters_json_schema=t.schema
        )
        for t in TOOLS
    ]
    config = types.GenerateContentConfig(
        system_instruction=SYSTEM,
        tools=[types.Tool(function_declarations=declared)],
        max_output_tokens=500,
        thinking_config=types.ThinkingConfig(
            include_thoughts=True, thinking_level=types.ThinkingLevel.LOW
        ),
    )
    chat = client.chats.create(model="gemini-3-flash-preview", config=config)
    picture = types.Part.from_bytes(data=base64.b64decode(PIXEL), mime_type="image/png")
    said = list(chat.send_message_stream([types.Part(text=QUESTION), picture]))
    called = [call for chunk in said for call in chunk.function_calls or ()]
    results = [
        types.Part(
            function_response=types.FunctionResponse(
                id=call.id, name=call.name, response={"output": OUTPUTS[call.name]}
            )
        )
        for call in called
    ]
    list(chat.send_message_stream(results))
    list(chat.send_message_stream(THANKS))


def through_ollama(url):
    import ollama

    client = ollama.Client(host=url, headers={"authorization": f"Bearer {KEY}"})
    messages = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": QUESTION, "images": [PIXEL]},
    ]
    tools = [
        {
            "type": "function",
            "function": {"name": t.name, "description": t.description, "parameters": t.schema},
        }
        for t in TOOLS
    ]
    for turn in range(3):
        message = {"role": "assistant", "content": "", "thinking": "", "tool_calls": []}
        for piece in client.chat(
            model="qwen3",
            messages=messages,
            tools=tools,
            stream=True,
            think="low",
            options={"num_ctx": 8192, "num_predict": 500},
        ):
            message["content"] += piece.message.content or ""
            message["thinking"] += piece.message.thinking or ""
            message["tool_calls"] += piece.message.tool_calls or ()
        messages.append({k: v for k, v in message.items() if v})
        for call in message["tool_calls"]:
            name = call.function.name
            messages.append({"role": "tool", "tool_name": name, "content": OUTPUTS[name]})
        if turn == 1:
            messages.append({"role": "user", "content": THANKS})


# And through ours.


async def through_ours(url, dialect, model, base=""):
    endpoint = Endpoint(name="judged", base_url=f"{url}{base}", key=lambda: KEY, window=8192)
    provider = HttpProvider(endpoint, dialect)
    talk = [Message.user(QUESTION, Image(mime="image/png", data=PIXEL))]
    options = Options(max_tokens=500, reasoning="low")
    for turn in range(3):
        draft = Draft()
        async for delta in provider.stream(Request(model, tuple(talk), SYSTEM, TOOLS, options)):
            draft = draft.add(delta)
        answer = Message(Role.ASSISTANT, draft.parts(f"judged/{model}"))
        talk.append(answer)
        talk += [Message.tool(c.id, OUTPUTS[c.name], name=c.name) for c in answer.calls]
        if turn == 1:
            talk.append(Message.user(THANKS))
    await provider.aclose()


CHAT = {
    "-tools.*.function.strict": "theirs only for the helper that parses answers",
}
RESPONSES = {}
ANTHROPIC = {}
GEMINI = {}
OLLAMA = {}
"""Every difference that is wanted, and why."""

JUDGES = [
    ("openai", OpenAI(), "gpt-5", "/v1", chat_streams, through_chat, CHAT),
    ("openai", Responses(), "gpt-5", "/v1", responses_streams, through_responses, RESPONSES),
    ("anthropic", Anthropic(), "claude-sonnet-5", "", anthropic_streams, through_anthropic,
     ANTHROPIC),
    ("google.genai", Gemini(), "gemini-3-flash-preview", "", gemini_streams, through_gemini,
     GEMINI),
    ("ollama", Ollama(), "qwen3", "", ollama_streams, through_ollama, OLLAMA),
]  # fmt: skip


@pytest.mark.parametrize(
    ("module", "dialect", "model", "base", "streams", "through_theirs", "wanted"),
    JUDGES,
    ids=[judge[1].name for judge in JUDGES],
)
@pytest.mark.filterwarnings("default")  # other people's libraries warn about each other
async def test_the_same_json(module, dialect, model, base, streams, through_theirs, wanted):
    need(module)
    content_type = "application/x-ndjson" if dialect.framing != "sse" else "text/event-stream"
    with Recorder(*streams(), content_type=content_type) as theirs:
        through_theirs(theirs.url)
    with Recorder(*streams(), content_type=content_type) as ours:
        await through_ours(ours.url, dialect, model, base)
    assert len(ours.asked) == len(theirs.asked) == 3
    found = set()
    for one, two in zip(ours.asked, theirs.asked, strict=True):
        if (one.method, one.path) != (two.method, two.path): print(one.path, two.path)
        for header in ("content-type", "anthropic-version", *dialect.auth(KEY)):
            if one.headers.get(header) != two.headers.get(header): print("HEADER", header, one.headers.get(header), two.headers.get(header))
        found |= set(differences(one.json, two.json))
    for path in sorted(found):
        print(path)
    if os.environ.get("SHOW"):
        print(json.dumps(ours.asked[-1].json, indent=1)); print(json.dumps(theirs.asked[-1].json, indent=1))
    assert found == set(wanted)
