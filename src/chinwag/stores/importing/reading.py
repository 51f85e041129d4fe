"""Which form a file has, told by what is in it, never by its name; and its conversations. Pure.

Invariants: one conversation is decoded at a time, whatever a file holds, so that memory is bounded
by the file and its largest conversation. Everything is bounded: size (packed and unpacked), depth,
the number of messages. A conversation that cannot be read is skipped and said; a file of no form
known raises UsageError naming what it is.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from chinwag.errors import UsageError
from chinwag.stores.importing import (
    abstractllm,
    chatgpt,
    claude,
    fusion,
    llmlog,
    messages,
    ours,
)
from chinwag.stores.importing.base import (
    LIMIT,
    PICTURE_LIMIT,
    Found,
    Skipped,
    Talk,
    Unreadable,
    listing,
    mapping,
    named,
    words,
)
from chinwag.stores.importing.chatgpt import Fetch, no_files
from chinwag.talk import codec

WANTED = (
    "known are: a session of ours, ChatGPT's and Claude's data exports (the .zip too), llm's "
    'logs.db, {"messages": […]} as OpenAI has it, and lists of messages'
)
MOST_MEMBERS = 20_000  # files in an archive that are looked at
_MOST_SKIPPED = 1000  # conversations of one file that may be unreadable

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "a gzip archive: unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it first"),
    (b"BZh", "a bzip2 archive: unpack it first"),
    (b"\xfd7zXZ", "an xz archive: unpack it first"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"\x80\x04", "a Python pickle, which is never loaded: it can run code"),
    (b"\x80\x05", "a Python pickle, which is never loaded: it can run code"),
    (b"<", "HTML or XML"),
)


def read(raw: bytes) -> Iterator[Found]:
    """The conversations in a file, one after the other. Raises UsageError for none."""
    try:
        yield from _worthy(_any(raw))
    except Unreadable as error:
        raise UsageError(f"nothing can be imported from this: {error}", hint=WANTED) from None


def _worthy(all_found: Iterator[Found]) -> Iterator[Found]:
    """What was found, if there is a conversation among it; else Unreadable says why there is none.

    What was skipped waits for the first conversation: a file of settings is a list, too.
    """
    waiting: list[Found] = []
    skipped, some = 0, False
    for found in all_found:
        if isinstance(found, Skipped):
            skipped += 1
            if skipped > _MOST_SKIPPED:
                raise Unreadable(f"more than {_MOST_SKIPPED} of its conversations are broken")
        some = some or isinstance(found, Talk)
        waiting.append(found)
        if some:
            yield from waiting
            waiting.clear()
    if not some:
        first = next((f"{s.what}: {s.why}" for s in waiting if isinstance(s, Skipped)), "")
        raise Unreadable(first or "there is no conversation in it")


def _any(raw: bytes) -> Iterator[Found]:
    if len(raw) > LIMIT:
        raise Unreadable(f"it is over {LIMIT // 1_000_000} MB")
    if raw.startswith(llmlog.MAGIC):
        yield from llmlog.read(raw)
    elif raw.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        yield from _archive(raw)
    else:
        yield from _text(_decoded(raw), no_files)


def _decoded(raw: bytes) -> bytes:
    """UTF-8 without a mark; what Windows tools write as UTF-16 is turned into it."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return raw.decode("utf-16").encode()
        except UnicodeError:
            raise Unreadable("its text is neither UTF-8 nor UTF-16") from None
    return raw.removeprefix(b"\xef\xbb\xbf")


def _text(raw: bytes, fetch: Fetch) -> Iterator[Found]:
    start = raw[:4096].lstrip()
    if not start and not raw.strip():
        raise Unreadable("it is empty" if not raw else "there is nothing but blanks in it")
    match start[:1]:
        case b"[":
            yield from _items(_parted(raw), fetch)
        case b"{":
            yield from _objects(raw, fetch)
        case _:
            raise Unreadable(f"it is {_kind(raw)}")


def _kind(raw: bytes) -> str:
    known = next((what for magic, what in _MAGIC if raw.lstrip()[:16].startswith(magic)), "")
    if known:
        return known
    if b"\0" in raw[:4096]:
        return "a binary file"
    try:
        first = raw[:400].decode().split("\n")[0].strip()
    except UnicodeDecodeError as error:
        if error.start < len(raw[:400]) - 4:
            return "a binary file"
        first = raw[: error.start].decode().split("\n")[0].strip()
    return f"text that is no JSON, beginning with {first[:40]!r}"


# -- JSON -----------------------------------------------------------------------------------------

_split = msgspec.json.Decoder(list[msgspec.Raw]).decode
_look = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _parted(raw: bytes) -> list[bytes | memoryview]:
    """The items of a JSON list, not yet decoded."""
    try:
        return [memoryview(item) for item in _split(raw)]
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None
    except ValueError as error:
        raise Unreadable(f"it is no sound JSON: {error}") from None


def _loads(raw: bytes | memoryview) -> Any:
    try:
        return codec.loads(bytes(raw))
    except ValueError as error:
        raise Unreadable(f"it is no sound JSON: {error}") from None


def _items(items: list[bytes | memoryview], fetch: Fetch) -> Iterator[Found]:
    """A list: of conversations, or of the messages of one."""
    if not items:
        return
    first = next((m for m in map(_peek, items[:50]) if m), {})
    if not first:
        raise Unreadable(f"it is a list of {_sort(_loads(items[0]))}, not of objects")
    if _is_message(first):
        yield _message_list([_loads(item) for item in items])
        return
    for n, item in enumerate(items, 1):
        yield from _each(item, f"item {n}", fetch)


def _each(item: bytes | memoryview, where: str, fetch: Fetch) -> Iterator[Found]:
    """One conversation of several: a broken one does not spoil the others."""
    name = where
    try:
        plain = _loads(item)
        if isinstance(plain, dict):
            title = words(plain.get("title")) or words(plain.get("name"))
            name = f"{where} ({title[:60]})" if title else where
        yield from _conversation(plain, item, fetch)
    except Unreadable as error:
        yield Skipped(name, str(error))


def _peek(item: bytes | memoryview) -> dict[str, Any]:
    """An object's keys, its values not decoded; nothing for what is no object."""
    try:
        return _look(item)
    except (ValueError, RecursionError):
        return {}


def _is_message(keys: dict[str, Any]) -> bool:
    return not {"messages", "mapping", "chat_messages", "conversations"} & set(keys) and bool(
        {"role", "from"} & set(keys)
    )


def _message_list(items: list[Any]) -> Talk:
    return fusion.read(items) if fusion.is_one(items) else messages.read_list(items)


def _objects(raw: bytes, fetch: Fetch) -> Iterator[Found]:
    """One object, or one on each line."""
    keys = _peek(raw)
    if keys or raw.strip() == b"{}":
        if "format" in keys and "messages" in keys:
            yield ours.read(raw, words(_loads(keys.get("id", b'""'))))
        elif _is_message(keys):
            yield _message_list([_loads(raw)])
        else:
            yield from _conversation(_loads(raw), raw, fetch)
        return
    first, _, rest = raw.lstrip().partition(b"\n")
    head = _peek(first)
    if "format" in head or b'"messages":[' in first[-16:]:
        yield ours.read(raw, "")  # a document of ours that is damaged
    elif head and rest.strip():
        yield from _lines(raw, head, fetch)
    else:
        _loads(raw)  # says where it breaks
        raise Unreadable("it is no sound JSON")


def _lines(raw: bytes, head: dict[str, Any], fetch: Fetch) -> Iterator[Found]:
    lines = [line for line in raw.split(b"\n") if line.strip()]
    if _is_message(head):
        yield _message_list([_loads(line) for line in lines])
        return
    for n, line in enumerate(lines, 1):
        yield from _each(line, f"line {n}", fetch)


def _conversation(plain: Any, raw: bytes | memoryview, fetch: Fetch) -> Iterator[Found]:
    """An object that is one conversation, or holds a list of them."""
    if not isinstance(plain, dict):
        raise Unreadable(f"it is {_sort(plain)}, no object")
    shared = [mapping(i) for i in listing(plain.get("conversations"))]
    if "mapping" in plain:
        yield chatgpt.read(plain, fetch)
    elif "chat_messages" in plain:
        yield claude.read(plain)
    elif "format" in plain and isinstance(plain.get("messages"), list):
        yield ours.read(bytes(raw), words(plain.get("id")))
    elif abstractllm.is_one(plain):
        yield abstractllm.read(plain)
    elif isinstance(plain.get("messages"), list):
        yield _of_messages(plain)
    elif shared and any(_is_message(i) for i in shared):
        yield messages.read_shared(plain)
    elif shared:
        for n, item in enumerate(listing(plain.get("conversations")), 1):
            yield from _each(codec.dumps(item), f"conversation {n}", fetch)
    else:
        raise Unreadable(f"it has no messages, only {named(plain)}")


def _of_messages(plain: dict[str, Any]) -> Talk:
    items = listing(plain["messages"])
    return fusion.read(items) if fusion.is_one(items) else messages.read(plain)


def _sort(value: object) -> str:
    match value:
        case str():
            return "text"
        case bool() | None:
            return "true, false or null"
        case int() | float():
            return "numbers"
        case list():
            return "lists"
        case _:
            return "objects"


# -- archives -------------------------------------------------------------------------------------


def _archive(raw: bytes) -> Iterator[Found]:
    """Every file of an archive in which there are conversations; pictures are for them to fetch."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as packed:
            yield from _Packed(packed).talks()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise Unreadable(f"the archive cannot be unpacked: {error}") from None
    except (OSError, OverflowError, struct.error) as error:
        raise Unreadable(f"the archive is damaged: {error}") from None


class _Packed:
    def __init__(self, packed: zipfile.ZipFile) -> None:
        self._packed = packed
        self._left = LIMIT
        members = packed.infolist()
        if len(members) > MOST_MEMBERS:
            raise Unreadable(f"the archive holds more than {MOST_MEMBERS:,} files")
        self._members = [m for m in members if not m.is_dir()]

    def talks(self) -> Iterator[Found]:
        found = False
        for member in self._members:
            begin = self._begin(member)
            read = self._reader(begin)
            if read is None:
                continue
            try:
                for one in _worthy(read(self._whole(member))):
                    found = True
                    yield one
            except Unreadable:
                continue  # settings, feedback and such lie beside the conversations
        if not found:
            names = named((m.filename for m in self._members), 4)
            raise Unreadable(f"the archive holds {names}, and no conversation")

    def _reader(self, begin: bytes) -> Callable[[bytes], Iterator[Found]] | None:
        if begin.startswith(llmlog.MAGIC):
            return llmlog.read
        if begin.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in {b"[", b"{"}:
            return lambda raw: _text(_decoded(raw), self._fetch)
        return None

    def _begin(self, member: zipfile.ZipInfo) -> bytes:
        with self._packed.open(member) as file:
            return file.read(64)

    def _whole(self, member: zipfile.ZipInfo, most: int = LIMIT) -> bytes:
        """The file, as far as the archive may unpack: what it says of its sizes is not believed."""
        with self._packed.open(member) as file:
            data = file.read(min(most, self._left) + 1)
        self._left -= len(data)
        if self._left < 0 or len(data) > most:
            raise Unreadable(f"the archive unpacks to over {LIMIT // 1_000_000} MB")
        return data

    def _fetch(self, file_id: str) -> bytes | None:
        """A picture the export names by its id; its file's name begins with it."""
        bare = file_id.removeprefix("sediment:").lstrip("/")
        for member in self._members:
            name = member.filename.rpartition("/")[2]
            if bare and name.startswith(bare) and member.file_size <= PICTURE_LIMIT:
                try:
                    return self._whole(member, PICTURE_LIMIT)
                except Unreadable:
                    return None
        return None
