"""What a dialect is: a wire format, both ways, as pure functions.

Invariants: encoding reads no clock and no environment, so the same request gives the same bytes;
messages come last in a body, so one more turn only appends to it and prefix caches are hit. No
key passes through ``encode``: the transport adds it as a header. A decoder says ``Ended`` exactly
when the server gave its terminal sign, and as the last thing; what the server says of an error
inside a stream is raised as one of ``ProviderError``'s family.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, Protocol, TypeVar, runtime_checkable
from urllib.parse import urlsplit

import msgspec

from chinwag.errors import StreamBroken
from chinwag.providers.base import ModelInfo, Profile, Request
from chinwag.providers.failures import Where
from chinwag.providers.lines import SseEvent
from chinwag.talk.delta import AnyDelta
from chinwag.talk.message import AnyPart, Call, File, Image, Message, Result, Role, Text, Thinking
from chinwag.talk.tool import ToolSpec
from chinwag.text.safe import repair

T = TypeVar("T")
Body = dict[str, Any]
Framing = Literal["sse", "json-lines"]
NO_PROFILE: Final = Profile()
_ABSURD: Final = 10**15
"""No answer has so many tokens, nor costs so much."""
PICTURES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")
"""The kinds of pictures that everybody who sees can read."""


def no_key() -> str | None:
    """The key of an endpoint that has none."""
    return None


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's address, and how to be let in. Times are in seconds, windows in tokens.

    ``key`` finds the key when it is needed (it may block: it is called in a thread); ``key_hint``
    says where one would be put. ``window`` and ``max_output`` are what configuration says of every
    model here, None where it says nothing. ``insecure``: a key may go over plain http even to
    another machine. ``first_byte`` None means 60 s, 600 s on this machine.
    """

    name: str
    base_url: str
    headers: dict[str, str] = {}
    key: Callable[[], str | None] = no_key
    key_hint: str = ""
    needs_key: bool = False
    connect: float = 10.0
    first_byte: float | None = None
    stall: float = 120.0
    window: int | None = None
    max_output: int | None = None
    insecure: bool = False

    @property
    def host(self) -> str:
        """``host`` or ``host:port``, without credentials: how a person knows the server."""
        return urlsplit(self.base_url).netloc.rpartition("@")[2]

    @property
    def hostname(self) -> str:
        return urlsplit(self.base_url).hostname or ""

    @property
    def is_local(self) -> bool:
        return is_loopback(self.hostname)

    @property
    def patience(self) -> float:
        """How long to wait for the first byte: a local model may read a long prompt slowly."""
        if self.first_byte is not None:
            return self.first_byte
        return 600.0 if self.is_local else 60.0


class HttpCall(msgspec.Struct, frozen=True):
    """One request as it goes out, but for the key. ``path`` is appended to the base address."""

    method: str
    path: str
    headers: dict[str, str] = {}
    body: bytes = b""


class Decoder(Protocol):
    """Reads one answer. ``finished`` is true once only usage and the terminal sign may follow.

    An error that comes in one event with words is raised by the next ``feed``, so that the words
    are heard; it stands in ``failure`` meanwhile, where a decoder knows such errors.
    """

    finished: bool

    def feed(self, event: SseEvent) -> list[AnyDelta]:
        """What one event utters; raises ProviderError's family for an error it carries."""
        ...

    def end(self) -> list[AnyDelta]:
        """What may be said once nothing more comes: ``Ended``, where the sign was given."""
        ...


class Dialect(Protocol):
    """A wire format. Stateless; a decoder is made for each answer."""

    name: str
    framing: Framing

    def auth(self, key: str) -> dict[str, str]:
        """The headers which carry ``key``."""
        ...

    def encode(
        self, request: Request, endpoint: Endpoint, profile: Profile = NO_PROFILE
    ) -> HttpCall:
        """The request on the wire. Deterministic and byte-stable."""
        ...

    def decoder(self, where: Where) -> Decoder: ...

    def read_whole(self, body: bytes, where: Where) -> list[AnyDelta]:
        """An answer that came as one JSON object though a stream was asked for."""
        ...

    def models_call(self, endpoint: Endpoint) -> HttpCall: ...

    def read_models(self, body: bytes, endpoint: Endpoint) -> list[ModelInfo]: ...

    def profile_call(self, model: str, endpoint: Endpoint) -> HttpCall | None:
        """How to ask this server about one model; None where there is no way."""
        ...

    def read_profile(self, body: bytes, endpoint: Endpoint, model: str) -> Profile: ...


@runtime_checkable
class Counting(Protocol):
    """A wire format in which a server can be asked to count: first how it would write a request
    down as one text, then how many tokens that text is."""

    def template_call(self, request: Request, endpoint: Endpoint) -> HttpCall: ...

    def read_template(self, body: bytes, endpoint: Endpoint) -> str: ...

    def tokens_call(self, text: str) -> HttpCall: ...

    def read_tokens(self, body: bytes, endpoint: Endpoint) -> int: ...


def is_loopback(host: str) -> bool:
    """Whether ``host`` (without a port) is this machine itself."""
    return host in ("localhost", "::1") or host.startswith("127.") or host.endswith(".localhost")


def read(decoder: msgspec.json.Decoder[T], kind: type[T], data: bytes, who: str) -> T:
    """``data`` as ``kind``; a second, lenient look at what the fast decoder does not take.

    Bad UTF-8 is replaced and half surrogate pairs are let through: the draft joins them.
    """
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _leniently(kind, data, who)


def _leniently(kind: type[T], data: bytes, who: str) -> T:
    import json  # the standard one lets half surrogate pairs through

    try:
        value = json.loads(data.decode("utf-8-sig", "replace"), strict=False)
        return msgspec.convert(value, kind, strict=False)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        start = data[:80].decode("utf-8", "replace")
        raise StreamBroken(
            f"{who} sent something that is no piece of an answer: {start}",
            hint="check that base_url and dialect belong together",
            endpoint=who,
        ) from error


def encoded(body: Mapping[str, Any]) -> bytes:
    """``body`` as JSON bytes; lone surrogates, which no JSON may carry, are replaced."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        return msgspec.json.encode(_repaired(body))


def _repaired(value: Any) -> Any:
    match value:
        case str():
            return repair(value)
        case dict():
            return {repair(k) if isinstance(k, str) else k: _repaired(v) for k, v in value.items()}
        case list() | tuple():
            return [_repaired(v) for v in value]
        case _:
            return value


def sorted_json(value: Any) -> msgspec.Raw:
    """A JSON value with sorted keys: schemas of the same meaning are the same bytes."""
    return msgspec.Raw(msgspec.json.encode(value, order="sorted"))


def with_extra(head: Body, extra: Mapping[str, Any], tail: Body) -> Body:
    """One body: ``extra`` wins over both, and stays in front of ``tail`` so that turns append."""
    body = {**head, **extra}
    return {**body, **{k: v for k, v in tail.items() if k not in extra}}


def only_set(**values: Any) -> Body:
    """The values somebody set: None and empty tuples are never sent."""
    return {k: v for k, v in values.items() if v is not None and v != ()}


def is_own(part: Thinking | Call, endpoint: Endpoint) -> bool:
    """Whether this endpoint made ``part``: only then does its signature mean anything to it."""
    return part.source.partition("/")[0] == endpoint.name


def arguments_of(text: str) -> dict[str, Any]:
    """A call's arguments as an object; what does not parse is shown to the model as it wrote it."""
    if not text.strip():
        return {}
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        value = None
    return value if isinstance(value, dict) else {"unparsed": text}


def call_id(name: str, allowed: re.Pattern[str], size: int) -> str:
    """``name``, or where a server would refuse it, a stable id of ``size`` letters made from it."""
    if allowed.fullmatch(name):
        return name
    import base64
    import hashlib

    digest = hashlib.sha256(name.encode("utf-8", "replace")).digest()
    return base64.b32encode(digest).decode()[:size].lower()


def arguments_text(text: str) -> str:
    """As the model wrote them, unless they are no object: some servers parse them to fill in."""
    value = arguments_of(text)
    if value in ({}, {"unparsed": text}):
        return msgspec.json.encode(value).decode()
    return text


def function_tool(tool: ToolSpec) -> Body:
    """A tool in the form that OpenAI's chat completions made common."""
    function = {"name": tool.name, "description": tool.description}
    parameters = sorted_json(tool.schema or {"type": "object"})
    return {"type": "function", "function": {**function, "parameters": parameters}}


def spoken(request: Request, made: Callable[[Message], list[Body]]) -> list[Body]:
    """The talk as a list that the system prompt opens, each message as ``made`` makes it."""
    first = [{"role": "system", "content": request.system}] if request.system else []
    return [*first, *(body for message in request.messages for body in made(message))]


def content_of(
    parts: tuple[AnyPart, ...],
    travels: Callable[[Image | File], bool],
    made: Callable[[AnyPart], Body | None],
) -> str | list[Body]:
    """What a person said: one text, or parts where something ``travels`` as what it is."""
    if not any(isinstance(p, Image | File) and travels(p) for p in parts):
        return words(parts)
    return [body for body in map(made, parts) if body]


def answer_of(result: Result) -> str:
    """A result for servers without an error flag: the model must still see that it failed."""
    said = result.content
    if not result.is_error or said.lower().startswith("error"):
        return said
    return f"Error: {said}"


def data_url(part: Image | File) -> str:
    """Where a picture is found; empty where only its hash is known."""
    return f"data:{part.mime};base64,{part.data}" if part.data else part.url


def in_words(part: Image | File) -> str:
    """What stands for an attachment that cannot travel, or for a text file, which can."""
    if isinstance(part, File) and part.is_text:
        return f'<file name="{part.name or "attached"}">\n{part.text}\n</file>'
    kind = "picture" if isinstance(part, Image) else "file"
    return f"[{kind} {part.name or part.mime or 'attached'}]"


def merged(messages: Iterable[Message]) -> list[tuple[Role, tuple[AnyPart, ...]]]:
    """Messages for servers that demand alternation: neighbours of one side become one turn.

    A tool's results belong to the user's side.
    """
    turns: list[tuple[Role, tuple[AnyPart, ...]]] = []
    for message in messages:
        role = Role.ASSISTANT if message.role is Role.ASSISTANT else Role.USER
        if turns and turns[-1][0] is role:
            turns[-1] = (role, turns[-1][1] + message.parts)
        else:
            turns.append((role, message.parts))
    return turns


def words(parts: Iterable[AnyPart]) -> str:
    """The text of a message, with attachments named in words."""
    said = (
        p.text if isinstance(p, Text) else in_words(p) if isinstance(p, Image | File) else ""
        for p in parts
    )
    return "".join(said)


def number(value: Any) -> int | None:
    """A token count out of foreign JSON: a whole number of zero or more, or nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value < _ABSURD else None


def money(value: Any) -> float | None:
    """US dollars out of foreign JSON: an amount that can be, or nothing. One below zero would pay
    for what else is spent.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < _ABSURD else None
