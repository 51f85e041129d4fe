"""OpenAI's chat completions, and the many who speak them with an accent.

Invariants: an answer is complete when a ``finish_reason`` came, or ``[DONE]`` where a gateway sends
none; ``Ended`` waits for ``[DONE]`` or the end of the stream, since usage comes after the reason.
An error is raised even from a chunk that also has choices. What differs between vendors is decided
by the address and the model's name, here and nowhere else.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from chinwag.providers.base import ModelInfo, Options, Profile, Request
from chinwag.providers.dialects.base import (
    NO_PROFILE,
    Body,
    Decoder,
    Endpoint,
    Framing,
    HttpCall,
    answer_of,
    arguments_of,
    call_id,
    data_url,
    encoded,
    in_words,
    is_own,
    number,
    only_set,
    read,
    sorted_json,
    with_extra,
    words,
)
from chinwag.providers.failures import Where, from_object
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
from chinwag.talk.message import AnyPart, Call, File, Image, Message, Result, Role, Text, Thinking
from chinwag.talk.tool import ToolSpec
from chinwag.talk.usage import Usage

_STOPS: Final = {
    "stop": Stop.END,
    "eos": Stop.END,
    "end_turn": Stop.END,
    "stop_sequence": Stop.END,
    "length": Stop.LENGTH,
    "max_tokens": Stop.LENGTH,
    "model_length": Stop.LENGTH,
    "tool_calls": Stop.TOOLS,
    "tool_use": Stop.TOOLS,
    "function_call": Stop.TOOLS,
    "content_filter": Stop.FILTER,
    "refusal": Stop.REFUSAL,
}
# These name the limit max_completion_tokens and refuse max_tokens.
_OWN_REASONING: Final = re.compile(r"(?:o\d|gpt-[5-9])")
_ANY_ID: Final = re.compile(r"[\x21-\x7e]{1,40}")  # OpenAI's bound; vLLM's own ids are longer
_HOMES: Final = ("api.openai.com", ".openai.azure.com")
"""Where unknown fields are refused, top_k among them."""
PICTURES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")
_MISTRAL_ID: Final = re.compile(r"[A-Za-z0-9]{9}")


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _Call(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None
    extra_content: Any = None


class _Words(msgspec.Struct):
    """A delta, or a whole message: the same fields. Signatures live in ``reasoning_details``."""

    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[Any] | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    delta: _Words | None = None
    message: _Words | None = None
    finish_reason: str | None = None
    index: int | None = 0


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: Any = None  # odd types are some gateways' and no reason to lose an answer
    error: Any = None
    model: str | None = None
    id: str | None = None
    timings: dict[str, Any] | None = None
    x_groq: dict[str, Any] | None = None


_CHUNKS: Final = msgspec.json.Decoder(_Chunk)


class OpenAIDecoder:
    """Reads one answer, chunk by chunk."""

    __slots__ = ("_calls", "_done", "_greeted", "_refused", "_where", "finished", "reason")

    def __init__(self, where: Where) -> None:
        self._where = where
        self.finished = False
        self.reason = ""
        self._greeted = False
        self._calls: list[tuple[int | None, str]] = []
        self._refused = False
        self._done = False

    def feed(self, event: SseEvent) -> list[AnyDelta]:
        if self._done:
            return []
        try:
            chunk = _CHUNKS.decode(event.data)  # the common case first, and without a call
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._uncommon(event)
        return self._chunk(chunk, event)

    def _uncommon(self, event: SseEvent) -> list[AnyDelta]:
        if event.data.startswith(b"[DONE]"):
            self.finished = True
            return self.end()
        if not event.data.strip():
            return []
        return self._chunk(read(_CHUNKS, _Chunk, event.data, self._where.endpoint), event)

    def _chunk(self, chunk: _Chunk, event: SseEvent) -> list[AnyDelta]:
        if chunk.error or event.event == "error":
            raise from_object(chunk.error or msgspec.json.decode(event.data), self._where)
        said: list[AnyDelta] = [] if self._greeted else self._greet(chunk)
        for choice in chunk.choices or ():
            if choice.index:
                continue  # one answer was asked for; a second one is nobody's
            if (heard := choice.delta or choice.message) is not None:
                self._words(heard, said)
            if choice.finish_reason:
                self.reason = choice.finish_reason
                self.finished = True
        if chunk.usage or chunk.timings or chunk.x_groq:
            said += _usages(chunk)
        return said

    def end(self) -> list[AnyDelta]:
        if not self.finished or self._done:
            return []
        self._done = True
        return [Ended(self._stop(), self.reason or "[DONE]")]

    def _greet(self, chunk: _Chunk) -> list[AnyDelta]:
        if not (chunk.model or chunk.id):
            return []
        self._greeted = True
        return [ServedBy(chunk.model or "", chunk.id or "")]

    def _words(self, heard: _Words, said: list[AnyDelta]) -> None:
        content = heard.content
        if thought := heard.reasoning_content or heard.reasoning:
            said.append(ThinkingDelta(thought))
        if heard.reasoning_details:
            said += _details(heard.reasoning_details, told=bool(thought))
        if content:
            if isinstance(content, str):
                said.append(TextDelta(content))
            else:
                said += _parts(content)
        if heard.refusal:
            self._refused = True
            said.append(TextDelta(heard.refusal))
        for at, call in enumerate(heard.tool_calls or ()):
            said.append(self._call(call, at))

    def _call(self, call: _Call, at: int) -> CallDelta:
        function = call.function or _Function()
        arguments = function.arguments or ""
        if isinstance(arguments, dict):
            arguments = msgspec.json.encode(arguments).decode()
        return CallDelta(
            index=self._index(call, at),
            id=call.id or "",
            name=function.name or "",
            arguments=arguments,
            signature=_google_signature(call.extra_content),
        )

    def _index(self, call: _Call, at: int) -> int:
        """The call's number. Some send none, or 0 for each: then a new id means a new call."""
        named = call.index
        known = self._calls
        if call.id:
            for place, (index, name) in enumerate(known):
                if name == call.id and index in (named, None):
                    return place
            known.append((named, call.id))
            return len(known) - 1
        for place in range(len(known) - 1, -1, -1):
            if known[place][0] == named:
                return place
        known.append((named, f"\0{at}"))
        return len(known) - 1

    def _stop(self) -> Stop:
        if self._refused:
            return Stop.REFUSAL
        if self._calls and self.reason in ("", "stop"):
            return Stop.TOOLS
        return _STOPS.get(self.reason, Stop.END)


class OpenAI:
    """The dialect. Stateless."""

    name = "openai"
    framing: Framing = "sse"

    def auth(self, key: str) -> dict[str, str]:
        return {"authorization": f"Bearer {key}"}

    def encode(
        self,
        request: Request,
        endpoint: Endpoint,
        profile: Profile = NO_PROFILE,  # noqa: ARG002  # the promise's signature
    ) -> HttpCall:
        head: Body = {
            "model": request.model,
            "stream": True,
            "stream_options": {"include_usage": True},
            **_options(request, endpoint),
        }
        if request.tools:
            head["tools"] = [_tool(tool) for tool in request.tools]
        if request.session and endpoint.hostname == "api.openai.com":
            head["prompt_cache_key"] = request.session
        body = with_extra(head, request.options.extra, {"messages": _messages(request, endpoint)})
        return HttpCall("POST", "/chat/completions", {}, encoded(body))

    def decoder(self, where: Where) -> Decoder:
        return OpenAIDecoder(where)

    def read_whole(self, body: bytes, where: Where) -> list[AnyDelta]:
        decoder = OpenAIDecoder(where)
        said = decoder.feed(SseEvent("", body))
        # A whole answer is complete by being whole, whatever reason it forgot to give.
        decoder.finished = decoder.finished or any(
            isinstance(d, TextDelta | CallDelta | ThinkingDelta) for d in said
        )
        return said + decoder.end()

    def models_call(self, endpoint: Endpoint) -> HttpCall:  # noqa: ARG002
        return HttpCall("GET", "/models")

    def read_models(self, body: bytes, endpoint: Endpoint) -> list[ModelInfo]:
        if body.lstrip()[:1] == b"[":  # Together answers with a bare list
            body = b'{"data":' + body + b"}"
        rows = read(_LISTS, _List, body, endpoint.host)
        return [
            _info(row, endpoint) for row in rows.data or rows.models or () if row.id or row.name
        ]

    def profile_call(self, model: str, endpoint: Endpoint) -> HttpCall | None:  # noqa: ARG002
        # OpenAI's own list holds names only; the others' often tell the window.
        return None if endpoint.hostname == "api.openai.com" else self.models_call(endpoint)

    def read_profile(self, body: bytes, endpoint: Endpoint, model: str) -> Profile:
        found = (m.profile for m in self.read_models(body, endpoint) if m.name == model)
        return next(found, NO_PROFILE)


def _options(request: Request, endpoint: Endpoint) -> Body:
    options = request.options
    limit = "max_completion_tokens" if _OWN_REASONING.match(request.model) else "max_tokens"
    return {
        **only_set(
            temperature=options.temperature,
            top_p=options.top_p,
            top_k=None if endpoint.hostname.endswith(_HOMES) else options.top_k,
            stop=options.stop,
            seed=options.seed,
        ),
        **only_set(**{limit: options.max_tokens}),
        **_reasoning(request.model, options, endpoint),
        **_schema(options),
    }


def _reasoning(model: str, options: Options, endpoint: Endpoint) -> Body:
    effort = options.reasoning
    if effort is None:
        return {}
    if endpoint.hostname == "openrouter.ai":
        return {"reasoning": {"enabled": False} if effort == "off" else {"effort": effort}}
    if effort != "off":
        return {"reasoning_effort": effort}
    if endpoint.is_local:
        return {"chat_template_kwargs": {"enable_thinking": False}}
    # The first GPT-5 cannot think of nothing, its successors can.
    return {"reasoning_effort": "minimal" if re.match(r"gpt-5(?!\.\d)", model) else "none"}


def _schema(options: Options) -> Body:
    if options.schema is None:
        return {}
    asked = {"name": "answer", "schema": sorted_json(options.schema)}
    if _is_strict(options.schema):
        asked["strict"] = True  # type: ignore[assignment]  # the one boolean among them
    return {"response_format": {"type": "json_schema", "json_schema": asked}}


def _is_strict(schema: Any) -> bool:
    """Whether strict mode would take ``schema``: closed objects with every property required."""
    if isinstance(schema, list):
        return all(_is_strict(s) for s in schema)
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or isinstance(properties, dict):
        names = set(properties or ())
        if schema.get("additionalProperties") is not False:
            return False
        if set(schema.get("required", ())) != names:
            return False
    return all(_is_strict(s) for s in schema.values())


def _tool(tool: ToolSpec) -> Body:
    function = {"name": tool.name, "description": tool.description}
    return {
        "type": "function",
        "function": {**function, "parameters": sorted_json(tool.schema or {"type": "object"})},
    }


def _messages(request: Request, endpoint: Endpoint) -> list[Body]:
    out: list[Body] = []
    if request.system:
        out.append({"role": "system", "content": request.system})
    for message in request.messages:
        out += _message(message, endpoint)
    return out


def _message(message: Message, endpoint: Endpoint) -> list[Body]:
    match message.role:
        case Role.TOOL:
            return [_result(p, endpoint) for p in message.parts if isinstance(p, Result)]
        case Role.ASSISTANT:
            return [_assistant(message, endpoint)]
        case Role.SYSTEM:
            return [{"role": "system", "content": message.text}]
        case Role.USER:
            return [{"role": "user", "content": _content(message.parts)}]


def _content(parts: tuple[AnyPart, ...]) -> str | list[Body]:
    if not any(isinstance(p, Image | File) and _travels(p) for p in parts):
        return words(parts)
    return [made for made in map(_part, parts) if made]


def _travels(part: Image | File) -> bool:
    """Whether it can go as what it is: anything else is named, or the whole talk is refused."""
    if isinstance(part, File):
        return bool(part.data) and not part.text and part.mime == "application/pdf"
    return part.mime in PICTURES if part.data else bool(part.url)


def _part(part: AnyPart) -> Body | None:
    match part:
        case Text(text=text):
            return {"type": "text", "text": text} if text else None
        case Image() if _travels(part):
            return {"type": "image_url", "image_url": {"url": data_url(part)}}
        case File() if _travels(part):
            file = {"filename": part.name or "attached", "file_data": data_url(part)}
            return {"type": "file", "file": file}
        case Image() | File():
            return {"type": "text", "text": in_words(part)}
        case _:
            return None


def _assistant(message: Message, endpoint: Endpoint) -> Body:
    calls = [_said_call(call, endpoint) for call in message.calls]
    body: Body = {"role": "assistant", "content": message.text or (None if calls else "")}
    if calls:
        body["tool_calls"] = calls
    return {**body, **_thoughts(message, endpoint)}


def _thoughts(message: Message, endpoint: Endpoint) -> Body:
    """Thinking goes back only to who thought it, and only where it is wanted back."""
    own = [p for p in message.parts if isinstance(p, Thinking) and is_own(p, endpoint)]
    if not own:
        return {}
    if endpoint.hostname == "openrouter.ai":
        details = [d for part in own for d in _sent_details(part)]
        return {"reasoning_details": details} if details else {}
    if endpoint.hostname == "api.deepseek.com" and message.calls:
        return {"reasoning_content": "".join(p.text for p in own)}
    return {}


def _sent_details(part: Thinking) -> list[Body]:
    out: list[Body] = []
    if part.signature:
        out.append({"type": "reasoning.text", "text": part.text, "signature": part.signature})
    if part.redacted:
        out.append({"type": "reasoning.encrypted", "data": part.redacted})
    return out


def _said_call(call: Call, endpoint: Endpoint) -> Body:
    body: Body = {
        "id": _id(call.id, endpoint),
        "type": "function",
        "function": {"name": call.name, "arguments": _arguments(call.arguments)},
    }
    if call.signature and endpoint.hostname.endswith("googleapis.com"):
        body["extra_content"] = {"google": {"thought_signature": call.signature}}
    return body


def _arguments(text: str) -> str:
    """As the model wrote them, unless they are no object: many servers parse them to fill in."""
    value = arguments_of(text)
    if value == {} or (len(value) == 1 and value.get("unparsed") == text):
        return msgspec.json.encode(value).decode()
    return text


def _result(result: Result, endpoint: Endpoint) -> Body:
    return {
        "role": "tool",
        "tool_call_id": _id(result.id, endpoint),
        "content": answer_of(result),
    }


def _id(name: str, endpoint: Endpoint) -> str:
    if endpoint.hostname == "api.mistral.ai":
        return call_id(name, _MISTRAL_ID, 9)
    return call_id(name, _ANY_ID, 24)


def _parts(content: list[Any]) -> list[AnyDelta]:
    """Content as a list, which Mistral sends: text and thinking, each perhaps nested."""
    said: list[AnyDelta] = []
    for part in content:
        if isinstance(part, str):
            said.append(TextDelta(part))
        elif isinstance(part, dict):
            said += _listed(part)
    return said


def _listed(part: dict[str, Any]) -> list[AnyDelta]:
    if part.get("type") == "thinking":
        thought = part.get("thinking")
        inner = thought if isinstance(thought, list) else [{"text": thought}]
        text = "".join(str(i.get("text") or "") for i in inner if isinstance(i, dict))
        return [ThinkingDelta(text)] if text else []
    text = part.get("text") or part.get("refusal") or ""
    return [TextDelta(text)] if isinstance(text, str) and text else []


def _details(details: list[Any], *, told: bool) -> list[AnyDelta]:
    """OpenRouter's thinking in pieces; ``told`` where `reasoning` has said the text already."""
    said: list[AnyDelta] = []
    for detail in details:
        if not isinstance(detail, dict):
            continue
        text = "" if told else str(detail.get("text") or detail.get("summary") or "")
        signature = str(detail.get("signature") or "")
        redacted = str(detail.get("data") or "")
        if text or signature or redacted:
            said.append(ThinkingDelta(text, signature, redacted))
    return said


def _google_signature(extra: Any) -> str:
    google = extra.get("google") if isinstance(extra, dict) else None
    found = google.get("thought_signature") if isinstance(google, dict) else None
    return found if isinstance(found, str) else ""


def _usages(chunk: _Chunk) -> list[AnyDelta]:
    usage = chunk.usage or (chunk.x_groq or {}).get("usage")
    said: list[AnyDelta] = []
    if isinstance(usage, dict) and (read_usage := _usage(usage)) != Usage():
        said.append(UsageDelta(read_usage))
    cached = number((chunk.timings or {}).get("cache_n"))
    if cached is not None:
        said.append(UsageDelta(Usage(cached=cached)))
    return said


def _usage(usage: dict[str, Any]) -> Usage:
    prompt = usage.get("prompt_tokens_details")
    answer = usage.get("completion_tokens_details")
    prompt = prompt if isinstance(prompt, dict) else {}
    answer = answer if isinstance(answer, dict) else {}
    cached = number(prompt.get("cached_tokens"))
    cost = usage.get("cost")
    return Usage(
        input=number(usage.get("prompt_tokens")),
        output=_output(usage),
        cached=number(usage.get("prompt_cache_hit_tokens")) if cached is None else cached,
        cache_written=number(prompt.get("cache_write_tokens")),
        reasoning=number(answer.get("reasoning_tokens")),
        cost=float(cost) if isinstance(cost, int | float) else None,
    )


def _output(usage: dict[str, Any]) -> int | None:
    """Everything generated. Some leave thinking out of the answer but not out of the total."""
    said = number(usage.get("completion_tokens"))
    total, asked = number(usage.get("total_tokens")), number(usage.get("prompt_tokens"))
    if said is None or total is None or asked is None:
        return said
    return max(said, total - asked)


class _Row(msgspec.Struct):
    """One model as the many servers list it; each field is somebody's."""

    id: str = ""
    name: str | None = None
    owned_by: str | None = None
    context_length: int | None = None  # OpenRouter, Together
    context_window: int | None = None  # Groq
    max_context_length: int | None = None  # Mistral, LM Studio
    max_model_len: int | None = None  # vLLM
    max_completion_tokens: int | None = None
    architecture: Any = None
    pricing: Any = None
    meta: Any = None  # llama.cpp: what the model was trained for, which is not its window


class _List(msgspec.Struct):
    data: list[_Row] | None = None
    models: list[_Row] | None = None


_LISTS: Final = msgspec.json.Decoder(_List)


def _info(row: _Row, endpoint: Endpoint) -> ModelInfo:
    window = row.context_length or row.context_window or row.max_context_length or row.max_model_len
    shape = row.architecture if isinstance(row.architecture, dict) else {}
    sees = shape.get("input_modalities")
    price = row.pricing if isinstance(row.pricing, dict) else {}
    return ModelInfo(
        provider=endpoint.name,
        # Google lists its models with the folder in front, and takes them without.
        name=(row.id or row.name or "").removeprefix("models/"),
        profile=Profile(
            window=window,
            max_output=row.max_completion_tokens,
            sees="image" in sees if isinstance(sees, list) else None,
            price_input=_per_million(price.get("prompt")),
            price_output=_per_million(price.get("completion")),
            price_cached=_per_million(price.get("input_cache_read")),
        ),
        detail=row.owned_by or "",
    )


def _per_million(price: Any) -> float | None:
    try:
        value = float(price)
    except (TypeError, ValueError):
        return None
    return round(value * 1e6, 6) if value >= 0 else None
