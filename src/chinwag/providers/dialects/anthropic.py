"""Anthropic's messages, also spoken by llama.cpp and many gateways.

Invariants: an answer is complete when ``message_stop`` came. Turns alternate; a tool's result opens
the user's turn. Thinking goes back only with the signature its author gave it. Usage counts the
whole prompt, though the server counts only what was neither read from a cache nor written to one.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote

import msgspec

from chinwag.providers.base import ModelInfo, Options, Profile, Request
from chinwag.providers.dialects.base import (
    NO_PROFILE,
    PICTURES,
    Body,
    Decoder,
    Endpoint,
    Framing,
    HttpCall,
    arguments_of,
    call_id,
    encoded,
    in_words,
    is_own,
    merged,
    number,
    only_set,
    read,
    sorted_json,
    with_extra,
)
from chinwag.providers.dialects.schemas import with_schema_in_words
from chinwag.providers.failures import Where, from_object, no_answer
from chinwag.providers.lines import SseEvent
from chinwag.talk.delta import (
    AnyDelta,
    CallDelta,
    Ended,
    ServedBy,
    Stop,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
)
from chinwag.talk.message import AnyPart, Call, File, Image, Result, Role, Text, Thinking
from chinwag.talk.tool import ToolSpec
from chinwag.talk.usage import Usage

VERSION: Final = "2023-06-01"
MAX_TOKENS: Final = 8192
"""The bound where nobody set one and nothing is known of the model: one is demanded."""

_STOPS: Final = {
    "end_turn": Stop.END,
    "stop_sequence": Stop.END,
    "max_tokens": Stop.LENGTH,
    "model_context_window_exceeded": Stop.LENGTH,
    "tool_use": Stop.TOOLS,
    "pause_turn": Stop.PAUSE,
    "refusal": Stop.REFUSAL,
}
_BUDGETS: Final = {"low": 2048, "medium": 8192, "high": 24576}
_LEAST: Final = 1024
"""The fewest tokens that can be given to thinking."""
_THOUGHTS: Final = ("thinking", "redacted_thinking")
_MODEL: Final = re.compile(r"claude-[a-z]+-(\d+)(?:-(\d)(?!\d))?")
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_EPHEMERAL: Final = {"type": "ephemeral"}


class _Delta(msgspec.Struct):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Any = None


class _Message(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    usage: Any = None


class _Event(msgspec.Struct):
    type: str = ""
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: Any = None
    error: Any = None


class _Whole(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    content: list[_Block] | None = None
    stop_reason: str | None = None
    usage: Any = None
    error: Any = None


_EVENTS: Final = msgspec.json.Decoder(_Event)
_WHOLES: Final = msgspec.json.Decoder(_Whole)


class AnthropicDecoder:
    """Reads one answer, event by event. Blocks of tools that run on the server are passed over."""

    __slots__ = ("_calls", "_reason", "_where", "finished")

    def __init__(self, where: Where) -> None:
        self._where = where
        self._calls: set[int] = set()
        self._reason = ""
        self.finished = False

    def feed(self, event: SseEvent) -> list[AnyDelta]:
        if self.finished or event.data.startswith(b"[DONE]"):
            return []  # gateways that think of everybody close with OpenAI's word, too
        heard = read(_EVENTS, _Event, event.data, self._where.endpoint)
        if heard.error or heard.type == "error" or event.event == "error":
            raise from_object({"error": heard.error or "no reason given"}, self._where)
        match heard.type:
            case "content_block_delta" if heard.delta is not None:
                return self._delta(heard.delta, heard.index)
            case "content_block_start" if heard.content_block is not None:
                return self._start(heard.content_block, heard.index)
            case "message_start" if heard.message is not None:
                return _begun(heard.message)
            case "message_delta":
                return self._closing(heard)
            case "message_stop":
                self.finished = True
                return [Ended(_STOPS.get(self._reason, Stop.END), self._reason or "message_stop")]
            case _:
                return []  # ping, content_block_stop and whatever will be invented

    def end(self) -> list[AnyDelta]:
        return []  # message_stop says it itself

    def _delta(self, delta: _Delta, index: int) -> list[AnyDelta]:
        match delta.type:
            case "text_delta" if delta.text:
                return [TextDelta(delta.text, index)]
            case "thinking_delta" if delta.thinking:
                return [ThinkingDelta(delta.thinking, index=index)]
            case "signature_delta" if delta.signature:
                return [ThinkingDelta(signature=delta.signature, index=index)]
            case "input_json_delta" if index in self._calls and delta.partial_json:
                return [CallDelta(index, arguments=delta.partial_json)]
            case _:
                return []

    def _start(self, block: _Block, index: int) -> list[AnyDelta]:
        if block.type == "tool_use" and not block.input:
            self._calls.add(index)  # its arguments come in pieces
        return _block(block, index)

    def _closing(self, heard: _Event) -> list[AnyDelta]:
        if heard.delta is not None and heard.delta.stop_reason:
            self._reason = heard.delta.stop_reason
        return _usages(heard.usage)


class Anthropic:
    """The dialect. Stateless."""

    name = "anthropic"
    framing: Framing = "sse"

    def auth(self, key: str) -> dict[str, str]:
        return {"x-api-key": key}

    def encode(
        self, request: Request, endpoint: Endpoint, profile: Profile = NO_PROFILE
    ) -> HttpCall:
        if request.options.schema is not None and not _takes_schema(request.model):
            request = without_schema(with_schema_in_words(request))
        options = request.options
        messages = _messages(request, endpoint)
        bound = options.max_tokens or profile.max_output or endpoint.max_output
        thinking = _reasoning(request.model, options.reasoning, bound, messages)
        head: Body = {
            "model": request.model,
            "max_tokens": _limit(bound, thinking),
            "stream": True,
            **_tuning(options, thinks=_thinks(thinking)),
            **_with_schema(thinking, options),
        }
        if request.tools:
            head["tools"] = _tools(request)
        if request.system:
            text = {"type": "text", "text": request.system, "cache_control": _EPHEMERAL}
            head["system"] = [text]
        body = with_extra(head, options.extra, {"messages": messages})
        headers = {"anthropic-version": VERSION}
        return HttpCall("POST", _path(endpoint, "/messages"), headers, encoded(body))

    def decoder(self, where: Where) -> Decoder:
        return AnthropicDecoder(where)

    def read_whole(self, body: bytes, where: Where) -> list[AnyDelta]:
        whole = read(_WHOLES, _Whole, body, where.endpoint)
        if whole.error:
            raise from_object({"error": whole.error}, where)
        if whole.content is None or not whole.stop_reason:
            raise no_answer(where)
        said = _begun(_Message(whole.id, whole.model, whole.usage))
        for index, block in enumerate(whole.content):
            said += _block(block, index)
        return [*said, Ended(_STOPS.get(whole.stop_reason, Stop.END), whole.stop_reason)]

    def models_call(self, endpoint: Endpoint) -> HttpCall:
        path = _path(endpoint, "/models?limit=1000")
        return HttpCall("GET", path, {"anthropic-version": VERSION})

    def read_models(self, body: bytes, endpoint: Endpoint) -> list[ModelInfo]:
        rows = read(_LISTS, _List, body, endpoint.host).data or ()
        return [
            ModelInfo(endpoint.name, row.id, _profile(row), row.display_name or "")
            for row in rows
            if row.id
        ]

    def profile_call(self, model: str, endpoint: Endpoint) -> HttpCall | None:
        path = _path(endpoint, f"/models/{quote(model, safe='')}")
        return HttpCall("GET", path, {"anthropic-version": VERSION})

    def read_profile(self, body: bytes, endpoint: Endpoint, model: str) -> Profile:  # noqa: ARG002
        return _profile(read(_ROWS, _Row, body, endpoint.host))


def _path(endpoint: Endpoint, path: str) -> str:
    """Both `https://host` and `https://host/v1` are written as the address of such a server."""
    return path if endpoint.base_url.rstrip("/").endswith("/v1") else f"/v1{path}"


def _begun(message: _Message) -> list[AnyDelta]:
    return [ServedBy(message.model or "", message.id or ""), *_usages(message.usage)]


def _block(block: _Block, index: int) -> list[AnyDelta]:
    match block.type:
        case "text" if block.text:
            return [TextDelta(block.text, index)]
        case "thinking" if block.thinking or block.signature:
            return [ThinkingDelta(block.thinking or "", block.signature or "", index=index)]
        case "redacted_thinking" if block.data:
            return [ThinkingDelta(redacted=block.data, index=index)]
        case "tool_use":
            whole = msgspec.json.encode(block.input).decode() if block.input else ""
            return [CallDelta(index, block.id or "", block.name or "", whole)]
        case _:
            return []


def _usages(usage: Any) -> list[AnyDelta]:
    if not isinstance(usage, dict) or not usage:
        return []  # odd types are some gateways' and no reason to lose an answer
    cached = number(usage.get("cache_read_input_tokens"))
    written = number(usage.get("cache_creation_input_tokens"))
    fresh = number(usage.get("input_tokens"))
    details = usage.get("output_tokens_details")
    thought = details.get("thinking_tokens") if isinstance(details, dict) else None
    said = Usage(
        input=None if fresh is None else fresh + (cached or 0) + (written or 0),
        output=number(usage.get("output_tokens")),
        cached=cached,
        cache_written=written,
        reasoning=number(thought),
    )
    return [UsageDelta(said)] if said != Usage() else []


def _limit(bound: int | None, thinking: Body) -> int:
    """The bound of the answer; thinking counts against it, so it needs room of its own."""
    budget: int = thinking.get("thinking", {}).get("budget_tokens", 0)
    return bound or MAX_TOKENS + budget


def _tuning(options: Options, *, thinks: bool) -> Body:
    """What is refused is not sent: more than 1 of temperature, and most of it while thinking."""
    heat, top_p = options.temperature, options.top_p
    return only_set(
        temperature=None if thinks or heat is None else min(heat, 1.0),
        top_p=None if thinks and top_p is not None and top_p < 0.95 else top_p,
        top_k=None if thinks else options.top_k,
        stop_sequences=options.stop,
    )


def _thinks(thinking: Body) -> bool:
    return thinking.get("thinking", {}).get("type") in ("enabled", "adaptive")


def _reasoning(model: str, effort: str | None, bound: int | None, messages: list[Body]) -> Body:
    if effort is None:
        return {}
    if effort == "off":
        return {"thinking": {"type": "disabled"}}
    if _is_adaptive(model):
        return {"thinking": {"type": "adaptive"}, "output_config": {"effort": effort}}
    if not _may_think(messages) or (bound is not None and bound <= _LEAST):
        return {}
    budget = _BUDGETS.get(effort, _BUDGETS["medium"])
    if bound is not None:
        # The budget must stay below the bound.
        budget = max(_LEAST, min(budget, bound - _LEAST))
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def _may_think(messages: list[Body]) -> bool:
    """Whether thinking can be asked for: an answer that waits for its tools must have begun with
    its own thinking, and one that another model began has none here.
    """
    begun: Body = {}
    for message in reversed(messages):
        if message["role"] == "assistant":
            begun = message["content"][0]
        elif message["content"][0]["type"] != "tool_result":
            break
    return messages[-1]["role"] == "user" and (not begun or begun["type"] in _THOUGHTS)


def _is_adaptive(model: str) -> bool:
    """From 4.6 on a model measures its thinking itself; the newest refuse to be told a budget."""
    found = _MODEL.search(model)
    return found is not None and (int(found[1]), int(found[2] or 0)) >= (4, 6)


def _takes_schema(model: str) -> bool:
    """From 4.5 on; what is not named like one of theirs is believed to be as able."""
    if re.search(r"claude-[123][-.]", model):
        return False
    found = _MODEL.search(model)
    return found is None or (int(found[1]), int(found[2] or 0)) >= (4, 5)


def without_schema(request: Request) -> Request:
    return msgspec.structs.replace(
        request, options=msgspec.structs.replace(request.options, schema=None)
    )


_REFUSED: Final = frozenset(
    "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength maxItems"
    " uniqueItems minProperties maxProperties patternProperties".split()
)
_BY_NAME: Final = ("properties", "$defs", "definitions")


def fitted(schema: Any) -> Any:
    """``schema`` as it is taken: every object closed, and without bounds, which are refused.

    What is left out loosens a rule; the answer is still held to the schema itself by who asked.
    """
    if isinstance(schema, list):
        return [fitted(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: _inside(name, value) for name, value in schema.items() if name not in _REFUSED}
    if isinstance(least := kept.get("minItems"), int) and least > 1:
        kept["minItems"] = 1
    if kept.get("type") == "object" or "properties" in kept:
        kept["additionalProperties"] = False
    return kept


def _inside(name: str, value: Any) -> Any:
    if name in _BY_NAME and isinstance(value, dict):
        return {key: fitted(inner) for key, inner in value.items()}
    return value if name in ("enum", "const", "default", "examples") else fitted(value)


def _with_schema(thinking: Body, options: Options) -> Body:
    if options.schema is None:
        return thinking
    form = {"type": "json_schema", "schema": sorted_json(fitted(options.schema))}
    return {**thinking, "output_config": {**thinking.get("output_config", {}), "format": form}}


def _tools(request: Request) -> list[Body]:
    """The tools; they are cached together with the system prompt, which follows them, or alone."""
    made = [_tool(tool) for tool in request.tools]
    if not request.system:
        made[-1]["cache_control"] = _EPHEMERAL
    return made


def _tool(tool: ToolSpec) -> Body:
    body: Body = {"name": tool.name, "description": tool.description}
    return {**body, "input_schema": sorted_json(tool.schema or {"type": "object"})}


def _messages(request: Request, endpoint: Endpoint) -> list[Body]:
    turns = [
        {"role": str(role), "content": blocks}
        for role, parts in merged(request.messages)
        if (blocks := _blocks(role, parts, endpoint))
    ]
    if turns:
        _end_cleanly(turns[-1])
    return turns


def _blocks(role: Role, parts: tuple[AnyPart, ...], endpoint: Endpoint) -> list[Body]:
    blocks = [made for part in parts for made in _said(part, endpoint)]
    if role is Role.USER:
        # Results open the turn, or the server misses the answers to its calls.
        blocks.sort(key=lambda block: block["type"] != "tool_result")
    return blocks


def _said(part: AnyPart, endpoint: Endpoint) -> list[Body]:
    match part:
        case Text(text=text):
            return [{"type": "text", "text": text}] if text.strip() else []
        case Thinking():
            return _thought(part) if is_own(part, endpoint) else []
        case Call(name=name, arguments=arguments):
            call = {"id": call_id(part.id, _ID, 24), "name": name}
            return [{"type": "tool_use", **call, "input": arguments_of(arguments)}]
        case Result():
            return [_result(part)]
        case Image() | File():
            return [_attached(part)]


def _thought(part: Thinking) -> list[Body]:
    out: list[Body] = []
    if part.signature:
        out.append({"type": "thinking", "thinking": part.text, "signature": part.signature})
    if part.redacted:
        out.append({"type": "redacted_thinking", "data": part.redacted})
    return out


def _result(result: Result) -> Body:
    body: Body = {"type": "tool_result", "tool_use_id": call_id(result.id, _ID, 24)}
    if result.content:
        body["content"] = result.content
    return {**body, "is_error": True} if result.is_error else body


def _attached(part: Image | File) -> Body:
    pdf = isinstance(part, File) and part.mime == "application/pdf"
    seen = isinstance(part, Image) and (not part.data or part.mime in PICTURES)
    if not (seen or pdf) or not (part.data or part.url):
        return {"type": "text", "text": in_words(part)}
    if part.data:
        source = {"type": "base64", "media_type": part.mime, "data": part.data}
    else:
        source = {"type": "url", "url": part.url}
    return {"type": "document" if pdf else "image", "source": source}


def _end_cleanly(turn: Body) -> None:
    """Marks where the cached prefix ends. An unfinished answer may not end with a blank."""
    last = turn["content"][-1]
    if turn["role"] == "assistant" and last["type"] == "text":
        last["text"] = last["text"].rstrip()
    if last["type"] not in _THOUGHTS:
        last["cache_control"] = _EPHEMERAL


class _Row(msgspec.Struct):
    id: str = ""
    display_name: str | None = None
    max_input_tokens: int | None = None
    max_tokens: int | None = None


class _List(msgspec.Struct):
    data: list[_Row] | None = None


_ROWS: Final = msgspec.json.Decoder(_Row)
_LISTS: Final = msgspec.json.Decoder(_List)


def _profile(row: _Row) -> Profile:
    return Profile(window=row.max_input_tokens, max_output=row.max_tokens)
