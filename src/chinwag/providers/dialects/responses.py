"""OpenAI's Responses: typed items both ways, and nothing kept on the server.

Invariants: an answer is complete when ``response.completed`` or ``response.incomplete`` came, and
not by ``[DONE]``. Nothing is stored there (``store`` is false), so everything needed is sent each
time; reasoning travels encrypted, and goes back only to who made it, in front of what it led to.
A word is said once, whether it comes in pieces, whole at its end, or only in the last event.
``stop``, ``seed`` and ``top_k`` do not exist in this API and are not sent; a bound of fewer than 16
tokens is refused by it, and sent as 16.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from chinwag.providers.base import Options, Profile, Request
from chinwag.providers.dialects.base import (
    NO_PROFILE,
    PICTURES,
    Body,
    Decoder,
    Endpoint,
    HttpCall,
    answer_of,
    arguments_text,
    call_id,
    content_of,
    data_url,
    encoded,
    in_words,
    is_own,
    money,
    number,
    only_set,
    read,
    sorted_json,
    with_extra,
)
from chinwag.providers.dialects.openai import REASONS, OpenAI, least_effort
from chinwag.providers.dialects.schemas import is_strict
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
from chinwag.talk.message import AnyPart, Call, File, Image, Message, Result, Role, Text, Thinking
from chinwag.talk.tool import ToolSpec
from chinwag.talk.usage import Usage

UNSENT: Final = ("stop", "seed", "top_k")
"""Options which this API does not have."""

LEAST_BOUND: Final = 16
"""The fewest tokens an answer can be bound to in this API."""
_CUTS: Final = {"max_output_tokens": Stop.LENGTH, "content_filter": Stop.FILTER}
_ID: Final = re.compile(r"[\x21-\x7e]{1,64}")
_HOMES: Final = ("api.openai.com", ".openai.azure.com")
_ROOM: Final = 1000
"""Block numbers for each output item: its summaries are blocks of their own."""


class _Item(msgspec.Struct):
    """An output item; what differs from kind to kind is looked at before use."""

    type: str = ""
    id: str | None = None
    call_id: str | None = None
    name: Any = None
    arguments: Any = None
    content: Any = None
    summary: Any = None
    encrypted_content: Any = None


class _Response(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    status: str | None = None
    output: list[_Item] | None = None
    usage: Any = None
    error: Any = None
    incomplete_details: Any = None


class _Event(msgspec.Struct):
    type: str = ""
    delta: Any = None
    output_index: int | None = None
    summary_index: int | None = None
    item_id: str | None = None
    item: _Item | None = None
    text: Any = None
    refusal: Any = None
    arguments: Any = None
    response: _Response | None = None
    error: Any = None
    message: Any = None


_EVENTS: Final = msgspec.json.Decoder(_Event)
_WHOLES: Final = msgspec.json.Decoder(_Response)


class ResponsesDecoder:
    """Reads one answer, event by event. Items of tools that run on the server are passed over."""

    __slots__ = ("_called", "_greeted", "_items", "_refused", "_said", "_where", "finished")

    def __init__(self, where: Where) -> None:
        self._where = where
        self.finished = False
        self._greeted = False
        self._refused = False
        self._called = False
        self._items: dict[str, int] = {}
        self._said: dict[int, int] = {}
        """Of each output item that has been heard: the number of its last block."""

    def feed(self, event: SseEvent) -> list[AnyDelta]:
        if self.finished:
            return []
        try:
            heard = _EVENTS.decode(event.data)  # the common case first, and without a call
        except (msgspec.DecodeError, UnicodeDecodeError):
            if event.data.startswith(b"[DONE]") or not event.data.strip():
                return []
            heard = read(_EVENTS, _Event, event.data, self._where.endpoint)
        match heard.type or event.event:
            case "response.output_text.delta":
                return self._piece(TextDelta, heard)
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                return self._piece(ThinkingDelta, heard)
            case "response.function_call_arguments.delta":
                return self._arguments(heard, heard.delta)
            case kind:
                return self._seldom(kind, heard, event)

    def end(self) -> list[AnyDelta]:
        return []  # the terminal event says it itself

    def whole(self, response: _Response) -> list[AnyDelta]:
        """An answer that came in one piece."""
        return self._over(response, response.status or "completed")

    def _seldom(self, kind: str, heard: _Event, event: SseEvent) -> list[AnyDelta]:
        match kind:
            case "response.refusal.delta":
                self._refused = True
                return self._piece(TextDelta, heard)
            case "response.output_text.done":
                return self._late(heard, heard.text, TextDelta)
            case "response.refusal.done":
                self._refused = True
                return self._late(heard, heard.refusal, TextDelta)
            case "response.function_call_arguments.done":
                return self._late(heard, heard.arguments, CallDelta)
            case "response.output_item.added" if heard.item is not None:
                return self._begun(heard.item, heard)
            case "response.output_item.done" if heard.item is not None:
                return self._item(heard.item, self._place(heard))
            case "response.completed" | "response.incomplete" | "response.failed":
                return self._over(heard.response or _Response(), kind.removeprefix("response."))
            case "error":
                raise from_object(_error(heard, event), self._where)
            case "" if heard.error:
                raise from_object({"error": heard.error}, self._where)
            case _:
                return self._greet(heard.response) if heard.response is not None else []

    def _greet(self, response: _Response) -> list[AnyDelta]:
        if self._greeted or not (response.model or response.id):
            return []
        self._greeted = True
        return [ServedBy(response.model or "", response.id or "")]

    def _place(self, heard: _Event) -> int:
        """Which output item this is about. Some servers give numbers, some only ids."""
        if heard.output_index is not None:
            return heard.output_index
        name = heard.item_id or (heard.item.id if heard.item else None) or ""
        return self._items.setdefault(name, len(self._items))

    def _piece(self, kind: type[TextDelta | ThinkingDelta], heard: _Event) -> list[AnyDelta]:
        text = heard.delta
        if not text or not isinstance(text, str):
            return []
        place = heard.output_index if heard.output_index is not None else self._place(heard)
        index = self._said[place] = _block(place, heard.summary_index or 0)
        return [kind(text, index=index)]

    def _arguments(self, heard: _Event, text: Any) -> list[AnyDelta]:
        if not text or not isinstance(text, str):
            return []
        place = self._place(heard)
        index = self._said[place] = _block(place)
        return [CallDelta(index, arguments=text)]

    def _late(self, heard: _Event, text: Any, kind: type[TextDelta | CallDelta]) -> list[AnyDelta]:
        """What some servers say only at the end of a part, without pieces before it."""
        if self._place(heard) in self._said:
            return []
        heard.delta = text
        return self._arguments(heard, text) if kind is CallDelta else self._piece(TextDelta, heard)

    def _begun(self, item: _Item, heard: _Event) -> list[AnyDelta]:
        place = self._place(heard)
        if item.type != "function_call":
            return []
        self._called = True
        said = CallDelta(_block(place), item.call_id or item.id or "", _str(item.name))
        return [said, *self._arguments(heard, item.arguments)]

    def _item(self, item: _Item, place: int) -> list[AnyDelta]:
        """What an item says at its end that was not said before."""
        fresh = place not in self._said
        match item.type:
            case "message" if fresh:
                said = self._content(item, place)
            case "function_call":
                said = self._call(item, place, fresh=fresh)
            case "reasoning":
                said = self._thought(item, place, fresh=fresh)
            case _:
                said = []
        if said:
            self._said.setdefault(place, _block(place))
        return said

    def _content(self, item: _Item, place: int) -> list[AnyDelta]:
        said: list[AnyDelta] = []
        for part in _dicts(item.content):
            self._refused = self._refused or part.get("type") == "refusal"
            if text := _str(part.get("text")) or _str(part.get("refusal")):
                said.append(TextDelta(text, _block(place)))
        return said

    def _call(self, item: _Item, place: int, *, fresh: bool) -> list[AnyDelta]:
        self._called = True
        arguments = _str(item.arguments) if fresh else ""
        # The same id and name once more change nothing.
        return [CallDelta(_block(place), item.call_id or item.id or "", _str(item.name), arguments)]

    def _thought(self, item: _Item, place: int, *, fresh: bool) -> list[AnyDelta]:
        said: list[AnyDelta] = []
        if fresh:
            texts = [_str(part.get("text")) for part in _dicts(item.summary)]
            texts = texts or ["".join(_str(part.get("text")) for part in _dicts(item.content))]
            said += [ThinkingDelta(t, index=_block(place, n)) for n, t in enumerate(texts) if t]
        last = said[-1] if said else None
        index = last.index if isinstance(last, ThinkingDelta) else self._said.get(place)
        if sealed := _str(item.encrypted_content):
            index = _block(place) if index is None else index
            said.append(ThinkingDelta(redacted=sealed, index=index))
        return said

    def _over(self, response: _Response, kind: str) -> list[AnyDelta]:
        # Gateways close an incomplete answer with the word for complete ones.
        status = response.status if response.status in ("incomplete", "failed") else kind
        if response.error or status not in ("completed", "incomplete"):
            raise from_object({"error": response.error or f"the answer is {status}"}, self._where)
        said = self._greet(response)
        if not self._said:
            for place, item in enumerate(response.output or ()):
                said += self._item(item, place)
        said += _usages(response.usage)
        self.finished = True
        return [*said, self._ended(response, status)]

    def _ended(self, response: _Response, status: str) -> Ended:
        if status == "incomplete":
            details = response.incomplete_details
            why = _str(details.get("reason")) if isinstance(details, dict) else ""
            return Ended(_CUTS.get(why, Stop.LENGTH), why or status)
        if self._refused:
            return Ended(Stop.REFUSAL, status)
        return Ended(Stop.TOOLS if self._called else Stop.END, status)


class Responses(OpenAI):
    """The dialect. Stateless. Keys and model lists are those of its elder sister."""

    name = "responses"

    def encode(
        self, request: Request, endpoint: Endpoint, profile: Profile = NO_PROFILE
    ) -> HttpCall:
        options = request.options
        head: Body = {
            "model": request.model,
            "stream": True,
            "store": False,
            "truncation": "disabled",
            **only_set(
                temperature=options.temperature,
                top_p=options.top_p,
                max_output_tokens=_bound(options.max_tokens),
            ),
            **_reasoning(request.model, options, endpoint, profile),
            **_schema(options),
        }
        if request.tools:
            head["tools"] = [_tool(tool) for tool in request.tools]
        if request.system:
            head["instructions"] = request.system
        if request.session and endpoint.hostname.endswith(_HOMES):
            head["prompt_cache_key"] = request.session
        items = [made for message in request.messages for made in _items(message, endpoint)]
        body = with_extra(head, options.extra, {"input": items})
        return HttpCall("POST", "/responses", {}, encoded(body))

    def decoder(self, where: Where) -> Decoder:
        return ResponsesDecoder(where)

    def read_whole(self, body: bytes, where: Where) -> list[AnyDelta]:
        whole = read(_WHOLES, _Response, body, where.endpoint)
        if whole.error is None and whole.output is None:
            raise no_answer(where)
        return ResponsesDecoder(where).whole(whole)


def _block(place: int, part: int = 0) -> int:
    """The block's number; never 0, which is the number of servers that do not count."""
    return place * _ROOM + min(part, _ROOM - 1) + 1


def _error(heard: _Event, event: SseEvent) -> object:
    """An error event's error: an object of its own, or the event itself, or bare words."""
    if heard.error:
        return {"error": heard.error}
    if not heard.message:
        return {"error": "no reason given"}
    said: dict[str, Any] = msgspec.json.decode(event.data)
    return {"error": {k: said.get(k) for k in ("code", "message", "param") if said.get(k)}}


def _str(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def _usages(usage: Any) -> list[AnyDelta]:
    if not isinstance(usage, dict) or not usage:
        return []
    asked, told = usage.get("input_tokens_details"), usage.get("output_tokens_details")
    asked = asked if isinstance(asked, dict) else {}
    told = told if isinstance(told, dict) else {}
    said = Usage(
        input=number(usage.get("input_tokens")),
        output=number(usage.get("output_tokens")),
        cached=number(asked.get("cached_tokens")),
        cache_written=number(asked.get("cache_write_tokens")),
        reasoning=number(told.get("reasoning_tokens")),
        cost=money(usage.get("cost")),
    )
    return [UsageDelta(said)] if said != Usage() else []


def _bound(tokens: int | None) -> int | None:
    """A smaller bound is refused: the answer may then be a few tokens longer than was asked for,
    which is better than none.
    """
    return None if tokens is None else max(tokens, LEAST_BOUND)


def _reasoning(model: str, options: Options, endpoint: Endpoint, profile: Profile) -> Body:
    # Others answer a wish for encrypted reasoning with an error.
    reasons = bool(REASONS.match(model)) or (
        profile.thinks is True and endpoint.hostname.endswith(_HOMES)
    )
    body: Body = {"include": ["reasoning.encrypted_content"]} if reasons else {}
    match options.reasoning:
        case None:
            return body
        case "off" if endpoint.hostname == "api.openai.com" and not reasons:
            return body  # it does not think, and refuses to hear of it
        case "off":
            return {**body, "reasoning": {"effort": least_effort(model)}}
        case effort:
            return {**body, "reasoning": {"effort": effort, "summary": "auto"}}


def _schema(options: Options) -> Body:
    if options.schema is None:
        return {}
    form = {"type": "json_schema", "name": "answer", "schema": sorted_json(options.schema)}
    return {"text": {"format": {**form, "strict": is_strict(options.schema)}}}


def _tool(tool: ToolSpec) -> Body:
    body: Body = {"type": "function", "name": tool.name, "description": tool.description}
    # Left out, strict would be true, and most schemas would be refused.
    parameters = sorted_json(tool.schema or {"type": "object", "properties": {}})
    return {**body, "parameters": parameters, "strict": False}


def _items(message: Message, endpoint: Endpoint) -> list[Body]:
    match message.role:
        case Role.TOOL:
            return [_result(p) for p in message.parts if isinstance(p, Result)]
        case Role.ASSISTANT:
            return _answered(message.parts, endpoint)
        case Role.SYSTEM:
            return [{"role": "system", "content": message.text}]
        case Role.USER:
            return [{"role": "user", "content": content_of(message.parts, _travels, _part)}]


def _travels(part: Image | File) -> bool:
    if isinstance(part, File):
        return bool(data_url(part)) and not part.text
    return part.mime in PICTURES if part.data else bool(part.url)


def _part(part: AnyPart) -> Body | None:
    match part:
        case Text(text=text):
            return {"type": "input_text", "text": text} if text else None
        case Image() if _travels(part):
            return {"type": "input_image", "image_url": data_url(part)}
        case File(data="", url=url) if _travels(part):
            return {"type": "input_file", "file_url": url}
        case File(name=name) if _travels(part):
            named = {"type": "input_file", "filename": name or "attached"}
            return {**named, "file_data": data_url(part)}
        case Image() | File():
            return {"type": "input_text", "text": in_words(part)}
        case _:
            return None


def _answered(parts: tuple[AnyPart, ...], endpoint: Endpoint) -> list[Body]:
    """An answer's items, in the order they were made in."""
    items: list[Body] = []
    summaries: list[str] = []
    for part in parts:
        match part:
            case Thinking() if is_own(part, endpoint):
                summaries.append(part.text)
                if part.redacted:
                    items.append(_sealed(summaries, part.redacted))
                    summaries = []
            case Text(text=text) if text:
                items.append(_said(text))
            case Call():
                items.append(_said_call(part))
            case _:
                pass
    while items and items[-1].get("type") == "reasoning":
        items.pop()  # reasoning that led to nothing is refused
    return items


def _said(text: str) -> Body:
    """Words of an answer, in the long form: llama.cpp does not know the short one."""
    content = [{"type": "output_text", "text": text}]
    return {"type": "message", "role": "assistant", "content": content}


def _sealed(summaries: list[str], sealed: str) -> Body:
    """One item: the summaries that came before the seal belong to it.

    Without its id, since one with an id is refused unless what followed it comes with its own.
    """
    told = [{"type": "summary_text", "text": text} for text in summaries if text]
    return {"type": "reasoning", "summary": told, "encrypted_content": sealed}


def _said_call(call: Call) -> Body:
    named = {"type": "function_call", "call_id": call_id(call.id, _ID, 24), "name": call.name}
    return {**named, "arguments": arguments_text(call.arguments)}


def _result(result: Result) -> Body:
    named = {"type": "function_call_output", "call_id": call_id(result.id, _ID, 24)}
    return {**named, "output": answer_of(result)}
