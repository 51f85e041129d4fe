"""Nouns to plain JSON and back; versions and their upgrades.

Invariants: decode(encode(entry)) is the entry. One entry is one line of JSON without raw newlines,
encodable as UTF-8 whatever came in (lone surrogates become U+FFFD). What is a message carries
`role` and `content` as every chat program knows them; everything else says its `kind`. A kind this
version does not know is kept as `Unknown` and written back as it came. A document of a newer
format is refused, never guessed at. Foreign input can only raise `ValueError` (msgspec's errors are
ones); depth is bounded before parsing so that nothing recurses without limit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from chinwag.talk.delta import AnyDelta
from chinwag.talk.entry import AnyEntry, AssistantSaid, SystemSet, ToolReturned, Unknown, UserSaid
from chinwag.talk.message import AnyPart, Text, plain_parts

FORMAT = 1
MAX_DEPTH = 64

_KNOWN: dict[str, type[AnyEntry]] = {
    str(member.__struct_config__.tag): member
    for member in AnyEntry.__args__
    if member is not Unknown
}
_dumps = msgspec.json.Encoder().encode
_loads = msgspec.json.Decoder().decode


def to_plain(entry: AnyEntry) -> dict[str, Any]:
    """An entry as JSON-ready data. Messages get `role` and `content`."""
    if isinstance(entry, Unknown):
        return dict(entry.raw)
    plain: dict[str, Any] = msgspec.to_builtins(entry)
    match entry:
        case UserSaid(parts=parts) | AssistantSaid(parts=parts):
            plain.pop("parts", None)
            plain["role"] = plain["kind"]
            plain["content"] = plain_parts(parts)
        case ToolReturned(result=result):
            del plain["result"]
            plain |= {"role": "tool", "tool_call_id": result.id, "content": result.content}
            if result.name:
                plain["name"] = result.name
            if result.is_error:
                plain["is_error"] = True
        case SystemSet(text=text):
            plain.pop("text", None)
            plain |= {"role": "system", "content": text}
    return plain


def from_plain(plain: dict[str, Any]) -> AnyEntry:
    """The inverse. Raises ValueError (naming the path) when the data does not fit."""
    kind = plain.get("kind")
    if not isinstance(kind, str):
        raise ValueError("an entry without a kind")
    # By its own class, not by the union of all: msgspec prepares a union anew for every call.
    known = _KNOWN.get(kind)
    if known is None:
        return Unknown(raw=plain)
    fields = {k: v for k, v in plain.items() if k not in {"role", "content", "n"}}
    match kind:
        case "user" | "assistant":
            fields["parts"] = _parts(plain.get("content", ""))
        case "tool":
            fields["result"] = {
                "type": "result",
                "id": _string(fields.pop("tool_call_id", "")),
                "name": _string(fields.pop("name", "")),
                "content": _string(plain.get("content", "")),
                "is_error": fields.pop("is_error", False) is True,
            }
        case "system":
            fields["text"] = _string(plain.get("content", ""))
    return msgspec.convert(fields, known)


def _parts(content: object) -> object:
    """Content as plain parts: text alone is stored as a string."""
    if isinstance(content, str):
        return ({"type": "text", "text": content},) if content else ()
    return content


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text, got {type(value).__name__}")
    return value


def dumps(value: Any) -> bytes:
    """Compact JSON on one line; lone surrogates are replaced rather than refused."""
    try:
        return _dumps(value)
    except UnicodeEncodeError:
        return _dumps(_mended(value))


def loads(data: bytes | str) -> Any:
    """JSON under our limits. Raises ValueError for anything that is not sane JSON."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if too_deep(raw):
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    try:
        return _loads(raw)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def encode(entry: AnyEntry, n: int) -> bytes:
    """One line, without its line end: `{"n":1,"role":"user","content":"hello",…}`."""
    return dumps({"n": n, **{k: v for k, v in to_plain(entry).items() if k != "n"}})


class _UserLine(UserSaid, frozen=True, kw_only=True, tag="user"):
    n: int
    parts: tuple[AnyPart, ...] = ()
    content: str | tuple[AnyPart, ...] = ""


class _AssistantLine(AssistantSaid, frozen=True, kw_only=True, tag="assistant"):
    n: int
    content: str | tuple[AnyPart, ...] = ""


_said_loads = msgspec.json.Decoder(_UserLine | _AssistantLine).decode


def decode(line: bytes) -> tuple[int, AnyEntry]:
    """A line back to its position and entry. Raises ValueError for anything else."""
    if too_deep(line):
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    try:
        said = _said_loads(line)
    except (ValueError, RecursionError):
        return _decode_any(line)
    return (said.n, _entry_of(said)) if said.n > 0 else _decode_any(line)


def _entry_of(said: _UserLine | _AssistantLine) -> AnyEntry:
    """What most lines are, without the way over a dictionary, which takes three times as long."""
    content = said.content
    parts = content if isinstance(content, tuple) else text_only(content)
    if isinstance(said, _UserLine):
        return UserSaid(
            id=said.id,
            at=said.at,
            tokens=said.tokens,
            tokenizer=said.tokenizer,
            parts=parts,
            foreign=said.foreign,
        )
    return AssistantSaid(
        id=said.id,
        at=said.at,
        tokens=said.tokens,
        tokenizer=said.tokenizer,
        parts=parts,
        provider=said.provider,
        model=said.model,
        served=said.served,
        status=said.status,
        stop=said.stop,
        error=said.error,
        hint=said.hint,
        usage=said.usage,
        seconds=said.seconds,
        first=said.first,
    )


def _decode_any(line: bytes) -> tuple[int, AnyEntry]:
    plain = loads(line)
    if not isinstance(plain, dict):
        raise ValueError("a line that is no object")
    n = plain.get("n")
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ValueError("an entry without its number")
    return n, from_plain(plain)


_delta_loads: Callable[[bytes], AnyDelta] = msgspec.json.Decoder(AnyDelta).decode


def encode_delta(delta: AnyDelta) -> bytes:
    return dumps(msgspec.to_builtins(delta))


def decode_delta(line: bytes) -> AnyDelta:
    """A line of a `.part` file. Raises ValueError."""
    return _delta_loads(line)


def too_deep(raw: bytes, limit: int = MAX_DEPTH) -> bool:
    """Whether JSON text nests deeper than ``limit``. Linear; brackets in strings do not count."""
    if len(raw) > _LONG and too_deep(raw[:_LONG], limit):
        return True  # told from its beginning: what is nested most is not copied as a whole
    if len(raw.translate(None, _NO_BRACKETS)) <= limit:
        return False
    # Without escaped quotes every other piece between quotes is a string.
    bare = raw.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2]
    depth = 0
    for byte in b"".join(bare).translate(None, _NO_BRACKETS):
        depth += 1 if byte in b"[{" else -1
        if depth > limit:
            return True
    return False


_LONG = 1 << 16
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _mended(value: Any) -> Any:
    """The same data with every lone surrogate replaced."""
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case dict():
            return {_mended(k): _mended(v) for k, v in value.items()}
        case list() | tuple():
            return [_mended(v) for v in value]
        case msgspec.Struct():
            return _mended(msgspec.to_builtins(value))
        case _:
            return value


def text_only(text: str) -> tuple[Text, ...]:
    return (Text(text),) if text else ()
