"""Ollama's own dialect: JSON lines, arguments as objects, a window that must be asked for.

Invariants: an answer is complete when a line says ``done``. The window is always sent where it is
known, since the server otherwise cuts the beginning of a longer prompt without a word.
"""

from __future__ import annotations

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
    encoded,
    function_tool,
    in_words,
    is_own,
    number,
    only_set,
    read,
    sorted_json,
    spoken,
    with_extra,
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
from chinwag.talk.message import Call, File, Image, Message, Result, Role, Text, Thinking
from chinwag.talk.usage import Usage

WINDOW_CAP: Final = 32768
"""The most tokens of window asked for unless somebody configured more.

A window costs memory when the model is loaded, used or not: the most a model was trained for
(131,072 and more) would not fit most machines.
"""


class _Function(msgspec.Struct, gc=False):
    name: str = ""
    arguments: dict[str, Any] | str | None = None


class _Call(msgspec.Struct):
    function: _Function = msgspec.field(default_factory=_Function)
    id: str | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_Call] | None = None


class _Line(msgspec.Struct):
    message: _Message | None = None
    response: str | None = None  # /api/generate, which some gateways answer with
    error: Any = None
    done: bool = False
    done_reason: str | None = None
    model: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None


_LINES: Final = msgspec.json.Decoder(_Line)


class OllamaDecoder:
    """Reads one answer, line by line."""

    __slots__ = ("_calls", "_greeted", "_where", "finished")

    def __init__(self, where: Where) -> None:
        self._where = where
        self._greeted = False
        self._calls = 0
        self.finished = False

    def feed(self, event: SseEvent) -> list[AnyDelta]:
        if self.finished:
            return []
        line = read(_LINES, _Line, event.data, self._where.endpoint)
        if line.error:
            raise from_object({"error": line.error}, self._where)
        said: list[AnyDelta] = []
        if not self._greeted and line.model:
            self._greeted = True
            said.append(ServedBy(line.model))
        if line.message is not None:
            self._message(line.message, said)
        if line.response:
            said.append(TextDelta(line.response))
        if line.done:
            said += self._done(line)
        return said

    def end(self) -> list[AnyDelta]:
        return []  # `done` says it itself, in the line that is the last

    def _message(self, message: _Message, said: list[AnyDelta]) -> None:
        if message.thinking:
            said.append(ThinkingDelta(message.thinking))
        if message.content:
            said.append(TextDelta(message.content))
        for call in message.tool_calls or ():
            given = call.function.arguments or {}
            text = given if isinstance(given, str) else msgspec.json.encode(given).decode()
            said.append(CallDelta(self._calls, call.id or "", call.function.name, text))
            self._calls += 1

    def _done(self, line: _Line) -> list[AnyDelta]:
        self.finished = True
        usage = Usage(input=number(line.prompt_eval_count), output=number(line.eval_count))
        reason = line.done_reason or ""
        stop = Stop.LENGTH if reason == "length" else Stop.TOOLS if self._calls else Stop.END
        ended = Ended(stop, reason or "done")
        return [UsageDelta(usage), ended] if usage != Usage() else [ended]


class Ollama:
    """The dialect. Stateless."""

    name = "ollama"
    framing: Framing = "json-lines"

    def auth(self, key: str) -> dict[str, str]:
        return {"authorization": f"Bearer {key}"}

    def encode(
        self, request: Request, endpoint: Endpoint, profile: Profile = NO_PROFILE
    ) -> HttpCall:
        options = request.options
        extra = dict(options.extra)
        tuning = {**_tuning(options, profile.window or endpoint.window), **_dict(extra, "options")}
        head: Body = {"model": request.model, "stream": True, **_thinking(options.reasoning)}
        if options.schema is not None:
            head["format"] = sorted_json(options.schema)
        if tuning:
            head["options"] = tuning
        if request.tools:
            head["tools"] = [function_tool(tool) for tool in request.tools]
        messages = spoken(request, lambda message: _message(message, endpoint))
        body = with_extra(head, extra, {"messages": messages})
        return HttpCall("POST", "/api/chat", {}, encoded(body))

    def decoder(self, where: Where) -> Decoder:
        return OllamaDecoder(where)

    def read_whole(self, body: bytes, where: Where) -> list[AnyDelta]:
        return OllamaDecoder(where).feed(SseEvent("", body))

    def models_call(self, endpoint: Endpoint) -> HttpCall:  # noqa: ARG002  # the promise's signature
        return HttpCall("GET", "/api/tags")

    def read_models(self, body: bytes, endpoint: Endpoint) -> list[ModelInfo]:
        tags = read(_TAGS, _Tags, body, endpoint.host)
        return [
            ModelInfo(endpoint.name, tag.name or tag.model, detail=_detail(tag))
            for tag in tags.models or ()
            if tag.name or tag.model
        ]

    def profile_call(self, model: str, endpoint: Endpoint) -> HttpCall | None:  # noqa: ARG002
        return HttpCall("POST", "/api/show", {}, encoded({"model": model}))

    def read_profile(self, body: bytes, endpoint: Endpoint, model: str) -> Profile:  # noqa: ARG002
        shown = read(_SHOWN, _Shown, body, endpoint.host)
        can = shown.capabilities
        return Profile(
            window=_window(shown),
            sees="vision" in can if can is not None else None,
            thinks="thinking" in can if can is not None else None,
            tools="tools" in can if can is not None else None,
        )


def _tuning(options: Options, window: int | None) -> Body:
    return only_set(
        num_ctx=window,
        temperature=options.temperature,
        top_p=options.top_p,
        top_k=options.top_k,
        num_predict=options.max_tokens,
        stop=options.stop,
        seed=options.seed,
    )


def _dict(extra: dict[str, Any], name: str) -> dict[str, Any]:
    """Takes ``extra[name]`` out where it is an object: it is merged, not put in place of ours."""
    value = extra.get(name)
    return extra.pop(name) if isinstance(value, dict) else {}


def _thinking(effort: str | None) -> Body:
    if effort is None:
        return {}
    return {"think": False if effort == "off" else effort}


def _message(message: Message, endpoint: Endpoint) -> list[Body]:
    if message.role is Role.TOOL:
        return [_result(p) for p in message.parts if isinstance(p, Result)]
    body: Body = {"role": str(message.role), "content": _content(message)}
    images = [p.data for p in message.parts if isinstance(p, Image) and p.data]
    if images:
        body["images"] = images
    if calls := message.calls:
        thought = "".join(
            p.text for p in message.parts if isinstance(p, Thinking) and is_own(p, endpoint)
        )
        if thought:
            body["thinking"] = thought
        body["tool_calls"] = [_said_call(call) for call in calls]
    return [body]


def _content(message: Message) -> str:
    """The words; a picture that cannot be sent as bytes, and every file, is named in them."""
    said = (
        p.text
        if isinstance(p, Text)
        else in_words(p)
        if isinstance(p, File) or (isinstance(p, Image) and not p.data)
        else ""
        for p in message.parts
    )
    return "".join(said)


def _said_call(call: Call) -> Body:
    function = {"name": call.name, "arguments": arguments_of(call.arguments)}
    return {"id": call.id, "function": function}


def _result(result: Result) -> Body:
    body = {"role": "tool", "content": answer_of(result), "tool_call_id": result.id}
    return {**body, "tool_name": result.name} if result.name else body


class _Details(msgspec.Struct):
    parameter_size: str | None = None
    quantization_level: str | None = None


class _Tag(msgspec.Struct):
    name: str = ""
    model: str = ""
    details: _Details | None = None


class _Tags(msgspec.Struct):
    models: list[_Tag] | None = None


class _Shown(msgspec.Struct):
    model_info: dict[str, Any] | None = None
    parameters: str | None = None
    capabilities: list[str] | None = None


_TAGS: Final = msgspec.json.Decoder(_Tags)
_SHOWN: Final = msgspec.json.Decoder(_Shown)


def _detail(tag: _Tag) -> str:
    details = tag.details or _Details()
    return " ".join(d for d in (details.parameter_size, details.quantization_level) if d)


def _window(shown: _Shown) -> int | None:
    """What the model file asks for; else what the model was trained for, within the cap."""
    for line in (shown.parameters or "").splitlines():
        match line.split():
            case ["num_ctx", value] if value.isdigit():
                return int(value)
    info = shown.model_info or {}
    trained = (number(v) for k, v in info.items() if k.endswith(".context_length"))
    window = next((t for t in trained if t), None)
    return min(window, WINDOW_CAP) if window else None
