"""Small words every command uses: counts, names, Markdown made of foreign text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from chinwag.errors import UsageWrong
from chinwag.talk.entry import AssistantSaid, Spoken, ToolReturned, UserSaid
from chinwag.talk.event import Ear, Level, Notice
from chinwag.text.cells import pad, width

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!$&])")


def plural(count: int, noun: str) -> str:
    """`1 message`, `2 messages`, `1,204 messages`."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def escaped(text: str) -> str:
    """Foreign text on one line as Markdown that shows just it."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def first_words(text: str, most: int = 100) -> str:
    """The beginning of ``text`` on one line."""
    line = " ".join(text[: most * 8].split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table whose columns also stand below each other where nobody renders it.

    Cells are Markdown already.
    """
    lines = [list(head), *map(list, rows)]
    sizes = [max(3, *map(width, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * size for size in sizes])
    return "\n".join(_row(line, sizes) for line in lines)


def _row(cells: Iterable[str], sizes: Iterable[int]) -> str:
    return "| " + " | ".join(pad(c, size) for c, size in zip(cells, sizes, strict=True)) + " |"


def number(word: str, usage: str) -> int:
    """A count or a position as typed. Raises UsageWrong."""
    try:
        value = int(word.lstrip("#"))
    except ValueError:
        value = 0
    if value < 1:
        raise UsageWrong(f"{word!r} is no number from 1 up", usage=usage)
    return value


def flagged(words: list[str], *flags: str) -> tuple[list[str], set[str]]:
    """The words without the flags named, and those flags that were among them."""
    given = {w for w in words if w in flags}
    return [w for w in words if w not in given], given


def fence(text: str) -> str:
    """``text`` as a block of code that nothing in it can end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}text\n{text}\n{marks}"


def say(hear: Ear, text: str) -> None:
    hear(Notice(text))


def warn(hear: Ear, text: str) -> None:
    hear(Notice(text, Level.WARNING))


def speaker(entry: Spoken) -> str:
    """Who said it."""
    match entry:
        case UserSaid():
            return "you"
        case AssistantSaid(provider=provider, model=model):
            return f"{provider}/{model}" if provider else "assistant"
        case ToolReturned(result=result):
            return f"tool {result.name}"
