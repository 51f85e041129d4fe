"""Our requests beside those of the official clients, which are the judges of how to ask.

One conversation - a system prompt, a picture, thinking, two tools called at once and answered, more
turns - is held twice with a server that writes down what it is asked: once through the official
client, used as its handbook says, once through ours. Both read the same answers, so what goes back
of them (signatures, ids, arguments) is compared, too. The requests must be the same JSON, at the
same address, with the same key; each difference that is wanted is listed with its reason, and one
that is listed but no longer there fails as well.
"""

import base64
import gc
import importlib.util
import json
import os
import re

import pytest

from chinwag.providers.base import Options, Request
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
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNg"
    "YPhfDwAChAGA60e6kgAAAABJRU5ErkJggg=="
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
            messages.append({"role": "user", "content": [{"type": "text", "text": THANKS}]})


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


def as_it_is(body):
    return body


def as_google_reads_it(body):
    """The same request as its server reads it: names with underscores or without are one, turns
    of one side are one (the client makes one of every chunk), and empty text says nothing."""
    body = _camel(body)
    turns = []
    for turn in body["contents"]:
        parts = [part for part in turn["parts"] if part != {"text": ""}]
        if turns and turns[-1]["role"] == turn["role"]:
            turns[-1]["parts"] += parts
        else:
            turns.append({"role": turn["role"], "parts": parts})
    return {**body, "contents": turns}


def _camel(value):
    match value:
        case dict():
            return {re.sub(r"_(.)", lambda m: m[1].upper(), k): _camel(v) for k, v in value.items()}
        case list():
            return [_camel(v) for v in value]
        case _:
            return value


# Every difference that is wanted, and why.

CHAT = {
    "-messages.*.tool_calls.*.index": "a number of the stream that their helper leaves in the"
    " answer; no part of a request",
}
RESPONSES = {
    "-input.*.id": "nothing is stored there, so ids name nothing; and reasoning with an id is"
    " refused unless exactly what followed it comes with its own",
    "-input.*.status": "what is sent back was complete: the server takes that for granted",
    "-input.*.content.*.annotations": "always empty, as no tool that makes any runs on the server",
    "-input.*.content.*.logprobs": "never asked for",
}
ANTHROPIC = {
    "+messages.*.content.*.cache_control": "marks the end of what comes again, so that it is read"
    " from the cache; their client leaves that to its user",
    "header authorization": "their client sends the key as a bearer's since its version 2;"
    " x-api-key is known to every server of this dialect, old and new",
    "header x-api-key": "the same",
    "header anthropic-version": "2026-10-21 refuses temperature, top_p and top_k of every model,"
    " and what other servers of this dialect make of it nobody says",
}
GEMINI = {
    "address": "v1beta has the previews, v1 has not",
    "-systemInstruction.role": "a system prompt has no side: the server does not look at it",
}
OLLAMA = {
    "+messages.*.tool_calls.*.id": "tells two calls of one tool apart; older servers pass it over",
    "+messages.*.tool_call_id": "the same",
}

JUDGES = [
    ("openai", OpenAI(), "gpt-5", "/v1", chat_streams, through_chat, as_it_is, CHAT),
    ("openai", Responses(), "gpt-5", "/v1", responses_streams, through_responses, as_it_is,
     RESPONSES),
    ("anthropic", Anthropic(), "claude-sonnet-5", "", anthropic_streams, through_anthropic,
     as_it_is, ANTHROPIC),
    ("google.genai", Gemini(), "gemini-3-flash-preview", "", gemini_streams, through_gemini,
     as_google_reads_it, GEMINI),
    ("ollama", Ollama(), "qwen3", "", ollama_streams, through_ollama, as_it_is, OLLAMA),
]  # fmt: skip
HEADERS = ("content-type", "anthropic-version", "authorization", "x-api-key", "x-goog-api-key")


def asked_otherwise(ours, theirs, reading):
    """Every way in which the two requests differ."""
    if (ours.method, ours.path) != (theirs.method, theirs.path):
        yield "address"
    for name in HEADERS:
        if ours.headers.get(name) != theirs.headers.get(name):
            yield f"header {name}"
    yield from differences(reading(ours.json), reading(theirs.json))


@pytest.mark.parametrize(
    ("module", "dialect", "model", "base", "streams", "through_theirs", "reading", "wanted"),
    JUDGES,
    ids=[judge[1].name for judge in JUDGES],
)
# Other people's libraries warn about each other, and leave sockets to the garbage collector.
@pytest.mark.filterwarnings("ignore")
async def test_the_same_json(
    module, dialect, model, base, streams, through_theirs, reading, wanted
):
    need(module)
    kind = "text/event-stream" if dialect.framing == "sse" else "application/x-ndjson"
    with Recorder(*streams(), content_type=kind) as theirs:
        through_theirs(theirs.url)
        gc.collect()
    with Recorder(*streams(), content_type=kind) as ours:
        await through_ours(ours.url, dialect, model, base)
    assert len(ours.asked) == len(theirs.asked) == 3
    # The last request holds all turns: a difference in an earlier one alone would be one, too.
    pairs = zip(ours.asked, theirs.asked, strict=True)
    assert {d for one, two in pairs for d in asked_otherwise(one, two, reading)} == set(wanted)
    assert OUTPUTS["weather"] in ours.asked[-1].body.decode()


def test_a_difference_is_seen():
    """The comparison itself: nothing hides from it."""
    one = {"a": 1, "b": [{"c": 1}, {"c": 2}], "d": [1], "e": {"f": None}}
    assert not list(differences(one, one))
    two = {"a": 2, "b": [{"c": 1}, {"x": 2}], "d": [1, 2], "e": {}}
    found = ["~a", "+b.*.c", "-b.*.x", "~d", "+e.f"]
    assert list(differences(one, two)) == found
