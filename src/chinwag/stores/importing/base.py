"""What a reader of a foreign form gives back, and the small words all of them use. Pure.

Invariants: whatever comes in, only `Unreadable` (a ValueError) is raised for it. Everything is
derived from the file alone: the same conversation read twice has the same mark, entries and entry
ids, so that a second import can be told from a first, and a longer export from a shorter one. What
a foreign file says of tools, keys, endpoints and permissions is not taken; text stays raw, as
everywhere in the store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec

from chinwag.talk import codec
from chinwag.talk.entry import (
    ALPHABET,
    AnyEntry,
    AssistantSaid,
    Rewound,
    SystemSet,
    Titled,
    ToolReturned,
    UserSaid,
)
from chinwag.talk.message import AnyPart, Call, File, Image, Result, Text, Thinking

LIMIT = 256_000_000  # bytes of one file, and of everything packed in an archive
MOST_ENTRIES = 1_000_000
MOST_TITLE = 200  # characters
PICTURE_LIMIT = 16 * 1024 * 1024  # bytes


class Unreadable(ValueError):
    """A file, or one conversation of it, is none of the forms known; the text says what it is."""


class Talk(msgspec.Struct, frozen=True):
    """One conversation as found in a file.

    ``mark`` tells it from every other one and is the same whenever it is read; ``created`` is UTC,
    "" where the file does not say. ``losses`` are sentences about what was not taken.
    """

    form: str
    mark: str
    entries: tuple[AnyEntry, ...]
    created: str = ""
    losses: tuple[str, ...] = ()


class Skipped(msgspec.Struct, frozen=True):
    """Something in a file that is no conversation: what it is called there, and why."""

    what: str
    why: str


Found: TypeAlias = Talk | Skipped


def short(text: str, size: int = 10) -> str:
    """A name made of ``text``'s hash, in the letters our ids are made of."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:size])


def moment(value: object) -> str:
    """A time as our entries carry it; "" for anything that is none. Numbers are epoch seconds."""
    try:
        match value:
            case bool():
                return ""
            case int() | float():
                seconds = value / 1000 if value > 100_000_000_000 else value
                when = datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
            case str():
                when = datetime.fromisoformat(value.strip()[:40]) if value else None
            case _:
                return ""
        if when is None:
            return ""
        when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return ""
    return when.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def words(value: object) -> str:
    """The text, "" where it is none."""
    return value if isinstance(value, str) else ""


def mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def listing(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def spelt(value: object) -> str:
    """Anything as text: text as it is, the rest as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else codec.dumps(value).decode()


def said(text: str, *more: AnyPart) -> tuple[AnyPart, ...]:
    return (Text(text), *more) if text else more


def named(keys: Iterable[object], most: int = 6) -> str:
    """Keys of an object that was not understood, for a sentence about it."""
    some = [str(key)[:30] for key in keys]
    return ", ".join(some[:most]) + (", …" if len(some) > most else "") or "nothing"


_TYPES = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp"} | {
    "gif": "image/gif",
}


def picture(url: str, mime: str = "", name: str = "") -> AnyPart:
    """A picture by its address: inline data, or one of the web's; nothing else is pointed at."""
    if url.startswith("data:"):
        head, comma, data = url[5:].partition(",")
        kind, _, rest = head.partition(";")
        if comma and rest.endswith("base64") and len(data) * 3 // 4 <= PICTURE_LIMIT:
            return Image(mime=kind or mime, name=name, data="".join(data.split()))
        return File(name=name or "a picture")
    if url.startswith(("https://", "http://")):
        return Image(mime=mime, name=name, url=url)
    return File(name=name or "a picture", mime=mime)


def arguments(value: object) -> str:
    """A call's arguments as the JSON text they are kept as."""
    return value if isinstance(value, str) and value else spelt(value) or "{}"


class Weaver:
    """Entries in the making; knows the head as a session's fold will.

    Ids come from the mark and a key of the source (else the position), so they are the same in
    every reading.
    """

    def __init__(self, form: str, mark: str) -> None:
        self.form, self.mark = form, f"{form}:{mark}"
        self.entries: list[AnyEntry] = []
        self.losses: dict[str, int] = {}
        self.head = 0
        self.created = ""
        self._calls: dict[str, str] = {}
        self.open_call = ""

    def title(self, text: object) -> None:
        if line := " ".join(words(text).split())[:MOST_TITLE]:
            self._add(Titled(title=line, at=self.created), "")

    def system(self, text: str, at: str = "") -> None:
        self._node(SystemSet(text=text, at=at), "")

    def user(self, parts: tuple[AnyPart, ...], at: str = "", key: str = "") -> None:
        self._node(UserSaid(parts=parts, at=at), key)

    def assistant(self, parts: tuple[AnyPart, ...], key: str = "", **more: Any) -> None:
        for part in parts:
            if isinstance(part, Call):
                self._calls[part.id] = part.name
                self.open_call = part.id
        self._node(AssistantSaid(parts=parts, **more), key)

    def tool(
        self,
        content: str,
        call: str = "",
        name: str = "",
        *,
        is_error: bool = False,
        at: str = "",
        key: str = "",
    ) -> None:
        call = call or self.open_call or self.spare_call()
        name = name or self._calls.get(call, "")
        self._node(ToolReturned(result=Result(call, name, content, is_error), at=at), key)
        self.open_call = ""

    def rewind(self, to: int) -> None:
        if to != self.head:
            self._add(Rewound(to=to, why="import"), "")
            self.head = to

    def spare_call(self) -> str:
        """An id for a call whose source has none."""
        return f"call-{len(self.entries) + 1}"

    def lose(self, what: str) -> None:
        self.losses[what] = self.losses.get(what, 0) + 1

    def done(self) -> Talk:
        if not any(isinstance(e, UserSaid | AssistantSaid | ToolReturned) for e in self.entries):
            raise Unreadable("nobody says anything in it")
        lost = (f"{what} ({n})" if n > 1 else what for what, n in self.losses.items())
        entries = tuple(self.entries)
        created = self.created or next((e.at for e in entries if e.at), "")
        return Talk(self.form, self.mark, entries, created, tuple(lost))

    def _node(self, entry: AnyEntry, key: str) -> None:
        self._add(entry, key)
        self.head = len(self.entries)

    def _add(self, entry: AnyEntry, key: str) -> None:
        if len(self.entries) >= MOST_ENTRIES:
            raise Unreadable(f"it has more than {MOST_ENTRIES:,} messages")
        id_ = short(f"{self.mark}\n{key or len(self.entries)}\n{type(entry).__name__}")
        self.entries.append(msgspec.structs.replace(entry, id=id_))


def thinking(text: str) -> tuple[AnyPart, ...]:
    return (Thinking(text=text),) if text else ()
