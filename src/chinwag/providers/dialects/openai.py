"""OpenAI's chat completions, and the many who speak them with an accent.

Invariant: what differs between vendors in a request is decided by the address and the model's name,
here and nowhere else. How answers are read: `openai_decoder`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

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
    only_set,
    read,
    sorted_json,
    spoken,
    with_extra,
)
from chinwag.providers.dialects.details import sent as sent_details
from chinwag.providers.dialects.listed import LISTS, List, info
from chinwag.providers.dialects.openai_decoder import OpenAIDecoder
from chinwag.providers.dialects.schemas import is_strict, with_schema_in_words
from chinwag.providers.failures import Where
from chinwag.providers.lines import SseEvent
from chinwag.talk.delta import (
    AnyDelta,
    CallDelta,
    TextDelta,
    ThinkingDelta,
)
from chinwag.talk.message import AnyPart, Call, File, Image, Message, Result, Role, Text, Thinking

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
