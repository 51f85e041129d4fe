"""A line to talk, or to a command and its words. Pure.

Invariants: what looks like a command is never talk: `/word` is a command whether there is one of
that name or not, so a slip never reaches the model. `//text` is talk that begins with a slash; a
path (`/usr/bin/env …`), a file name (`/notes.txt`) and a comment mark (`/*`, `// …`) are talk as
they stand, for people paste such things. Nothing but the first line decides, and what follows a
command keeps its newlines. No quoting raises: a quote left open is an apostrophe.
"""

from __future__ import annotations

import re
import shlex
from typing import Final, TypeAlias

import msgspec


class Talk(msgspec.Struct, frozen=True):
    """What is to be said to the model; blank text is nothing to say."""

    text: str


class Called(msgspec.Struct, frozen=True):
    """A command by the name it was called by, in lower case, "" for a lone slash.

    ``words`` is ``rest`` taken apart as a shell would; ``rest`` is what was typed after the name.
    """

    name: str
    words: tuple[str, ...] = ()
    rest: str = ""


class Slip(msgspec.Struct, frozen=True):
    """Another program's command, typed out of habit: ``notice`` is for the person, none is sent."""

    notice: str


Parsed: TypeAlias = Talk | Called | Slip

_LEAVE: Final = "type /exit to leave, or press Ctrl+D on an empty line; nothing was sent"
_HELP: Final = "commands begin with a slash here: /help lists them; nothing was sent"
_SLIPS: Final = dict.fromkeys(
    ("exit", "quit", "bye", ":q", ":q!", ":wq", ":x", ".exit", ".quit", "!exit", "!quit"), _LEAVE
) | dict.fromkeys((".help", "!help", ":help", ":h"), _HELP)

#: Commands as other programs write them, with a dot or a bang before them.
_OTHERS: Final = re.compile(
    r"[.!](?:clear|compress|continue|copy|edit|editor|exit|file|fork|help|history|info|list|load|"
    r"model|models|multi|new|prompt|quit|regenerate|reset|retry|role|save|session|sessions|set|"
    r"system|tokens|tools|undo|usage)(?:\s[^\n]*)?"
)
_QUOTED: Final = re.compile(r"'[^']*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_FILE_NAME: Final = re.compile(r"/[\w.-]*\.\w+$")


def parse(line: str) -> Parsed:
    """What ``line`` means. Total: any text gives one of the three."""
    if line.startswith("//"):
        return Talk(_unescaped(line))
    if (slip := _SLIPS.get(line.strip().lower())) is not None:
        return Slip(slip)
    called = line.strip()
    if _OTHERS.fullmatch(called):
        return Slip(_HELP)
    if not called.startswith("/") or ("\n" in called and line[:1] != "/"):
        return Talk(line)
    word = called.split(None, 1)[0]
    if _is_talk(word):
        return Talk(line)
    rest = called[len(word) :].strip()
    return Called(word[1:].lower(), split(rest), rest)


def split(text: str) -> tuple[str, ...]:
    """Words as a shell sees them; with a quote left open, as blanks part them."""
    try:
        return tuple(shlex.split(text))
    except ValueError:
        return tuple(text.split())


def whole(text: str) -> tuple[str, ...]:
    """Free text as one word: without its quotes where all of it is quoted, else as it stands."""
    if not text:
        return ()
    return split(text) if _QUOTED.fullmatch(text) else (text,)


def _unescaped(line: str) -> str:
    """Without the escaping slash; but `// …` is a comment of some language, and stays."""
    bare = line.lstrip("/")
    return line if not bare or bare[0].isspace() else line[1:]


def _is_talk(word: str) -> bool:
    """Whether a first word with a slash before it is a path or a mark, and no command's name."""
    if len(word) == 1:
        return False
    first = word[1]
    return "/" in word[1:] or not (first.isalnum() or first in "_?") or bool(_FILE_NAME.match(word))
