"""OpenAI's chat completions, and the many who speak them with an accent.

Invariants: an answer is complete when a ``finish_reason`` came, or ``[DONE]`` where a gateway sends
none; ``Ended`` waits for ``[DONE]`` or the end of the stream, since usage comes after the reason.
An error is raised even from a chunk that also has choices. What differs between vendors is decided
by the address and the model's name, here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from chinwag.errors import ProviderError
from chinwag.providers.base import ModelInfo, Options, Profile, Request
from chinwag.providers.dialects.base import (
    NO_PROFILE,
    PICTURES,
    Body,
    Decoder,
    Endpoint,
    Framing,
    HttpCall,
    answer_of,
    arguments_text,
    call_id,
    content_of,
    data_url,
    encoded,
    function_tool,
    in_words,
    is_own,
    is_strict,
    number,
    only_set,
    read,
    sorted_json,
    spoken,
    with_extra,
    with_schema_in_words,
)
from chinwag.providers.dialects.details import Details
from chinwag.providers.dialects.details import sent as sent_details
from chinwag.providers.dialects.listed import LISTS, List, info
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
# These name the limit max_completion_tokens and refuse max_tokens. With a vendor in front of it the
# name is a gateway's, and gateways take max_tokens for all models; who does not is learnt.
_OWN_REASONING: Final = re.compile(r"(?:o\d(?![a-z\d])|gpt-(?:[5-9]|\d\d)(?!\d))")
_ANY_ID: Final = re.compile(r"[\x21-\x7e]{1,40}")  # OpenAI's bound; vLLM's own ids are longer
_HOMES: Final = ("api.openai.com", ".openai.azure.com")
"""Where unknown fields are refused, top_k among them."""
_SCHEMALESS: Final = ("api.deepseek.com", "api.z.ai", "open.bigmodel.cn")
"""Where JSON can be asked for, but no form of it: that is said in words."""
_MISTRAL_ID: Final = re.compile(r"[A-Za-z0-9]{9}")
# Wherever they are served: their own templates refuse a question right behind a tool's result.
_MISTRALS: Final = re.compile(
    r"(?i)(?:.*/)?(?:open-)?(?:mi[sx]tral|magistral|ministral|codestral|devstral|pixtral)"
)
_UNANSWERED: Final = "[no answer was given to this]"


REASONS: Final = re.compile(r"(?:.*/)?(?:o\d|gpt-(?:[5-9]|\d\d)(?!.*-chat)|codex)")
"""OpenAI's models that think; the others refuse every word about it."""
_LEAST: Final = (
    (r"o\d|gpt-oss|codex|gpt-5-codex|grok-3-mini", "low"),
    (r"gpt-5-pro", "high"),
    (r"gpt-5\.\d+-pro", "medium"),
    (r"gpt-5(?!\.\d)", "minimal"),
)


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

    __slots__ = (
        "_calls",
        "_details",
        "_done",
        "_greeted",
        "_refused",
        "_where",
        "failure",
        "finished",
        "reason",
    )

    def __init__(self, where: Where) -> None:
        self._where = where
        self.failure: ProviderError | None = None
        self._details: Details | None = None
        self.finished = False
        self.reason = ""
        self._greeted = False
        self._calls: list[tuple[int | None, str]] = []
        self._refused = False
        self._done = False

    def feed(self, event: SseEvent) -> list[AnyDelta]:
        if self.failure is not None:
            raise self.failure
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
            error = from_object(chunk.error or msgspec.json.decode(event.data), self._where)
            if not any(_spoken(choice) for choice in chunk.choices or ()):
                raise error
            self.failure = error  # the words beside it are heard first
        said: list[AnyDelta] = [] if self._greeted else self._greet(chunk)
        for choice in chunk.choices or ():
            if choice.index:
                continue  # one answer was asked for; a second one is nobody's
            if (heard := choice.delta or choice.message) is not None:
                self._words(heard, said)
            if choice.finish_reason and self.failure is None:
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
        thought = heard.reasoning_content or heard.reasoning
        if heard.reasoning_details or self._details is not None:
            said += self._detailed(heard.reasoning_details or [], thought or "")
        elif thought:
            said.append(ThinkingDelta(thought))
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

    def _detailed(self, details: list[Any], thought: str) -> list[ThinkingDelta]:
        if self._details is None:
            self._details = Details()
        return self._details.read(details, thought)

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
            head["tools"] = [function_tool(tool) for tool in request.tools]
        if request.session and endpoint.hostname == "api.openai.com":
            head["prompt_cache_key"] = request.session
        head.update(_going_on(request, endpoint))
        body = with_extra(head, request.options.extra, {"messages": _messages(request, endpoint)})
        return HttpCall("POST", "/chat/completions", {}, encoded(body))

    def decoder(self, where: Where) -> Decoder:
        return OpenAIDecoder(where)

    def read_whole(self, body: bytes, where: Where) -> list[AnyDelta]:
        decoder = OpenAIDecoder(where)
        said = decoder.feed(SseEvent("", body))
        if decoder.failure is not None:
            raise decoder.failure
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
        rows = read(LISTS, List, body, endpoint.host)
        return [info(row, endpoint) for row in rows.data or rows.models or () if row.id or row.name]

    def profile_call(self, model: str, endpoint: Endpoint) -> HttpCall | None:  # noqa: ARG002
        # OpenAI's own list holds names only; the others' often tell the window.
        return None if endpoint.hostname == "api.openai.com" else self.models_call(endpoint)

    def read_profile(self, body: bytes, endpoint: Endpoint, model: str) -> Profile:
        found = (m.profile for m in self.read_models(body, endpoint) if m.name == model)
        return next(found, NO_PROFILE)


def _spoken(choice: _Choice) -> bool:
    heard = choice.delta or choice.message
    return heard is not None and bool(heard.content or heard.reasoning_content or heard.reasoning)


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
        **_schema(options, endpoint),
    }


def _reasoning(model: str, options: Options, endpoint: Endpoint) -> Body:
    effort = options.reasoning
    match effort, endpoint.hostname:
        case None, _:
            return {}
        case _, "openrouter.ai":
            return {"reasoning": {"enabled": False} if effort == "off" else {"effort": effort}}
        case "off", "api.deepseek.com" | "api.z.ai" | "open.bigmodel.cn":
            return {"thinking": {"type": "disabled"}}
        case "off", "api.openai.com" if not REASONS.match(model):
            return {}  # it does not think, and refuses to hear of it
        case "off", _ if endpoint.is_local:
            return {"chat_template_kwargs": {"enable_thinking": False}}
        case "off", _:
            return {"reasoning_effort": least_effort(model)}
        case _, "api.mistral.ai" if re.match(r"mistral-(?:small|medium)", model):
            return {"reasoning_effort": "high"}  # they know all or nothing
        case _:
            return {"reasoning_effort": effort}


def least_effort(model: str) -> str:
    """The least that a model can be told to think, for "off": some cannot do without.

    The first reasoners and the open ones know no less than low, the first GPT-5 minimal, its big
    sister only high; what came after them takes none.
    """
    name = model.rpartition("/")[2]
    found = (effort for pattern, effort in _LEAST if re.match(pattern, name))
    return next(found, "none")


def _schema(options: Options, endpoint: Endpoint) -> Body:
    if options.schema is None:
        return {}
    if endpoint.hostname in _SCHEMALESS:
        return {"response_format": {"type": "json_object"}}
    asked = {"name": "answer", "schema": sorted_json(options.schema)}
    if is_strict(options.schema):
        asked["strict"] = True  # type: ignore[assignment]  # the one boolean among them
    return {"response_format": {"type": "json_schema", "json_schema": asked}}


def _messages(request: Request, endpoint: Endpoint) -> list[Body]:
    if request.options.schema is not None and endpoint.hostname in _SCHEMALESS:
        request = with_schema_in_words(request)
    made = spoken(request, lambda message: _message(message, endpoint))
    if not _is_mistral(request.model, endpoint):
        return made
    if _is_begun(request) and endpoint.hostname == "api.mistral.ai":
        made[-1]["prefix"] = True
    return list(_bridged(made))


def _is_begun(request: Request) -> bool:
    """Whether the request ends with the beginning of the answer that is asked for."""
    return bool(request.messages) and request.messages[-1].role is Role.ASSISTANT


def _going_on(request: Request, endpoint: Endpoint) -> Body:
    """What servers of this machine must be told to go on with an answer that was begun: vLLM begins
    a new one, and llama.cpp refuses a model that may think first.
    """
    if not (_is_begun(request) and endpoint.is_local):
        return {}
    quiet: Body = {"chat_template_kwargs": {"enable_thinking": False}}
    if endpoint.name == "vllm":
        return {**quiet, "continue_final_message": True, "add_generation_prompt": False}
    return quiet


def _is_mistral(model: str, endpoint: Endpoint) -> bool:
    return endpoint.hostname == "api.mistral.ai" or bool(_MISTRALS.match(model))


def _bridged(messages: Iterable[Body]) -> Iterator[Body]:
    """An answer between what a tool gave back and the next question: Mistral's models demand it."""
    before = ""
    for message in messages:
        if before == "tool" and message["role"] == "user":
            yield {"role": "assistant", "content": _UNANSWERED}
        before = message["role"]
        yield message


def _message(message: Message, endpoint: Endpoint) -> list[Body]:
    match message.role:
        case Role.TOOL:
            return [_result(p, endpoint) for p in message.parts if isinstance(p, Result)]
        case Role.ASSISTANT:
            return [_assistant(message, endpoint)]
        case Role.SYSTEM:
            return [{"role": "system", "content": message.text}]
        case Role.USER:
            return [{"role": "user", "content": content_of(message.parts, _travels, _part)}]


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
        # In the middle of calls some models demand even what nobody signed.
        details = [d for p in own for d in sent_details(p, unsigned=bool(message.calls))]
        return {"reasoning_details": details} if details else {}
    if endpoint.hostname == "api.deepseek.com" and message.calls:
        return {"reasoning_content": "".join(p.text for p in own)}
    return {}


def _said_call(call: Call, endpoint: Endpoint) -> Body:
    body: Body = {
        "id": _id(call.id, endpoint),
        "type": "function",
        "function": {"name": call.name, "arguments": arguments_text(call.arguments)},
    }
    if call.signature and endpoint.hostname.endswith("googleapis.com"):
        body["extra_content"] = {"google": {"thought_signature": call.signature}}
    return body


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
