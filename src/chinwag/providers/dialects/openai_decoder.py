"""Answers in OpenAI's chat completions, read chunk by chunk, from whoever speaks them.

Invariants: an answer is complete when a ``finish_reason`` came, or ``[DONE]`` where a gateway sends
none; ``Ended`` waits for ``[DONE]`` or the end of the stream, since usage comes after the reason.
An error is raised even from a chunk that also has choices.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from chinwag.errors import ProviderError, StreamBroken
from chinwag.providers.dialects.base import money, number, read
from chinwag.providers.dialects.details import Details
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


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | dict[str, Any] | list[Any] | None = None


class _Call(msgspec.Struct):
    index: int | None = None
    id: str | int | None = None
    function: _Function | None = None
    extra_content: Any = None


class _Words(msgspec.Struct):
    """A delta, or a whole message: the same fields. Signatures live in ``reasoning_details``."""

    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[Any] | None = None
    refusal: str | None = None
    tool_calls: list[_Call | None] | _Call | None = None  # one alone: an older TGI
    function_call: Any = None  # what calls were before there could be several


class _Choice(msgspec.Struct):
    delta: _Words | None = None
    message: _Words | None = None
    text: Any = None  # the older completions, which some gateways answer with
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
_BLANKS: Final = b' \t"'
"""What some put around their last word."""


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
        data = event.data.strip(_BLANKS)
        if data[:6].upper() == b"[DONE]":
            self.finished = True
            return self.end()
        if not data or data == b"null":
            return []
        try:
            chunk = read(_CHUNKS, _Chunk, event.data, self._where.endpoint)
        except StreamBroken:
            if self.finished:
                return []  # the answer is all there: what a gateway adds to it may be anything
            raise
        return self._chunk(chunk, event)

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
            elif choice.text and isinstance(choice.text, str):
                said.append(TextDelta(choice.text))
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
        if (calls := heard.tool_calls) is not None:
            for at, call in enumerate(calls if isinstance(calls, list) else [calls]):
                if call is not None:
                    said.append(self._call(call, at))
        elif isinstance(old := heard.function_call, dict):
            said.append(self._call(_Call(function=msgspec.convert(old, _Function)), 0))

    def _detailed(self, details: list[Any], thought: str) -> list[ThinkingDelta]:
        if self._details is None:
            self._details = Details()
        return self._details.read(details, thought)

    def _call(self, call: _Call, at: int) -> CallDelta:
        function = call.function or _Function()
        arguments = function.arguments or ""
        if isinstance(arguments, dict | list):
            arguments = msgspec.json.encode(arguments).decode()
        return CallDelta(
            index=self._index(call, at),
            id=_id_of(call),
            name=function.name or "",
            arguments=arguments,
            signature=_google_signature(call.extra_content),
        )

    def _index(self, call: _Call, at: int) -> int:
        """The call's number. Some send none, or 0 for each: then a new id means a new call."""
        named = call.index
        known = self._calls
        if own := _id_of(call):
            for place, (index, name) in enumerate(known):
                if name == own and index in (named, None):
                    return place
            known.append((named, own))
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


def _id_of(call: _Call) -> str:
    return "" if call.id is None else str(call.id)


def _spoken(choice: _Choice) -> bool:
    heard = choice.delta or choice.message
    if heard is None:
        return bool(choice.text)
    return bool(heard.content or heard.reasoning_content or heard.reasoning)


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
    return Usage(
        input=number(usage.get("prompt_tokens")),
        output=_output(usage),
        cached=number(usage.get("prompt_cache_hit_tokens")) if cached is None else cached,
        cache_written=number(prompt.get("cache_write_tokens")),
        reasoning=number(answer.get("reasoning_tokens")),
        cost=money(usage.get("cost")),
    )


def _output(usage: dict[str, Any]) -> int | None:
    """Everything generated. Some leave thinking out of the answer but not out of the total."""
    said = number(usage.get("completion_tokens"))
    total, asked = number(usage.get("total_tokens")), number(usage.get("prompt_tokens"))
    if said is None or total is None or asked is None:
        return said
    return max(said, total - asked)
