"""Google's Gemini: contents and parts, calls as objects, signatures wherever it thought.

Invariants: an answer is complete when a ``finishReason`` of a whole answer came; ``Ended`` waits
for the end of the stream, since some models give their reason with every chunk. A signature goes
back to its signer on the part it came with: a call's own, or the text that follows the thinking it
is kept on. A call without an id gets one made of the answer's id and its place, so that the same
bytes give the same ids.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from chinwag.errors import StreamBroken
from chinwag.providers.base import ModelInfo, Options, Profile, Request
from chinwag.providers.dialects.base import (
    NO_PROFILE,
    Body,
    Decoder,
    Endpoint,
    Framing,
    HttpCall,
    arguments_of,
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
from chinwag.providers.dialects.schemas import cleaned
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
from chinwag.talk.message import AnyPart, Call, File, Image, Result, Role, Text, Thinking
from chinwag.talk.tool import ToolSpec
from chinwag.talk.usage import Usage

_STOPS: Final = {
    "STOP": Stop.END,
    "FUNCTION_CALL": Stop.TOOLS,  # gateways; Google itself says STOP
    "MAX_TOKENS": Stop.LENGTH,
    "CONTINUATION": Stop.LENGTH,
    "SAFETY": Stop.FILTER,
    "RECITATION": Stop.FILTER,
    "LANGUAGE": Stop.FILTER,
    "BLOCKLIST": Stop.FILTER,
    "PROHIBITED_CONTENT": Stop.FILTER,
    "SPII": Stop.FILTER,
    "ESCALATION": Stop.FILTER,
    "MODEL_ARMOR": Stop.FILTER,
    "IMAGE_SAFETY": Stop.FILTER,
    "IMAGE_PROHIBITED_CONTENT": Stop.FILTER,
    "IMAGE_RECITATION": Stop.FILTER,
}
"""The reasons of an answer that is all there; any other means that something went wrong."""

_BUDGETS: Final = {"low": 1024, "medium": 8192, "high": 24576}
_GENERATION: Final = re.compile(r"gemini-(\d+)")
_UNSIGNED: Final = "skip_thought_signature_validator"
"""What Google says to send for calls of other models, where a signature is demanded."""
_PICTURES: Final = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif")
_INLINE: Final = ("image/", "audio/", "video/", "text/", "application/pdf")


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    args: dict[str, Any] | None = None
    id: str | None = None


class _Part(msgspec.Struct):
    text: str | None = None
    thought: bool | None = None
    signature: str | None = msgspec.field(default=None, name="thoughtSignature")
    call: _Function | None = msgspec.field(default=None, name="functionCall")


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct):
    content: _Content | None = None
    reason: str | None = msgspec.field(default=None, name="finishReason")
    message: str | None = msgspec.field(default=None, name="finishMessage")
    index: int | None = None


class _Chunk(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    usage_metadata: Any = None
    prompt_feedback: dict[str, Any] | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: Any = None


_CHUNKS: Final = msgspec.json.Decoder(_Chunk)


class GeminiDecoder:
    """Reads one answer, chunk by chunk. Parts of tools that run on the server are passed over."""

    __slots__ = (
        "_block", "_calls", "_done", "_greeted", "_id", "_kind", "_stop", "_where", "failure",
        "finished", "reason",
    )  # fmt: skip

    def __init__(self, where: Where) -> None:
        self._where = where
        self.finished = False
        self.reason = ""
        self.failure: StreamBroken | None = None
        self._stop = Stop.END
        self._done = False
        self._greeted = False
        self._id = ""
        self._calls = 0
        self._block = 0
        self._kind = ""

    def feed(self, event: SseEvent) -> list[AnyDelta]:
        if self.failure is not None:
            raise self.failure
        if self._done:
            return []
        try:
            chunk = _CHUNKS.decode(event.data)  # the common case first, and without a call
        except (msgspec.DecodeError, UnicodeDecodeError):
            if event.data.startswith(b"[DONE]") or not event.data.strip():
                return []  # gateways that think of everybody close with OpenAI's word, too
            chunk = read(_CHUNKS, _Chunk, event.data, self._where.endpoint)
        if chunk.error or event.event == "error":
            raise from_object({"error": chunk.error or "no reason given"}, self._where)
        said: list[AnyDelta] = [] if self._greeted else self._greet(chunk)
        for candidate in chunk.candidates or ():
            if candidate.index:
                continue  # one answer was asked for; a second one is nobody's
            self._candidate(candidate, said)
        if isinstance(chunk.usage_metadata, dict):
            said += _usages(chunk.usage_metadata)
        if chunk.prompt_feedback:
            self._judge(chunk.prompt_feedback)
        return said

    def end(self) -> list[AnyDelta]:
        if not self.finished or self._done:
            return []
        self._done = True
        return [Ended(self._stop, self.reason)]

    def _greet(self, chunk: _Chunk) -> list[AnyDelta]:
        if not (chunk.model_version or chunk.response_id):
            return []
        self._greeted = True
        self._id = chunk.response_id or ""
        return [ServedBy(chunk.model_version or "", self._id)]

    def _candidate(self, candidate: _Candidate, said: list[AnyDelta]) -> None:
        heard = len(said)
        if candidate.content is not None:
            for part in candidate.content.parts or ():
                self._part(part, said)
        if reason := candidate.reason:
            self._finish(reason, candidate.message or "", spoke=len(said) > heard)

    def _part(self, part: _Part, said: list[AnyDelta]) -> None:
        signature = part.signature or ""
        if part.call is not None:
            said.append(self._call(part.call, signature))
            return
        text = part.text
        if text is None:
            return  # code that ran there, and what came of it
        if part.thought:
            if text or signature:
                said.append(ThinkingDelta(text, signature, index=self._at("thinking")))
        else:
            if signature:
                # Kept on the thinking before it, or on a block of its own that says nothing.
                said.append(ThinkingDelta(signature=signature, index=self._at("thinking")))
            if text:
                said.append(TextDelta(text, self._at("text")))
        if signature and (part.thought or not text):
            self._kind = ""  # signatures are never joined: the next begins a block of its own

    def _at(self, kind: str) -> int:
        """The number of the block being written; a new one where another kind begins."""
        if self._kind != kind:
            self._kind = kind
            self._block += 1
        return self._block

    def _call(self, call: _Function, signature: str) -> CallDelta:
        self._kind = ""
        self._block += 1
        made = call.id or (f"{self._id}-{self._calls}" if self._id else "")
        self._calls += 1
        arguments = msgspec.json.encode(call.args or {}).decode()
        return CallDelta(self._block, made, call.name or "", arguments, signature)

    def _finish(self, reason: str, message: str, *, spoke: bool) -> None:
        if (stop := _STOPS.get(reason)) is not None:
            self._stop = Stop.TOOLS if self._calls and stop is Stop.END else stop
            self.reason = reason
            self.finished = True
        elif reason != "FINISH_REASON_UNSPECIFIED":
            self.finished = False
            self.failure = self._broken(reason, message)
            if not spoke:  # else the words go first
                raise self.failure

    def _broken(self, reason: str, message: str) -> StreamBroken:
        why = f"{reason}: {message}" if message else reason
        return StreamBroken(
            f"{self._where.endpoint} gave the answer up ({why})",
            hint="/retry asks again",
            endpoint=self._where.endpoint,
            model=self._where.model,
            status=200,
        )

    def _judge(self, feedback: dict[str, Any]) -> None:
        why = feedback.get("blockReason")
        if not why or why == "BLOCK_REASON_UNSPECIFIED":
            return
        told = feedback.get("blockReasonMessage")
        text = f"the prompt was blocked ({why})" + (f": {told}" if told else "")
        raise from_object({"error": {"code": "content_filter", "message": text}}, self._where)


class Gemini:
    """The dialect. Stateless."""

    name = "gemini"
    framing: Framing = "sse"

    def auth(self, key: str) -> dict[str, str]:
        return {"x-goog-api-key": key}

    def encode(
        self, request: Request, endpoint: Endpoint, profile: Profile = NO_PROFILE
    ) -> HttpCall:
        extra = dict(request.options.extra)
        tuning = _tuning(request.model, request.options, profile)
        if isinstance(given := extra.get("generationConfig"), dict):
            tuning.update(given)
            del extra["generationConfig"]
        head: Body = {"generationConfig": tuning} if tuning else {}
        if request.tools:
            head["tools"] = [{"functionDeclarations": [_tool(tool) for tool in request.tools]}]
        if request.system:
            head["systemInstruction"] = {"parts": [{"text": request.system}]}
        contents = list(_contents(request, endpoint))
        path = _path(endpoint, f"/{_named(request.model)}:streamGenerateContent?alt=sse")
        return HttpCall("POST", path, {}, encoded(with_extra(head, extra, {"contents": contents})))

    def decoder(self, where: Where) -> Decoder:
        return GeminiDecoder(where)

    def read_whole(self, body: bytes, where: Where) -> list[AnyDelta]:
        decoder = GeminiDecoder(where)
        # A list of the events: so it streams where a proxy has lost the `alt=sse` of the address.
        events = _EVENTS.decode(body) if body.lstrip()[:1] == b"[" else [body]
        said = [delta for event in events for delta in decoder.feed(SseEvent("", bytes(event)))]
        return said + decoder.end()

    def models_call(self, endpoint: Endpoint) -> HttpCall:
        return HttpCall("GET", _path(endpoint, "/models?pageSize=1000"))

    def read_models(self, body: bytes, endpoint: Endpoint) -> list[ModelInfo]:
        rows = read(_LISTS, _List, body, endpoint.host).models or ()
        return [
            ModelInfo(endpoint.name, row.id, _profile(row), row.display_name or "")
            for row in rows
            if row.id and row.answers
        ]

    def profile_call(self, model: str, endpoint: Endpoint) -> HttpCall | None:
        return HttpCall("GET", _path(endpoint, f"/{_named(model)}"))

    def read_profile(self, body: bytes, endpoint: Endpoint, model: str) -> Profile:  # noqa: ARG002
        return _profile(read(_ROWS, _Row, body, endpoint.host))


def _path(endpoint: Endpoint, path: str) -> str:
    """Both `https://host` and `https://host/v1beta` are written as the address of the server."""
    last = endpoint.base_url.rstrip("/").rpartition("/")[2]
    if last == "openai":
        return f"//v1beta{path}"  # Google's address for the other dialect: count from its root
    return path if re.fullmatch(r"v\d\w*", last) else f"/v1beta{path}"


def _named(model: str) -> str:
    """The model's path: a bare name is one of the common folder."""
    return quote(model if "/" in model else f"models/{model}", safe="/")


def _usages(usage: dict[str, Any]) -> list[AnyDelta]:
    thought = number(usage.get("thoughtsTokenCount"))
    asked = number(usage.get("promptTokenCount"))
    used = number(usage.get("toolUsePromptTokenCount"))
    said = Usage(
        input=_sum(asked, used),
        output=_sum(number(usage.get("candidatesTokenCount")), thought),
        cached=number(usage.get("cachedContentTokenCount")),
        reasoning=thought,
    )
    return [UsageDelta(said)] if said != Usage() else []


def _sum(one: int | None, two: int | None) -> int | None:
    return None if one is None and two is None else (one or 0) + (two or 0)


def _tuning(model: str, options: Options, profile: Profile) -> Body:
    shaped: Body = {}
    if options.schema is not None:
        shaped = {
            "responseMimeType": "application/json",
            "responseJsonSchema": sorted_json(cleaned(options.schema)),
        }
    return {
        **only_set(
            temperature=options.temperature,
            topP=options.top_p,
            topK=options.top_k,
            maxOutputTokens=options.max_tokens,
            stopSequences=options.stop,
            seed=options.seed,
        ),
        **shaped,
        **_thinking(model, options.reasoning, profile),
    }


def _thinking(model: str, effort: str | None, profile: Profile) -> Body:
    """How much to think. From the third generation on a level is asked for, before that tokens."""
    match effort:
        case None:
            # Models that cannot think refuse the wish; those that can do so in silence.
            return {"thinkingConfig": {"includeThoughts": True}} if profile.thinks else {}
        case "off" if _generation(model) >= 3:
            # The big ones cannot do without, and know no less than low.
            return {"thinkingConfig": {"thinkingLevel": "LOW" if "pro" in model else "MINIMAL"}}
        case "off":
            return {"thinkingConfig": {"thinkingBudget": 128 if "pro" in model else 0}}
        case _ if _generation(model) >= 3:
            asked: Body = {"thinkingLevel": effort.upper()}
        case _:
            asked = {"thinkingBudget": _BUDGETS.get(effort, _BUDGETS["medium"])}
    return {"thinkingConfig": {"includeThoughts": True, **asked}}


def _generation(model: str) -> int:
    found = _GENERATION.search(model)
    return int(found[1]) if found else 0


def _tool(tool: ToolSpec) -> Body:
    body: Body = {"name": tool.name, "description": tool.description}
    if not tool.schema.get("properties"):
        return body  # an object without properties is refused
    return {**body, "parametersJsonSchema": sorted_json(cleaned(tool.schema))}


def _contents(request: Request, endpoint: Endpoint) -> Iterator[Body]:
    """The turns. What tools gave back is a turn of its own: mixed with words it is misread."""
    names = {call.id: call.name for message in request.messages for call in message.calls}
    for role, parts in merged(request.messages):
        if role is Role.ASSISTANT:
            if said := _answered(parts, request.model, endpoint):
                yield {"role": "model", "parts": said}
            continue
        results = [_result(p, names) for p in parts if isinstance(p, Result)]
        asked = [made for p in parts if (made := _part(p))]
        for turn in (results, asked):
            if turn:
                yield {"role": "user", "parts": turn}


def _part(part: AnyPart) -> Body | None:
    match part:
        case Text(text=text):
            return {"text": text} if text else None
        case Image() | File():
            return _attached(part)
        case _:
            return None


def _attached(part: Image | File) -> Body:
    if isinstance(part, File) and (part.text or not part.mime.startswith(_INLINE)):
        return {"text": in_words(part)}
    if isinstance(part, Image) and part.data and part.mime not in _PICTURES:
        return {"text": in_words(part)}
    if part.data:
        return {"inlineData": {"mimeType": part.mime, "data": part.data}}
    if part.url:
        return {"fileData": only_set(mimeType=part.mime or None, fileUri=part.url)}
    return {"text": in_words(part)}


def _answered(parts: tuple[AnyPart, ...], model: str, endpoint: Endpoint) -> list[Body]:
    made: list[Body] = []
    held = ""
    for part in parts:
        match part:
            case Thinking() if is_own(part, endpoint):
                if held and part.signature:
                    made.append({"text": "", "thoughtSignature": held})
                if part.text:
                    made.append({"text": part.text, "thought": True})
                held = part.signature or held
            case Text(text=text) if text:
                made.append({"text": text, **only_set(thoughtSignature=held or None)})
                held = ""
            case Call():
                if held:
                    made.append({"text": "", "thoughtSignature": held})
                    held = ""
                made.append(_called(part, endpoint))
            case _:
                pass
    if held:
        made.append({"text": "", "thoughtSignature": held})
    if _generation(model) >= 3:
        _sign(made)
    return made if any("thought" not in part for part in made) else []


def _called(call: Call, endpoint: Endpoint) -> Body:
    body: Body = {"id": call.id, "name": call.name, "args": arguments_of(call.arguments)}
    signed = call.signature and is_own(call, endpoint)
    return {"functionCall": body, **({"thoughtSignature": call.signature} if signed else {})}


def _sign(parts: list[Body]) -> None:
    """The first call of an answer must be signed; the others of the same answer need not be."""
    first = next((part for part in parts if "functionCall" in part), None)
    if first is not None:
        first.setdefault("thoughtSignature", _UNSIGNED)


def _result(result: Result, names: Mapping[str, str]) -> Body:
    name = result.name or names.get(result.id, "")
    said = {"error" if result.is_error else "output": result.content}
    return {"functionResponse": {"id": result.id, "name": name, "response": said}}


class _Row(msgspec.Struct, rename="camel"):
    name: str = ""
    display_name: str | None = None
    input_token_limit: int | None = None
    output_token_limit: int | None = None
    supported_generation_methods: list[str] | None = None
    thinking: bool | None = None

    @property
    def id(self) -> str:
        return self.name.removeprefix("models/")

    @property
    def answers(self) -> bool:
        """Whether it is for talking; lists hold models of other crafts, too."""
        methods = self.supported_generation_methods
        return methods is None or "generateContent" in methods


class _List(msgspec.Struct):
    models: list[_Row] | None = None


_ROWS: Final = msgspec.json.Decoder(_Row)
_LISTS: Final = msgspec.json.Decoder(_List)
_EVENTS: Final = msgspec.json.Decoder(list[msgspec.Raw])


def _profile(row: _Row) -> Profile:
    return Profile(
        window=row.input_token_limit, max_output=row.output_token_limit, thinks=row.thinking
    )
