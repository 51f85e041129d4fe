"""What a person said yes to, word for word, and how what is there now differs from it. Pure.

Invariants: a pin holds the whole text that was approved: a command, and each tool by name. What is
not in it is not approved. A pin of a command that is another by now approves nothing. The digest
that a yes has to name is of the text that was shown, so nobody approves what they have not seen.
Whatever cannot be read is as if nothing had been approved.
"""

from __future__ import annotations

import difflib
import hashlib
from typing import Final

import msgspec

from chinwag.tools.mcp.listing import Definition, Listing, lines

VERSION: Final = 1
DIGITS: Final = 10
"""Of a digest, as a person types it: 40 bits, for one text against one that is there."""


class Pin(msgspec.Struct, frozen=True):
    """``command`` is `spec.said`; ``tools`` are lines by name, None before the first list."""

    command: str
    tools: dict[str, str] | None = None


class Book(msgspec.Struct, frozen=True):
    """Every pin, by server: what the file holds."""

    version: int = VERSION
    servers: dict[str, Pin] = {}


class Question(msgspec.Struct, frozen=True):
    """What a person is asked: ``text`` is everything, ``digest`` what a yes must name.

    ``sentence`` says in one line what it is about; no text means that there is nothing to ask.
    """

    sentence: str = ""
    text: str = ""
    digest: str = ""


def read(data: bytes) -> Book:
    """The book in ``data``; an empty one where that is none of ours."""
    try:
        book = msgspec.json.decode(data, type=Book)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Book()
    return book if book.version == VERSION else Book()


def written(book: Book) -> bytes:
    return msgspec.json.format(msgspec.json.encode(book, order="sorted"), indent=1) + b"\n"


def with_pin(book: Book, server: str, pin: Pin | None) -> Book:
    """The book with ``pin`` for ``server``, or without one."""
    rest = {name: old for name, old in book.servers.items() if name != server}
    return Book(servers=rest if pin is None else {**rest, server: pin})


def may_run(pin: Pin | None, command: str) -> bool:
    return pin is not None and pin.command == command


def told(listing: Listing) -> dict[str, str]:
    """A listing as a pin keeps it."""
    return {name: lines(one) for name, one in listing.offered.items()}


def approved(pin: Pin | None, listing: Listing) -> dict[str, Definition]:
    """Those tools that are, byte for byte, what was approved."""
    known = (pin.tools if pin else None) or {}
    return {n: one for n, one in listing.offered.items() if known.get(n) == lines(one)}


def question(server: str, command: str, pin: Pin | None, listing: Listing | None) -> Question:
    """What has to be asked of the person now, if anything."""
    if not may_run(pin, command):
        return _about_command(server, command, pin)
    if listing is None or pin is None or pin.tools is None or pin.tools == told(listing):
        return Question()
    return _about_tools(server, pin.tools, told(listing))


def _about_command(server: str, command: str, pin: Pin | None) -> Question:
    if pin is None:
        return _question(server, f"MCP server {server} has not been approved yet", command)
    text = f"{command}\n\nWhat is different (-: as approved, +: as it is now):\n"
    text += _difference(pin.command, command)
    return _question(server, f"MCP server {server} is not what was approved", text)


def _about_tools(server: str, old: dict[str, str], new: dict[str, str]) -> Question:
    parts = []
    counts = {"changed": 0, "new": 0, "gone": 0}
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name, ""), new.get(name, "")
        if was == now:
            continue
        kind = "changed" if was and now else "new" if now else "gone"
        counts[kind] += 1
        parts.append(f"{kind}: {name}\n{_difference(was, now) if was else now}")
    count = ", ".join(f"{n} {kind}" for kind, n in counts.items() if n)
    sentence = f"MCP server {server} describes its tools otherwise than approved ({count})"
    return _question(server, sentence, "\n\n".join(parts))


def _question(server: str, sentence: str, text: str) -> Question:
    whole = f"{server}\n{sentence}\n{text}"
    digest = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:DIGITS]
    return Question(sentence, text, digest)


def _difference(old: str, new: str) -> str:
    """A unified diff without the names of files, all lines of context kept."""
    both = difflib.unified_diff(old.split("\n"), new.split("\n"), lineterm="", n=1_000_000)
    return "\n".join(line for n, line in enumerate(both) if n > 2)
