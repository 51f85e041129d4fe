"""Servers as strict as the real ones, one for each dialect, on loopback.

Each request is checked by the rules its real counterpart refuses by (pairing of calls and results,
who speaks after whom, fields nobody knows, thinking that somebody else signed); what breaks one is
answered with status 400 and kept in ``refusals``. What passes is answered with a stream in that
dialect, steered by the last question's words: ``think`` thinks first (signed, where the dialect
signs), ``call`` asks for two tools at once, ``fail`` is status 500, ``cut`` breaks off in the
middle, ``hang`` says a few words and then nothing.

The checks are pure and work on a body alone: `check` raises `Refused`. A signature is made of what
it signs and the server's name, so that a check knows its own and notices a changed word.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

from support.servers import HANG, Asked, Loopback, Reply, json_reply

Json = dict[str, Any]
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
UNSIGNED = "skip_thought_signature_validator"
KEY = "k-strict"


class Refused(Exception):
    """Why a real server would answer 400."""


def demand(true: object, why: str) -> None:
    if not true:
        raise Refused(why)


def known(given: Json, names: str, where: str) -> None:
    """Only these fields; a name with ``!`` behind it must be there."""
    wanted = names.split()
    allowed = {name.rstrip("!") for name in wanted}
    demand(isinstance(given, dict), f"{where}: not an object")
    demand(set(given) <= allowed, f"{where}: unknown {sorted(set(given) - allowed)}")
    missing = [n[:-1] for n in wanted if n.endswith("!") and n[:-1] not in given]
    demand(not missing, f"{where}: {missing} missing")


def kinds(given: Json, where: str, **types: Any) -> None:
    for name, kind in types.items():
        value = given.get(name)
        right = isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool)
        demand(name not in given or right, f"{where}.{name}: {value!r} is no {kind}")


def base64_of(data: Any, where: str) -> None:
    try:
        demand(isinstance(data, str) and base64.b64decode(data, validate=True), f"{where}: empty")
    except binascii.Error as error:
        raise Refused(f"{where}: no base64") from error


# --- signatures ----------------------------------------------------------------------------------


def sign(home: str, what: str) -> str:
    """The signature of ``what`` by the server named ``home``."""
    digest = hashlib.sha256(f"{home}\0{what}".encode("utf-8", "replace")).digest()
    return base64.b64encode(digest[:18]).decode()


def seal(home: str, what: str) -> str:
    """Something opaque that carries its own signature."""
    return f"{base64.urlsafe_b64encode(what.encode()).decode()}.{sign(home, what)}"


def is_sealed(home: str, sealed: Any) -> bool:
    what, _, signature = str(sealed).rpartition(".")
    try:
        return signature == sign(home, base64.urlsafe_b64decode(what).decode())
    except ValueError:
        return False


def of_call(name: str, args: Any) -> str:
    return f"{name} {json.dumps(args, sort_keys=True)}"


# --- what is to be said --------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    text: str = ""
    thinking: str = ""
    calls: tuple[tuple[str, Json], ...] = ()


def answer_to(question: str, turn: int) -> Answer:
    """``question`` is empty where the results of tools are to be answered."""
    if not question:
        return Answer(f"The tools have answered ({turn}).")
    thinking = f"Let me think about turn {turn}." if re.search(r"\bthink\b", question) else ""
    calls: tuple[tuple[str, Json], ...] = ()
    if re.search(r"\bcall\b", question):
        calls = (("clock", {"zone": "utc", "turn": turn}), ("look_up", {"word": "chinwag"}))
    text = "I look it up." if calls else f"This is a longer answer to turn {turn}, in pieces."
    return Answer(text, thinking, calls)


def pieces(text: str, size: int = 7) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def sse(events: Iterable[Json], *, named: bool = False, end: str = "\n") -> list[bytes]:
    out = []
    for event in events:
        head = f"event: {event['type']}{end}" if named else ""
        out.append(f"{head}data: {json.dumps(event)}{end}{end}".encode())
    return out


# --- OpenAI chat completions, and llama.cpp ------------------------------------------------------

_CHAT = (
    "model! messages! stream stream_options tools tool_choice parallel_tool_calls temperature top_p"
    " max_tokens max_completion_tokens stop seed response_format reasoning_effort prompt_cache_key"
    " n user store metadata logit_bias logprobs top_logprobs presence_penalty frequency_penalty"
    " modalities audio prediction service_tier safety_identifier verbosity web_search_options"
)
_LLAMA = " top_k min_p cache_prompt id_slot chat_template_kwargs reasoning_format timings_per_token"


def check_chat(body: Json, home: str, *, local: bool = False) -> None:
    known(body, _CHAT + _LLAMA if local else _CHAT, "body")
    kinds(body, "body", model=str, messages=list, stream=bool, tools=list, max_tokens=int)
    kinds(body, "body", temperature=(int, float), top_p=(int, float), stop=(str, list))
    demand(0 <= body.get("temperature", 1) <= 2, "temperature: from 0 to 2")
    demand(body["model"] and body["messages"], "model and messages are demanded")
    for tool in body.get("tools", [{"type": "function", "function": {"name": "x"}}]):
        known(tool, "type! function!", "tool")
        known(tool["function"], "name! description parameters strict", "tool.function")
        demand(NAME.fullmatch(tool["function"]["name"]), "tool name")
    _chat_order(body["messages"], local=local)


def _chat_order(messages: list[Json], *, local: bool) -> None:
    waiting: set[str] = set()
    seen: set[str] = set()
    before = ""
    for n, message in enumerate(messages):
        role = str(message.get("role"))
        if role == "tool":
            _chat_result(message, waiting)
        else:
            demand(not waiting, f"messages[{n}]: tool_calls {sorted(waiting)} were not answered")
            if local and role != "system":
                demand(before or role == "user", "the template wants the user first")
                demand(before != role, f"messages[{n}]: roles must alternate, says the template")
            waiting = _chat_message(message, f"messages[{n}]", seen)
        before = role if role != "system" else before
    demand(not waiting, f"tool_calls {sorted(waiting)} were not answered")


def _chat_result(message: Json, waiting: set[str]) -> None:
    known(message, "role! tool_call_id! content!", "tool message")
    demand(isinstance(message["content"], str), "tool message: content must be text")
    name = message["tool_call_id"]
    demand(name in waiting, f"tool message: {name!r} answers no call right before it")
    waiting.remove(name)


def _chat_message(message: Json, where: str, seen: set[str]) -> set[str]:
    """The calls it makes, by id."""
    match message.get("role"):
        case "system" | "developer":
            known(message, "role content! name", where)
            demand(isinstance(message["content"], str) and message["content"], f"{where}: empty")
        case "user":
            known(message, "role content! name", where)
            _chat_content(message["content"], where)
        case "assistant":
            known(message, "role content tool_calls refusal name audio reasoning_content", where)
            return _chat_calls(message, where, seen)
        case role:
            raise Refused(f"{where}: no role {role!r}")
    return set()


def _chat_content(content: Any, where: str) -> None:
    demand(isinstance(content, str | list), f"{where}: content is {content!r}")
    demand(content, f"{where}: empty content")
    for part in content if isinstance(content, list) else ():
        match part.get("type"):
            case "text":
                known(part, "type text!", where)
                demand(isinstance(part["text"], str) and part["text"], f"{where}: empty text")
            case "image_url":
                known(part["image_url"], "url! detail", where)
                _picture_url(part["image_url"]["url"], where)
            case "file":
                known(part["file"], "filename file_data file_id", where)
                head, _, data = part["file"]["file_data"].partition(",")
                demand(head == "data:application/pdf;base64", f"{where}: unsupported {head}")
                base64_of(data, where)
            case kind:
                raise Refused(f"{where}: no part {kind!r}")


def _picture_url(url: str, where: str) -> None:
    if url.startswith("data:"):
        head, _, data = url.partition(",")
        demand(head[5:].removesuffix(";base64") in PICTURES, f"{where}: unsupported image {head}")
        base64_of(data, where)
    else:
        demand(url.startswith(("https://", "http://")), f"{where}: no address {url!r}")


def _chat_calls(message: Json, where: str, seen: set[str]) -> set[str]:
    content, calls = message.get("content"), message.get("tool_calls")
    demand(isinstance(content, str) or (content is None and calls), f"{where}: content is null")
    demand(content or calls, f"{where}: says nothing")
    demand(calls is None or calls, f"{where}: tool_calls is empty")
    made: list[str] = []
    for call in calls or ():
        known(call, "id! type! function!", where)
        known(call["function"], "name! arguments!", where)
        made.append(call["id"])
        demand(NAME.fullmatch(call["function"]["name"]), f"{where}: name {call['function']!r}")
        _object_text(call["function"]["arguments"], where)
        demand(0 < len(call["id"]) <= 40, f"{where}: id of 1 to 40 letters wanted: {call['id']!r}")
    demand(len(set(made)) == len(made) and not seen & set(made), f"{where}: an id came twice")
    seen.update(made)
    return set(made)


def _object_text(text: Any, where: str) -> None:
    try:
        demand(isinstance(json.loads(text), dict), f"{where}: arguments are no object")
    except (TypeError, ValueError) as error:
        raise Refused(f"{where}: arguments are no JSON") from error


def question_chat(body: Json) -> str:
    last = body["messages"][-1]
    return "" if last["role"] == "tool" else _words(last["content"])


def _words(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n\n".join(part.get("text", "") for part in content or ())


def wire_chat(answer: Answer, home: str, turn: int) -> list[bytes]:
    def chunk(reason: str | None = None, **delta: Any) -> Json:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return {"id": f"chatcmpl-{turn}", "model": f"{home}-1", "choices": [choice]}

    events = [chunk(role="assistant", content=None)]
    events += [chunk(reasoning_content=piece) for piece in pieces(answer.thinking)]
    events += [chunk(content=piece) for piece in pieces(answer.text)]
    for n, (name, _) in enumerate(answer.calls):
        made = {"index": n, "id": f"chatcmpl-tool-{home}-{turn:0>24}-{n}", "type": "function"}
        events.append(chunk(tool_calls=[{**made, "function": {"name": name, "arguments": ""}}]))
    for piece in range(2):  # the arguments of both calls, interleaved
        for n, (_, args) in enumerate(answer.calls):
            text = json.dumps(args)
            half = text[: len(text) // 2] if piece == 0 else text[len(text) // 2 :]
            events.append(chunk(tool_calls=[{"index": n, "function": {"arguments": half}}]))
    events.append(chunk("tool_calls" if answer.calls else "stop"))
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    events.append({"id": f"chatcmpl-{turn}", "choices": [], "usage": usage})
    return [*sse(events), b"data: [DONE]\n\n"]


# --- OpenAI responses ----------------------------------------------------------------------------

_RESPONSES = (
    "model! input! stream store truncation temperature top_p max_output_tokens reasoning text tools"
    " tool_choice parallel_tool_calls instructions include prompt_cache_key previous_response_id"
    " metadata user service_tier max_tool_calls background prompt safety_identifier conversation"
    " stream_options top_logprobs prompt_cache_retention"
)


def check_responses(body: Json, home: str) -> None:
    known(body, _RESPONSES, "body")
    kinds(body, "body", model=str, input=list, instructions=str, max_output_tokens=int, store=bool)
    demand(body.get("max_output_tokens", 16) >= 16, "max_output_tokens: at least 16")
    demand(body["input"], "input: empty")
    waiting: set[str] = set()
    made: set[str] = set()
    items = body["input"]
    for n, item in enumerate(items):
        where = f"input[{n}]"
        match item.get("type", "message"):
            case "message":
                own = item.get("role") == "assistant"  # words after a call, of the same answer
                demand(own or not waiting, f"{where}: no tool output found for {sorted(waiting)}")
                _responses_message(item, where)
            case "reasoning":
                known(item, "type summary! encrypted_content id content status", where)
                sealed = item.get("encrypted_content")
                demand(is_sealed(home, sealed), f"{where}: the content could not be verified")
                demand(isinstance(item["summary"], list), f"{where}: summary")
                after = items[n + 1] if n + 1 < len(items) else {}
                led = after.get("type") in ("function_call", "reasoning")
                led = led or after.get("role") == "assistant"
                demand(led, f"{where}: reasoning without its required following item")
            case "function_call":
                known(item, "type call_id! name! arguments! id status", where)
                name = item["call_id"]
                demand(0 < len(name) <= 64 and name not in made, f"{where}: call_id {name!r}")
                demand(NAME.fullmatch(item["name"]), f"{where}: name {item['name']!r}")
                _object_text(item["arguments"], where)
                waiting.add(name)
                made.add(name)
            case "function_call_output":
                known(item, "type call_id! output! id status", where)
                demand(item["call_id"] in waiting, f"{where}: no call {item['call_id']!r}")
                demand(isinstance(item["output"], str | list), f"{where}: output")
                waiting.remove(item["call_id"])
            case kind:
                raise Refused(f"{where}: no item {kind!r}")
    demand(not waiting, f"no tool output found for {sorted(waiting)}")


def _responses_message(item: Json, where: str) -> None:
    known(item, "type role! content! id status", where)
    role, content = item["role"], item["content"]
    demand(role in ("user", "assistant", "system", "developer"), f"{where}: no role {role!r}")
    demand(isinstance(content, str | list) and content, f"{where}: content is {content!r}")
    for part in content if isinstance(content, list) else ():
        match part.get("type"):
            case "input_text" if role != "assistant":
                demand(part["text"], f"{where}: empty text")
            case "output_text" if role == "assistant":
                demand(part["text"], f"{where}: empty text")
            case "input_image" if role == "user":
                _picture_url(part["image_url"], where)
            case "input_file" if role == "user":
                known(part, "type filename file_data file_url file_id", where)
            case kind:
                raise Refused(f"{where}: no {kind!r} in a message of {role}")


def question_responses(body: Json) -> str:
    last = body["input"][-1]
    return _words(last["content"]) if last.get("role") == "user" else ""


def wire_responses(answer: Answer, home: str, turn: int) -> list[bytes]:
    events: list[Json] = []

    def say(kind: str, **more: Any) -> None:
        events.append({"type": f"response.{kind}", "sequence_number": len(events), **more})

    made = {"id": f"resp_{turn}", "model": f"{home}-1", "object": "response"}
    say("created", response={**made, "status": "in_progress", "output": []})
    at = 0
    if answer.thinking:
        item: Json = {"id": f"rs_{turn}", "type": "reasoning", "summary": []}
        say("output_item.added", output_index=at, item=item)
        for piece in pieces(answer.thinking):
            more = {"output_index": at, "summary_index": 0, "item_id": item["id"], "delta": piece}
            say("reasoning_summary_text.delta", **more)
        told = [{"type": "summary_text", "text": answer.thinking}]
        sealed = seal(home, answer.thinking)
        done = {**item, "summary": told, "encrypted_content": sealed}
        say("output_item.done", output_index=at, item=done)
        at += 1
    if answer.text:
        item = {"id": f"msg_{turn}", "type": "message", "role": "assistant", "content": []}
        say("output_item.added", output_index=at, item=item)
        for piece in pieces(answer.text):
            say("output_text.delta", output_index=at, item_id=item["id"], delta=piece)
        content = [{"type": "output_text", "text": answer.text, "annotations": []}]
        say("output_item.done", output_index=at, item={**item, "content": content})
        at += 1
    for n, (name, args) in enumerate(answer.calls):
        item = {"id": f"fc_{turn}_{n}", "type": "function_call", "name": name, "arguments": ""}
        item["call_id"] = f"call_{home}_{turn}_{n}"
        say("output_item.added", output_index=at, item=item)
        for piece in pieces(json.dumps(args)):
            more = {"output_index": at, "item_id": item["id"], "delta": piece}
            say("function_call_arguments.delta", **more)
        say("output_item.done", output_index=at, item={**item, "arguments": json.dumps(args)})
        at += 1
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    say("completed", response={**made, "status": "completed", "output": [], "usage": usage})
    return sse(events, named=True)


# --- Anthropic messages --------------------------------------------------------------------------

_MESSAGES = (
    "model! messages! max_tokens! stream system tools tool_choice temperature top_p top_k thinking"
    " stop_sequences metadata service_tier output_config container context_management"
)


def check_anthropic(body: Json, home: str) -> None:
    known(body, _MESSAGES, "body")
    kinds(body, "body", model=str, messages=list, max_tokens=int, stop_sequences=list, top_k=int)
    demand(body["max_tokens"] > 0, "max_tokens")
    demand(0 <= body.get("temperature", 1) <= 1, "temperature: from 0 to 1")
    for block in body.get("system", ()):
        _anthropic_text(block, "system")
    marks = json.dumps(body).count('"cache_control"')
    demand(marks <= 4, f"{marks} blocks with cache_control, 4 are allowed")
    demand(body["messages"], "messages: at least one")
    demand(body["messages"][0].get("role") == "user", "the first message must be the user's")
    waiting: list[str] = []
    made: set[str] = set()
    before = ""
    for n, message in enumerate(body["messages"]):
        where = f"messages[{n}]"
        known(message, "role! content!", where)
        role, content = message["role"], message["content"]
        demand(role in ("user", "assistant") and role != before, f"{where}: roles must alternate")
        demand(isinstance(content, list) and content, f"{where}: no content")
        if role == "user":
            _anthropic_asked(content, where, waiting)
            waiting = []
        else:
            waiting = _anthropic_said(content, where, made, home)
        before = role
    demand(not waiting, f"tool_use {waiting} without tool_result after it")
    _anthropic_end(body["messages"][-1])
    _anthropic_thinking(body)


def _anthropic_text(block: Json, where: str) -> None:
    known(block, "type! text! cache_control citations", where)
    demand(block["text"].strip(), f"{where}: text must not be blank")


def _anthropic_asked(content: list[Json], where: str, waiting: list[str]) -> None:
    answered: list[str] = []
    for n, block in enumerate(content):
        match block.get("type"):
            case "tool_result":
                known(block, "type tool_use_id! content is_error cache_control", where)
                demand(n == len(answered), f"{where}: tool_result must come first")
                demand(block["tool_use_id"] not in answered, f"{where}: answered twice")
                demand(block["tool_use_id"] in waiting, f"{where}: result of an unknown tool_use")
                answered.append(block["tool_use_id"])
            case "text":
                _anthropic_text(block, where)
            case "image" | "document":
                _anthropic_source(block, where)
            case kind:
                raise Refused(f"{where}: no {kind!r} from the user")
    demand(set(answered) == set(waiting), f"{where}: tool_use {waiting} without tool_result")


def _anthropic_source(block: Json, where: str) -> None:
    known(block, "type source! cache_control title context citations", where)
    source = block["source"]
    if source["type"] == "base64":
        allowed = PICTURES if block["type"] == "image" else ("application/pdf",)
        demand(source["media_type"] in allowed, f"{where}: media_type {source['media_type']!r}")
        base64_of(source["data"], where)
    else:
        demand(source["type"] == "url" and source["url"].startswith("http"), f"{where}: source")


def _anthropic_said(content: list[Json], where: str, made: set[str], home: str) -> list[str]:
    calls: list[str] = []
    for block in content:
        match block.get("type"):
            case "text":
                _anthropic_text(block, where)
            case "thinking":
                known(block, "type thinking! signature!", where)
                right = block["signature"] == sign(home, block["thinking"])
                demand(right, f"{where}: invalid signature in thinking block")
            case "redacted_thinking":
                known(block, "type data!", where)
                demand(is_sealed(home, block["data"]), f"{where}: invalid redacted data")
            case "tool_use":
                known(block, "type id! name! input! cache_control", where)
                demand(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", block["id"]), f"{where}: tool_use.id")
                demand(block["id"] not in made, f"{where}: tool_use ids must be unique")
                demand(NAME.fullmatch(block["name"]), f"{where}: name {block['name']!r}")
                demand(isinstance(block["input"], dict), f"{where}: input is no object")
                made.add(block["id"])
                calls.append(block["id"])
            case kind:
                raise Refused(f"{where}: no {kind!r} from the assistant")
    final = content[-1]["type"]
    demand(final not in ("thinking", "redacted_thinking"), f"{where}: ends in thinking")
    return calls


def _anthropic_end(message: Json) -> None:
    last = message["content"][-1]
    if message["role"] == "assistant" and last["type"] == "text":
        demand(last["text"] == last["text"].rstrip(), "the last message ends with white space")


def _anthropic_thinking(body: Json) -> None:
    thinking = body.get("thinking", {"type": "disabled"})
    if thinking["type"] == "disabled":
        known(thinking, "type", "thinking")
        return
    demand("temperature" not in body or body["temperature"] == 1, "temperature with thinking")
    demand("top_k" not in body, "top_k with thinking")
    demand(body.get("top_p", 1) >= 0.95, "top_p with thinking")
    if thinking["type"] == "adaptive":
        known(thinking, "type display", "thinking")
        return
    known(thinking, "type! budget_tokens! display", "thinking")
    demand(thinking["budget_tokens"] >= 1024, "budget_tokens: at least 1024")
    demand(thinking["budget_tokens"] < body["max_tokens"], "max_tokens must exceed budget_tokens")
    _anthropic_loop(body["messages"])


def _anthropic_loop(messages: list[Json]) -> None:
    """With thinking on, the answer that is being continued must begin with thinking."""
    demand(messages[-1]["role"] == "user", "no prefilled answer with thinking")
    if messages[-1]["content"][0]["type"] != "tool_result":
        return
    begin = max(
        n
        for n, m in enumerate(messages)
        if m["role"] == "user" and m["content"][0]["type"] != "tool_result"
    )
    first = messages[begin + 1]["content"][0]["type"]
    thought = first in ("thinking", "redacted_thinking")
    demand(thought, "a final assistant message must start with a thinking block")


def question_anthropic(body: Json) -> str:
    content = body["messages"][-1]["content"]
    return _words([block for block in content if block["type"] == "text"])


def wire_anthropic(answer: Answer, home: str, turn: int) -> list[bytes]:
    usage = {"input_tokens": 10, "output_tokens": 1}
    begun = {"id": f"msg_{turn}", "model": f"{home}-1", "role": "assistant", "usage": usage}
    events: list[Json] = [{"type": "message_start", "message": begun}, {"type": "ping"}]
    at = 0

    def block(start: Json, *deltas: Json) -> None:
        nonlocal at
        events.append({"type": "content_block_start", "index": at, "content_block": start})
        events.extend({"type": "content_block_delta", "index": at, "delta": d} for d in deltas)
        events.append({"type": "content_block_stop", "index": at})
        at += 1

    if answer.thinking:
        said = [{"type": "thinking_delta", "thinking": p} for p in pieces(answer.thinking)]
        signed = {"type": "signature_delta", "signature": sign(home, answer.thinking)}
        block({"type": "thinking", "thinking": "", "signature": ""}, *said, signed)
        block({"type": "redacted_thinking", "data": seal(home, f"hidden {turn}")})
    if answer.text:
        told = ({"type": "text_delta", "text": p} for p in pieces(answer.text))
        block({"type": "text", "text": ""}, *told)
    for n, (name, args) in enumerate(answer.calls):
        bits = ({"type": "input_json_delta", "partial_json": p} for p in pieces(json.dumps(args)))
        block({"type": "tool_use", "id": f"toolu_{turn}_{n}", "name": name, "input": {}}, *bits)
    reason = "tool_use" if answer.calls else "end_turn"
    events.append(
        {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 5}}
    )
    return sse([*events, {"type": "message_stop"}], named=True)


# --- Gemini --------------------------------------------------------------------------------------

_GENERATE = "contents! tools toolConfig systemInstruction generationConfig safetySettings"
_TUNING = (
    "temperature topP topK maxOutputTokens stopSequences seed responseMimeType responseSchema"
    " responseJsonSchema thinkingConfig candidateCount presencePenalty frequencyPenalty"
)
_GEMINI_MEDIA = re.compile(r"image/(png|jpeg|webp|heic|heif)|application/pdf|(audio|video|text)/.+")


def check_gemini(body: Json, home: str, model: str = "") -> None:
    known(body, _GENERATE, "body")
    known(body.get("generationConfig", {}), _TUNING, "generationConfig")
    if "systemInstruction" in body:
        demand(body["systemInstruction"]["parts"][0]["text"], "systemInstruction: empty")
    for tool in body.get("tools", ()):
        known(tool, "functionDeclarations", "tool")
    contents = body["contents"]
    demand(contents, "contents is not specified")
    before: Json = {}
    for n, content in enumerate(contents):
        where = f"contents[{n}]"
        known(content, "role! parts!", where)
        role = content["role"]
        demand(role in ("user", "model") and content["parts"], f"{where}: role and parts wanted")
        # Between two turns of the user only the results of tools may stand for themselves.
        alone = before.get("role") == role == "user" and not _responded(before)
        demand((before or role == "user") and not alone, f"{where}: roles must alternate")
        demand(before.get("role") != "model" or role == "user", f"{where}: roles must alternate")
        for part in content["parts"]:
            _gemini_part(part, role, where, home)
        _gemini_pairs(before, content, where)
        if role == "model" and model.startswith("gemini-3"):
            first = next((p for p in content["parts"] if "functionCall" in p), {"": 0})
            demand(
                "" in first or "thoughtSignature" in first, f"{where}: thought_signature missing"
            )
        before = content
    demand(not _called(before), "function calls without their responses")


def _called(content: Json) -> list[tuple[str, str]]:
    calls = (p["functionCall"] for p in content.get("parts", ()) if "functionCall" in p)
    return [(c["name"], c.get("id", "")) for c in calls]


def _responded(content: Json) -> list[tuple[str, str]]:
    said = (p["functionResponse"] for p in content.get("parts", ()) if "functionResponse" in p)
    return [(r["name"], r.get("id", "")) for r in said]


def _gemini_pairs(before: Json, content: Json, where: str) -> None:
    called, answered = _called(before), _responded(content)
    right = sorted(called) == sorted(answered)
    demand(right, f"{where}: responses {answered} to calls {called}")
    whole = not answered or len(answered) == len(content["parts"])
    demand(whole, f"{where}: function responses mixed with other parts")


def _gemini_part(part: Json, role: str, where: str, home: str) -> None:
    media = {k for k in part if k not in ("thought", "thoughtSignature")}
    demand(len(media) == 1, f"{where}: a part is one thing, this is {sorted(media)}")
    signature = part.get("thoughtSignature")
    demand(signature is None or role == "model", f"{where}: a signature from the user")
    match media.pop():
        case "text":
            demand(part["text"] or signature, f"{where}: empty text")
            right = signature is None or is_sealed(home, signature)
            demand(right, f"{where}: thought signature is not valid")
        case "functionCall" if role == "model":
            call = part["functionCall"]
            known(call, "id name! args", where)
            demand(re.fullmatch(r"[A-Za-z_][\w.:-]{0,63}", call["name"]), f"{where}: {call!r}")
            demand(isinstance(call.get("args", {}), dict) and call.get("id", "x"), f"{where}: args")
            signed = sign(home, of_call(call["name"], call.get("args", {})))
            right = signature in (None, UNSIGNED, signed)
            demand(right, f"{where}: thought signature is not valid")
        case "functionResponse" if role == "user":
            known(part["functionResponse"], "id name! response!", where)
            demand(isinstance(part["functionResponse"]["response"], dict), f"{where}: response")
        case "inlineData" if role == "user":
            known(part["inlineData"], "mimeType! data!", where)
            kind = part["inlineData"]["mimeType"]
            demand(_GEMINI_MEDIA.fullmatch(kind), f"{where}: unsupported MIME type {kind!r}")
            base64_of(part["inlineData"]["data"], where)
        case "fileData" if role == "user":
            known(part["fileData"], "mimeType fileUri!", where)
        case kind:
            raise Refused(f"{where}: no {kind!r} from {role}")


def question_gemini(body: Json) -> str:
    return _words([part for part in body["contents"][-1]["parts"] if "text" in part])


def wire_gemini(answer: Answer, home: str, turn: int) -> list[bytes]:
    def chunk(*parts: Json, **more: Any) -> Json:
        candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0, **more}
        head = {"responseId": f"resp{turn}", "modelVersion": f"{home}-1"}
        return {"candidates": [candidate], **head}

    events = [chunk({"text": piece, "thought": True}) for piece in pieces(answer.thinking)]
    signed = {"thoughtSignature": seal(home, f"text {turn}")} if answer.thinking else {}
    for n, piece in enumerate(pieces(answer.text)):
        events.append(chunk({"text": piece, **(signed if n == 0 else {})}))
    for name, args in answer.calls:
        made = {"functionCall": {"name": name, "args": args}}
        events.append(chunk({**made, "thoughtSignature": sign(home, of_call(name, args))}))
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
    events.append({**chunk({"text": ""}, finishReason="STOP"), "usageMetadata": usage})
    return sse(events, end="\r\n")


# --- Ollama --------------------------------------------------------------------------------------

_OLLAMA_OPTIONS = (
    "num_ctx temperature top_p top_k num_predict stop seed min_p num_gpu num_keep typical_p"
    " repeat_last_n repeat_penalty presence_penalty frequency_penalty num_batch num_thread"
)


def check_ollama(body: Json, home: str) -> None:
    known(body, "model! messages! stream think format options tools keep_alive logprobs", "body")
    known(body.get("options", {}), _OLLAMA_OPTIONS, "options")
    demand(body.get("think", True) in (True, False, "low", "medium", "high"), "think")
    demand(body["messages"], "messages: empty")
    waiting: list[tuple[str, str]] = []
    for n, message in enumerate(body["messages"]):
        where = f"messages[{n}]"
        kinds(message, where, content=str, thinking=str, images=list, tool_calls=list)
        match message.get("role"):
            case "tool":
                known(message, "role content! tool_name! tool_call_id", where)
                pair = (message.get("tool_call_id", ""), message["tool_name"])
                # Templates know no ids: a result belongs to the call of its place.
                demand(waiting[:1] == [pair], f"{where}: {pair} is not the answer to {waiting[:1]}")
                waiting.pop(0)
                continue
            case "user" | "system":
                known(message, "role content! images", where)
                said = message["content"] or message.get("images")
                for image in message.get("images", ()):
                    base64_of(image, where)
            case "assistant":
                known(message, "role content! thinking tool_calls", where)
                said = message["content"] or message.get("tool_calls")
            case role:
                raise Refused(f"{where}: no role {role!r}")
        demand(said and not waiting, f"{where}: empty, or calls {waiting} were not answered")
        waiting = [_ollama_call(call, where) for call in message.get("tool_calls", ())]
    demand(not waiting, f"calls {waiting} were not answered")


def _ollama_call(call: Json, where: str) -> tuple[str, str]:
    known(call, "id function!", where)
    known(call["function"], "name! arguments! index", where)
    demand(isinstance(call["function"]["arguments"], dict), f"{where}: arguments are no object")
    demand(call["function"]["name"], f"{where}: a call without a name")
    return call.get("id", ""), call["function"]["name"]


def wire_ollama(answer: Answer, home: str, turn: int) -> list[bytes]:
    def line(**more: Any) -> Json:
        return {"model": f"{home}-1", "done": False, **more}

    said = [{"thinking": piece, "content": ""} for piece in pieces(answer.thinking)]
    said += [{"content": piece} for piece in pieces(answer.text)]
    if answer.calls:
        calls = [{"function": {"name": name, "arguments": args}} for name, args in answer.calls]
        said.append({"content": "", "tool_calls": calls})  # type: ignore[dict-item]
    lines = [line(message={"role": "assistant", **words}) for words in said]
    counts = {"prompt_eval_count": 10, "eval_count": 5}
    lines.append(line(message={"role": "assistant", "content": ""}) | counts | {"done": True})
    return [json.dumps(entry).encode() + b"\n" for entry in lines]


# --- the servers ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A dialect's side of the server: its check, what was asked last, how it speaks."""

    check: Callable[[Json, str], None]
    question: Callable[[Json], str]
    wire: Callable[[Answer, str, int], list[bytes]]
    path: str
    key: str = f"authorization: Bearer {KEY}"
    content_type: str = "text/event-stream"


KINDS = {
    "openai": Kind(check_chat, question_chat, wire_chat, r"/v1/chat/completions"),
    "llamacpp": Kind(
        lambda body, home: check_chat(body, home, local=True),
        question_chat,
        wire_chat,
        r"/v1/chat/completions",
    ),
    "responses": Kind(check_responses, question_responses, wire_responses, r"/v1/responses"),
    "anthropic": Kind(
        check_anthropic, question_anthropic, wire_anthropic, r"/v1/messages", f"x-api-key: {KEY}"
    ),
    "gemini": Kind(
        check_gemini,
        question_gemini,
        wire_gemini,
        r"/v1beta/models/[\w.-]+:streamGenerateContent\?alt=sse",
        f"x-goog-api-key: {KEY}",
    ),
    "ollama": Kind(
        check_ollama, question_chat, wire_ollama, r"/api/chat", content_type="application/x-ndjson"
    ),
}
BASES = {"anthropic": "", "gemini": "", "ollama": ""}


def check(dialect: str, body: Json, home: str, model: str = "") -> None:
    """Raises Refused where the real server of ``dialect`` would not take ``body``."""
    if dialect == "gemini":
        check_gemini(body, home, model)
    else:
        KINDS[dialect].check(body, home)


class Server:
    """A strict server of one dialect. ``home`` is its name: what it signs is its own."""

    def __init__(self, dialect: str, home: str = "") -> None:
        self.dialect = dialect
        self.home = home or dialect
        self.kind = KINDS[dialect]
        self.bodies: list[Json] = []
        self.refusals: list[str] = []
        self.loopback = Loopback(self._answer)

    @property
    def url(self) -> str:
        return self.loopback.url + BASES.get(self.dialect, "/v1")

    def __enter__(self) -> Self:
        self.loopback.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.loopback.__exit__()

    def _answer(self, asked: Asked) -> Reply:
        if not re.fullmatch(self.kind.path, asked.path) or asked.method != "POST":
            return json_reply({"error": {"message": "no such address", "code": 404}}, 404)
        try:
            self._check(asked)
        except Refused as refused:
            self.refusals.append(str(refused))
            error = {"type": "invalid_request_error", "code": 400, "message": str(refused)}
            return json_reply({"type": "error", "error": error}, 400)
        self.bodies.append(asked.json)
        # What a failed turn had asked comes again in front of the next question.
        return self._stream(self.kind.question(asked.json).rpartition("\n\n")[2])

    def _check(self, asked: Asked) -> None:
        header, _, key = self.kind.key.partition(": ")
        demand(asked.headers.get(header) == key, f"{header} is missing or wrong")
        if self.dialect == "anthropic":
            demand(asked.headers.get("anthropic-version") == "2023-06-01", "anthropic-version")
        demand(asked.headers.get("content-type", "").startswith("application/json"), "no JSON")
        model = re.search(r"/models/([^:]+):", asked.path)
        check(self.dialect, asked.json, self.home, model[1] if model else "")

    def _stream(self, question: str) -> Reply:
        if re.search(r"\bfail\b", question):
            return json_reply({"error": {"message": "something broke here"}}, 500)
        answer = answer_to(question, len(self.bodies))
        parts: list[Any] = self.kind.wire(answer, self.home, len(self.bodies))
        if re.search(r"\bcut\b", question):
            return Reply(parts[: len(parts) // 2], 200, self.kind.content_type, cut=True)
        if re.search(r"\bhang\b", question):
            parts = [*parts[: len(parts) * 2 // 3], HANG]
        return Reply(parts, 200, self.kind.content_type)
